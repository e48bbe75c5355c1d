"""Reads bars: CSV and Parquet files come in, one table of raw `Bars` goes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tradearena.market.bars import FIELDS, Bars, Remark
from tradearena.market.clock import to_local, to_utc
from tradearena.market.layout import layout_of
from tradearena.market.table import opened
from tradearena.panel import Array, Mask, Times


class Cell(NamedTuple):
    """A number that only a lenient reader understands: which file, which data row of it, whose, and as it stands."""

    file: int
    row: int
    symbol: str
    field: str
    text: str


class Reading(NamedTuple):
    """Bars as they stand in their files, and what a strict reader would have stumbled over. `offsets` from UTC are
    those that stamps of text carry."""

    bars: Bars
    remarks: list[Remark]
    cells: list[Cell]
    offsets: list[np.timedelta64]


@dataclass(frozen=True, slots=True)
class _Part:
    """The bars of one file: `row` counts its data rows from 0, `naive` are stamps without a zone, `values` [R, 5]."""

    row: NDArray[np.int64]
    symbol: NDArray[np.str_]
    stamp: Times
    naive: Mask
    values: Array
    closes_only: bool
    silent: bool
    cells: list[tuple[int, str, str, str]]
    offsets: list[np.timedelta64]


def read_bars(files: Sequence[Path], zone: ZoneInfo) -> tuple[Bars, list[Remark]]:
    """Read files that together are one dataset; naive stamps are on the clock of `zone`.

    Raises:
        DataError: a file that is no CSV or Parquet, a column that is missing, a cell that cannot be read.
    """
    return read(files, zone)[:2]


def read(files: Sequence[Path], zone: ZoneInfo, *, lenient: bool = False) -> Reading:
    """Read files as `read_bars` does; a lenient reader understands thousands separators.

    Raises:
        DataError: as `read_bars`; a separator that might as well be a decimal mark.
    """
    parts = [_part(path, lenient=lenient) for path in files]
    stamp = np.concatenate([part.stamp for part in parts])
    naive = np.concatenate([part.naive for part in parts])
    utc, local = stamp.copy(), stamp.copy()
    utc[naive], doubtful = to_utc(stamp[naive], zone)
    local[~naive] = to_local(stamp[~naive], zone)
    symbols, symbol = np.unique(np.concatenate([part.symbol for part in parts]), return_inverse=True)
    bars = Bars(
        files=tuple(files),
        symbols=tuple(symbols.tolist()),
        file=np.repeat(np.arange(len(parts)), [len(part.row) for part in parts]),
        row=np.concatenate([part.row for part in parts]),
        symbol=symbol,
        stamp=utc,
        local=local,
        naive=naive,
        values=np.concatenate([part.values for part in parts]),
    )
    cells = [Cell(i, *cell) for i, part in enumerate(parts) for cell in part.cells]
    offsets = sorted({offset for part in parts for offset in part.offsets})
    return Reading(bars.ordered(), list(_remarks(parts, int(doubtful.sum()), zone)), cells, offsets)


def _remarks(parts: Sequence[_Part], doubtful: int, zone: ZoneInfo) -> Iterator[Remark]:
    if bare := sum(part.closes_only for part in parts):
        yield Remark("closes only", "there are closes only: open, high and low are set to the close", bare)
    if silent := sum(part.silent for part in parts):
        yield Remark("no volume", "there is no volume: orders of any size can be filled", silent)
    if doubtful:
        text = (
            f"stamps that occur twice (the first is meant) or never (moved on) on the clock of {zone.key}: {doubtful}"
        )
        yield Remark("daylight saving", text, doubtful)


def _part(path: Path, *, lenient: bool) -> _Part:
    """Read one file and lay the bars of all its symbols below each other."""
    with opened(path) as table:
        layout = layout_of(table.names, str(path))
        table.load({*layout.stamp, *layout.numbers, *([] if layout.symbol is None else [layout.symbol])})
        stamp, naive = table.stamps(layout.stamp)
        grouped = table.ungroup(layout.numbers, layout.volumes) if lenient else []
        offsets = table.offsets(layout.stamp) if lenient else []
        numbers = table.numbers(layout.numbers)
        owner = None if layout.symbol is None else table.words(layout.symbol)
    row = np.arange(len(stamp))
    parts = []
    for name, fields in layout.series.items():
        unknown = np.full(len(row), np.inf)  # no volume column: capacity is not bounded
        values = np.stack([numbers[fields[field]] if field in fields else unknown for field in FIELDS], axis=1)
        there = _present(values) if layout.wide else np.ones(len(row), dtype=np.bool_)
        symbol = np.full(len(row), name or path.stem) if owner is None else owner
        parts.append((row[there], symbol[there], stamp[there], naive[there], values[there]))
    silent = any("volume" not in fields for fields in layout.series.values())
    rows, symbols, stamps, naives, bars = (np.concatenate(column) for column in zip(*parts, strict=True))
    cells = []
    for at, column, text in grouped:
        name, field = layout.owners[column]
        cells.append((at, name or (path.stem if owner is None else str(owner[at])), field, text))
    return _Part(rows, symbols, stamps, naives, bars, layout.closes_only, silent, cells, offsets)


def _present(values: Array) -> Mask:
    """Where a wide table has a bar: an empty cell in all four prices is a symbol that did not trade."""
    return np.asarray(~np.isnan(values[:, :4]).all(axis=1))
