"""What is measured of one view of one trajectory: vectors and a trace come in once; the statistics before anchors, less
those away from them, go out for every arrangement of anchors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tradearena.analysis.signatures.adjustment import covariates, of_windows, residuals
from tradearena.analysis.signatures.geometry import NOUGHT, STATISTICS, unit
from tradearena.analysis.signatures.rotation import Masks, weighted
from tradearena.analysis.signatures.separation import separation
from tradearena.analysis.signatures.trace import Trace
from tradearena.panel import Array
from tradearena.portfolio.covariance import shrinkage

DRIFTS = ("drift", "mahalanobis")

RAW = "_unadjusted"

MEASURES = tuple(name + suffix for suffix in ("", RAW) for name in (*STATISTICS, *DRIFTS))
"""Adjusted for volatility, momentum and length of text; and the same as they are."""

BLOCKWISE = ("auc", "balanced_accuracy")

PRIMARY = "effective_rank"
"""Declared before any data."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One view of one trajectory.

    Attributes:
        series: [K, 2 S] window statistics, adjusted and as they are.
        rows: [K, r] directions, adjusted and as they are, in as few dimensions as they take; `white` the same with
            their covariance taken out.
        common: [K, d] the adjusted ones in the space that other trajectories may share.
    """

    series: Array
    rows: tuple[Array, ...]
    white: tuple[Array, ...]
    common: Array

    @classmethod
    def of(cls, vectors: Array, trace: Trace, window: int, *, primary_only: bool = False) -> Seen:
        """Measure once what no arrangement of anchors changes.

        Args:
            primary_only: leave out all but the one that was declared beforehand.
        """
        explaining = covariates(trace)
        if primary_only:
            ranks = STATISTICS[PRIMARY](vectors, window)[:, None]
            return cls(residuals(ranks, of_windows(explaining, window)), (), (), vectors)
        raw = np.column_stack([statistic(vectors, window) for statistic in STATISTICS.values()])
        series = np.hstack((residuals(raw, of_windows(explaining, window)), raw))
        rows, d = unit(vectors), vectors.shape[1]
        adjusted = unit(residuals(rows, np.hstack((explaining, explaining**2))))
        both = placed(adjusted), placed(rows)
        return cls(series, both, (whitened(both[0], d), whitened(both[1], d)), adjusted)

    def __len__(self) -> int:
        return len(self.series)


def placed(rows: Array) -> Array:
    """[K, r] with the scalar products of rows [K, d], in no more than K dimensions: all that distances depend on."""
    if rows.shape[1] <= len(rows):
        return rows
    values, axes = np.linalg.eigh(rows @ rows.T)
    kept = values > NOUGHT * max(float(values[-1]), 1e-300)
    found: Array = axes[:, kept] * np.sqrt(values[kept])
    return found


def whitened(rows: Array, d: int) -> Array:
    """[K, r] with the Ledoit-Wolf covariance of all steps taken out, per dimension: |x - y|^2 is then the squared
    Mahalanobis distance over d. Axes along which nothing varies are left out.

    Args:
        rows: [K, r] places of vectors of d dimensions.
    """
    X = rows - rows.mean(axis=0)
    squares, axes = np.linalg.eigh(X.T @ X)
    kept = squares > NOUGHT * max(float(squares[-1]), 1e-300)
    shrunk = shrinkage(np.vecdot(X, X), float(squares @ squares) / len(X) ** 2, d)
    variances = (1.0 - shrunk.intensity) * squares[kept] / len(X) + shrunk.intensity * shrunk.average
    white: Array = X @ (axes[:, kept] / np.sqrt(variances * d))
    return white


def differences(view: Seen, masks: Masks) -> Array:
    """[B, 2 (S + 2)] before anchors less away from them, in the order of `MEASURES`, or [B, 1] of the primary
    alone; NaN where either is missing."""
    series = weighted(masks.ends, view.series) - weighted(masks.calm, view.series)
    half = view.series.shape[1] // 2
    parts = [] if view.rows else [series]
    for part, (rows, white) in enumerate(zip(view.rows, view.white, strict=True)):
        parts += [series[:, part * half : (part + 1) * half], _drifts(rows, white, masks)]
    found = np.hstack(parts)
    found[~masks.whole] = np.nan
    return found


def _drifts(rows: Array, white: Array, masks: Masks) -> Array:
    """[B, 2] mean cosine distance, and mean squared Mahalanobis distance over d, from the centroid of the normal steps:
    of the steps before anchors less of the normal ones themselves."""
    before, normal = masks.steps @ rows, masks.normal @ rows
    cosine = np.vecdot(unit(normal), normal - before)
    before, normal = masks.steps @ white, masks.normal @ white
    squares = np.vecdot(white, white)
    spread = (masks.steps - masks.normal) @ squares - 2.0 * np.vecdot(before - normal, normal)
    return np.column_stack((cosine, spread))


def profile(view: Seen, masks: Masks, steps: Iterable[int]) -> Array:
    """[B, L] the primary statistic of windows that end so many steps after those before an anchor, less that of windows
    away from all anchors."""
    series = view.series[:, 0]
    places = np.arange(len(series))
    moved = []
    for lag in steps:
        at = places + lag
        inside = (at >= 0) & (at < len(series))
        moved.append(np.where(inside, series[np.clip(at, 0, len(series) - 1)], np.nan))
    found = weighted(masks.ends, np.column_stack(moved)) - weighted(masks.calm, series[:, None])
    found[~masks.whole] = np.nan
    return found


def blockwise(seen: Iterable[tuple[int, Seen, Masks]], gap: int, *, common: bool) -> Iterator[Array]:
    """[B, 2] for each path in turn: separation out of sample, the mean over its traces. `common`: are vectors of one
    width in one space?"""
    held = list(seen)
    if not held:
        return
    common = common and len({view.common.shape[1] for _, view, _ in held}) == 1
    paths = [path for path, _, _ in held]
    rows = _in_one_space([view for _, view, _ in held]) if common else [view.white[0] for _, view, _ in held]
    found = separation(rows, [masks for _, _, masks in held], paths, gap=gap, common=common)
    for path in range(max(paths) + 1):
        own = found[[i for i, each in enumerate(paths) if each == path]]
        known = np.isfinite(own)
        counts = known.sum(axis=0)
        means: Array = np.full(counts.shape, np.nan)
        np.divide(np.where(known, own, 0.0).sum(axis=0), counts, out=means, where=np.greater(counts, 0))
        yield means


def _in_one_space(views: Sequence[Seen]) -> list[Array]:
    """[K, r] each, whitened by the covariance of all of them."""
    rows = [view.common for view in views]
    white = whitened(np.vstack(rows), rows[0].shape[1])
    edges = np.cumsum([len(each) for each in rows])[:-1]
    return np.split(white, edges)
