"""An intent and the limits in one state come in, approved weights go out, and each rule that spoke leaves its trail.

Two parts, so that no limit undoes another:

1. State limits, by one of two maps C: one rule after the other (`sequential`), or to the nearest weights that meet all
   of them (`projection`). Neither grows a weight or turns its sign, and what meets all limits is left as it is. The
   weights that meet all of them form a convex set F.
2. Trade limits: base = C(current) are the forced reductions, exempt from turnover and liquidity. The answer is
   base + theta (C(intent) - base) with the largest theta in [0, 1] that meets both: a point between two points of F.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from tradearena.panel import Array
from tradearena.policy import Method
from tradearena.risk.limits import LimitSet
from tradearena.risk.projection import projected
from tradearena.risk.sequential import clipped
from tradearena.risk.trail import SILENT, Trail, changed
from tradearena.values import TOLERANCE, Finding, Severity

StateLimits: TypeAlias = Callable[[LimitSet, Array, Trail], Array]
"""The map C: limits, free weights [N] (0 where pinned) and a trail come in; weights [N] within the limits go out."""

MAPS: Mapping[Method, StateLimits] = {"sequential": clipped, "projection": projected}


def approve(rules: LimitSet, intent: Array, trail: Trail) -> Array:
    """The approved weights [N] for an intent [N].

    Raises:
        SolverError: by projection, no nearest weights could be proven.
    """
    state, limits = rules.state, rules.limits
    if rules.pinned is not None:
        for i in np.flatnonzero(rules.pinned & (np.abs(intent - state.current) > TOLERANCE)):
            held = float(state.current[i])
            trail.say(Finding("pinned", "symbol", state.symbols[i], float(intent[i]), held, held, "minor"))
        trail.clip("pinned", intent, np.where(rules.pinned, state.current, intent))
    base, target = rules.free(state.current), rules.free(intent)
    if state.halted:
        severity: Severity = "critical" if np.abs(target).max(initial=0.0) > TOLERANCE else "flag"
        trail.say(Finding("drawdown", "portfolio", "", state.drawdown, 0.0, limits.drawdown or 0.0, severity))
        trail.clip("drawdown", target, np.zeros_like(target))
        return rules.pins.copy()
    if not rules.met(base, target):
        within = MAPS[limits.method]
        base, target = within(rules, base, SILENT), within(rules, target, trail)
    free = _trade_limits(rules, base, target, trail)
    return free if rules.pinned is None else free + rules.pins


def _trade_limits(rules: LimitSet, base: Array, target: Array, trail: Trail) -> Array:
    """The point farthest on the way from base to target [N] that meets turnover and liquidity."""
    move = target - base
    theta, limits, size, free = 1.0, rules.limits, np.abs(move), target
    if limits.turnover is not None:
        traded, net = float(np.add.reduce(size)), float(np.add.reduce(move))
        turnover = 0.5 * (traded + abs(net))  # the larger of bought and sold
        if turnover > limits.turnover + TOLERANCE:
            theta = limits.turnover / turnover
            trail.say(changed("turnover", "portfolio", "", turnover, limits.turnover, limits.turnover))
            free = trail.clip("turnover", free, base + theta * move)
    room = rules.state.liquidity
    if room is not None:
        trades = theta * size
        over = trades > room + TOLERANCE
        if np.count_nonzero(over):
            ratios = np.divide(room, trades, out=np.full_like(size, np.inf), where=over)
            i = int(ratios.argmin())
            proposed, limit = float(trades[i]), float(room[i])
            trail.say(changed("liquidity", "symbol", rules.state.symbols[i], proposed, limit, limit))
            theta *= float(ratios[i])
            free = trail.clip("liquidity", free, base + theta * move)
    return free
