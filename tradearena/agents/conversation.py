"""What is said for one decision: system texts and prompts come in, the exchanges with those who are asked go out, each
on record before the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tradearena.agents.agent import Minutes
from tradearena.agents.tools import results
from tradearena.errors import AgentError
from tradearena.values import Call, Exchange, Observation, State


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the raw text, whether it was cut off before its end, the requests it took, and whether it calls
    tools: then the text is the JSON of these calls. `states` of a model that ran in this process."""

    text: str
    cut: bool = False
    calls: tuple[Call, ...] = ()
    tools: bool = False
    states: tuple[State, ...] = ()


class Voice(Protocol):
    """Who answers a prompt. It sees what is said to it and nothing else."""

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:
        """Reply to one prompt, which goes on from the exchanges before.

        Raises:
            AgentError: no reply can be had.
        """
        ...


@dataclass
class Speaker:
    """Somebody who is asked: the voice, its name ("" for the one who decides), and the tools it may call."""

    voice: Voice
    name: str = ""
    tools: tuple[str, ...] = ()


class Conversation:
    """The exchanges of one decision. Those that are on record already, because a run was cut short between them, are
    not had again."""

    def __init__(self, observation: Observation, minutes: Minutes) -> None:
        self.observation, self.minutes = observation, minutes
        self.exchanges: list[Exchange] = []
        self._known = minutes.said()

    async def ask(self, speaker: Speaker, system: str, prompt: str) -> Exchange:
        """Begin a conversation; returns the exchange that ends it, after those in which the speaker called tools.

        Raises:
            AgentError: a reply cannot be had, or what is on record was said otherwise.
        """
        return await self._ask(speaker, system, prompt, ())

    async def go_on(self, speaker: Speaker, prompt: str) -> Exchange:
        """Say something more to whom the last exchange was with."""
        last = self.exchanges[-1]
        return await self._ask(speaker, last.system, prompt, tuple(self.exchanges[-1 - last.turn :]))

    async def _ask(self, speaker: Speaker, system: str, prompt: str, before: tuple[Exchange, ...]) -> Exchange:
        while True:
            exchange = await self._exchange(speaker, system, prompt, before)
            if not exchange.tools:
                return exchange
            prompt, before = results(exchange.reply, speaker.tools, self.observation), (*before, exchange)

    async def _exchange(self, speaker: Speaker, system: str, prompt: str, before: Sequence[Exchange]) -> Exchange:
        """Ask once, when what was said before is safe."""
        said, known = self.exchanges, self._known
        if len(said) > len(known):
            await self.minutes.say(self.observation.t, said[-1])
        if len(said) < len(known):
            exchange = known[len(said)]
            asked = (exchange.speaker, exchange.turn, exchange.system, exchange.prompt)
            if asked != (speaker.name, len(before), system, prompt):
                raise AgentError("what is on record of this decision was said otherwise; start anew with --again")
        else:
            reply = await speaker.voice.answer(system, prompt, before)
            exchange = Exchange(
                system, prompt, reply.text, reply.calls, speaker.name, len(before), reply.tools, reply.cut, reply.states
            )
        said.append(exchange)
        return exchange
