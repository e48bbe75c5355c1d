"""The shape of a cloud of vectors as it moves: the vectors of a trajectory come in; one number for each window of it
goes out, in [K]: entry k is of the steps k - w + 1 to k, and NaN where they are too few, or say nothing.

A row of zeros is a step at which nothing was said. It is left out of directions, and a window with one has no rank.

Sources: Roy, O., Vetterli, M. (2007), "The effective rank", EUSIPCO, 606-610 (exponential of the entropy of the
normalised singular values); Gao, P. et al. (2017), bioRxiv 214262 (participation ratio as a dimension).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tradearena.panel import Array, Mask

NOUGHT = 1e-9
"""An eigenvalue below this part of their sum is rounding."""

TOGETHER = 2048
"""Windows whose matrices stand in memory together."""


def unit(vectors: Array) -> Array:
    """[K, d], each row at length 1; zeros stay."""
    lengths: Array = np.sqrt(np.vecdot(vectors, vectors))[:, None]
    rows: Array = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=rows, where=np.greater(lengths, 0.0))
    return rows


def effective_rank(vectors: Array, window: int) -> Array:
    """exp(H(p)) / min(w, d), with p the singular values of a window's [w, d] rows, divided by their sum, and H their
    entropy in nats: 1 where all directions are used alike, 1 / min(w, d) where all rows are one.

    Rows at length 1. The eigenvalues of the [w, w] matrix of scalar products are the squares of the singular values;
    neighbouring windows share all but one row of it, so each product is made once.
    """
    rows = unit(vectors)
    return _over_windows(rows, window, lambda grams: _entropy_rank(grams) / min(window, rows.shape[1]))


def participation(vectors: Array, window: int) -> Array:
    """(sum l)^2 / sum l^2 / min(w - 1, d), with l the eigenvalues of a window's covariance: the participation ratio.

    They are those of the centred [w, w] matrix of scalar products, of which only trace and norm are needed. NaN where
    all rows of a window are one.
    """
    rows = unit(vectors)
    centre = np.eye(window) - 1.0 / window
    bound = min(window - 1, rows.shape[1])
    return _over_windows(rows, window, lambda grams: _ratio(centre @ grams @ centre) / bound)


def step_length(vectors: Array, window: int) -> Array:
    """Mean of 1 - cos between neighbouring steps of a window: 0 where it stands still, in [0, 2]."""
    rows = unit(vectors)
    spoken: Mask = np.any(rows, axis=1)
    moves = np.where(spoken[1:] & spoken[:-1], 1.0 - np.vecdot(rows[1:], rows[:-1]), np.nan)
    return _mean_of(moves, window, 1)


def turn_rate(vectors: Array, window: int) -> Array:
    """Mean of 1 - cos between neighbouring moves of a window, in [0, 2]: 0 on a straight line, 2 back and forth. A step
    that does not move turns nowhere, and is left out."""
    rows = unit(vectors)
    ways = unit(np.diff(rows, axis=0))
    moved: Mask = np.any(ways, axis=1)
    turns = np.where(moved[1:] & moved[:-1], 1.0 - np.vecdot(ways[1:], ways[:-1]), np.nan)
    return _mean_of(turns, window, 2)


def local_rank(vectors: Array, window: int) -> Array:
    """Mean over a window of the effective rank, over its bound, of each step's `window` nearest steps (by angle,
    itself among them) anywhere in the trajectory: how many directions the neighbourhood has that it moves in."""
    rows = unit(vectors)
    spoken = np.flatnonzero(rows.any(axis=1))
    ranks = np.full(len(rows), np.nan)
    if len(spoken) >= window:
        held = rows[spoken]
        for begin in range(0, len(spoken), TOGETHER):
            near = np.argpartition(-(held[begin : begin + TOGETHER] @ held.T), window - 1, axis=1)[:, :window]
            near.sort(axis=1)  # the same steps in the same order: the same bits
            grams = np.array([held[each] @ held[each].T for each in near])
            ranks[spoken[begin : begin + TOGETHER]] = _entropy_rank(grams) / min(window, rows.shape[1])
    return _mean_of(ranks, window, 0)


STATISTICS = {
    "effective_rank": effective_rank,
    "participation": participation,
    "step_length": step_length,
    "turn_rate": turn_rate,
    "local_rank": local_rank,
}
"""What there is of each window; the first is declared beforehand."""


def _grams(rows: Array, window: int) -> Array:
    """[K - w + 1, w, w] scalar products of the rows of each window, as a view: B[i, j] is row i times row i + j."""
    steps = len(rows)
    if steps < window:
        return np.zeros((0, window, window))
    band = np.zeros((steps, window))
    for lag in range(window):
        np.vecdot(rows[: steps - lag], rows[lag:], out=band[: steps - lag, lag])
    i, j = np.indices((window, window))
    first, lag = np.minimum(i, j), np.abs(i - j)
    starts = np.arange(steps - window + 1)
    grams: Array = band[starts[:, None, None] + first, lag]
    return grams


def _over_windows(rows: Array, window: int, value: Callable[[Array], Array]) -> Array:
    """[K] from the windows' matrices; NaN for a window that is not full, or in which a row is zero."""
    grams, found = _grams(rows, window), np.full(len(rows), np.nan)
    spoken = (np.diagonal(grams, axis1=1, axis2=2) > 0.0).all(axis=1)
    ends = np.flatnonzero(spoken)
    for begin in range(0, len(ends), TOGETHER):
        some = ends[begin : begin + TOGETHER]
        found[some + window - 1] = value(grams[some])
    return found


def _entropy_rank(grams: Array) -> Array:
    """[n] exponential of the entropy of the normalised singular values, from their squares; NaN where all are 0."""
    squares = np.linalg.eigvalsh(grams)
    total = squares.sum(axis=1, keepdims=True)
    values = np.sqrt(np.where(squares > NOUGHT * total, squares, 0.0))
    sums = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, sums, out=np.zeros_like(values), where=sums > 0.0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    ranks: Array = np.where(sums[:, 0] > 0.0, np.exp(-(shares * logs).sum(axis=1)), np.nan)
    return ranks


def _ratio(grams: Array) -> Array:
    """[n] (tr G)^2 / ||G||^2; NaN where nothing varies."""
    trace = np.trace(grams, axis1=1, axis2=2)
    norm = (grams**2).sum(axis=(1, 2))
    ratios: Array = np.full(len(trace), np.nan)
    np.divide(trace**2, norm, out=ratios, where=np.greater(trace, NOUGHT))
    return ratios


def _mean_of(values: Array, window: int, lost: int) -> Array:
    """[K] means of the values of each window: `values[i]` is of the steps i to i + lost. What is NaN is left out."""
    steps, held = len(values) + lost, window - lost
    found = np.full(steps, np.nan)
    if steps < window or held < 1:
        return found
    inside = sliding_window_view(values, held)
    known = np.isfinite(inside)
    sums, counts = np.where(known, inside, 0.0).sum(axis=1), known.sum(axis=1)
    np.divide(sums, counts, out=found[window - 1 :], where=counts > 0)
    return found
