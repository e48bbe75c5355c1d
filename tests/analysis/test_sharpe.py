"""Sharpe ratios against the numbers printed in the papers, against scipy, and against chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tradearena.analysis.sharpe import (
    Sharpe,
    deflated,
    expected_maximum,
    interval,
    measured,
    probabilistic,
    track_record,
)
from tradearena.portfolio import performance

FUND = Sharpe(24, 1.585 / math.sqrt(12), -2.448, 10.164)
"""The hedge fund of Bailey & López de Prado (2012): 24 months, a ratio of 1.59 a year."""

STRATEGY = Sharpe(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
"""The strategy of Bailey & López de Prado (2014): five years of days, 2.5 a year."""

ratios = st.floats(-0.5, 0.5)
found = st.builds(Sharpe, st.integers(2, 5000), ratios, st.floats(-3, 3), st.floats(10, 30))


# ---------------------------------------------------------------------- printed numbers


@pytest.mark.parametrize(
    ("ratio", "n", "error"),
    [(0.5, 12, 0.306), (1.0, 60, 0.158), (3.0, 500, 0.105), (0.5, 500, 0.047), (2.0, 24, 0.354)],
)
def test_the_error_of_normal_returns_is_that_of_table_1_of_lo(ratio, n, error):
    low, high = interval(Sharpe(n, ratio, 0.0, 3.0), alpha=0.05)
    assert (high - low) / 2 / 1.959964 == pytest.approx(error, abs=5e-4)
    assert (high + low) / 2 == pytest.approx(ratio)


def test_the_probabilistic_ratio_is_that_of_the_paper():
    assert probabilistic(FUND._replace(skew=0.0, kurtosis=3.0)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic(FUND) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic(FUND._replace(n=36)) == pytest.approx(0.953, abs=1e-3)


def test_the_deflated_ratio_is_that_of_the_paper():
    variance = 0.5 / 250  # of the ratios a year 1/2
    assert expected_maximum(variance, 100) == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic(STRATEGY, expected_maximum(variance, 100)) == pytest.approx(0.9004, abs=5e-5)
    assert probabilistic(STRATEGY, expected_maximum(variance, 46)) == pytest.approx(0.9505, abs=5e-5)
    normal = STRATEGY._replace(skew=0.0, kurtosis=3.0)
    assert probabilistic(normal, expected_maximum(variance, 88)) == pytest.approx(0.9505, abs=5e-5)


def test_of_ratios_that_were_tried_the_variance_is_taken():
    tried = [0.01, 0.05, -0.03, 0.12]
    luck = expected_maximum(float(np.var(tried, ddof=1)), 4)
    assert deflated(STRATEGY, tried) == probabilistic(STRATEGY, luck)
    assert deflated(STRATEGY, tried, trials=2) > deflated(STRATEGY, tried) > deflated(STRATEGY, tried, trials=400)
    assert deflated(STRATEGY, [STRATEGY.ratio]) == probabilistic(STRATEGY)  # nothing else was looked at


# ---------------------------------------------------------------------- properties


@given(found, ratios)
def test_a_longer_record_is_surer_and_a_higher_bar_is_harder(one, bar):
    here = probabilistic(one, bar)
    assert 0.0 <= here <= 1.0
    assert probabilistic(one, bar + 0.1) <= here
    longer = probabilistic(one._replace(n=2 * one.n), bar)
    assert longer >= here - 1e-12 if one.ratio >= bar else longer <= here + 1e-12


@given(found, ratios)
def test_the_track_record_is_where_the_probability_reaches_its_level(one, bar):
    length = track_record(one, bar)
    if length is None or length > 1e9 or length < 2:
        assert length is None or one.ratio > bar
        return
    assert probabilistic(one._replace(n=math.ceil(length)), bar) >= 0.95 - 1e-9
    assert probabilistic(one._replace(n=math.floor(length)), bar) <= 0.95 + 1e-9


def test_moments_are_those_of_scipy_and_the_ratio_is_that_of_the_metrics():
    nav = 100 * np.cumprod(1 + np.random.default_rng(4).standard_t(5, 300) * 0.01)
    returns = nav[1:] / nav[:-1] - 1
    one = measured(returns)
    assert one.skew == pytest.approx(stats.skew(returns))
    assert one.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert one.ratio * math.sqrt(252) == pytest.approx(performance.sharpe(nav, 252.0))


def test_all_of_it_is_what_sharpebench_makes_of_the_same_returns():
    """An implementation in Rust by others."""
    theirs = pytest.importorskip("sharpebench")
    rng = np.random.default_rng(9)
    for returns in (rng.normal(0.05, 1.0, 250), rng.standard_t(4, 700) + 0.02, 0.1 - rng.gamma(2.0, 0.5, 90)):
        one, tried = measured(returns), [0.05, 0.01, -0.02, 0.11]
        assert one.ratio == pytest.approx(theirs.sharpe_ratio(returns))
        assert probabilistic(one, 0.03) == pytest.approx(theirs.probabilistic_sharpe_ratio(returns, 0.03))
        spread = float(np.std(tried, ddof=1))
        assert expected_maximum(spread**2, 4) == pytest.approx(theirs.expected_max_sharpe(spread, 4))
        assert deflated(one, tried) == pytest.approx(theirs.deflated_sharpe_ratio(returns, 4, spread))
        if one.ratio > 0:
            assert track_record(one) == pytest.approx(theirs.min_track_record_length(returns))


def test_where_there_is_no_ratio_there_is_none():
    for returns in ([], [0.1], [0.01] * 5, [0.1, np.nan, 0.2], [0.1, np.inf]):
        assert measured(np.array(returns)) is None


def test_returns_of_which_the_estimate_is_certain_are_certain():
    """Two values, as often up as down: 1 - skew SR + (kurtosis - 1) / 4 SR^2 is 1, never below 0."""
    two = measured(np.array([0.02, 0.0] * 4))
    assert two.spread == pytest.approx(1.0)
    odd = Sharpe(10, 2.0, 1.0, 2.0)  # 1 - 2 + 1 = 0
    assert (odd.spread, probabilistic(odd), probabilistic(odd, 2.5), interval(odd)) == (0.0, 1.0, 0.0, (2.0, 2.0))


@pytest.mark.parametrize(("variance", "trials"), [(0.1, 0), (-0.1, 5), (math.nan, 5)])
def test_what_has_no_maximum_is_said(variance, trials):
    with pytest.raises(ValueError, match="no highest"):
        expected_maximum(variance, trials)


# ---------------------------------------------------------------------- chance


def test_the_highest_of_many_without_skill_is_about_as_high_as_expected():
    rng = np.random.default_rng(2)
    for trials in (10, 100):
        highest = rng.normal(size=(4_000, trials)).max(axis=1).mean()
        assert expected_maximum(1.0, trials) == pytest.approx(highest, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "heavy", "skewed"])
def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says(kind):
    rng = np.random.default_rng(7)
    draw = {
        "normal": lambda: rng.normal(0.1, 1.0, 500),
        "heavy": lambda: 0.1 + rng.standard_t(8, 500) / math.sqrt(8 / 6),
        "skewed": lambda: 0.1 - (rng.gamma(4.0, 0.5, 500) - 2.0),
    }[kind]
    ends = [interval(measured(draw())) for _ in range(4_000)]
    assert np.mean([low <= 0.1 <= high for low, high in ends]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_the_best_of_twenty_without_skill_is_rarely_called_skilled_and_would_often_be_without_deflation():
    rng = np.random.default_rng(11)
    plain = deflated_too = 0
    for _ in range(400):
        tried = [measured(row) for row in rng.normal(size=(20, 500))]
        best = max(tried, key=lambda one: one.ratio)
        plain += probabilistic(best) > 0.95
        deflated_too += deflated(best, [one.ratio for one in tried]) > 0.95
    assert plain / 400 > 0.5
    assert deflated_too / 400 < 0.05
