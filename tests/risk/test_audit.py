"""The audit on cases worked by hand, and on the very edge of each limit."""

import math

import numpy as np
import pytest
from byhand import asked, state_of
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES, covariance_of, seeds

from tradearena.policy import Limits
from tradearena.risk.audit import audit
from tradearena.values import TOLERANCE, Decision, Finding


def approved(report):
    return report.approved.tolist()


both = pytest.mark.parametrize("method", ["sequential", "projection"])


def by(method, limits):
    """The same limits, met by a method."""
    return limits.model_copy(update={"method": method})


# ---------------------------------------------------------------------- a tolerance that is stated


@pytest.mark.parametrize("n", range(1, 201))
def test_equal_weights_are_untouched_where_gross_one_is_the_only_limit(n):
    equal = [1 / n] * n
    for current in (np.zeros(n), np.eye(n)[0]):
        report = audit(asked(*equal), state_of(current), Limits(gross=1.0))
        assert approved(report) == equal
        assert report.findings == ()


def test_equal_weights_of_51_symbols_exceed_one_in_floats_and_are_not_clipped():
    assert sum([1 / 51] * 51) > 1.0
    assert audit(asked(*[1 / 51] * 51), state_of(np.zeros(51)), Limits(gross=1.0, net=1.0)).findings == ()


TWO = {"sectors": [0, 0], "clusters": [0, 0]}
EDGES = {  # rule: limits, state, weights of a given size
    "single-name": (Limits(single_name=0.3), {}, lambda x: (x, 0.1)),
    "sector": (Limits(sector=0.3), TWO, lambda x: (x - 0.1, 0.1)),
    "cluster": (Limits(cluster=0.3), TWO, lambda x: (x - 0.1, 0.1)),
    "gross": (Limits(gross=0.3), {}, lambda x: (x, 0.0)),
    "net": (Limits(net=0.3), {}, lambda x: (x, 0.0)),
    "volatility": (Limits(volatility=0.3), {}, lambda x: (x, 0.0)),
    "reference-risk": (Limits(reference_risk=0.5), {"reference": [0.6, 0.0]}, lambda x: (x, 0.0)),
    "turnover": (Limits(turnover=0.3), {}, lambda x: (x, 0.0)),
    "liquidity": (Limits(liquidity=1.0), {"liquidity": [0.3, 0.3]}, lambda x: (x, 0.0)),
}
# 0.3 + 1e-9, in floats, is 2e-17 more than 0.3 and 1e-9: on this very number two ways to ask "over?" disagree.
WITHIN = (0.3, np.nextafter(0.3, 1), 0.3 + TOLERANCE / 2, 0.3 + 0.999 * TOLERANCE, 0.3 + TOLERANCE)


@both
@pytest.mark.parametrize("size", WITHIN)
@pytest.mark.parametrize("rule", EDGES)
def test_a_limit_counts_as_met_up_to_its_tolerance(rule, size, method):
    limits, given, weights = EDGES[rule]
    report = audit(asked(*weights(size)), state_of([0.0, 0.0], **given), by(method, limits))
    assert np.abs(report.approved - weights(size)).max() <= 1.001 * TOLERANCE
    if size != 0.3 + TOLERANCE:
        assert approved(report) == list(weights(size))
        assert report.findings == ()


@both
@pytest.mark.parametrize("size", [0.3 + 2 * TOLERANCE, 0.31, 0.6, 3.0])
@pytest.mark.parametrize("rule", EDGES)
def test_beyond_its_tolerance_a_limit_is_one_finding_and_is_then_met_exactly(rule, size, method):
    limits, given, weights = EDGES[rule]
    report = audit(asked(*weights(size)), state_of([0.0, 0.0], **given), by(method, limits))
    (finding,) = report.findings
    assert finding.rule == rule
    assert finding.proposed == pytest.approx(size, abs=1e-15)
    assert finding.approved == finding.limit == pytest.approx(0.3, abs=1e-15)
    assert finding.severity == ("minor" if size < 0.375 else "major")
    factor = 0.3 / size
    expected = (0.3, 0.1) if rule == "single-name" else tuple(factor * w for w in weights(size))
    if method == "projection" and rule in ("sector", "cluster"):  # as much of each, and no more of B than there is
        less = min((size - 0.3) / 2, 0.1)
        expected = (0.3 - (0.1 - less), 0.1 - less)
    assert approved(report) == pytest.approx(expected, abs=1e-15 if method == "sequential" else 1e-13)


def test_rounding_below_zero_is_no_short_position():
    report = audit(asked(-1e-17, -TOLERANCE / 2, 0.5), state_of([0.0, 0.0, 0.0]), Limits())
    assert approved(report) == [0.0, 0.0, 0.5]
    assert report.findings == ()


def test_a_weight_too_small_to_be_squared_is_audited_like_any_other():
    report = audit(asked(1e-200, 0.0), state_of([0.0, 0.0]), Limits(gross=1.0, volatility=0.1, herfindahl=0.5))
    assert approved(report) == [1e-200, 0.0]
    assert report.exposures.herfindahl == 1.0


# ---------------------------------------------------------------------- each rule


def test_every_rule_in_the_order_it_is_applied():
    # A -0.2 is short: 0. B 0.9 is cut to 0.5. B and C share a sector: 0.5 + 0.5 becomes 0.3 + 0.3 for 0.6.
    # C and D are coupled: 0.3 + 0.5 becomes 0.15 + 0.25 for 0.4. Gross 0.3 + 0.15 + 0.25 = 0.7 becomes 0.35.
    # Net equals gross: 0.35 becomes 0.28. Volatility of (0.12, 0.06, 0.1) is sqrt(0.028), it becomes 0.1.
    # Reference risk: 0.1 times the volatility of the reference, 0.5: 0.05.
    caps = {"single_name": 0.5, "sector": 0.6, "cluster": 0.4, "gross": 0.35, "net": 0.28}
    limits = Limits(**caps, volatility=0.1, reference_risk=0.1, turnover=0.03)
    state = state_of([0.0] * 4, sectors=[0, 1, 1, 2], clusters=[0, 1, 2, 2], reference=[0.5, 0.0, 0.0, 0.0])
    report = audit(asked(-0.2, 0.9, 0.5, 0.5), state, limits)
    # At a volatility of 0.05 the weights are (0.12, 0.06, 0.1) * 0.05 / sqrt(0.028) and sum to 0.0837: turnover 0.03.
    final = [0.03 * w / 0.28 for w in (0.0, 0.12, 0.06, 0.1)]
    assert approved(report) == pytest.approx(final, abs=1e-15)
    expected = [
        ("short", "symbol", "A", -0.2, 0.0, 0.0, "major"),
        ("single-name", "symbol", "B", 0.9, 0.5, 0.5, "major"),
        ("sector", "group", "sector 1", 1.0, 0.6, 0.6, "major"),
        ("cluster", "group", "C + D", 0.8, 0.4, 0.4, "major"),
        ("gross", "portfolio", "", 0.7, 0.35, 0.35, "major"),
        ("net", "portfolio", "", 0.35, 0.28, 0.28, "minor"),
        ("volatility", "portfolio", "", math.sqrt(0.028), 0.1, 0.1, "major"),
        ("reference-risk", "portfolio", "", 0.1, 0.05, 0.05, "major"),
        ("turnover", "portfolio", "", 0.05 * 0.28 / math.sqrt(0.028), 0.03, 0.03, "major"),
    ]
    assert [(f.rule, f.scope, f.name, f.severity) for f in report.findings] == [(*e[:3], e[6]) for e in expected]
    numbers = [(f.proposed, f.approved, f.limit) for f in report.findings]
    np.testing.assert_allclose(numbers, [e[3:6] for e in expected], rtol=1e-12, atol=1e-15)


def test_a_symbol_alone_in_its_cluster_is_coupled_to_nobody():
    report = audit(asked(0.8, 0.1, 0.1), state_of([0.0] * 3, clusters=[0, 1, 1]), Limits(cluster=0.2))
    assert approved(report) == [0.8, 0.1, 0.1]


def test_a_group_counts_long_and_short_alike():
    state = state_of([0.0] * 2, **TWO)
    report = audit(asked(0.4, -0.4), state, Limits(allow_short=True, sector=0.4, net=0.1))
    assert approved(report) == pytest.approx([0.2, -0.2], abs=1e-15)


def test_turnover_is_the_larger_of_what_is_bought_and_sold():
    # A full rotation is a turnover of 1, not 2: half of it is allowed by 0.5.
    report = audit(asked(0.0, 1.0), state_of([1.0, 0.0]), Limits(turnover=0.5))
    assert approved(report) == [0.5, 0.5]
    # Buying 0.6 and selling 0.2 is a turnover of 0.6.
    report = audit(asked(0.6, 0.0), state_of([0.0, 0.2]), Limits(turnover=0.3))
    assert approved(report) == pytest.approx([0.3, 0.1], abs=1e-15)
    assert report.findings[0].proposed == pytest.approx(0.6)


def test_liquidity_names_the_symbol_that_binds_and_slows_all_alike():
    # A may trade 0.1 of the 0.4 it wants: a quarter; B 0.2 of 0.5: two fifths. All go a quarter of the way.
    state = state_of([0.0, 0.5, 0.1], liquidity=[0.1, 0.2, np.inf])
    report = audit(asked(0.4, 0.0, 0.5), state, Limits(liquidity=0.05))
    assert approved(report) == pytest.approx([0.1, 0.375, 0.2], abs=1e-15)
    assert report.findings == (Finding("liquidity", "symbol", "A", 0.4, 0.1, 0.1, "major"),)


def test_liquidity_is_asked_of_what_turnover_has_left():
    state = state_of([0.0, 0.0], liquidity=[0.1, 1.0])
    report = audit(asked(0.4, 0.4), state, Limits(turnover=0.4, liquidity=0.05))
    assert approved(report) == pytest.approx([0.1, 0.1], abs=1e-15)
    assert [(f.rule, f.proposed, f.approved) for f in report.findings] == [
        ("turnover", 0.8, 0.4),
        ("liquidity", pytest.approx(0.2), 0.1),
    ]


def test_a_drifted_position_is_reduced_whatever_the_trade_limits_say_and_no_further():
    # 0.9 is forced down to 0.5 at once; from there 0.1 of the way to B.
    state = state_of([0.9, 0.0], liquidity=[0.1, 0.1])
    limits = Limits(single_name=0.5, turnover=0.2, liquidity=0.05)
    assert approved(audit(asked(0.0, 0.5), state, limits)) == pytest.approx([0.4, 0.1], abs=1e-15)
    kept = audit(Decision(None), state, limits)
    assert approved(kept) == [0.5, 0.0]
    assert kept.findings == (Finding("single-name", "symbol", "A", 0.9, 0.5, 0.5, "major"),)


# ---------------------------------------------------------------------- pins


STUCK_A = {"tradable": [False, True]}


@both
def test_a_pinned_symbol_keeps_its_weight_whatever_is_asked_and_whatever_the_limits(method):
    report = audit(asked(0.0, 0.5), state_of([0.8, 0.0], **STUCK_A), by(method, Limits(single_name=0.5)))
    assert approved(report) == [0.8, 0.5]
    assert report.findings == (Finding("pinned", "symbol", "A", 0.0, 0.8, 0.8, "minor"),)


def test_asking_for_what_is_pinned_is_no_finding():
    assert audit(asked(0.8, 0.1), state_of([0.8, 0.0], **STUCK_A), Limits()).findings == ()


def test_a_symbol_without_a_bar_that_is_not_held_cannot_be_bought():
    report = audit(asked(0.3, 0.5), state_of([0.0, 0.0], **STUCK_A), Limits())
    assert approved(report) == [0.0, 0.5]
    assert report.findings == (Finding("no-bar", "symbol", "A", 0.3, 0.0, 0.0, "major"),)


@both
@pytest.mark.parametrize(
    ("limits", "rule", "name"),
    [
        (Limits(sector=0.5), "sector", "sector 0"),
        (Limits(cluster=0.5), "cluster", "A + B"),
        (Limits(gross=0.5), "gross", ""),
        (Limits(net=0.5), "net", ""),
    ],
)
def test_pins_count_against_every_limit_and_in_what_its_finding_says(limits, rule, name, method):
    state = state_of([0.3, 0.0], **STUCK_A, **TWO)
    report = audit(asked(0.3, 0.4), state, by(method, limits))
    assert approved(report) == pytest.approx([0.3, 0.2], abs=1e-15)
    (finding,) = report.findings
    assert (finding.rule, finding.name, finding.limit) == (rule, name, 0.5)
    assert (finding.proposed, finding.approved) == pytest.approx((0.7, 0.5), abs=1e-15)


@both
@pytest.mark.parametrize("limits", [Limits(sector=0.2), Limits(cluster=0.2), Limits(gross=0.2), Limits(net=0.2)])
def test_where_pins_exceed_a_limit_nothing_is_added_to_them(limits, method):
    state = state_of([0.3, 0.1], **STUCK_A, **TWO)
    assert approved(audit(asked(0.3, 0.4), state, by(method, limits))) == [0.3, 0.0]


@both
def test_a_hedge_against_pins_may_go_through_zero_to_the_other_side_of_the_net_limit_and_no_further(method):
    # The pin carries 0.4 where 0.2 is allowed. Selling 0.3 leaves 0.1; selling 1.0 would leave -0.6, not -0.2. That the
    # pin alone breaks the limit by 0.2 long is no permission to break it by 0.2 short.
    limits = by(method, Limits(allow_short=True, net=0.2))
    state = state_of([0.4, 0.0], **STUCK_A)
    assert approved(audit(asked(0.4, -0.3), state, limits)) == [0.4, -0.3]
    report = audit(asked(0.4, -1.0), state, limits)
    assert approved(report) == pytest.approx([0.4, -0.6], abs=1e-15)
    (finding,) = report.findings
    assert (finding.proposed, finding.approved, finding.limit) == pytest.approx((-0.6, -0.2, 0.2), abs=1e-15)


@both
def test_a_hedge_against_pins_is_scaled_to_where_it_carries_no_more_risk_than_they_do(method):
    # B moves as A does: a volatility of 0.2 each. The pin carries 0.2, more than the 0.1 allowed. With B at -1 nothing
    # is left of it, with B at -2.5 it is 0.3; largest s with |1 - 2.5 s| 0.2 <= 0.2: 0.8.
    covariance = np.full((2, 2), 0.04)
    limits = by(method, Limits(allow_short=True, volatility=0.1))
    state = state_of([1.0, 0.0], covariance=covariance, **STUCK_A)
    assert approved(audit(asked(1.0, -1.0), state, limits)) == [1.0, -1.0]
    report = audit(asked(1.0, -2.5), state, limits)
    assert approved(report) == pytest.approx([1.0, -2.0], abs=1e-12)
    assert report.findings[0].approved == pytest.approx(0.2)
    assert report.exposures.volatility == pytest.approx(0.2)


@both
def test_risk_added_to_pins_is_scaled_to_the_limit_of_both_together(method):
    # Independent, 1 each: 0.3² + (0.8 s)² = 0.5² at 0.8 s = 0.4.
    report = audit(asked(0.3, 0.8), state_of([0.3, 0.0], **STUCK_A), by(method, Limits(volatility=0.5)))
    assert approved(report) == pytest.approx([0.3, 0.4], abs=1e-15)


def test_pinned_symbols_do_not_use_up_turnover():
    report = audit(asked(0.0, 0.3), state_of([0.5, 0.0], **STUCK_A), Limits(turnover=0.3))
    assert approved(report) == [0.5, 0.3]


# ---------------------------------------------------------------------- replies


@pytest.mark.parametrize(
    ("decision", "rule"),
    [
        (asked(0.0, 1.0, status="fallback"), "reply"),
        (Decision(None, status="error"), "reply"),
        (asked(0.0, 1.0, confidence=0.19), "confidence"),
        (asked(0.0, 0.0, confidence=0.0), "confidence"),
    ],
)
def test_a_failed_or_timid_reply_never_trades_let_alone_liquidates(decision, rule):
    report = audit(decision, state_of([0.6, 0.1]), Limits(min_confidence=0.2))
    assert approved(report) == [0.6, 0.1]
    assert [finding.rule for finding in report.findings] == [rule]


def test_a_reply_that_states_no_confidence_is_not_a_timid_one():
    for sure in (None, 0.2, 1.0):
        report = audit(asked(0.0, 0.5, confidence=sure), state_of([0.6, 0.1]), Limits(min_confidence=0.2))
        assert approved(report) == [0.0, 0.5]


def test_unknown_symbols_are_findings_and_the_rest_of_the_reply_stands():
    decision = asked(0.3, 0.2, stray=(("GOLD", "0.25"), ("B", "plenty")))
    report = audit(decision, state_of([0.0, 0.0]), Limits())
    assert approved(report) == [0.3, 0.2]
    gold, b = report.findings
    assert gold == Finding("validity", "symbol", "GOLD", 0.25, 0.0, 0.0, "major")
    assert (b.rule, b.name) == ("validity", "B")
    assert math.isnan(b.proposed)


# ---------------------------------------------------------------------- kill switch and flags


def test_the_kill_switch_sells_what_can_be_sold_and_is_a_finding_as_long_as_it_changes_something():
    state = state_of([0.5, 0.4], **STUCK_A, drawdown=0.3, halted=True, liquidity=[0.0, 0.0])
    limits = Limits(drawdown=0.25, turnover=0.1, liquidity=0.01)
    for decision in (asked(0.5, 0.4), Decision(None), asked(0.5, 0.2, status="fallback")):
        report = audit(decision, state, limits)
        assert approved(report) == [0.5, 0.0]
        assert report.findings[-1] == Finding("drawdown", "portfolio", "", 0.3, 0.0, 0.25, "critical")
    agreed = audit(asked(0.5, 0.0), state, limits)
    assert approved(agreed) == [0.5, 0.0]
    assert agreed.findings == (Finding("drawdown", "portfolio", "", 0.3, 0.0, 0.25, "flag"),)
    assert not agreed.gated


def test_flags_are_raised_and_change_nothing():
    # Shares of gross 0.75 and 0.25: Herfindahl 0.625. Bets: (0.6 + 0.2)² / (0.36 + 0.04) = 1.6. Distance 0.1 + 0.3.
    report = audit(asked(0.6, 0.2), state_of([0.0, 0.0]), Limits(herfindahl=0.5, effective_bets=2.0, distance=0.3))
    assert approved(report) == [0.6, 0.2]
    assert not report.gated
    flags = {finding.rule: (finding.proposed, finding.limit, finding.severity) for finding in report.findings}
    assert flags == {
        "herfindahl": (pytest.approx(0.625), 0.5, "flag"),
        "effective-bets": (pytest.approx(1.6), 2.0, "flag"),
        "distance": (pytest.approx(0.4), 0.3, "flag"),
    }


def test_an_empty_book_raises_no_flags():
    limits = Limits(herfindahl=0.5, effective_bets=2.0, distance=0.3)
    assert audit(asked(0.0, 0.0), state_of([0.0, 0.0]), limits).findings == ()


# ---------------------------------------------------------------------- the largest weights a reply may state


@both
@settings(max_examples=EXAMPLES)
@given(seeds, st.integers(1, 12), st.booleans())
def test_the_largest_weights_a_reply_may_state_are_brought_within_the_limits(method, seed, n, stuck):
    rng = np.random.default_rng(seed)
    current = rng.dirichlet(np.ones(n))
    tradable = rng.random(n) > 0.3 * stuck
    state = state_of(current, covariance=covariance_of(rng, n), tradable=tradable, liquidity=np.full(n, 0.1))
    intent = rng.choice((-1e6, 1e6, 123.4), n)
    limits = by(method, Limits(allow_short=True, gross=1.5, net=0.5, volatility=0.3, reference_risk=2.0))
    report = audit(Decision(intent), state, limits)
    pins = np.where(tradable, 0.0, current)
    assert np.abs(report.approved).sum() <= max(1.5, pins.sum()) + TOLERANCE
    assert -0.5 - TOLERANCE <= report.approved.sum() <= max(0.5, pins.sum()) + TOLERANCE
    again = audit(Decision(report.approved), state, limits)
    np.testing.assert_allclose(again.approved, report.approved, rtol=0, atol=1e-12)
    assert not again.gated


def test_where_all_symbols_are_one_sector_the_sector_limit_applies_to_nobody():
    state = state_of([0.0, 0.0], sectors=[0, 0], sector_names=("all",), clusters=[0, 1])
    report = audit(asked(0.5, 0.5), state, Limits(sector=0.3))
    np.testing.assert_array_equal(report.approved, [0.5, 0.5])
    assert not report.gated


def test_a_reference_without_any_weight_is_no_yardstick():
    state = state_of([0.5, 0.0], reference=[0.0, 0.0])
    report = audit(asked(0.5, 0.3), state, Limits(reference_risk=1.0))
    np.testing.assert_array_equal(report.approved, [0.5, 0.3])
    assert not report.gated
