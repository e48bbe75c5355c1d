"""Vectors that were dear to compute, kept in the experiment's file: keys of texts come in, their vectors go out.

They are derived: no chain, seal or signature speaks of them, so whoever uses them computes some of them again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from tradearena.store import files
from tradearena.store.columns import Rows, Values, buffers
from tradearena.store.reader import Reader
from tradearena.store.schema import DERIVED, migrate
from tradearena.store.writer import Writer


def kept(path: Path, probe: str) -> tuple[list[bytes], NDArray[np.float32]] | None:
    """Keys [n] of the texts whose vectors [n, d] of this probe are on file; None where what is there is no such thing:
    of several lengths, of none, not finite, twice.

    Raises:
        StoreError: the file cannot be read.
    """
    with Reader(path) as reader:
        try:
            held = "FROM embedding WHERE probe = ? ORDER BY text"
            rows = reader.db.execute(f"SELECT text, len(vector) {held}", [probe]).fetchall()
            flat = f"SELECT unnest(vector) AS v FROM (SELECT vector {held})"
            values = reader.db.execute(flat, [probe]).fetchnumpy()["v"]
        except duckdb.CatalogException:  # an older file
            return [], np.zeros((0, 0), dtype=np.float32)
        except duckdb.Error:
            return None
    keys, lengths = [key for key, _ in rows], {length for _, length in rows}
    sound = len(lengths) <= 1 and not lengths & {None, 0} and len(set(keys)) == len(keys) and None not in keys
    if not sound or isinstance(values, np.ma.MaskedArray) or values.dtype != np.float32:
        return None
    return (keys, values.reshape(len(keys), -1 if keys else 0)) if np.isfinite(values).all() else None


def keep(
    path: Path, probe: str, keys: Sequence[bytes], vectors: NDArray[np.float32], now: datetime, *, anew: bool = False
) -> None:
    """Put vectors [n, d] on file in one durable transaction, but for those that are there, or `anew` in place of all
    that are there of this probe. No two of the keys are the same.

    Raises:
        StoreError: the file is being written by another process, is open in this one, or cannot be written.
    """
    values: dict[str, Values] = {"text": keys, "probe": probe, "vector": vectors}
    rows = Rows({column: buffers(column, values[column.name], len(keys)) for column in DERIVED["embedding"]})
    path = files.followed(path)
    with files.writing(path):
        writer = Writer(path, time.monotonic)
        with writer.transaction() as db:
            ((n,),) = db.execute("SELECT len(symbols) FROM experiment").fetchall()
            migrate(db, n, now.isoformat())
            if anew:
                db.execute('DELETE FROM "embedding" WHERE probe = ?', [probe]).fetchall()
            db.register("incoming", rows)
            db.execute('INSERT INTO "embedding" SELECT i.* FROM incoming i ANTI JOIN "embedding" e USING (text, probe)')
            db.unregister("incoming")
        writer.compact()
