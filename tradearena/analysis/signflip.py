"""The sign-flip test: one difference per cluster comes in; the mean difference, its p-value and its interval go out.

The one assumption: the differences d_1 .. d_n are independent, and each is distributed symmetrically about the same mu
(they need not be normal, nor equally spread). Then every pattern of signs of d - mu is as likely as every other. Where
treatment and control are exchangeable within a pair, as under no effect whatever, d is symmetric about 0 by
construction. Where the effect itself is skewed over markets, the interval is one of a centre of symmetry that is not
there; `docs/statistics.md` says what its coverage then is.

Everything follows from one identity. Let A be the differences whose signs are flipped, B the others, S_A and S_B the
sums of d - mu over them. Then

    |S_B - S_A| >= |S_A + S_B|   if and only if   S_A S_B <= 0   if and only if   mu is between mean(A) and mean(B).

Between the two lies the mean of all, for every A. So the p-value of mu is 1 at the mean and falls, in steps, on both
sides of it, at the means of subsets; the interval ends at two of them, and no grid is searched.

Sources: Fisher, R. A. (1935), The Design of Experiments, section 21 (the test); Hartigan, J. A. (1969), "Using
subsample values as typical values", JASA 64, 1303-1317 (the interval: the 2^n - 1 subset means cut the line into 2^n
pieces, each of which holds mu equally often).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tradearena.panel import Array

Verdict: TypeAlias = Literal["estimated", "too small", "degenerate"]

EXACT = 16
"""Clusters up to which all 2^n patterns of signs are gone through."""

RESAMPLES = 10_000
"""Patterns that are drawn beyond."""

ALPHA = 0.05
"""Two-sided."""

NOUGHT = 1e-12
"""A sum of differences below this part of the sum of their sizes is rounding, and counts as zero: a tie."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What n paired cluster differences say.

    Attributes:
        n: clusters.
        mean: of the differences; None without one. `sd` with n - 1 in the denominator; None with fewer than two.
        p: two-sided; None where there is nothing to test.
        interval: all mu that are not rejected at `alpha`; None where every mu, or nothing, would be in it.
        alpha: of test and interval.
        exact: were all patterns of signs gone through?
        verdict: `too small` for an interval, with fewer clusters than `fewest(alpha)`; `degenerate` where all
            differences are zero: the two arms were the same to the last bit, and there is nothing to estimate.
    """

    n: int
    mean: float | None
    sd: float | None
    p: float | None
    interval: tuple[float, float] | None
    alpha: float
    exact: bool
    verdict: Verdict


def sign_flip(
    differences: ArrayLike, *, alpha: float = ALPHA, seed: int = 0, resamples: int = RESAMPLES, exact: int = EXACT
) -> Effect:
    """Mean of paired differences, with the p-value of "it is zero" and the interval of what it may be.

    p is the share of the 2^n patterns of signs s with |sum s d| >= |sum d|: exactly, up to `exact` clusters; beyond,
    (1 + count) / (1 + resamples) of patterns drawn with `seed` (Phipson & Smyth 2010: never zero). A difference of
    zero stays in: it flips onto itself, which can only raise p. 0 is in the interval if and only if p > alpha, and the
    interval holds mu with a probability of at least 1 - alpha.

    Args:
        differences: [n] finite, one for each cluster.
        alpha: of the test, two-sided.
        seed: of the patterns drawn; the same seed gives the same answer.
        resamples: how many are drawn.
        exact: clusters up to which all patterns are gone through; at most 20.

    Raises:
        ValueError: a difference is not finite, or they are not a vector; alpha is not in (0, 1); too many patterns to
            go through, or too few drawn to ever reject at alpha.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not np.isfinite(d).all():
        raise ValueError("differences are one finite number for each cluster")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, but must lie between 0 and 1")
    if exact > 20:
        raise ValueError(f"2^{exact} patterns of signs are too many to go through; draw them beyond 20 clusters")
    if alpha * (resamples + 1) < 1:
        raise ValueError(f"of {resamples} patterns drawn, p is never as small as {alpha}; draw more")
    n, all_patterns = len(d), len(d) <= exact
    mean = float(d.mean()) if n else None
    sd = float(d.std(ddof=1)) if n > 1 else None
    if mean is None:
        return Effect(n, mean, sd, None, None, alpha, all_patterns, "too small")
    if not d.any():
        return Effect(n, mean, sd, None, None, alpha, all_patterns, "degenerate")
    splits = _all_splits(d) if all_patterns else _drawn_splits(d, resamples, seed)
    between = int(np.count_nonzero((splits.lower <= 0.0) & (splits.upper >= 0.0)))
    p = (splits.trivial + between) / splits.patterns
    interval = _interval(splits, alpha)
    return Effect(n, mean, sd, p, interval, alpha, all_patterns, "too small" if interval is None else "estimated")


def fewest(alpha: float = ALPHA, tests: int = 1) -> int:
    """Fewest clusters with which anything can be said: the smallest p there is, 2 / 2^n, is at most alpha / tests.

    For one test at 5 % that is 6. In a Holm family of `tests` the first p has to pass alpha / tests, so more are
    needed: 10 for eighteen.
    """
    return max(1, math.ceil(1 - math.log2(alpha / tests) - 1e-9))


def attainable(n: int, alpha: float = ALPHA, *, resamples: int = RESAMPLES, exact: int = EXACT) -> float:
    """How often p is at most alpha where there is no effect and no two sums are alike: the level that a test of n
    clusters has in truth. 12 / 256 for eight clusters at 5 %; never more than alpha, and 0 with fewer than `fewest`.

    p is a multiple of 2 / 2^n, a pattern of signs and its opposite being one; drawn, of 1 / (1 + resamples).
    """
    patterns = 2 ** max(n - 1, 0) if n <= exact else 1 + resamples
    return math.floor(alpha * patterns + 1e-9) / patterns


def level(differences: ArrayLike, *, alpha: float = ALPHA, exact: int = EXACT) -> float:
    """How often p is at most alpha where there is no effect, given how large these differences are: the share of the
    patterns of signs for which it is. `attainable` where no two sums are alike; ties and zeros make it smaller.

    Beyond `exact` clusters, where ties matter little, it is `attainable`.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) > exact or not d.any():
        return attainable(len(d), alpha, exact=exact) if d.any() else 0.0
    sums = np.array([d[-1]])
    for value in d[:-1]:
        sums = np.concatenate((sums + value, sums - value))
    sizes = np.sort(np.abs(sums))
    as_large = len(sizes) - np.searchsorted(sizes, sizes - NOUGHT * np.abs(d).sum())
    return float(np.mean(as_large <= alpha * len(sizes) + 1e-9))


class _Splits(NamedTuple):
    """Splits of the differences in two: `lower`, `upper` are the means of the halves. Patterns of signs that flip
    nothing, or everything, split nothing; they are as far out as the observed one, for every mu: `trivial`."""

    lower: Array
    upper: Array
    trivial: int
    patterns: int


def _all_splits(d: Array) -> _Splits:
    """Each pattern and its opposite are one split: 2^(n - 1) of them, the first trivial; the last difference stays."""
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in d[:-1]:
        sums, sizes = np.concatenate((sums, sums + value)), np.concatenate((sizes, sizes + 1.0))
    return _Splits(*_halves(d, sums[1:], sizes[1:]), trivial=1, patterns=len(sums))


def _drawn_splits(d: Array, resamples: int, seed: int) -> _Splits:
    """The observed pattern, which splits nothing, and those that are drawn."""
    flipped = np.random.default_rng(seed).integers(0, 2, (resamples, len(d)), dtype=np.int8).astype(np.float64)
    sizes = flipped.sum(axis=1)
    proper = (sizes > 0) & (sizes < len(d))
    halves = _halves(d, (flipped @ d)[proper], sizes[proper])
    return _Splits(*halves, trivial=1 + int(np.count_nonzero(~proper)), patterns=1 + resamples)


def _halves(d: Array, sums: Array, sizes: Array) -> tuple[Array, Array]:
    """The smaller and the larger mean of each split, from sum and size of one half."""
    others = d.sum() - sums
    nought = NOUGHT * np.abs(d).sum()
    one = np.where(np.abs(sums) <= nought, 0.0, sums) / sizes
    two = np.where(np.abs(others) <= nought, 0.0, others) / (len(d) - sizes)
    return np.minimum(one, two), np.maximum(one, two)


def _interval(splits: _Splits, alpha: float) -> tuple[float, float] | None:
    """A mu below the mean is rejected while (trivial + lower ends up to mu) / patterns is at most alpha: the interval
    begins at the first lower end with which it is more. The same from above."""
    place = math.floor(alpha * splits.patterns + 1e-9) - splits.trivial  # from 0
    if place < 0:
        return None
    low = np.partition(splits.lower, place)[place]
    high = -np.partition(-splits.upper, place)[place]
    return float(low), float(high)
