"""One experiment: a plan comes in, a file that holds its episodes goes out. Episodes on file are not run again, cut
ones are taken up where they were cut."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from tradearena.agents.card import Candidate
from tradearena.agents.switchboard import Switchboard
from tradearena.arena.manifest import manifest
from tradearena.arena.plan import Plan, Planned
from tradearena.arena.schedule import CONCURRENCY, Due, Progress, Schedule
from tradearena.errors import Interrupted, Limited, StoreError, TradeArenaError
from tradearena.store import files
from tradearena.store.committer import Committer
from tradearena.store.reader import Reader
from tradearena.store.recovery import mend
from tradearena.store.rows import EpisodeRow, Recorded
from tradearena.store.schema import DONE, ENGINE
from tradearena.store.writer import Writer


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the file, the ids of the plan's episodes in it, and what kept episodes from their end, each
    with what tells that episode from the others."""

    path: Path
    episodes: tuple[str, ...]
    failures: tuple[tuple[str, TradeArenaError], ...] = ()

    @property
    def failure(self) -> TradeArenaError | None:
        """The failures in one: of a single episode as it is, else how many there were, and the first of the gravest
        kind: errors, stops, limits."""
        if not self.failures or len(self.episodes) == 1:
            return self.failures[0][1] if self.failures else None
        kinds: dict[type[TradeArenaError], list[tuple[str, TradeArenaError]]] = {Interrupted: [], Limited: []}
        errors: list[tuple[str, TradeArenaError]] = []
        for title, error in self.failures:
            kinds.get(type(error), errors).append((title, error))
        stopped, limited = kinds[Interrupted], kinds[Limited]
        of, said = f"of {len(self.episodes)} episodes", []
        if stopped:
            said.append(f"stopped with {len(stopped)} {of} not ended")
        if limited:
            said.append(f"{limited[0][1]}; {len(limited)} {of} not ended")
        if errors:
            said.append(f"{len(errors)} {of} failed; the first, {errors[0][0]}: {errors[0][1]}")
        kind = Interrupted if stopped else type(errors[0][1]) if errors else Limited
        return kind("; ".join(said))


def locate(plan: Plan, home: Path | None, now: datetime) -> Path:
    """The file of a plan: the newest one of its identity under `replays`, else a new one there."""
    return files.find(plan.identity, home) or files.new_path(plan.identity, plan.dataset.card.name, now, home)


def run(
    plan: Plan,
    path: Path,
    *,
    again: bool = False,
    concurrency: int = CONCURRENCY,
    board: Switchboard | None = None,
    progress: Progress = lambda _standing: False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    warn: Callable[[str], None] = lambda _sentence: None,
) -> Outcome:
    """Run what the plan asks for and the file lacks.

    An agent that raises ends its episode as `error`, a stop ends those that run as `interrupted`; either way what was
    decided is kept, the outcome says so, and the same call takes it up again.

    Args:
        again: run a new replicate of every episode.
        concurrency: episodes that run side by side.
        board: puts the requests to models through, and knows what may be spent.
        progress: told of every decision; may stop the run.
        clock: seconds; says when a group of steps is committed.
        now: for the times on record.
        warn: told what was lost of a damaged file, before the run goes on from the rest.

    Raises:
        UsageError: a window holds no decision.
        AgentError: an agent that is to be asked cannot be.
        StoreError: the file cannot be written, or holds another experiment.
    """
    board = board or Switchboard()
    planned = plan.episodes  # a window without a decision is refused before a file is made
    if not path.exists():
        _check(plan.candidates, board)
    with files.writing(path), threadpool_limits(limits=1, user_api="blas"):
        if loss := mend(path):
            warn(loss)
        writer = Writer(path, clock)
        if path.exists():
            ids, due = _due(path, plan, again=again)
        else:
            writer.create(_experiment_row(plan, now()), plan.dataset.panel, now())
            ids, due = _all_due(plan)
        _check((each.planned.candidate for each in due), board)
        with Committer(writer) as committer:
            schedule = Schedule(plan, due, committer, progress, now, board)
            failures = asyncio.run(schedule.run(concurrency)) if due else {}
        if due or writer.logged:  # a log alone: the run before was killed between its last commit and here
            writer.compact()
    titles = {name: each.title for name, each in zip(ids, planned, strict=True)}
    return Outcome(path, ids, tuple((titles[name], failures[name]) for name in ids if name in failures))


def missing(plan: Plan, path: Path, *, again: bool = False) -> list[tuple[Planned, int]]:
    """The episodes that a run would play, and how many decisions of each are on file already.

    Raises:
        UsageError: a window holds no decision.
        StoreError: the file holds another experiment.
    """
    if not path.exists():
        return [(each, 0) for each in plan.episodes]
    return [(each.planned, len(each.recorded.hashes)) for each in _due(path, plan, again=again)[1]]


def _check(candidates: Iterable[Candidate], board: Switchboard) -> None:
    """Find out whether those who are about to be asked can be: before a file is made, and before any is paid."""
    for candidate in {id(each): each for each in candidates}.values():
        candidate.check(board)


def _all_due(plan: Plan) -> tuple[tuple[str, ...], list[Due]]:
    """The same of a file that holds nothing yet."""
    due = [Due(each, _episode_row(each, 0), Recorded([], [])) for each in plan.episodes]
    return tuple(each.id for each in due), due


def _due(path: Path, plan: Plan, *, again: bool) -> tuple[tuple[str, ...], list[Due]]:
    """The ids of the plan's episodes, and those of them that have not come to their end, after checking that the file
    holds this experiment."""
    with Reader(path) as reader:
        identity = reader.experiment().id
        if identity != plan.identity:
            raise StoreError(
                f"{path}: holds experiment {identity}, not {plan.identity}: other bars, policy, window or engine; "
                "choose another file"
            )
        known = {row.id: row for row in reader.episodes()}
        replicate = _replicate(plan.episodes, known) if again else 0
        rows = [_episode_row(each, replicate) for each in plan.episodes]
        due = []
        for each, row in zip(plan.episodes, rows, strict=True):
            held = known.get(row["id"])
            if held is None:
                due.append(Due(each, row, Recorded([], [])))
            elif held.status not in DONE:
                due.append(Due(each, {**row, **_taken_up(held)}, reader.recorded(held.id)))
    return tuple(row["id"] for row in rows), due


def _replicate(planned: Sequence[Planned], known: Mapping[str, EpisodeRow]) -> int:
    """The number of a new replicate: one more than the newest of these episodes has on file. If one of the newest was
    cut short, the number of that: it is taken up instead."""
    for number in range(max((row.replicate for row in known.values()), default=-1), -1, -1):
        held = [known[name] for each in planned if (name := _id(each, number)) in known]
        if any(row.status not in (*DONE, "error") for row in held):
            return number
        if held:
            return number + 1
    return 0


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


def _episode_row(planned: Planned, replicate: int) -> dict[str, Any]:
    """The row of an episode that is about to begin."""
    return {
        "id": _id(planned, replicate),
        "agent": planned.candidate.card.name,
        "card": planned.candidate.card.model_dump_json(),
        **_identity(planned),
        "replicate": replicate,
        "manifest": json.dumps(manifest()),
        "status": "running",
    }


def _identity(planned: Planned) -> dict[str, Any]:
    """What makes an episode another one, beside the universe of its file."""
    span = planned.span
    return {
        "agent_digest": planned.candidate.digest,
        "feedback": planned.mode,
        "wording": planned.wording,
        "seed": planned.seed,
        "first": span.first,
        "last": span.last,
        "every": span.every,
    }


def _id(planned: Planned, replicate: int) -> str:
    identity = json.dumps([*_identity(planned).values()])
    return hashlib.sha256(f"{identity}/{replicate}".encode()).hexdigest()[:12]


def _taken_up(held: EpisodeRow) -> dict[str, Any]:
    """What stays of the row of an episode that was cut short: when it was begun, and what made its first part."""
    made = held.manifest if held.manifest == manifest() else {**held.manifest, "resumed_with": manifest()}
    return {"started_at": held.started_at, "manifest": json.dumps(made)}
