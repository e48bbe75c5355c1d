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
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate
from tradearena.arena.episode import play
from tradearena.arena.manifest import manifest
from tradearena.arena.plan import Plan
from tradearena.errors import AgentError, DivergedError, Interrupted, SolverError, StoreError, TradeArenaError
from tradearena.market.window import Span
from tradearena.store import files
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.rows import EpisodeRow, Recorded
from tradearena.store.schema import DONE, ENGINE
from tradearena.store.writer import Writer


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
