"""Lays raw bars on one calendar: bars and their card come in, a `Panel` of rows that do not overlap goes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradearena.errors import DataError
from tradearena.market.bars import Bars, Remark
from tradearena.market.card import DAY, DatasetCard, iso
from tradearena.panel import Mask, Panel, Times

FEWEST = 3
"""Fewer bars than this give no two returns."""

YEAR = np.timedelta64(31_557_600_000_000, "us")
"""365.25 days."""


def spans(bars: Bars, card: DatasetCard) -> tuple[Times, Times]:
    """Start and end [R] of every bar, UTC.

    A bar is as long as the card's frequency, but ends where the next one of its symbol starts (label "start"), or
    starts where the one before ended (label "end"): the last hour of a session may be half an hour.
    """
    length = card.step
    follows = bars.follows
    if card.label == "start":
        ends = bars.stamp + length
        inner = np.flatnonzero(follows) - 1
        ends[inner] = np.minimum(ends[inner], bars.stamp[inner + 1])
        return bars.stamp, ends
    starts = bars.stamp - length
    inner = np.flatnonzero(follows)
    starts[inner] = np.maximum(starts[inner], bars.stamp[inner - 1])
    return starts, bars.stamp


def lay_out(bars: Bars, starts: Times, ends: Times, card: DatasetCard, path: Path) -> tuple[Panel, list[Remark]]:
    """Put bars on the intersection or the union of their symbols' calendars.

    Raises:
        DataError: fewer than three bars are left, or bars of a union overlap without coinciding.
    """
    present = np.unique(bars.symbol)
    symbols = [bars.symbols[i] for i in present]
    column = np.searchsorted(present, bars.symbol)
    times, row = np.unique(bars.stamp, return_inverse=True)
    shared = np.bincount(row, minlength=len(times)) == len(symbols)
    kept = shared if card.calendar != "union" else np.ones(len(times), dtype=np.bool_)
    remarks = _mixed(shared, kept, row, symbols[int(np.argmin(np.bincount(column)))])
    _refuse_short(int(kept.sum()), symbols, np.bincount(column), path)
    inside = kept[row]
    row = (np.cumsum(kept) - 1)[row[inside]]
    start, end = _edges(row, starts[inside], ends[inside], card, path)
    cells = np.full((5, len(start), len(symbols)), np.nan)
    cells[:, row, column[inside]] = _in_shares(bars.take(inside), card).T
    panel = Panel.of(
        symbols,
        start,
        end,
        (cells[0], cells[1], cells[2], cells[3]),
        cells[4],
        sectors=[card.sector(symbol) for symbol in symbols],
        bars_per_year=float((len(end) - 1) / ((end[-1] - end[0]) / YEAR)),
    )
    return panel, remarks


def _edges(row: NDArray[np.int64], starts: Times, ends: Times, card: DatasetCard, path: Path) -> tuple[Times, Times]:
    """Start and end [T] of the rows, without overlap.

    A row ends when the last of its bars does. In a union of calendars that are shifted against each other, a row
    would show one symbol's close before its bar had ended, so that is refused; an hour is allowed to daily bars,
    whose clock moves by one with daylight saving.
    """
    first, last = np.zeros(int(row.max()) + 1, dtype=np.int64), np.zeros(int(row.max()) + 1, dtype=np.int64)
    first[:] = np.iinfo(np.int64).max
    np.minimum.at(first, row, starts.astype(np.int64))
    np.maximum.at(last, row, ends.astype(np.int64))
    start, end = first.view("datetime64[us]"), last.view("datetime64[us]")
    over = end[:-1] - start[1:]
    slack = np.timedelta64(3_600_000_000 if card.step >= DAY else 0, "us")
    if (over > slack).any():
        i = int(np.argmax(over))
        bars = f"{iso(start[i])} to {iso(end[i])} and {iso(start[i + 1])} to {iso(end[i + 1])}"
        advice = "a union needs bars on one grid: use the intersection, or datasets of their own"
        raise DataError(f"{path}: bars of different symbols overlap ({bars}); {advice}")
    if card.label == "start":
        end[:-1] = np.minimum(end[:-1], start[1:])
    else:
        start[1:] = np.maximum(start[1:], end[:-1])
    return start, end


def _in_shares(bars: Bars, card: DatasetCard) -> NDArray[np.float64]:
    """Values [R, 5] with the volume in shares or units."""
    values = bars.values.copy()
    if card.volume_unit == "none":
        values[:, 4] = np.inf
    elif card.volume_unit == "notional":
        values[:, 4] /= values[:, 3]
    values[:, 4] *= card.lot
    return values


def _mixed(shared: Mask, kept: Mask, row: NDArray[np.int64], poorest: str) -> list[Remark]:
    """What the choice of calendar costs, where the symbols do not share one."""
    lost = int((~kept)[row].sum())
    if lost:
        text = f"mixed calendars: the intersection keeps {kept.sum()} of {len(kept)} bar times and drops {lost} bars; "
        text += f"the fewest bars are those of {poorest}"
        return [Remark("mixed calendars", text, lost)]
    if not shared.all():
        text = f"mixed calendars: {(~shared).sum()} of {len(shared)} bar times of the union lack a symbol"
        return [Remark("mixed calendars", text, int((~shared).sum()))]
    return []


def _refuse_short(count: int, symbols: list[str], held: NDArray[np.int64], path: Path) -> None:
    if count >= FEWEST:
        return
    if int(held.min()) >= FEWEST:
        poor = symbols[int(np.argmin(held))]
        advice = f"the shortest is {poor} with {held.min()}; use the union, or leave symbols out"
        raise DataError(f"{path}: the {len(symbols)} symbols share only {count} bar times, and 3 are needed; {advice}")
    raise DataError(f"{path}: only {count} bars of {len(symbols)} symbols can be used; at least {FEWEST} are needed")
