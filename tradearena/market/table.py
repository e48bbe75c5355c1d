"""One file opened with DuckDB: a CSV or Parquet path comes in, named columns of numbers, words and stamps go out.

A CSV file is read as text and parsed cell by cell, so that what cannot be read is named by its line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from tradearena import stamps
from tradearena.errors import DataError
from tradearena.market.bars import place_of
from tradearena.panel import Array, Mask, Times
from tradearena.tabular import UNREADABLE, source_of

SUFFIXES = (".csv", ".parquet")

_BLANK = "('', 'nan', 'null', 'none', 'na', 'n/a', '-')"
_GROUPED = r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?"
_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_MEASURED = ("FLOAT", "DOUBLE", "DECIMAL")
_EARLIEST, _LATEST = np.datetime64("1800-01-01", "us"), np.datetime64("2300-01-01", "us")


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Open a file for reading.

    Raises:
        DataError: neither CSV nor Parquet, not readable, or not a table.
    """
    with _database().cursor() as con:  # what it loads is its own
        try:
            yield Table(con, path)
        except UNREADABLE as error:
            raise DataError(f"{path}: cannot be read: {_brief(error)}") from None


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all files that a process reads: to make it takes 13 ms."""
    return duckdb.connect(config={"threads": 1, "enable_external_file_cache": False})  # a file may be written anew


if hasattr(os, "register_at_fork"):  # a child makes its own
    os.register_at_fork(before=_database.cache_clear)


class Table:
    """Columns of one file, by position. After `load` the wanted ones are in memory, in the order of the file."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.path = path
        self._con = con
        self._grouped = False  # whether 1,435.11 is a number
        self.names, self.types, self._source, self._pattern = source_of(path, con)

    def load(self, columns: Iterable[int]) -> None:
        """Copy columns into memory, in the order of the file's rows."""
        chosen = ", ".join(f"c{i}" for i in sorted(columns))
        self._con.execute(f"CREATE TEMP TABLE raw AS SELECT {chosen} FROM {self._source}", [self._pattern])

    def numbers(self, columns: list[int]) -> dict[int, Array]:
        """Columns as float64, NaN where a cell is empty or not finite.

        Raises:
            DataError: a cell that is not a number, or a column that cannot hold one.
        """
        self._refuse_unreadable(columns)
        selected = ", ".join(f"{self._number(i)} AS c{i}" for i in columns)
        fetched = self._con.execute(f"SELECT {selected} FROM raw ORDER BY rowid").fetchnumpy()
        return {i: _finite(fetched[f"c{i}"]) for i in columns}

    def ungroup(self, columns: list[int], whole: set[int]) -> list[tuple[int, int, str]]:
        """Take thousands separators for what they are, and say in which cells: row, column, text.

        A comma before each group of three digits may be a thousands separator or, if there is one only, a decimal
        mark. It is the former in columns of `whole` numbers, and where any number of the file has a decimal point or
        two commas.

        Raises:
            DataError: a cell that may be read either way.
        """
        text = [i for i in columns if self.types[i] == "VARCHAR"]
        cells: list[tuple[int, int, str]] = []
        for i in text:
            query = f"SELECT rowid, c{i} FROM raw WHERE regexp_full_match(trim(c{i}), '{_GROUPED}')"
            cells += ((row, i, cell) for row, cell in self._con.execute(query).fetchall())
        if not cells:
            return []
        told = any(cell.count(",") > 1 for _, _, cell in cells) or self._has_points(text)
        for row, column, cell in sorted(cells):
            if not (told or column in whole):
                place = f"{place_of(self.path, row)}, column '{self.names[column]}'"
                bare, point = cell.strip().replace(",", ""), cell.strip().replace(",", ".")
                raise DataError(f"{place}: '{cell}' may mean {bare} or {point}; write which, without a comma")
        self._grouped = True
        return sorted(cells)

    def offsets(self, columns: tuple[int, ...]) -> list[np.timedelta64]:
        """The offsets from UTC that stamps of text carry, each once."""
        if len(columns) == 1 and self.types[columns[0]] != "VARCHAR":
            return []
        text = _joined(columns)
        wall = f"TRY_CAST(regexp_replace({text}, '{stamps.ZONE}', '', 'i') AS TIMESTAMP)"
        offset = f"epoch_us({wall}) - epoch_us({stamps.instant(text)})"
        found = self._con.execute(f"SELECT DISTINCT {offset} FROM raw WHERE {stamps.zoned(text)}")
        return sorted(np.timedelta64(row[0], "us") for row in found.fetchall())

    def words(self, column: int) -> NDArray[np.str_]:
        """A column as text; every cell must have one."""
        query = f"SELECT coalesce(trim(CAST(c{column} AS VARCHAR)), '') AS word FROM raw ORDER BY rowid"
        words = np.ma.getdata(self._con.execute(query).fetchnumpy()["word"]).astype(np.str_)
        if (words == "").any():
            place = place_of(self.path, int(np.argmax(words == "")))
            raise DataError(f"{place}: the {self.names[column]} is missing")
        return words

    def stamps(self, columns: tuple[int, ...]) -> tuple[Times, Mask]:
        """A time column, or a date and a time of day, as datetime64[us], and which stamps carry no zone.

        Stamps with a zone or an offset are UTC, the others as written.

        Raises:
            DataError: a cell that is not a time, or a column that cannot hold one.
        """
        when, naive = self._stamp(columns)
        fetched = self._con.execute(f"SELECT {when} AS us, {naive} AS naive FROM raw ORDER BY rowid").fetchnumpy()
        micros = np.ma.filled(fetched["us"], np.iinfo(np.int64).min)
        times = micros.astype(np.int64).view("datetime64[us]")
        wrong = ~((times >= _EARLIEST) & (times < _LATEST))
        if wrong.any():
            row = int(np.argmax(wrong))
            cell = " ".join(str(self._cell(i, row)) for i in columns)
            advice = "write 2024-01-31, 2024-01-31 09:30:00 or 2024-01-31T14:30:00Z"
            raise DataError(f"{place_of(self.path, row)}: '{cell}' is not a time between 1800 and 2300; {advice}")
        return times, np.ma.getdata(fetched["naive"]).astype(np.bool_)

    def _number(self, column: int) -> str:
        kind = self.types[column].split("(")[0]
        if kind in _NUMERIC or kind in _MEASURED:
            return f"CAST(c{column} AS DOUBLE)"
        if kind != "VARCHAR":
            raise DataError(f"{self.path}: column '{self.names[column]}' is of type {kind}, not a number")
        return f"CASE WHEN lower(trim(c{column})) NOT IN {_BLANK} THEN TRY_CAST({self._digits(column)} AS DOUBLE) END"

    def _digits(self, column: int) -> str:
        """A cell of text as a number is to be read from it."""
        bare = f"trim(c{column})"
        grouped = f"regexp_full_match({bare}, '{_GROUPED}')"
        return f"CASE WHEN {grouped} THEN replace({bare}, ',', '') ELSE {bare} END" if self._grouped else bare

    def _has_points(self, text: list[int]) -> bool:
        """Whether any number has a decimal point, which one before each group of three digits need not be."""
        tests = " OR ".join(
            f"(contains(c{i}, '.') AND TRY_CAST(replace(c{i}, ',', '') AS DOUBLE) > 0 "
            f"AND NOT regexp_full_match(trim(c{i}), '\\d{{1,3}}(\\.\\d{{3}})+'))"
            for i in text
        )
        return bool(self._con.execute(f"SELECT coalesce(bool_or({tests}), false) FROM raw").fetchall()[0][0])

    def _refuse_unreadable(self, columns: list[int]) -> None:
        """Name the first cell of text that is neither empty nor a number."""
        text = [i for i in columns if self.types[i] == "VARCHAR"]
        if not text:
            return
        wrong = (f"lower(trim(c{i})) NOT IN {_BLANK} AND TRY_CAST({self._digits(i)} AS DOUBLE) IS NULL" for i in text)
        firsts = ", ".join(f"min(CASE WHEN {test} THEN rowid END)" for test in wrong)
        found = self._con.execute(f"SELECT {firsts} FROM raw").fetchall()[0]
        rows = [(row, i) for row, i in zip(found, text, strict=True) if row is not None]
        if not rows:
            return
        row, column = min(rows)
        cell = str(self._cell(column, row))
        advice = _advice(cell.strip())
        raise DataError(f"{place_of(self.path, row)}, column '{self.names[column]}': '{cell}' {advice}")

    def _stamp(self, columns: tuple[int, ...]) -> tuple[str, str]:
        """SQL for microseconds since 1970, and for whether a stamp carries no zone."""
        kind = self.types[columns[0]]
        if len(columns) > 1 or kind == "VARCHAR":
            text = _joined(columns)
            zoned, instant, local = stamps.zoned(text), stamps.instant(text), stamps.local(text)
            return f"CASE WHEN {zoned} THEN epoch_us({instant}) ELSE epoch_us({local}) END", f"NOT {zoned}"
        column = f"c{columns[0]}"
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"epoch_us({column})", "false"
        if kind == "DATE" or kind.startswith("TIMESTAMP"):
            return f"epoch_us(CAST({column} AS TIMESTAMP))", "true"
        raise DataError(f"{self.path}: column '{self.names[columns[0]]}' is of type {kind}, not a date or time")

    def _cell(self, column: int, row: int) -> object:
        return self._con.execute(f"SELECT CAST(c{column} AS VARCHAR) FROM raw WHERE rowid = {row}").fetchall()[0][0]


def _joined(columns: tuple[int, ...]) -> str:
    """SQL for a stamp of text, or for a date and a time of day."""
    return "trim(concat_ws(' ', " + ", ".join(f"c{i}" for i in columns) + "))"


def _advice(cell: str) -> str:
    """What to do about a cell that is no number."""
    if re.fullmatch(_GROUPED, cell):
        return f"has a thousands separator; write {cell.replace(',', '')}, or have `tradearena data import` take it out"
    if "," in cell and re.fullmatch(r"[+-]?[\d.,]+", cell):
        return "has a comma that separates no thousands; write a decimal point, and nothing between thousands"
    return "is not a number"


def _finite(fetched: object) -> Array:
    numbers = np.ma.filled(np.ma.asarray(fetched, dtype=np.float64), np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _brief(error: Exception) -> str:
    """What a reader says of a broken file, without its advice on its own options."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("Expected", "Invalid unicode", "Value with"))]
    return "; ".join([lines[0], *said[:1]]) if lines else type(error).__name__
