import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES

from tradearena.panel import Panel
from tradearena.policy import Reference
from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.mean import shrunk_mean
from tradearena.portfolio.optimiser import mean_variance
from tradearena.portfolio.reference import UNKNOWN_VARIANCE, RollingMarkowitz


def bars(T=80, N=6, seed=0):
    """Closes [T, N] of a random walk and volumes of 1."""
    rng = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(0.01 * rng.standard_normal((T, N)), axis=0)), np.ones((T, N))


def panel(close, volume):
    """A panel of which only the closes and volumes matter here."""
    close, volume = close.copy(), volume.copy()  # a panel freezes the arrays it is given
    times = np.datetime64("2024-01-01") + np.arange(len(close))
    names = [f"S{i}" for i in range(close.shape[1])]
    return Panel.of(names, times, times, (close, close, close, close), volume, bars_per_year=252.0)


def same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
    )


def test_the_reference_is_the_markowitz_portfolio_of_the_last_returns():
    market, rules = panel(*bars()), Reference(lookback=40, risk_aversion=3.0, cap=0.5)
    estimate = RollingMarkowitz(market, rules).at(70)
    window = market.returns[31:71]
    np.testing.assert_array_equal(estimate.covariance, ledoit_wolf(window))
    np.testing.assert_array_equal(estimate.mean, shrunk_mean(window))
    expected = mean_variance(estimate.covariance, estimate.mean, risk_aversion=3.0, cap=0.5)
    np.testing.assert_array_equal(estimate.weights, expected)
    assert estimate.t == 70
    assert not estimate.short


def test_the_first_bar_has_no_return_to_count():
    market = panel(*bars())
    reference = RollingMarkowitz(market, Reference(lookback=40))
    np.testing.assert_array_equal(reference.at(40).covariance, ledoit_wolf(market.returns[1:41]))
    assert not reference.at(40).short
    np.testing.assert_array_equal(reference.at(39).covariance, ledoit_wolf(market.returns[1:40]))
    assert reference.at(39).short


@pytest.mark.parametrize("t", [0, 1, 2])
def test_with_fewer_than_three_returns_nothing_is_estimated_and_weights_are_equal(t):
    estimate = RollingMarkowitz(panel(*bars(N=5)), Reference()).at(t)
    np.testing.assert_array_equal(estimate.covariance, np.eye(5) * UNKNOWN_VARIANCE)
    np.testing.assert_array_equal(estimate.mean, np.zeros(5))
    np.testing.assert_allclose(estimate.weights, np.full(5, 0.2), atol=1e-12)
    assert estimate.short


def test_asking_twice_solves_once():
    reference = RollingMarkowitz(panel(*bars()), Reference())
    first = reference.at(50)
    assert reference.at(50) is first
    assert reference.at(51) is not first


@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), t=st.integers(0, 78), lookback=st.integers(2, 60))
def test_bars_after_t_never_change_the_reference_at_t(seed, t, lookback):
    close, volume = bars(seed=seed)
    rules = Reference(lookback=lookback)
    known = RollingMarkowitz(panel(close, volume), rules).at(t)
    rng = np.random.default_rng(seed)
    close[t + 1 :] *= rng.uniform(0.5, 2.0, close[t + 1 :].shape)
    close[t + 1 :][rng.random(close[t + 1 :].shape) < 0.2] = np.nan
    volume[t + 1 :] = rng.choice([0.0, 1.0], volume[t + 1 :].shape)
    changed = panel(close, volume)
    assert same(RollingMarkowitz(changed, rules).at(t), known)
    assert same(RollingMarkowitz(changed.until(t), rules).at(t), known)


@settings(max_examples=EXAMPLES, deadline=None)
@given(order=st.permutations(range(0, 80, 7)))
def test_the_order_of_questions_does_not_matter(order):
    market = panel(*bars())
    reference = RollingMarkowitz(market, Reference(lookback=20))
    for t in order:
        assert same(reference.at(t), RollingMarkowitz(market, Reference(lookback=20)).at(t))


def test_a_symbol_whose_market_is_closed_keeps_its_weight_and_one_that_is_gone_does_not():
    close, volume = bars()
    volume[60:62, 0] = 0.0
    close[60:, 1] = np.nan
    reference = RollingMarkowitz(panel(close, volume), Reference(lookback=20, risk_aversion=100.0))
    for t in range(59, 69):
        assert (reference.at(t).weights[:2] > 0).all()
    assert reference.at(69).weights[1] > 0  # ten bars are the newer half of twenty
    assert reference.at(70).weights[1] == 0
    assert reference.at(70).weights[0] > 0
    assert reference.at(70).weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_symbol_waits_until_it_is_listed_for_half_of_the_window():
    # Listed at bar 40, lookback 20: at bar 50 ten of the twenty returns fall after the first close.
    close, volume = bars()
    close[:40, 2] = np.nan
    reference = RollingMarkowitz(panel(close, volume), Reference(lookback=20, risk_aversion=100.0))
    assert all(reference.at(t).weights[2] == 0 for t in range(50))
    assert reference.at(50).weights[2] > 0


def test_where_nothing_has_traded_for_long_everything_is_cash():
    close, volume = bars()
    volume[40:71] = 0.0
    reference = RollingMarkowitz(panel(close, volume), Reference(lookback=60))
    assert reference.at(69).weights.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(reference.at(70).weights, np.zeros(6))


def test_what_the_cap_leaves_over_stays_in_cash():
    weights = RollingMarkowitz(panel(*bars()), Reference(cap=0.1)).at(70).weights
    np.testing.assert_array_equal(weights, np.full(6, 0.1))


def test_a_market_that_never_moves_is_held_evenly():
    estimate = RollingMarkowitz(panel(np.full((70, 4), 10.0), np.ones((70, 4))), Reference()).at(65)
    np.testing.assert_allclose(estimate.weights, np.full(4, 0.25), atol=1e-9)


def test_an_estimate_cannot_be_changed():
    estimate = RollingMarkowitz(panel(*bars()), Reference()).at(70)
    for array in (estimate.weights, estimate.covariance, estimate.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.t = 3


@pytest.mark.parametrize("t", [-1, 80])
def test_a_bar_that_does_not_exist_is_refused(t):
    with pytest.raises(IndexError, match="80 bars"):
        RollingMarkowitz(panel(*bars()), Reference()).at(t)


def test_the_reference_of_real_bars_is_long_only_and_fully_invested(real_returns):
    for returns in real_returns:
        close = 100 * np.cumprod(1 + returns, axis=0)
        reference = RollingMarkowitz(panel(close, np.ones_like(close)), Reference(cap=0.25))
        for t in range(0, len(close), 9):
            weights = reference.at(t).weights
            assert (weights >= 0).all()
            assert (weights <= 0.25).all()
            assert weights.sum() == pytest.approx(1.0, abs=1e-12)
