"""Plays episodes side by side: episodes to run come in, each is played into the file, what kept one from its end goes
out. There is one event loop: agents that wait for an answer wait together, the others take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

from tradearena.agents.agent import Seat
from tradearena.agents.switchboard import Switchboard
from tradearena.arena.episode import play
from tradearena.arena.plan import Planned, Programme
from tradearena.errors import (
    DivergedError,
    Interrupted,
    Limited,
    SolverError,
    StoreError,
    TradeArenaError,
    Undecided,
)
from tradearena.store.committer import Committer
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.writer import GROUP

CONCURRENCY = 16
"""Episodes that run side by side, unless another number is asked for."""

TOGETHER, MOST = 0.001, 0.02
"""Seconds that a reply which was paid for waits for others to share its commit, for each other episode that is playing;
and at most."""


CUT_SHORT: dict[type[TradeArenaError], str] = {Interrupted: "interrupted", Limited: "limited"}
"""Status of an episode that was ended by what was asked for; by anything else it is an error."""


class Standing(NamedTuple):
    """How far a run is, before a decision: the agent that is about to be asked, how many of its `total` decisions in
    this episode are `done`, how many `episodes` have `ended`, and how many of all their `decisions` were `reached`."""

    agent: str
    done: int
    total: int
    ended: int
    episodes: int
    reached: int
    decisions: int


class Progress(Protocol):
    """Who watches a run: is told of every decision, and may stop it."""

    def __call__(self, standing: Standing) -> bool:
        """Called before each decision; True stops the run."""
        ...


@dataclass(frozen=True)
class Due:
    """An episode to run: what was planned, its row on file, and the decisions it has there already."""

    planned: Planned
    row: dict[str, Any]
    recorded: Recorded

    @property
    def id(self) -> str:
        """Of the episode on file."""
        return str(self.row["id"])


class Schedule:
    """The episodes of one run, in the order they begin."""

    def __init__(
        self,
        plan: Programme,
        due: Sequence[Due],
        committer: Committer,
        progress: Progress,
        now: Callable[[], datetime],
        board: Switchboard,
    ) -> None:
        self.plan, self.due, self.progress, self.now = plan, due, progress, now
        self.committer, self.writer = committer, committer.writer
        self.board = replace(board, stopped=lambda: self._stopped)
        self.failures: dict[str, TradeArenaError] = {}
        self._decisions = sum(len(each.planned.span.decisions) for each in due)
        self._ended = self._reached = self._playing = 0
        self._stopped = False
        self._standing: Standing | None = None

    async def run(self, concurrency: int) -> dict[str, TradeArenaError]:
        """Play the episodes, so many at a time; returns by id what kept one from its end.

        An agent that raises ends its own episode. A stop ends each running episode before its next decision, and none
        is begun after it. Whatever else goes wrong is no matter of one episode: the others are broken off where they
        wait, what they decided is committed if the file still takes it, and the error goes on.
        """
        queue = iter(self.due)
        playing = {asyncio.create_task(self._play_in_turn(queue)) for _ in range(min(concurrency, len(self.due)))}
        tasks = (*playing, tending := asyncio.create_task(self._tend()))
        try:
            while playing:
                done, _ = await asyncio.wait({*playing, tending}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                playing -= done
            await self.committer.rest()
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(StoreError):
                self.committer.commit_here()
            raise
        tending.cancel()
        return self.failures

    async def _tend(self) -> None:
        """While all agents wait, no step calls for the commit of those before it, and nobody asks whether to stop."""
        while True:
            await asyncio.sleep(GROUP)
            self.committer.tend()
            self._stopped = self._stopped or (self._standing is not None and self.progress(self._standing))

    async def _saved(self) -> None:
        """Returns when a commit has been made, which all share who ask for one within a moment."""
        await self.committer.commit(min(TOGETHER * (self._playing - 1), MOST))

    async def _play_in_turn(self, queue: Iterator[Due]) -> None:
        for each in queue:
            if self._stopped:
                self.failures[each.id] = Interrupted("stopped before it began")
                continue
            self._playing += 1
            await self._play(each)
            self._playing, self._ended = self._playing - 1, self._ended + 1
            await asyncio.sleep(0)  # agents that never wait give the others a turn

    async def _play(self, due: Due) -> None:
        """Play one episode, from its start or from where the record ends, and write how it ended."""
        planned, plan = due.planned, self.plan
        setting = plan.stage(planned, partial(self._halt, planned))
        recorder = Recorder(due.id, due.recorded, self.committer.keep_pace, self._saved, planned.prefix)
        rules = setting.turns[-1] if setting.turns else setting
        seat = Seat(
            planned.seed,
            lambda t: rules.reference.at(t).weights,
            rules.policy.limits,
            self.board,
            plan.dataset.panel.symbols,
            recorder,
        )
        self.writer.begin_episode({"started_at": self.now(), **due.row}, recorder, at_once=False)
        try:
            status, root = await play(planned.candidate.seat(seat), setting, recorder)
        except (Undecided, DivergedError, SolverError, asyncio.CancelledError) as error:
            if _cancelled() or isinstance(error, asyncio.CancelledError):  # an agent may have hidden that it was
                with suppress(StoreError):
                    self._end(due, status="interrupted")
                raise asyncio.CancelledError from error
            self.failures[due.id] = error
            cut = next((status for kind, status in CUT_SHORT.items() if isinstance(error, kind)), None)
            self._end(due, status=cut or "error", error=None if cut else str(error))
        except BaseException:
            self.writer.forget_episode(due.id)  # it may be in the middle of a step
            raise
        else:
            self._end(due, status=status, root_hash=root)

    def _end(self, due: Due, **changes: Any) -> None:
        finished = "root_hash" in changes
        self.writer.end_episode(due.id, {**changes, "finished_at": self.now()}, finished=finished, at_once=False)

    def _halt(self, planned: Planned, t: int) -> bool:
        """Asked before each decision: shows how far the run is, and says whether to stop.

        Raises:
            Limited: the time is up.
        """
        decisions = planned.span.decisions
        standing = Standing(
            agent=planned.candidate.card.name,
            done=decisions.index(t),
            total=len(decisions),
            ended=self._ended,
            episodes=len(self.due),
            reached=self._reached,
            decisions=self._decisions,
        )
        self._reached += 1
        self._standing = standing
        self._stopped = self.progress(standing) or self._stopped
        self.board.allowance.in_time()
        return self._stopped or _cancelled()


def _cancelled() -> bool:
    """Is the episode that asks being broken off from outside?"""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
