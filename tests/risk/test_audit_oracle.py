"""The audit against one written straight from the design page: loops over symbols, one limit after the other."""

import math

import numpy as np
import pytest
from strategies import case

from tradearena.risk.audit import audit
from tradearena.values import TOLERANCE


def total(values):
    return math.fsum(values)


def scaled(weights, limit, value, members=None):
    """Scale the members (all, if not said) by limit / value, where the limit is broken."""
    if limit is None or value <= limit + TOLERANCE:
        return weights
    return [w * limit / value if members is None or i in members else w for i, w in enumerate(weights)]


def variance(weights, state):
    n = range(len(weights))
    return total(weights[i] * float(state.covariance[i, j]) * weights[j] for i in n for j in n) * state.bars_per_year


def volatility(weights, state):
    return math.sqrt(max(variance(weights, state), 0.0))


def allowed(weights, state, limits):
    """The state limits, in the order of the design page; every symbol can be traded."""
    if not limits.allow_short:
        weights = [max(w, 0.0) for w in weights]
    cap = limits.single_name
    if cap is not None:
        weights = [math.copysign(cap, w) if abs(w) > cap + TOLERANCE else w for w in weights]
    sector = limits.sector if len(state.sector_names) > 1 else None
    for labels, limit, fewest in ((state.sectors, sector, 1), (state.clusters, limits.cluster, 2)):
        for label in sorted(set(labels)):
            members = {i for i in range(len(weights)) if labels[i] == label}
            if len(members) >= fewest:
                weights = scaled(weights, limit, total(abs(weights[i]) for i in members), members)
    weights = scaled(weights, limits.gross, total(abs(w) for w in weights))
    weights = scaled(weights, limits.net, abs(total(weights)))
    weights = scaled(weights, limits.volatility, volatility(weights, state))
    if limits.reference_risk is not None and state.reference.any():
        bound = limits.reference_risk * volatility([float(w) for w in state.reference], state)
        weights = scaled(weights, bound, volatility(weights, state))
    return weights


def plainly(decision, state, limits):
    base = allowed([float(w) for w in state.current], state, limits)
    wish = allowed([float(w) for w in decision.target], state, limits)
    moves = [w - b for w, b in zip(wish, base, strict=True)]
    theta = [1.0]
    if limits.turnover is not None:
        turnover = max(total(m for m in moves if m > 0), total(-m for m in moves if m < 0))
        if turnover > limits.turnover + TOLERANCE:
            theta.append(limits.turnover / turnover)
    if state.liquidity is not None:
        for move, room in zip(moves, state.liquidity, strict=True):
            if abs(move) > room + TOLERANCE:
                theta.append(room / abs(move))
    return [b + min(theta) * m for b, m in zip(base, moves, strict=True)]


@pytest.mark.parametrize("cases", [2000, pytest.param(8000, marks=pytest.mark.slow)])
def test_the_audit_equals_one_written_plainly_from_the_design(cases):
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        one = case(rng, int(rng.integers(1, 9)), shorts=bool(seed % 2), stuck=False)
        np.testing.assert_allclose(audit(*one).approved, plainly(*one), rtol=0, atol=1e-12, err_msg=f"seed {seed}")
