"""PyPortfolioOpt: a new `EfficientFrontier` and `max_quadratic_utility` for each problem, as documented; mean and
covariance a year, which changes no weight. It builds a cvxpy problem each time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from course import CAP, RISK_AVERSION, Lap, answer
from problems import Array, solved
from pypfopt import EfficientFrontier

YEAR = 252
TIGHT = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}


def frontier(options: dict[str, Any], size: int, folder: Path) -> Lap:
    """Raw weights: the cleaned ones are rounded."""

    def solve(covariance: Array, mean: Array) -> Array:
        problem = EfficientFrontier(mean * YEAR, covariance * YEAR, weight_bounds=(0, CAP), **options)
        problem.max_quadratic_utility(risk_aversion=RISK_AVERSION)
        return np.asarray(problem.weights)

    return solved(solve, size, folder)


if __name__ == "__main__":
    tight = {"solver": "CLARABEL", "solver_options": TIGHT}
    answer(
        {
            "default": partial(frontier, {}),
            "CLARABEL, tightened": partial(frontier, tight),
        }
    )
