"""Whether a file is what it says: a file comes in; what was checked of each of its episodes, and the first thing
that is not as it must be, go out. Nothing but the file is read: no key, no network, no dataset, no code that it names.

Two layers. *Chain and seal*: every link follows from the rows as they stand, the root hash from the last of them, and
the seal covers every column of every row; exact on any machine. *Recomputation*: the episode is played again, each step
from the state on record. What was seen, what was told, how the raw reply is read, findings, orders, fills, costs and
NAV must be the same; what passes through a covariance, a solver or a correlation, the same within `NEAR`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.agents.card import AgentCard, resembling
from tradearena.agents.talker import read
from tradearena.arena.episode import Setting, play
from tradearena.arena.plan import identity, told
from tradearena.errors import Interrupted, StoreError, TradeArenaError
from tradearena.market.window import Span
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store.chain import GENESIS, closing_link, next_link
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import DONE, ENGINE, EPISODE_TABLES
from tradearena.store.seal import closed, setup_of
from tradearena.store.steps import Held, Story, story_of
from tradearena.values import Call, Decision, Exposures, Fill, Finding, Mark, Observation, RiskReport, Step

NEAR = 1e-9
"""Relative difference, and a hundredth of it absolute, up to which numbers are the same that another processor may
compute with other last bits."""

_ROUNDED = {"approved", "reference", "proposed", "limit", *Exposures._fields}
_SAID = ("status", "reason", "rationale", "confidence", "reflection", "stray", "notes")


class Divergence(NamedTuple):
    """The first thing of an episode that is not as it must be: where it stands, what stands there, what should."""

    episode: str
    table: str
    t: int | None
    field: str
    recorded: Any
    recomputed: Any

    def __str__(self) -> str:
        """In a sentence."""
        at = "" if self.t is None else f" at bar {self.t}"
        of = f"episode {self.episode}: " if self.episode else ""
        return f"{of}{self.table}.{self.field}{at} is {_brief(self.recorded)}, and should be {_brief(self.recomputed)}"


class Verdict(NamedTuple):
    """What became of one episode: how many steps were checked, whether they were recomputed, whether there is a seal
    (one that has not come to its end has none), and what is wrong."""

    episode: str
    agent: str
    feedback: str
    steps: int
    recomputed: bool
    sealed: bool
    wrong: Divergence | None


class _Found(Exception):
    """Carries a divergence out of an episode that is played again."""

    def __init__(self, table: str, t: int | None, field: str, recorded: Any, recomputed: Any) -> None:
        super().__init__(table)
        self.at = (table, t, field, recorded, recomputed)


def verify(path: Path, *, fast: bool = False) -> tuple[list[Divergence], list[Verdict]]:
    """Check a file: what is wrong with it as a whole, and a verdict on each of its episodes.

    Args:
        fast: chain and seals alone.

    Raises:
        StoreError: the file cannot be read, or was made under the rules of another version of the simulation.
    """
    with Reader(path) as reader, threadpool_limits(limits=1, user_api="blas"):
        engine = reader.experiment().engine
        if engine != ENGINE:
            raise StoreError(
                f"{path}: made under the rules of engine {engine}, and this program has those of engine {ENGINE}; "
                "verify it with the version that its manifest names (episode.manifest)"
            )
        setup = setup_of(reader.db)
        return list(_whole(reader)), [_verdict(reader, row, setup, fast=fast) for row in reader.episodes()]


def _whole(reader: Reader) -> Iterator[Divergence]:
    """What of a file is wrong apart from its episodes."""
    experiment, panel = reader.experiment(), reader.panel()
    policy = _policy(reader)
    made = {
        "dataset_digest": panel.digest,
        "policy_digest": policy.digest,
        "id": identity(panel.digest, policy.digest, experiment.window),
    }
    for field, should in made.items():
        if (stands := getattr(experiment, field)) != should:
            yield Divergence("", "experiment", None, field, stands, should)
    for table in EPISODE_TABLES:
        query = f'SELECT DISTINCT episode FROM "{table}" WHERE episode NOT IN (SELECT id FROM episode) ORDER BY 1'
        for (stranger,) in reader.db.execute(query).fetchall():
            yield Divergence("", table, None, "episode", stranger, "one of the table episode")
    query = "SELECT id, count(*) FROM episode GROUP BY id HAVING count(*) > 1"
    for name, rows in reader.db.execute(query).fetchall():
        yield Divergence(name, "episode", None, "rows", rows, 1)


def _verdict(reader: Reader, row: EpisodeRow, setup: bytes, *, fast: bool) -> Verdict:
    """Check one episode; of several things that are wrong the one that says most is named: the recomputed before the
    link, and the link before the seal."""
    wrong, steps = None, 0
    try:
        story = story_of(reader, row.id)
        steps = len(story.steps)
        if not fast:
            _recompute(reader, row, story)
        _chain(row, story)
        _seal(reader, row, story, setup)
    except _Found as found:
        wrong = Divergence(row.id, *found.at)
    except (TradeArenaError, ValueError, TypeError, KeyError, IndexError) as error:
        wrong = Divergence(row.id, "episode", None, "rows", f"unreadable ({error})", "readable")
    return Verdict(row.id, row.agent, row.feedback, steps, not fast, row.seal is not None, wrong)


def _chain(row: EpisodeRow, story: Story) -> None:
    """Every link follows from the rows, and the root from the last of them."""
    link = GENESIS
    for held in story.steps:
        link = next_link(link, held.step)
        if link != held.link:
            raise _Found("step", held.step.t, "hash", held.link, link)
    root = closing_link(link, story.marks, story.fills, row.status).hex() if row.status in DONE else None
    if row.root_hash != root:
        raise _Found("episode", None, "root_hash", row.root_hash, root)


def _seal(reader: Reader, row: EpisodeRow, story: Story, setup: bytes) -> None:
    """The seal covers all there is; an episode that has not come to its end has none."""
    seal = closed(reader.db, row.id, story.rows, setup) if row.status in DONE else None
    if row.seal != seal:
        raise _Found("episode", None, "seal", row.seal, seal)


def _recompute(reader: Reader, row: EpisodeRow, story: Story) -> None:
    """Play the episode again, from what is on record."""
    panel, card = reader.panel(), AgentCard.model_validate(row.card)
    policy = _policy(reader)
    span = Span(row.first, row.last, row.every, policy.execution.latency)
    witness = _Witness(story, card, panel.symbols)
    setting = Setting(
        panel,
        policy,
        span,
        RollingMarkowitz(panel, policy.reference),
        lambda _t: witness.seen == len(story.steps),
        lambda: told(panel, policy, span, row.feedback, Template(row.wording), row.seed, resembling(card)),
    )
    try:
        status, _ = asyncio.run(play(_Nobody(), setting, witness))
    except Interrupted:
        if row.status in DONE:
            raise _Found("step", None, "rows", len(story.steps), f"{len(span.decisions)}, or a ruin") from None
        return
    if row.status in DONE and status != row.status:
        raise _Found("episode", None, "status", row.status, status)
    if witness.seen < len(story.steps):
        raise _Found("step", story.steps[witness.seen].step.t, "t", story.steps[witness.seen].step.t, "no step")


def _policy(reader: Reader) -> Policy:
    return Policy.model_validate_json(json.dumps(reader.experiment().policy))


class _Nobody:
    """An agent that is not asked: every decision is on record."""

    async def decide(self, observation: Observation) -> Decision:
        raise AssertionError(f"nobody is asked at bar {observation.t}")


class _Witness:
    """A record that has been made: what is made again is held against it, and what stands in it is acted upon."""

    def __init__(self, story: Story, card: AgentCard, symbols: tuple[str, ...]) -> None:
        self.story, self.card, self.symbols = story, card, symbols
        self.seen = 0

    def recall(self, t: int) -> Decision:
        """The decision on record, after its reply has been read again."""
        step = self._held(t).step
        decision, exchanges = step.decision, step.decision.exchanges
        if exchanges:  # who is not asked in words decides by what is not on file
            decision = read(exchanges[-1], self.card.prompt.mode, self.symbols)
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
        _happened(held.marks, step.marks, held.fills, step.fills)
        _alike("step", t, "shares", held.account.shares, step.account.shares)
        for field in ("told", "observation", "short", "reference"):
            _alike("step", t, field, getattr(held, field), getattr(step, field))
        _alike("cluster", t, "labels", held.clusters, step.clusters)
        _alike("step", t, "intent", held.report.intent, step.report.intent)
        _findings(t, held.report.findings, step.report.findings)
        _alike("step", t, "approved", held.report.approved, step.report.approved)
        for field, stands, should in zip(Exposures._fields, held.report.exposures, step.report.exposures, strict=True):
            _alike("step", t, field, stands, should)
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
    for fill, again in zip(fills, [each for each in filled if each.ordered.any()], strict=False):
        (places,) = again.ordered.nonzero()
        for field in ("t", "decided"):
            _alike("fill", again.t, field, getattr(fill, field), getattr(again, field))
        for field in ("ordered", "quantity", "price", "commission", "spread", "impact", "cause"):
            _alike("fill", again.t, field, getattr(fill, field)[places], getattr(again, field)[places])
        _alike("fill", again.t, "symbol", fill.ordered.nonzero()[0], places)
    _alike("fill", made[-1].t if made else None, "rows", len(fills), sum(bool(each.ordered.any()) for each in filled))
    for mark, should in zip(marks, made, strict=False):
        for field, stands, number in zip(Mark._fields, mark, should, strict=True):
            _alike("mark", should.t, field, stands, number)
    _alike("mark", made[-1].t if made else None, "rows", len(marks), len(made))


def _findings(t: int, held: Sequence[Finding], made: Sequence[Finding]) -> None:
    for finding, should in zip(held, made, strict=False):
        for field, stands, again in zip(Finding._fields, finding, should, strict=True):
            _alike("finding", t, field, stands, again)
    _alike("finding", t, "rows", len(held), len(made))


def _alike(table: str, t: int | None, field: str, recorded: Any, recomputed: Any) -> None:
    """Do what stands on record and what was made again agree?"""
    rounded = field in (_ROUNDED if table != "mark" else ("reference",))
    if isinstance(recomputed, np.ndarray) and isinstance(recorded, np.ndarray):
        if recorded.shape == recomputed.shape and (
            np.array_equal(recorded, recomputed, equal_nan=True)
            or (rounded and np.allclose(recorded, recomputed, rtol=NEAR, atol=NEAR / 100, equal_nan=True))
        ):
            return
    elif isinstance(recomputed, float) and isinstance(recorded, float):
        apart = abs(recorded - recomputed)
        if recorded == recomputed or (recorded != recorded and recomputed != recomputed):
            return
        if rounded and apart <= NEAR / 100 + NEAR * abs(recomputed):
            return
    elif type(recorded) is type(recomputed) and recorded == recomputed:
        return
    raise _Found(table, t, field, recorded, recomputed)


def _brief(value: Any) -> str:
    """A value in a sentence."""
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    text = np.array2string(value, precision=17, threshold=8) if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
