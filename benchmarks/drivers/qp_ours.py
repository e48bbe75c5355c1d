"""TradeArena's `mean_variance`: daqp, a dual active-set method, from scratch at every call, its optimality proven."""

from __future__ import annotations

from pathlib import Path

from course import CAP, RISK_AVERSION, Lap, answer
from problems import Array, solved

from tradearena.portfolio.optimiser import mean_variance


def exact(size: int, folder: Path) -> Lap:
    """As the reference portfolio calls it."""

    def solve(covariance: Array, mean: Array) -> Array:
        return mean_variance(covariance, mean, risk_aversion=RISK_AVERSION, cap=CAP)

    return solved(solve, size, folder)


if __name__ == "__main__":
    answer({"exact": exact})
