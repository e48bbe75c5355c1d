"""The sign-flip test against arithmetic by hand, against scipy, against its own brute force, and against chance."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import EXAMPLES

from tradearena.analysis.signflip import ALPHA, EXACT, fewest, sign_flip

whole = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=9)
real = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=9)


def brute(d):
    """p by the definition, pattern by pattern."""
    observed = abs(math.fsum(d))
    slack = 1e-12 * math.fsum(map(abs, d))
    patterns = list(itertools.product((1, -1), repeat=len(d)))
    flipped = [abs(math.fsum(s * x for s, x in zip(signs, d, strict=True))) for signs in patterns]
    return sum(value >= observed - slack for value in flipped) / len(patterns)


# ---------------------------------------------------------------------- by hand


def test_of_three_differences_the_eight_patterns_are_counted_by_hand():
    # 1, 2, 4: the sums are +-7, +-5, +-3, +-1; of 8 patterns two are as far out as 7
    assert sign_flip([1, 2, 4]).p == 2 / 8
    # -1, 2, 4: the sum is 5; 7, 5, -5, -7 are as far out
    assert sign_flip([-1, 2, 4]).p == 4 / 8


def test_the_interval_of_six_clusters_runs_from_the_smallest_to_the_largest():
    # rejected where all six are on one side of mu: 2 of 64 patterns, p = 0.03125; with one on the other side 4 or more
    found = sign_flip([3, 1, 4, 1.5, 9, 2.6])
    assert found.interval == (1.0, 9.0)
    assert found.p == 2 / 64
    assert (found.n, found.exact, found.verdict) == (6, True, "estimated")
    assert found.mean == pytest.approx(21.1 / 6)
    assert found.sd == pytest.approx(np.std([3, 1, 4, 1.5, 9, 2.6], ddof=1))


def test_the_interval_of_seven_clusters_ends_at_the_third_subset_mean_from_either_side():
    # 0.05 * 2^6 = 3.2: Hartigan's third smallest and largest of all 127 subset means.
    # From below: {0} = 0, {0, 1} = 0.5, {1} = 1; from above: {64} = 64, {64, 32} = 48, {64, 16} = 40
    d = [0, 1, 4, 8, 16, 32, 64]
    means = sorted(np.mean(each) for k in range(1, 8) for each in itertools.combinations(d, k))
    assert (means[2], means[-3]) == (1.0, 40.0)
    assert sign_flip(d).interval == (1.0, 40.0)


# ---------------------------------------------------------------------- too few, nothing, ties


def test_below_six_clusters_it_is_too_small_to_say():
    for n in range(6):
        found = sign_flip(np.arange(1.0, n + 1))
        assert (found.verdict, found.interval) == ("too small", None)
        assert found.p == (2 / 2**n if n else None)
    assert sign_flip([]).mean is None
    assert (sign_flip([2.0]).mean, sign_flip([2.0]).sd, sign_flip([2.0]).p) == (2.0, None, 1.0)


@pytest.mark.parametrize(
    ("alpha", "tests", "n"), [(0.05, 1, 6), (0.05, 18, 10), (0.01, 1, 8), (0.25, 1, 3), (0.5, 1, 2)]
)
def test_the_fewest_clusters_are_those_whose_smallest_p_passes(alpha, tests, n):
    assert fewest(alpha, tests) == n
    assert 2 / 2**n <= alpha / tests < 2 / 2 ** (n - 1)
    if tests == 1:
        assert sign_flip(np.arange(1.0, n + 1), alpha=alpha).interval is not None
        assert sign_flip(np.arange(1.0, n), alpha=alpha).interval is None


def test_differences_that_are_all_zero_are_degenerate_and_no_result():
    for n in (1, 3, 8, 40):
        found = sign_flip(np.zeros(n))
        assert (found.verdict, found.p, found.interval, found.mean) == ("degenerate", None, None, 0.0)


def test_zeros_stay_in_and_only_make_it_harder_to_reject():
    # a zero flips onto itself, so all patterns count twice: p is that of the others
    assert sign_flip([1, 2, 3, 4, 5, 6]).p == 2 / 64
    padded = sign_flip([1, 2, 3, 4, 5, 6, 0, 0])
    assert padded.p == 2 / 64  # not 2 / 256
    assert (padded.n, padded.mean) == (8, 21 / 8)


def test_one_difference_again_and_again_is_an_interval_without_width():
    assert sign_flip([0.25] * 7).interval == (0.25, 0.25)
    assert sign_flip([0.1] * 30).interval == pytest.approx((0.1, 0.1))


def test_rounding_makes_and_breaks_no_ties():
    d = [0.1, 0.2, -0.3, 0.4, 0.5, -0.6, 0.7]  # 0.1 + 0.2 - 0.3 is 5.6e-17, and a tie
    assert sign_flip(d).p == brute(d) == sign_flip([round(10 * x) for x in d]).p
    assert sign_flip([1e-9 * x for x in d]).p == sign_flip([1e9 * x for x in d]).p == sign_flip(d).p


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"differences": [1.0, math.nan]}, "finite"),
        ({"differences": [[1.0], [2.0]]}, "one finite number"),
        ({"differences": [1.0], "alpha": 0.0}, "between 0 and 1"),
        ({"differences": [1.0], "exact": 21}, "too many"),
        ({"differences": [1.0] * 20, "resamples": 18}, "draw more"),
    ],
)
def test_what_cannot_be_tested_is_said(asked, said):
    with pytest.raises(ValueError, match=said):
        sign_flip(**asked)


# ---------------------------------------------------------------------- properties


@given(st.one_of(whole, real).filter(any))
@settings(max_examples=EXAMPLES, deadline=None)
def test_p_is_the_share_of_patterns_that_are_as_far_out(d):
    assert sign_flip(d).p == brute(d)


@given(st.lists(st.integers(-9, 9), min_size=6, max_size=9), st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_interval_is_what_the_test_does_not_reject_and_nothing_else(d, alpha):
    """At its ends, a hair outside, a hair inside, and between: against the definition, pattern by pattern."""
    found = sign_flip(d, alpha=alpha)
    if found.interval is None:
        assert found.verdict == "degenerate"
        return
    low, high = found.interval
    hair = 1e-6  # means of at most nine whole numbers are much further apart
    for mu in (low, high, low + hair, high - hair, (low + high) / 2):
        if low <= mu <= high:
            assert brute([x - mu for x in d]) > alpha
    assert brute([x - (low - hair) for x in d]) <= alpha
    assert brute([x - (high + hair) for x in d]) <= alpha


@given(st.one_of(whole, real).filter(lambda d: any(d) and len(d) >= 6), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_zero_is_in_the_interval_if_and_only_if_it_is_not_rejected(d, drawn):
    found = sign_flip(d, exact=0 if drawn else EXACT)
    low, high = found.interval
    assert (low <= 0.0 <= high) == (found.p > ALPHA)
    assert low <= found.mean + 1e-9 * max(map(abs, d))
    assert found.mean - 1e-9 * max(map(abs, d)) <= high


@given(real.filter(lambda d: len(d) >= 6 and np.ptp(d) > 1e-3), st.sampled_from([-2.0, 0.5, 4.0]), st.integers(-8, 8))
@settings(max_examples=EXAMPLES, deadline=None)
def test_it_moves_and_turns_with_the_differences(d, factor, shift):
    one, other = sign_flip(d), sign_flip([factor * x for x in d])
    assert other.interval == pytest.approx(sorted(factor * end for end in one.interval), rel=1e-9, abs=1e-9)
    assert other.p == one.p
    moved = sign_flip([x + shift for x in d])
    assert moved.interval == pytest.approx([end + shift for end in one.interval], rel=1e-9, abs=1e-6)


# ---------------------------------------------------------------------- against others


@pytest.mark.parametrize("n", [2, 5, 6, 9, 12])
@pytest.mark.parametrize("kind", ["normal", "whole", "tenths", "zeros"])
def test_p_is_that_of_scipy_to_the_last_bit(n, kind):
    rng = np.random.default_rng(n)
    d = {
        "normal": rng.normal(0.4, 1.0, n),
        "whole": rng.integers(1, 5, n) * rng.choice([-1.0, 1.0], n),
        "tenths": np.round(rng.normal(0.5, 1.0, n), 1) + 0.1,
        "zeros": np.where(rng.random(n) < 0.5, 0.0, 1.0 + rng.random(n)) + (np.arange(n) == 0),
    }[kind]
    theirs = stats.permutation_test(
        (d,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=2**n, vectorized=True
    )
    assert sign_flip(d).p == theirs.pvalue


def test_sixteen_clusters_are_gone_through_and_are_scipys():
    d = np.random.default_rng(5).standard_t(3, 16) + 0.5
    theirs = stats.permutation_test(
        (d,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=2**16, vectorized=True
    )
    assert sign_flip(d).exact
    assert sign_flip(d).p == theirs.pvalue
    assert not sign_flip(np.r_[d, 1.0]).exact


def test_drawn_patterns_come_near_all_of_them_and_a_seed_repeats_them():
    d = np.random.default_rng(8).normal(0.5, 1.0, 16)
    exact, drawn = sign_flip(d), sign_flip(d, exact=0, seed=3)
    assert drawn.p == pytest.approx(exact.p, abs=4 * math.sqrt(exact.p * (1 - exact.p) / 10_000))
    assert drawn.interval == pytest.approx(exact.interval, abs=0.02)
    assert drawn == sign_flip(d, exact=0, seed=3) != sign_flip(d, exact=0, seed=4)


def test_a_drawn_p_counts_the_observed_pattern_itself_and_is_never_zero():
    assert sign_flip(np.ones(60)).p == 1 / 10_001  # none of 10,000 patterns is all of one sign
    few = sign_flip(np.arange(1.0, 18), resamples=99, seed=1)
    assert few.p == 1 / 100


def test_a_whole_comparison_takes_no_time():
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(64, 25))
    began = time.process_time()
    for d in tables:
        sign_flip(d)
    assert time.process_time() - began < 1.0  # some 0.07 s


# ---------------------------------------------------------------------- chance


def coverage(draw, n, courses=4_000, centre=0.0, seed=0):
    """Share of intervals that hold the centre."""
    rng = np.random.default_rng(seed)
    held = 0
    for course in range(courses):
        low, high = sign_flip(draw(rng, n), seed=course, resamples=999).interval
        held += low <= centre <= high
    return held / courses


SYMMETRIC = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(-1, 1, n),
    "student-2": lambda rng, n: rng.standard_t(2, n),  # its variance is infinite
    "cauchy": lambda rng, n: rng.standard_cauchy(n),  # nor has it a mean: the centre is what is covered
    "lognormal-two-sided": lambda rng, n: rng.choice([-1.0, 1.0], n) * rng.lognormal(0, 1.5, n),
    "unequal": lambda rng, n: rng.normal(size=n) * np.arange(1, n + 1),
    "mostly-zero": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)) + 1e-300,
    "coarse": lambda rng, n: rng.integers(-2, 3, n) + 0.0 + 1e-300,
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 12, 20])
@pytest.mark.parametrize("kind", SYMMETRIC)
def test_the_interval_covers_the_centre_of_what_is_symmetric_at_least_as_often_as_it_says(kind, n):
    covered = coverage(SYMMETRIC[kind], n)
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 4_000)
    if n <= EXACT and kind not in ("mostly-zero", "coarse"):  # Hartigan: exactly 1 - 2 floor(alpha 2^(n-1)) / 2^n
        exactly = 1 - 2 * math.floor(ALPHA * 2 ** (n - 1)) / 2**n
        assert covered == pytest.approx(exactly, abs=4 * math.sqrt(exactly * (1 - exactly) / 4_000))


@pytest.mark.slow
def test_the_mean_of_what_is_skewed_is_covered_less_often_than_it_says():
    """What the assumption is worth: the figures that docs/statistics.md states."""
    exponential = {n: coverage(lambda rng, n: rng.exponential(size=n), n, centre=1.0) for n in (6, 12, 20)}
    lognormal = {n: coverage(lambda rng, n: rng.lognormal(size=n), n, centre=math.exp(0.5)) for n in (6, 12, 20)}
    assert exponential == pytest.approx({6: 0.94, 12: 0.90, 20: 0.92}, abs=0.015)
    assert lognormal == pytest.approx({6: 0.90, 12: 0.85, 20: 0.87}, abs=0.02)
