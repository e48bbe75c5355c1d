"""The policy file as frozen models: limits of the audit, terms of execution, and the reference portfolio.

It stands at the base because three rooms read one part each: `risk` the limits, `execution` the terms, `portfolio` the
reference. All fractions are of NAV unless said otherwise; a limit of None (left out) does not apply.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from tradearena import cards, rooms
from tradearena.cards import Card
from tradearena.errors import CardError, UnknownName

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Bars = Annotated[int, Field(ge=1)]
Method: TypeAlias = Literal["sequential", "projection"]


class Limits(Card):
    """What a portfolio may be (state limits), how far one decision may move it (trade limits), what is only flagged."""

    allow_short: bool = False
    single_name: Positive | None = None
    """Largest |weight| of one symbol."""
    sector: Positive | None = None
    """Largest gross weight of one sector."""
    cluster: Positive | None = None
    """Largest gross weight of one coupled cluster of two or more symbols."""
    gross: Positive | None = None
    """Largest sum of |weights|."""
    net: Positive | None = None
    """Largest |sum of weights|."""
    volatility: Positive | None = None
    """Largest ex-ante volatility a year."""
    reference_risk: Positive | None = None
    """Largest ex-ante volatility as a multiple of the reference portfolio's."""
    method: Method = "sequential"
    """How state limits are met: one rule after the other, or by the nearest weights that meet all of them."""

    turnover: Positive | None = None
    """Largest one-way turnover of a decision: the larger of what it buys and what it sells."""
    liquidity: Positive | None = None
    """Largest trade in a symbol as a fraction of its trailing mean volume."""
    liquidity_lookback: Bars = 20

    drawdown: Fraction | None = None
    """Kill switch: a fall of NAV from its peak by this much sells everything."""
    cooldown: Bars = 20
    """Re-entry: this many bars after the first decision that was halted trading is allowed again, and the peak starts
    anew at the NAV of that bar."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """A decision that states less confidence than this keeps the position."""

    herfindahl: Fraction | None = None
    """Flag: sum of squared shares of gross above this."""
    effective_bets: Positive | None = None
    """Flag: effective number of bets below this."""
    distance: Positive | None = None
    """Flag: L1 distance to the reference weights above this."""

    cluster_lookback: Annotated[int, Field(ge=10)] = 60
    """Bars of returns that coupled clusters are found in: of two rows, every correlation is 1 or -1."""
    cluster_correlation: Annotated[float, Field(gt=0, lt=1)] = 0.8
    cluster_refresh: Bars = 5


class Execution(Card):
    """How approved weights become fills."""

    initial_cash: Positive = 1_000_000.0
    latency: Bars = 1
    """Bars between the close of the decision and the open of the fill (L)."""
    participation: Fraction | None = None
    """Largest fill as a fraction of the volume of the bar it happens in."""
    commission_bps: NonNegative = 0.0
    commission_minimum: NonNegative = 0.0
    """Money per fill; sales that would not cover their own cost are not made."""
    half_spread_bps: NonNegative = 0.0
    impact_bps: NonNegative = 0.0
    """Cost of a fill that takes the whole volume of its bar."""
    impact: Literal["linear", "square-root"] = "square-root"
    """How the impact grows with participation."""
    lot: NonNegative = 0.0
    """Shares are traded in multiples of this; 0 allows fractions."""
    borrow_rate: NonNegative = 0.0
    """Fee on the value of short positions, a year."""


class Reference(Card):
    """The rolling Markowitz portfolio every audit is measured against."""

    lookback: Annotated[int, Field(ge=2)] = 60
    risk_aversion: Positive = 5.0
    cap: Fraction = 1.0


class Policy(Card):
    """One policy file."""

    name: str
    description: str = ""
    limits: Limits = Limits()
    execution: Execution = Execution()
    reference: Reference = Reference()

    @property
    def digest(self) -> str:
        """SHA-256 of what the policy says, whatever it is called or however the file is laid out."""
        silent: dict[str, Any] = {"name": True, "description": True}
        if self.limits.method == "sequential":  # policies older than the choice say nothing of it, and mean this
            silent["limits"] = {"method"}
        said = self.model_dump_json(exclude=silent)
        return hashlib.sha256(said.encode()).hexdigest()


def load(name: str, home: Path | None = None) -> Policy:
    """Open a policy by name (in the room `risk`) or by path.

    Raises:
        UnknownName: no such policy.
        CardError: the file cannot be read as a policy; names the line.
    """
    if name.endswith(".toml"):
        return cards.read(Path(name), Policy)
    found = rooms.cards("risk", home)
    if name not in found:
        raise UnknownName("policy", name, found)
    policy = cards.read(found[name], Policy)
    if policy.name != name:
        raise CardError(f"{found[name]}: the file is called '{name}' but names itself '{policy.name}'; make them agree")
    return policy
