"""Writes an experiment file: steps come in one at a time, durable group commits go out.

The file is held open only while a commit is written, so that other processes can read it during a run. A commit is one
transaction over all tables: what a crash leaves behind is a whole number of commits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from tradearena.errors import StoreError
from tradearena.panel import Panel
from tradearena.store import files
from tradearena.store.columns import Buffers, Rows, Values, buffers
from tradearena.store.recorder import Recorder
from tradearena.store.schema import TABLES, Column, migrate
from tradearena.store.seal import closed, rows_of, setup_of

GROUP = 0.5
"""Longest time in seconds that a scripted step waits for its commit."""

WASTE = 0.1
"""Share of free space in a file above which it is rewritten."""


class Writer:
    """One experiment file being written."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock` counts seconds; it decides when to commit and nothing else."""
        self.path, self.clock = path, clock
        self._aside = path.with_name(f"{path.name}.new")
        self._db = files.confined([path, self._aside])
        self._recorders: dict[str, Recorder] = {}
        self._setup: bytes | None = None
        self._due = clock() + GROUP
        self._clear()  # what a killed run may have left

    def create(self, experiment: dict[str, Any], panel: Panel, now: datetime) -> None:
        """Begin the file: schema, set-up and bars. It is made aside and takes its name when it is whole, so that a run
        killed meanwhile leaves nothing in the way of the next one. It is checkpointed at once: bars left in the log
        would be read again at every commit."""
        fields = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
        times = {"start": panel.start.astype("int64"), "end": panel.end.astype("int64")}
        with self._replacement(), self._transaction(self._aside, checkpoint=True) as db:
            migrate(db, len(panel.symbols), now.isoformat())
            _insert(db, "experiment", experiment)
            bars = _append(db, "bars", {"t": range(len(panel)), **times, **fields}, len(panel))
            self._setup = setup_of(db, bars)

    def begin_episode(self, row: dict[str, Any], recorder: Recorder) -> None:
        """Add an episode, or set a resumed one running again."""
        with self._transaction() as db:
            recorder.seal = rows_of(db, row["id"])
            db.execute("DELETE FROM episode WHERE id = ?", [row["id"]])
            _insert(db, "episode", row)
        self._recorders[row["id"]] = recorder

    def end_episode(self, episode: str, changes: dict[str, Any], *, finished: bool) -> None:
        """Write what waits and how an episode ended; a finished one is sealed."""
        sets = ", ".join(f'"{column}" = ?' for column in changes)
        with self._transaction() as db:
            self._write(db)
            db.execute(f"UPDATE episode SET {sets} WHERE id = ?", [*changes.values(), episode])
            if finished:
                self._setup = self._setup or setup_of(db)
                seal = closed(db, episode, self._recorders[episode].seal, self._setup)
                db.execute("UPDATE episode SET seal = ? WHERE id = ?", [seal, episode])
        del self._recorders[episode]

    def commit_if_due(self) -> None:
        """Commit if the oldest waiting step has waited long enough."""
        if self.clock() >= self._due:
            with self._transaction() as db:
                self._write(db)

    def _write(self, db: duckdb.DuckDBPyConnection) -> None:
        """Put what waits in all recorders into the transaction."""
        for recorder in self._recorders.values():
            for table, (columns, n) in recorder.drain().items():
                recorder.seal.absorb(table, _append(db, table, columns, n))

    @contextmanager
    def _attached(self, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the file (or the one beside it), for as long as it takes.

        Raises:
            StoreError: the file cannot be written; what was committed before stays.
        """
        db = self._db
        try:
            files.patiently(lambda: db.execute(f"ATTACH '{files.quoted(path or self.path)}' AS file"))
            try:
                db.execute("USE file")
                yield db
            finally:
                db.execute("USE memory")
                db.execute("DETACH file")
        except duckdb.Error as error:
            raise StoreError(files.explain(self.path, error)) from error

    @contextmanager
    def _transaction(
        self, path: Path | None = None, *, checkpoint: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the file for one durable transaction."""
        with self._attached(path) as db:
            db.execute("BEGIN")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # a commit that failed has rolled back already
                    db.execute("ROLLBACK")
                raise
            if checkpoint:
                db.execute("CHECKPOINT")
        self._due = self.clock() + GROUP

    @contextmanager
    def _replacement(self) -> Iterator[None]:
        """What is written aside takes the file's place at once, or leaves no trace."""
        try:
            yield
            os.replace(self._aside, self.path)
        finally:
            self._clear()

    def _clear(self) -> None:
        for end in ("", ".wal"):
            self._aside.with_name(f"{self._aside.name}{end}").unlink(missing_ok=True)

    @property
    def logged(self) -> bool:
        """Is there a write-ahead log beside the file: something that `compact` would fold in?"""
        return self.path.with_name(f"{self.path.name}.wal").exists()

    def compact(self) -> None:
        """Fold the write-ahead log into the file, and rewrite the file where much of it is free space.

        The rewritten copy takes the old one's place at once, and only after the old one's log is gone: a log left
        beside the new file would be replayed into it.
        """
        with self._attached() as db:
            db.execute("CHECKPOINT")
            size = "SELECT total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = 'file'"
            total, free = db.execute(size).fetchone() or (1, 0)
        if free > WASTE * total:
            with self._replacement(), self._attached() as db:
                db.execute(f"ATTACH '{files.quoted(self._aside)}' AS fresh")
                db.execute("COPY FROM DATABASE file TO fresh")
                db.execute("CHECKPOINT fresh")
                db.execute("DETACH fresh")


def _append(db: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Values], n: int) -> dict[Column, Buffers]:
    """Append `n` rows, given by column; returns the bytes that were written."""
    held = {column: buffers(column, columns[column.name], n) for column in TABLES[table]}
    db.register("incoming", Rows(held, n))
    db.execute(f'INSERT INTO "{table}" SELECT * FROM incoming')
    db.unregister("incoming")
    return held


def _insert(db: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    columns = ", ".join(f'"{column}"' for column in row)
    marks = ", ".join("?" for _ in row)
    db.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', list(row.values()))
