"""A CSV or Parquet file of somebody's comes in; its columns, their types and how DuckDB is to read it go out.

DuckDB may guess nothing of a CSV file: a second header would begin another table, and a line that begins with `#` make
comments of what follows one. All its cells are text.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import duckdb

from tradearena.errors import DataError

UNREADABLE = (duckdb.Error, OSError, UnicodeDecodeError, csv.Error)
"""What reading such a file may raise."""


class Source(NamedTuple):
    """One file as DuckDB is to read it: `sql` follows FROM, takes `path`, and calls the columns `c0`, `c1`, ..."""

    names: list[str]
    types: list[str]
    sql: str
    path: str


def source_of(path: Path, con: duckdb.DuckDBPyConnection) -> Source:
    """Look at the head of a file.

    Raises:
        DataError: the file is empty.
        UNREADABLE: it cannot be read.
    """
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))  # DuckDB takes a path for a pattern
    if path.suffix.lower() == ".parquet":
        described = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern]).fetchall()
        alias = ", ".join(f"c{i}" for i in range(len(described)))
        names, types = ([str(row[i]) for row in described] for i in (0, 1))
        return Source(names, types, f"read_parquet(?) AS t({alias})", pattern)
    with path.open(encoding="utf-8-sig", newline="") as text:
        first = text.readline()
    delimiter = max(",;\t|", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if not names:
        raise DataError(f"{path}: the file is empty")
    cells = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names)))
    dialect = f"auto_detect=false, header=true, delim='{delimiter}', quote='\"', escape='\"'"
    return Source(names, ["VARCHAR"] * len(names), f"read_csv(?, {dialect}, columns={{{cells}}})", pattern)
