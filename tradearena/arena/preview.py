"""A plan comes in; what its agent would be sent at the first step goes out, and nothing is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from tradearena.agents.agent import Seat
from tradearena.agents.conversation import Reply
from tradearena.agents.talker import Talker
from tradearena.agents.tools import specifications
from tradearena.arena.episode import play
from tradearena.arena.plan import Plan
from tradearena.arena.tally import Tally
from tradearena.errors import Interrupted, UsageError
from tradearena.values import Exchange


class Sent(NamedTuple):
    """The texts of a request, and the tools that it offers, as JSON; "" where there are none."""

    system: str
    prompt: str
    tools: str


class _Listener:
    """A voice that hears the first request and stops there."""

    def __init__(self, tools: Sequence[str]) -> None:
        self.tools = json.dumps(specifications(tools), indent=2) if tools else ""
        self.heard = Sent("", "", "")

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:  # noqa: ARG002
        """Nobody answers."""
        self.heard = Sent(system, prompt, self.tools)
        raise Interrupted("the first request was heard")


def first_request(plan: Plan) -> Sent:
    """Begin the plan's first episode, up to the first request. No mode has been told anything by then, and no seed is
    part of the words.

    Raises:
        UsageError: the agent is not asked in words, or the window holds no decision.
    """
    planned = plan.episodes[0]
    setting = plan.setting(planned.span)
    seat = Seat(planned.seed, lambda t: setting.reference.at(t).weights, plan.policy.limits)
    agent = planned.candidate.seat(seat)
    if not isinstance(agent, Talker):
        raise UsageError(f"{planned.candidate.card.name} is not asked in words: there is no prompt to show")
    first = agent.speakers[0]
    first.voice = listener = _Listener(first.tools)
    with suppress(Interrupted):
        asyncio.run(play(agent, setting, Tally(plan.dataset.panel, plan.policy.execution.initial_cash)))
    return listener.heard
