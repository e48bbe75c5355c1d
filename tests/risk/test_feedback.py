"""What is told of an audit, mode by mode: nothing in the form may say which mode it is."""

from __future__ import annotations

import hashlib
import json
import re
from string import Template
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena import rooms
from tradearena.errors import CardError, UnknownName
from tradearena.policy import Limits
from tradearena.risk.feedback import LISTED, REVIEWS, UNTOLD, Feedback, desk, mode_named, wording_in
from tradearena.risk.sources import Donors
from tradearena.values import MODES, Exposures, Finding, RiskReport

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
SECTORS = ("Tech", "Tech", "Tech", "Health Care", "Health Care", "Health Care")
LIMITS = Limits(single_name=0.2, volatility=0.3, turnover=0.5, gross=1.0)
WORDING = wording_in((rooms.shipped() / "risk" / "feedback.txt").read_text(encoding="utf-8"), "feedback.txt")
TOLD = tuple(mode for mode in MODES if mode != "hidden")
NOTHING = Exposures(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

CAP = Finding("single-name", "symbol", "AAA", 0.31, 0.2, 0.2, "major")
RISK = Finding("volatility", "portfolio", "", 0.41234567, 0.3, 0.3, "major")
FLAG = Finding("distance", "portfolio", "", 1.7, 1.7, 1.5, "flag")
RULES = ("single-name", "gross", "volatility", "turnover")
"""In the order of the audit."""

COUPLED = Finding("cluster", "group", "AAA + BBB", 0.5, 0.35, 0.35, "major")
DONORS = Donors(
    SYMBOLS,
    SECTORS,
    lambda number, length: [((CAP,), (CAP, RISK), (COUPLED,), (RISK, FLAG))[(number + k) % 4] for k in range(length)],
)


def report(*findings: Finding, intent: Any = (0.31, 0.25, 0.2, 0.1, 0.0, 0.0)) -> RiskReport:
    weights = np.array(intent)
    return RiskReport(weights, weights, findings, NOTHING)


def teller(mode: str, seed: int = 0, limits: Limits = LIMITS) -> Feedback:
    dice = hashlib.sha256(str(seed).encode()).digest()
    return desk(mode, WORDING, symbols=SYMBOLS, limits=limits, decisions=600, dice=dice, donors=lambda: DONORS)


def block(feedback: Feedback, *findings: Finding) -> dict[str, Any]:
    text = feedback.tell(report(*findings)).text
    assert text is not None
    found: dict[str, Any] = json.loads(text.split("\n")[1])
    return found


# ---------------------------------------------------------------------- the truth, and nothing


def test_true_tells_the_findings_as_they_are_the_gravest_first() -> None:
    told = teller("true").tell(report(FLAG, CAP, RISK))
    assert told.text is not None
    sentence, stated = told.text.split("\n")
    assert sentence == (
        "Risk desk: 2 of 3 findings on your last target weights changed them; decisions altered: 1 of the last 1."
    )
    assert json.loads(stated) == {
        "findings": [
            {
                "rule": "single-name",
                "scope": "symbol",
                "name": "AAA",
                "proposed": 0.31,
                "approved": 0.2,
                "limit": 0.2,
                "severity": "major",
            },
            {
                "rule": "volatility",
                "scope": "portfolio",
                "name": "",
                "proposed": 0.412,
                "approved": 0.3,
                "limit": 0.3,
                "severity": "major",
            },
            {
                "rule": "distance",
                "scope": "portfolio",
                "name": "",
                "proposed": 1.7,
                "approved": 1.7,
                "limit": 1.5,
                "severity": "flag",
            },
        ],
        "more": 0,
        "reviews": 1,
        "altered": 1,
        "rules": {
            "single-name": {"count": 1, "limit": 0.2},
            "volatility": {"count": 1, "limit": 0.3},
        },
    }
    assert told.gist == "single-name AAA 0.31 to 0.2, volatility 0.412 to 0.3"


def test_hidden_tells_nothing_at_all() -> None:
    assert teller("hidden") is UNTOLD
    assert UNTOLD.tell(report(CAP)) == (None, None)


def test_the_summary_looks_back_on_a_fixed_number_of_reviews() -> None:
    feedback = teller("true")
    block(feedback, CAP)
    for _ in range(REVIEWS - 1):
        last = block(feedback)
    assert (last["reviews"], last["altered"], last["rules"]["single-name"]["count"]) == (REVIEWS, 1, 1)
    assert (block(feedback)["altered"], block(feedback)["rules"]) == (0, {})


def test_a_long_report_is_cut_and_says_how_much_more_there_is() -> None:
    many = [CAP._replace(name=name) for name in SYMBOLS] + [RISK, FLAG]
    found = block(teller("true"), *many)
    assert (len(found["findings"]), found["more"]) == (LISTED, len(many) - LISTED)


def test_numbers_that_are_not_finite_are_null() -> None:
    found = block(teller("true"), Finding("reply", "portfolio", "fallback", np.nan, np.nan, np.nan, "critical"))
    assert found["findings"][0]["proposed"] is None
    assert found["rules"]["reply"] == {"count": 1, "limit": None}


# ---------------------------------------------------------------------- lies


def test_an_alarm_tells_of_severe_findings_that_did_not_happen() -> None:
    feedback = teller("false-audit:alarm")
    real = {("single-name", "AAA"), ("volatility", "")}
    sizes = set()
    for _ in range(200):
        *told, flag = block(feedback, CAP, RISK, FLAG)["findings"]
        assert flag["rule"] == "distance"
        assert [RULES.index(finding["rule"]) for finding in told] == sorted(RULES.index(f["rule"]) for f in told)
        sizes.add(len(told))
        assert not real & {(finding["rule"], finding["name"]) for finding in told}
        assert all(finding["severity"] == "major" for finding in told)
        assert all(finding["proposed"] > 1.25 * finding["limit"] for finding in told)
        assert all(finding["approved"] == finding["limit"] for finding in told)
    assert sizes == {2, 3, 4}


def test_an_alarm_quotes_the_limits_of_the_policy_even_where_all_of_them_were_broken() -> None:
    feedback = teller("false-audit:alarm", limits=Limits(single_name=0.25))
    for _ in range(20):
        told = block(feedback, *(CAP._replace(name=name) for name in SYMBOLS))["findings"]
        assert told
        assert {(finding["rule"], finding["limit"]) for finding in told} == {("single-name", 0.25)}


@pytest.mark.parametrize("intent", [(0.31, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)])
def test_an_alarm_finds_something_to_lie_about_even_without_a_limit(intent: tuple[float, ...]) -> None:
    told = teller("false-audit:alarm", limits=Limits()).tell(report(intent=intent))
    assert told.text is not None
    assert len(json.loads(told.text.split("\n")[1])["findings"]) >= 1


def test_an_all_clear_says_byte_for_byte_what_the_truth_says_where_nothing_was_changed() -> None:
    lie, truth = teller("false-audit:all-clear"), teller("true")
    for findings in ((CAP, RISK), (CAP, FLAG), (FLAG,)):
        flags = [finding for finding in findings if finding is FLAG]
        assert lie.tell(report(*findings)) == truth.tell(report(*flags))


def test_an_inversion_tells_each_finding_on_a_symbol_of_one_that_had_none() -> None:
    feedback = teller("false-audit:inverted")
    told = block(feedback, CAP, CAP._replace(name="CCC"), RISK)["findings"]
    assert [(finding["rule"], finding["name"]) for finding in told] == [
        ("single-name", "BBB"),
        ("single-name", "DDD"),
        ("volatility", ""),
    ]
    assert block(feedback, RISK)["findings"] == block(teller("true"), RISK)["findings"]


def test_an_inversion_without_an_innocent_symbol_left_tells_of_none() -> None:
    everyone = [CAP._replace(name=name) for name in SYMBOLS]
    assert block(teller("false-audit:inverted"), *everyone)["findings"] == []


# ---------------------------------------------------------------------- placebo


def test_a_placebo_does_not_look_at_the_report() -> None:
    calm, troubled = teller("placebo"), teller("placebo")
    many = [CAP._replace(name=name) for name in SYMBOLS]
    assert [calm.tell(report()) for _ in range(50)] == [troubled.tell(report(*many, RISK)) for _ in range(50)]


def test_a_placebo_names_other_symbols_of_the_same_sector() -> None:
    feedback, seen = teller("placebo"), set()
    for _ in range(600):
        for finding in block(feedback)["findings"]:
            if finding["rule"] == "single-name":
                seen.add(finding["name"])
            if finding["rule"] == "cluster":
                assert finding["name"] in {"AAA + BBB", "AAA + CCC", "BBB + CCC"}
                assert {SECTORS[SYMBOLS.index(name)] for name in finding["name"].split(" + ")} == {"Tech"}
    assert seen == {"AAA", "BBB", "CCC"}


def test_placebos_differ_from_seed_to_seed_and_are_the_same_for_the_same() -> None:
    def texts(seed: int) -> list[str | None]:
        feedback = teller("placebo", seed)
        return [feedback.tell(report()).text for _ in range(20)]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


# ---------------------------------------------------------------------- nothing gives itself away


findings = st.builds(
    Finding,
    rule=st.sampled_from(["single-name", "volatility", "turnover", "distance"]),
    scope=st.just("symbol"),
    name=st.sampled_from(SYMBOLS),
    proposed=st.floats(0.01, 3.0),
    approved=st.floats(0.01, 1.0),
    limit=st.floats(0.01, 1.0),
    severity=st.sampled_from(["flag", "minor", "major"]),
)

TELLTALE = re.compile(
    r"placebo|false|hidden|audit mode|experiment|inject|simulat|synthetic|donor|control|treatment|benign|ablation|fake"
)


@settings(max_examples=100)
@given(st.lists(st.lists(findings, max_size=9), min_size=1, max_size=6), st.integers(0, 10))
def test_all_told_modes_share_sentence_and_fields_and_no_word_gives_one_away(
    reports: list[list[Finding]], seed: int
) -> None:
    shapes = set()
    for mode in TOLD:
        feedback = teller(mode, seed)
        for found in reports:
            told = feedback.tell(report(*found))
            assert told.text is not None
            sentence, stated = told.text.split("\n")
            parsed = json.loads(stated)
            shapes.add((re.sub(r"\d+", "0", sentence), tuple(parsed)))
            assert all(tuple(f) == tuple(CAP._fields) for f in parsed["findings"])
            assert all(set(rule) == {"count", "limit"} for rule in parsed["rules"].values())
            assert not TELLTALE.search(told.text.lower())
            assert not TELLTALE.search((told.gist or "").lower())
    assert len(shapes) == 1


# ---------------------------------------------------------------------- names and wording


@pytest.mark.parametrize(("name", "mode"), [*zip(MODES, MODES, strict=True), ("false-audit", "false-audit:alarm")])
def test_a_mode_has_its_name_and_a_lie_without_a_kind_is_an_alarm(name: str, mode: str) -> None:
    assert mode_named(name) == mode


def test_an_unknown_mode_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no feedback mode named 'placebos'; did you mean placebo"):
        mode_named("placebos")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("$changed of $total", r"w.txt: cannot fill in 'total'"), ("5 $", "cannot fill in"), ("  \n", "is empty")],
)
def test_a_wording_that_cannot_be_filled_in_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(CardError, match=complaint):
        wording_in(text, "w.txt")


def test_a_wording_may_say_less() -> None:
    assert wording_in("Desk:\n$altered altered.", "w.txt").substitute(altered=1) == "Desk: 1 altered."


def test_the_donors_are_only_made_where_a_placebo_is_told() -> None:
    def none() -> Donors:
        raise AssertionError("nobody asked for donors")

    def made(mode: str) -> Feedback:
        return desk(mode, Template("x"), symbols=SYMBOLS, limits=LIMITS, decisions=600, dice=bytes(32), donors=none)

    for mode in MODES:
        if mode != "placebo":
            made(mode)
    with pytest.raises(AssertionError, match="nobody asked"):
        made("placebo")
