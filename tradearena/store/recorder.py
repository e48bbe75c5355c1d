"""The record of one episode: what is on file is recalled, and checked as it is made again; what is new waits here,
column by column, for the next commit."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tradearena.errors import DivergedError
from tradearena.store.chain import GENESIS, closing_link, digests, next_link
from tradearena.store.columns import Values
from tradearena.store.rows import Recorded
from tradearena.store.seal import Seal
from tradearena.values import Call, Clip, Decision, Exchange, Exposures, Fill, Mark, RiskReport, Step

if TYPE_CHECKING:
    from tradearena.store.steps import Held

Pending: TypeAlias = dict[str, tuple[dict[str, Values], int]]

_SAID = ("system", "prompt", "reply")

MOST = 2_000
"""Steps of an episode that wait: so many only where another process holds the file and keeps commits from it."""


class Kept(NamedTuple):
    """A step that waits, its link, and what each rule took."""

    step: Step
    link: bytes
    trail: tuple[Clip, ...]


class Recorder:
    """Keeps the steps of one episode. `kept` is called after each new one: a commit may drain the recorder then.
    `saved`, which returns once a commit has, is awaited where one was paid for. Of a fork the first steps are those of
    another episode, its `prefix`: they are kept as they are on record there."""

    def __init__(
        self,
        episode: str,
        recorded: Recorded,
        kept: Callable[[], None],
        saved: Callable[[], Awaitable[None]] | None = None,
        prefix: Sequence[Held] = (),
    ) -> None:
        self.episode, self.recorded, self.kept, self.saved, self.prefix = episode, recorded, kept, saved, prefix
        self.seal = Seal()
        self.steps = 0
        self._link = GENESIS
        self._paid = False
        self._asked, self._spoken = recorded.made, len(recorded.open)
        self._waiting: list[Kept] = []
        self._exchanges: list[tuple[Any, ...]] = []
        self._calls: list[tuple[Any, ...]] = []
        self._said: dict[bytes, str] = {}
        self._marks: list[Mark] = []
        self._fills: list[Fill] = []

    def recall(self, _t: int) -> Decision | None:
        """The decision on file for the next step, if any."""
        known, here = self.recorded.decisions, self.steps
        if here < len(self.prefix):
            return self.prefix[here].step.decision
        return known[here] if here < len(known) else None

    def keep(self, step: Step) -> RiskReport:
        """Put a step on record; returns its audit.

        Raises:
            DivergedError: the step is on file already and does not come out the same again.
        """
        trail = step.report.trail  # which the file of a trunk may lack
        if self.steps < len(self.prefix):
            step = self.prefix[self.steps].step
        exchanges = step.decision.exchanges
        said = [digests(each) for each in exchanges]
        self._link = next_link(self._link, step, said)
        known, here = self.recorded.hashes, self.steps
        self.steps += 1
        if here >= len(known):
            for exchange, its in list(zip(exchanges, said, strict=True))[self._spoken :]:
                self._say(step.t, exchange, its)
            self._asked = self._spoken = 0
            self._waiting.append(Kept(step, self._link, trail))
            self._marks.extend(step.marks)
            self._fills.extend(step.fills)
            self.kept()
            self._paid = any(exchange.calls for exchange in exchanges)
        elif known[here] != self._link:
            raise DivergedError(
                f"episode {self.episode}, bar {step.t}: the recorded step does not come out the same again; the file "
                "was changed, or another version or processor computed it; start a new replicate with --again"
            )
        return step.report

    async def settled(self) -> None:
        """Wait until a step that was paid for is committed, and where too many wait, until these are."""
        if (self._paid or len(self._waiting) >= MOST) and self.saved:
            self._paid = False
            await self.saved()

    def said(self) -> tuple[Exchange, ...]:
        """The exchanges on file that were had for the decision that is due."""
        return self.recorded.open if self.steps == len(self.recorded.hashes) else ()

    async def say(self, t: int, exchange: Exchange) -> None:
        """Put an exchange on record before the decision at bar t that it serves is reached; returns once it is safe,
        if it was paid for."""
        self._say(t, exchange, digests(exchange))
        self.kept()
        self._paid = bool(exchange.calls)
        await self.settled()

    def _say(self, t: int, exchange: Exchange, said: tuple[bytes, ...]) -> None:
        self._said.update(zip(said, (exchange.system, exchange.prompt, exchange.reply), strict=True))
        how = exchange.speaker, exchange.turn, exchange.tools, exchange.cut
        self._exchanges.append((t, self._spoken, *how, *said))
        self.lose(t, exchange.calls)
        self._spoken += 1

    def lose(self, t: int, calls: tuple[Call, ...]) -> None:
        """Put requests on record that were made for the next reply: those that brought it, or none."""
        self._calls += [(t, seq, self._spoken, *call) for seq, call in enumerate(calls, start=self._asked)]
        self._asked += len(calls)

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:
        """Put on record what happened after the last decision; returns the root hash."""
        self._marks.extend(marks)
        self._fills.extend(fills)
        return closing_link(self._link, marks, fills, status).hex()

    def drain_texts(self) -> dict[bytes, str]:
        """What was said and waits, by its SHA-256; none of it waits any more."""
        said, self._said = self._said, {}
        return said

    def drain(self) -> Pending:
        """Every row that waits, as columns of the tables; none waits any more."""
        steps, exchanges, calls, marks, fills = self._waiting, self._exchanges, self._calls, self._marks, self._fills
        self._waiting, self._exchanges, self._calls, self._marks, self._fills = [], [], [], [], []
        parts = {
            "step": _steps(steps),
            "finding": _findings(steps),
            "clip": _clips(steps),
            "cluster": _clusters(steps),
            "exchange": _named(("t", "seq", "speaker", "turn", "tools", "cut", *_SAID), exchanges),
            "call": _named(("t", "seq", "exchange", *Call._fields), calls),
            "mark": _marks(marks),
            "fill": _fills(fills),
        }
        return {table: ({"episode": self.episode, **columns}, n) for table, (columns, n) in parts.items() if n}


def _steps(kept: list[Kept]) -> tuple[dict[str, Values], int]:
    steps = [step for step, *_ in kept]
    decisions = [step.decision for step in steps]
    reports = [step.report for step in steps]
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
        **{name: [getattr(report.exposures, name) for report in reports] for name in Exposures._fields},
        "latency": [step.latency for step in steps],
        "hash": [each.link for each in kept],
    }
    return columns, len(steps)


def _findings(kept: list[Kept]) -> tuple[dict[str, Values], int]:
    rows = [(step.t, seq, *finding) for step, *_ in kept for seq, finding in enumerate(step.report.findings)]
    return _named(("t", "seq", "rule", "scope", "name", "proposed", "approved", "limit", "severity"), rows)


def _clips(kept: list[Kept]) -> tuple[dict[str, Values], int]:
    return _named(
        ("t", "seq", *Clip._fields), [(each.step.t, seq, *clip) for each in kept for seq, clip in enumerate(each.trail)]
    )


def _named(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> tuple[dict[str, Values], int]:
    """Rows as columns."""
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}, len(rows)


def _clusters(kept: list[Kept]) -> tuple[dict[str, Values], int]:
    changed = [(step.t, step.clusters) for step, *_ in kept if step.clusters is not None]
    return {"t": [t for t, _ in changed], "labels": [labels for _, labels in changed]}, len(changed)


def _marks(marks: list[Mark]) -> tuple[dict[str, Values], int]:
    return _named(Mark._fields, marks)


def _fills(fills: list[Fill]) -> tuple[dict[str, Values], int]:
    """One row per symbol that something was ordered of."""
    if not fills:
        return {}, 0
    places = np.flatnonzero([fill.ordered for fill in fills])
    which, symbol = np.divmod(places, len(fills[0].ordered))
    columns: dict[str, Any] = {
        "t": np.array([fill.t for fill in fills])[which],
        "symbol": symbol,
        "decided": np.array([fill.decided for fill in fills])[which],
    }
    for name in ("ordered", "quantity", "price", "commission", "spread", "impact", "cause"):
        columns[name] = np.concatenate([getattr(fill, name) for fill in fills])[places]
    return columns, len(places)
