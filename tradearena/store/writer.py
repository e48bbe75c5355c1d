"""Writes an experiment file: steps come in one at a time, durable group commits go out.

The file is held open only while a commit is written, so that other processes can read it during a run. A commit is one
transaction over all tables: what a crash leaves behind is a whole number of commits.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from tradearena.errors import DivergedError, StoreError
from tradearena.store import files
from tradearena.store.arrow import Rows
from tradearena.store.chain import GENESIS, closing_link, next_link
from tradearena.store.reader import Recorded
from tradearena.store.schema import TABLES, migrate
from tradearena.store.seal import seal
from tradearena.values import Decision, Fill, Mark, Panel, Step

GROUP = 0.5
"""Longest time in seconds that a scripted step waits for its commit."""


class Writer:
    """One experiment file being written."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock` counts seconds; it decides when to commit and nothing else."""
        self.path, self.clock = path, clock
        self._rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._statements: list[tuple[str, list[Any]]] = []
        self._due = clock() + GROUP

    def create(self, experiment: dict[str, Any], panel: Panel, now: datetime) -> None:
        """Begin the file: schema, set-up and bars, in one transaction."""
        n = len(panel.symbols)
        self._statements.append(_insert("experiment", experiment))
        starts, ends = panel.start.astype("int64"), panel.end.astype("int64")
        fields = (panel.open, panel.high, panel.low, panel.close, panel.volume)
        for t in range(len(panel)):
            self._rows["bars"].append((t, starts[t], ends[t], *(field[t] for field in fields)))
        self.commit(prepare=lambda db: migrate(db, n, now.isoformat()))

    def begin_episode(self, row: dict[str, Any]) -> None:
        """Add an episode, or set a resumed one running again."""
        self._statements.append(("DELETE FROM episode WHERE id = ?", [row["id"]]))
        self._statements.append(_insert("episode", row))
        self.commit()

    def end_episode(self, episode: str, changes: dict[str, Any], *, finished: bool) -> None:
        """Write how an episode ended; a finished one is sealed."""
        sets = ", ".join(f'"{column}" = ?' for column in changes)
        self._statements.append((f"UPDATE episode SET {sets} WHERE id = ?", [*changes.values(), episode]))

        def close(db: duckdb.DuckDBPyConnection) -> None:
            if finished:
                db.execute("UPDATE episode SET seal = ? WHERE id = ?", [seal(db, episode), episode])

        self.commit(conclude=close)

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows for the next commit, in the order of the table's columns."""
        self._rows[table].extend(rows)

    def commit_if_due(self) -> None:
        """Commit if the oldest waiting row has waited long enough."""
        if self.clock() >= self._due:
            self.commit()

    def commit(
        self,
        prepare: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
        conclude: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
    ) -> None:
        """Write everything that waits, durably, as one transaction.

        Raises:
            StoreError: the file cannot be written; what was committed before stays.
        """
        try:
            with files.connect(self.path, read_only=False) as db:
                db.execute("PRAGMA disable_checkpoint_on_shutdown")
                db.execute("BEGIN")
                if prepare:
                    prepare(db)
                for table, rows in self._rows.items():
                    db.register("incoming", Rows(TABLES[table], rows))
                    db.execute(f'INSERT INTO "{table}" SELECT * FROM incoming')
                    db.unregister("incoming")
                for statement, values in self._statements:
                    db.execute(statement, values)
                if conclude:
                    conclude(db)
                db.execute("COMMIT")
        except duckdb.Error as error:
            raise StoreError(files.explain(self.path, error)) from None
        self._rows.clear()
        self._statements.clear()
        self._due = self.clock() + GROUP

    def compact(self) -> None:
        """Rewrite the file once, densely, and put it in the place of the old one.

        The old file is checkpointed first: a write-ahead log left beside the new file would be replayed into it.
        """
        fresh = self.path.with_suffix(".compact")
        try:
            with files.connect(self.path, read_only=False) as db:
                db.execute("CHECKPOINT")
            fresh.unlink(missing_ok=True)
            paths = [str(self.path), str(fresh), f"{fresh}.wal"]
            with duckdb.connect(config={"allowed_paths": paths, "enable_external_access": "false"}) as db:
                db.execute(f"ATTACH '{_quoted(self.path)}' AS old (READ_ONLY)")
                db.execute(f"ATTACH '{_quoted(fresh)}' AS fresh")
                db.execute("COPY FROM DATABASE old TO fresh")
                db.execute("CHECKPOINT fresh")
        except duckdb.Error as error:
            fresh.unlink(missing_ok=True)
            raise StoreError(files.explain(self.path, error)) from None
        os.replace(fresh, self.path)


class Recorder:
    """The record of one episode: what is already on file is recalled, and checked as it is made again; what is new is
    written."""

    def __init__(self, writer: Writer, episode: str, recorded: Recorded | None) -> None:
        self.writer, self.episode = writer, episode
        self.recorded = recorded
        self.steps = 0
        self._link = GENESIS

    def recall(self, t: int) -> Decision | None:
        """The decision on file for bar t, if any."""
        if self.recorded is None or self.steps >= len(self.recorded.decisions):
            return None
        return self.recorded.decisions[self.steps]

    def keep(self, step: Step) -> None:
        """Put a step on record.

        Raises:
            DivergedError: the step is on file already and does not come out the same again.
        """
        self._link = next_link(self._link, step)
        known = self.recorded.hashes if self.recorded else ()
        if self.steps < len(known):
            if known[self.steps] != self._link:
                raise DivergedError(
                    f"{self.writer.path}: episode {self.episode}, bar {step.t}: the recorded step does not come out the "
                    "same again; the file was changed, or the program that wrote it computed differently. "
                    "Start a new replicate with --again"
                )
        else:
            self.writer.add("step", [_step_row(self.episode, step, self._link)])
            self.writer.add("finding", ((self.episode, step.t, i, *f) for i, f in enumerate(step.report.findings)))
            self._happened(step.marks, step.account.fill)
            self.writer.commit_if_due()
        self.steps += 1

    def close(self, status: str, marks: tuple[Mark, ...], fill: Fill | None) -> str:
        """Put on record what happened after the last decision; returns the root hash."""
        self._happened(marks, fill)
        return closing_link(self._link, marks, fill, status).hex()

    def _happened(self, marks: tuple[Mark, ...], fill: Fill | None) -> None:
        self.writer.add("mark", ((self.episode, *_mark_row(mark)) for mark in marks))
        if fill is not None:
            self.writer.add("fill", [_fill_row(self.episode, fill)])


def _mark_row(mark: Mark) -> tuple[Any, ...]:
    return (mark.t, mark.nav, mark.cash, mark.owed, mark.borrow, mark.intent, mark.approved, mark.reference)


def _fill_row(episode: str, fill: Fill) -> tuple[Any, ...]:
    money = (fill.commission, fill.spread, fill.impact)
    return (episode, fill.t, fill.decided, fill.ordered, fill.quantity, fill.price, *money, fill.cause)


def _step_row(episode: str, step: Step, link: bytes) -> tuple[Any, ...]:
    decision, report, account = step.decision, step.report, step.account
    clusters = np.full(report.intent.size, -1, dtype=np.int16) if step.clusters is None else step.clusters
    return (
        episode,
        step.t,
        step.observation,
        decision.status,
        decision.reason,
        decision.target is None,
        decision.rationale,
        decision.reflection,
        decision.confidence,
        json.dumps(decision.stray) if decision.stray else "[]",
        step.told,
        report.intent,
        report.approved,
        step.reference,
        account.shares,
        account.in_flight,
        step.short,
        clusters,
        *report.exposures,
        step.latency,
        link,
    )


def _insert(table: str, row: dict[str, Any]) -> tuple[str, list[Any]]:
    columns = ", ".join(f'"{column}"' for column in row)
    marks = ", ".join("?" for _ in row)
    return f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', list(row.values())


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
