"""A link covers everything that decides or follows from a step, and nothing that does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shelf import random_step

from tradearena.store.chain import GENESIS, closing_link, digests, next_link, observation_digest
from tradearena.values import Account, Call, Exchange, Finding, Mark, Note

COVERED = {
    "t": lambda s: dataclasses.replace(s, t=s.t + 1),
    "observation": lambda s: dataclasses.replace(s, observation=b"x" * 32),
    "told": lambda s: dataclasses.replace(s, told=(s.told or "") + "."),
    "reference": lambda s: dataclasses.replace(s, reference=nudged(s.reference)),
    "short": lambda s: dataclasses.replace(s, short=not s.short),
    "clusters": lambda s: dataclasses.replace(s, clusters=np.array([7, 8, 9], dtype=np.int16)),
    "marks": lambda s: dataclasses.replace(s, marks=(*s.marks, Mark(9, *[1.0] * 7))),
    "a mark": lambda s: dataclasses.replace(s, marks=(s.marks[0]._replace(borrow=12.5), *s.marks[1:])),
    "findings": lambda s: report(s, findings=(*s.report.findings, Finding("r", "symbol", "n", 1, 1, 1, "flag"))),
    "intent": lambda s: report(s, intent=nudged(s.report.intent)),
    "approved": lambda s: report(s, approved=nudged(s.report.approved)),
    "exposures": lambda s: report(s, exposures=s.report.exposures._replace(net=0.123)),
    "shares": lambda s: account(s, shares=nudged(s.account.shares)),
    "status": lambda s: decision(s, status="ok" if s.decision.status == "error" else "error"),
    "reason": lambda s: decision(s, reason=s.decision.reason + " "),
    "rationale": lambda s: decision(s, rationale=s.decision.rationale + " "),
    "reflection": lambda s: decision(s, reflection="" if s.decision.reflection is None else None),
    "confidence": lambda s: decision(s, confidence=0.0 if s.decision.confidence is None else None),
    "kept": lambda s: decision(s, target=s.report.intent if s.decision.target is None else None),
    "notes": lambda s: decision(s, notes=(*s.decision.notes, Note("S0", "why", None))),
    "a note": lambda s: decision(s, notes=(*s.decision.notes[:-1], Note("S0", "why", 0.5))),
    "stray": lambda s: decision(s, stray=(*s.decision.stray, ("", ""))),
}  # fmt: skip


def nudged(array, place=1):
    """The next representable number in one place."""
    other = array.copy()
    other[place] = np.nextafter(other[place], 9.0) if np.isfinite(other[place]) else 0.0
    return other


def report(step, **changes):
    return dataclasses.replace(step, report=dataclasses.replace(step.report, **changes))


def account(step, **changes):
    return dataclasses.replace(step, account=dataclasses.replace(step.account, **changes))


def decision(step, **changes):
    return dataclasses.replace(step, decision=dataclasses.replace(step.decision, **changes))


@pytest.mark.parametrize("part", COVERED)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_change_of_a_step_changes_its_link(part, seed):
    step = random_step(np.random.default_rng(seed), 5, previous=3)
    assert next_link(GENESIS, COVERED[part](step)) != next_link(GENESIS, step)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_change_of_a_fill_changes_the_link(seed):
    rng = np.random.default_rng(seed)
    step = next(
        step for _ in range(50) if (step := random_step(rng, 5, previous=3)).account.fill is not None
        and step.account.fill.ordered.any()
    )  # fmt: skip
    fill = step.account.fill
    place = fill.ordered.nonzero()[0][0]  # of a symbol that nothing was ordered of nothing is on record
    other = [dataclasses.replace(fill, t=4), dataclasses.replace(fill, decided=2), None]
    for name in ("ordered", "quantity", "price", "commission", "spread", "impact"):
        other.append(dataclasses.replace(fill, **{name: nudged(getattr(fill, name), place)}))
    other.append(dataclasses.replace(fill, cause=fill.cause + np.int8(1)))
    links = {next_link(GENESIS, account(step, fill=each)) for each in (fill, *other)}
    assert len(links) == 1 + len(other)


def test_every_field_of_a_step_is_covered_or_named_as_left_out():
    step = random_step(np.random.default_rng(1), 5, previous=3)
    left_out = {"latency"}
    assert next_link(GENESIS, dataclasses.replace(step, latency=99.0)) == next_link(GENESIS, step)
    nested = {"decision", "report", "account"}
    assert {field.name for field in dataclasses.fields(step)} - left_out - nested <= set(COVERED)
    said = {"exchanges"}  # by their digests, below; orders in flight are in the digest of the observation
    assert {field.name for field in dataclasses.fields(step.decision)} - {"target"} - said <= set(COVERED)


def test_what_was_said_is_in_the_link_and_what_it_took_is_not():
    step = random_step(np.random.default_rng(1), 5, previous=3)
    said = Exchange("system", "prompt", "reply")
    others = [
        dataclasses.replace(said, **change)
        for change in (
            {"system": "System"}, {"prompt": "prompt "}, {"reply": ""}, {"speaker": "a"}, {"turn": 1}, {"tools": True},
            {"cut": True},
        )
    ]  # fmt: skip
    links = {next_link(GENESIS, decision(step, exchanges=each)) for each in ((), (said,), (said, said), *zip(others))}
    assert len(links) == 3 + len(others)
    paid = dataclasses.replace(said, calls=(Call("m", "{}", input_tokens=1, output_tokens=2, cost=0.1, latency=3.0),))
    assert digests(paid) == digests(said)
    heard = decision(step, exchanges=(paid,))
    assert next_link(GENESIS, heard) == next_link(GENESIS, heard, [digests(said)])


def test_a_link_follows_from_the_link_before_it():
    step = random_step(np.random.default_rng(1), 5, previous=3)
    assert next_link(GENESIS, step) == next_link(GENESIS, step)
    assert next_link(b"\0" * 32, step) != next_link(GENESIS, step)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"stray": (("ab", "c"),)}, {"stray": (("a", "bc"),)}),
        ({"stray": (("a", "b"), ("c", "d"))}, {"stray": (("a", "b"),)}),
        ({"rationale": "ab", "reason": ""}, {"rationale": "b", "reason": "a"}),
        ({"reflection": None}, {"reflection": ""}),
    ],
)
def test_what_stands_in_one_field_cannot_pass_for_what_stands_in_the_next(one, other):
    step = random_step(np.random.default_rng(2), 5, previous=3)
    assert next_link(GENESIS, decision(step, **one)) != next_link(GENESIS, decision(step, **other))


def test_a_rule_cannot_pass_for_a_rule_and_a_scope():
    step = random_step(np.random.default_rng(2), 5, previous=3)
    names = (("a\x1fb", "c"), ("a", "b\x1fc"))
    made = [report(step, findings=(Finding(rule, scope, "n", 1, 1, 1, "flag"),)) for rule, scope in names]
    assert next_link(GENESIS, made[0]) != next_link(GENESIS, made[1])


def test_text_is_hashed_as_it_is_stored():
    step = random_step(np.random.default_rng(2), 5, previous=3)
    assert next_link(GENESIS, decision(step, rationale="a\ud800")) == next_link(GENESIS, decision(step, rationale="a?"))


def test_the_last_link_covers_what_happened_after_the_last_decision_and_how_it_ended(steps_of):
    made = steps_of(1)
    ends = [
        (made.marks, made.fills, "complete"),
        (made.marks[:1], made.fills, "complete"),
        (made.marks, made.fills[:1], "complete"),
        (made.marks, made.fills, "ruined"),
        ((), (), "complete"),
    ]
    assert len({closing_link(GENESIS, *end) for end in ends}) == len(ends)


def test_the_digest_of_an_observation_covers_bars_account_and_what_is_told():
    vector = np.array([1.0, 2.0, 3.0])
    holdings = Account(3.0, 2.0, 1.0, vector, vector, vector, vector, None)
    seen = [
        (b"a" * 32, holdings, None),
        (b"b" * 32, holdings, None),
        (b"a" * 32, holdings, ""),
        (b"a" * 32, dataclasses.replace(holdings, nav=4.0), None),
        (b"a" * 32, dataclasses.replace(holdings, cash=4.0), None),
        (b"a" * 32, dataclasses.replace(holdings, owed=4.0), None),
        (b"a" * 32, dataclasses.replace(holdings, shares=nudged(vector)), None),
        (b"a" * 32, dataclasses.replace(holdings, in_flight=nudged(vector)), None),
    ]
    assert len({observation_digest(*each) for each in seen}) == len(seen)
