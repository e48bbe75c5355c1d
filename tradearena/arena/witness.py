"""A record that has been made comes in, and the same episode made again, step by step; the first thing in which they
differ goes out. What stands on record is acted upon, so that each step is judged from the state on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tradearena.agents.card import AgentCard
from tradearena.agents.talker import read
from tradearena.arena.origin import Prefix
from tradearena.store.steps import Held, Story
from tradearena.values import Call, Clip, Decision, Exposures, Fill, Finding, Mark, RiskReport, Step

NEAR = 1e-9
"""Relative difference, and a hundredth of it absolute, up to which numbers are the same that another processor may
compute with other last bits."""

_ROUNDED = {"approved", "moved", "reference", "proposed", "limit", *Exposures._fields}
_SAID = ("status", "reason", "rationale", "confidence", "reflection", "stray", "notes")


Row: TypeAlias = Mark | Finding | Exposures


class Differs(Exception):
    """Carries out of an episode where it is not as it must be: table, bar, field, what stands there and what should."""

    def __init__(self, table: str, t: int | None, field: str, recorded: Any, recomputed: Any) -> None:
        super().__init__(table)
        self.at = (table, t, field, recorded, recomputed)


class Witness:
    """A record that has been made: what is made again is held against it, and what stands in it is acted upon. `trails`
    are what the rules took at each step, which is on record where it is `clipped`, and else may be."""

    def __init__(
        self,
        story: Story,
        card: AgentCard,
        symbols: tuple[str, ...],
        prefix: Prefix | None = None,
        *,
        clipped: bool = True,
    ) -> None:
        self.story, self.card, self.symbols, self.prefix, self.clipped = story, card, symbols, prefix, clipped
        self.seen = 0
        self.trails: list[tuple[Clip, ...]] = []

    def recall(self, t: int) -> Decision:
        """The decision on record, after its reply has been read again."""
        step = self._held(t).step
        decision, exchanges = step.decision, step.decision.exchanges
        if exchanges:  # who is not asked in words decides by what is not on file
            card = self.prefix.in_force(t).card if self.prefix and t < self.prefix.at else self.card
            decision = read(exchanges[-1], card.prompt.mode, self.symbols)
        for field in _SAID:
            _alike("step", t, field, getattr(step.decision, field), getattr(decision, field))
        if decision.target is not None and step.decision.target is not None:
            _alike("step", t, "intent", step.decision.target, decision.target)
        _alike("step", t, "kept", step.decision.target is None, decision.target is None)
        return step.decision

    def keep(self, step: Step) -> RiskReport:
        """Hold a step against the record."""
        held, t = self._held(step.t).step, step.t
        self.seen += 1
        self.trails.append(step.report.trail)
        _happened(held.marks, step.marks, held.fills, step.fills)
        _alike("step", t, "shares", held.account.shares, step.account.shares)
        for field in ("told", "observation", "short", "reference"):
            _alike("step", t, field, getattr(held, field), getattr(step, field))
        _alike("cluster", t, "labels", held.clusters, step.clusters)
        _alike("step", t, "intent", held.report.intent, step.report.intent)
        _findings(t, held.report.findings, step.report.findings)
        if self.clipped or held.report.trail:
            _clips(t, held.report.trail, step.report.trail)
        _alike("step", t, "approved", held.report.approved, step.report.approved)
        if held.report.exposures != step.report.exposures:
            _each("step", t, held.report.exposures, step.report.exposures)
        return held.report

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:
        """Hold what happened after the last decision against the record."""
        if self.seen == len(self.story.steps):
            _happened(self.story.marks, marks, self.story.fills, fills)
        return status

    async def settled(self) -> None:
        """Nothing has to be safe."""

    def lose(self, t: int, calls: tuple[Call, ...]) -> None:
        """Nobody is asked."""

    def _held(self, t: int) -> Held:
        held = self.story.steps[self.seen]
        _alike("step", t, "t", held.step.t, t)
        return held


def _happened(marks: Sequence[Mark], made: Sequence[Mark], fills: Sequence[Fill], filled: Sequence[Fill]) -> None:
    """What the market did with the account."""
    ordered = [(again, places) for again in filled if len(places := again.ordered.nonzero()[0])]
    for fill, (again, places) in zip(fills, ordered, strict=False):
        for field in ("t", "decided"):
            _alike("fill", again.t, field, getattr(fill, field), getattr(again, field))
        for field in ("ordered", "quantity", "price", "commission", "spread", "impact", "cause"):
            _alike("fill", again.t, field, getattr(fill, field)[places], getattr(again, field)[places])
        _alike("fill", again.t, "symbol", fill.ordered.nonzero()[0], places)
    _alike("fill", made[-1].t if made else None, "rows", len(fills), len(ordered))
    for mark, should in zip(marks, made, strict=False):
        if mark != should:
            _each("mark", should.t, mark, should)
    _alike("mark", made[-1].t if made else None, "rows", len(marks), len(made))


def _findings(t: int, held: Sequence[Finding], made: Sequence[Finding]) -> None:
    for finding, should in zip(held, made, strict=False):
        if finding != should:
            _each("finding", t, finding, should)
    _alike("finding", t, "rows", len(held), len(made))


def _clips(t: int, held: Sequence[Clip], made: Sequence[Clip]) -> None:
    """What each rule took. One that took nothing but last bits may be there on one processor and not on another."""
    stands, should = ({clip.rule: clip.moved for clip in trail} for trail in (held, made))
    rules = [clip.rule for clip in held]
    if len(stands) < len(held):
        raise Differs("clip", t, "rule", rules, [*dict.fromkeys(rules)])
    if [*stands] != [*should] and [rule for rule in stands if rule in should] != [r for r in should if r in stands]:
        raise Differs("clip", t, "rule", rules, [*should])
    for rule in {**should, **stands}:
        if rule in stands and rule in should:
            _alike("clip", t, "moved", stands[rule], should[rule])
            continue
        moved = stands[rule] if rule in stands else should[rule]
        try:
            _alike("clip", t, "moved", moved, np.zeros_like(moved))
        except Differs:
            raise Differs("clip", t, "rule", rules, [*should]) from None


def _each(table: str, t: int, recorded: Row, recomputed: Row) -> None:
    """Do two rows agree that are not equal as they stand?"""
    for field, stands, should in zip(recomputed._fields, recorded, recomputed, strict=True):
        _alike(table, t, field, stands, should)


def _alike(table: str, t: int | None, field: str, recorded: Any, recomputed: Any) -> None:
    """Do what stands on record and what was made again agree? Most are the same to the bit, which is asked first."""
    if isinstance(recomputed, np.ndarray):
        if isinstance(recorded, np.ndarray) and recorded.shape == recomputed.shape:
            if recorded.dtype == recomputed.dtype and recorded.tobytes() == recomputed.tobytes():
                return
            if np.array_equal(recorded, recomputed, equal_nan=True):
                return
            if _may_differ(table, field) and np.allclose(
                recorded, recomputed, rtol=NEAR, atol=NEAR / 100, equal_nan=True
            ):
                return
    elif type(recorded) is type(recomputed) and recorded == recomputed:
        return
    elif isinstance(recomputed, float) and isinstance(recorded, float):
        apart = abs(recorded - recomputed)
        if recorded == recomputed or (recorded != recorded and recomputed != recomputed):
            return
        if _may_differ(table, field) and apart <= NEAR / 100 + NEAR * abs(recomputed):
            return
    raise Differs(table, t, field, recorded, recomputed)


def _may_differ(table: str, field: str) -> bool:
    """May another processor come to other last bits?"""
    return field in (_ROUNDED if table != "mark" else ("reference",))
