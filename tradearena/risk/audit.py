"""The audit: a decision and the state it was made in come in, a report goes out: approved weights, findings, exposures.

Nothing else happens here, and auditing what was approved changes nothing.
"""

from __future__ import annotations

import math

import numpy as np

from tradearena.panel import Array
from tradearena.policy import Limits
from tradearena.risk.approval import approve
from tradearena.risk.limits import LimitSet
from tradearena.risk.state import RiskState
from tradearena.risk.trail import Trail
from tradearena.values import TOLERANCE, Decision, Exposures, Finding, RiskReport


def audit(decision: Decision, state: RiskState, limits: Limits) -> RiskReport:
    """Audit one decision.

    Args:
        decision: `target` [N] finite, or None to keep the position.
        state: the account and the market at the close of the decision's bar.
        limits: what the policy allows.

    Returns:
        The report: intent and approved weights [N], findings in the order the rules were applied, exposures of what
        was approved, and the trail from the one to the other.

    Raises:
        SolverError: where the policy audits by projection: no nearest weights could be proven.
    """
    trail = Trail()
    intent = wish = state.current if decision.target is None else decision.target
    if rule := _keeps(decision, limits, trail):
        wish = trail.clip(rule, intent, state.current)
    approved = approve(LimitSet(state, limits), wish, trail)
    measured = exposures(approved, state)
    _flags(measured, limits, trail)
    return RiskReport(intent, approved, tuple(trail.findings), measured, tuple(trail.clips))


def _keeps(decision: Decision, limits: Limits, trail: Trail) -> str | None:
    """The rule by which this reply keeps the position, whatever weights it names, if one does: a malformed or timid
    reply never liquidates."""
    for name, stated in decision.stray:
        try:
            weight = float(stated)
        except ValueError:
            weight = math.nan
        trail.say(Finding("validity", "symbol", name, weight, 0.0, 0.0, "flag" if weight == 0.0 else "major"))
    if decision.status in ("fallback", "error"):
        trail.say(Finding("reply", "portfolio", decision.status, math.nan, math.nan, math.nan, "critical"))
        return "reply"
    floor, stated_confidence = limits.min_confidence, decision.confidence
    if floor is not None and stated_confidence is not None and stated_confidence < floor:
        trail.say(Finding("confidence", "portfolio", "", stated_confidence, math.nan, floor, "major"))
        return "confidence"
    return None


def exposures(weights: Array, state: RiskState) -> Exposures:
    """Exposures of weights [N]: the effective number of bets is the squared diversification ratio (Choueifaty,
    Froidure & Reynier 2013, section 3): (|w|'sigma)² / w'Sigma w; 0 for an empty portfolio."""
    size, covariance = np.abs(weights), state.covariance
    apart = np.abs(weights - state.reference)
    gross, net, distance = np.add.reduce((size, weights, apart), axis=1).tolist()
    variance = max(float(weights.dot(covariance).dot(weights)), 0.0)
    weighted = float(size.dot(np.sqrt(covariance.diagonal())))
    return Exposures(
        gross=gross,
        net=net,
        volatility=math.sqrt(variance * state.bars_per_year),
        herfindahl=float(np.add.reduce(np.square(size / gross))) if gross > 0 else 0.0,
        effective_bets=weighted**2 / variance if variance > 0 else 0.0,
        distance=distance,
    )


def _flags(measured: Exposures, limits: Limits, trail: Trail) -> None:
    """What is worth saying though it changes nothing."""
    watched = (
        ("herfindahl", measured.herfindahl, limits.herfindahl, 1),
        ("effective-bets", measured.effective_bets, limits.effective_bets, -1),
        ("distance", measured.distance, limits.distance, 1),
    )
    for rule, value, limit, sign in watched:
        if limit is not None and measured.gross > 0 and sign * (value - limit) > TOLERANCE:
            trail.say(Finding(rule, "portfolio", "", value, value, limit, "flag"))
