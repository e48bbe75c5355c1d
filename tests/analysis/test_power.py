"""The smallest effect an experiment finds: by hand, by its properties, and by playing the experiment many times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.contrasts import holm
from tradearena.analysis.power import MOST, clusters_needed, detectable
from tradearena.analysis.signflip import sign_flip


def test_it_is_the_two_quantiles_of_the_table_times_the_standard_error():
    # Student's t with 9 degrees of freedom: 2.262 at 97.5 %, 0.883 at 80 %
    assert detectable(10, 2.0) == pytest.approx((2.2622 + 0.8834) * 2.0 / math.sqrt(10), rel=1e-4)
    # with many clusters the normal 1.960 + 0.842
    assert detectable(10_000, 1.0) == pytest.approx((1.95996 + 0.84162) / 100, rel=1e-3)


def test_with_fewer_than_six_clusters_nothing_is_detectable():
    assert [detectable(n, 1.0) is None for n in (0, 1, 5, 6)] == [True, True, True, False]
    assert detectable(9, 1.0, alpha=0.05 / 18) is None
    assert detectable(8, 0.0) == 0.0


def test_clusters_needed_are_the_first_that_detect_the_effect():
    for effect in (3.0, 0.9, 0.5, -0.5, 0.1):
        n = clusters_needed(effect, 1.0)
        assert detectable(n, 1.0) <= abs(effect)
        assert n == 6 or detectable(n - 1, 1.0) > abs(effect)
    assert clusters_needed(0.5, 1.0) == 34  # 2 (1.960 + 0.842)^2 / 0.5^2 / 2 = 31.4, and a little for the t
    assert clusters_needed(0.0, 1.0) is None
    assert clusters_needed(0.0, 0.0) is None
    assert clusters_needed(1e-6, 1.0) is None
    assert detectable(MOST, 1.0) > 1e-6


@given(st.integers(6, 500), st.floats(1e-3, 1e3), st.floats(0.5, 0.95))
def test_it_falls_with_clusters_and_rises_with_spread_and_power(n, sd, power):
    here = detectable(n, sd, power=power)
    assert detectable(n + 1, sd, power=power) < here
    assert detectable(n, 2 * sd, power=power) == pytest.approx(2 * here)
    assert detectable(n, sd, power=power + 0.01) > here


@pytest.mark.parametrize(
    "asked", [{"sd": -1.0}, {"sd": math.nan}, {"sd": 1.0, "power": 0.4}, {"sd": 1.0, "alpha": 1.0}]
)
def test_what_has_no_answer_is_said(asked):
    with pytest.raises(ValueError, match="no effect is detectable"):
        detectable(10, **asked)


def found(n, effect, courses=3_000):
    """How often an effect is found, where differences are normal and spread by 1."""
    rng = np.random.default_rng(n)
    return sum(sign_flip(rng.normal(effect, 1.0, n), seed=k, resamples=999).p <= 0.05 for k in range(courses)) / courses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "size", "power"), [(9, 1.55, 0.56), (10, 1.42, 0.64), (12, 1.24, 0.75), (16, 1.03, 0.78), (25, 0.78, 0.79)]
)
def test_of_a_primary_row_it_is_found_after_holm(n, size, power):
    """One of nine tests has the effect, the others none. The figures are those of docs/statistics.md."""
    effect, rng = detectable(n, 1.0, alpha=0.05 / 9), np.random.default_rng(n)
    assert effect == pytest.approx(size, abs=0.005)
    hits = 0
    for k in range(3_000):
        ps = [sign_flip(rng.normal(effect, 1.0, n), seed=k, resamples=9_999).p, *rng.random(8)]
        hits += holm(ps)[0] <= 0.05
    assert hits / 3_000 == pytest.approx(power, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "power"), [(6, 0.61), (7, 0.78), (8, 0.80), (10, 0.80), (12, 0.80), (16, 0.80), (25, 0.80)]
)
def test_an_effect_of_that_size_is_found_about_four_times_in_five(n, power):
    """Except with six clusters: all must then be on one side, and it is three times in five. The figures are those of
    docs/statistics.md."""
    assert found(n, detectable(n, 1.0)) == pytest.approx(power, abs=0.035)
