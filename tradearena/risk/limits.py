"""The limits of a policy in one state: who is pinned and what cannot be held, which sets there are and how much room
each has, and whether weights are within all of it.

A held symbol that cannot be traded now is pinned: it keeps its weight, counts against every limit, and what it alone
exceeds is not held against the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array, Labels, Mask
from tradearena.policy import Limits
from tradearena.risk.state import RiskState
from tradearena.risk.trail import SILENT, Trail, changed
from tradearena.values import TOGETHER, TOLERANCE


class Sets(NamedTuple):
    """Sets of symbols of one kind [N labels], and the largest gross weight of each. Without names they are coupled
    clusters, and a symbol alone is coupled to nobody."""

    rule: str
    labels: Labels
    limit: float
    names: tuple[str, ...] | None


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

    def free(self, weights: Array) -> Array:
        """Weights [N] without those of the pins."""
        return weights if self.pinned is None else np.where(self.pinned, 0.0, weights)

    def sets(self) -> Iterator[Sets]:
        """The kinds of sets that are limited."""
        state, limits = self.state, self.limits
        if limits.sector is not None and len(state.sector_names) > 1:
            yield Sets("sector", state.sectors, limits.sector, state.sector_names)
        if limits.cluster is not None:
            yield Sets("cluster", state.clusters, limits.cluster, None)

    def name(self, sets: Sets, label: int) -> str:
        """What a set is called in a finding."""
        if sets.names is not None:
            return sets.names[label]
        return TOGETHER.join(self.state.symbols[i] for i in np.flatnonzero(sets.labels == label))

    def met(self, one: Array, two: Array) -> bool:
        """At a glance: are two weight vectors [N] within every state limit? Then either map would leave both as they
        are, to the bit. A no may be wrong, and the map itself decides: where a symbol cannot be traded; and where a
        group is within its limit by either vector, but not by the larger of each symbol's two weights.
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

    def possible(self, weights: Array, trail: Trail) -> Array:
        """What of free weights [N] can be held at all: nothing that cannot be traded, and nothing short where
        shorts are not allowed."""
        if self.untradable is not None:
            weights = self.bound("no-bar", weights, np.where(self.untradable, 0.0, weights), 0.0, trail)
        if not self.limits.allow_short and np.minimum.reduce(weights) < 0.0:
            weights = self.bound("short", weights, np.maximum(weights, 0.0), 0.0, trail)
        return weights

    def bound(self, rule: str, before: Array, after: Array, limit: float, trail: Trail) -> Array:
        """What a rule leaves that speaks of each symbol by itself."""
        if trail is not SILENT:
            for i in np.flatnonzero(np.abs(before - after) > TOLERANCE):
                name, proposed, approved = self.state.symbols[i], float(before[i]), float(after[i])
                trail.say(changed(rule, "symbol", name, proposed, approved, limit))
        return trail.clip(rule, before, after)


def _within(limit: float | None, measured: NDArray[Any]) -> bool:
    return limit is None or max(measured.tolist()) <= limit + TOLERANCE


def risk_factor(a: float, b: float, room: float) -> float:
    """The largest s in [0, 1] with a s² + 2 b s at most `room`, which it is beyond at s = 1: the positive root. What
    weights times s add to the variance of pins, where a is their own and b the covariance of the two."""
    root = math.sqrt(max(b * b + a * room, 0.0))
    # One number in two forms: here neither cancels nor divides by zero.
    return min(max(room / (root + b) if b > 0 else (root - b) / a, 0.0), 1.0)
