"""The state that a decision is audited in: what is held, what can be traded, and how risky it is."""

from __future__ import annotations

from dataclasses import dataclass

from tradearena.panel import Array, Labels, Mask


@dataclass(frozen=True, slots=True)
class RiskState:
    """What the audit needs to know at the close of a bar. Arrays are [N] unless said otherwise.

    Attributes:
        symbols: names, for the findings.
        current: weights held, orders in flight included.
        tradable: symbols whose bar traded.
        covariance: [N, N] of returns per bar.
        reference: weights of the reference portfolio.
        sectors: sector label per symbol; `sector_names` names them.
        clusters: coupled-cluster label per symbol.
        liquidity: largest trade per symbol in weight units; None where the policy sets no such limit.
        drawdown: fall of NAV from its peak, as a fraction.
        halted: the kill switch is on.
        bars_per_year: to annualise volatility.
    """

    symbols: tuple[str, ...]
    current: Array
    tradable: Mask
    covariance: Array
    reference: Array
    sectors: Labels
    sector_names: tuple[str, ...]
    clusters: Labels
    liquidity: Array | None
    drawdown: float
    halted: bool
    bars_per_year: float
