"""Judges raw bars, one small function per rule: bars come in, and fewer bars or a refusal go out.

`SIEVES` drop bars that are surely not bars of this dataset, and say how many. `BREACHES` are hard: one bar that breaks
such a rule makes the dataset unusable, and it is named. What forbids nothing is said in `remarks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tradearena.errors import DataError
from tradearena.market.bars import FIELDS, Bars, Remark
from tradearena.market.card import DAY, frequency_of
from tradearena.panel import Mask, Times
from tradearena.values import TOGETHER

RARE = 0.01
"""An offset from the grid in less than this share of the bars is no bar of this dataset."""


class Sieve(NamedTuple):
    """A rule that keeps bars: its name, what those are that it drops, and which [R] it keeps."""

    rule: str
    says: str
    keeps: Callable[[Bars, np.timedelta64], Mask]


def _finished(bars: Bars, _: np.timedelta64) -> Mask:
    """The last bar of a symbol that has an open and nothing else had not ended when the file was written."""
    last = np.append(~bars.follows[1:], np.True_)
    kept: Mask = ~(last & np.isfinite(bars.values[:, 0]) & np.isnan(bars.values[:, 1:4]).all(axis=1))
    return kept


def _once(bars: Bars, _: np.timedelta64) -> Mask:
    return ~_repeats(bars) | _contradicts(bars)


def _on_grid(bars: Bars, step: np.timedelta64) -> Mask:
    """Live quotes and half-finished bars stand at moments no other bar has. An offset is rare if only one bar time,
    or under 1 % of the bars, has it; it must be rare in UTC and in local time, since daylight saving moves one of
    the two. A symbol that would vanish is kept: it has a grid of its own."""
    grid = min(step, DAY)
    rare = _rare(bars.stamp, grid) & _rare(bars.local, grid)
    kept = np.bincount(bars.symbol, weights=~rare, minlength=len(bars.symbols))
    alone: Mask = kept == 0
    return ~rare | alone[bars.symbol]


def _rare(times: Times, grid: np.timedelta64) -> Mask:
    """[R]: the offset of a time within its bar length is hardly ever seen."""
    length = int(grid.astype(np.int64))
    kinds, kind, rows = np.unique(times.astype(np.int64) % length, return_inverse=True, return_counts=True)
    distinct = np.unique(times).astype(np.int64)
    moments = np.bincount(np.searchsorted(kinds, distinct % length), minlength=len(kinds))
    rare: Mask = ((moments == 1) | (rows < RARE * len(times)))[kind]
    return rare


def _repeats(bars: Bars) -> Mask:
    """[R]: same symbol and stamp as the bar before."""
    again = bars.follows
    again[1:] &= bars.stamp[1:] == bars.stamp[:-1]
    return again


def _contradicts(bars: Bars) -> Mask:
    """[R]: a repeated bar with other values."""
    again = _repeats(bars)
    again[1:] &= (bars.values[1:] != bars.values[:-1]).any(axis=1)
    return again


SIEVES = (
    Sieve("unfinished", "last bars with an open only", _finished),
    Sieve("duplicates", "exact copies of another bar", _once),
    Sieve("off grid", "bars off the grid, such as live quotes", _on_grid),
)


def sift(bars: Bars, step: np.timedelta64) -> tuple[Bars, list[Remark]]:
    """Drop what is surely no bar of this dataset, and say how much; `step` is the length of a bar."""
    remarks = []
    for sieve in SIEVES:
        kept = sieve.keeps(bars, step)
        if not kept.all():
            remarks.append(counted(bars, sieve.rule, f"{sieve.says}, dropped", ~kept))
            bars = bars.take(kept)
    return bars, remarks


def counted(bars: Bars, rule: str, says: str, found: Mask) -> Remark:
    """A remark on single bars [R]: what they are, how many, and where the first stands."""
    count = int(found.sum())
    first = f", first {bars.where(int(np.argmax(found)))}" if count else ""
    return Remark(rule, f"{says}: {count}{first}", count)


class Breach(NamedTuple):
    """A hard rule: what it says, and which bars [R] break it."""

    says: str
    breaks: Callable[[Bars], Mask]


def _missing(bars: Bars) -> Mask:
    """What is not finite in a file has been read as NaN; a volume of inf is a file without volumes."""
    return np.asarray(np.isnan(bars.values).any(axis=1))


def _worthless(bars: Bars) -> Mask:
    return np.asarray((bars.values[:, :4] <= 0).any(axis=1))


def _inverted(bars: Bars) -> Mask:
    return np.asarray(bars.values[:, 1] < bars.values[:, 2])


def _negative(bars: Bars) -> Mask:
    return np.asarray(bars.values[:, 4] < 0)


BREACHES = (
    Breach("a value is missing or not finite", _missing),
    Breach("a price is not positive", _worthless),
    Breach("the high is below the low", _inverted),
    Breach("the volume is negative", _negative),
    Breach("it contradicts another bar of the same symbol and stamp", _contradicts),
)


def refuse(bars: Bars) -> None:
    """Hold every bar against the hard rules.

    Raises:
        DataError: names file, row, symbol, stamp and values of the first bar that breaks one, and how many do; or a
            symbol that could stand in no table.
    """
    for symbol in bars.symbols:
        if "," in symbol or TOGETHER in symbol or not symbol.isprintable():
            unfit = f"a comma, '{TOGETHER}' or a control character"
            raise DataError(f"{bars.files[0]}: the symbol {symbol!r} has {unfit}; rename it")
    for breach in BREACHES:
        broken = breach.breaks(bars)
        if broken.any():
            first = int(np.argmax(broken))
            values = ", ".join(f"{name} {value:g}" for name, value in zip(FIELDS, bars.values[first], strict=True))
            more = f"; so do {broken.sum() - 1} more" if broken.sum() > 1 else ""
            raise DataError(f"{bars.where(first)}: {breach.says} ({values}){more}")


ENOUGH = 20
"""Bars of a symbol of which two, at least, follow one another directly, however seldom it trades."""


def one_length(bars: Bars, length: np.timedelta64) -> None:
    """Can the bars of all symbols be of this length?

    Raises:
        DataError: those of one symbol always lie twice as far apart or farther, and those of another do not: they may
            be longer, and a longer bar would be seen before it has ended.
    """
    steps = bars.steps(bars.stamp)
    least = {bars.symbol[run.start]: (run, steps[run][1:].min()) for run in bars.runs if run.stop - run.start > 1}
    apart = [run for run, step in least.values() if step >= 2 * length and run.stop - run.start >= ENOUGH]
    if apart and any(step < 2 * length for _, step in least.values()):
        first = apart[0].start
        symbol, minutes = bars.symbols[bars.symbol[first]], length / np.timedelta64(1, "m")
        own = least[bars.symbol[first]][1] / np.timedelta64(1, "m")
        raise DataError(
            f"{bars.files[bars.file[first]]}: the bars of {symbol} are never closer together than {own:g} minutes, and "
            f"a bar of this dataset lasts {minutes:g}: longer ones would be seen before they have ended; put {symbol} "
            "into a dataset of its own"
        )


def frequency(bars: Bars) -> str:
    """The most common step within a symbol, the shorter of two equally common.

    Raises:
        DataError: no symbol has two bars, or the step is no whole number of seconds.
    """
    steps = bars.steps(bars.stamp)
    kinds, counts = np.unique(steps[~np.isnat(steps) & (steps > np.timedelta64(0, "us"))], return_counts=True)
    if not len(kinds):
        raise DataError(f"{bars.files[0]}: no symbol has two bars; at least 3 are needed")
    try:
        return frequency_of(kinds[np.argmax(counts)])
    except ValueError as error:
        raise DataError(f"{bars.files[0]}: the most common step between bars is no bar length: {error}") from None
