import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES

from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.risk_parity import risk_parity

seeds = st.integers(0, 2**32 - 1)


def contributions(weights, covariance):
    """Each symbol's share of the portfolio's variance."""
    risk = weights * (covariance @ weights)
    return risk / risk.sum()


def assert_equal_risk(covariance):
    weights = risk_parity(covariance)
    N = len(weights)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(contributions(weights, covariance) * N, 1.0, atol=1e-8)


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
def test_every_symbol_carries_the_same_risk(seed):
    rng = np.random.default_rng(seed)
    n, N = int(rng.integers(3, 90)), int(rng.integers(1, 60))
    X = rng.standard_normal((n, N)) + rng.choice([0, 1, 10]) * rng.standard_normal((n, 1)) * rng.uniform(-1, 1, N)
    assert_equal_risk(ledoit_wolf(X * 10.0 ** rng.uniform(-4, 0, N) * 10.0 ** rng.uniform(-4, 2)))


def test_every_symbol_of_real_windows_carries_the_same_risk(real_windows):
    for X in real_windows:
        assert_equal_risk(ledoit_wolf(X))


def test_independent_symbols_are_weighted_by_inverse_volatility():
    # sigma = 1, 2, 4: 1/sigma = 1, 1/2, 1/4, in sum 7/4.
    np.testing.assert_allclose(risk_parity(np.diag([1.0, 4.0, 16.0])), [4 / 7, 2 / 7, 1 / 7], rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.99])
def test_two_symbols_are_weighted_by_inverse_volatility_whatever_their_correlation(rho):
    covariance = np.array([[0.04, rho * 0.06], [rho * 0.06, 0.09]])
    np.testing.assert_allclose(risk_parity(covariance), [0.6, 0.4], rtol=1e-9)


def test_equal_correlations_leave_inverse_volatility_too():
    volatility = np.array([0.1, 0.2, 0.3, 0.4])
    covariance = (0.3 + 0.7 * np.eye(4)) * np.outer(volatility, volatility)
    np.testing.assert_allclose(risk_parity(covariance), (1 / volatility) / (1 / volatility).sum(), rtol=1e-12)


def test_one_symbol_takes_everything():
    assert risk_parity(np.array([[0.04]])).tolist() == [1.0]


def test_perfect_twins_share_one_weight():
    covariance = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert_equal_risk(covariance)
    weights = risk_parity(covariance)
    assert weights[0] == pytest.approx(weights[1], rel=1e-9)


def test_a_symbol_without_variance_gets_no_weight():
    np.testing.assert_allclose(risk_parity(np.diag([1.0, 0.0, 4.0])), [2 / 3, 0, 1 / 3], rtol=1e-12)


def test_without_any_variance_weights_are_equal():
    np.testing.assert_array_equal(risk_parity(np.zeros((4, 4))), np.full(4, 0.25))


@settings(max_examples=200, deadline=None)
@given(seeds, st.floats(1e-10, 1e10))
def test_units_do_not_matter(seed, unit):
    covariance = ledoit_wolf(np.random.default_rng(seed).standard_normal((40, 8)))
    np.testing.assert_allclose(risk_parity(covariance * unit), risk_parity(covariance), rtol=1e-9)


def test_a_perfect_hedge_is_refused():
    with pytest.raises(ArithmeticError, match="no risk parity among 2 symbols"):
        risk_parity(np.array([[1.0, -1.0], [-1.0, 1.0]]))


@pytest.mark.parametrize("seed", range(20))
def test_a_hedge_across_many_symbols_is_refused_too(seed):
    two_rows = np.random.default_rng(seed).standard_normal((2, 12))
    with pytest.raises(ArithmeticError, match="no risk parity among 12 symbols"):
        risk_parity(ledoit_wolf(two_rows))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_covariance_that_is_not_finite_is_refused(bad):
    for covariance in ([[1.0, bad], [bad, 1.0]], [[1.0, 0.0], [0.0, bad]]):
        with pytest.raises(ArithmeticError, match="not finite"):
            risk_parity(np.array(covariance))
