"""The paper's own statistics, flaws and all: traces come in; per group, view and probe what it would print goes out,
beside what the same definitions give on shuffled text and on random vectors.

Source: "Representation Signatures and Risk-Feedback Alignment in LLM Trading Agents" (arXiv 2605.28850), where it is
silent the author's `tradearena-benchmark` 0.2.0 (`tradearena/experiments/paper.py`, MIT): the normalised structured
numbers, relative term frequencies, the joined documents of the fused lsa32, and that fewer than 12 steps are left out.
It is here to be looked at, not to be used: every definition says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tradearena.analysis.signatures.trace import RISK, Trace
from tradearena.panel import Array

WIDTH, SHORTEST, ALPHA = 4, 12, 0.05
ALL = "all"
Indices: TypeAlias = NDArray[np.intp]

STRUCTURED = ("gross", "net", "largest", "turnover", "clipped")

_STILL = 1e-12
"""A variance of coordinates up to this is rounding: vectors have length 1, and sums of squares cancel."""


class Spread(NamedTuple):
    """Mean of a statistic over the draws, and the 2.5 % and 97.5 % quantiles."""

    mean: float
    low: float
    high: float


class Published(NamedTuple):
    """One line of the paper's table; statistics are means over anchors, None without an anchor.

    Attributes:
        falls, rises: anchors whose delta is above and below zero.
        equal_delta, equal_contraction_rate: not the paper's. The 4 steps before against every 4 consecutive normal
            steps of the same trajectory: mean difference, and share of such windows of higher rank, ties by half.
        shuffled: by statistic, with the texts of each trajectory permuted over its steps; empty without draws. The
            structured numbers of a fused hash64 stay where they are, so there equal sizes need not give 0.5.
        random: the same with vectors of the same number and dimension, uniform on the sphere.
    """

    group: str
    view: str
    probe: str
    n_trajectories: int
    n_anchors: int
    falls: int
    rises: int
    delta: float | None
    contraction_rate: float | None
    shift: float | None
    balanced_accuracy: float | None
    equal_delta: float | None
    equal_contraction_rate: float | None
    shuffled: Mapping[str, Spread]
    random: Mapping[str, Spread]


STATISTICS = Published._fields[7:13]


class Anchors(NamedTuple):
    """`at` [A] steps; `normal` [A, K] 1.0 at the normal steps of each; `runs` [A, K - 3] 1.0 where a run of 4 normal
    steps begins."""

    at: Indices
    normal: Array
    runs: Array


class Embedded(NamedTuple):
    """Vectors of one trajectory: `said` [K, d] follows the texts when they are shuffled, `fixed` [K, e] does not."""

    said: Array
    fixed: Array

    def vectors(self, order: Indices | slice = slice(None)) -> Array:
        """[K, d + e], normalised, the texts in another order."""
        return unit(np.hstack((self.said[order], self.fixed))) if self.fixed.size else self.said[order]


def tokens(text: str) -> list[str]:
    """Lower-cased words of two or more Latin letters, digits, `_`, `-`. Wrong: other scripts and numbers vanish."""
    return re.findall(r"[a-zA-Z][a-zA-Z0-9_-]+", text.lower())


def hash64(texts: Sequence[str]) -> Array:
    """[n, 64]: every token adds its sign to its bucket, normalised; zeros without a token.

    Wrong: with 64 buckets, words that have nothing in common share one.
    """
    found = np.zeros((len(texts), 64))
    places: dict[str, tuple[int, int]] = {}
    for row, text in zip(found, texts, strict=True):
        for token, count in Counter(tokens(text)).items():
            if token not in places:
                digest = hashlib.sha256(token.encode()).digest()
                places[token] = int.from_bytes(digest[:4], "big") % 64, 1 - 2 * (digest[4] % 2)
            bucket, sign = places[token]
            row[bucket] += sign * count
    return unit(found)


def lsa32(texts: Sequence[str]) -> Array | None:
    """[n, 32 or fewer]: TF-IDF of at most 768 tokens, uncentred SVD, rows of U S cut and normalised; None where fewer
    than 3 texts or 2 tokens are left. A silent text is zeros; in the author's code it is rounding at length 1.

    Wrong: fitted on the very texts that are tested, those of the drawdowns among them.
    """
    counts = [Counter(tokens(text)) for text in texts]
    frequency = Counter(token for count in counts for token in count)
    known = sorted(
        (token for token, n in frequency.items() if n >= 2 and len(token) > 2), key=lambda w: (-frequency[w], w)
    )
    column = {token: place for place, token in enumerate(known[:768])}
    if len(column) < 2 or len(texts) < 3:
        return None
    X = np.zeros((len(texts), len(column)))
    for row, count in zip(X, counts, strict=True):
        kept = {token: n for token, n in count.items() if token in column}
        for token, n in kept.items():
            row[column[token]] = n / sum(kept.values()) * (np.log((1 + len(texts)) / (1 + frequency[token])) + 1.0)
    _, axes = np.linalg.eigh(X.T @ X)  # X = U S V', so U S = X V
    return unit(X @ axes[:, ::-1][:, : min(32, *X.shape)])


def structured(trace: Trace) -> Array:
    """[K, 6] normalised. The paper: mean score and confidence of the signals, risk violations, fill ratio, slippage,
    drawdown. The first five are on no record here; in their place stand `STRUCTURED`, as the nearest there is.

    Wrong: drawdown chooses the anchors, so the outcome is a feature.
    """
    return unit(np.column_stack((trace.risk[:, [RISK.index(name) for name in STRUCTURED]], drawdown(trace.nav))))


def drawdown(nav: Array) -> Array:
    """[K] at most 0: NAV over its highest so far, less 1. Wrong: of the decisions' bars only."""
    below: Array = nav / np.maximum.accumulate(nav) - 1.0
    return below


def rank(variances: Array) -> Array:
    """(sum v)^2 / sum v^2 over the last axis, coordinate sample variances; 0 where nothing varies.

    Wrong: it grows with the number of vectors, and depends on the axes, so it is no rank of their covariance.
    """
    v = np.where(variances > _STILL, variances, 0.0)
    squares = np.einsum("...d,...d->...", v, v)
    ranks: Array = (v @ np.ones(v.shape[-1])) ** 2 / np.where(squares > 0.0, squares, 1.0)
    return ranks


def anchors(nav: Array) -> Anchors:
    """Of the steps from the fifth on with drawdown < 0 the min(12, max(4, K // 5)) deepest, and the normal steps of
    each: outside [a - 4, a + 4), drawdown at or above its (upper) median, or all outside if those are fewer than 2.

    Wrong: troughs, not onsets, mostly neighbours in one drawdown whose windows overlap; and chosen from the whole path.
    """
    depth, steps = drawdown(nav), np.arange(len(nav))
    candidates = steps[WIDTH:][depth[WIDTH:] < 0.0] if len(nav) >= SHORTEST else steps[:0]
    at = candidates[np.argsort(depth[candidates], kind="stable")][: min(12, max(4, len(nav) // 5))]
    outside = (steps < at[:, None] - WIDTH) | (steps >= at[:, None] + WIDTH)
    normal = outside & (depth >= np.sort(depth)[len(depth) // 2]) if len(at) else outside
    normal = np.where(normal.sum(axis=1, keepdims=True) < 2, outside, normal)
    last = max(len(nav) - WIDTH + 1, 0)
    runs = np.logical_and.reduce([normal[:, k : last + k] for k in range(WIDTH)])
    return Anchors(at, normal.astype(np.float64), runs.astype(np.float64))


def events(vectors: Array, found: Anchors) -> Array:
    """[A, 6] for each anchor, in the order of `STATISTICS`; the last two NaN where no 4 normal steps are consecutive.

    delta: rank of the normal steps less that of the 4 before. Wrong: 4 vectors against many, above 0 on any text.
    contraction_rate: is delta above 0? Wrong: as delta, so it is 0.9 to 1.0 on any text.
    shift: 1 - cosine of the means. Wrong: the mean of 4 is off that of many by noise alone; 1 where nothing was said.
    balanced_accuracy: of the nearer mean. Wrong: in sample, each of the 4 is a quarter of the mean it is compared with.
    """
    first, second = _runs(vectors), _runs(vectors**2)
    ranks = rank((second - first**2 / WIDTH) / (WIDTH - 1))
    before, n = found.at - WIDTH, found.normal.sum(axis=1, keepdims=True)
    sums = found.normal @ vectors
    delta = np.round(rank((found.normal @ vectors**2 - sums**2 / n) / (n - 1)) - ranks[before], 9)
    normal, pre = unit(sums), unit(first[before])
    nearer = 0.5 + 0.5 * np.sign((normal - pre) @ vectors.T)  # [A, K] 1 where nearer to normal, 0.5 where neither
    hits = (found.normal * nearer / n).sum(axis=1), 1.0 - _runs(nearer.T)[before, np.arange(len(before))] / WIDTH
    higher = np.round(ranks - ranks[before][:, None], 9)
    runs = found.runs.sum(axis=1)
    runs[runs == 0.0] = np.nan
    equal = [(found.runs * each).sum(axis=1) / runs for each in (higher, 0.5 + 0.5 * np.sign(higher))]
    return np.column_stack((delta, delta > 0.0, 1.0 - (normal * pre).sum(axis=1), sum(hits) / 2.0, *equal))


def published(traces: Sequence[Trace], seed: int = 0, shuffles: int = 100) -> list[Published]:
    """One row per group and "all" (everything pooled) x view (plan, fused) x probe (hash64, lsa32).

    Args:
        seed: of the shuffles and the random vectors; each trajectory has draws of its own, alike for all views.
        shuffles: draws of each; 0 leaves both out.
    """
    found = [anchors(trace.nav) for trace in traces]
    groups = list(dict.fromkeys([*(trace.group for trace in traces), ALL]))
    spheres: dict[tuple[int, int], list[Array]] = {}
    rows = []
    with threadpool_limits(limits=1, user_api="blas"):
        for (view, probe), held in embedded(traces).items():
            draws: dict[int, Array] = {}
            for i, (each, at) in enumerate(zip(held, found, strict=False)):
                if len(at.at):
                    size = i, each.vectors().shape[1]
                    if size not in spheres:
                        spheres[size] = _spheres(len(each.said), size, at, seed, shuffles)
                    rng = np.random.default_rng([seed, i])
                    mixed = (events(each.vectors(rng.permutation(len(each.said))), at) for _ in range(shuffles))
                    draws[i] = np.stack([events(each.vectors(), at), *mixed, *spheres[size]])
            for group in groups:
                own = [each for i, each in draws.items() if group in (ALL, traces[i].group)]
                rows.append(_row(group, view, probe, own))
    return sorted(rows, key=lambda row: groups.index(row.group))


def speaks(row: Published) -> bool:
    """Would a reader of the published table believe it? The paper gives no test. This is the one that its table, a rate
    over n anchors, invites: the two-sided sign test of the contraction rate against 0.5 at 5 %, anchors without a
    difference left out.

    Wrong: 0.5 is not what the rate is without an effect, and anchors are not independent.
    """
    from scipy.stats import binomtest

    n = row.falls + row.rises
    return n > 0 and bool(binomtest(row.falls, n, 0.5).pvalue <= ALPHA)


def unit(vectors: Array) -> Array:
    """Rows at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0.0, lengths, 1.0)


def embedded(traces: Sequence[Trace]) -> dict[tuple[str, str], list[Embedded]]:
    """By view and probe, one for each trace; none where the texts of all traces together do not yield an lsa32.

    fused: of hash64 the normalised concatenation of plan, reflect and the structured numbers; of lsa32 that of the two
    texts joined, as the author's code does it. Wrong: six numbers weigh as much as the whole plan (see `structured`).
    """
    ends = np.cumsum([0, *(len(trace) for trace in traces)])
    plan = [said.text for trace in traces for said in trace.plan]
    reflect = [said.text for trace in traces for said in trace.reflect]
    none = np.zeros((len(plan), 0))
    numbers = np.vstack([structured(trace) for trace in traces]) if traces else none
    whole: dict[tuple[str, str], tuple[Array | None, Array]] = {
        ("plan", "hash64"): (own := hash64(plan), none),
        ("plan", "lsa32"): (lsa32(plan), none),
        ("fused", "hash64"): (np.hstack((own, hash64(reflect))), numbers),
        ("fused", "lsa32"): (lsa32([f"{p} {r}" for p, r in zip(plan, reflect, strict=True)]), none),
    }
    return {
        key: [] if said is None else [Embedded(said[a:b], fixed[a:b]) for a, b in pairwise(ends)]
        for key, (said, fixed) in whole.items()
    }


def _runs(values: Array) -> Array:
    """[K - 3, ...] sums of 4 consecutive rows."""
    pairs = values[:-1] + values[1:]
    sums: Array = pairs[:-2] + pairs[2:]
    return sums


def _spheres(steps: int, size: tuple[int, int], at: Anchors, seed: int, draws: int) -> list[Array]:
    """[draws] of [A, 6] of random vectors; `size` is the number of the trajectory, and their dimension."""
    rng = np.random.default_rng([seed, *size])
    return [events(unit(rng.standard_normal((steps, size[1]))), at) for _ in range(draws)]


def _row(group: str, view: str, probe: str, own: Sequence[Array]) -> Published:
    """Pools the anchors of trajectories: of each [1 + draws + draws, A, 6], as recorded, shuffled and random."""
    if not own:
        return Published(group, view, probe, 0, 0, 0, 0, None, None, None, None, None, None, {}, {})
    pooled = np.concatenate(own, axis=1)
    n = (~np.isnan(pooled)).sum(axis=1)
    means = np.where(n > 0, np.nansum(pooled, axis=1) / np.maximum(n, 1), np.nan)  # [1 + draws + draws, 6]
    falls, rises = int((pooled[0, :, 0] > 0.0).sum()), int((pooled[0, :, 0] < 0.0).sum())
    delta, rate, shift, accuracy, equal, higher = (None if np.isnan(mean) else float(mean) for mean in means[0])
    statistics = delta, rate, shift, accuracy, equal, higher
    half = 1 + len(means) // 2
    nulls = _spreads(means[1:half]), _spreads(means[half:])
    return Published(group, view, probe, len(own), pooled.shape[1], falls, rises, *statistics, *nulls)


def _spreads(means: Array) -> dict[str, Spread]:
    """By statistic, of [draws, 6]; those that are not defined are left out."""
    if not len(means):
        return {}
    columns = np.vstack((means.mean(axis=0), np.quantile(means, (0.025, 0.975), axis=0))).T
    return {
        name: Spread(*map(float, held)) for name, held in zip(STATISTICS, columns, strict=True) if held[0] == held[0]
    }
