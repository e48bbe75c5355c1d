"""Two ways to meet the same limits: bars and agents come in; what each way takes from the same intents goes out.

    python docs/examples/clipping.py BARS POLICY AGENT...

BARS is a dataset by name, folder or file; an AGENT is a card, or `decisions:FILE`. Each agent plays one episode under
POLICY, one rule after the other. Every intent is then audited anew from the state it was made in, by both methods,
with the trade limits left out: these slow a decision down whatever was taken from it before. Printed are means over the
intents that state limits changed: how far they were moved, and by how much farther the sequence moves than the
projection (with its standard error, as if intents were independent, which they are not); the largest breach of a state
limit among all that was approved; and of whole audits, trade limits and all, one-way turnover and the median time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena import policy
from tradearena.agents.agent import Agent, Seat
from tradearena.agents.card import Candidate, open_agent
from tradearena.arena.episode import play
from tradearena.arena.plan import Plan
from tradearena.arena.tally import Tally
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window
from tradearena.panel import Array
from tradearena.policy import Limits
from tradearena.risk.audit import audit
from tradearena.risk.state import RiskState
from tradearena.values import TOLERANCE, Decision, Observation

METHODS = ("sequential", "projection")
HEAD = ["agent", "n", "changed"]
HEAD += [f"{what} {how}" for what in ("L1", "L2") for how in ("seq.", "proj.", "more")]
HEAD += [f"{what} {how}" for what in ("breach", "turnover", "us") for how in ("seq.", "proj.")]


class Overheard:
    """Asks an agent, and notes what it answered in which state."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.heard: list[tuple[Decision, RiskState]] = []

    async def decide(self, observation: Observation) -> Decision:
        """What the agent decides."""
        decision = await self.agent.decide(observation)
        self.heard.append((decision, observation.what_if.keywords["state"]))  # type: ignore[union-attr]
        return decision


def heard(plan: Plan, candidate: Candidate) -> list[tuple[Decision, RiskState]]:
    """The decisions of one episode, and the state each was made in."""
    setting = plan.setting(plan.span)
    agent = Overheard(candidate.seat(Seat(0, lambda t: setting.reference.at(t).weights, plan.policy.limits)))
    rehearsed = type(setting)(setting.panel, setting.policy, setting.span, setting.reference, rehearse=True)
    asyncio.run(play(agent, rehearsed, Tally(plan.dataset.panel, plan.policy.execution.initial_cash)))
    return agent.heard


def breaches(weights: Array, state: RiskState, limits: Limits) -> Iterator[float]:
    """How far weights are beyond each state limit, or beyond what the pins alone carry if that is more."""
    pins = np.where(state.tradable, 0.0, state.current)
    free, size, stuck = weights - pins, np.abs(weights), np.abs(pins)
    yield -free.min() if not limits.allow_short else 0.0
    if limits.single_name is not None:
        yield np.abs(free).max() - limits.single_name
    alone = np.bincount(state.clusters)[state.clusters] == 1
    for labels, limit, counted in (
        (state.sectors, limits.sector if len(state.sector_names) > 1 else None, True),
        (state.clusters, limits.cluster, ~alone),
    ):
        if limit is not None:
            gross, held = np.bincount(labels, size * counted), np.bincount(labels, stuck * counted)
            yield (gross - np.maximum(limit, held)).max()
    for limit, value, held in (
        (limits.gross, size.sum(), stuck.sum()),
        (limits.net, weights.sum(), pins.sum()),
        (limits.net, -weights.sum(), -pins.sum()),
        (limits.volatility, volatility(weights, state), volatility(pins, state)),
    ):
        if limit is not None:
            yield value - max(limit, held)
    if limits.reference_risk is not None and state.reference.any():
        bound = limits.reference_risk * volatility(state.reference, state)
        yield volatility(weights, state) - max(bound, volatility(pins, state))


def volatility(weights: Array, state: RiskState) -> float:
    """Volatility a year."""
    return float(np.sqrt(max(weights @ state.covariance @ weights, 0.0) * state.bars_per_year))


def compared(decision: Decision, state: RiskState, limits: Limits) -> list[float]:
    """L1, L2, largest breach, turnover and microseconds, each by one method and the other."""
    found = []
    for method in METHODS:
        ways = limits.model_copy(update={"method": method})
        alone = audit(decision, state, ways.model_copy(update={"turnover": None, "liquidity": None}))
        moved = np.where(state.tradable, alone.approved - alone.intent, 0.0)
        began = time.perf_counter()
        approved = audit(decision, state, ways).approved
        took = (time.perf_counter() - began) * 1e6
        trade = np.where(state.tradable, approved - state.current, 0.0)
        turnover = 0.5 * (np.abs(trade).sum() + abs(trade.sum()))
        breach = max(breaches(alone.approved, state, limits))
        found.append((np.abs(moved).sum(), np.linalg.norm(moved), breach, turnover, took))
    return [float(number) for pair in zip(*found, strict=True) for number in pair]


def row(name: str, table: Array) -> list[str]:
    """One line of the printed table."""
    changed = table[table[:, 0:4].max(axis=1) > TOLERANCE]
    cells = [name, str(len(table)), str(len(changed))]
    if not len(changed):
        return [*cells, *[""] * 6, *(f"{value:.0e}" for value in table[:, 4:6].max(axis=0)), *[""] * 4]
    for at in (0, 2):
        more = changed[:, at] - changed[:, at + 1]
        error = more.std(ddof=1) / np.sqrt(len(more)) if len(more) > 1 else np.nan
        cells += [
            *(f"{value:.4f}" for value in changed[:, at : at + 2].mean(axis=0)),
            f"{more.mean():+.4f} ({error:.4f})",
        ]
    cells += [f"{abs(max(value, 0.0)):.0e}" for value in table[:, 4:6].max(axis=0)]
    cells += [f"{value:.4f}" for value in changed[:, 6:8].mean(axis=0)]
    return cells + [f"{value:.0f}" for value in np.median(changed[:, 8:], axis=0)]


def main() -> None:
    """Print the table."""
    if len(sys.argv) < 4:
        raise SystemExit("usage: python clipping.py BARS POLICY AGENT...")
    data, rules = open_dataset(sys.argv[1]), policy.load(sys.argv[2])
    lines = [HEAD]
    with threadpool_limits(limits=1, user_api="blas"):
        for name in sys.argv[3:]:
            candidate = open_agent(name, clock=data.card.clock)
            plan = Plan(data, rules, Window(None, None, None, 1), (candidate,))
            table = [compared(decision, state, rules.limits) for decision, state in heard(plan, candidate)]
            lines.append(row(candidate.card.name, np.array(table)))
    lines.insert(1, ["---"] * len(HEAD))
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
