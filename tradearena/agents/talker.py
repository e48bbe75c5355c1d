"""An agent that is asked in words: an observation becomes a prompt, whoever stands behind the voice answers, and the
reply is read. Models and organisms differ in their voice and in nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from tradearena.agents.format import DEFAULT, Mode, without_words
from tradearena.agents.prompt import Pages
from tradearena.agents.reply import decision_in
from tradearena.values import Call, Decision, Exchange, Observation


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the raw text, whether it was cut off before its end, and the requests it took."""

    text: str
    cut: bool = False
    calls: tuple[Call, ...] = ()


class Voice(Protocol):
    """Who answers a prompt. It sees the text and nothing else."""

    async def answer(self, system: str, prompt: str) -> Reply:
        """Reply to one prompt.

        Raises:
            AgentError: no reply can be had.
        """
        ...


class Talker:
    """A voice in its seat, the pages it is handed, and the form in which it is to answer."""

    def __init__(self, voice: Voice, pages: Pages, mode: Mode = DEFAULT) -> None:
        self.voice, self.pages, self.mode = voice, pages, mode

    async def decide(self, observation: Observation) -> Decision:
        """Ask, and read the reply."""
        system, prompt = self.pages.system(observation), self.pages.prompt(observation)
        reply = await self.voice.answer(system, prompt)
        decision = decision_in(reply.text, observation.symbols, cut=reply.cut)
        if self.mode == "weights-only":
            decision = without_words(decision)
        return replace(decision, exchange=Exchange(system, prompt, reply.text, reply.calls))
