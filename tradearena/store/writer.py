"""Writes an experiment file: steps come in one at a time, durable group commits go out.

The file is held open only while a commit is written, so that other processes can read it during a run. A commit is one
transaction over all tables: what a crash leaves behind is a whole number of commits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from tradearena.errors import StoreError
from tradearena.panel import Panel
from tradearena.store import files
from tradearena.store.columns import Buffers, Rows, Values, buffers, count, listed
from tradearena.store.log import Log
from tradearena.store.recorder import Recorder
from tradearena.store.schema import TABLES, Column, migrate
from tradearena.store.seal import absorb, closed, rows_of, setup_of
from tradearena.store.texts import TextWriter
from tradearena.store.waiting import Waiting, parts_of

GROUP = 0.5
"""Longest time in seconds that a scripted step waits for its commit to begin, unless another one is under way."""

LOGGED = 24
"""Commits after which the write-ahead log is folded into the file. All of it is read again at every commit, 0.4 ms for
a small one in it, and folding it in takes 10 to 40 ms, at times 300."""

FEW = 128
"""Up to so many values go into a table as the parameters of a statement, which takes half as long as an Arrow stream
does to be set up: a model's step is a few rows in each of eight tables."""

BLOCK = 65_536
"""Bytes of a block of a file. Each table leaves part of one or two empty: of DuckDB's usual ones, four times as long,
that is half of the file of a short run, and a tenth of one of 5,000 steps."""

WASTE = 0.1
"""Share of free space in a file above which it is rewritten."""


class Batch(NamedTuple):
    """What one commit puts on file: episodes that begin, rows and texts that waited in the recorders, and of episodes
    that ended, how they did and whether they are finished."""

    begun: list[tuple[dict[str, Any], Recorder]]
    kept: list[tuple[Recorder, Waiting]]
    said: dict[bytes, str]
    ended: list[tuple[str, dict[str, Any], bool, Recorder]]


class Writer:
    """One experiment file being written."""

    def __init__(self, path: Path, clock: Callable[[], float], held: files.Held = files.for_a_while) -> None:
        """`clock` counts seconds; it decides when to commit and nothing else. `held` is asked, while another process
        holds the file, whether to wait longer than usual; not once there is a `hurry`."""
        self.path, self.clock, self.held, self.hurry = path, clock, held, False
        self._aside = files.aside(path)
        self._db = files.confined(path, threads=1)  # a commit is small: sharing it out takes longer
        self._log = Log(path)
        self._file: tuple[int, int] | None = None
        self._recorders: dict[str, Recorder] = {}
        self._begun: list[dict[str, Any]] = []
        self._ended: dict[str, tuple[dict[str, Any], bool]] = {}
        self._waits = self._failed = False
        self._taken: Batch | None = None
        self._logged = 0
        self._setup: bytes | None = None
        self._texts: TextWriter | None = None
        self._due = clock() + GROUP
        self._clear()  # what a killed run may have left

    def create(self, experiment: dict[str, Any], panel: Panel, now: datetime) -> None:
        """Begin the file: schema, set-up and bars. It is made aside and takes its name when it is whole, so that a run
        killed meanwhile leaves nothing in the way of the next one. It is checkpointed at once: bars left in the log
        would be read again at every commit."""
        fields = {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")}
        times = {"start": panel.start.astype("int64"), "end": panel.end.astype("int64")}
        with self._replacement(), self._attached(self._aside) as db:
            with _transaction(db):
                migrate(db, len(panel.symbols), now.isoformat())
                _insert(db, "experiment", experiment)
                bars = _held("bars", {"t": range(len(panel)), **times, **fields}, len(panel))
                _append(db, "bars", bars)
                self._setup = setup_of(db, bars)
            db.execute("CHECKPOINT")

    def update(self, now: datetime) -> None:
        """Bring a file that an earlier version began up to the schema of this one."""
        with self._attached() as db:
            self._failed = True
            with _transaction(db):
                ((n,),) = db.execute("SELECT len(symbols) FROM experiment").fetchall()
                migrate(db, n, now.isoformat())
            self._fold(db)

    def begin_episode(self, row: dict[str, Any], recorder: Recorder, *, at_once: bool = True) -> None:
        """Add an episode, or set a resumed one running again: at once, or with the next commit."""
        self._recorders[row["id"]] = recorder
        self._begun.append(row)
        self.wait()
        if at_once:
            self.commit()

    def end_episode(self, episode: str, changes: dict[str, Any], *, finished: bool, at_once: bool = True) -> None:
        """Write what waits and how an episode ended, at once or with the next commit; a finished one is sealed."""
        self._ended[episode] = (changes, finished)
        self.wait()
        if at_once:
            self.commit()

    def forget_episode(self, episode: str) -> None:
        """Write nothing more of an episode that broke off in the middle of a step."""
        self._recorders.pop(episode, None)
        self._begun = [row for row in self._begun if row["id"] != episode]

    def commit_if_due(self) -> None:
        """A step waits: commit if the oldest of them has waited long enough."""
        self.wait()
        self.tend()

    def wait(self) -> None:
        """A step waits for the next commit."""
        self._waits = True

    @property
    def due(self) -> bool:
        """Does anything wait, and has it waited long enough?"""
        return self._waits and self.clock() >= self._due

    def tend(self) -> None:
        """Commit what waits, if it has waited long enough."""
        if self.due:
            self.commit()

    def commit(self) -> None:
        """Commit what waits, if anything does.

        Raises:
            StoreError: the file cannot be written, or could not be at the last commit: what that one held is lost, and
                what follows must not stand without it.
        """
        while batch := self.collect():
            self.write(batch)

    def collect(self) -> Batch | None:
        """Take out what waits, if anything does, for `write`: where steps are kept, and when nothing is being written.
        What was taken out and could not be written for want of the file comes first.

        Raises:
            StoreError: the last commit failed.
        """
        if self._failed:
            raise StoreError(f"{self.path}: the last commit failed; run the same command again")
        if self._waits and not self._taken:
            self._failed = True  # for whoever breaks in before all of it is taken out
            self._waits, self._due = False, self.clock() + GROUP
            begun = [(row, self._recorders[row["id"]]) for row in self._begun]
            said = {key: text for each in self._recorders.values() for key, text in each.drain_texts().items()}
            drained = [(recorder, recorder.drain()) for recorder in self._recorders.values()]
            kept = [(recorder, waiting) for recorder, waiting in drained if waiting.any]
            ended = [(name, *ending, self._recorders.pop(name)) for name, ending in self._ended.items()]
            self._begun, self._ended = [], {}
            self._taken, self._failed = Batch(begun, kept, said, ended), False
        return self._taken

    def write(self, batch: Batch, safe: Callable[[], None] = lambda: None, logged: int = LOGGED) -> None:
        """Commit what was taken out: in any thread, one batch after the other. `safe` is called as soon as it is on
        disk; what comes after is care of the file, whose log is folded in after so many commits.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._attached() as db:
            self._commit(db, batch)
            safe()
            if self._logged >= logged:
                self._fold(db)

    def sign(self, rows: Iterable[dict[str, Any]]) -> None:
        """Put signatures on file, in one durable transaction.

        Raises:
            StoreError: the file cannot be written.
        """
        with self.transaction() as db:
            for row in rows:
                _insert(db, "signature", row)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the file for statements of one's own: all of them are durable in the end, or none.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._attached() as db:
            self._failed = True
            with _transaction(db):
                yield db
            self._failed = False
            self._logged += 1

    def _commit(self, db: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        """One durable transaction."""
        self._failed = True
        with _transaction(db):
            self._write(db, batch)
        kept = [waiting for _, waiting in batch.kept]
        self._log.committed(sum(len(each.steps) for each in kept), sum(len(each.calls) for each in kept))
        self._taken, self._failed = None, False
        self._logged += 1

    def _fold(self, db: duckdb.DuckDBPyConnection) -> None:
        """Fold the write-ahead log into the file."""
        self._failed = True
        db.execute("CHECKPOINT")
        self._log.folded()
        self._logged, self._failed = 0, False

    def _write(self, db: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        """Put a batch into the transaction: episodes that begin, steps of all recorders, episodes that end."""
        for row, recorder in batch.begun:
            ((resumed,),) = db.execute("DELETE FROM episode WHERE id = ?", [row["id"]]).fetchall()
            if resumed:
                recorder.seal = rows_of(db, row["id"])
            _insert(db, "episode", row)
        for table, (columns, counts) in parts_of([waiting for _, waiting in batch.kept]).items():
            held = _held(table, columns, sum(counts))
            absorb([recorder.seal for recorder, _ in batch.kept], table, held, counts)
            _append(db, table, held)  # an insert costs 1 ms, whatever the number of rows
        for table, columns in self._new(db, batch.said).items():
            _append(db, table, _held(table, columns, len(next(iter(columns.values())))))
        for episode, changes, _, _ in batch.ended:
            sets = ", ".join(f'"{column}" = ?' for column in changes)
            db.execute(f"UPDATE episode SET {sets} WHERE id = ?", [*changes.values(), episode])
        if whole := {episode: recorder.seal for episode, _, finished, recorder in batch.ended if finished}:
            self._setup = self._setup or setup_of(db)
            for episode, seal in closed(db, whole, self._setup).items():
                db.execute("UPDATE episode SET seal = ? WHERE id = ?", [seal, episode])

    def _new(self, db: duckdb.DuckDBPyConnection, said: dict[bytes, str]) -> dict[str, dict[str, Values]]:
        """Rows for what was said and is not in the file."""
        if not said:
            return {}
        self._texts = self._texts or TextWriter(db)
        return self._texts.add(said.items())

    @contextmanager
    def _attached(self, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the file (or the one beside it), for as long as it takes.

        Raises:
            StoreError: the file cannot be written; what was committed before stays.
        """
        db = self._db
        if path is None:
            self._stand()
        try:
            made = "" if path is None else f" (BLOCK_SIZE {BLOCK})"
            where = f"'{files.quoted(path or self.path)}' AS file{made}"
            files.patiently(lambda: db.execute(f"ATTACH {where}"), self._waits_on)
            try:
                db.execute("USE file")
                yield db
            finally:
                db.execute("USE memory")
                db.execute("DETACH file")
        except duckdb.Error as error:
            if self._failed:  # nothing more is written
                files.break_off(db)
            raise StoreError(files.explain(self.path, error)) from error

    def _waits_on(self, waited: float) -> bool:
        return files.for_a_while(waited) or (not self.hurry and self.held(waited))

    def _stand(self) -> None:
        """Is the file still there, the same one, and with all that was committed? DuckDB would make an empty one, or go
        on with what it finds.

        Raises:
            StoreError: it is not.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise files.gone(self.path) from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        here = found.st_dev, found.st_ino
        if self._file not in (None, here):
            said = "another file took its place during the run; nothing was written to it"
            raise StoreError(f"{self.path}: {said}; run the same command again")
        self._file = here
        files.check(self.path)

    @contextmanager
    def _replacement(self) -> Iterator[None]:
        """What is written aside takes the file's place at once, or leaves no trace."""
        try:
            yield
            os.replace(self._aside, self.path)
            self._file = None
        finally:
            self._clear()

    def _clear(self) -> None:
        for end in ("", ".wal"):
            self._aside.with_name(f"{self._aside.name}{end}").unlink(missing_ok=True)

    def close(self) -> None:
        """Write no more."""
        files.let_go(self._db)

    @property
    def logged(self) -> bool:
        """Is there a write-ahead log beside the file: something that `compact` would fold in?"""
        return self.path.with_name(f"{self.path.name}.wal").exists()

    def compact(self) -> None:
        """Commit what waits, fold the write-ahead log into the file, and rewrite the file where much of it is free
        space.

        The rewritten copy takes the old one's place at once, and only after the old one's log is gone: a log left
        beside the new file would be replayed into it.
        """
        with self._attached() as db:
            files.share_out(db)  # a whole file is work for all cores
            while batch := self.collect():
                self._commit(db, batch)
            self._fold(db)
            size = "SELECT total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = 'file'"
            total, free = db.execute(size).fetchone() or (1, 0)
        if free > WASTE * total:
            with self._replacement(), self._attached() as db:
                db.execute(f"ATTACH '{files.quoted(self._aside)}' AS fresh (BLOCK_SIZE {BLOCK})")
                db.execute("COPY FROM DATABASE file TO fresh")
                db.execute("CHECKPOINT fresh")
                db.execute("DETACH fresh")


@contextmanager
def _transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    db.execute("BEGIN")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has rolled back already
            db.execute("ROLLBACK")
        raise


def _held(table: str, columns: Mapping[str, Values], n: int) -> dict[Column, Buffers]:
    """The bytes of `n` rows of a table."""
    return {column: buffers(column, columns[column.name], n) for column in TABLES[table]}


def _append(db: duckdb.DuckDBPyConnection, table: str, held: Mapping[Column, Buffers]) -> None:
    n = count(held)
    if n * len(held) <= FEW:
        values = [listed(column, each, n) for column, each in held.items()]
        row = f"({', '.join('make_timestamptz(?)' if c.type == 'TIMESTAMPTZ' else '?' for c in held)})"
        several = ", ".join(row for _ in range(n))
        db.execute(f'INSERT INTO "{table}" VALUES {several}', [v for each in zip(*values, strict=True) for v in each])
        return
    db.from_arrow(Rows(held)).insert_into(table)


def _insert(db: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    columns = ", ".join(f'"{column}"' for column in row)
    marks = ", ".join("?" for _ in row)
    db.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', list(row.values()))
