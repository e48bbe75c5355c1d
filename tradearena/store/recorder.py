"""The record of one episode: what is on file is recalled, and checked as it is made again; what is new waits here for
the next commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tradearena.errors import DivergedError
from tradearena.store.chain import GENESIS, closing_link, digests, next_link
from tradearena.store.rows import Recorded
from tradearena.store.seal import Seal
from tradearena.store.waiting import Kept, Waiting
from tradearena.values import Call, Decision, Exchange, Fill, Mark, RiskReport, Step

if TYPE_CHECKING:
    from tradearena.store.steps import Held

ANEW = "start a new replicate with --again"
"""What is left to do where a record does not come out the same again."""

MOST = 2_000
"""Steps of an episode that wait: so many only where another process holds the file and keeps commits from it."""


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
        self._states: list[tuple[Any, ...]] = []
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
                f"was changed, or another version or processor computed it; {ANEW}"
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
        self._states += [(t, self._spoken, *state) for state in sorted(exchange.states)]
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

    def drain(self) -> Waiting:
        """Everything that waits; none of it waits any more."""
        waiting = Waiting(self.episode, self._waiting, self._exchanges, self._calls, self._marks, self._fills)
        self._waiting, self._exchanges, self._calls, self._marks, self._fills = [], [], [], [], []
        states, self._states = self._states, []
        return waiting._replace(states=states)
