"""A covariance, expected returns and caps come in; the exact long-only mean-variance weights go out."""

from __future__ import annotations

import daqp
import numpy as np

from tradearena.errors import SolverError
from tradearena.panel import Array

GAP = 1e-9
"""Largest duality gap of an answer, where the average variance (or the largest expected return) is scaled to 1."""

RIDGES = (1e-10, 1e-9, 1e-8, 1e-7)
"""Added to the diagonal of the scaled problem. The first is always there: among equally good portfolios it picks the
most even one, and where only one is best it changes nothing that matters. The others are added in turn for a singular
covariance that the solver cannot factor with less."""

SNAP = 1e-11
"""Weights this close to a bound are on it."""

PATIENCE = 100
"""Steps without progress before the solver gives up: the default of 10 is too few where many symbols tie."""

EQUALITY, OPTIMAL = 5, 1
"""The solver's words: the kind of the budget constraint (the bounds are 0), and the flag of success."""


def mean_variance(
    covariance: Array,
    mean: Array | None = None,
    *,
    risk_aversion: float = 1.0,
    cap: float | Array = 1.0,
    budget: float = 1.0,
) -> Array:
    """The weights that minimise  risk_aversion / 2 w'Sw - mean'w  subject to  sum w = B, 0 <= w <= cap.

    B is `budget`, or the sum of the caps where that is less. Solved exactly by a dual active-set method, from
    scratch on every call: the answer depends on the arguments alone, and its optimality is checked before it is
    returned. Without `mean` it is the minimum-variance portfolio.

    Args:
        covariance: S, [N, N], symmetric positive semidefinite, per bar.
        mean: expected returns [N], per bar.
        risk_aversion: > 0.
        cap: largest weight, >= 0, of every symbol or of each ([N]); 0 forbids a symbol.
        budget: what is to be invested, >= 0, as a fraction of NAV.

    Returns:
        [N]: 0 <= w <= cap exactly, sum to 1e-12, duality gap at most `GAP` plus the ridge.

    Raises:
        SolverError: no optimum could be proven: something is not finite, a cap is negative, S is indefinite.

    Source: Markowitz, H. (1952), "Portfolio selection", Journal of Finance 7(1), 77-91; solver: Arnstrom, D.,
    Bemporad, A., Axehill, D. (2022), "A dual active-set solver for embedded quadratic programming using recursive
    LDL' updates", IEEE Transactions on Automatic Control 67(8), 4362-4369.
    """
    N = len(covariance)
    caps = np.minimum(cap, budget, out=np.empty(N))
    room = float(np.add.reduce(caps))
    weights = None
    if room > budget:
        weights = _solved(*_scaled(covariance, mean, risk_aversion), caps, budget)
    elif np.minimum.reduce(caps) >= 0:
        weights = caps
    if weights is None:
        raise SolverError(
            f"the mean-variance problem of {N} symbols has no proven optimum; covariance, mean and caps must be "
            "finite, caps must not be negative, and the covariance must be positive semidefinite"
        )
    return weights


def _solved(H: Array, f: Array, caps: Array, budget: float) -> Array | None:
    """The weights that minimise w'Hw / 2 + f'w within the constraints, or None if optimality cannot be proven."""
    N = len(H)
    upper = np.empty(N + 1)
    upper[:N] = caps
    lower = np.zeros(N + 1)
    upper[N] = lower[N] = budget
    kinds = np.zeros(N + 1, dtype=np.intc)
    kinds[N] = EQUALITY
    ones = np.empty((1, N))
    ones.fill(1.0)
    diagonal = H.reshape(-1)[:: N + 1]
    for ridge in RIDGES:
        diagonal += ridge
        solution, _, flag, detail = daqp.solve(
            H, f, ones, upper, lower, kinds, primal_tol=1e-12, dual_tol=1e-12, eps_prox=0.0, cycle_tol=PATIENCE
        )
        weights, missing = _snapped(solution, caps, budget)
        if flag == OPTIMAL and missing <= 1e-12:
            gradient = H.dot(weights)
            gradient += f
            if _gap(gradient, -float(detail["lam"][N]), weights, caps) <= GAP:
                return weights
    return None


def _scaled(covariance: Array, mean: Array | None, risk_aversion: float) -> tuple[Array, Array]:
    """Hessian and linear term, divided by the larger of risk and reward so that the solver sees numbers around 1."""
    N = len(covariance)
    scale = risk_aversion * float(covariance.trace()) / N
    if mean is None:
        f = np.zeros(N)
    else:
        f = float(np.add.reduce(mean)) / N - mean  # the budget is fixed, so a constant in the mean changes nothing
        scale = max(scale, float(np.maximum.reduce(np.abs(f))))
    if not 0 < scale < np.inf:  # nothing moves and nothing is expected to; or the solver will refuse it
        scale = 1.0
    f /= scale
    return covariance * (risk_aversion / scale), f


def _snapped(solution: Array, caps: Array, budget: float) -> tuple[Array, float]:
    """The solver's answer with rounding taken out, on or inside its bounds, and what it still lacks of the budget.

    What snapping moved goes to the symbol that is farthest from its bounds, and what that one cannot take to whichever
    has most room.
    """
    weights = np.zeros(len(caps))
    np.copyto(weights, solution, where=solution > SNAP)
    np.copyto(weights, caps, where=solution > caps - SNAP)
    missing = budget - float(np.add.reduce(weights))
    if abs(missing) > 1e-13:
        missing = _placed(weights, caps, budget, missing, np.minimum(weights, caps - weights))
    if abs(missing) > 1e-13:
        missing = _placed(weights, caps, budget, missing, caps - weights if missing > 0 else weights)
    return weights, abs(missing)


def _placed(weights: Array, caps: Array, budget: float, missing: float, room: Array) -> float:
    """Give what is missing to the symbol with most room, in place; what is missing after that."""
    i = int(room.argmax())
    weights[i] = min(max(float(weights[i]) + missing, 0.0), float(caps[i]))
    return budget - float(np.add.reduce(weights))


def _gap(gradient: Array, price: float, weights: Array, caps: Array) -> float:
    """Duality gap of weights that meet the constraints, given the multiplier of the budget; NaN if anything is.

    With the reduced gradient r = gradient - price: sum of r w where r > 0 (it should be 0), and of -r (cap - w) where
    r < 0 (it should be at the cap). No feasible portfolio is better by more (Boyd and Vandenberghe 2004, section 5.5).
    """
    reduced = gradient - price
    away = weights - caps
    np.copyto(away, weights, where=reduced > 0)
    return float(reduced.dot(away))
