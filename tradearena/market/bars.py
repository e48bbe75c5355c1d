"""The long table between files and panel: raw bars with the place each came from, and what was remarked on them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradearena.market.card import iso
from tradearena.panel import Array, Mask, Times

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a user should know about the data that does not forbid its use: which rule, in words, how often."""

    rule: str
    text: str
    count: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Bars:
    """R raw bars, sorted by symbol, stamp and place in the files.

    `stamp` is UTC, `local` the same moment on the exchange's clock (as written, where it was naive, that is without a
    zone). `values` is [R, 5]: open, high, low, close, volume; NaN is a missing cell, a volume of inf a file without
    volumes.
    """

    files: tuple[Path, ...]
    symbols: tuple[str, ...]
    file: NDArray[np.int32]
    row: NDArray[np.int64]
    symbol: NDArray[np.int64]
    stamp: Times
    local: Times
    naive: Mask
    values: Array

    def __len__(self) -> int:
        return len(self.stamp)

    def take(self, chosen: Mask | NDArray[np.intp]) -> Bars:
        """The chosen bars, in the order chosen."""
        columns = ("file", "row", "symbol", "stamp", "local", "naive", "values")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def with_values(self, values: Array) -> Bars:
        """The same bars with other values [R, 5]."""
        return replace(self, values=values)

    def with_stamps(self, stamp: Times) -> Bars:
        """The same bars at other moments [R], UTC, in the order they stand in."""
        return replace(self, stamp=stamp)

    def ordered(self) -> Bars:
        """Sorted by symbol, stamp and place."""
        return self.take(np.lexsort((self.row, self.file, self.stamp, self.symbol)))

    @property
    def follows(self) -> Mask:
        """[R]: the bar before in the table is of the same symbol."""
        same: Mask = np.zeros(len(self), dtype=np.bool_)
        same[1:] = self.symbol[1:] == self.symbol[:-1]
        return same

    @property
    def runs(self) -> Iterator[slice]:
        """The bars of each symbol, one slice of the table after the other."""
        edges = np.append(np.flatnonzero(~self.follows), len(self)).tolist()
        return map(slice, edges[:-1], edges[1:])

    def steps(self, times: Times) -> NDArray[np.timedelta64]:
        """[R]: time since the bar before of the same symbol; NaT for the first of each."""
        step = np.full(len(self), np.timedelta64("NaT"), dtype="timedelta64[us]")
        step[1:] = times[1:] - times[:-1]
        step[~self.follows] = np.timedelta64("NaT")
        return step

    def where(self, i: int) -> str:
        """File, row, symbol and stamp of one bar, for people."""
        place = place_of(self.files[self.file[i]], int(self.row[i]))
        return f"{place}, {self.symbols[self.symbol[i]]} at {iso(self.stamp[i])}"


def place_of(path: Path, row: int) -> str:
    """Where a data row (counted from 0) stands: the line of a CSV file (the header is line 1), the row of a Parquet."""
    return f"{path}, {'line' if path.suffix.lower() == '.csv' else 'row'} {lines_of(path, [row])[0]}"


def lines_of(path: Path, rows: Sequence[int]) -> list[int]:
    """Where data rows stand, each as `place_of` numbers it; a CSV file is read through once for all of them."""
    if path.suffix.lower() != ".csv":
        return [row + 1 for row in rows]
    csv.field_size_limit(sys.maxsize)  # a file that has been read may be read again
    with path.open(encoding="utf-8-sig", newline="") as text:
        records = csv.reader(text)
        ends = [records.line_num for record in records if record]  # blank lines are no rows
    return [ends[row + 1] for row in rows]
