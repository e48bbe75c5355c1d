"""Where the anchors of a market path could as well have been: anchors come in; arrangements of them, all as likely as
the observed one if text and trouble have nothing to do with each other, go out.

The steps that can be anchors are laid on a circle. What lies closer together than `spacing` is a block, whichever
trajectories its anchors belong to: it moves as one, so that trajectories keep what they share. The gaps between the
blocks are permuted, and the whole is rotated by a chance angle. How anchors cluster, and how far they are from each
other, stays; where they are in time does not.

Source: rotation as the randomisation of an autocorrelated series, Besag, J., Clifford, P. (1989), Biometrika 76,
633-642 (p-values from draws that are exchangeable with the observed one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array, Mask

Places = NDArray[np.intp]


class Circle(NamedTuple):
    """The steps of a path that can be anchors: `first` to `last`, both inclusive; what lies nearer than `spacing` on it
    is one block."""

    first: int
    last: int
    spacing: int

    def __len__(self) -> int:
        return max(self.last - self.first + 1, 0)


def arrangements(
    anchors: Sequence[Sequence[int]], circle: Circle, draws: int, rng: np.random.Generator
) -> list[Places]:
    """For each trajectory of a path [1 + draws, n] the places of its n anchors; row 0 are the observed ones.

    Args:
        anchors: of each trajectory, steps of the path's clock that lie on the circle.
        circle: what they are moved about on.
        draws: how many arrangements.
        rng: which.
    """
    owner = np.array([r for r, own in enumerate(anchors) for _ in own], dtype=np.intp)
    place = np.array([a - circle.first for own in anchors for a in own], dtype=np.intp)
    order = np.argsort(place, kind="stable")
    owner, place = owner[order], place[order]
    rows = np.vstack((place[None, :], _moved(place, circle, draws, rng))) + circle.first
    return [rows[:, owner == r] for r in range(len(anchors))]


def _moved(place: Places, circle: Circle, draws: int, rng: np.random.Generator) -> Places:
    """[draws, n]."""
    if not len(place):
        return np.zeros((draws, 0), dtype=np.intp)
    block = np.concatenate(([0], np.cumsum(np.diff(place) >= circle.spacing)))
    starts = np.flatnonzero(np.concatenate(([True], np.diff(block) > 0)))
    begin, end = place[starts], place[np.concatenate((starts[1:], [len(place)])) - 1]
    length = end - begin
    gaps = np.concatenate((begin[1:], [begin[0] + len(circle)])) - end  # from the end of each block to the next one
    drawn = rng.permuted(np.tile(gaps, (draws, 1)), axis=1)
    turn = rng.integers(0, len(circle), draws)[:, None]
    strides = np.cumsum(drawn[:, :-1] + length[:-1], axis=1)
    new = turn + np.concatenate((np.zeros((draws, 1), dtype=np.intp), strides), axis=1)
    moved: Places = (new[:, block] + (place - begin[block])) % len(circle)
    return moved


class Masks:
    """Which steps and windows of one trajectory are before an anchor, and which are far from any: weights [B, K], one
    row for each arrangement, each row summing to 1 or, where there is none, to 0. Anchors that the trajectory has no
    whole window before (or does not reach: a place of -1) are none of its own.

    Attributes:
        ends: windows that end just before an anchor; `calm`: windows with no step in [a - w, a + w) of any anchor a.
        steps: steps in [a - w, a); `normal`: steps in no [a - w, a + w). `before` and `away`: the same, as masks.
        whole: [B] has it both a window before an anchor and one away from all?
    """

    def __init__(self, places: Places, steps: int, window: int) -> None:
        draws = len(places)
        hits = np.zeros((draws, steps + 1), dtype=np.int16)
        np.add.at(hits, (np.arange(draws)[:, None], np.where(places < window, steps, places)), 1)
        hits[:, steps] = 0
        sums = np.pad(np.cumsum(hits, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
        k = np.arange(steps)

        def within(low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.int32]:
            """Anchors in [low, high]."""
            made: NDArray[np.int32] = sums[:, np.clip(high + 1, 0, steps + 1)] - sums[:, np.clip(low, 0, steps + 1)]
            return made

        self.before: Mask = within(k + 1, k + window) > 0
        self.away: Mask = within(k - window + 1, k + window) == 0
        self.steps, self.normal = _weights(self.before), _weights(self.away)
        self.ends = _weights(np.where(k >= window - 1, hits[:, 1 : steps + 1], 0))
        clear = np.cumsum(np.pad(self.away, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
        full = np.zeros_like(self.away)
        full[:, window - 1 :] = clear[:, window:] - clear[:, :-window] == window
        self.calm = _weights(full)
        self.whole = (self.ends.any(axis=1)) & (self.calm.any(axis=1))


def _weights(chosen: NDArray[np.int16] | NDArray[np.int64] | Mask) -> Array:
    """Counts, each row divided by its sum."""
    counts: Array = chosen.astype(np.float64)
    sums: Array = counts.sum(axis=1, keepdims=True)
    np.divide(counts, sums, out=counts, where=np.greater(sums, 0.0))
    return counts


def weighted(weights: Array, values: Array) -> Array:
    """[B, q] means of values [K, q] under weights [B, K]; NaN is left out, and NaN comes out where nothing is known."""
    known: Mask = np.isfinite(values)
    mass: Array = weights @ known.astype(np.float64)
    means: Array = np.full(mass.shape, np.nan)
    np.divide(weights @ np.where(known, values, 0.0), mass, out=means, where=np.greater(mass, 1e-12))
    return means
