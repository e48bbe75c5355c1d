"""The record of one episode: what is on file is recalled, and checked as it is made again; what is new waits here,
column by column, for the next commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tradearena.errors import DivergedError
from tradearena.store.chain import GENESIS, closing_link, next_link
from tradearena.store.columns import Values
from tradearena.store.rows import Recorded
from tradearena.store.seal import Seal
from tradearena.values import Decision, Exposures, Fill, Mark, Step

Pending: TypeAlias = dict[str, tuple[dict[str, Values], int]]


class Recorder:
    """Keeps the steps of one episode. `kept` is called after each new one; a commit may drain it then."""

    def __init__(self, episode: str, recorded: Recorded, kept: Callable[[], None]) -> None:
        self.episode, self.recorded, self.kept = episode, recorded, kept
        self.seal = Seal()
        self.steps = 0
        self._link = GENESIS
        self._waiting: list[tuple[Step, bytes]] = []
        self._marks: list[Mark] = []
        self._fills: list[Fill] = []

    def recall(self, _t: int) -> Decision | None:
        """The decision on file for the next step, if any."""
        known = self.recorded.decisions
        return known[self.steps] if self.steps < len(known) else None

    def keep(self, step: Step) -> None:
        """Put a step on record.

        Raises:
            DivergedError: the step is on file already and does not come out the same again.
        """
        self._link = next_link(self._link, step)
        known, here = self.recorded.hashes, self.steps
        self.steps += 1
        if here >= len(known):
            self._waiting.append((step, self._link))
            self._marks.extend(step.marks)
            self._fills.extend(step.fills)
            self.kept()
        elif known[here] != self._link:
            raise DivergedError(
                f"episode {self.episode}, bar {step.t}: the recorded step does not come out the same again; the file "
                "was changed, or another version or processor computed it; start a new replicate with --again"
            )

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:
        """Put on record what happened after the last decision; returns the root hash."""
        self._marks.extend(marks)
        self._fills.extend(fills)
        return closing_link(self._link, marks, fills, status).hex()

    def drain(self) -> Pending:
        """Everything that waits, as columns of the tables; nothing waits any more."""
        steps, marks, fills = self._waiting, self._marks, self._fills
        self._waiting, self._marks, self._fills = [], [], []
        parts = {
            "step": _steps(steps),
            "finding": _findings(steps),
            "cluster": _clusters(steps),
            "mark": _marks(marks),
            "fill": _fills(fills),
        }
        return {table: ({"episode": self.episode, **columns}, n) for table, (columns, n) in parts.items() if n}


def _steps(steps: list[tuple[Step, bytes]]) -> tuple[dict[str, Values], int]:
    decisions = [step.decision for step, _ in steps]
    reports = [step.report for step, _ in steps]
    columns: dict[str, Values] = {
        "t": [step.t for step, _ in steps],
        "observation": [step.observation for step, _ in steps],
        **{name: [getattr(d, name) for d in decisions] for name in ("status", "reason", "rationale", "reflection")},
        "kept": [decision.target is None for decision in decisions],
        "confidence": [decision.confidence for decision in decisions],
        "stray": [json.dumps(decision.stray) if decision.stray else "[]" for decision in decisions],
        "told": [step.told for step, _ in steps],
        "intent": [report.intent for report in reports],
        "approved": [report.approved for report in reports],
        "reference": [step.reference for step, _ in steps],
        "shares": [step.account.shares for step, _ in steps],
        "short": [step.short for step, _ in steps],
        **{name: [getattr(report.exposures, name) for report in reports] for name in Exposures._fields},
        "latency": [step.latency for step, _ in steps],
        "hash": [link for _, link in steps],
    }
    return columns, len(steps)


def _findings(steps: list[tuple[Step, bytes]]) -> tuple[dict[str, Values], int]:
    rows = [(step.t, seq, *finding) for step, _ in steps for seq, finding in enumerate(step.report.findings)]
    names = ("t", "seq", "rule", "scope", "name", "proposed", "approved", "limit", "severity")
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}, len(rows)


def _clusters(steps: list[tuple[Step, bytes]]) -> tuple[dict[str, Values], int]:
    changed = [(step.t, step.clusters) for step, _ in steps if step.clusters is not None]
    return {"t": [t for t, _ in changed], "labels": [labels for _, labels in changed]}, len(changed)


def _marks(marks: list[Mark]) -> tuple[dict[str, Values], int]:
    return dict(zip(Mark._fields, zip(*marks, strict=True), strict=True)) if marks else {}, len(marks)


def _fills(fills: list[Fill]) -> tuple[dict[str, Values], int]:
    """One row per symbol that something was ordered of."""
    if not fills:
        return {}, 0
    ordered = np.array([fill.ordered for fill in fills])
    which, symbol = np.nonzero(ordered)
    columns: dict[str, Any] = {
        "t": np.array([fill.t for fill in fills])[which],
        "symbol": symbol,
        "decided": np.array([fill.decided for fill in fills])[which],
        "ordered": ordered[which, symbol],
    }
    for name in ("quantity", "price", "commission", "spread", "impact", "cause"):
        columns[name] = np.array([getattr(fill, name) for fill in fills])[which, symbol]
    return columns, len(which)
