"""skfolio: `MeanRisk` that maximises utility. It takes returns, so that it gets the mean and the covariance through a
prior estimator of our own, its documented seam; it builds a cvxpy problem at each `fit`."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from course import CAP, RISK_AVERSION, Lap, answer
from problems import Array, solved
from skfolio.optimization import MeanRisk, ObjectiveFunction
from skfolio.prior import BasePrior, ReturnDistribution

TIGHT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}


class Given(BasePrior):
    """A prior that estimates nothing."""

    def __init__(self, mean: Array, covariance: Array) -> None:
        self.mean = mean
        self.covariance = covariance

    def fit(self, X: Array, *_: Any, **__: Any) -> Given:
        """Take the mean and the covariance as they are."""
        self.return_distribution_ = ReturnDistribution(mu=self.mean, covariance=self.covariance, returns=X)
        return self


def fitted(parameters: dict[str, float] | None, size: int, folder: Path) -> Lap:
    """Its utility has no factor 1/2 before the variance, so it is asked for half of the risk aversion."""
    with np.load(folder / "problems.npz") as problems:
        returns = problems["returns"]
    warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # the gap is measured for all

    def solve(covariance: Array, mean: Array) -> Array:
        model = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_aversion=RISK_AVERSION / 2,
            max_weights=CAP,
            prior_estimator=Given(mean, covariance),
            solver_params=parameters,
        )
        return np.asarray(model.fit(returns).weights_)

    return solved(solve, size, folder)


if __name__ == "__main__":
    answer({"default": partial(fitted, None), "tightened": partial(fitted, TIGHT)})
