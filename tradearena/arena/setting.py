"""Where an episode plays, and what its agent is told: bars, rules and origin come in, a `Setting` goes out. Runs, forks
and verifications all have theirs from here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from string import Template
from typing import NamedTuple

from tradearena.agents.card import AgentCard, resembling
from tradearena.arena.donors import donors
from tradearena.arena.episode import Setting, Turn
from tradearena.arena.origin import Prefix
from tradearena.market.window import Span
from tradearena.panel import Panel
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.feedback import Feedback, Forked, desk


class Hearing(NamedTuple):
    """How an agent is told of its audits: in which mode and words, by which dice; and its card, since the donors of a
    placebo are to be like it."""

    mode: str = "hidden"
    wording: str = ""
    seed: int = 0
    card: AgentCard | None = None


def setting_of(
    panel: Panel,
    policy: Policy,
    span: Span,
    hearing: Hearing,
    prefix: Prefix | None = None,
    reference: RollingMarkowitz | None = None,
    halt: Callable[[int], bool] = lambda _t: False,
    *,
    rehearse: bool = False,
) -> Setting:
    """The setting of an episode; one with a prefix begins under the rules of that, which may have had a trunk itself.
    Episodes on the same bars under the same policy may share the reference."""
    reference = reference or RollingMarkowitz(panel, policy.reference)
    own = partial(told, panel, policy, span, hearing)
    if prefix is None:
        return Setting(panel, policy, span, reference, halt, own, rehearse)
    heard = Hearing(prefix.feedback, prefix.wording, prefix.seed, prefix.card)
    shared = reference if prefix.policy.reference == policy.reference else None
    trunk = setting_of(panel, prefix.policy, span, heard, prefix.before, shared)
    steps = len(range(span.first, prefix.at, span.every))

    def feedback() -> Feedback:
        before = trunk.feedback()
        if hearing == heard and policy == prefix.policy:
            return before
        return Forked(before, own(), steps, rewritten=prefix.carry == "rewritten")

    turns = (*trunk.turns, Turn(prefix.at, policy, reference))
    return replace(trunk, halt=halt, feedback=feedback, rehearse=rehearse, turns=turns)


def told(panel: Panel, policy: Policy, span: Span, hearing: Hearing) -> Feedback:
    """What tells the agent of an episode of its audits."""
    mode, said, seed, card = hearing
    wording = Template(said)
    return desk(
        mode,
        wording,
        symbols=panel.symbols,
        limits=policy.limits,
        decisions=len(span.decisions),
        dice=hashlib.sha256(f"feedback {seed} {span.first}".encode()).digest(),
        donors=lambda: donors(panel, policy, span.first, wording, resembling(card) if card else None, span.every),
    )
