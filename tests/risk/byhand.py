"""Audits worked by hand: states of a few symbols, and what is asked in them."""

import numpy as np

from tradearena.risk.state import RiskState
from tradearena.values import Decision


def state_of(current, **given):
    """A state of independent symbols with a volatility of 1 a year, all tradable, each its own sector and cluster."""
    n = len(current)
    usual = {
        "symbols": tuple("ABCDEFGH"[:n]) if n <= 8 else tuple(f"S{i}" for i in range(n)),
        "tradable": np.ones(n, dtype=bool),
        "covariance": np.eye(n),
        "reference": np.full(n, 1 / n),
        "sectors": np.arange(n, dtype=np.int16),
        "sector_names": tuple(f"sector {i}" for i in range(n)),
        "clusters": np.arange(n, dtype=np.int16),
        "liquidity": None,
        "drawdown": 0.0,
        "halted": False,
        "bars_per_year": 1.0,
    }
    arrays = {name: np.asarray(value) if isinstance(value, list) else value for name, value in given.items()}
    return RiskState(current=np.array(current, dtype=float), **{**usual, **arrays})


def asked(*weights, **said):
    return Decision(np.array(weights, dtype=float), **said)
