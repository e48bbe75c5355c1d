"""What is asked for: bars, policy, windows, candidates, feedback modes and seeds come in; the episodes this takes and
the setting of each go out, and rehearsals of the baselines that every result is shown beside."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from string import Template
from typing import Protocol

from threadpoolctl import threadpool_limits

from tradearena import rooms
from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate, open_agent
from tradearena.arena.episode import Setting, play
from tradearena.arena.origin import Origin
from tradearena.arena.setting import Hearing, setting_of
from tradearena.arena.tally import Tally
from tradearena.errors import UsageError
from tradearena.market.dataset import Dataset
from tradearena.market.window import Span, Window
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.feedback import open_wording
from tradearena.store.schema import ENGINE
from tradearena.store.steps import Held
from tradearena.values import Trajectory

BASELINES = ("cash", "buy-and-hold", "equal-weight", "markowitz")
"""Agents every result is shown beside."""


@dataclass(frozen=True, eq=False)
class Planned:
    """One episode that is asked for. `wording` is the sentence its audits are told in, "" where nothing is told;
    `origin` is what it is made from, and `prefix` the steps that are taken from there as they are."""

    candidate: Candidate
    mode: str
    seed: int
    span: Span
    wording: str
    origin: Origin | None = None
    prefix: tuple[Held, ...] = ()

    @property
    def title(self) -> str:
        """What tells it from the others of its plan, for people."""
        return f"{self.candidate.card.name}, feedback {self.mode}, seed {self.seed}, bars from {self.span.first}"


class Programme(Protocol):
    """What an experiment is to hold: episodes on the bars of one dataset under one policy."""

    @property
    def dataset(self) -> Dataset:
        """The bars."""
        ...

    @property
    def policy(self) -> Policy:
        """The limits and terms."""
        ...

    @property
    def rule(self) -> str:
        """Which bars, in one canonical line."""
        ...

    @property
    def episodes(self) -> tuple[Planned, ...]:
        """In the order they are begun."""
        ...

    def stage(self, planned: Planned, halt: Callable[[int], bool]) -> Setting:
        """Where one of its episodes plays."""
        ...


def identity_of(programme: Programme) -> str:
    """Names the universe of a programme. Agents, modes and seeds extend its file."""
    return identity(programme.dataset.panel.digest, programme.policy.digest, programme.rule)


def identity(bars: str, policy: str, window: str) -> str:
    """Names a universe: digests of bars and policy, window rule, and the engine."""
    return hashlib.sha256(json.dumps([bars, policy, window, ENGINE]).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Plan:
    """What an experiment is asked to hold: each candidate told in each mode, with each seed, in each window of one
    dataset.

    Raises:
        UsageError: two candidates bear one name, or a mode or a seed is asked for twice.
    """

    dataset: Dataset
    policy: Policy
    window: Window
    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...] = (0,)
    modes: tuple[str, ...] = ("true",)
    wording: Template = field(default_factory=open_wording)

    def __post_init__(self) -> None:
        names = [candidate.card.name for candidate in self.candidates]
        for kind, said in (("agent", names), ("feedback mode", self.modes), ("seed", self.seeds)):
            if twice := [each for i, each in enumerate(said) if each in said[:i]]:
                raise UsageError(f"the {kind} '{twice[0]}' is asked for twice; name it once")

    @property
    def rule(self) -> str:
        """The windows as asked for."""
        return self.window.rule

    @property
    def identity(self) -> str:
        """Names the universe: dataset digest, policy, window rule and engine."""
        return identity_of(self)

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """Bars of each window: all episodes of a window start together, where the most demanding candidate can.

        Raises:
            UsageError: a window holds no decision.
        """
        begins = [candidate.begins for candidate in self.candidates if candidate.begins is not None]
        return self.window.resolve(
            self.dataset.panel,
            warmup=max(candidate.warmup for candidate in self.candidates),
            latency=self.policy.execution.latency,
            begins=max(begins, default=None),
        )

    @property
    def span(self) -> Span:
        """From the first bar of the first window to the last bar of any."""
        first = self.spans[0]
        return Span(first.first, max(each.last for each in self.spans), first.every, first.latency)

    @cached_property
    def episodes(self) -> tuple[Planned, ...]:
        """The episodes that are asked for, in the order they are begun: window by window, in each seed by seed, and
        with each seed every agent in every mode. So what changes at a provider in the course of a run changes for all
        alike, and a grid that is cut short is balanced.

        An agent that reads no feedback plays once, as `hidden`, whatever the modes; one that is not sampled plays once,
        with seed 0, whatever the seeds.
        """
        found: dict[tuple[Span, int, str, str], Planned] = {}
        for span, seed, candidate, mode in product(self.spans, self.seeds, self.candidates, self.modes):
            card = candidate.card
            told, dice = mode if card.reads_feedback else "hidden", seed if card.sampled else 0
            wording = "" if told == "hidden" else self.wording.template
            found.setdefault((span, dice, card.name, told), Planned(candidate, told, dice, span, wording))
        return tuple(found.values())

    def once(self) -> list[str]:
        """What is asked for more often than it makes a difference, in a sentence each."""
        said = []
        for candidate in self.candidates:
            card = candidate.card
            if not card.reads_feedback and set(self.modes) != {"hidden"}:
                said.append(f"{card.name} reads no feedback: it is run once, as hidden, for all modes")
            if not card.sampled and self.seeds != (0,):
                said.append(f"{card.name} has no dice: it is run once, with seed 0, for all seeds")
        return said

    def unheard(self) -> list[str]:
        """What of the candidates' recordings never applies in these windows, in a sentence each."""
        ends = self.dataset.panel.end[[t for span in self.spans for t in span.decisions]]
        said = ((candidate.card.name, candidate.unheard(ends)) for candidate in self.candidates)
        return [f"{name}: {remark}" for name, remark in said if remark]

    def setting(
        self,
        span: Span,
        mode: str = "hidden",
        seed: int = 0,
        halt: Callable[[int], bool] = lambda _t: False,
        candidate: Candidate | None = None,
    ) -> Setting:
        """Where an episode of this plan plays, and what its agent is told. All episodes share the reference: it depends
        on the bars alone."""
        card = candidate.card if candidate else None
        hearing = Hearing(mode, self.wording.template, seed, card)
        rehearse = card is not None and card.rehearses
        return setting_of(
            self.dataset.panel, self.policy, span, hearing, reference=self._reference, halt=halt, rehearse=rehearse
        )

    def stage(self, planned: Planned, halt: Callable[[int], bool]) -> Setting:
        """Where one of its episodes plays."""
        return self.setting(planned.span, planned.mode, planned.seed, halt, planned.candidate)

    @cached_property
    def _reference(self) -> RollingMarkowitz:
        return RollingMarkowitz(self.dataset.panel, self.policy.reference)


def rehearse(plan: Plan, name: str, span: Span | None = None) -> Trajectory:
    """Play a shipped agent on the plan's bars (of one window), policy and costs, and keep nothing but the arrays."""
    setting = plan.setting(span or plan.span)
    card = rooms.shipped() / "agents" / f"{name}.toml"  # not one of the user's that bears the name
    agent = open_agent(str(card)).seat(Seat(0, lambda t: setting.reference.at(t).weights, plan.policy.limits))
    tally = Tally(plan.dataset.panel, plan.policy.execution.initial_cash)
    with threadpool_limits(limits=1, user_api="blas"):
        asyncio.run(play(agent, setting, tally))
    return tally.trajectory()
