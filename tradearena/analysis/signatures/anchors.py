"""Where trouble begins: a price path comes in, the steps of its drawdown onsets go out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array

DEPTH = 3.0
"""A fall counts from so many standard deviations of one step's log return on, where no depth is given."""


def usual_depth(level: Array) -> float:
    """The fall, as a fraction, that counts on this path where none is given: 1 - exp(-`DEPTH` standard deviations)."""
    known = level[level > 0.0]
    spread = float(np.diff(np.log(known)).std()) if len(known) > 2 else 0.0
    return 1.0 - math.exp(-DEPTH * spread)


def onsets(level: Array, depth: float, spacing: int) -> list[int]:
    """The first step after each peak from which the path falls by `depth` or more before it rises above it.

    A new peak is looked for once the path has risen from its trough by as much, or by the usual depth where that is
    less: peaks and troughs by turns, so that one fall has one onset. The decision at a peak has seen no fall yet; the
    onset is the step after it. That a peak was one is known only later: anchors say where trouble began, and predict
    nothing.

    Args:
        level: [K] positive, at the decisions; NAV or the level of a book.
        depth: fraction in (0, 1).
        spacing: of two onsets that are fewer steps apart, the first stays.

    Raises:
        ValueError: depth or spacing is out of range.

    Source: directional changes, Guillaume, D. et al. (1997), Finance and Stochastics 1, 95-129.
    """
    if not 0.0 < depth < 1.0 or spacing < 1:
        raise ValueError(f"a depth of {depth} and a spacing of {spacing} steps make no anchors")
    found: list[int] = []
    rise = min(depth, usual_depth(level) or depth)
    falling, peak, trough = False, 0, 0
    values = level.tolist()
    for k, value in enumerate(values):
        if falling:
            trough = k if value < values[trough] else trough
            if value * (1.0 - rise) >= values[trough]:
                falling, peak = False, k
            continue
        peak = k if value > values[peak] else peak
        if value <= values[peak] * (1.0 - depth) and value < values[peak]:
            falling, trough = True, k
            if not found or peak + 1 - found[-1] >= spacing:
                found.append(peak + 1)
    return found


def independent(places: Iterable[int], apart: int) -> int:
    """How many of these steps can be chosen so that any two are `apart` or more from each other: windows around them
    have nothing in common, and only that many are evidence of their own."""
    count, last = 0, -math.inf
    for place in sorted(places):
        if place - last >= apart:
            count, last = count + 1, place
    return count


def marks(found: Sequence[int], steps: int) -> NDArray[np.bool_]:
    """[steps] True at the anchors."""
    made = np.zeros(steps, dtype=bool)
    made[list(found)] = True
    return made
