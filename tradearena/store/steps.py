"""An episode as it stands on file: a reader comes in; its steps, with the link of each, and what happened after the
last go out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from tradearena.panel import Array
from tradearena.store.columns import Buffers, count, listed
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES, Column
from tradearena.store.seal import Seal, read
from tradearena.values import Account, Decision, Exposures, Fill, Finding, Mark, Note, RiskReport, Step


class Held(NamedTuple):
    """A step on file, and its link."""

    step: Step
    link: bytes


class Story(NamedTuple):
    """An episode on file: its steps, the marks and fills after the last of them, and all its rows as a seal."""

    steps: tuple[Held, ...]
    marks: tuple[Mark, ...]
    fills: tuple[Fill, ...]
    rows: Seal


def story_of(reader: Reader, episode: str) -> Story:
    """Everything of an episode that is in its hash chain, from the rows of its file alone.

    Of an account, what is on file is there: NAV, cash and shares. Its weights and the orders in flight follow from the
    steps, and are left out (zeros); so are fills of which nothing was ordered.
    """
    n, seal, rows = len(reader.experiment().symbols), Seal(), {}
    for table in EPISODE_TABLES:
        held = read(reader.db, table, "WHERE episode = ?", [episode])
        seal.absorb(table, held)
        rows[table] = _rows(held)
    marks = [Mark(*(row[name] for name in Mark._fields)) for row in rows["mark"]]
    fills, exchanges = _fills(rows["fill"], n), reader.exchanges(episode, states=True)
    clusters = {row["t"]: np.asarray(row["labels"], dtype=np.int16) for row in rows["cluster"]}
    findings: dict[int, list[Finding]] = defaultdict(list)
    for row in rows["finding"]:
        findings[row["t"]].append(Finding(*(row[name] for name in Finding._fields)))
    steps, marked, filled = [], 0, 0
    for row in rows["step"]:
        t = row["t"]
        happened = list(takewhile(lambda mark, t=t: mark.t <= t, marks[marked:]))  # type: ignore[misc]
        due = list(takewhile(lambda fill, t=t: fill.t <= t, fills[filled:]))  # type: ignore[misc]
        marked, filled = marked + len(happened), filled + len(due)
        decision = Decision(
            target=None if row["kept"] else row["intent"],
            **{name: row[name] for name in ("rationale", "confidence", "reflection", "status", "reason")},
            stray=tuple((name, stated) for name, stated in json.loads(row["stray"])),
            exchanges=tuple(exchanges.get(t, ())),
            notes=tuple(Note(*note) for note in json.loads(row["notes"])),
        )
        exposures = Exposures(*(row[name] for name in Exposures._fields))
        step = Step(
            t=t,
            observation=row["observation"],
            decision=decision,
            report=RiskReport(row["intent"], row["approved"], tuple(findings[t]), exposures),
            account=_account(happened, row["shares"], due),
            reference=row["reference"],
            short=row["short"],
            clusters=clusters.get(t),
            marks=tuple(happened),
            latency=row["latency"],
            told=row["told"],
        )
        steps.append(Held(step, row["hash"]))
    return Story(tuple(steps), tuple(marks[marked:]), tuple(fills[filled:]), seal)


def _account(marks: list[Mark], shares: Array, due: list[Fill]) -> Account:
    """What is on file of an account at a decision."""
    nav, cash, owed = (marks[-1].nav, marks[-1].cash, marks[-1].owed) if marks else (np.nan, np.nan, np.nan)
    nothing = np.zeros(len(shares))
    return Account(nav, cash, owed, shares, nothing, nothing, nothing, due[0] if due else None)


def _fills(rows: list[dict[str, Any]], n: int) -> list[Fill]:
    """Rows, one per symbol that something was ordered of, as the fill of each bar."""
    names = ("ordered", "quantity", "price", "commission", "spread", "impact")
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        empty = {name: np.zeros(n) for name in names} | {"cause": np.zeros(n, dtype=np.int8)}
        at = found.setdefault((row["t"], row["decided"]), empty)
        for name in (*names, "cause"):
            at[name][row["symbol"]] = row[name]
    return [Fill(t, decided, **fields) for (t, decided), fields in found.items()]


def _rows(held: Mapping[Column, Buffers]) -> list[dict[str, Any]]:
    """Rows, from their bytes."""
    if not held:
        return []
    n = count(held)
    columns = {
        column.name: each.data if column.type.endswith("[n]") else listed(column, each, n)
        for column, each in held.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
