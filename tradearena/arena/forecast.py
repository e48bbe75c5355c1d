"""What a run would ask of models: a plan and its file come in; requests, tokens and a range of cost go out, and nobody
is asked.

The prompts are those of the run: each episode is played against a voice that answers at once, always the same. What a
model would answer is not known, so what its account and its memory would say is not either; their length hardly is
another.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.agents.agent import Seat
from tradearena.agents.conversation import Reply
from tradearena.agents.gateway import prices_of, tokens_in
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import Model
from tradearena.agents.talker import Talker
from tradearena.agents.tools import CALLS, LONGEST, specifications
from tradearena.arena.episode import play
from tradearena.arena.plan import Plan, Planned
from tradearena.arena.tally import Tally
from tradearena.values import Exchange

COUNTED = 5
"""Prompts of an episode whose tokens are counted, one by one; those of the others follow by their length."""

ASKED_AGAIN = 250
"""Characters in which an agent is asked again, or told that an answer to a call is cut."""

WORDS = (
    "Momentum leads here, so the strongest names carry the weight; the rest stays in cash until the picture clears. "
)


class Forecast(NamedTuple):
    """The requests of one agent to one model: how many, what they would read and write (as much as plain answers take,
    and at most), and what that would cost in US dollars; None where the price is unknown."""

    agent: str
    model: str
    episodes: int
    requests: tuple[int, int]
    input_tokens: tuple[int, int]
    output_tokens: tuple[int, int]
    cost: tuple[float, float] | None = None


class _Echo:
    """Answers every prompt alike, and keeps what it was asked."""

    def __init__(self, symbols: Sequence[str]) -> None:
        weights = dict.fromkeys(symbols, round(0.9 / len(symbols), 4))
        self.text = json.dumps({"target_weights": weights, "rationale": WORDS * 4, "confidence": 0.6})
        self.asked: list[str] = []

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:  # noqa: ARG002
        """The same as ever."""
        self.asked.append(system + prompt)
        return Reply(self.text)


class _Share(NamedTuple):
    """What one decision asks of one model, at least and at most: requests, tokens read and tokens written."""

    model: Model
    requests: tuple[int, int]
    read: tuple[float, float]
    written: tuple[int, int]


def forecast(plan: Plan, due: Iterable[tuple[Planned, int]]) -> list[Forecast]:
    """What the episodes would ask, by agent and model; each comes with the number of its decisions that are on file
    already. Episodes that differ in their seed alone are asked alike."""
    found: dict[tuple[str, str], Forecast] = {}
    nobody = np.zeros(len(plan.dataset.panel.symbols))  # what is asked in words is not the reference
    known: dict[tuple[str, str, int], list[_Share]] = {}
    for planned, recorded in due:
        name = planned.candidate.card.name
        agent = planned.candidate.seat(Seat(planned.seed, lambda _t: nobody, plan.policy.limits))
        if not isinstance(agent, Talker) or not isinstance(agent.manager.voice, LanguageModel):
            continue
        kind = (name, planned.mode, planned.span.first)
        if kind not in known:
            known[kind] = _asked(plan, planned, agent)
        decisions = len(planned.span.decisions) - recorded
        new = {share.model.model for share in known[kind]}
        for share in known[kind]:
            key = (name, share.model.model)
            before = found.get(key, Forecast(name, share.model.model, 0, (0, 0), (0, 0), (0, 0), (0.0, 0.0)))
            found[key] = _added(before, share, decisions, episodes=int(share.model.model in new))
            new.discard(share.model.model)
    return list(found.values())


def _asked(plan: Plan, planned: Planned, agent: Talker) -> list[_Share]:
    """What a decision of this episode asks, of each who speaks."""
    speakers = [(speaker, speaker.voice) for speaker in agent.speakers]
    echoes = [_Echo(plan.dataset.panel.symbols) for _ in speakers]
    for (speaker, _), echo in zip(speakers, echoes, strict=True):
        speaker.voice = echo
    setting = plan.setting(planned.span, planned.mode, planned.seed, candidate=planned.candidate)
    with threadpool_limits(limits=1, user_api="blas"):
        asyncio.run(play(agent, setting, Tally(plan.dataset.panel, plan.policy.execution.initial_cash)))
    shares, reports = [], 0
    for (speaker, voice), echo in zip(speakers, echoes, strict=True):
        if isinstance(voice, LanguageModel):
            more = voice.rounds + (0 if speaker.name else agent.again)
            shares.append(_share(voice, echo, more, 0 if speaker.name else reports))
            reports += voice.model.max_tokens
    return shares


def _share(voice: LanguageModel, echo: _Echo, more: int, reports: int) -> _Share:
    """One request for each prompt, and at most so many `more`, each of which reads what was said before as well.
    `reports` are the tokens that others may have written into the prompt. At most a character is a token: of what
    tools give most are digits. The form of the answer and the tools are read as well."""
    model = voice.model
    every = max(1, len(echo.asked) // COUNTED)
    sample = echo.asked[every // 2 :: every]
    by_length = sum(tokens_in(model.model, text) for text in sample) / sum(map(len, sample))
    read = by_length * sum(map(len, echo.asked)) / len(echo.asked)
    forms = len(json.dumps([specifications(voice.tools), voice.schema]))
    added = model.max_tokens + (CALLS * (LONGEST + ASKED_AGAIN) if voice.rounds else ASKED_AGAIN)
    most = (more + 1) * (read + reports + forms) + added * more * (more + 1) / 2
    plain = min(tokens_in(model.model, echo.text), model.max_tokens)
    return _Share(model, (1, more + 1), (read, most), (plain, (more + 1) * model.max_tokens))


def _added(before: Forecast, share: _Share, decisions: int, *, episodes: int) -> Forecast:
    """So many decisions more."""
    requests, read, written = ([round(decisions * n) for n in each] for each in share[1:])
    prices = prices_of(share.model)
    cost = None
    if prices and before.cost:
        least, most = (prices.of(n, 0, m) for n, m in zip(read, written, strict=True))
        cost = before.cost[0] + least, before.cost[1] + most
    return before._replace(
        episodes=before.episodes + episodes,
        requests=_sum(before.requests, requests),
        input_tokens=_sum(before.input_tokens, read),
        output_tokens=_sum(before.output_tokens, written),
        cost=cost,
    )


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
