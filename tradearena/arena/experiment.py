"""One experiment: a plan comes in, a file that holds its episodes goes out. Episodes on file are not run again, cut
ones are taken up where they were cut."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from tradearena import rooms
from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate, open_agent
from tradearena.arena.episode import Setting, play
from tradearena.arena.manifest import manifest
from tradearena.arena.tally import Tally
from tradearena.errors import AgentError, DivergedError, Interrupted, SolverError, StoreError, TradeArenaError
from tradearena.market.dataset import Dataset
from tradearena.market.window import Span, Window
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store import files
from tradearena.store.reader import EpisodeRow, Reader, Recorded
from tradearena.store.recorder import Recorder
from tradearena.store.schema import DONE, ENGINE
from tradearena.store.writer import Writer
from tradearena.values import Trajectory

BASELINES = ("cash", "buy-and-hold", "equal-weight", "markowitz")
"""Agents every result is shown beside."""


@dataclass(frozen=True)
class Plan:
    """What an experiment is asked to hold: each candidate with each seed, on one window of one dataset."""

    dataset: Dataset
    policy: Policy
    window: Window
    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...] = (0,)

    @property
    def identity(self) -> str:
        """Names the universe: dataset digest, policy, window rule and engine. Agents and seeds extend a file."""
        said = [self.dataset.panel.digest, self.policy.digest, self.window.rule, ENGINE]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:10]

    @property
    def span(self) -> Span:
        """Bars of the episodes: they start together, where the most demanding candidate can.

        Raises:
            UsageError: the window holds no decision.
        """
        begins = [candidate.begins for candidate in self.candidates if candidate.begins is not None]
        return self.window.resolve(
            self.dataset.panel,
            warmup=max(candidate.warmup for candidate in self.candidates),
            latency=self.policy.execution.latency,
            begins=max(begins, default=None),
        )

    def unheard(self) -> list[str]:
        """What of the candidates' recordings never applies in this window, in a sentence each."""
        ends = self.dataset.panel.end[list(self.span.decisions)]
        said = ((candidate.card.name, candidate.unheard(ends)) for candidate in self.candidates)
        return [f"{name}: {remark}" for name, remark in said if remark]

    def setting(self, halt: Callable[[int], bool] = lambda _t: False) -> Setting:
        """Where an episode of this plan plays. Its episodes share the reference: it depends on the bars alone."""
        return Setting(self.dataset.panel, self.policy, self.span, self._reference, halt)

    @cached_property
    def _reference(self) -> RollingMarkowitz:
        return RollingMarkowitz(self.dataset.panel, self.policy.reference)


class Progress(Protocol):
    """Who watches a run: is told of every decision, and may stop it."""

    def __call__(self, agent: str, done: int, total: int) -> bool:
        """Called before each decision; True stops the run."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the file, the ids of the plan's episodes in it, and what kept an episode from its end."""

    path: Path
    episodes: tuple[str, ...]
    failure: TradeArenaError | None = None


def locate(plan: Plan, home: Path | None, now: datetime) -> Path:
    """The file of a plan: the newest one of its identity under `replays`, else a new one there."""
    return files.find(plan.identity, home) or files.new_path(plan.identity, plan.dataset.card.name, now, home)


def run(
    plan: Plan,
    path: Path,
    *,
    again: bool = False,
    progress: Progress = lambda _agent, _done, _total: False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Outcome:
    """Run what the plan asks for and the file lacks.

    An agent that raises ends its episode as `error`, a stop ends it as `interrupted`; either way what was decided is
    kept, the outcome says so, and the same call takes it up again.

    Args:
        again: run a new replicate of every episode.
        progress: told of every decision; may stop the run.
        clock: seconds; says when a group of steps is committed.
        now: for the times on record.

    Raises:
        UsageError: the window holds no decision.
        StoreError: the file cannot be written, or holds another experiment.
    """
    span = plan.span  # a window without a decision is refused before a file is made
    with files.writing(path), threadpool_limits(limits=1, user_api="blas"):
        writer = Writer(path, clock)
        if not path.exists():
            writer.create(_experiment_row(plan, now()), plan.dataset.panel, now())
        known = _known(path, plan)
        ids: list[str] = []
        failure: TradeArenaError | None = None
        wrote = False
        for candidate, seed in product(plan.candidates, plan.seeds):
            row = _episode_row(span, candidate, seed, known, again=again, now=now())
            ids.append(row["id"])
            held = known.get(row["id"])
            if held is not None and held.status in DONE:
                continue
            wrote = True
            try:
                _episode(plan, candidate, writer, row, held, progress, now)
            except (AgentError, DivergedError, SolverError) as error:
                failure = error
            except Interrupted as error:
                failure = error
                break
        if wrote or writer.logged:  # a log alone: the run before was killed between its last commit and here
            writer.compact()
    return Outcome(path, tuple(ids), failure)


def rehearse(plan: Plan, name: str) -> Trajectory:
    """Play a shipped agent on the plan's bars, policy and costs, and keep nothing but the arrays."""
    setting = plan.setting()
    card = rooms.shipped() / "agents" / f"{name}.toml"  # not one of the user's that bears the name
    agent = open_agent(str(card)).seat(Seat(0, lambda t: setting.reference.at(t).weights))
    tally = Tally(plan.dataset.panel, plan.policy.execution.initial_cash)
    with threadpool_limits(limits=1, user_api="blas"):
        asyncio.run(play(agent, setting, tally))
    return tally.trajectory()


def _known(path: Path, plan: Plan) -> dict[str, EpisodeRow]:
    """Episodes the file holds, after checking that it is this experiment."""
    with Reader(path) as reader:
        identity = reader.experiment().id
        if identity != plan.identity:
            raise StoreError(
                f"{path}: holds experiment {identity}, not {plan.identity}: other bars, policy, window or engine; "
                "choose another file"
            )
        return {row.id: row for row in reader.episodes()}


def _episode(
    plan: Plan,
    candidate: Candidate,
    writer: Writer,
    row: dict[str, Any],
    known: EpisodeRow | None,
    progress: Progress,
    now: Callable[[], datetime],
) -> None:
    """Run one episode, from its start or from where the record ends, and write how it ended."""
    recorded = Recorded([], [])
    if known is not None:
        row["started_at"] = known.started_at
        if known.manifest != manifest():  # what made the first part is not forgotten
            row["manifest"] = json.dumps({**known.manifest, "resumed_with": manifest()})
        with Reader(writer.path) as reader:
            recorded = reader.recorded(row["id"])
    decisions = plan.span.decisions
    setting = plan.setting(lambda t: progress(candidate.card.name, decisions.index(t), len(decisions)))
    agent = candidate.seat(Seat(row["seed"], lambda t: setting.reference.at(t).weights))
    recorder = Recorder(row["id"], recorded, writer.commit_if_due)
    writer.begin_episode(row, recorder)
    try:
        status, root = asyncio.run(play(agent, setting, recorder))
    except (AgentError, DivergedError, SolverError, Interrupted) as error:
        stopped = isinstance(error, Interrupted)
        ending = {"status": "interrupted" if stopped else "error", "error": None if stopped else str(error)}
        writer.end_episode(row["id"], {**ending, "finished_at": now()}, finished=False)
        raise
    writer.end_episode(row["id"], {"status": status, "root_hash": root, "finished_at": now()}, finished=True)


def _experiment_row(plan: Plan, now: datetime) -> dict[str, Any]:
    dataset, panel = plan.dataset, plan.dataset.panel
    return {
        "id": plan.identity,
        "name": dataset.card.name,
        "created_at": now,
        "engine": ENGINE,
        "dataset": dataset.card.model_dump_json(),
        "dataset_digest": panel.digest,
        "warnings": json.dumps([str(warning) for warning in dataset.warnings]),
        "policy": plan.policy.model_dump_json(),
        "policy_digest": plan.policy.digest,
        "window": plan.window.rule,
        "symbols": list(panel.symbols),
        "sectors": list(panel.sectors),
        "bars_per_year": panel.bars_per_year,
    }


def _episode_row(
    span: Span, candidate: Candidate, seed: int, known: dict[str, EpisodeRow], *, again: bool, now: datetime
) -> dict[str, Any]:
    """The episode's row, as a new replicate where one is asked for and all before have ended; one that was cut short
    is taken up instead."""
    row: dict[str, Any] = {
        "agent": candidate.card.name,
        "card": candidate.card.model_dump_json(),
        "agent_digest": candidate.digest,
        "feedback": "hidden",
        "seed": seed,
        "first": span.first,
        "last": span.last,
        "every": span.every,
    }
    identity = json.dumps([row[key] for key in ("agent_digest", "feedback", "seed", "first", "last", "every")])

    def numbered(replicate: int) -> str:
        return hashlib.sha256(f"{identity}/{replicate}".encode()).hexdigest()[:12]

    replicate = 0
    while again and (held := known.get(numbered(replicate))) is not None and held.status in (*DONE, "error"):
        replicate += 1
    return {
        "id": numbered(replicate),
        **row,
        "replicate": replicate,
        "manifest": json.dumps(manifest()),
        "started_at": now,
        "status": "running",
    }
