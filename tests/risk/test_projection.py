"""The nearest weights within all limits: by hand, against another solver, and against the sequence of rules."""

import clarabel
import numpy as np
import pytest
from byhand import asked, state_of
from hypothesis import given, settings
from scipy import sparse
from strategies import EXAMPLES, case, cases

from tradearena.errors import SolverError
from tradearena.policy import Limits
from tradearena.risk.approval import MAPS
from tradearena.risk.audit import audit
from tradearena.risk.limits import LimitSet
from tradearena.risk.nearest import Ball, Problem
from tradearena.risk.trail import SILENT
from tradearena.values import Decision, Finding

# ---------------------------------------------------------------------- by hand


def limits_of(**limits):
    return Limits(method="projection", **limits)


def trail_of(report):
    return {rule: moved.tolist() for rule, moved in report.trail}


def near(values):
    return pytest.approx(values, abs=1e-12)


def test_a_sum_takes_the_same_from_each_and_from_none_more_than_it_has():
    # 1.0 + 0.5 + 0.05 for 1.0: taking 0.275 of A and B and all of C would leave 0.95; so 0.25 each and 0.05.
    report = audit(asked(1.0, 0.5, 0.05), state_of([0.0] * 3), limits_of(gross=1.0))
    assert report.approved.tolist() == near([0.75, 0.25, 0.0])
    assert trail_of(report) == {"gross": near([-0.25, -0.25, -0.05])}
    assert report.findings == (Finding("gross", "portfolio", "", near(1.55), 1.0, 1.0, "major"),)


def test_each_limit_takes_what_its_price_says():
    # B and C share a sector that may hold 0.5; A may hold 0.6; all may be 1.0: 0.6 + 0.4 is what nearest to
    # (0.9, 0.5, 0.2) keeps: gross takes g of all three, the sector nothing (0.4 < 0.5), the cap 0.3 - g of A.
    # 0.5 - g + 0.2 - g = 0.4: g = 0.15.
    state = state_of([0.0] * 3, sectors=[0, 1, 1])
    report = audit(asked(0.9, 0.5, 0.2), state, limits_of(single_name=0.6, sector=0.65, gross=1.0))
    assert report.approved.tolist() == near([0.6, 0.35, 0.05])
    assert trail_of(report) == {"single-name": near([-0.15, 0.0, 0.0]), "gross": near([-0.15, -0.15, -0.15])}
    assert [(f.rule, f.name, f.proposed, f.approved) for f in report.findings] == [
        ("single-name", "A", 0.9, 0.6),
        ("gross", "", near(1.6), 1.0),
    ]


def test_a_limit_that_others_have_met_takes_nothing_and_says_nothing():
    # A alone is beyond the gross limit of 0.5, and its own limit of 0.3 is enough.
    report = audit(asked(0.6, 0.1), state_of([0.0] * 2), limits_of(single_name=0.3, gross=0.5))
    assert report.approved.tolist() == [0.3, 0.1]
    assert list(trail_of(report)) == [finding.rule for finding in report.findings] == ["single-name"]


def test_risk_takes_most_where_there_is_most():
    # Volatility 1 and 2, independent, half of each wished. The nearest solve w = x / (1 + mu s²), so that with mu = 1
    # they are 0.25 and 0.1, and volatility is sqrt(0.0625 + 0.04).
    bound = np.sqrt(0.25**2 + (2 * 0.1) ** 2)
    state = state_of([0.0, 0.0], covariance=np.diag([1.0, 4.0]))
    report = audit(asked(0.5, 0.5), state, limits_of(volatility=bound, reference_risk=10.0))
    assert report.approved.tolist() == near([0.25, 0.1])
    assert trail_of(report) == {"volatility": near([-0.25, -0.4])}
    assert report.findings == (
        Finding("volatility", "portfolio", "", near(np.sqrt(1.25)), near(bound), bound, "major"),
    )


def test_the_tighter_limit_of_volatility_is_the_one_that_is_named():
    state = state_of([0.0, 0.0], reference=[1.0, 0.0])
    for limits, rule in (((0.2, 0.3), "volatility"), ((0.3, 0.2), "reference-risk"), ((0.2, 0.2), "volatility")):
        report = audit(asked(0.5, 0.0), state, limits_of(volatility=limits[0], reference_risk=limits[1]))
        assert report.approved.tolist() == near([0.2, 0.0])
        assert [finding.rule for finding in report.findings] == [rule]


def test_no_limit_is_met_by_a_hedge_that_nobody_asked_for():
    # B falls as A rises: more of B would allow more of A. But B stays at what was asked of it.
    state = state_of([0.0, 0.0], covariance=np.array([[1.0, -0.9], [-0.9, 1.0]]))
    report = audit(asked(0.8, 0.1), state, limits_of(volatility=0.3))
    assert report.approved[1] == 0.1
    assert report.exposures.volatility == near(0.3)
    assert trail_of(report) == {"volatility": near([report.approved[0] - 0.8, 0.0])}


def test_a_net_limit_that_breaks_only_once_one_side_is_cut_says_what_the_others_would_leave():
    # Long 0.9 and short 0.5 are 0.4 net. With A at most 0.3 they would be -0.2, and -0.1 is allowed: B goes to -0.4.
    report = audit(asked(0.9, -0.5), state_of([0.0, 0.0]), limits_of(allow_short=True, single_name=0.3, net=0.1))
    assert report.approved.tolist() == near([0.3, -0.3])
    report = audit(asked(0.35, -0.25), state_of([0.0, 0.0]), limits_of(allow_short=True, sector=0.1, net=0.1))
    assert report.approved.tolist() == near([0.1, -0.1])
    state = state_of([0.0] * 3, sectors=[0, 1, 2])
    report = audit(asked(0.9, -0.25, -0.25), state, limits_of(allow_short=True, single_name=0.3, net=0.1))
    assert report.approved.tolist() == near([0.3, -0.2, -0.2])
    assert [(f.rule, f.proposed, f.approved) for f in report.findings] == [
        ("single-name", 0.9, 0.3),
        ("net", near(-0.2), near(-0.1)),
    ]
    assert trail_of(report) == {"single-name": near([-0.65, 0.0, 0.0]), "net": near([0.05, 0.05, 0.05])}


def test_of_two_limits_on_the_same_sum_the_tighter_is_named_and_of_equals_the_first():
    for gross, net, rule in ((0.5, 0.5, "gross"), (0.5, 0.4, "net"), (0.4, 0.5, "gross")):
        report = audit(asked(0.4, 0.4), state_of([0.0, 0.0]), limits_of(gross=gross, net=net))
        assert [finding.rule for finding in report.findings] == [rule]
        assert list(trail_of(report)) == [rule]


@pytest.mark.parametrize("size", [1.0, 1e6])
def test_pins_that_carry_all_the_risk_there_may_be_leave_room_for_what_adds_none(size):
    # A is stuck and too risky. B is independent of it and would add; C has no risk; D hedges.
    covariance = np.diag([1.0, 1.0, 0.0, 1.0])
    covariance[0, 3] = covariance[3, 0] = -0.5
    state = state_of([0.5, 0.0, 0.0, 0.0], tradable=[False, True, True, True], covariance=covariance)
    report = audit(asked(0.5, 0.3 * size, 0.2, 0.1), state, limits_of(volatility=0.1))
    # B may add as much variance as D takes away: 2 * 0.5 * 0.5 * 0.1 - 0.1² = 0.04.
    assert report.approved.tolist() == pytest.approx([0.5, 0.2, 0.2, 0.1], abs=1e-6)
    report = audit(asked(0.5, 0.3 * size, 0.2, 0.0), state, limits_of(volatility=0.1))
    assert report.approved.tolist() == pytest.approx([0.5, 0.0, 0.2, 0.0], abs=1e-6)
    assert [finding.rule for finding in report.findings] == ["volatility"]


# ---------------------------------------------------------------------- the solver


def test_what_cannot_be_solved_is_one_sentence():
    state = state_of([0.0, 0.0], covariance=np.array([[1.0, 3.0], [3.0, 1.0]]))
    with pytest.raises(SolverError, match=r"^the nearest portfolio of 2 symbols .* must be positive semidefinite$"):
        audit(asked(0.6, 0.5), state, limits_of(volatility=0.01))


def test_a_wish_no_wider_than_the_tolerance_of_the_solver_does_not_stop_it():
    x = np.array([1.33496020e-01, 2.21124566e-02, 2.81158252e-02, 1.58682465e-12, 6.08658913e-04, 6.49715274e-04])
    problem = Problem(x, np.minimum(x, 0.05), np.array([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]]), np.zeros(1), None)
    assert problem.nearest().sizes.tolist() == pytest.approx([0.05, 0.0, x[2], 0.0, x[4], 0.0], abs=2e-12)


def test_next_to_nothing_beside_pins_that_carry_all_the_risk_there_may_be_has_an_answer():
    S = np.array([[0.03510901, -0.04230928, -0.04230928], [-0.04230928, 0.31077317, 0.31077317]])[[0, 1, 1]]
    ball = Ball(S, np.array([0.01793627, 0.00705873, 0.00705873]), 0.024669540374183358, 0.0)
    x = np.array([1.49119320e-08, 1.17793602e-09, 2.18703344e-12])
    answer = Problem(x, x, np.array([[-1.0, 1.0, 1.0]]), np.zeros(1), ball).nearest()
    assert np.abs(answer.sizes).max() <= 1e-11


def conic(rules, x):
    """The nearest weights as a conic programme over signed weights: every limit written out, none left away."""
    state, limits, n = rules.state, rules.limits, len(x)
    sign, size = np.sign(x), np.abs(rules.pins)
    possible = state.tradable & (limits.allow_short | (x > 0))
    top = np.where(possible, np.abs(x), 0.0)
    top = top if limits.single_name is None else np.minimum(top, limits.single_name)
    rows, room = [*np.diag(sign), *-np.diag(sign), *np.eye(n)[sign == 0], *-np.eye(n)[sign == 0]], [*top, *np.zeros(n)]
    room += [0.0] * (2 * int((sign == 0).sum()))
    for labels, limit, fewest in (
        (state.sectors, limits.sector if len(state.sector_names) > 1 else None, 1),
        (state.clusters, limits.cluster, 2),
    ):
        for label in set(labels.tolist()):
            if limit is not None and (labels == label).sum() >= fewest:
                rows.append(sign * (labels == label))
                room.append(max(limit - size[labels == label].sum(), 0.0))
    if limits.gross is not None:
        rows.append(sign)
        room.append(max(limits.gross - size.sum(), 0.0))
    if limits.net is not None:
        stuck = rules.pins.sum()
        rows += [np.ones(n), -np.ones(n)]
        room += [max(limits.net, stuck) - stuck, max(limits.net, -stuck) + stuck]
    cones, A, b = [clarabel.NonnegativeConeT(len(room))], np.array(rows), np.array(room)
    if rules.risk_limits:
        yearly = state.covariance * state.bars_per_year
        value, vector = np.linalg.eigh(yearly)
        root = (vector * np.sqrt(np.maximum(value, 0.0))).T
        bound = max(rules.calm, np.sqrt(max(rules.pins @ yearly @ rules.pins, 0.0)))
        A, b = np.vstack((A, np.zeros(n), -root)), np.concatenate((b, [bound], root @ rules.pins))
        cones.append(clarabel.SecondOrderConeT(n + 1))
    given = clarabel.DefaultSettings()
    given.verbose = False
    given.tol_gap_abs = given.tol_gap_rel = given.tol_feas = 1e-13
    solver = clarabel.DefaultSolver(sparse.csc_matrix(np.eye(n)), -x, sparse.csc_matrix(A), b, cones, given)
    answer = solver.solve()
    return np.array(answer.x), str(answer.status) == "Solved"


def test_no_weights_within_the_limits_are_nearer():
    compared = 0
    for seed in range(700):
        rng = np.random.default_rng(seed)
        n, shorts, stuck = int(rng.integers(2, 14)), bool(seed % 2), seed % 3 == 0
        decision, state, limits = case(rng, n, shorts=shorts, stuck=stuck, trade_limits=False, method="projection")
        rules = LimitSet(state, limits)
        wish = rules.free(decision.target)
        found = MAPS["projection"](rules, wish, SILENT)
        other, solved = conic(rules, wish)
        if solved and np.abs(found - wish).max() > 1e-6:
            ours, theirs = np.sum((found - wish) ** 2), np.sum((other - wish) ** 2)
            # Theirs is within its tolerance of the limits, and where it is beyond one it is nearer by that much.
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9), seed
            compared += 1
    assert compared > 300


@pytest.mark.parametrize("seed", [24727, 26735, 29839, 33886, 46222, 65808, 68318, 74101])
def test_what_carries_no_risk_is_kept_where_pins_leave_room_for_none(seed):
    """One in 10,000 such audits: what is left cancels out in pairs, or something wished is next to nothing. No price of
    risk is high enough there; each of these ended without an answer once."""
    rng = np.random.default_rng(seed)
    decision, state, limits = case(rng, int(rng.integers(1, 13)), shorts=True, stuck=True, method="projection")
    limits = limits.model_copy(update={"volatility": 0.1})
    report = audit(decision, state, limits)
    way = sum((moved for _, moved in report.trail), np.zeros_like(report.intent))
    np.testing.assert_allclose(report.intent + way, report.approved, atol=1e-9)
    rules = LimitSet(state, limits)
    wish = rules.free(decision.target)
    found, (other, _) = MAPS["projection"](rules, wish, SILENT), conic(rules, wish)
    yearly = state.covariance * state.bars_per_year
    risk = np.sqrt((found + rules.pins) @ yearly @ (found + rules.pins))
    assert risk <= max(rules.calm, np.sqrt(rules.pins @ yearly @ rules.pins)) + 1e-9
    # Theirs may carry the root of its tolerance: a variance of 1e-13 is a weight of 3e-7.
    assert np.linalg.norm(found - wish) == pytest.approx(np.linalg.norm(other - wish), abs=2e-6)


@pytest.mark.parametrize("seed", [7517, 9289])
def test_a_million_beside_pins_that_carry_all_the_risk_there_may_be_has_an_answer(seed):
    rng = np.random.default_rng(seed)
    decision, state, limits = case(rng, int(rng.integers(1, 13)), shorts=True, stuck=True, method="projection")
    limits = limits.model_copy(update={"volatility": 0.1})
    wished = Decision(decision.target * 1e6)
    assert audit(wished, state, limits).exposures.gross < 10.0


@settings(max_examples=EXAMPLES)
@given(cases(method="projection", trade_limits=False))
def test_it_is_never_farther_than_one_rule_after_the_other(case):
    decision, state, limits = case
    rules = LimitSet(state, limits)
    wish = rules.free(decision.target)
    nearest, clipped = (MAPS[method](rules, wish, SILENT) for method in ("projection", "sequential"))
    # Where pins leave no room for risk the sequence leaves what rounding makes of a variance of 0: the root of 1e-17.
    assert np.linalg.norm(nearest - wish) <= np.linalg.norm(clipped - wish) + 1e-7
