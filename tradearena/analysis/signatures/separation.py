"""Can states before trouble be told from normal ones, out of sample? Vectors and masks come in; AUC and balanced
accuracy, for every arrangement of the anchors, go out.

The classifier is Fisher's linear discriminant in whitened space: the difference of the two class means, cut half way.
It is trained on what has no step in common with what it is tried on: on the other market paths, or, where there is one
path (or vectors of different trajectories are in different spaces), on the other blocks of time of the same trajectory,
a gap left out on both sides. The whitening knows no labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tradearena.analysis.signatures.rotation import Masks
from tradearena.panel import Array, Mask

BLOCKS = 5
"""Blocks of time of a trajectory that is tried on itself."""


class Sides(NamedTuple):
    """Sums over the steps of a class [B, d] and their numbers [B, 1], for training."""

    before: Array
    n_before: Array
    normal: Array
    n_normal: Array

    def less(self, other: Sides) -> Sides:
        """Without the steps of another."""
        return Sides(*(a - b for a, b in zip(self, other, strict=True)))

    def plus(self, other: Sides) -> Sides:
        """With the steps of another."""
        return Sides(*(a + b for a, b in zip(self, other, strict=True)))


def separation(
    vectors: Sequence[Array], masks: Sequence[Masks], paths: Sequence[int], *, gap: int, common: bool
) -> Array:
    """[T, B, 2] AUC and balanced accuracy for each of T traces and B arrangements; NaN where a class is missing.

    Args:
        vectors: [K, d] of each trace, whitened.
        masks: of each trace.
        paths: number of the market path of each.
        gap: steps left out on both sides of a block.
        common: are the vectors of all traces in one space?
    """
    if common and len(set(paths)) > 1:
        return _across(vectors, masks, paths)
    return np.array([_within(rows, mask, gap) for rows, mask in zip(vectors, masks, strict=True)])


def _across(vectors: Sequence[Array], masks: Sequence[Masks], paths: Sequence[int]) -> Array:
    """Trained on all other paths."""
    sums = [_sides(rows, mask, slice(None)) for rows, mask in zip(vectors, masks, strict=True)]
    of_path: dict[int, Sides] = {}
    for path, sides in zip(paths, sums, strict=True):
        of_path[path] = of_path[path].plus(sides) if path in of_path else sides
    whole = next(iter(of_path.values()))
    for sides in list(of_path.values())[1:]:
        whole = whole.plus(sides)
    every = slice(None)
    return np.array(
        [
            _tried(rows, mask, every, whole.less(of_path[path]))
            for rows, mask, path in zip(vectors, masks, paths, strict=True)
        ]
    )


def _within(rows: Array, mask: Masks, gap: int) -> Array:
    """[B, 2] mean over the blocks in which both classes are."""
    found = np.array(list(_blocks(rows, mask, gap)))
    known = np.isfinite(found)
    counts = known.sum(axis=0)
    means: Array = np.full(counts.shape, np.nan)
    np.divide(np.where(known, found, 0.0).sum(axis=0), counts, out=means, where=np.greater(counts, 0))
    return means


def _blocks(rows: Array, mask: Masks, gap: int) -> Iterator[Array]:
    whole = _sides(rows, mask, slice(None))
    edges = np.linspace(0, len(rows), BLOCKS + 1).astype(int).tolist()
    for low, high in pairwise(edges):
        near = slice(max(low - gap, 0), high + gap)
        yield _tried(rows, mask, slice(low, high), whole.less(_sides(rows, mask, near)))


def _sides(rows: Array, mask: Masks, at: slice) -> Sides:
    before, normal = mask.before[:, at].astype(np.float64), mask.away[:, at].astype(np.float64)
    counts = (each.sum(axis=1, keepdims=True) for each in (before, normal))
    return Sides(before @ rows[at], next(counts), normal @ rows[at], next(counts))


def _tried(rows: Array, mask: Masks, at: slice, trained: Sides) -> Array:
    """[B, 2] of the steps `at`."""
    enough = (trained.n_before > 0.5) & (trained.n_normal > 0.5)
    one = trained.before / np.maximum(trained.n_before, 1.0)
    two = trained.normal / np.maximum(trained.n_normal, 1.0)
    way = one - two
    scores = way @ rows[at].T - np.vecdot(way, (one + two) / 2)[:, None]
    before, normal = mask.before[:, at], mask.away[:, at]
    found = np.column_stack((_auc(scores, before, normal), _balanced(scores, before, normal)))
    found[~(enough[:, 0] & before.any(axis=1) & normal.any(axis=1))] = np.nan
    return found


def _balanced(scores: Array, before: Mask, normal: Mask) -> Array:
    """[B] mean of the shares of both classes that are told right; a score of 0 is half right."""
    right = (np.sign(scores) + 1.0) / 2.0
    hits = (right * before).sum(axis=1) / np.maximum(before.sum(axis=1), 1)
    rejected = ((1.0 - right) * normal).sum(axis=1) / np.maximum(normal.sum(axis=1), 1)
    both: Array = (hits + rejected) / 2.0
    return both


def _auc(scores: Array, before: Mask, normal: Mask) -> Array:
    """[B] share of pairs of one of each class that are in order, ties as half (Mann & Whitney 1947): counted once with
    ties for, once with ties against."""
    pairs = np.maximum(before.sum(axis=1) * normal.sum(axis=1), 1)
    wins = 0.0
    for first in (before, ~before):
        order = np.lexsort((first, scores), axis=1)
        below = np.cumsum(np.take_along_axis(normal, order, axis=1), axis=1)
        wins = wins + (below * np.take_along_axis(before, order, axis=1)).sum(axis=1)
    share: Array = wins / pairs / 2.0
    return share
