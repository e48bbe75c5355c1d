"""Recorded decisions: a CSV or Parquet file of weights comes in, an agent that repeats them goes out.

Long: `timestamp, symbol, weight`, optionally `rationale, confidence`. Wide: `timestamp` and one column per symbol,
optionally `rationale, confidence`. A row applies at the first bar that ends at or after its timestamp; at bars without
one, and where it states no weight at all, the position is kept. Naive timestamps are read in the dataset's zone. A date
alone is a day of that zone: on bars of a day or more it means the bar in which its noon lies, on shorter ones its end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from tradearena import stamps
from tradearena.agents.answer import decimal, stated
from tradearena.errors import DataError
from tradearena.panel import Times
from tradearena.stamps import Clock
from tradearena.tabular import UNREADABLE, source_of
from tradearena.values import Decision, Observation

_STAMPS = ("timestamp", "time", "date", "datetime")
_EXTRA = ("rationale", "confidence")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  on a clock whose zone is not known yet


@dataclass(frozen=True)
class Recording:
    """Decisions as stated, in time order. `times` [K]; `weights` [K] hold (symbol, text) pairs."""

    times: Times
    weights: tuple[tuple[tuple[str, str], ...], ...]
    rationales: tuple[str | None, ...]
    confidences: tuple[str | None, ...]
    digest: str

    @property
    def begins(self) -> np.datetime64:
        """Time of the first decision."""
        first: np.datetime64 = self.times[0]
        return first

    def unheard(self, ends: Times) -> str:
        """What of the recording decisions at bars that end at `ends` [K] never apply; "" where all do."""
        place = np.searchsorted(ends, self.times)
        late = int((place == len(ends)).sum())
        superseded = len(place) - late - len(np.unique(place[place < len(ends)]))
        said = [
            f"{superseded} were superseded by a later one before a bar ended" if superseded else "",
            f"{late} come after the last decision" if late else "",
        ]
        listed = " and ".join(part for part in said if part)
        return f"of {len(self.times)} recorded decisions {listed}" if listed else ""


class RecordedAgent:
    """Repeats a recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    async def decide(self, observation: Observation) -> Decision:
        """The latest row since the decision before this one, else keep."""
        times, ends = self.recording.times, observation.bars.end
        latest = int(np.searchsorted(times, ends[-1], side="right")) - 1
        since = observation.previous
        earlier = -1 if since is None else int(np.searchsorted(times, ends[since], side="right")) - 1
        if latest < 0 or latest <= earlier:
            return Decision(None)
        weights = self.recording.weights[latest]
        decision = stated(
            weights,
            observation.symbols,
            rationale=self.recording.rationales[latest],
            confidence=self.recording.confidences[latest],
        )
        return decision if weights else replace(decision, target=None)


def read_recording(path: Path, clock: Clock) -> Recording:
    """Read a file of decisions, its stamps by the clock of the bars that they are for.

    Raises:
        DataError: the file is missing or empty, lacks a column, or states two weights for one symbol at one time.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of decisions")
    columns, rows = _rows(path, clock)
    names = {name.lower(): place for place, name in enumerate(columns)}
    if not rows:
        raise DataError(f"{path}: holds no decisions")
    long = "symbol" in names and "weight" in names
    if not long and {"symbol", "weight"} & set(names):
        lacking = "weight" if "symbol" in names else "symbol"
        raise DataError(f"{path}: has no column '{lacking}'; long files need timestamp, symbol and weight")
    _refuse_second_stamp(path, columns, rows)
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    for number, row in enumerate(rows, start=1):
        if row[-1] is None:
            raise DataError(f"{path}, row {number}: cannot read the timestamp '{row[_stamp(columns, path)]}'")
        grouped.setdefault(int(row[-1]), []).append(row)
    times = sorted(grouped)
    pairs = tuple(_weights(path, columns, names, grouped[time], long=long) for time in times)

    def extra(name: str) -> tuple[str | None, ...]:
        place = names.get(name)
        return tuple(
            None if place is None else next((row[place] for row in grouped[time] if row[place] is not None), None)
            for time in times
        )

    return Recording(
        np.array(times, dtype="int64").view("datetime64[us]"),
        pairs,
        extra("rationale"),
        extra("confidence"),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _rows(path: Path, clock: Clock) -> tuple[list[str], list[tuple[Any, ...]]]:
    """All cells as text, with the timestamp in microseconds UTC (None if unreadable) behind them."""
    with duckdb.connect() as db:
        try:
            source = source_of(path, db)
            place = _stamp(source.names, path)
            text = f"trim(c{place}::VARCHAR)"
            if source.types[place] == "TIMESTAMP WITH TIME ZONE":
                instant, local = f"c{place}", "NULL::TIMESTAMP"
            else:
                instant = f"CASE WHEN {stamps.zoned(text)} THEN {stamps.instant(text)} END"
                dated = f"CASE WHEN length({text}) <= 10 THEN {12 if clock.daily else 24} ELSE 0 END"
                local = f"CASE WHEN NOT {stamps.zoned(text)} THEN {stamps.local(text)} + to_hours({dated}) END"
            cells = ", ".join(f"c{i}::VARCHAR" for i in range(len(source.names)))
            query = f"SELECT {cells}, epoch_us({instant}), epoch_us({local}) FROM {source.sql}"
            rows = db.execute(query, [source.path]).fetchall()
        except UNREADABLE as error:
            raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    naive = {row[-1] for row in rows if row[-1] is not None}
    utc = {None: None} | {local: _utc(local, ZoneInfo(clock.timezone)) for local in naive}
    return source.names, [(*row[:-2], utc[row[-1]] if row[-2] is None else row[-2]) for row in rows]


def _utc(local: int, zone: ZoneInfo) -> int | None:
    """A local time in microseconds as UTC, None beyond the calendar. One that occurs twice is the first of the two, one
    that never occurs is read with the offset before the change: as bars are read."""
    try:
        time = (_EPOCH + timedelta(microseconds=local)).replace(tzinfo=zone)
    except OverflowError:
        return None
    return (time.astimezone(UTC) - _EPOCH.replace(tzinfo=UTC)) // timedelta(microseconds=1)


def _stamp(columns: list[str], path: Path) -> int:
    """Place of the timestamp column."""
    for place, name in enumerate(columns):
        if name.lower() in _STAMPS:
            return place
    raise DataError(f"{path}: has no timestamp column; it has {', '.join(columns)}")


def _refuse_second_stamp(path: Path, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A column named like a stamp beside the stamp may be a symbol, TIME or DATE; but not where it says no numbers."""
    stamp = _stamp(columns, path)
    for place, name in enumerate(columns):
        if (
            place != stamp
            and name.lower() in _STAMPS
            and any(row[place] and decimal(row[place]) is None for row in rows)
        ):
            raise DataError(
                f"{path}: the columns {columns[stamp]} and {name} both say when; write one stamp, as in "
                "2024-01-31 09:30:00"
            )


def _weights(
    path: Path, columns: list[str], names: dict[str, int], rows: list[tuple[Any, ...]], *, long: bool
) -> tuple[tuple[str, str], ...]:
    """The weights stated at one time, as (symbol, text); an empty cell states nothing."""
    if long:
        cells = [(row[names["symbol"]], row[names["weight"]]) for row in rows]
    else:
        reserved = {_stamp(columns, path), *(names[name] for name in _EXTRA if name in names)}
        cells = [(name, row[place]) for row in rows for place, name in enumerate(columns) if place not in reserved]
    said: dict[str, str] = {}
    for symbol, weight in cells:
        if symbol is None or weight is None:
            continue
        if said.setdefault(symbol, weight) != weight:
            raise DataError(f"{path}: two weights for {symbol} at one time: {said[symbol]} and {weight}")
    return tuple(said.items())
