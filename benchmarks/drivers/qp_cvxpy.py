"""cvxpy, used well: one problem with parameters, built and compiled once, that obeys DPP, so each solve only fills in
numbers.

A covariance that is a parameter is not DPP in a quadratic form, so the parameter is its Cholesky factor, and factoring
is counted. `scaled` divides covariance and mean by the same number so that the solver sees sizes around 1, as our own
optimiser does; without it, tolerances are met by daily variances of 1e-4 that mean little.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import cvxpy
import numpy as np
from course import CAP, RISK_AVERSION, Lap, answer
from problems import Array, solved

TIGHT = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
SYMBOLS = 51


def parametrised(options: dict[str, Any], size: int, folder: Path, *, scaled: bool = True) -> Lap:
    """Minimise |Fw|^2 - m'w with F'F half of risk aversion times the covariance."""
    weights = cvxpy.Variable(SYMBOLS)
    factor, reward = cvxpy.Parameter((SYMBOLS, SYMBOLS)), cvxpy.Parameter(SYMBOLS)
    objective = cvxpy.Minimize(cvxpy.sum_squares(factor @ weights) - reward @ weights)
    problem = cvxpy.Problem(objective, [cvxpy.sum(weights) == 1, weights >= 0, weights <= CAP])

    def solve(covariance: Array, mean: Array) -> Array:
        centred = mean - mean.mean()
        scale = max(RISK_AVERSION * covariance.trace() / SYMBOLS, np.abs(centred).max()) if scaled else 1.0
        factor.value = np.linalg.cholesky(covariance * (RISK_AVERSION / 2 / scale)).T
        reward.value = centred / scale
        problem.solve(enforce_dpp=True, **options)
        return np.asarray(weights.value)

    return solved(solve, size, folder)


if __name__ == "__main__":
    answer(
        {
            "default, unscaled": partial(parametrised, {}, scaled=False),
            "default": partial(parametrised, {}),
            "CLARABEL": partial(parametrised, {"solver": "CLARABEL"}),
            "CLARABEL, tightened": partial(parametrised, {"solver": "CLARABEL", **TIGHT}),
        }
    )
