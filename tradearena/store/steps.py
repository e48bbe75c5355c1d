"""An episode as it stands on file: a reader comes in; its steps, with the link of each, and what happened after the
last go out."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tradearena.store.chain import text_digest
from tradearena.store.columns import Buffers, count, listed
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES, Column
from tradearena.store.seal import Seal, read
from tradearena.store.texts import texts
from tradearena.values import (
    Account,
    Clip,
    Decision,
    Exchange,
    Exposures,
    Fill,
    Finding,
    Mark,
    Note,
    RiskReport,
    State,
    Step,
)

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, struct.error)
"""What reading an episode raises where a file holds what no file of ours does."""


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
    where, values = "WHERE episode = ?", [episode]
    n, seal, rows = len(reader.experiment().symbols), Seal(), {}
    filed = texts(reader.db, where, values)
    now = {digest: text_digest(text) for digest, text in filed.items()}
    for table in EPISODE_TABLES:
        rows[table] = read(reader.db, table, where, values, now)
        seal.absorb(table, rows[table])
    marks, fills = list(map(Mark, *_columns(rows["mark"], Mark._fields))), _fills(rows["fill"], n)
    exchanges = _exchanges(
        rows["exchange"], {now[digest]: text for digest, text in filed.items()}, reader.states(episode)
    )
    clusters = dict(zip(*_columns(rows["cluster"], ("t", "labels")), strict=True))
    findings: dict[int, list[Finding]] = defaultdict(list)
    for t, *found in zip(*_columns(rows["finding"], ("t", *Finding._fields)), strict=True):
        findings[t].append(Finding(*found))
    trails: dict[int, list[Clip]] = defaultdict(list)
    for t, *took in zip(*_columns(rows["clip"], ("t", *Clip._fields)), strict=True):
        trails[t].append(Clip(*took))
    steps, marked, filled = [], 0, 0
    for row in _rows(rows["step"]):
        t, nothing = row["t"], np.zeros(n)
        before, done = marked, filled
        while marked < len(marks) and marks[marked].t <= t:
            marked += 1
        while filled < len(fills) and fills[filled].t <= t:
            filled += 1
        happened = tuple(marks[before:marked])
        decision = Decision(
            target=None if row["kept"] else row["intent"],
            **{name: row[name] for name in ("rationale", "confidence", "reflection", "status", "reason")},
            stray=tuple((name, stated) for name, stated in json.loads(row["stray"])),
            exchanges=tuple(exchanges.get(t, ())),
            notes=tuple(Note(*note) for note in json.loads(row["notes"])),
        )
        exposures = Exposures(*(row[name] for name in Exposures._fields))
        nav, cash, owed = happened[-1][1:4] if happened else (np.nan, np.nan, np.nan)
        fill = fills[done] if done < filled else None
        step = Step(
            t=t,
            observation=row["observation"],
            decision=decision,
            report=RiskReport(row["intent"], row["approved"], tuple(findings[t]), exposures, tuple(trails[t])),
            account=Account(nav, cash, owed, row["shares"], nothing, nothing, nothing, fill),
            reference=row["reference"],
            short=row["short"],
            clusters=clusters.get(t),
            marks=happened,
            latency=row["latency"],
            told=row["told"],
        )
        steps.append(Held(step, row["hash"]))
    return Story(tuple(steps), tuple(marks[marked:]), tuple(fills[filled:]), seal)


def _exchanges(
    held: Mapping[Column, Buffers], said: Mapping[bytes, str], states: Mapping[tuple[int, int], tuple[State, ...]]
) -> dict[int, list[Exchange]]:
    """What was said at each bar, of texts by their digest; the requests it took are in no chain. A text that a damaged
    file lacks is "". `states` by bar and number of the exchange."""
    found: dict[int, list[Exchange]] = defaultdict(list)
    names = ("t", "seq", "speaker", "turn", "tools", "cut", "system", "prompt", "reply")
    for t, seq, speaker, turn, tools, cut, *digests in zip(*_columns(held, names), strict=True):
        system, prompt, reply = (said.get(digest, "") for digest in digests)
        own = states.get((t, seq), ())
        found[t].append(Exchange(system, prompt, reply, (), speaker, turn, tools, cut, own))
    return found


def _fills(held: Mapping[Column, Buffers], n: int) -> list[Fill]:
    """Rows, one per symbol that something was ordered of, as the fill of each bar."""
    if not held:
        return []
    rows = {column.name: each.data for column, each in held.items()}
    at, which = np.unique(np.stack((rows["t"], rows["decided"]), axis=1), axis=0, return_inverse=True)
    names = ("ordered", "quantity", "price", "commission", "spread", "impact")
    numbers, cause = np.zeros((len(at), len(names), n)), np.zeros((len(at), n), dtype=np.int8)
    numbers[which, :, rows["symbol"]] = np.stack([rows[name] for name in names], axis=1)
    cause[which, rows["symbol"]] = rows["cause"]
    return list(map(Fill, *at.T.tolist(), *numbers.swapaxes(0, 1), cause))


def _rows(held: Mapping[Column, Buffers]) -> list[dict[str, Any]]:
    """Rows, from their bytes."""
    names = [column.name for column in held]
    return [dict(zip(names, row, strict=True)) for row in zip(*_columns(held, names), strict=True)]


def _columns(held: Mapping[Column, Buffers], names: Sequence[str]) -> list[Any]:
    """The values of columns, one list each, or an array of vectors; none of any where there are no rows."""
    if not held:
        return [[] for _ in names]
    known, n = {column.name: column for column in held}, count(held)
    vectors = {name: held[known[name]].data for name in names if known[name].type.endswith("[n]")}
    return [vectors[name] if name in vectors else listed(known[name], held[known[name]], n) for name in names]
