"""Classical agents: the numbers of an observation come in, weights and one line that says why go out.

Each rule is a frozen model whose fields are the `[parameters]` of its card.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from tradearena.agents.agent import Seat
from tradearena.cards import Card
from tradearena.panel import Array, Mask
from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.optimiser import mean_variance
from tradearena.portfolio.risk_parity import risk_parity
from tradearena.values import Decision, Observation

Lookback = Annotated[int, Field(ge=2)]
Share = Annotated[float, Field(gt=0, le=1)]


class Rule(Card):
    """A pure function of what it observes."""

    warmup: ClassVar[int] = 20
    """Bars before the first decision, unless the parameters ask for more."""

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """Target weights [N], or None to keep the position, and a one-line rationale."""
        raise NotImplementedError

    @property
    def needs(self) -> int:
        """Bars this rule wants to see before it decides."""
        return max(self.warmup, getattr(self, "lookback", 0))


class ClassicalAgent:
    """A rule in its seat. What cannot be traded now stays as it is, and the rest of what the rule wants fits beside it:
    at a weekend of the stocks the coins alone are dealt in, with what the stocks leave over."""

    def __init__(self, rule: Rule, seat: Seat) -> None:
        self.rule, self.seat = rule, seat

    async def decide(self, observation: Observation) -> Decision:
        """Apply the rule."""
        target, rationale = self.rule.weigh(observation, self.seat)
        return Decision(None if target is None else _beside_what_rests(target, observation), rationale)


class Cash(Rule):
    """Holds nothing."""

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """All zeros."""
        return np.zeros(len(observation.symbols)), "Stay in cash."


class EqualWeight(Rule):
    """1/n in every symbol that trades, rebalanced at every decision (DeMiguel, Garlappi & Uppal 2009)."""

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """1/n."""
        weights, n = _equal(observation.live)
        return weights, f"Rebalance to 1/{n} in each of the {n} symbols that trade."


class BuyAndHold(Rule):
    """Buys 1/n of every symbol once, then lets it drift.

    The drifting target is what 1/n at the first decision would have become since. During its first `patience`
    decisions, while the account is further from the target than `band` (limits or volumes held the purchase back), it
    asks for the rest; after that it keeps the position, whatever a limit takes away from it.
    """

    band: Share = 0.02
    patience: Annotated[int, Field(ge=1)] = 20

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """The drifting target while it is out of reach, else keep."""
        bars = observation.bars
        start = bars.mark[observation.first]
        bought, n = _equal(bars.valid[observation.first] & (bars.volume[observation.first] > 0))
        growth = bought * np.divide(bars.mark[-1], start, out=np.ones_like(start), where=start > 0)
        target = growth / growth.sum() if n else growth
        missing = float(np.maximum(target - observation.account.committed, 0.0).sum())
        before, t = observation.previous, observation.t
        decisions = 0 if before is None else (t - observation.first) // (t - before)
        if decisions < self.patience and missing > self.band:
            return target, f"Buy {n} symbols once and hold them; {missing:.1%} still to buy."
        return None, f"Hold; equal weights have grown by {growth.sum() - 1.0:+.1%} since the start."


class Momentum(Rule):
    """Equal weights in the strongest symbols over the trailing bars (Jegadeesh & Titman 1993)."""

    lookback: Lookback = 20
    share: Share = 0.4

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """The top share by trailing return."""
        return _ranked(observation, self.lookback, self.share, strongest=True)


class MeanReversion(Rule):
    """Equal weights in the weakest symbols over the trailing bars (De Bondt & Thaler 1985; Lehmann 1990)."""

    lookback: Lookback = 5
    share: Share = 0.4

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """The bottom share by trailing return."""
        return _ranked(observation, self.lookback, self.share, strongest=False)


class Random(Rule):
    """Uniform weights on the simplex, drawn from the seed and the bar."""

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """A draw from the flat Dirichlet distribution."""
        key = hashlib.sha256(f"{seat.seed}/{observation.t}".encode()).digest()
        draw = np.random.default_rng(int.from_bytes(key[:16], "little")).exponential(size=len(observation.symbols))
        draw = np.where(observation.live, draw, 0.0)
        total = draw.sum()
        weights = draw / total if total > 0 else draw
        i = int(weights.argmax())
        return weights, f"Drawn at random; the dice favour {observation.symbols[i]} with {weights[i]:.1%}."


class RiskParity(Rule):
    """Every symbol contributes the same risk (Maillard, Roncalli & Teiletche 2010)."""

    lookback: Lookback = 60

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """Equal risk contributions among the symbols that trade."""
        live = observation.live
        covariance = _covariance(observation, self.lookback)[np.ix_(live, live)]
        weights = np.zeros(len(live))
        if live.any():
            weights[live] = risk_parity(covariance)
        return weights, _largest(observation, weights, f"Equal risk from each of {int(live.sum())} symbols")


class MinVariance(Rule):
    """The long-only portfolio of least variance (Markowitz 1952)."""

    lookback: Lookback = 60
    cap: Share = 1.0

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """Least variance among the symbols that trade."""
        caps = np.where(observation.live, self.cap, 0.0)
        weights = mean_variance(_covariance(observation, self.lookback), cap=caps)
        return weights, _largest(observation, weights, f"Least variance over {self.lookback} bars")


class Markowitz(Rule):
    """The policy's reference portfolio itself: its lookback, risk aversion and cap stand in the policy."""

    def weigh(self, observation: Observation, seat: Seat) -> tuple[Array | None, str]:
        """The weights that the audit measures everybody against."""
        weights = seat.reference(observation.t)
        return weights, _largest(observation, weights, "Mean-variance optimum of the trailing bars")


RULES: dict[str, type[Rule]] = {
    "cash": Cash,
    "buy-and-hold": BuyAndHold,
    "equal-weight": EqualWeight,
    "momentum": Momentum,
    "mean-reversion": MeanReversion,
    "random": Random,
    "risk-parity": RiskParity,
    "min-variance": MinVariance,
    "markowitz": Markowitz,
}


def _equal(live: Mask) -> tuple[Array, int]:
    """1/n on the n symbols that are live, and n."""
    n = int(live.sum())
    return np.where(live, 1.0 / max(n, 1), 0.0), n


def _beside_what_rests(target: Array, observation: Observation) -> Array:
    """The target with the held weight where nothing trades, the others scaled down to what that leaves of its sum."""
    live = observation.live
    if live.all():
        return target
    resting, wanted = np.where(live, 0.0, observation.account.committed), np.where(live, target, 0.0)
    room, asked = max(target.sum() - resting.sum(), 0.0), wanted.sum()
    return np.asarray(resting + wanted * (room / asked if asked > room else 1.0))


def _covariance(observation: Observation, lookback: int) -> Array:
    """Ledoit-Wolf covariance per bar of the trailing returns. The first bar has no return."""
    return ledoit_wolf(observation.bars.returns[max(1, observation.t - lookback + 1) : observation.t + 1])


def _ranked(observation: Observation, lookback: int, share: float, *, strongest: bool) -> tuple[Array | None, str]:
    """Equal weights in the strongest or weakest share of the live symbols by trailing return; ties by symbol."""
    marks = observation.bars.mark
    now, then = marks[-1], marks[max(0, len(marks) - 1 - lookback)]
    rankable = observation.live & (then > 0)
    gain = np.divide(now, then, out=np.ones_like(now), where=then > 0) - 1.0
    n = int(rankable.sum())
    if n == 0:
        return None, "No symbol trades; keep the position."
    score = np.where(rankable, -gain if strongest else gain, np.inf)
    chosen = np.argsort(score, kind="stable")[: max(1, round(n * share))]
    weights = np.zeros(len(now))
    weights[chosen] = 1.0 / len(chosen)
    best, last = int(chosen[0]), int(chosen[-1])
    symbols, side = observation.symbols, "strongest" if strongest else "weakest"
    return weights, (
        f"Hold the {len(chosen)} {side} of {n} over {lookback} bars, "
        f"{symbols[best]} ({gain[best]:+.1%}) to {symbols[last]} ({gain[last]:+.1%})."
    )


def _largest(observation: Observation, weights: Array, lead: str) -> str:
    """One line: what the weights are, and the largest of them."""
    i, held = int(weights.argmax()), int(np.count_nonzero(weights))
    return f"{lead}: {held} symbols, most in {observation.symbols[i]} ({weights[i]:.1%})."
