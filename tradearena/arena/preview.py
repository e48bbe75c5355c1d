"""A plan comes in; what its agent, and its team, would be sent at the first step goes out, and nothing is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from tradearena.agents.agent import Seat
from tradearena.agents.conversation import Reply, Speaker
from tradearena.agents.talker import Talker
from tradearena.agents.tools import specifications
from tradearena.arena.episode import play
from tradearena.arena.plan import Plan
from tradearena.arena.tally import Tally
from tradearena.errors import Interrupted, UsageError
from tradearena.values import Exchange


class Sent(NamedTuple):
    """The texts of a request to a speaker ("": the one who decides), and the tools that it offers, as JSON; "" where
    there are none."""

    speaker: str
    system: str
    prompt: str
    tools: str


class _Listener:
    """The voice of a speaker that hears its first request; who decides stops there, and who reports says nothing."""

    def __init__(self, speaker: Speaker, heard: list[Sent]) -> None:
        self.speaker, self.heard = speaker, heard

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:  # noqa: ARG002
        """Nobody answers."""
        tools = self.speaker.tools
        offered = json.dumps(specifications(tools), indent=2) if tools else ""
        self.heard.append(Sent(self.speaker.name, system, prompt, offered))
        if self.speaker.name:
            return Reply("")
        raise Interrupted("the first requests were heard")


def first_requests(plan: Plan) -> list[Sent]:
    """Begin the plan's first episode, up to the first request to the one who decides; those to its team come before. No
    mode has been told anything by then, and no seed is part of the words.

    Raises:
        UsageError: the agent is not asked in words, or the window holds no decision.
    """
    planned = plan.episodes[0]
    setting = plan.setting(planned.span)
    seat = Seat(planned.seed, lambda t: setting.reference.at(t).weights, plan.policy.limits)
    agent = planned.candidate.seat(seat)
    if not isinstance(agent, Talker):
        raise UsageError(f"{planned.candidate.card.name} is not asked in words: there is no prompt to show")
    heard: list[Sent] = []
    for speaker in agent.speakers:
        speaker.voice = _Listener(speaker, heard)
    with suppress(Interrupted):
        asyncio.run(play(agent, setting, Tally(plan.dataset.panel, plan.policy.execution.initial_cash)))
    return heard
