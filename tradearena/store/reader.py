"""Reads an experiment file: a path comes in; set-up, episodes, panel and trajectories go out. Nothing stored in the
file is run."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np

from tradearena.errors import StoreError, UnknownName
from tradearena.panel import Array, Panel
from tradearena.policy import Policy
from tradearena.store import files
from tradearena.store.columns import entries
from tradearena.store.rows import EpisodeRow, Experiment, Recorded
from tradearena.store.schema import DERIVED, KEYS, LATER, TABLES
from tradearena.store.texts import texts
from tradearena.store.trajectories import trajectories
from tradearena.store.views import VIEWS
from tradearena.values import Decision, Exchange, Note, State, Trajectory

_ANY = "(FROM pragma_storage_info('file.main.{}') LIMIT 0)"
_REACHING = {
    "ATTACH", "DETACH", "COPY", "COPY_DATABASE", "EXPORT", "LOAD", "EXTENSION", "PREPARE", "EXECUTE",
}  # fmt: skip
"""Statements that would let a question open the file for writing, or write another, or carry out one that does; to
explain one by its analysis carries it out as well."""

BITE = 10_000
"""Rows of an answer that are fetched at a time: between two bites Ctrl-C is heard."""

_STAMP = "%Y-%m-%dT%H:%M:%SZ"

_TIMES = {"created_at", "started_at", "finished_at"}


class Reader:
    """One experiment file, open for reading. Use as a context manager. `lacks` are the tables that it has not, being of
    an earlier schema.

    Raises:
        StoreError: the file cannot be opened or read, or is no experiment of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = files.followed(path)
        self._setup: Experiment | None = None
        self._panel: Panel | None = None
        self._queried = False
        self.db = files.connect(path)
        try:
            self.lacks = self._missing()
            if self._running():  # whoever reads for long would keep the run from its commits
                self.db = files.set_aside(path, self.db)
            for table in TABLES:
                self._name(table)
            for table in DERIVED:
                with suppress(duckdb.CatalogException):  # an older file has none, and a view is none
                    self.db.execute(f"FROM {_ANY.format(table)}")
                    self._name(table)
        except BaseException:
            files.let_go(self.db)
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (files.break_off if self._queried else files.let_go)(self.db)  # a user may have left something in the database
        if isinstance(error, duckdb.Error):
            raise StoreError(files.explain(self.path, error)) from error
        if isinstance(error, json.JSONDecodeError):
            raise self._foreign() from error

    def _name(self, table: str) -> None:
        rows = self._nothing(table) if table in self.lacks else f'FROM file.main."{table}"'
        self.db.execute(f'CREATE TEMP VIEW "{table}" AS {rows}')

    def _missing(self) -> list[str]:
        """The tables that a file of an earlier schema lacks, after making sure that the others are there. Their names
        mean what they mean whatever else the file holds."""
        if self._there(*TABLES):
            return []
        if not self._there(*(table for table in TABLES if table not in LATER)):
            raise self._foreign()
        return [table for table in LATER if not self._there(table)]

    def _there(self, *tables: str) -> bool:
        """Are these tables? A view is none; to list all tables there are costs 8 ms."""
        try:
            self.db.execute(" UNION ALL ".join(_ANY.format(table) for table in tables))
        except duckdb.CatalogException:
            return False
        return True

    def _nothing(self, table: str) -> str:
        """No row of a table that is not there."""
        try:
            ((n,),) = self.db.execute("SELECT len(symbols) FROM file.main.experiment").fetchall()
        except (duckdb.Error, ValueError):
            raise self._foreign() from None
        kinds = ((column.name, column.type.replace("[n]", f"[{n or 1}]")) for column in TABLES[table])
        return f"SELECT {', '.join(f'NULL::{kind} AS {chr(34)}{name}{chr(34)}' for name, kind in kinds)} WHERE false"

    def _running(self) -> bool:
        """Is an episode being written, or was it when its run was killed?"""
        try:
            return bool(self.db.execute("SELECT 1 FROM file.main.episode WHERE status = 'running' LIMIT 1").fetchone())
        except duckdb.BinderException:
            raise self._foreign() from None

    def _foreign(self) -> StoreError:
        return StoreError(f"{self.path}: not an experiment file of TradeArena")

    def experiment(self) -> Experiment:
        """The set-up.

        Raises:
            StoreError: this DuckDB file is no experiment of ours.
        """
        if self._setup is None:
            self._setup = self._read_setup()
        return self._setup

    def _read_setup(self) -> Experiment:
        try:
            (row,) = self._rows("experiment", Experiment.__annotations__)
            row["policy"] = Policy.model_validate_json(row["policy"]).model_dump(mode="json")
            row["dataset"], row["warnings"] = json.loads(row["dataset"]), json.loads(row["warnings"])
            row["symbols"], row["sectors"] = tuple(row["symbols"]), tuple(row["sectors"])
        except (duckdb.BinderException, ValueError, TypeError):
            raise self._foreign() from None
        return Experiment(**row)

    def episodes(self) -> list[EpisodeRow]:
        """All episodes, in the order they were begun."""
        rows = self._rows("episode", EpisodeRow.__annotations__, "ORDER BY started_at, id")
        for row in rows:
            row |= {name: json.loads(row[name] or "") for name in ("card", "parent", "manifest")}
        return [EpisodeRow(**row) for row in rows]

    def episode(self, name: str | None) -> EpisodeRow:
        """One episode by id (or its beginning) or agent; the only one, or the newest, where no name is given."""
        rows = self.episodes()
        if not rows:
            raise StoreError(f"{self.path}: holds no episode yet")
        if name is None:
            return rows[-1]
        for row in reversed(rows):
            if row.agent == name or row.id.startswith(name):
                return row
        raise UnknownName("episode", name, [label for row in rows for label in (row.id, row.agent)])

    def window(self, row: EpisodeRow) -> dict[str, Any]:
        """First and last bar of an episode, and when they ended."""
        query = 'SELECT epoch_us("end") FROM bars WHERE t IN (?, ?) ORDER BY t'
        times = [stamp(end) for (end,) in self.db.execute(query, [row.first, row.last]).fetchall()]
        return {"first": row.first, "last": row.last, "every": row.every, "start": times[0], "end": times[-1]}

    def recorded(self, episode: str) -> Recorded:
        """The decisions on file, to resume from."""
        columns = "t, status, reason, kept, rationale, reflection, confidence, stray, notes, hash"
        rows = self.db.execute(f"SELECT {columns} FROM step WHERE episode = ? ORDER BY t", [episode]).fetchall()
        (intents,), said = self.vectors("step", "intent", episode=episode), self.exchanges(episode, states=True)
        decisions = [
            _decision(row, intent, tuple(said.pop(row[0], ()))) for row, intent in zip(rows, intents, strict=True)
        ]
        last = rows[-1][0] if rows else -1
        self._sound(episode, last)
        query = "SELECT count(*) FROM call WHERE episode = ? AND t > ?"
        ((made,),) = self.db.execute(query, [episode, last]).fetchall()
        return Recorded(decisions, [row[-1] for row in rows], made, tuple(said.popitem()[1]) if said else ())

    def _sound(self, episode: str, last: int) -> None:
        """Are the texts of exchanges after a bar those they are filed as? Of the others the hash chain says it."""
        query = "SELECT unnest([system, prompt, reply]) FROM exchange WHERE episode = ? AND t > ?"
        filed = {bytes(digest or b"") for (digest,) in self.db.execute(query, [episode, last]).fetchall()}
        where = "WHERE episode = ? AND t > ?"
        stand = texts(self.db, where, [episode, last], "unhex(sha256(text))") if filed else {}
        if any(stand.get(digest) is None or bytes(stand[digest]) != digest for digest in filed):
            raise StoreError(f"{self.path}: what was said of a decision that was not reached was changed; use --again")

    def exchanges(self, episode: str, t: int | None = None, *, states: bool = False) -> dict[int, list[Exchange]]:
        """What was said to an agent that is asked in words, by bar, or at bar t alone; the requests it took are on
        record and not paid again. A text that a damaged file lacks is "". With `states`, if its model had any."""
        where, values = ("", [episode]) if t is None else (" AND t = ?", [episode, t])
        columns = "t, seq, system, prompt, reply, speaker, turn, tools, cut"
        query = f"SELECT {columns} FROM exchange WHERE episode = ?{where} ORDER BY t, seq"
        rows = self.db.execute(query, values).fetchall()
        said = texts(self.db, f"WHERE episode = ?{where}", values) if rows else {}
        held = self.states(episode) if states else {}
        found: dict[int, list[Exchange]] = {}
        for bar, seq, *digests, speaker, turn, tools, cut in rows:
            system, prompt, reply = (said.get(bytes(digest or b""), "") for digest in digests)
            own = held.get((bar, seq), ())
            found.setdefault(bar, []).append(Exchange(system, prompt, reply, (), speaker, turn, tools, cut, own))
        return found

    def states(self, episode: str) -> dict[tuple[int, int], tuple[State, ...]]:
        """What went on in a model that ran in the process of the run, by bar and number of the exchange; nothing where
        there was none."""
        query = "SELECT t, exchange, layer, pool, vector FROM state WHERE episode = ? ORDER BY t, exchange, layer, pool"
        found: dict[tuple[int, int], tuple[State, ...]] = {}
        for t, seq, layer, pool, vector in self.db.execute(query, [episode]).fetchall():
            found[t, seq] = (*found.get((t, seq), ()), State(layer, pool, bytes(vector or b"")))
        return found

    def panel(self) -> Panel:
        """The bars.

        Raises:
            StoreError: there are none, or they are not those of the symbols.
        """
        if self._panel is None:
            try:
                self._panel = self._read_panel()
            except (ValueError, IndexError):
                said = "its bars do not fit its symbols; it was changed, or is damaged"
                raise StoreError(f"{self.path}: {said}") from None
        return self._panel

    @property
    def market(self) -> str:
        """Names the market path. The same with noise on it, or followed further, is no second one."""
        match self.experiment().dataset:  # whatever a file has there
            case {"noise": {"market": str(below)}} if below:
                return below
        return self.panel().market

    def _read_panel(self) -> Panel:
        experiment = self.experiment()
        times = self.db.execute('SELECT epoch_us(start) AS s, epoch_us("end") AS e FROM bars ORDER BY t').fetchnumpy()
        *prices, volume = self.vectors("bars", "open", "high", "low", "close", "volume")
        if not len(times["s"]) == len(prices[0]) > 0:
            raise ValueError("not a vector for each bar")
        return Panel.of(
            experiment.symbols,
            np.asarray(times["s"]).astype("datetime64[us]"),
            np.asarray(times["e"]).astype("datetime64[us]"),
            tuple(prices),  # type: ignore[arg-type]
            volume,
            sectors=experiment.sectors,
            bars_per_year=experiment.bars_per_year,
        )

    def trajectory(self, episode: str) -> Trajectory:
        """One episode as arrays."""
        return next(trajectories(self, [episode]))

    def vectors(self, table: str, *columns: str, episode: str | None = None) -> list[Array]:
        """[rows, N] of each of these vector columns, in order."""
        where, values = ("WHERE episode = ?", [episode]) if episode is not None else ("", [])
        rows = f'SELECT {", ".join(columns)} FROM "{table}" {where} ORDER BY {KEYS[table]}'
        n = len(self.experiment().symbols)
        return [flat.reshape(-1, n) for flat in entries(self.db, columns, rows, values)]

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Answer a user's query, in which the names of our views mean what they mean as well.

        Raises:
            StoreError: DuckDB does not accept the query.
        """
        if not self._queried:
            files.lock(self.db)
            self._queried = True
        for name, view in VIEWS.items():
            self.db.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {view}')
        with ThreadPoolExecutor(1) as beside:  # DuckDB itself hears Ctrl-C in some of its work only
            answer = beside.submit(self._answer, sql)
            try:
                return answer.result()
            except KeyboardInterrupt:
                self.db.interrupt()
                raise
            except duckdb.Error as error:
                raise StoreError(f"{self.path}: the query failed: {str(error).strip()}") from None

    def _answer(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        for statement in self.db.extract_statements(sql):
            kind, text = statement.type.name, statement.query.upper()
            if kind in _REACHING or (kind == "EXPLAIN" and "ANALYZE" in text):
                raise StoreError(f"{self.path}: the query failed: {kind} reaches beyond reading this file")
        relation: Any = self.db.sql(sql)
        if relation is None:  # a statement without an answer
            return [], []
        columns = list(relation.columns)
        kinds = [str(kind) for kind in relation.types]
        if any("TIME ZONE" in kind for kind in kinds):  # fetching one as it is would take another package
            relation = relation.project(", ".join(_shown(i, kind) for i, kind in enumerate(kinds, start=1)))
        answer = self.db.execute(relation.sql_query())  # the relation itself would give up all rows in one breath
        return columns, list(chain.from_iterable(iter(partial(answer.fetchmany, BITE), [])))

    def _rows(self, table: str, columns: Any, tail: str = "") -> list[dict[str, Any]]:
        read = ", ".join(f'epoch_us("{name}")' if name in _TIMES else f'"{name}"' for name in columns)
        rows = self.db.execute(f'SELECT {read} FROM "{table}" {tail}').fetchall()
        return [
            {name: stamp(value) if name in _TIMES else value for name, value in zip(columns, row, strict=True)}
            for row in rows
        ]


def _decision(row: tuple[Any, ...], intent: Array, said: tuple[Exchange, ...]) -> Decision:
    """A decision as recorded."""
    _, status, reason, kept, rationale, reflection, confidence, stray, notes, _ = row
    return Decision(
        target=None if kept else intent,
        rationale=rationale,
        confidence=confidence,
        reflection=reflection,
        status=status,
        reason=reason,
        notes=tuple(Note(*note) for note in json.loads(notes)),
        stray=tuple((name, stated) for name, stated in json.loads(stray)),
        exchanges=said,
    )


def _shown(place: int, kind: str) -> str:
    """A column of a query, times as text."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(#{place} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
    return f"#{place}::VARCHAR" if "TIME ZONE" in kind else f"#{place}"


def stamp(microseconds: int | None) -> str | None:
    """ISO-8601 with Z; None where there is none, or none that a calendar has: the seal tells of that."""
    try:
        return None if microseconds is None else f"{datetime.fromtimestamp(microseconds // 10**6, tz=UTC):{_STAMP}}"
    except (ValueError, OverflowError):
        return None
