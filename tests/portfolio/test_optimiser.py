import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES

from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.mean import shrunk_mean
from tradearena.portfolio.optimiser import mean_variance

seeds = st.integers(0, 2**32 - 1)


def gap(weights, covariance, mean, risk_aversion, caps, budget):
    """Duality gap of feasible weights: what the best feasible portfolio gains along the gradient, from filling the caps
    in the order of the gradient. In units of the average variance, or of the largest expected return if that is larger.
    """
    gradient = risk_aversion * covariance @ weights - mean
    order = np.argsort(gradient)
    before = np.concatenate(([0.0], np.cumsum(caps[order])[:-1]))
    best = np.clip(budget - before, 0.0, caps[order])
    scale = max(risk_aversion * covariance.trace() / len(mean), np.abs(mean).max())
    return float(gradient @ weights - gradient[order] @ best) / scale


def case(seed, singular=False):
    """A random problem: window or singular covariance, with a mean or not, with caps of all kinds."""
    rng = np.random.default_rng(seed)
    n, N = int(rng.integers(3, 90)), int(rng.integers(1, 60))
    X = rng.standard_normal((n, N)) + rng.choice([0.0, 0.5, 3.0]) * rng.standard_normal((n, 1))
    X *= 10.0 ** rng.uniform(-5, -1) * 10.0 ** rng.uniform(-rng.choice([0, 1]), 0, N)
    if singular:
        X[:, rng.random(N) < 0.3] = 0.0
        X = X[:, rng.integers(0, N, N)]
        covariance = X.T @ X / n
    else:
        covariance = ledoit_wolf(X)
    mean = [np.zeros(N), X.mean(axis=0), shrunk_mean(X)][rng.integers(3)]
    caps = np.full(N, rng.choice([1.0, 0.3, 0.1, 3.0 / N]))
    caps[rng.random(N) < rng.choice([0.0, 0.3])] = 0.0
    return covariance, mean, 10.0 ** rng.uniform(-1, 2), caps, rng.choice([1.0, 0.95, 0.5])


def assert_feasible(weights, caps, budget):
    assert (weights >= 0).all()
    assert (weights <= caps).all()
    assert abs(weights.sum() - min(budget, caps.sum())) <= 1e-12


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
def test_weights_are_feasible_to_the_bit_and_optimal_to_1e_9(seed):
    covariance, mean, risk_aversion, caps, budget = case(seed)
    weights = mean_variance(covariance, mean, risk_aversion=risk_aversion, cap=caps, budget=budget)
    assert_feasible(weights, caps, budget)
    assert gap(weights, covariance, mean, risk_aversion, caps, min(budget, caps.sum())) <= 1e-9


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
@example(1318217)  # every weight at a bound: what snapping moved has no symbol between bounds to go to
def test_singular_covariances_are_solved_as_well_as_others(seed):
    covariance, mean, risk_aversion, caps, budget = case(seed, singular=True)
    weights = mean_variance(covariance, mean, risk_aversion=risk_aversion, cap=caps, budget=budget)
    assert_feasible(weights, caps, budget)
    if covariance.any() or mean.any():
        assert gap(weights, covariance, mean, risk_aversion, caps, min(budget, caps.sum())) <= 1e-9


def test_weights_of_real_windows_are_optimal_to_1e_9(real_windows):
    assert len(real_windows) > 500
    for X in real_windows:
        covariance, mean, caps = ledoit_wolf(X), shrunk_mean(X), np.full(X.shape[1], 0.2)
        weights = mean_variance(covariance, mean, risk_aversion=5.0, cap=0.2)
        assert_feasible(weights, caps, 1.0)
        assert gap(weights, covariance, mean, 5.0, caps, 1.0) <= 1e-9


def interior_point(covariance, mean, risk_aversion, caps, budget):
    """The same problem by Clarabel: another method, by other people, to the last digits it can reach."""
    clarabel = pytest.importorskip("clarabel", reason="the independent solver, clarabel, is not installed")
    sparse = pytest.importorskip("scipy.sparse")
    N = len(mean)
    scale = max(risk_aversion * covariance.trace() / N, np.abs(mean).max())
    rules = clarabel.DefaultSettings()
    rules.verbose = False
    rules.tol_gap_abs = rules.tol_gap_rel = rules.tol_feas = 1e-14
    rules.max_threads = 1
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(np.triu(covariance * (risk_aversion / scale))),
        -mean / scale,
        sparse.csc_matrix(np.vstack((np.ones((1, N)), -np.eye(N), np.eye(N)))),
        np.concatenate(([min(budget, caps.sum())], np.zeros(N), caps)),
        [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(2 * N)],
        rules,
    )
    return np.asarray(solver.solve().x)


@pytest.mark.parametrize("cases", [500, pytest.param(2000, marks=pytest.mark.slow)])
def test_weights_equal_those_of_an_independent_solver_in_many_random_cases(cases):
    for seed in range(cases):
        covariance, mean, risk_aversion, caps, budget = case(seed)
        if caps.sum() <= budget:
            continue
        weights = mean_variance(covariance, mean, risk_aversion=risk_aversion, cap=caps, budget=budget)
        other = interior_point(covariance, mean, risk_aversion, caps, budget)
        assert np.abs(weights - other).max() <= 1e-6, seed


def test_weights_equal_those_of_an_independent_solver_on_real_windows(real_windows):
    for X in real_windows[::3]:
        covariance, mean, caps = ledoit_wolf(X), shrunk_mean(X), np.full(X.shape[1], 0.2)
        weights = mean_variance(covariance, mean, risk_aversion=5.0, cap=0.2)
        assert np.abs(weights - interior_point(covariance, mean, 5.0, caps, 1.0)).max() <= 1e-6


def test_two_assets_have_the_textbook_weights():
    # w_1 = (s2^2 - rho s1 s2) / (s1^2 + s2^2 - 2 rho s1 s2) with s1 = 0.2, s2 = 0.3, rho = 0.25:
    # (0.09 - 0.015) / (0.04 + 0.09 - 0.03) = 0.75.
    covariance = np.array([[0.04, 0.015], [0.015, 0.09]])
    np.testing.assert_allclose(mean_variance(covariance), [0.75, 0.25], atol=1e-9)


def test_a_mean_moves_two_assets_by_the_textbook_amount():
    # S = I, gamma = 2: minimise w1^2 + w2^2 - 0.5 w1 on w1 + w2 = 1; 2 w1 - 0.5 = 2 w2, so w1 = 0.625.
    np.testing.assert_allclose(
        mean_variance(np.eye(2), np.array([0.5, 0.0]), risk_aversion=2.0), [0.625, 0.375], atol=1e-9
    )


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_independent_assets_are_weighted_by_inverse_variance(seed):
    variance = np.random.default_rng(seed).uniform(0.5, 2.0, 12)
    np.testing.assert_allclose(mean_variance(np.diag(variance)), (1 / variance) / (1 / variance).sum(), atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(seeds, st.floats(1e-8, 1e8))
def test_units_do_not_matter(seed, unit):
    covariance, mean, risk_aversion, caps, budget = case(seed)
    rules = {"cap": caps, "budget": budget}
    weights = mean_variance(covariance, mean, risk_aversion=risk_aversion, **rules)
    other = mean_variance(covariance * unit, mean * unit, risk_aversion=risk_aversion, **rules)
    np.testing.assert_allclose(other, weights, atol=1e-7)


@settings(max_examples=200, deadline=None)
@given(seeds, st.floats(-0.1, 0.1))
def test_a_constant_added_to_every_mean_changes_nothing(seed, constant):
    covariance, mean, risk_aversion, caps, budget = case(seed)
    rules = {"risk_aversion": risk_aversion, "cap": caps, "budget": budget}
    np.testing.assert_allclose(
        mean_variance(covariance, mean + constant, **rules), mean_variance(covariance, mean, **rules), atol=1e-7
    )


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_the_order_of_symbols_does_not_matter(seed):
    covariance, mean, risk_aversion, caps, budget = case(seed)
    order = np.random.default_rng(seed).permutation(len(mean))
    weights = mean_variance(covariance, mean, risk_aversion=risk_aversion, cap=caps, budget=budget)
    other = mean_variance(
        covariance[np.ix_(order, order)], mean[order], risk_aversion=risk_aversion, cap=caps[order], budget=budget
    )
    np.testing.assert_allclose(other, weights[order], atol=1e-7)


def test_the_answer_depends_on_the_arguments_alone():
    problems = [case(seed) for seed in range(50)]

    def solve(covariance, mean, risk_aversion, caps, budget):
        return mean_variance(covariance, mean, risk_aversion=risk_aversion, cap=caps, budget=budget).tobytes()

    forwards = [solve(*problem) for problem in problems]
    backwards = [solve(*problem) for problem in reversed(problems)]
    assert forwards == backwards[::-1]


def test_read_only_arguments_are_accepted_and_left_alone():
    covariance, mean, _, caps, _ = case(3)
    before = covariance.copy(), mean.copy(), caps.copy()
    for array in (covariance, mean, caps):
        array.flags.writeable = False
    mean_variance(covariance, mean, cap=caps)
    for array, copy in zip((covariance, mean, caps), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_where_every_cap_is_zero_nothing_is_bought():
    np.testing.assert_array_equal(mean_variance(np.eye(3), cap=0.0), np.zeros(3))


def test_caps_below_the_budget_leave_cash():
    np.testing.assert_array_equal(mean_variance(np.eye(3), cap=0.1), np.full(3, 0.1))


def test_a_forbidden_symbol_gets_exactly_nothing():
    weights = mean_variance(np.eye(3), np.array([9.0, 0.0, 0.0]), cap=np.array([0.0, 1.0, 1.0]))
    assert weights[0] == 0
    np.testing.assert_allclose(weights, [0, 0.5, 0.5], atol=1e-12)


def test_a_binding_cap_is_met_to_the_bit():
    weights = mean_variance(np.diag([0.01, 1.0, 1.0]), cap=0.4)
    assert weights[0] == 0.4
    np.testing.assert_allclose(weights[1:], 0.3, atol=1e-12)


def test_one_symbol_takes_the_budget_or_its_cap():
    one = np.array([[0.04]])
    assert mean_variance(one).tolist() == [1.0]
    assert mean_variance(one, np.array([-0.5]), cap=0.3).tolist() == [0.3]
    assert mean_variance(one, budget=0.5).tolist() == [0.5]


def test_nothing_to_invest_buys_nothing():
    np.testing.assert_array_equal(mean_variance(np.eye(3), budget=0.0), np.zeros(3))


def test_an_unlimited_cap_is_a_cap_at_the_budget():
    np.testing.assert_allclose(mean_variance(np.eye(4), cap=np.inf), np.full(4, 0.25), atol=1e-12)


def test_among_equally_good_portfolios_the_most_even_is_chosen():
    np.testing.assert_allclose(mean_variance(np.zeros((4, 4))), np.full(4, 0.25), atol=1e-6)
    np.testing.assert_allclose(mean_variance(np.ones((4, 4))), np.full(4, 0.25), atol=1e-5)


def test_without_risk_the_best_means_are_bought_up_to_their_caps():
    np.testing.assert_allclose(
        mean_variance(np.zeros((3, 3)), np.array([0.01, 0.03, 0.02]), cap=0.6), [0, 0.6, 0.4], atol=1e-9
    )


@pytest.mark.parametrize(
    ("covariance", "rules"),
    [
        (np.full((3, 3), np.nan), {}),
        (np.eye(3), {"mean": np.array([0.1, np.nan, 0.2])}),
        (np.eye(3), {"mean": np.array([0.1, np.inf, 0.2])}),
        (np.eye(3), {"cap": np.nan}),
        (np.eye(3), {"cap": np.array([-1.0, 0.5, 0.5])}),
        (np.eye(3), {"cap": np.array([-1.0, 1.0, 1.0])}),
        (np.eye(3), {"budget": np.nan}),
        (np.eye(3), {"budget": -1.0}),
        (-np.eye(3), {}),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), {}),
    ],
    ids=["covariance", "mean", "infinite", "cap", "negative", "below", "budget", "debt", "negative risk", "indefinite"],
)
def test_what_has_no_proven_optimum_is_refused_and_never_answered(covariance, rules):
    with np.errstate(invalid="ignore"), pytest.raises(ArithmeticError, match="no proven optimum"):
        mean_variance(covariance, **rules)
