"""What recorders kept of several episodes comes in; the rows of one commit go out, table by table, as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tradearena.store.columns import Values
from tradearena.values import Call, Exposures, Fill, Mark, Step

Row: TypeAlias = tuple[Any, ...]

_SAID = ("system", "prompt", "reply")
_SCALED = ("ordered", "quantity", "price", "commission", "spread", "impact", "cause")


class Kept(NamedTuple):
    """A step that waits, and its link."""

    step: Step
    link: bytes


class Waiting(NamedTuple):
    """What waits of one episode: steps, rows of exchanges and calls, and what the market did."""

    episode: str
    steps: list[Kept]
    exchanges: list[Row]
    calls: list[Row]
    marks: list[Mark]
    fills: list[Fill]

    @property
    def any(self) -> bool:
        """Does anything wait?"""
        return bool(self.steps or self.exchanges or self.calls or self.marks or self.fills)


class Part(NamedTuple):
    """Rows of one table, one episode after the other, and how many each has of them."""

    columns: dict[str, Values]
    counts: list[int]


def parts_of(waiting: Sequence[Waiting]) -> dict[str, Part]:
    """Every row, in the tables that get any. They are made for all episodes at once: side by side each has a row or two
    of a table, and a column costs as much to make for one row as for fifty."""
    steps = [kept.step for each in waiting for kept in each.steps]
    made = {
        "step": _steps(waiting, steps),
        "finding": _findings(waiting),
        "cluster": _clusters(waiting),
        "exchange": _rows(("t", "seq", "speaker", "turn", "tools", "cut", *_SAID), [w.exchanges for w in waiting]),
        "call": _rows(("t", "seq", "exchange", *Call._fields), [w.calls for w in waiting]),
        "mark": _rows(Mark._fields, [w.marks for w in waiting]),
        "fill": _fills(waiting),
    }
    return {
        table: Part({"episode": _whose(waiting, counts), **columns}, counts)
        for table, (columns, counts) in made.items()
        if any(counts)
    }


def _whose(waiting: Sequence[Waiting], counts: Sequence[int]) -> Values:
    """The episode of each row."""
    if len(waiting) == 1:
        return waiting[0].episode
    return [each.episode for each, n in zip(waiting, counts, strict=True) for _ in range(n)]


def _steps(waiting: Sequence[Waiting], steps: list[Step]) -> Part:
    decisions = [step.decision for step in steps]
    reports = [step.report for step in steps]
    exposures = zip(*(report.exposures for report in reports), strict=True)
    columns: dict[str, Values] = {
        "t": [step.t for step in steps],
        "observation": [step.observation for step in steps],
        **{name: [getattr(d, name) for d in decisions] for name in ("status", "reason", "rationale", "reflection")},
        "kept": [decision.target is None for decision in decisions],
        "confidence": [decision.confidence for decision in decisions],
        "stray": [json.dumps(decision.stray) if decision.stray else "[]" for decision in decisions],
        "notes": [json.dumps(decision.notes) if decision.notes else "[]" for decision in decisions],
        "told": [step.told for step in steps],
        "intent": [report.intent for report in reports],
        "approved": [report.approved for report in reports],
        "reference": [step.reference for step in steps],
        "shares": [step.account.shares for step in steps],
        "short": [step.short for step in steps],
        **dict(zip(Exposures._fields, exposures, strict=False)),  # none where there are no steps
        "latency": [step.latency for step in steps],
        "hash": [link for each in waiting for _, link in each.steps],
    }
    return Part(columns, [len(each.steps) for each in waiting])


def _findings(waiting: Sequence[Waiting]) -> Part:
    rows = [
        [(step.t, seq, *finding) for step, _ in each.steps for seq, finding in enumerate(step.report.findings)]
        for each in waiting
    ]
    return _rows(("t", "seq", "rule", "scope", "name", "proposed", "approved", "limit", "severity"), rows)


def _clusters(waiting: Sequence[Waiting]) -> Part:
    rows = [[(step.t, step.clusters) for step, _ in each.steps if step.clusters is not None] for each in waiting]
    return _rows(("t", "labels"), rows)


def _rows(names: tuple[str, ...], rows: Sequence[Sequence[Row]]) -> Part:
    """Rows of each episode, as columns."""
    every = zip(*chain.from_iterable(rows), strict=True)
    return Part(dict(zip(names, every, strict=False)), [len(each) for each in rows])


def _fills(waiting: Sequence[Waiting]) -> Part:
    """One row per symbol that something was ordered of."""
    fills = [fill for each in waiting for fill in each.fills]
    if not fills:
        return Part({}, [])
    places = np.flatnonzero([fill.ordered for fill in fills])
    which, symbol = np.divmod(places, len(fills[0].ordered))
    columns: dict[str, Any] = {
        "t": np.array([fill.t for fill in fills])[which],
        "symbol": symbol,
        "decided": np.array([fill.decided for fill in fills])[which],
    }
    for name in _SCALED:
        columns[name] = np.concatenate([getattr(fill, name) for fill in fills])[places]
    ends = np.cumsum([len(each.fills) for each in waiting])
    counts = np.diff(np.searchsorted(which, ends), prepend=0)
    return Part(columns, counts.tolist())
