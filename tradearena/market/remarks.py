"""Says what a reader of results ought to know of the bars, one small function per rule: bars come in, remarks go out.

Nothing is changed here. A rule that finds nothing is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradearena.market.bars import Bars, Remark
from tradearena.market.card import DAY, DatasetCard
from tradearena.market.checks import counted, frequency
from tradearena.panel import Array

BODY_TOLERANCE = 1e-6
"""Open and close may leave [low, high] by this fraction: vendors round adjusted prices field by field. Beyond it the
bar is still used as it stands: only the open is traded and only the close is marked."""

SPLIT_TOLERANCE = 0.02
SPLIT_RATIOS: Array = np.array([*range(2, 51), 1.5])
"""An opening price at n or 1/n times the close before, n = 2..50 or 3:2, within `SPLIT_TOLERANCE`, looks unadjusted."""

NEIGHBOURS, MOST = 3, 2 / 3
"""A bar usually follows if it did in more than `MOST` of the `NEIGHBOURS` sessions before and after."""

Look: TypeAlias = Callable[[Bars, DatasetCard], Remark]


def _raw(bars: Bars, card: DatasetCard) -> Remark:
    text = "prices are not adjusted: splits and dividends look like losses"
    return Remark("unadjusted", text, 0 if card.adjusted else len(bars.symbols))


def _midnight(bars: Bars, card: DatasetCard) -> Remark:
    """A session's date is no moment at which its bar has ended."""
    dated = any(bool((times == times.astype("datetime64[D]")).all()) for times in (bars.local, bars.stamp))
    doubtful = dated and card.label == "end" and card.step >= DAY
    text = 'bars labelled "end" carry a date alone: they are taken to end at its first moment, 00:00'
    return Remark("midnight", text, len(bars) if doubtful else 0)


def _pace(bars: Bars, card: DatasetCard) -> Remark:
    seen = frequency(bars)
    text = f"the card says {card.frequency}, but the most common step is {seen}"
    return Remark("frequency", text, int(seen != card.frequency))


def _unclassified(bars: Bars, card: DatasetCard) -> Remark:
    strays = [name for name in bars.symbols if card.sectors and name not in card.sectors]
    more = ", ..." if len(strays) > 5 else ""
    text = f"symbols without a sector on the card, unclassified: {len(strays)} ({', '.join(strays[:5])}{more})"
    return Remark("sectors", text, len(strays))


def _outside(bars: Bars, _: DatasetCard) -> Remark:
    opened, high, low, close = bars.values[:, :4].T
    above = np.maximum(opened, close) > high * (1 + BODY_TOLERANCE)
    below = np.minimum(opened, close) < low * (1 - BODY_TOLERANCE)
    return counted(bars, "outside range", "bars that open or close outside their low and high", above | below)


def _idle(bars: Bars, _: DatasetCard) -> Remark:
    return counted(bars, "zero volume", "bars without volume, in which nothing can be traded", bars.values[:, 4] == 0)


def _splits(bars: Bars, card: DatasetCard) -> Remark:
    """Only where the market was closed between two bars: within a session a price may well halve by itself."""
    step = bars.steps(bars.stamp)
    apart = step > (card.step if card.step < DAY else np.timedelta64(0, "us"))
    ratio = np.ones(len(bars))
    ratio[1:] = np.where(bars.follows[1:], bars.values[1:, 0] / bars.values[:-1, 3], 1.0)
    size = np.maximum(ratio, 1 / ratio)
    large = np.flatnonzero(apart & (size > SPLIT_RATIOS.min() * (1 - 2 * SPLIT_TOLERANCE)))
    near = (np.abs(size[large, None] / SPLIT_RATIOS - 1) <= SPLIT_TOLERANCE).any(axis=1)
    found = np.zeros(len(bars), dtype=np.bool_)
    found[large[near]] = True
    return counted(bars, "suspected splits", "opening prices that look like a split nobody adjusted for", found)


def _gaps(bars: Bars, _: DatasetCard) -> Remark:
    """Cells without a bar between a symbol's first and last, on the calendar of all symbols together."""
    times, at = np.unique(bars.stamp, return_inverse=True)
    first, last = np.full(len(bars.symbols), len(times)), np.full(len(bars.symbols), -1)
    np.minimum.at(first, bars.symbol, at)
    np.maximum.at(last, bars.symbol, at)
    held = np.bincount(bars.symbol, minlength=len(bars.symbols))
    lost = np.where(held > 0, last - first + 1 - held, 0)
    worst = int(np.argmax(lost))
    text = f"bars missing where other symbols have one: {lost.sum()}, most in {bars.symbols[worst]} ({lost[worst]})"
    return Remark("gaps", text, int(lost.sum()))


def _holes(bars: Bars, card: DatasetCard) -> Remark:
    """Steps of the whole calendar that are longer than a bar, after a time of day (of daily bars: a weekday) that is
    usually followed by the next bar. Nights and weekends are none; holidays are."""
    times, first = np.unique(bars.stamp, return_index=True)
    local = bars.local[first]
    usual = np.minimum(np.diff(times), np.diff(local)) <= card.step  # daylight saving stretches one of the two
    session = _session(local[:-1], card.step)
    found = np.zeros(len(usual), dtype=np.bool_)
    window = np.array([*[1] * NEIGHBOURS, 0, *[1] * NEIGHBOURS])
    for kind in np.unique(session):
        own = session == kind
        followed, seen = (np.convolve(x, window)[NEIGHBOURS:-NEIGHBOURS] for x in (usual[own], np.ones(own.sum())))
        found[own] = ~usual[own] & (seen > NEIGHBOURS) & (followed > MOST * seen)
    count = int(found.sum())
    at = f", first after {times[np.argmax(found)].astype('datetime64[s]')}Z" if count else ""
    text = f"steps longer than {card.frequency} where a bar usually follows (holidays, or lost bars): {count}{at}"
    return Remark("holes", text, count)


def _session(local: NDArray[np.datetime64], step: np.timedelta64) -> NDArray[np.int64]:
    """What bars are compared by: time of day, weekday of daily bars, nothing for longer ones."""
    day = local.astype("datetime64[D]")
    if step >= 7 * DAY:
        return np.zeros(len(local), dtype=np.int64)
    return day.astype(np.int64) % 7 if step >= DAY else (local - day).astype(np.int64)


LOOKS: tuple[Look, ...] = (_raw, _midnight, _pace, _unclassified, _outside, _idle, _splits, _gaps, _holes)


def look(bars: Bars, card: DatasetCard) -> list[Remark]:
    """What is worth saying of these bars; the card has its frequency."""
    return [remark for rule in LOOKS if (remark := rule(bars, card)).count]
