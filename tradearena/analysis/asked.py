"""Asks scripted agents in memory, on any bars: a card and a span come in, what came of the episode goes out. Nothing is
recorded, so it costs no more than the asking."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import cast

from threadpoolctl import threadpool_limits

from tradearena.agents.agent import Seat
from tradearena.agents.card import AgentCard, Candidate, scripted
from tradearena.arena.donors import at_once
from tradearena.arena.episode import play
from tradearena.arena.setting import Hearing, setting_of
from tradearena.arena.tally import Tally
from tradearena.market.window import Span
from tradearena.panel import Panel
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.feedback import open_wording


class Market:
    """Bars and the policy that audits there; all who are asked on it share its reference."""

    def __init__(self, panel: Panel, policy: Policy, wording: str | None = None) -> None:
        self.panel, self.policy = panel, policy
        self.wording = wording if wording is not None else open_wording().template

    @cached_property
    def reference(self) -> RollingMarkowitz:
        """The rolling Markowitz portfolio."""
        return RollingMarkowitz(self.panel, self.policy.reference)

    def played(
        self,
        card: AgentCard,
        span: Span,
        *,
        mode: str = "true",
        seed: int = 0,
        halt: Callable[[int], bool] = lambda _t: False,
    ) -> Tally:
        """One episode of a scripted agent.

        Args:
            card: its card; an agent that costs something is asked no other way than with a record.
            span: of the bars.
            mode: feedback mode.
            seed: of the agent's dice, and of those of placebos and lies.
            halt: asked before every decision; True stops.

        Raises:
            Interrupted: it was stopped.
        """
        hearing = Hearing(mode, self.wording, seed, card)
        setting = setting_of(self.panel, self.policy, span, hearing, reference=self.reference, halt=halt)
        tally = Tally(self.panel, self.policy.execution.initial_cash)
        who = cast(Candidate, scripted(card))
        seat = Seat(seed, lambda t: self.reference.at(t).weights, self.policy.limits, symbols=self.panel.symbols)
        with threadpool_limits(limits=1, user_api="blas"):
            at_once(play(who.seat(seat), setting, tally))
        return tally
