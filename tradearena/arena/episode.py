"""One episode: an agent and a market come in, a record of every step goes out. This is THE loop; everything else in
the package serves one of its lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol, TypeAlias

from tradearena.agents.agent import Agent
from tradearena.agents.answer import complaint
from tradearena.agents.memory import Memory
from tradearena.arena.books import PaperBooks
from tradearena.errors import AgentError, Interrupted, Undecided
from tradearena.execution.ledger import Ledger
from tradearena.market.window import Span
from tradearena.panel import Panel, Seen
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.audit import audit
from tradearena.risk.feedback import UNTOLD, Feedback
from tradearena.risk.monitor import RiskMonitor
from tradearena.store.chain import observation_digest
from tradearena.values import Call, Decision, Fill, Mark, Observation, RiskReport, Step

Ending: TypeAlias = Literal["complete", "ruined"]


class Record(Protocol):
    """Where steps are kept, and what is already there."""

    def recall(self, t: int) -> Decision | None:
        """The decision already on record for bar t, if any."""
        ...

    def keep(self, step: Step) -> RiskReport:
        """Put a step on record; returns the audit that is acted upon, which is the one on record."""
        ...

    async def settled(self) -> None:
        """Returns once what was kept is safe, if its decision was paid for."""
        ...

    def lose(self, t: int, calls: tuple[Call, ...]) -> None:
        """Put on record the requests that brought no decision for bar t."""
        ...

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:
        """Put on record what happened after the last decision, one fill for each of its last orders in flight; returns
        the root hash."""
        ...


class Turn(NamedTuple):
    """From the close of bar `at` on another policy holds, and another reference."""

    at: int
    policy: Policy
    reference: RollingMarkowitz


@dataclass(frozen=True)
class Setting:
    """Everything an episode depends on, beside the agent: bars, policy, span, the reference portfolio, and what the
    agent is told of its audits (by default nothing). `halt` is asked before the decision of each bar: it may show
    progress, and says whether to stop. `rehearse`: the agent's tools may ask what the audit would make of a decision;
    code of others may not, since what it is handed for that is the audit's own state. `turns`: a fork goes on under
    rules of its own, and so does a fork of it; initial cash and latency are those it began with."""

    panel: Panel
    policy: Policy
    span: Span
    reference: RollingMarkowitz
    halt: Callable[[int], bool] = lambda _t: False
    feedback: Callable[[], Feedback] = lambda: UNTOLD
    rehearse: bool = False
    turns: tuple[Turn, ...] = ()


async def play(agent: Agent, setting: Setting, record: Record) -> tuple[Ending, str]:
    """Play one episode: observe, decide, audit, execute, record, tell.

    At the close of bar t the agent sees the bars up to t, its account, its last decisions and what it is told of their
    audit, and answers with target weights. The audit clips them; what was approved becomes orders, which fill at the
    open of bar t + latency. A decision already on record is recalled instead of asked for again, which is all that
    resuming takes.

    Returns:
        How the episode ended, and its root hash.

    Raises:
        AgentError: the agent raised.
        SolverError: the reference of a bar, or its audit by projection, has no proven optimum.
        Limited: what the run may spend is spent; the steps so far are on record.
        Interrupted: a stop was asked for; the steps so far are on record.
    """
    panel, policy, reference = setting.panel, setting.policy, setting.reference
    span, turns = setting.span, {turn.at: turn for turn in setting.turns}
    ledger = Ledger(panel, policy.execution, allow_short=policy.limits.allow_short)
    monitor = RiskMonitor(panel, policy.limits)
    books = PaperBooks(panel, policy.execution.initial_cash)
    seen, memory, feedback = Seen(panel), Memory(), setting.feedback()
    decisions = span.decisions
    marks: list[Mark] = []
    fills: list[Fill] = []
    previous: int | None = None
    told: str | None = None
    ending: Ending = "complete"

    for t in range(span.first, span.last + 1):
        if (fill := ledger.open(t)) is not None:
            fills.append(fill)
        nav = ledger.close(t)
        marks.append(Mark(t, nav, ledger.cash, ledger.owed, ledger.borrow, *books.advance(t)))
        if ledger.ruined:
            ending = "ruined"
            break
        if t in turns:  # a fork leaves its trunk
            _, policy, reference = turns[t]
            ledger.terms, ledger.allow_short = policy.execution, policy.limits.allow_short
            monitor.turn(policy.limits)
        monitor.mark(t, nav)
        if t not in decisions:
            continue
        if setting.halt(t):
            raise Interrupted(f"stopped before the decision of bar {t}")

        account = ledger.account(t, fills[0] if fills else None)  # between two decisions at most one order is due
        estimate = reference.at(t)  # before anybody is paid for an answer that could not be audited
        state, clusters = monitor.state(t, account, estimate)
        decision, latency = record.recall(t), 0.0
        if decision is None:
            await record.settled()  # nobody is asked before the last reply is safe
            shown = seen.until(t), account.copy(), memory.recent, told, memory.so_far
            what_if = partial(audit, state=state, limits=policy.limits) if setting.rehearse else None
            observation = Observation(t, span.first, previous, *shown, what_if)
            decision, latency = await _ask(agent, observation, record)
        report = audit(decision, state, policy.limits)
        report = record.keep(
            Step(
                t=t,
                observation=observation_digest(panel.digests[t], account, told),
                decision=decision,
                report=report,
                account=account,
                reference=estimate.weights,
                short=estimate.short,
                clusters=clusters,
                marks=tuple(marks),
                latency=latency,
                told=told,
            )
        )
        ledger.order(t, report.approved)
        books.rebalance(report.intent, report.approved, estimate.weights)
        told, gist = feedback.tell(report)
        memory.add(t, decision, gist, account)
        marks, fills, previous = [], [], t

    await record.settled()  # before it is closed: that it ended, and what happened last, is one commit
    return ending, record.close(ending, tuple(marks), tuple(fills))


async def _ask(agent: Agent, observation: Observation, record: Record) -> tuple[Decision, float]:
    """The agent's decision, and the seconds it took."""
    began = time.perf_counter()
    try:
        decision = await agent.decide(observation)
    except Undecided as error:
        record.lose(observation.t, error.calls)
        if isinstance(error, AgentError):
            raise AgentError(f"bar {observation.t}: {error}") from None
        raise
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        record.lose(observation.t, getattr(error, "calls", ()))
        raise AgentError(f"the agent raised at bar {observation.t}: {complaint(error)}") from error
    return decision, time.perf_counter() - began
