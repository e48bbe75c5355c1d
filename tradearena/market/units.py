"""Finds changes of unit: bars come in, a mend that brings prices or volumes of a symbol to one unit goes out.

Vendors switch between pounds and pence, dollars and cents (prices by 100), shares and lots (volumes by 100 or 1000).
Levels are counted in decades: powers of ten against the unit of the symbol's last bars. A split moves prices and
volumes against each other, and is never taken for a change of unit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradearena.market.bars import Bars, Remark
from tradearena.market.card import DAY
from tradearena.market.checks import counted
from tradearena.market.corrections import Mend
from tradearena.market.prints import true_range
from tradearena.panel import Array, Mask

RULE = "unit jump"

PRICE = 2
"""Decades by which a price changes with its unit."""

NEAR = np.log10(1.25)
"""An open is at 100 or 1/100 times the close before within this: a night moves it as well."""

VOLUMES = (2, 3)
"""Decades by which a volume changes with its unit."""

LEVEL, LOOSEST = 0.2, 0.4
"""The median volume before and after, brought to one unit, is the same within this many decades (a factor of 1.6), or
within three standard errors of that difference, but never beyond the second (2.5)."""

FEWEST = 4
"""Bars that a stretch needs on each side of a change of volume, or the last stretch of a price to be the standard."""

CALM = 3.0
"""The median true range before and after a change of volume differs by no more than this factor."""

NEARBY = 20
"""Bars before and after a jump of the price whose median volumes say whether it was a split."""


def prices(bars: Bars, _: np.timedelta64) -> Mend:
    """Prices between jumps by 100 or 1/100: all come to the unit of the last bars (if those are fewer than four, of
    the others). Volumes must not have moved against them."""
    factor = np.ones(len(bars))
    jumped, split = _jumps(bars)
    for run in bars.runs:
        jump = np.where(split[run], 0, jumped[run])
        level = jump.cumsum() - jump.sum()  # decades against the last bar
        kinds, counts = np.unique(level, return_counts=True)
        spread = np.log10(bars.values[run, :4].max(axis=1) / bars.values[run, :4].min(axis=1))
        if len(kinds) != 2 or split[run].any() or spread.max() > PRICE - NEAR:
            continue  # no jump, more than a change between two units, or one within a bar, which is a bad print
        standard = 0 if counts[kinds == 0][0] >= FEWEST else kinds[kinds != 0][0]
        factor[run] = 10.0 ** (standard - level)
    at = np.flatnonzero(factor != 1)
    values = bars.values[at]
    values[:, :4] = _scaled(values[:, :4], factor[at, None])
    return Mend(RULE, "the price changes by 100 from one bar to the next, and the volume does not", at, values)


def volumes(bars: Bars, step: np.timedelta64) -> Mend:
    """Volumes before a lasting change by 100 or 1000 at one bar come to the unit of those after it."""
    factor = np.ones(len(bars))
    for run in bars.runs:
        cut, decades = _change(bars, run, step)
        factor[run][:cut] = 10.0**decades
    at = np.flatnonzero((factor != 1) & (bars.values[:, 4] > 0))
    values = bars.values[at]
    values[:, 4] = _scaled(values[:, 4], factor[at])
    return Mend(RULE, "the volume changes by 100 or 1000 at one bar and stays, and the price does not", at, values)


def undecided(bars: Bars) -> Remark:
    """Jumps of the price by 100 or 1/100 that `prices` leaves: the volume moves against them as after a split, or is
    not known, or there are more than two units."""
    text = "opening prices at 100 or 1/100 times the close before, which may be splits or changes of unit"
    return counted(bars, "suspected splits", text, _jumps(bars)[0] != 0)


def _jumps(bars: Bars) -> tuple[NDArray[np.int64], Mask]:
    """[R]: decades (2 or -2) by which a bar opens above the close before, and whether that may be a split."""
    ratio = np.zeros(len(bars))
    ratio[1:] = np.where(bars.follows[1:], np.log10(bars.values[1:, 0] / bars.values[:-1, 3]), 0.0)
    jumped = np.where(np.abs(np.abs(ratio) - PRICE) < NEAR, PRICE * np.sign(ratio), 0).astype(np.int64)
    split = np.zeros(len(bars), dtype=np.bool_)
    for run in bars.runs:
        volume = bars.values[run, 4]
        for i in np.flatnonzero(jumped[run]):
            moved = _level(volume[i : i + NEARBY]) - _level(volume[max(0, i - NEARBY) : i])
            split[run.start + i] = not moved * np.sign(jumped[run.start + i]) > -PRICE / 2
    return jumped, split


def _level(volume: Array) -> float:
    """Median decades of the volumes there are; NaN where none is known."""
    known = volume[(volume > 0) & np.isfinite(volume)]
    return float(np.median(np.log10(known))) if len(known) else np.nan


def _change(bars: Bars, run: slice, step: np.timedelta64) -> tuple[int, int]:
    """Bars of a symbol before its volumes change unit, and by how many decades they do; 0, 0 if they do not."""
    volume = bars.values[run, 4]
    known = np.flatnonzero((volume > 0) & np.isfinite(volume))
    if len(known) < 2 * FEWEST:
        return 0, 0
    decades, clock = np.log10(volume[known]), _clock(bars, run, step)[known]
    cut = _steepest(decades - _by_kind(decades, clock, np.mean))
    if cut == 0:
        return 0, 0
    after = np.arange(len(known)) >= cut
    first = run.start + int(known[cut])
    moved = float(np.log10(bars.values[first, 0] / bars.values[first - 1, 3]))
    if not _calm(bars.values[run], int(known[cut])):
        return 0, 0
    for size in VOLUMES:
        for jump in (size, -size):
            level = decades - np.where(after, jump, 0)
            level -= _by_kind(level, clock, np.median)
            clear = (np.abs(level) < size / 2).all() and moved * np.sign(jump) > -size / 2
            if clear and _same(level[after], level[~after]):
                return int(known[cut]), jump
    return 0, 0


def _steepest(decades: Array) -> int:
    """Where to cut [n] in two so that the squares within both parts are least, at a step of more than a decade and
    with enough bars on both sides; 0 where that is nowhere."""
    n = len(decades)
    cuts = np.arange(FEWEST, n - FEWEST + 1)
    total = decades.cumsum()
    gain = (total[cuts - 1] - total[-1] * cuts / n) ** 2 / (cuts * (n - cuts))
    gain[np.abs(np.diff(decades)[cuts - 1]) <= 1] = 0
    return int(cuts[np.argmax(gain)]) if gain.any() else 0


def _calm(values: Array, cut: int) -> bool:
    """Whether the bars after a cut range about as far as those before it: news moves prices and volumes, a change of
    unit does not."""
    ranges = true_range(values)
    ranges[cut] = np.log(values[cut, 1] / values[cut, 2])  # a split is another matter
    before, after = np.median(ranges[:cut]), np.median(ranges[cut : cut + NEARBY])
    return bool(before <= CALM * after and after <= CALM * before)


def _same(before: Array, after: Array) -> bool:
    """Whether two levels agree. The standard error is that of normal medians, their spread by absolute deviations."""
    apart = abs(float(np.median(after) - np.median(before)))
    spread = 1.4826 * float(np.median(np.abs(np.concatenate((before, after)))))
    error = 1.2533 * spread * np.sqrt(1 / len(before) + 1 / len(after))
    return bool(apart < min(max(LEVEL, 3 * error), LOOSEST))


def _clock(bars: Bars, run: slice, step: np.timedelta64) -> NDArray[np.int64]:
    """What volumes are compared by: the time of day, where bars are shorter than one."""
    local = bars.local[run]
    if step >= DAY:
        return np.zeros(len(local), dtype=np.int64)
    return np.unique(local - local.astype("datetime64[D]"), return_inverse=True)[1]


def _by_kind(level: Array, kind: NDArray[np.int64], average: Callable[..., Any]) -> Array:
    """[n]: the average of the bars of the same kind."""
    found = np.empty(len(level))
    for one in np.unique(kind):
        found[kind == one] = average(level[kind == one])
    return found


def _scaled(values: Array, factor: Array) -> Array:
    """Values times a power of ten, as decimals: 12.34 comes back from 1234, and 1.1 becomes 110."""
    return np.where(factor < 1, values / np.round(1 / np.minimum(factor, 1)), np.round(values * factor, 9))
