"""A covariance comes in; the long-only weights of which every one carries the same risk go out."""

from __future__ import annotations

import numpy as np

from tradearena.errors import SolverError
from tradearena.panel import Array
from tradearena.portfolio.covariance import correlation

TOLERANCE = 1e-10
"""Newton decrement at which the contributions count as equal."""

NEWTON_STEPS = 100
"""Far more than are needed: ten or so for real covariances, and the number hardly grows with N."""

RUNAWAY = 1e4
"""A portfolio with a volatility of one over this of its parts' is a hedge up to rounding: its risk has no 8 digits."""


def risk_parity(covariance: Array) -> Array:
    """Equal risk contributions: w_i (Sw)_i is the same for every symbol, w >= 0, sum w = 1.

    Where y minimises the strictly convex  y'Cy / 2 - sum_i log y_i  (C the correlation matrix), y_i (Cy)_i = 1 for
    every i, and w_i = y_i / sigma_i up to scale. Damped Newton: the function is self-concordant, so the step
    1 / (1 + decrement) converges from anywhere, and a full step is taken once the decrement is below 1/4.

    Args:
        covariance: S, [N, N], symmetric positive semidefinite. A symbol without variance cannot carry risk and gets
            no weight; if none has any, weights are equal.

    Returns:
        [N], deterministic.

    Raises:
        SolverError: some long-only portfolio has no risk at all (a perfect hedge, as there is in the rank-one
            covariance of two rows), so that there is nothing to share; or the covariance is not finite.

    Source: Maillard, S., Roncalli, T., Teiletche, J. (2010), "The properties of equally weighted risk contribution
    portfolios", Journal of Portfolio Management 36(4), 60-70; Spinu, F. (2013), "An algorithm for computing risk
    parity weights", SSRN 2297383.
    """
    variance = covariance.diagonal()
    if not np.isfinite(covariance).all():
        raise SolverError(f"no risk parity among {len(variance)} symbols: the covariance is not finite")
    moves = variance > 0
    if not moves.any():
        return np.full(len(variance), 1.0 / len(variance))
    C = correlation(covariance[np.ix_(moves, moves)])
    balanced = _newton(C)
    if balanced is None:
        raise SolverError(f"no risk parity among {len(C)} symbols: some long-only mix of them has no risk at all")
    shares = balanced / np.sqrt(variance[moves])
    weights = np.zeros(len(variance))
    weights[moves] = shares / shares.sum()
    return weights


def _newton(C: Array) -> Array | None:
    """The minimiser of y'Cy / 2 - sum log y, [N], or None where it runs away to infinity."""
    N = len(C)
    y = np.full(N, np.sqrt(N / max(float(C.sum()), 1.0)))  # exact where all correlations are the same
    for _ in range(NEWTON_STEPS):
        gradient = C @ y - 1.0 / y
        H = C.copy()
        H.flat[:: N + 1] += 1.0 / (y * y)
        try:
            step = np.linalg.solve(H, gradient)
        except np.linalg.LinAlgError:
            return None
        decrement = np.sqrt(max(float(gradient @ step), 0.0))
        if decrement <= TOLERANCE:
            return y if y.max() < RUNAWAY else None
        y -= step if decrement < 0.25 else step / (1.0 + decrement)
    return None
