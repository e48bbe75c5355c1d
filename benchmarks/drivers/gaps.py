"""Weights that solvers kept come in; how far each is from the optimum, by one measure for all, goes out as JSON.

    python gaps.py FOLDER

Weights that break a constraint by a rounding error could look better than the best, so all are first moved to the
nearest portfolio that meets the constraints, and by how much they broke them is said apart. Costs are in units in which
the average variance times risk aversion (or the largest expected return) is 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from course import CAP, RISK_AVERSION
from problems import Array


def nearest(weights: Array) -> Array:
    """The portfolio with 0 <= w <= cap and sum 1 that is nearest: weights less one price, cut to their bounds."""
    low, high = weights.min() - 1.0, weights.max()
    for _ in range(100):
        price = (low + high) / 2
        if np.clip(weights - price, 0.0, CAP).sum() > 1.0:
            low = price
        else:
            high = price
    return np.clip(weights - high, 0.0, CAP)


def cheapest(gradient: Array) -> Array:
    """The portfolio that costs least where costs are linear: up to the cap, from the cheapest symbol on."""
    weights = np.zeros(len(gradient))
    order = np.argsort(gradient)
    full = int(1.0 / CAP + 1e-9)
    weights[order[:full]] = CAP
    weights[order[full]] = 1.0 - full * CAP
    return weights


def measured(covariance: Array, mean: Array, best: Array, weights: Array) -> tuple[float, float, float]:
    """Duality gap, cost beyond that of our certified weights, and largest breach of a constraint.

    The gap is g'(w - v) with g the gradient at w and v the cheapest portfolio under it: no portfolio is better than w
    by more (Jaggi 2013, "Revisiting Frank-Wolfe", ICML 28, section 2). It needs no solver to be trusted.
    """
    centred = mean - mean.mean()
    scale = max(RISK_AVERSION * covariance.trace() / len(mean), np.abs(centred).max())
    H, f = covariance * (RISK_AVERSION / scale), -centred / scale

    def cost(w: Array) -> float:
        return float(w @ H @ w / 2 + f @ w)

    w = nearest(weights)
    gradient = H @ w + f
    breach = max(abs(weights.sum() - 1.0), -weights.min(), (weights - CAP).max())
    return float(gradient @ (w - cheapest(gradient))), cost(w) - cost(best), float(breach)


def main() -> None:
    """The worst over all problems, of each solver."""
    folder = Path(sys.argv[1])
    with np.load(folder / "problems.npz") as problems:
        covariances, means, best = (problems[name] for name in ("covariance", "mean", "weights"))
    found = {}
    for path in sorted((folder / "weights").glob("*.npy")):
        kept = np.load(path)
        rows = zip(covariances, means, best, kept, strict=True)
        found[path.stem] = np.max([measured(*row) for row in rows], axis=0).tolist()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
