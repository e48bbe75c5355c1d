"""The state limits one after the other: free weights come in, weights that meet every limit go out.

Elementwise (tradable, short, single name), then per set (sector, where there are two or more of them; coupled cluster),
then whole-vector scalings (gross, net, volatility, reference risk). No step grows a weight or turns its sign, so each
keeps what the ones before it established.
"""

from __future__ import annotations

import math

import numpy as np

from tradearena.panel import Array
from tradearena.risk.limits import LimitSet, Sets, risk_factor
from tradearena.risk.trail import SILENT, Trail, changed
from tradearena.values import TOLERANCE


def clipped(rules: LimitSet, weights: Array, trail: Trail) -> Array:
    """The weights [N] that the sequence of rules leaves of free weights [N] (0 where pinned)."""
    weights = _single_name(rules, rules.possible(weights, trail), trail)
    for sets in rules.sets():
        weights = _sets(rules, sets, weights, trail)
    weights = _sums(rules, weights, trail)
    return _volatilities(rules, weights, trail) if rules.risk_limits else weights


def _single_name(rules: LimitSet, weights: Array, trail: Trail) -> Array:
    cap = rules.limits.single_name
    if cap is None or np.maximum.reduce(np.abs(weights)) <= cap + TOLERANCE:
        return weights
    bounded = np.where(np.abs(weights) > cap + TOLERANCE, np.copysign(cap, weights), weights)
    return rules.bound("single-name", weights, bounded, cap, trail)


def _sets(rules: LimitSet, sets: Sets, weights: Array, trail: Trail) -> Array:
    """Scale each set of symbols down to its limit."""
    rule, labels, limit, names = sets
    gross = np.bincount(labels, np.abs(weights))
    if rules.pinned is None and max(gross.tolist()) <= limit + TOLERANCE:
        return weights
    stuck = np.bincount(labels, np.abs(rules.pins))
    room = np.maximum(limit - stuck, 0.0)
    over = gross > room + TOLERANCE
    if names is None:
        over &= np.bincount(labels) > 1
    if not over.any():
        return weights
    if trail is not SILENT:
        for g in np.flatnonzero(over).tolist():
            proposed, approved = float(gross[g] + stuck[g]), float(room[g] + stuck[g])
            trail.say(changed(rule, "group", rules.name(sets, g), proposed, approved, limit))
    factor = np.where(over, room / np.where(over, gross, 1.0), 1.0)
    return trail.clip(rule, weights, weights * factor[labels])


def _sums(rules: LimitSet, weights: Array, trail: Trail) -> Array:
    """Scale all weights down to the limits of their gross and net sum."""
    limits, pins = rules.limits, rules.pins
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
    return weights


def _volatilities(rules: LimitSet, weights: Array, trail: Trail) -> Array:
    """For each limit the largest factor s in [0, 1] with volatility(pins + s * weights) within it, or within what
    the pins carry alone."""
    year, factor, scaled = rules.state.bars_per_year, 1.0, weights
    risk = rules.state.covariance.dot(weights)
    a, b, c = float(weights.dot(risk)) * year, 0.0, 0.0
    if rules.pinned is not None:
        b = float(rules.pins @ risk) * year
        c = max(float(rules.pins @ rules.state.covariance @ rules.pins) * year, 0.0)
    for rule, limit in rules.risk_limits:
        volatility, bound = math.sqrt(max(a + 2 * b + c, 0.0)), max(limit, math.sqrt(c))
        if volatility > bound + TOLERANCE:
            s = risk_factor(a, b, bound * bound - c)
            trail.say(changed(rule, "portfolio", "", volatility, bound, limit))
            a, b, factor = a * s * s, b * s, factor * s
            scaled = trail.clip(rule, scaled, weights * factor)
    return scaled
