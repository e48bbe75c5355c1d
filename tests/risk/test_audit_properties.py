"""What must hold of every audit. Each limit is measured anew here, from its definition, in extended precision."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES, cases

from tradearena.risk.audit import audit
from tradearena.values import TOLERANCE, Decision

SLACK = TOLERANCE + 1e-12
"""The stated tolerance, and the rounding of the sums around it."""

SCALINGS = ("gross", "net", "volatility", "reference-risk", "turnover", "liquidity")
KEEP = Decision(None)

often = settings(max_examples=2 * EXAMPLES)
"""Half of the cases meet their state limits one after the other, half by projection."""


def total(values):
    return math.fsum(float(value) for value in values)


def volatility(weights, state):
    """Volatility a year, and how far it may be off: a variance is only as exact as the sum of its terms' sizes."""
    w, S = weights.astype(np.longdouble), state.covariance.astype(np.longdouble)
    rounding = 1e-15 * len(w) * float(np.abs(w) @ np.abs(S) @ np.abs(w)) * state.bars_per_year
    return math.sqrt(max(float(w @ S @ w), 0.0) * state.bars_per_year), rounding


def measured(weights, state, limits):
    """(what, value, bound) of every state limit; a bound is the limit, or what the pins alone carry if that is more."""
    n = range(len(weights))
    pinned = [not state.tradable[i] and state.current[i] != 0 for i in n]
    pins = np.array([state.current[i] if pinned[i] else 0.0 for i in n])
    for i in n:
        if pinned[i]:
            yield f"pin {i}", abs(weights[i] - state.current[i]), 0.0
            continue
        if not state.tradable[i]:
            yield f"untradable {i}", abs(weights[i]), 0.0
        if not limits.allow_short:
            yield f"short {i}", -weights[i], 0.0
        if limits.single_name is not None:
            yield f"single name {i}", abs(weights[i]), limits.single_name
    for what, labels, limit, fewest in (
        ("sector", state.sectors, limits.sector if len(state.sector_names) > 1 else None, 1),
        ("cluster", state.clusters, limits.cluster, 2),
    ):
        for label in set(labels.tolist()):
            members = [i for i in n if labels[i] == label]
            if limit is not None and len(members) >= fewest:
                stuck = total(abs(pins[i]) for i in members)
                yield f"{what} {label}", total(abs(weights[i]) for i in members), max(limit, stuck)
    if limits.gross is not None:
        yield "gross", total(np.abs(weights)), max(limits.gross, total(np.abs(pins)))
    if limits.net is not None:
        yield "net", total(weights), max(limits.net, total(pins))
        yield "net short", -total(weights), max(limits.net, -total(pins))
    year, rounding = volatility(weights, state)
    stuck = volatility(pins, state)[0]
    for what, limit in (
        ("volatility", limits.volatility),
        ("reference risk", limits.reference_risk and limits.reference_risk * volatility(state.reference, state)[0]),
    ):
        if limit is not None and (what == "volatility" or state.reference.any()):
            bound = max(limit, stuck)
            yield what, year, math.sqrt(bound**2 + rounding)


def broken(weights, state, limits, slack=SLACK):
    return [(what, value, bound) for what, value, bound in measured(weights, state, limits) if value > bound + slack]


def moved(weights, base, state):
    """One-way turnover from the base, and the trade of each symbol; pinned symbols do not trade."""
    move = np.where(state.tradable, weights - base, 0.0)
    return max(total(move[move > 0]), -total(move[move < 0])), np.abs(move)


def base_of(state, limits):
    """The forced reductions: what a decision to keep the position is granted."""
    return audit(KEEP, state, limits).approved


def wished(state, decision, limits):
    """What the state limits alone leave of a decision."""
    free = limits.model_copy(update={"turnover": None, "liquidity": None})
    return audit(decision, replace(state, liquidity=None), free).approved


# ---------------------------------------------------------------------- state limits


@often
@given(cases())
def test_every_state_limit_holds_given_the_pins(case):
    assert broken(audit(*case).approved, case.state, case.limits) == []


@often
@given(cases(trade_limits=False))
def test_where_only_state_limits_act_no_weight_grows_or_changes_sign(case):
    decision, state, _ = case
    approved = audit(*case).approved
    free = state.tradable | (state.current == 0)
    assert (np.abs(approved) <= np.abs(decision.target))[free].all()
    assert (approved * np.sign(decision.target) >= 0)[free].all()


@often
@given(cases())
def test_gross_does_not_exceed_the_larger_of_intent_and_current(case):
    decision, state, _ = case
    pinned = ~state.tradable & (state.current != 0)
    intent = np.where(pinned, state.current, decision.target)
    gross = total(np.abs(audit(*case).approved))
    assert gross <= max(total(np.abs(intent)), total(np.abs(state.current))) + SLACK


@often
@given(cases())
def test_an_audit_of_what_was_approved_changes_nothing_and_finds_nothing(case):
    _, state, limits = case
    approved = audit(*case).approved
    again = audit(Decision(approved), state, limits)
    np.testing.assert_allclose(again.approved, approved, rtol=0, atol=1e-12)
    assert not again.gated, again.findings


@often
@given(cases())
def test_what_breaks_no_limit_is_approved_as_it_is(case):
    decision, state, limits = case
    report = audit(*case)
    if not report.gated:
        difference = np.abs(report.approved - decision.target)
        assert difference.max() <= TOLERANCE
        pinned = ~state.tradable & (state.current != 0)
        # What lies within the tolerance may have been rounded away: where that is all there is, it is all of the risk.
        assert broken(np.where(pinned, state.current, decision.target), state, limits, 10 * TOLERANCE) == []


@often
@given(cases())
def test_a_finding_that_gates_has_changed_something(case):
    decision, _, _ = case
    report = audit(*case)
    if report.gated:
        assert np.abs(report.approved - decision.target).sum() > TOLERANCE / 2


# ---------------------------------------------------------------------- trade limits


@often
@given(cases())
def test_the_trade_limits_hold_measured_from_the_forced_reductions(case):
    _, state, limits = case
    turnover, trades = moved(audit(*case).approved, base_of(state, limits), state)
    if limits.turnover is not None:
        assert turnover <= limits.turnover + SLACK
    if state.liquidity is not None:
        assert (trades <= state.liquidity + SLACK).all()


@often
@given(cases())
def test_what_is_approved_lies_between_the_forced_reductions_and_the_wish(case):
    decision, state, limits = case
    approved, base, wish = audit(*case).approved, base_of(state, limits), wished(state, decision, limits)
    assert (approved >= np.minimum(base, wish) - 1e-12).all()
    assert (approved <= np.maximum(base, wish) + 1e-12).all()
    # On one line: every symbol has gone the same part of its way.
    gone, way = approved - base, wish - base
    np.testing.assert_allclose(np.outer(gone, way), np.outer(way, gone), rtol=0, atol=1e-12)


@often
@given(cases())
def test_a_decision_goes_as_far_towards_its_wish_as_the_trade_limits_let_it(case):
    decision, state, limits = case
    approved, base, wish = audit(*case).approved, base_of(state, limits), wished(state, decision, limits)
    if np.abs(wish - approved).max() > TOLERANCE:
        turnover, trades = moved(approved + 1e-6 * (wish - base), base, state)
        step = 1e-7 * np.abs(wish - base)
        beyond = limits.turnover is not None and turnover > limits.turnover + step.max() / 10
        blocked = state.liquidity is not None and (trades > state.liquidity + step)[step > 0].any()
        assert beyond or blocked


@often
@given(cases())
def test_forced_reductions_are_exempt_from_the_trade_limits(case):
    _, state, limits = case
    free = limits.model_copy(update={"turnover": None, "liquidity": None})
    np.testing.assert_array_equal(base_of(state, limits), base_of(replace(state, liquidity=None), free))


# ---------------------------------------------------------------------- keeping and halting


@often
@given(cases(), st.sampled_from(("fallback", "error", "timid", "none")))
def test_a_reply_that_is_malformed_or_timid_keeps_the_position(case, why):
    decision, state, limits = case
    limits = limits.model_copy(update={"min_confidence": 0.2})
    kept = {
        "fallback": Decision(decision.target, status="fallback"),
        "error": Decision(None, status="error"),
        "timid": Decision(decision.target, confidence=0.1),
        "none": Decision(None),
    }[why]
    report = audit(kept, state, limits)
    np.testing.assert_array_equal(report.approved, base_of(state, limits))
    if not broken(state.current, state, limits):
        np.testing.assert_allclose(report.approved, state.current, rtol=0, atol=2 * TOLERANCE)
    rules = [finding.rule for finding in report.findings]
    assert ("reply" in rules) == (why in ("fallback", "error"))
    assert ("confidence" in rules) == (why == "timid")


@often
@given(cases())
def test_the_kill_switch_approves_the_pins_and_nothing_else(case):
    decision, state, limits = case
    limits = limits.model_copy(update={"drawdown": 0.1})
    state = replace(state, halted=True, drawdown=0.15)
    report = audit(decision, state, limits)
    np.testing.assert_array_equal(report.approved, np.where(state.tradable, 0.0, state.current))
    again = audit(Decision(report.approved), state, limits)
    np.testing.assert_array_equal(again.approved, report.approved)
    assert not again.gated
    assert again.findings[0].rule == "drawdown"


# ---------------------------------------------------------------------- findings


@often
@given(cases())
def test_a_scaling_rule_is_one_finding_and_every_other_names_whom_it_changed_once(case):
    findings = audit(*case).findings
    for rule in SCALINGS:
        assert sum(finding.rule == rule for finding in findings) <= 1
    named = [(finding.rule, finding.name) for finding in findings]
    assert len(named) == len(set(named))


@often
@given(cases())
def test_the_numbers_of_a_finding_agree_with_each_other(case):
    for finding in audit(*case).findings:
        assert np.isfinite([finding.proposed, finding.approved, finding.limit]).all()
        if finding.rule == "pinned":
            assert finding.approved == finding.limit != finding.proposed
        elif finding.severity == "flag":
            assert finding.proposed == finding.approved > finding.limit
        else:
            assert abs(finding.proposed) > abs(finding.approved)
            assert abs(finding.proposed) > finding.limit + TOLERANCE / 2
            within = abs(finding.proposed) - finding.limit <= 0.25 * finding.limit
            assert finding.severity == ("minor" if within else "major")


@often
@given(cases())
def test_the_elementwise_rules_name_exactly_the_symbols_they_changed(case):
    decision, state, limits = case
    findings = audit(*case).findings
    rules = ("pinned", "no-bar", "short", "single-name")
    found = {rule: {finding.name for finding in findings if finding.rule == rule} for rule in rules}
    expected = {rule: set() for rule in found}
    for i, name in enumerate(state.symbols):
        weight, held = float(decision.target[i]), float(state.current[i])
        if not state.tradable[i]:
            if held != 0 and abs(weight - held) > TOLERANCE:
                expected["pinned"].add(name)
            elif held == 0 and abs(weight) > TOLERANCE:
                expected["no-bar"].add(name)
        elif not limits.allow_short and weight < 0:
            if weight < -TOLERANCE:
                expected["short"].add(name)
        elif limits.single_name is not None and abs(weight) > limits.single_name + TOLERANCE:
            expected["single-name"].add(name)
    if limits.method == "projection":  # where other limits take more of a symbol, its own does not bind
        left = np.abs(wished(state, decision, limits)).tolist()
        at_cap = {name for name in expected["single-name"] if left[state.symbols.index(name)] == limits.single_name}
        assert found["single-name"] <= at_cap
        expected["single-name"] = found["single-name"]
    assert found == expected


@often
@given(cases())
def test_exposures_are_those_of_what_was_approved(case):
    _, state, _ = case
    report = audit(*case)
    w, found = report.approved, report.exposures
    gross = total(np.abs(w))
    assert math.isclose(found.gross, gross, rel_tol=1e-12)
    assert math.isclose(found.net, total(w), abs_tol=1e-12)
    year, rounding = volatility(w, state)
    assert abs(found.volatility**2 - year**2) <= rounding + 1e-300
    herfindahl = total((abs(x) / gross) ** 2 for x in w) if gross else 0.0
    assert math.isclose(found.herfindahl, herfindahl, rel_tol=1e-9, abs_tol=1e-300)
    assert math.isclose(found.distance, total(np.abs(w - state.reference)), rel_tol=1e-9, abs_tol=1e-12)
    assert found.effective_bets >= 0


@often
@given(cases())
def test_nothing_that_leaves_the_audit_is_not_a_number(case):
    report = audit(*case)
    assert np.isfinite(report.approved).all()
    assert np.isfinite(report.exposures).all()


@often
@given(cases())
def test_an_audit_leaves_its_input_alone(case):
    decision, state, _ = case
    for array in (decision.target, state.current, state.covariance, state.reference, state.tradable):
        array.flags.writeable = False
    one, two = audit(*case), audit(*case)
    np.testing.assert_array_equal(one.approved, two.approved)
    assert one.findings == two.findings
