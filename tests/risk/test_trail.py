"""The trail of an audit: what each rule took leads from what was wished to what was approved, nothing left over."""

from dataclasses import replace

import numpy as np
import pytest
from byhand import asked, state_of
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES, cases

from tradearena.policy import Limits
from tradearena.risk.audit import audit
from tradearena.values import TOLERANCE, Decision

often = settings(max_examples=2 * EXAMPLES)


@st.composite
def any_audit(draw):
    """Decision, state, limits: replies of every kind, the kill switch on and off, weights up to the largest stated."""
    decision, state, limits = draw(cases())
    limits = limits.model_copy(update={"min_confidence": 0.2, "drawdown": 0.1})
    target = decision.target * draw(st.sampled_from((1.0, 1.0, 1e6)))
    decision = draw(
        st.sampled_from(
            (
                *[Decision(target)] * 4,
                Decision(None),
                Decision(target, stray=(("GOLD", "0.25"), ("OIL", "0"))),
                Decision(target, status="fallback"),
                Decision(None, status="error"),
                Decision(target, confidence=0.1),
            )
        )
    )
    return decision, replace(state, halted=draw(st.integers(0, 5)) == 0, drawdown=0.15), limits


def total(report):
    return sum((moved for _, moved in report.trail), start=np.zeros_like(report.intent))


@often
@given(any_audit())
def test_what_was_wished_and_all_that_was_taken_is_what_was_approved(case):
    report = audit(*case)
    slack = 1e-12 * max(1.0, np.abs(report.intent).max())
    np.testing.assert_allclose(report.intent + total(report), report.approved, rtol=0, atol=slack)


@often
@given(any_audit())
def test_a_rule_that_moved_something_is_in_the_trail_once_and_has_said_so(case):
    """The rules of the trail are those of the findings that did more than flag, with three exceptions that can be
    told: a stray weight never stood in the intent; a reply that is not heeded may have asked for what is held anyway;
    and what was moved within the tolerance is not worth a finding."""
    report = audit(*case)
    rules = [rule for rule, _ in report.trail]
    spoke = {finding.rule for finding in report.findings if finding.severity != "flag"}
    still = {"validity", "reply", "confidence"}
    tiny = {rule for rule, moved in report.trail if np.abs(moved).max() <= TOLERANCE}
    assert len(rules) == len(set(rules))
    assert spoke - still <= set(rules) <= spoke | tiny
    for _, moved in report.trail:
        assert moved.any()
    order = list(dict.fromkeys(finding.rule for finding in report.findings))
    assert [rule for rule in rules if rule in order] == [rule for rule in order if rule in rules]


@often
@given(any_audit())
def test_an_intent_that_is_approved_to_the_bit_leaves_no_trail(case):
    _, state, limits = case
    once = audit(*case)
    report = audit(Decision(once.approved), state, limits)
    if np.array_equal(report.approved, once.approved):
        assert report.trail == ()


def test_the_trail_of_an_audit_worked_by_hand():
    # A -0.2 is short: 0. B 0.9 is cut to 0.5. B and C share a sector: 0.5 + 0.5 becomes 0.3 + 0.3 for 0.6.
    # Bought would be 0.6, and 0.3 may be: half of the way; of B 0.1 may be bought, and 0.15 is: two thirds of that.
    state = state_of([0.0] * 3, sectors=[0, 1, 1], liquidity=[1.0, 0.1, 1.0])
    limits = Limits(single_name=0.5, sector=0.6, turnover=0.3, liquidity=0.1)
    report = audit(asked(-0.2, 0.9, 0.5), state, limits)
    expected = {
        "short": [0.2, 0.0, 0.0],
        "single-name": [0.0, -0.4, 0.0],
        "sector": [0.0, -0.2, -0.2],
        "turnover": [0.0, -0.15, -0.15],
        "liquidity": [0.0, -0.05, -0.05],
    }
    assert [rule for rule, _ in report.trail] == list(expected)
    np.testing.assert_allclose([moved for _, moved in report.trail], list(expected.values()), rtol=0, atol=1e-15)


@pytest.mark.parametrize("pinned", [False, True])
def test_the_kill_switch_takes_all_that_can_be_sold_and_a_pin_what_was_asked_of_it(pinned):
    state = state_of([0.5, 0.4], tradable=[not pinned, True], drawdown=0.3, halted=True)
    report = audit(asked(0.1, 0.2), state, Limits(drawdown=0.25))
    pin = {"pinned": [0.4, 0.0]} if pinned else {}
    expected = {**pin, "drawdown": [0.0 if pinned else -0.1, -0.2]}
    assert {rule: moved.tolist() for rule, moved in report.trail} == expected


def test_a_reply_that_is_not_heeded_is_taken_back_to_what_is_held():
    report = audit(asked(0.0, 1.0, status="fallback"), state_of([0.5, 0.1]), Limits(single_name=0.25))
    assert {rule: moved.tolist() for rule, moved in report.trail} == {
        "reply": [0.5, -0.9],
        "single-name": [-0.25, 0.0],
    }
