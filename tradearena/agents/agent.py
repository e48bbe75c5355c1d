"""What an agent is: one method. And what it is handed when it takes its seat in an episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tradearena.agents.switchboard import Switchboard
from tradearena.panel import Array
from tradearena.policy import Limits
from tradearena.values import Decision, Exchange, Observation


class Minutes(Protocol):
    """What was said for a decision before it was reached."""

    def said(self) -> Sequence[Exchange]:
        """The exchanges on record for the decision that is due."""
        ...

    async def say(self, t: int, exchange: Exchange) -> None:
        """Put an exchange on record that the decision at bar t goes on from; returns once it is safe."""
        ...


class _Unkept:
    """Minutes that nobody takes."""

    def said(self) -> Sequence[Exchange]:
        return ()

    async def say(self, t: int, exchange: Exchange) -> None:
        """Nothing is kept."""


UNKEPT: Minutes = _Unkept()


class Agent(Protocol):
    """Maps an observation to a decision.

    The decision must follow from the observation (and the seed) alone: an episode that was cut short is resumed by
    replaying what is on record, and what an object remembered beside that would be lost.
    """

    async def decide(self, observation: Observation) -> Decision:
        """Answer the observation at the close of its bar."""
        ...


@dataclass(frozen=True, slots=True)
class Seat:
    """What an agent is built with, beside its card: the episode's seed, the limits it is told to keep, the weights [N]
    of the reference portfolio at the close of a bar, for the agent that is the reference, and for one that asks a model
    what puts its requests through, the symbols it may answer with, and where what is said is put on record."""

    seed: int
    reference: Callable[[int], Array]
    limits: Limits = field(default_factory=Limits)
    board: Switchboard = field(default_factory=Switchboard)
    symbols: tuple[str, ...] = ()
    minutes: Minutes = UNKEPT
