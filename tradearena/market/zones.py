"""Settles doubtful stamps: bars come in whose stamps may lack a zone, and bars with exact moments go out, with what was
decided.

A stamp with a zone or an offset is exact. One without is on the exchange's clock, which shows an hour twice when it is
put back, and skips one when it is put forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tradearena.errors import DataError
from tradearena.market.bars import Bars, Remark
from tradearena.market.card import DAY, DatasetCard, iso
from tradearena.market.clock import to_local
from tradearena.market.corrections import Correction, correction
from tradearena.panel import Times

HOUR = np.timedelta64(3_600_000_000, "us")

EXCHANGES = ("America/New_York", "Europe/London", "Europe/Berlin", "Australia/Sydney")
"""Where sessions open at one local time all year: one zone for each calendar of daylight saving."""

AGREE = 0.9
"""Share of the days on which the first bar is where the season has it."""


def mixed(bars: Bars, zone: ZoneInfo, *, stated: bool) -> list[Correction]:
    """Stamps without a zone among stamps that carry one are read on a clock that somebody has stated.

    Raises:
        DataError: nobody has; names the first such stamp.
    """
    if bars.naive.all() or not bars.naive.any():
        return []
    first, count = int(np.argmax(bars.naive)), int(bars.naive.sum())
    if not stated:
        advice = "say on which clock these are with --timezone, such as --timezone America/New_York"
        among = f"{count} of {len(bars)} stamps carry no zone and the others do"
        raise DataError(f"{bars.where(first)}: the stamp {_written(bars, first)} has no zone; {among}; {advice}")
    why = f"no zone, among stamps that carry one; read on the clock of {zone.key}"
    return [_stamped(bars, i, "mixed zones", why) for i in np.flatnonzero(bars.naive).tolist()]


def settled(bars: Bars, zone: ZoneInfo) -> tuple[Bars, list[Correction]]:
    """Bars at stamps that the clock shows twice, or never. Where a symbol has two bars at a repeated stamp, and read as
    first and second the stamps of the file run one way, they are that; else a stamp is the first of the two. What
    never was is moved on. A date alone is a day, whatever its clock does at midnight: it is read and not counted."""
    put_back = _put_back(bars, zone)
    doubtful = (put_back != np.timedelta64(0, "us")) & (bars.local != bars.local.astype("datetime64[D]"))
    if not doubtful.any():
        return bars, []
    stamp = bars.stamp.copy()
    twice = doubtful & (put_back > np.timedelta64(0, "us"))
    for rows in _series(bars, twice):
        for order in (rows, rows[::-1]):  # oldest first, newest first
            seen = stamp[order]
            again = twice[order] & _seen_before(seen)
            seen[again] += put_back[order][again]
            if (np.diff(seen) >= np.timedelta64(0, "us")).all():
                stamp[order] = seen
                break
    bars, was = bars.with_stamps(stamp), bars
    made = []
    for i in np.flatnonzero(doubtful).tolist():
        second = bars.stamp[i] != was.stamp[i]
        why = "read as the second of the two, by the order of the file" if second else "read as the first of the two"
        skipped = "is skipped by the clock; moved on"
        told = f"is shown twice by the clock of {zone.key}; {why}" if twice[i] else f"{skipped} of {zone.key}"
        made.append(_stamped(bars, i, "daylight saving", told))
    return bars.ordered(), made


def remarks(bars: Bars, card: DatasetCard, offsets: Sequence[np.timedelta64]) -> Iterator[Remark]:
    """What a reader ought to know of the stamps: offsets from UTC of several zones, and naive ones that look like UTC
    though the session keeps the hours of an exchange. The card has its frequency."""
    if offsets and max(offsets) - min(offsets) > HOUR:
        text = f"stamps carry offsets from {_hours(min(offsets))} to {_hours(max(offsets))}, further apart than"
        yield Remark("mixed zones", f"{text} daylight saving: each is taken as it says", len(offsets))
    if card.step >= DAY or not bars.naive.all():
        return
    for name in EXCHANGES:
        if (found := _moves_with(bars.local, ZoneInfo(name))) is not None:
            standard, saving = found
            fits = card.timezone == "UTC"
            read = "which is how they are read" if fits else f"but are read on the clock of {card.timezone}"
            advice = f"write them with a Z before a card says {name}" if fits else "give --timezone UTC"
            text = f"stamps without a zone look like UTC of sessions of {name}: the first bar is at {standard}, and at "
            yield Remark("daylight saving", f"{text}{saving} with daylight saving; {read}; {advice}", 1)
            return


def _moves_with(written: Times, zone: ZoneInfo) -> tuple[str, str] | None:
    """First times of the day under standard time and daylight saving, if they are an hour apart as the UTC of a session
    of that zone is."""
    midnights = written.astype("datetime64[D]").astype("datetime64[us]")
    days, day = np.unique(midnights, return_inverse=True)
    first = np.full(len(days), np.iinfo(np.int64).max)
    np.minimum.at(first, day, (written - midnights).astype(np.int64))
    noon: Times = np.add(days, 12 * HOUR)
    ahead = (to_local(noon, zone) - noon).astype(np.int64)
    seasons = [first[ahead == offset] for offset in np.unique(ahead)]
    if len(seasons) != 2 or min(map(len, seasons)) < 2:
        return None
    usual = [np.bincount(np.unique(season, return_inverse=True)[1]).argmax() for season in seasons]
    opens = [int(np.unique(season)[k]) for season, k in zip(seasons, usual, strict=True)]
    agree = [np.mean(season == at) >= AGREE for season, at in zip(seasons, opens, strict=True)]
    if not all(agree) or opens[0] - opens[1] != int(np.ptp(ahead)):
        return None
    midnight = np.datetime64(0, "us")
    standard, saving = (str(midnight + np.timedelta64(at, "us"))[11:16] for at in opens)
    return standard, saving


def _put_back(bars: Bars, zone: ZoneInfo) -> NDArray[np.timedelta64]:
    """[R]: how far the clock is put back at a naive stamp it shows twice; negative for one that it skips, else 0."""
    distinct, where = np.unique(bars.local[bars.naive], return_inverse=True)
    found = np.zeros(len(distinct), dtype="timedelta64[us]")
    for k, stamp in enumerate(distinct.tolist()):
        first, second = (stamp.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        found[k] = np.timedelta64(first - second, "us")
    put_back = np.zeros(len(bars), dtype="timedelta64[us]")
    put_back[bars.naive] = found[where]
    return put_back


def _series(bars: Bars, chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Bars of one file and symbol in the order of the file, for each series that has chosen ones."""
    order = np.lexsort((bars.row, bars.file, bars.symbol))
    new = (np.diff(bars.symbol[order]) != 0) | (np.diff(bars.file[order]) != 0)
    yield from (rows for rows in np.split(order, np.flatnonzero(new) + 1) if chosen[rows].any())


def _seen_before(stamps: Times) -> NDArray[np.bool_]:
    """[n]: the same stamp stands exactly once before, and nowhere after."""
    _, first, where, count = np.unique(stamps, return_index=True, return_inverse=True, return_counts=True)
    again: NDArray[np.bool_] = (count[where] == 2) & (np.arange(len(stamps)) != first[where])
    return again


def _stamped(bars: Bars, i: int, rule: str, why: str) -> Correction:
    return correction(bars, i, rule, "timestamp", _written(bars, i), iso(bars.stamp[i]), why)


def _written(bars: Bars, i: int) -> str:
    """A stamp as it stood, without a zone."""
    return str(bars.local[i].astype("datetime64[s]")).replace("T", " ")


def _hours(offset: np.timedelta64) -> str:
    """An offset from UTC: +05:30."""
    minutes = int(offset / np.timedelta64(1, "m"))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
