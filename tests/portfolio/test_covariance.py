import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf as oracle
from strategies import EXAMPLES

from tradearena.portfolio.covariance import correlation, ledoit_wolf, row_mean
from tradearena.portfolio.mean import shrunk_mean

seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from(
    ["normal", "fat tails", "one factor", "still columns", "twins", "two-point", "scales", "drift"]
)


def window(n, N, shape, seed):
    """[n, N] returns of a given kind, 1 % in size."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, N))
    if shape == "fat tails":
        X = rng.standard_t(2, (n, N))
    elif shape == "one factor":
        X = rng.standard_normal((n, 1)) + 1e-4 * X
    elif shape == "still columns":
        X[:, rng.random(N) < 0.5] = 0.0
    elif shape == "twins":
        X = X[:, rng.integers(0, N, N)]
    elif shape == "two-point":
        X = np.where(np.arange(n)[:, None] % 2, X[0], -X[0])
    elif shape == "scales":
        X *= 10.0 ** rng.uniform(-4, 1, N)
    elif shape == "drift":
        X += 10.0 * rng.standard_normal(N)
    return 0.01 * X


def differ(covariance, other):
    """Largest difference between two matrices, relative to the largest entry."""
    return np.abs(covariance - other).max() / max(np.abs(other).max(), 1e-300)


@settings(max_examples=EXAMPLES, deadline=None)
@given(n=st.integers(2, 90), N=st.integers(1, 60), shape=shapes, seed=seeds)
@example(n=2, N=51, shape="normal", seed=0)
@example(n=4, N=3, shape="two-point", seed=0)
def test_ledoit_wolf_equals_scikit_learn(n, N, shape, seed):
    X = window(n, N, shape, seed)
    # Where one bar dwarfs the rest, the intensity is near 1 and both formulas are 3e-14 from the exact answer.
    assert differ(ledoit_wolf(X), oracle(X)[0]) <= (1e-13 if shape == "fat tails" else 1e-14)


def test_ledoit_wolf_equals_scikit_learn_on_real_windows(real_windows):
    assert len(real_windows) > 500
    assert max(differ(ledoit_wolf(X), oracle(X)[0]) for X in real_windows) <= 1e-14


def test_ledoit_wolf_is_right_on_a_case_worked_by_hand():
    # S = diag(2/3, 0), m = 1/3, ||S||^2 = (4/9) / 2 = 2/9, d^2 = 2/9 - 1/9 = 1/9.
    # sum |x|^4 / (n N) = 2/6, b^2 = (1/3 - 2/9) / 3 = 1/27, intensity 1/3: diag(2/3 * 2/3 + 1/9, 1/9).
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(ledoit_wolf(X), np.diag([5 / 9, 1 / 9]), rtol=1e-15)


@settings(max_examples=300, deadline=None)
@given(n=st.integers(1, 60), N=st.integers(1, 30), shape=shapes, seed=seeds)
def test_ledoit_wolf_keeps_the_trace_and_has_no_negative_eigenvalue(n, N, shape, seed):
    X = window(n, N, shape, seed)
    covariance = ledoit_wolf(X)
    trace = X.var(axis=0).sum()
    assert covariance.trace() == pytest.approx(trace, rel=1e-12, abs=1e-300)
    assert np.linalg.eigvalsh(covariance).min() >= -1e-13 * trace
    assert (covariance == covariance.T).all()


@settings(max_examples=300, deadline=None)
@given(n=st.integers(3, 60), N=st.integers(2, 30), shape=shapes, seed=seeds, power=st.integers(-20, 20))
def test_ledoit_wolf_scales_with_the_square_of_returns(n, N, shape, seed, power):
    X = window(n, N, shape, seed)
    np.testing.assert_array_equal(ledoit_wolf(X * 2.0**power), ledoit_wolf(X) * 4.0**power)


def test_a_single_row_has_no_covariance():
    assert (ledoit_wolf(np.array([[0.01, -0.02, 0.03]])) == 0).all()


def test_two_rows_are_not_shrunk():
    X = np.array([[0.01, -0.02, 0.03], [0.02, 0.01, -0.01]])
    np.testing.assert_allclose(ledoit_wolf(X), np.cov(X.T, ddof=0), rtol=1e-15)
    assert np.linalg.matrix_rank(ledoit_wolf(X)) == 1


def test_one_symbol_keeps_its_variance():
    X = np.array([[0.01], [-0.02], [0.03]])
    np.testing.assert_allclose(ledoit_wolf(X), [[X.var()]], rtol=1e-15)


def test_a_market_that_never_moves_has_no_covariance():
    assert (ledoit_wolf(np.full((30, 4), 0.001)) <= 1e-35).all()
    assert (ledoit_wolf(np.zeros((30, 4))) == 0).all()


def test_a_still_symbol_gets_the_shrunk_variance():
    X = window(60, 5, "normal", 3)
    X[:, 2] = 0.0
    covariance = ledoit_wolf(X)
    assert 0 < covariance[2, 2] < covariance.diagonal().max()
    assert covariance[2, 2] == covariance[2].sum()


@settings(max_examples=EXAMPLES, deadline=None)
@given(n=st.integers(1, 90), N=st.integers(1, 60), shape=shapes, seed=seeds)
def test_means_that_are_handed_over_change_no_bit(n, N, shape, seed):
    X = window(n, N, shape, seed)
    means = row_mean(X)
    assert means.tobytes() == X.mean(axis=0).tobytes()
    covariance = ledoit_wolf(X)
    assert ledoit_wolf(X, means).tobytes() == covariance.tobytes()
    assert shrunk_mean(X, covariance, means).tobytes() == shrunk_mean(X, covariance).tobytes()


def test_ledoit_wolf_leaves_its_input_alone():
    X = window(20, 5, "normal", 1)
    X.flags.writeable = False
    before = X.copy()
    ledoit_wolf(X)
    np.testing.assert_array_equal(X, before)


@settings(max_examples=300, deadline=None)
@given(n=st.integers(1, 60), N=st.integers(1, 30), shape=shapes, seed=seeds)
def test_a_correlation_matrix_has_ones_on_its_diagonal_and_nothing_beyond(n, N, shape, seed):
    rho = correlation(ledoit_wolf(window(n, N, shape, seed)))
    assert (rho.diagonal() == 1).all()
    assert (np.abs(rho) <= 1).all()
    np.testing.assert_array_equal(rho, rho.T)


def test_correlation_equals_numpy():
    X = window(60, 7, "normal", 5)
    np.testing.assert_allclose(correlation(np.cov(X.T)), np.corrcoef(X.T), atol=1e-15)


def test_a_symbol_without_variance_correlates_with_nothing():
    X = window(60, 3, "normal", 5)
    X[:, 1] = 0.0
    rho = correlation(np.cov(X.T))
    np.testing.assert_array_equal(rho[1], [0, 1, 0])
    np.testing.assert_array_equal(correlation(np.zeros((3, 3))), np.eye(3))
