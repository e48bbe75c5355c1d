"""Asks an agent in memory, on any bars: a card, bars and a seat come in, the trace of its episode goes out. Nothing is
recorded, so it costs no more than the asking."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import cast

from threadpoolctl import threadpool_limits

from tradearena.agents.agent import Seat
from tradearena.agents.card import AgentCard, Candidate, scripted
from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.trace import Texts, Trace, trace_of
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
    """Bars, a span of them and the policy that audits there; whoever is asked on it shares its reference."""

    def __init__(self, panel: Panel, policy: Policy, span: Span, path: str) -> None:
        self.panel, self.policy, self.span = panel, policy, span
        self.window = Window(path, span.first, span.last)

    @cached_property
    def reference(self) -> RollingMarkowitz:
        """The rolling Markowitz portfolio."""
        return RollingMarkowitz(self.panel, self.policy.reference)

    def asked(
        self, card: AgentCard, *, mode: str = "true", seed: int = 0, halt: Callable[[int], bool] = lambda _t: False
    ) -> Trace:
        """The trace of one episode of a scripted agent; its group is the name on its card, and the mode.

        Args:
            mode: feedback mode.
            seed: of the agent's dice.
            halt: asked before every decision; True stops.

        Raises:
            Interrupted: it was stopped.
        """
        hearing = Hearing(mode, open_wording().template, seed, card)
        setting = setting_of(self.panel, self.policy, self.span, hearing, reference=self.reference, halt=halt)
        tally = Tally(self.panel, self.policy.execution.initial_cash)
        who, limits = cast(Candidate, scripted(card)), self.policy.limits
        seat = Seat(seed, lambda t: setting.reference.at(t).weights, limits, symbols=self.panel.symbols)
        with threadpool_limits(1, user_api="blas"):
            at_once(play(who.seat(seat), setting, tally))
        said = [step.decision for step in tally.steps]
        texts = Texts([each.rationale for each in said], [each.reflection or "" for each in said])
        name = f"{card.name} {seed}"
        return trace_of(name, f"{card.name}, {mode}", self.window, tally.trajectory(), self.panel, texts)
