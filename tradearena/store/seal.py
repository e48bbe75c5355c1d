"""The seal of an episode: every column of every row that belongs to it, and of what it refers to, as one SHA-256.

Bytes enter column by column, so that a seal grows with the rows as they are written and is the same however they were
cut into commits; `seal_of` makes it again from a file alone. No number is computed: it is exact on any machine.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import duckdb
import numpy as np

from tradearena.store.columns import Buffers, buffers, count, fetched, listed, starts
from tradearena.store.schema import EPISODE_TABLES, KEYS, TABLES, Column
from tradearena.store.texts import texts


class Seal:
    """A seal in the making: one running hash per column and side buffer."""

    def __init__(self) -> None:
        self.hashes: defaultdict[str, Any] = defaultdict(hashlib.sha256)

    def absorb(self, table: str, columns: Mapping[Column, Buffers]) -> None:
        """Take in the next rows of a table, if there are any."""
        if columns:
            absorb([self], table, columns, [count(columns)])

    def digest(self) -> bytes:
        """SHA-256 over the columns in the order of their names."""
        whole = hashlib.sha256()
        for key in sorted(self.hashes):
            whole.update(key.encode() + b"\x1f" + self.hashes[key].digest())
        return whole.digest()


def absorb(seals: Sequence[Seal], table: str, columns: Mapping[Column, Buffers], counts: Sequence[int]) -> None:
    """Have each seal take in its rows of a table, which stand one after the other, so many for each."""
    rows = list(accumulate(counts, initial=0))
    for column, held in columns.items():
        parts = [("data", held.data, starts(column, held, rows))]
        if held.side is not None:  # one entry a row, or where a vector holds a NULL as many as it has
            parts.append(("side", held.side.reshape(rows[-1], -1), rows))
        for part, data, places in parts:
            key, whole = f"{table}.{column.name}.{part}", np.ascontiguousarray(data)
            for seal, n, (begin, end) in zip(seals, counts, pairwise(places), strict=True):
                if n:
                    seal.hashes[key].update(whole[begin:end])


def rows_of(db: duckdb.DuckDBPyConnection, episode: str) -> Seal:
    """The rows of an episode on file, as a seal that can go on growing."""
    seal = Seal()
    for table in EPISODE_TABLES:
        seal.absorb(table, read(db, table, "WHERE episode = ?", [episode]))
    return seal


def setup_of(db: duckdb.DuckDBPyConnection, bars: Mapping[Column, Buffers] | None = None) -> bytes:
    """Digest of the set-up and the bars; the bars may be handed over where they were just written."""
    seal = Seal()
    seal.absorb("experiment", read(db, "experiment"))
    seal.absorb("bars", bars or read(db, "bars"))
    return seal.digest()


def closed(db: duckdb.DuckDBPyConnection, rows: Mapping[str, Seal], setup: bytes) -> dict[str, str]:
    """The seals of episodes, once their own rows say how they ended."""
    columns = read(db, "episode", "WHERE id IN (SELECT unnest(?))", [list(rows)])
    ids = next((listed(column, held, count(columns)) for column, held in columns.items() if column.name == "id"), [])
    own = [Seal() for _ in ids]
    sealed = {column: held for column, held in columns.items() if column.name != "seal"}
    absorb(own, "episode", sealed, [1] * len(ids))
    return {
        name: hashlib.sha256(setup + rows[name].digest() + each.digest()).hexdigest()
        for name, each in zip(ids, own, strict=True)
    }


def seal_of(db: duckdb.DuckDBPyConnection, episode: str) -> str:
    """The seal of an episode from what the file says now."""
    return closed(db, {episode: rows_of(db, episode)}, setup_of(db))[episode]


def read(
    db: duckdb.DuckDBPyConnection,
    table: str,
    where: str = "",
    values: list[Any] | None = None,
    said: Mapping[bytes, bytes] | None = None,
) -> dict[Column, Buffers]:
    """The rows of a table as bytes, column by column; nothing where there are none. `said` are the digests of the texts
    of exchanges as they stand, by those they are filed under, where they are known.

    Raises:
        StoreError: a column is of another type than we make it.
    """
    columns = TABLES[table]
    asked = ", ".join(_asked(column) for column in columns)
    query = f'SELECT {asked} FROM "{table}" {where} ORDER BY {KEYS.get(table, "1")}'
    held = fetched(columns, db.sql(query, params=values or []))
    if table == "exchange" and held:  # the digests of texts as they stand now, not those they are filed under
        now, n = texts(db, where, values or [], "unhex(sha256(text))") if said is None else said, count(held)
        for column in columns:
            if column.refers:
                filed = listed(column, held[column], n)
                held[column] = buffers(column, [None if each is None else now.get(each) for each in filed], n)
    return held


def _asked(column: Column) -> str:
    """A column in a query: times in microseconds, a list as one text."""
    name = f'"{column.name}"'
    if column.type == "TIMESTAMPTZ":
        return f"epoch_us({name})"
    return f"array_to_string({name}, chr(31))" if column.type == "VARCHAR[]" else name
