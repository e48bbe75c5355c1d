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
from tradearena.agents.llm import LanguageModel, prices_of, tokens_in
from tradearena.agents.model import Model
from tradearena.agents.talker import Reply, Talker
from tradearena.arena.episode import play
from tradearena.arena.plan import Plan, Planned
from tradearena.arena.tally import Tally

COUNTED = 5
"""Prompts of an episode whose tokens are counted, one by one; those of the others follow by their length."""

WORDS = (
    "Momentum leads here, so the strongest names carry the weight; the rest stays in cash until the picture clears. "
)


class Forecast(NamedTuple):
    """The requests of one agent: how many, what they would read, what they would write (as much as a plain answer has,
    and at most), and what that would cost in US dollars; None where the price is unknown."""

    agent: str
    model: str
    episodes: int
    requests: int
    input_tokens: int
    output_tokens: tuple[int, int]
    cost: tuple[float, float] | None


class _Echo:
    """Answers every prompt alike, and keeps what it was asked."""

    def __init__(self, symbols: Sequence[str]) -> None:
        weights = dict.fromkeys(symbols, round(0.9 / len(symbols), 4))
        self.text = json.dumps({"target_weights": weights, "rationale": WORDS * 4, "confidence": 0.6})
        self.asked: list[str] = []

    async def answer(self, system: str, prompt: str) -> Reply:
        """The same as ever."""
        self.asked.append(system + prompt)
        return Reply(self.text)


def forecast(plan: Plan, due: Iterable[tuple[Planned, int]]) -> list[Forecast]:
    """What the episodes would ask, by agent; each comes with the number of its decisions that are on file already.
    Episodes that differ in their seed alone are asked alike."""
    found: dict[str, Forecast] = {}
    nobody = np.zeros(len(plan.dataset.panel.symbols))  # what is asked in words is not the reference
    known: dict[tuple[str, str, int], tuple[float, int]] = {}
    for planned, recorded in due:
        name = planned.candidate.card.name
        agent = planned.candidate.seat(Seat(planned.seed, lambda _t: nobody, plan.policy.limits))
        if not isinstance(agent, Talker) or not isinstance(agent.voice, LanguageModel):
            continue
        model, kind = agent.voice.model, (name, planned.mode, planned.span.first)
        read, written = known[kind] = known.get(kind) or _asked(plan, planned, agent, model.model)
        requests = len(planned.span.decisions) - recorded
        output = (requests * min(written, model.max_tokens), requests * model.max_tokens)
        found[name] = _priced(
            _added(found.get(name), name, model.model, requests, round(requests * read), output), model
        )
    return list(found.values())


def _asked(plan: Plan, planned: Planned, agent: Talker, model: str) -> tuple[float, int]:
    """Mean tokens of a prompt of this episode, and those of a plain answer."""
    agent.voice = echo = _Echo(plan.dataset.panel.symbols)
    setting = plan.setting(planned.span, planned.mode, planned.seed, candidate=planned.candidate)
    with threadpool_limits(limits=1, user_api="blas"):
        asyncio.run(play(agent, setting, Tally(plan.dataset.panel, plan.policy.execution.initial_cash)))
    every = max(1, len(echo.asked) // COUNTED)
    sample = echo.asked[every // 2 :: every]
    by_length = sum(tokens_in(model, text) for text in sample) / sum(map(len, sample))
    return by_length * sum(map(len, echo.asked)) / len(echo.asked), tokens_in(model, echo.text)


def _added(
    before: Forecast | None, agent: str, model: str, requests: int, read: int, written: tuple[int, int]
) -> Forecast:
    """One more episode."""
    if before is None:
        return Forecast(agent, model, 1, requests, read, written, None)
    least, most = before.output_tokens
    return before._replace(
        episodes=before.episodes + 1,
        requests=before.requests + requests,
        input_tokens=before.input_tokens + read,
        output_tokens=(least + written[0], most + written[1]),
    )


def _priced(found: Forecast, model: Model) -> Forecast:
    if (prices := prices_of(model)) is None:
        return found
    least, most = (prices.of(found.input_tokens, 0, written) for written in found.output_tokens)
    return found._replace(cost=(least, most))
