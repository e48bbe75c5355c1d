"""One experiment: a plan comes in, a file that holds its episodes goes out. Episodes on file are not run again, cut
ones are taken up where they were cut."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from tradearena.agents.card import Candidate
from tradearena.agents.keys import hide, stripped
from tradearena.agents.switchboard import Switchboard
from tradearena.arena.manifest import manifest
from tradearena.arena.plan import Planned, Programme, identity_of
from tradearena.arena.schedule import CONCURRENCY, Due, Progress, Schedule
from tradearena.arena.signing import sign
from tradearena.errors import Interrupted, Limited, StoreError, TradeArenaError
from tradearena.store import files
from tradearena.store.committer import Committer
from tradearena.store.reader import Reader
from tradearena.store.recorder import ANEW
from tradearena.store.recovery import mend
from tradearena.store.rows import EpisodeRow, Recorded
from tradearena.store.schema import DONE, ENGINE
from tradearena.store.signature import Signer
from tradearena.store.writer import Writer


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the file, the ids of the plan's episodes in it, what kept episodes from their end, each with
    what tells that episode from the others, and how many were signed."""

    path: Path
    episodes: tuple[str, ...]
    failures: tuple[tuple[str, TradeArenaError], ...] = ()
    signed: int = 0

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


def locate(plan: Programme, home: Path | None, now: datetime) -> Path:
    """The file of a plan: the newest one of its identity under `replays`, else a new one there."""
    name = hide(plan.dataset.card.name)
    return files.find(identity_of(plan), home) or files.new_path(identity_of(plan), name, now, home)


def run(
    plan: Programme,
    path: Path,
    *,
    again: bool = False,
    concurrency: int = CONCURRENCY,
    board: Switchboard | None = None,
    signer: Signer | None = None,
    progress: Progress = lambda _standing: False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    held: files.Held = lambda _waited: True,
    warn: Callable[[str], None] = lambda _sentence: None,
) -> Outcome:
    """Run what the plan asks for and the file lacks.

    An agent that raises ends its episode as `error`, a stop ends those that run as `interrupted`; either way what was
    decided is kept, the outcome says so, and the same call takes it up again.

    Args:
        again: run a new replicate of every episode.
        concurrency: episodes that run side by side.
        board: puts the requests to models through, and knows what may be spent.
        signer: signs the plan's episodes that have ended, also those that had before.
        progress: told of every decision; may stop the run.
        clock: seconds; says when a group of steps is committed.
        now: for the times on record.
        held: asked while another process holds the file, with the seconds waited so far: wait longer, or fail?
        warn: told what was lost of a damaged file, before the run goes on from the rest.

    Raises:
        UsageError: a window holds no decision.
        AgentError: an agent that is to be asked cannot be.
        StoreError: the file cannot be written, holds another experiment, or was changed and is to be signed.
    """
    board, path = board or Switchboard(), files.followed(path)
    planned = plan.episodes  # a window without a decision is refused before a file is made
    if not path.exists():
        _check((each.candidate for each in planned), board)
    with files.writing(path), threadpool_limits(limits=1, user_api="blas"):
        if loss := mend(path):
            warn(loss)
        writer = Writer(path, clock, held)
        if path.exists():
            ids, due, behind = _due(path, plan, again=again)
            if due and behind:
                writer.update(now())
        else:
            writer.create(_experiment_row(plan, now()), plan.dataset.panel, now())
            ids, due = _all_due(plan)
        _check((each.planned.candidate for each in due), board)
        due = _begun(due)
        with Committer(writer) as committer:
            schedule = Schedule(plan, due, committer, progress, now, board)
            failures = asyncio.run(schedule.run(concurrency)) if due else {}
        writer.commit()
        signed = sign(writer, ids, signer, now()) if signer else 0
        if due or writer.logged:  # a log alone: the run before was killed between its last commit and here
            writer.compact()
        writer.close()
    titles = {name: each.title for name, each in zip(ids, planned, strict=True)}
    return Outcome(path, ids, tuple((titles[name], failures[name]) for name in ids if name in failures), signed)


def missing(plan: Programme, path: Path, *, again: bool = False) -> list[tuple[Planned, int]]:
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


def _all_due(plan: Programme) -> tuple[tuple[str, ...], list[Due]]:
    """The same of a file that holds nothing yet."""
    due = [Due(each, _episode_row(each, 0), Recorded([], [])) for each in plan.episodes]
    return tuple(each.id for each in due), due


def _due(path: Path, plan: Programme, *, again: bool) -> tuple[tuple[str, ...], list[Due], bool]:
    """The ids of the plan's episodes, those of them that have not come to their end, and whether the file is of an
    earlier schema; after checking that it holds this experiment."""
    with Reader(path) as reader:
        identity = reader.experiment().id
        if identity != identity_of(plan):
            raise StoreError(
                f"{path}: holds experiment {identity}, not {identity_of(plan)}: other bars, policy, window or engine; "
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
                begun = {"started_at": held.started_at, "manifest": held.manifest}
                due.append(Due(each, {**row, **begun}, reader.recorded(held.id)))
    return tuple(row["id"] for row in rows), due, bool(reader.lacks)


def _replicate(planned: Sequence[Planned], known: Mapping[str, EpisodeRow]) -> int:
    """The number of a new replicate: one more than the newest of these episodes has on file. If one of the newest did
    not come to its end, the number of that: it is taken up instead, unless it can never come out the same again."""
    for number in range(max((row.replicate for row in known.values()), default=-1), -1, -1):
        held = [known[name] for each in planned if (name := _id(each, number)) in known]
        if any(row.status not in DONE and ANEW not in (row.error or "") for row in held):
            return number
        if held:
            return number + 1
    return 0


def _experiment_row(plan: Programme, now: datetime) -> dict[str, Any]:
    dataset, panel = plan.dataset, plan.dataset.panel
    named = {"name": hide(plan.policy.name), "description": hide(plan.policy.description)}
    return {
        "id": identity_of(plan),
        "name": hide(dataset.card.name),
        "created_at": now,
        "engine": ENGINE,
        "dataset": json.dumps(stripped(json.loads(dataset.card.model_dump_json()))),
        "dataset_digest": panel.digest,
        "warnings": json.dumps([hide(str(warning)) for warning in dataset.warnings]),
        "policy": plan.policy.model_copy(update=named).model_dump_json(),
        "policy_digest": plan.policy.digest,
        "window": plan.rule,
        "symbols": list(panel.symbols),
        "sectors": list(panel.sectors),
        "bars_per_year": panel.bars_per_year,
    }


def _episode_row(planned: Planned, replicate: int) -> dict[str, Any]:
    """The row of an episode that is about to begin, but for what `_begun` adds."""
    return {
        "id": _id(planned, replicate),
        **_identity(planned),
        "replicate": replicate,
        "parent": planned.origin.model_dump_json() if planned.origin else "{}",
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


def _begun(due: list[Due]) -> list[Due]:
    """Episodes that are about to be played, with who plays and what makes them; of one that was cut short, what made
    its first part stays. Last of all: prices are looked up where somebody will be paid, and nowhere else."""
    made = {
        id(candidate): _made(candidate) for candidate in {id(c): c for c in (d.planned.candidate for d in due)}.values()
    }
    found = []
    for each in due:
        who, now = made[id(each.planned.candidate)]
        before = each.row.get("manifest")
        whole = now if before in (None, now) else {**before, "resumed_with": now}
        found.append(replace(each, row={**each.row, **who, "manifest": json.dumps(whole)}))
    return found


def _made(candidate: Candidate) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name and card of who plays, and the manifest, without secrets; what a replay goes by is none."""
    card = candidate.card
    plain = ("kind", "prompt") if card.kind == "llm" else ("kind", "prompt", "parameters")
    said = {
        key: value if key in plain else stripped(value) for key, value in json.loads(card.model_dump_json()).items()
    }
    return {"agent": said["name"], "card": json.dumps(said)}, stripped(manifest(candidate))
