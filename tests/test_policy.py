"""Policies: what a file says is what holds, and what it cannot say is refused with its line."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tradearena import policy, rooms
from tradearena.errors import CardError, UnknownName
from tradearena.policy import Execution, Limits, Policy, Reference

SHIPPED = sorted(rooms.cards("risk"))


def write(folder, text, name="mine"):
    (folder / "risk").mkdir(exist_ok=True)
    path = folder / "risk" / f"{name}.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_opens_by_name_and_by_path(name):
    by_name = policy.load(name)
    assert by_name.name == name
    assert by_name.description
    assert policy.load(str(rooms.cards("risk")[name])) == by_name


def test_there_are_four_policies_to_start_from():
    assert set(SHIPPED) >= {"standard", "strict", "unlimited", "projection"}


def test_projection_is_standard_but_for_how_limits_are_met():
    standard, projection = policy.load("standard"), policy.load("projection")
    assert projection.limits == standard.limits.model_copy(update={"method": "projection"})
    assert (projection.execution, projection.reference) == (standard.execution, standard.reference)


def test_unlimited_limits_nothing_and_costs_nothing():
    unlimited = policy.load("unlimited")
    assert unlimited.limits == Limits(allow_short=True)
    assert unlimited.execution == Execution()


def test_strict_is_nowhere_looser_than_standard():
    strict, standard = policy.load("strict").limits, policy.load("standard").limits
    for name in (
        "single_name",
        "sector",
        "cluster",
        "gross",
        "volatility",
        "reference_risk",
        "turnover",
        "liquidity",
        "drawdown",
    ):
        assert getattr(strict, name) <= getattr(standard, name), name


def test_a_policy_of_the_users_goes_before_a_shipped_one(tmp_path):
    write(tmp_path, 'name = "standard"\n[limits]\ngross = 0.5\n', "standard")
    assert policy.load("standard", tmp_path).limits.gross == 0.5


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="no policy named 'strikt'; did you mean strict"):
        policy.load("strikt")


def test_a_name_that_differs_from_the_file_is_refused(tmp_path):
    write(tmp_path, 'name = "yours"\n')
    with pytest.raises(CardError, match="called 'mine' but names itself 'yours'"):
        policy.load("mine", tmp_path)


@pytest.mark.parametrize(
    ("section", "entry", "said"),
    [
        ("limits", "gross = 0", "greater than 0"),
        ("limits", "gross = -1.0", "greater than 0"),
        ("limits", "gross = inf", "finite number"),
        ("limits", "gross = nan", "finite number"),
        ("limits", "gross = true", "valid number"),
        ("limits", "gross = '1.0'", "valid number"),
        ("limits", "allow_short = 1", "valid boolean"),
        ("limits", "drawdown = 1.5", "less than or equal to 1"),
        ("limits", "min_confidence = 2", "less than or equal to 1"),
        ("limits", "cooldown = 0", "greater than or equal to 1"),
        ("limits", "cooldown = 2.5", "valid integer"),
        ("limits", "cluster_correlation = 1.0", "less than 1"),
        ("limits", "allow_short = \"maybe\"", "valid boolean"),
        ("limits", "leverage = 2", "known keys: allow_short"),
        ("execution", "latency = 0", "greater than or equal to 1"),
        ("execution", "initial_cash = 0", "greater than 0"),
        ("execution", "commission_bps = -1", "greater than or equal to 0"),
        ("execution", "participation = 0", "greater than 0"),
        ("execution", "impact = \"cubic\"", "'linear' or 'square-root'"),
        ("reference", "lookback = 1", "greater than or equal to 2"),
        ("reference", "risk_aversion = 0", "greater than 0"),
        ("reference", "cap = 1.5", "less than or equal to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_rule_is_refused_with_its_line(tmp_path, section, entry, said):
    path = write(tmp_path, f'name = "mine"\n\n[{section}]\n{entry}\n')
    with pytest.raises(CardError) as caught:
        policy.load("mine", tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 4: {section}.{entry.split()[0]}: ")
    assert said in message


def test_what_is_left_out_does_not_apply():
    left_out = {name for name, value in Limits().model_dump().items() if value is None}
    assert left_out >= {
        "single_name",
        "sector",
        "cluster",
        "gross",
        "net",
        "volatility",
        "turnover",
        "liquidity",
        "drawdown",
    }
    assert not Limits().allow_short


# ---------------------------------------------------------------------- digests

numbers = st.floats(0.01, 1.0)


@given(gross=numbers, latency=st.integers(1, 5), cap=numbers)
def test_a_digest_is_of_what_a_policy_says_and_not_of_its_name(gross, latency, cap):
    parts = {"limits": Limits(gross=gross), "execution": Execution(latency=latency), "reference": Reference(cap=cap)}
    one = Policy(name="one", **parts)
    assert one.digest == Policy(name="other", description="said otherwise", **parts).digest
    assert one.digest == Policy.model_validate_json(one.model_dump_json()).digest
    for change in (
        {"limits": Limits(gross=gross / 2)},
        {"execution": Execution(latency=latency + 1)},
        {"reference": Reference(cap=cap / 2)},
    ):
        assert Policy(name="one", **{**parts, **change}).digest != one.digest


def test_a_digest_is_what_it_was_before_there_was_a_choice_of_methods():
    standard = policy.load("standard")
    said = json.loads(standard.model_dump_json(exclude={"name", "description"}))
    assert said["limits"].pop("method") == "sequential"
    assert standard.digest == hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()
    assert policy.load("projection").digest != standard.digest


def test_a_policy_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Policy(name="x").limits.gross = 2.0
