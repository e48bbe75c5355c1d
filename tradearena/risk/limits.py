"""The limits at work: an intent and a state come in, approved weights come out, and each rule that spoke reports.

Two parts, so that no limit undoes another:

1. State limits, the map C: elementwise (tradable, short, single name), then per set (sector, where there are two or
   more of them; coupled cluster), then whole-vector scalings (gross, net, volatility, reference risk). No step grows a
   weight or turns its sign, so each keeps what the ones before it established. The weights that meet all of them form
   a convex set F.
2. Trade limits: base = C(current) are the forced reductions, exempt from turnover and liquidity. The answer is
   base + theta (C(intent) - base) with the largest theta in [0, 1] that meets both: a point between two points of F.

A held symbol that cannot be traded now is pinned: it keeps its weight, counts against every limit, and what it alone
exceeds is not held against the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array, Labels, Mask
from tradearena.policy import Limits
from tradearena.risk.state import RiskState
from tradearena.risk.trail import SILENT, Trail, changed
from tradearena.values import TOGETHER, TOLERANCE, Finding, Severity


class LimitSet:
    """The limits of a policy in one state: the pins are worked out once."""

    def __init__(self, state: RiskState, limits: Limits) -> None:
        self.state, self.limits = state, limits
        self.untradable: Mask | None = None
        self.pinned: Mask | None = None
        self.pins: Array = np.zeros(len(state.current))
        if np.count_nonzero(state.tradable) < len(state.tradable):
            self.untradable = ~state.tradable
            held = self.untradable & (state.current != 0.0)
            if held.any():
                self.pinned, self.pins = held, np.where(held, state.current, 0.0)
        self.risk_limits = tuple(self._risk_limits())
        self.calm = min((limit for _, limit in self.risk_limits), default=math.inf)

    def _risk_limits(self) -> Iterator[tuple[str, float]]:
        """Volatility limits a year: the policy's own, and the one relative to the reference."""
        state, limits = self.state, self.limits
        if limits.volatility is not None:
            yield "volatility", limits.volatility
        if limits.reference_risk is not None and np.count_nonzero(state.reference):  # without weight it is no yardstick
            variance = float(state.reference.dot(state.covariance).dot(state.reference))
            yield "reference-risk", limits.reference_risk * math.sqrt(max(variance, 0.0) * state.bars_per_year)

    def approve(self, intent: Array, trail: Trail) -> Array:
        """The approved weights [N] for an intent [N]."""
        state, limits = self.state, self.limits
        if self.pinned is not None:
            for i in np.flatnonzero(self.pinned & (np.abs(intent - state.current) > TOLERANCE)):
                held = float(state.current[i])
                trail.say(Finding("pinned", "symbol", state.symbols[i], float(intent[i]), held, held, "minor"))
            trail.clip("pinned", intent, np.where(self.pinned, state.current, intent))
        base, target = self._free(state.current), self._free(intent)
        if state.halted:
            severity: Severity = "critical" if np.abs(target).max(initial=0.0) > TOLERANCE else "flag"
            trail.say(Finding("drawdown", "portfolio", "", state.drawdown, 0.0, limits.drawdown or 0.0, severity))
            trail.clip("drawdown", target, np.zeros_like(target))
            return self.pins.copy()
        if not self.met(base, target):
            base, target = self.state_limits(base, SILENT), self.state_limits(target, trail)
        free = self._trade_limits(base, target, trail)
        return free if self.pinned is None else free + self.pins

    def _free(self, weights: Array) -> Array:
        return weights if self.pinned is None else np.where(self.pinned, 0.0, weights)

    # ------------------------------------------------------------------ state limits: the map C

    def met(self, one: Array, two: Array) -> bool:
        """At a glance: are two weight vectors [N] within every state limit? Then C would leave both as they are, to the
        bit. A no may be wrong, and C itself decides: where a symbol cannot be traded; and where a group is within its
        limit by either vector, but not by the larger of each symbol's two weights.
        """
        limits, state = self.limits, self.state
        both = np.array((one, two))
        if self.untradable is not None or not (limits.allow_short or np.minimum.reduce(both, axis=None) >= 0.0):
            return False
        size = np.abs(both)
        larger = np.maximum(size[0], size[1])
        return (
            _within(limits.single_name, larger)
            and (len(state.sector_names) <= 1 or _within(limits.sector, np.bincount(state.sectors, larger)))
            and _within(limits.cluster, np.bincount(state.clusters, larger))
            and _within(limits.gross, np.add.reduce(size, axis=1))
            and (limits.net is None or max(np.abs(np.add.reduce(both, axis=1)).tolist()) <= limits.net)
            and self._calm(one)
            and self._calm(two)
        )

    def _calm(self, weights: Array) -> bool:
        """Is their volatility within every limit?"""
        if not self.risk_limits:
            return True
        variance = float(weights.dot(self.state.covariance.dot(weights))) * self.state.bars_per_year
        return math.sqrt(max(variance, 0.0)) <= self.calm + TOLERANCE

    def state_limits(self, weights: Array, trail: Trail) -> Array:
        """The map C on free weights [N] (0 where pinned)."""
        weights = self._elementwise(weights, trail)
        limits, state = self.limits, self.state
        if limits.sector is not None and len(state.sector_names) > 1:
            weights = self._sets("sector", weights, state.sectors, state.sector_names, limits.sector, trail)
        if limits.cluster is not None:
            weights = self._sets("cluster", weights, state.clusters, None, limits.cluster, trail)
        return self._scalings(weights, trail)

    def _elementwise(self, weights: Array, trail: Trail) -> Array:
        limits = self.limits
        if self.untradable is not None:
            weights = self._bound("no-bar", weights, np.where(self.untradable, 0.0, weights), 0.0, trail)
        if not limits.allow_short and np.minimum.reduce(weights) < 0.0:
            weights = self._bound("short", weights, np.maximum(weights, 0.0), 0.0, trail)
        cap = limits.single_name
        if cap is not None and np.maximum.reduce(np.abs(weights)) > cap + TOLERANCE:
            bounded = np.where(np.abs(weights) > cap + TOLERANCE, np.copysign(cap, weights), weights)
            weights = self._bound("single-name", weights, bounded, cap, trail)
        return weights

    def _bound(self, rule: str, before: Array, after: Array, limit: float, trail: Trail) -> Array:
        if trail is not SILENT:
            for i in np.flatnonzero(np.abs(before - after) > TOLERANCE):
                name, proposed, approved = self.state.symbols[i], float(before[i]), float(after[i])
                trail.say(changed(rule, "symbol", name, proposed, approved, limit))
        return trail.clip(rule, before, after)

    def _sets(
        self, rule: str, weights: Array, labels: Labels, names: Sequence[str] | None, limit: float, trail: Trail
    ) -> Array:
        """Scale each set of symbols down to its limit. Without names the sets are coupled clusters: one symbol alone
        is coupled to nobody."""
        gross = np.bincount(labels, np.abs(weights))
        if self.pinned is None and _within(limit, gross):
            return weights
        stuck = np.bincount(labels, np.abs(self.pins))
        room = np.maximum(limit - stuck, 0.0)
        over = gross > room + TOLERANCE
        if names is None:
            over &= np.bincount(labels) > 1
        if not over.any():
            return weights
        for g in np.flatnonzero(over).tolist():
            if trail is not SILENT:
                name = names[g] if names is not None else self._members(labels, g)
                proposed, approved = float(gross[g] + stuck[g]), float(room[g] + stuck[g])
                trail.say(changed(rule, "group", name, proposed, approved, limit))
        factor = np.where(over, room / np.where(over, gross, 1.0), 1.0)
        return trail.clip(rule, weights, weights * factor[labels])

    def _members(self, labels: Labels, label: int) -> str:
        return TOGETHER.join(self.state.symbols[i] for i in np.flatnonzero(labels == label))

    def _scalings(self, weights: Array, trail: Trail) -> Array:
        limits, pins = self.limits, self.pins
        if limits.gross is not None:
            gross, stuck = float(np.add.reduce(np.abs(weights))), float(np.add.reduce(np.abs(pins)))
            room = max(limits.gross - stuck, 0.0)
            if gross > room + TOLERANCE:
                trail.say(changed("gross", "portfolio", "", gross + stuck, room + stuck, limits.gross))
                weights = trail.clip("gross", weights, weights * (room / gross))
        if limits.net is not None:
            net, stuck = float(weights.sum()), float(pins.sum())
            bound = min(max(net + stuck, min(-limits.net, stuck)), max(limits.net, stuck))
            if abs(net + stuck - bound) > TOLERANCE:
                room = bound - stuck
                trail.say(changed("net", "portfolio", "", net + stuck, room + stuck, limits.net))
                weights = trail.clip("net", weights, weights * (room / net))
        return self._volatilities(weights, trail) if self.risk_limits else weights

    def _volatilities(self, weights: Array, trail: Trail) -> Array:
        """For each limit the largest factor s in [0, 1] with volatility(pins + s * weights) within it, or within what
        the pins carry alone: the positive root of a s² + 2 b s + c = bound²."""
        year, factor, scaled = self.state.bars_per_year, 1.0, weights
        risk = self.state.covariance.dot(weights)
        a, b, c = float(weights.dot(risk)) * year, 0.0, 0.0
        if self.pinned is not None:
            b = float(self.pins @ risk) * year
            c = max(float(self.pins @ self.state.covariance @ self.pins) * year, 0.0)
        for rule, limit in self.risk_limits:
            volatility, bound = math.sqrt(max(a + 2 * b + c, 0.0)), max(limit, math.sqrt(c))
            if volatility > bound + TOLERANCE:
                room = bound * bound - c
                root = math.sqrt(max(b * b + a * room, 0.0))
                # One number in two forms: here neither cancels nor divides by zero.
                s = min(max(room / (root + b) if b > 0 else (root - b) / a, 0.0), 1.0)
                trail.say(changed(rule, "portfolio", "", volatility, bound, limit))
                a, b, factor = a * s * s, b * s, factor * s
                scaled = trail.clip(rule, scaled, weights * factor)
        return scaled

    # ------------------------------------------------------------------ trade limits

    def _trade_limits(self, base: Array, target: Array, trail: Trail) -> Array:
        """The point farthest on the way from base to target [N] that meets turnover and liquidity."""
        move = target - base
        theta, limits, size, free = 1.0, self.limits, np.abs(move), target
        if limits.turnover is not None:
            traded, net = float(np.add.reduce(size)), float(np.add.reduce(move))
            turnover = 0.5 * (traded + abs(net))  # the larger of bought and sold
            if turnover > limits.turnover + TOLERANCE:
                theta = limits.turnover / turnover
                trail.say(changed("turnover", "portfolio", "", turnover, limits.turnover, limits.turnover))
                free = trail.clip("turnover", free, base + theta * move)
        room = self.state.liquidity
        if room is not None:
            trades = theta * size
            over = trades > room + TOLERANCE
            if np.count_nonzero(over):
                ratios = np.divide(room, trades, out=np.full_like(size, np.inf), where=over)
                i = int(ratios.argmin())
                proposed, limit = float(trades[i]), float(room[i])
                trail.say(changed("liquidity", "symbol", self.state.symbols[i], proposed, limit, limit))
                theta *= float(ratios[i])
                free = trail.clip("liquidity", free, base + theta * move)
        return free


def _within(limit: float | None, measured: NDArray[Any]) -> bool:
    return limit is None or max(measured.tolist()) <= limit + TOLERANCE
