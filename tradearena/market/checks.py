"""Judges raw bars, one small function per rule: bars come in; a refusal, a sieve or a remark goes out.

`BREACHES` are hard: one bar that breaks such a rule makes the dataset unusable, and it is named. `SIEVES` drop bars
that are surely not bars of this dataset, and say how many. `LOOKS` change nothing: they say what a reader of results
ought to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.errors import DataError
from tradearena.market.bars import FIELDS, Bars, Remark
from tradearena.market.card import DAY, DatasetCard, frequency_of, step_of
from tradearena.values import Array, Mask, Times

BODY_TOLERANCE = 1e-6
"""Open and close may leave [low, high] by this fraction: vendors round adjusted prices field by field."""

SPLIT_TOLERANCE = 0.02
SPLIT_RATIOS: Array = np.array([*range(2, 51), 1.5])
"""An opening price at n or 1/n times the close before, n = 2..50 or 3:2, within `SPLIT_TOLERANCE`, looks unadjusted."""

RARE = 0.01
"""An offset from the grid in less than this share of the bars is no bar of this dataset."""


class Breach(NamedTuple):
    """A hard rule: what it says, and which bars [R] break it."""

    says: str
    breaks: Callable[[Bars], Mask]


def _missing(bars: Bars) -> Mask:
    """A volume of inf is a file without volumes; any other value that is not finite is missing or wrong."""
    prices, volume = bars.values[:, :4], bars.values[:, 4]
    broken: Mask = ~np.isfinite(prices).all(axis=1) | np.isnan(volume) | (volume == -np.inf)
    return broken


def _worthless(bars: Bars) -> Mask:
    broken: Mask = (bars.values[:, :4] <= 0).any(axis=1)
    return broken


def _inverted(bars: Bars) -> Mask:
    broken: Mask = bars.values[:, 1] < bars.values[:, 2]
    return broken


def _negative(bars: Bars) -> Mask:
    broken: Mask = bars.values[:, 4] < 0
    return broken


def _repeats(bars: Bars) -> Mask:
    """[R]: same symbol and stamp as the bar before."""
    again = bars.follows
    again[1:] &= bars.stamp[1:] == bars.stamp[:-1]
    return again


def _contradicts(bars: Bars) -> Mask:
    again = _repeats(bars)
    again[1:] &= (bars.values[1:] != bars.values[:-1]).any(axis=1)
    return again


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
        DataError: names file, row, symbol, stamp and values of the first bar that breaks one, and how many do.
    """
    for breach in BREACHES:
        broken = breach.breaks(bars)
        if broken.any():
            first = int(np.argmax(broken))
            values = ", ".join(f"{name} {value:g}" for name, value in zip(FIELDS, bars.values[first], strict=True))
            more = f"; {broken.sum()} bars do" if broken.sum() > 1 else ""
            raise DataError(f"{bars.where(first)}: {breach.says} ({values}){more}")


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


Sieve = Callable[[Bars, np.timedelta64], tuple[Mask, str]]


def _once(bars: Bars, _: np.timedelta64) -> tuple[Mask, str]:
    return ~_repeats(bars), "bars are exact copies of another: dropped"


def _on_grid(bars: Bars, step: np.timedelta64) -> tuple[Mask, str]:
    """Live quotes and half-finished bars stand at moments no other bar has. An offset is rare if only one bar time,
    or under 1 % of the bars, has it; it must be rare in UTC and in local time, since daylight saving moves one of
    the two. A symbol that would vanish is kept: it has a grid of its own."""
    grid = min(step, DAY)
    rare = _rare(bars.stamp, grid) & _rare(bars.local, grid)
    whole = np.bincount(bars.symbol, minlength=len(bars.symbols))
    kept = np.bincount(bars.symbol, weights=~rare, minlength=len(bars.symbols))
    alone = (kept == 0) & (whole > 0)
    return ~rare | alone[bars.symbol], f"bars are off the grid of {frequency_of(step)}, such as live quotes: dropped"


def _rare(times: Times, grid: np.timedelta64) -> Mask:
    """[R]: the offset of a time within its bar length is hardly ever seen."""
    whole = times.astype(np.int64)
    offset = whole % int(grid.astype(np.int64))
    kinds, kind, rows = np.unique(offset, return_inverse=True, return_counts=True)
    moments = np.bincount(np.searchsorted(kinds, np.unique(whole) % int(grid.astype(np.int64))), minlength=len(kinds))
    rare: Mask = ((moments == 1) | (rows < RARE * len(times)))[kind]
    return rare


SIEVES: tuple[tuple[str, Sieve], ...] = (("duplicates", _once), ("off grid", _on_grid))


def sift(bars: Bars, step: np.timedelta64) -> tuple[Bars, list[Remark]]:
    """Drop what is surely no bar of this dataset, and say how much."""
    remarks = []
    for rule, sieve in SIEVES:
        kept, says = sieve(bars, step)
        dropped = int((~kept).sum())
        if dropped:
            remarks.append(Remark(rule, f"{dropped} {says}", dropped))
            bars = bars.take(kept)
    return bars, remarks


Look = Callable[[Bars, DatasetCard], Iterator[Remark]]


def _outside(bars: Bars, _: DatasetCard) -> Iterator[Remark]:
    opened, high, low, close = bars.values[:, :4].T
    slack = BODY_TOLERANCE
    outside = (np.maximum(opened, close) > high * (1 + slack)) | (np.minimum(opened, close) < low * (1 - slack))
    yield _count(bars, "outside range", outside, "bars open or close outside their low and high")


def _idle(bars: Bars, _: DatasetCard) -> Iterator[Remark]:
    yield _count(bars, "zero volume", bars.values[:, 4] == 0, "bars have no volume: nothing can be traded in them")


def _splits(bars: Bars, card: DatasetCard) -> Iterator[Remark]:
    """Only where the market was closed between two bars: within a session a price may well halve by itself."""
    step = bars.steps(bars.stamp)
    apart = step >= DAY if step_of(_known(card)) >= DAY else step > step_of(_known(card))
    before = np.roll(bars.values[:, 3], 1)
    ratio = np.where(bars.follows, bars.values[:, 0] / before, 1.0)
    size = np.maximum(ratio, 1 / ratio)
    near = (np.abs(size[:, None] / SPLIT_RATIOS - 1) <= SPLIT_TOLERANCE).any(axis=1)
    yield _count(bars, "suspected splits", apart & near, "opening prices look like splits that are not adjusted")


def _gaps(bars: Bars, _: DatasetCard) -> Iterator[Remark]:
    """Cells without a bar between a symbol's first and last, on the calendar of all symbols together."""
    times, at = np.unique(bars.stamp, return_inverse=True)
    first, last = np.full(len(bars.symbols), len(times)), np.full(len(bars.symbols), -1)
    np.minimum.at(first, bars.symbol, at)
    np.maximum.at(last, bars.symbol, at)
    held = np.bincount(bars.symbol, minlength=len(bars.symbols))
    lost = np.where(held > 0, last - first + 1 - held, 0)
    worst = int(np.argmax(lost))
    text = f"{lost.sum()} bars are missing where other symbols have one, most in {bars.symbols[worst]} ({lost[worst]})"
    yield Remark("gaps", text, int(lost.sum()))


def _holes(bars: Bars, card: DatasetCard) -> Iterator[Remark]:
    """Steps of the whole calendar that are longer than a bar, after a time of day (of daily bars: a weekday) that is
    followed by the next bar more often than not. Nights and weekends are none; holidays are."""
    times, first = np.unique(bars.stamp, return_index=True)
    local = bars.local[first]
    bar = step_of(_known(card))
    usual = np.minimum(np.diff(times), np.diff(local)) <= bar  # by either clock: one of them is shifted twice a year
    day = local.astype("datetime64[D]")
    key: NDArray[np.int64] = (day.astype(np.int64) if bar >= DAY else (local - day).astype(np.int64))[:-1]
    key = np.zeros_like(key) if bar >= 7 * DAY else key % 7 if bar >= DAY else key
    kinds, kind = np.unique(key, return_inverse=True)
    share = np.bincount(kind, weights=usual, minlength=len(kinds)) / np.maximum(np.bincount(kind), 1)
    holes = int((~usual & (share[kind] > 0.5)).sum())
    text = f"{holes} steps are longer than {card.frequency} where a bar usually follows: holidays, or bars that are lost"
    yield Remark("holes", text, holes)


def _pace(bars: Bars, card: DatasetCard) -> Iterator[Remark]:
    seen = frequency(bars)
    differs = int(seen != card.frequency)
    yield Remark("frequency", f"the card says {card.frequency}, but the most common step is {seen}", differs)


def _raw(bars: Bars, card: DatasetCard) -> Iterator[Remark]:
    text = "prices are not adjusted: splits and dividends look like losses"
    yield Remark("unadjusted", text, 0 if card.adjusted else len(bars.symbols))


def _unsorted(bars: Bars, card: DatasetCard) -> Iterator[Remark]:
    strays = [name for name in bars.symbols if card.sectors and name not in card.sectors]
    yield Remark("sectors", f"the card gives no sector for {', '.join(strays[:5])}: unclassified", len(strays))


LOOKS: tuple[Look, ...] = (_raw, _pace, _unsorted, _outside, _idle, _splits, _gaps, _holes)


def look(bars: Bars, card: DatasetCard) -> list[Remark]:
    """What is worth saying of these bars; a rule that found nothing is silent. The card has its frequency."""
    return [remark for rule in LOOKS for remark in rule(bars, card) if remark.count]


def _count(bars: Bars, rule: str, found: Mask, says: str) -> Remark:
    """A remark on single bars: how many, and where the first stands."""
    count = int(found.sum())
    first = f", the first: {bars.where(int(np.argmax(found)))}" if count else ""
    return Remark(rule, f"{count} {says}{first}", count)


def _known(card: DatasetCard) -> str:
    assert card.frequency is not None  # noqa: S101  set before any look is taken
    return card.frequency
