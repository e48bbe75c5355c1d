"""The seal of an episode: every column of every row that belongs to it, and of what it refers to, as one SHA-256."""

from __future__ import annotations

import hashlib
from typing import Any

import duckdb
import numpy as np

from tradearena.store.schema import KEYS, TABLES, Column


def seal(db: duckdb.DuckDBPyConnection, episode: str) -> str:
    """Seal an episode from what the file says now. Works on any machine: no number is computed, bytes are read."""
    digest = hashlib.sha256()
    for table, columns in TABLES.items():
        rows, values = _select(table, episode)
        for column in columns:
            if (table, column.name) == ("episode", "seal"):
                continue
            digest.update(f"\x1e{table}.{column.name}\x1f".encode())
            _absorb(digest, db, column, rows, values)
    return digest.hexdigest()


def _select(table: str, episode: str) -> tuple[str, list[Any]]:
    """FROM clause and values that give the rows an episode seals, in order."""
    order = ", ".join(KEYS.get(table, ())) or "1"
    if table in ("experiment", "bars"):
        return f'FROM "{table}" ORDER BY {order}', []
    key = "id" if table == "episode" else "episode"
    return f'FROM "{table}" WHERE {key} = ? ORDER BY {order}', [episode]


def _absorb(digest: Any, db: duckdb.DuckDBPyConnection, column: Column, rows: str, values: list[Any]) -> None:
    """Add one column: how many rows, which are NULL, and the bytes of the rest."""
    name = f'"{column.name}"'
    read = f"epoch_us({name})" if column.type == "TIMESTAMPTZ" else name
    if column.type.endswith("[n]"):
        flat = _fetch(db, f"SELECT unnest({name}) AS v FROM (SELECT {name} {rows})", values)
        digest.update(np.ascontiguousarray(flat.filled(0) if isinstance(flat, np.ma.MaskedArray) else flat).tobytes())
        return
    found = _fetch(db, f"SELECT {read} AS v {rows}", values)
    missing = np.ma.getmaskarray(found) if isinstance(found, np.ma.MaskedArray) else np.zeros(len(found), dtype=bool)
    digest.update(len(found).to_bytes(8, "little") + missing.tobytes())
    plain = found.data if isinstance(found, np.ma.MaskedArray) else found
    if plain.dtype != object:
        digest.update(np.where(missing, plain.dtype.type(0), plain).tobytes())
        return
    for value, absent in zip(plain, missing, strict=True):
        if not absent and value is not None:
            text = "\x1f".join(value) if isinstance(value, (list, np.ndarray)) else value
            data = text if isinstance(text, (bytes, bytearray)) else str(text).encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)


def _fetch(db: duckdb.DuckDBPyConnection, query: str, values: list[Any]) -> Any:
    return db.execute(query, values).fetchnumpy()["v"]
