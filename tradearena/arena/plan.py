"""What is asked for: bars, policy, window and candidates come in; spans and settings of episodes go out, and rehearsals
of the baselines that every result is shown beside."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from threadpoolctl import threadpool_limits

from tradearena import rooms
from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate, open_agent
from tradearena.arena.episode import Setting, play
from tradearena.arena.tally import Tally
from tradearena.market.dataset import Dataset
from tradearena.market.window import Span, Window
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store.schema import ENGINE
from tradearena.values import Trajectory

BASELINES = ("cash", "buy-and-hold", "equal-weight", "markowitz")
"""Agents every result is shown beside."""


@dataclass(frozen=True)
class Plan:
    """What an experiment is asked to hold: each candidate with each seed, on one window of one dataset."""

    dataset: Dataset
    policy: Policy
    window: Window
    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...] = (0,)

    @property
    def identity(self) -> str:
        """Names the universe: dataset digest, policy, window rule and engine. Agents and seeds extend a file."""
        said = [self.dataset.panel.digest, self.policy.digest, self.window.rule, ENGINE]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:10]

    @property
    def span(self) -> Span:
        """Bars of the episodes: they start together, where the most demanding candidate can.

        Raises:
            UsageError: the window holds no decision.
        """
        begins = [candidate.begins for candidate in self.candidates if candidate.begins is not None]
        return self.window.resolve(
            self.dataset.panel,
            warmup=max(candidate.warmup for candidate in self.candidates),
            latency=self.policy.execution.latency,
            begins=max(begins, default=None),
        )

    def unheard(self) -> list[str]:
        """What of the candidates' recordings never applies in this window, in a sentence each."""
        ends = self.dataset.panel.end[list(self.span.decisions)]
        said = ((candidate.card.name, candidate.unheard(ends)) for candidate in self.candidates)
        return [f"{name}: {remark}" for name, remark in said if remark]

    def setting(self, halt: Callable[[int], bool] = lambda _t: False) -> Setting:
        """Where an episode of this plan plays. Its episodes share the reference: it depends on the bars alone."""
        return Setting(self.dataset.panel, self.policy, self.span, self._reference, halt)

    @cached_property
    def _reference(self) -> RollingMarkowitz:
        return RollingMarkowitz(self.dataset.panel, self.policy.reference)


def rehearse(plan: Plan, name: str) -> Trajectory:
    """Play a shipped agent on the plan's bars, policy and costs, and keep nothing but the arrays."""
    setting = plan.setting()
    card = rooms.shipped() / "agents" / f"{name}.toml"  # not one of the user's that bears the name
    agent = open_agent(str(card)).seat(Seat(0, lambda t: setting.reference.at(t).weights))
    tally = Tally(plan.dataset.panel, plan.policy.execution.initial_cash)
    with threadpool_limits(limits=1, user_api="blas"):
        asyncio.run(play(agent, setting, tally))
    return tally.trajectory()
