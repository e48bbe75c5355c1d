"""Rates of what was seen: against scipy, against counting by hand, and against thrown coins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tradearena.analysis.calibration import (
    SIGNS,
    Claim,
    claims,
    false_positives,
    families,
    power,
    promised,
    rate,
)
from tradearena.analysis.instrument import Planted, Seen
from tradearena.analysis.power import detectable
from tradearena.analysis.signflip import attainable, fewest, level, sign_flip

QUIET, LOUD = Planted("no effect", 0.1), Planted("no effect", 1.0)
OBEYS = Planted("obedient", 1.0)


def seen(seed=0, planted=QUIET, p=0.5, *, metric="clip_distance", contrast="information", n=10, **other):
    usual = {
        "level": attainable(n), "family": "primary",
        "zeros": 0, "mean": -1.0, "sd": 1.0, "p_adjusted": p, "tests": 2, "verdict": "estimated",
    }  # fmt: skip
    return Seen(seed=seed, planted=planted, metric=metric, contrast=contrast, n=n, p=p, **{**usual, **other})


# ---------------------------------------------------------------------- rates


@pytest.mark.parametrize(("times", "n"), [(0, 1), (0, 200), (1, 3), (9, 200), (12, 256), (199, 200), (200, 200)])
def test_the_interval_of_a_rate_is_that_of_clopper_and_pearson(times, n):
    found = rate(times, n)
    other = stats.binomtest(times, n).proportion_ci(0.95, method="exact")
    assert found.interval == pytest.approx((other.low, other.high), abs=1e-12)
    assert found.share == times / n


def test_of_nothing_there_is_no_rate_and_any_chance_is_possible():
    assert rate(0, 0).share is None
    assert rate(0, 0).interval == (0.0, 1.0)
    for times, n in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="is no rate"):
            rate(times, n)


@pytest.mark.parametrize("n", [1, 5, 6, 7, 8, 9])
def test_the_attainable_level_is_the_share_of_sign_patterns_that_are_significant(n):
    sizes = 2.0 ** np.arange(n)  # no two sums are alike
    signs = 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    fired = [sign_flip(row * sizes).p <= 0.05 for row in signs]
    assert np.mean(fired) == attainable(n)
    assert (attainable(n) > 0) == (n >= fewest())


@pytest.mark.parametrize(
    "sizes", [[1, 1, 1, 1, 1, 1], [0, 0, 1, 2, 3, 4, 5, 6], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.6], [3, 0, 0]]
)
def test_given_ties_and_zeros_the_level_is_still_the_share_of_sign_patterns(sizes):
    signs = 1.0 - 2.0 * (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1)
    fired = [sign_flip(row * np.array(sizes)).p <= 0.05 for row in signs]
    assert level(sizes) == np.mean(fired) <= attainable(len(sizes))


def test_without_ties_the_level_is_the_attainable_one_and_of_nothing_but_zeros_it_is_nought():
    assert level(2.0 ** np.arange(10)) == attainable(10)
    assert level(np.arange(17)) == attainable(17)
    assert level(np.zeros(9)) == level(np.zeros(17)) == level([]) == 0.0


def test_eight_clusters_attain_twelve_in_256_and_drawn_patterns_about_five_percent():
    assert attainable(8) == 12 / 256
    assert attainable(0) == 0.0
    assert 0.0499 < attainable(17) <= 0.05


# ---------------------------------------------------------------------- no effect


def test_false_positives_are_counted_by_noise_and_together():
    held = [seen(seed, QUIET, 0.01 if seed < 3 else 0.9) for seed in range(10)]
    held += [seen(seed, LOUD, 0.05 if seed < 1 else 0.051, zeros=5) for seed in range(10)]
    held += [seen(10, LOUD, None, n=0, mean=None, sd=None), seen(0, OBEYS, 0.001)]
    quiet, loud, both = false_positives(held)
    assert [each.noise for each in (quiet, loud, both)] == [0.1, 1.0, None]
    assert [(each.fired.times, each.fired.n, each.silent) for each in (quiet, loud, both)] == [
        (3, 10, 0), (1, 10, 1), (4, 20, 1),
    ]  # fmt: skip
    assert quiet.nominal == attainable(10)
    assert (quiet.ties, loud.ties, both.ties) == (0.0, 0.5, 0.25)
    assert quiet.tail == pytest.approx(2 * stats.binom.sf(2, 10, attainable(10)))


def test_the_tail_is_that_of_the_nearer_side_and_none_where_nothing_is_tried():
    low = false_positives([seen(seed, p=0.9) for seed in range(100)])[0]
    assert low.tail == pytest.approx(2 * stats.binom.cdf(0, 100, attainable(10)))
    silent = false_positives([seen(p=None)])[0]
    assert (silent.tail, silent.fired.n) == (1.0, 0)


def test_a_family_has_fired_once_however_many_of_its_rows_have():
    held = [
        seen(seed, planted, p_adjusted=0.04 if seed == 0 else 0.9, metric=metric)
        for seed in range(4)
        for planted in (QUIET, LOUD)
        for metric in ("clip_distance", "repeat_violation_rate")
    ]
    quiet, loud, both = families(held)
    assert [(each.fired.times, each.fired.n) for each in (quiet, loud, both)] == [(1, 4), (1, 4), (2, 8)]
    assert all(each.possible for each in (quiet, loud, both))
    assert quiet.bound == both.bound == 2 * attainable(10, 0.025)
    assert not families([seen(n=6)])[0].possible
    assert families([seen(family="exploratory")]) == []


# ---------------------------------------------------------------------- planted effects


def test_power_counts_the_planted_sign_and_the_wrong_one_apart():
    held = [seen(seed, OBEYS, 0.01, mean=-1.0) for seed in range(6)]
    held += [seen(6, OBEYS, 0.01, mean=1.0), seen(7, OBEYS, 0.2, mean=-1.0), seen(8, OBEYS, None, mean=None, sd=None)]
    (found,) = power([*held, seen(0, QUIET, 0.01)])
    assert SIGNS[found.kind, found.metric, found.contrast] == found.sign == -1
    assert (found.found.times, found.wrong.times, found.found.n) == (6, 1, 9)
    assert found.mean == pytest.approx(-6 / 8)
    assert found.predicted == promised(6 / 8, 1.0, 10)


def test_nothing_is_predicted_where_nothing_was_estimated():
    (found,) = power([seen(0, OBEYS, None, mean=None, sd=None)])
    assert (found.mean, found.spread, found.predicted) == (None, None, None)
    assert promised(1.0, 0.0, 10) is None
    assert promised(1.0, 1.0, 5) is None


@pytest.mark.parametrize("n", [7, 10, 25])
def test_the_power_that_is_promised_is_the_formula_of_the_detectable_effect_turned_round(n):
    for goal in (0.5, 0.8, 0.95):
        assert promised(detectable(n, 2.0, power=goal), 2.0, n) == pytest.approx(goal)
    assert promised(-1.0, 1.0, n) < 0.025


# ---------------------------------------------------------------------- what may be said


def said(held) -> dict[str, Claim]:
    found = claims(false_positives(held), families(held), power(held))
    return {each.claim.partition(":")[0] + each.claim[-4:]: each for each in found}


def test_a_rate_that_is_right_a_rate_that_is_off_and_one_that_too_few_have_tried():
    def verdict(times, n):
        (first, *_) = claims(false_positives([seen(k, p=0.01 if k < times else 0.9) for k in range(n)]), [], [])
        return first

    assert verdict(10, 200).holds is True
    assert verdict(40, 200).holds is False
    assert "40 of 200" in verdict(40, 200).said
    assert verdict(0, 200).holds is False, "a test that never speaks is not at its rate either"
    assert verdict(0, 60).holds is None, "a rate of 0 would be luck"
    assert "too few" in verdict(0, 60).said


def test_a_family_may_not_fire_more_often_than_its_rows_allow_together():
    def verdict(times, **other):
        held = [seen(k, p_adjusted=0.01 if k < times else 0.9, **other) for k in range(200)]
        return claims([], families(held), [])[0]

    assert verdict(8).holds is True
    assert verdict(0).holds is True
    assert verdict(30).holds is False
    assert verdict(0, n=6).holds is None
    assert f"takes {fewest(0.05, 2)} windows" in verdict(0, n=6).said


def test_a_planted_effect_has_to_be_found_with_its_sign():
    def verdict(right, wrong, n):
        marks = [*[-1.0] * right, *[1.0] * wrong, *[math.nan] * (n - right - wrong)]
        held = [
            seen(k, OBEYS, 0.9 if math.isnan(x) else 0.01, mean=-1.0 if math.isnan(x) else x)
            for k, x in enumerate(marks)
        ]
        return claims([], [], power(held))[0].holds

    assert verdict(100, 0, 100) is True
    assert verdict(10, 0, 100) is False
    assert verdict(85, 15, 100) is False
    assert verdict(2, 0, 4) is None


def test_of_nothing_nothing_is_said():
    assert claims([], [], []) == []
    assert claims(false_positives([seen(p=None)]), [], []) == []
