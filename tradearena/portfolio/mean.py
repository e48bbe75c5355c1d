"""Windows of returns come in; expected returns go out."""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array
from tradearena.portfolio.covariance import row_mean


def shrunk_mean(returns: Array, covariance: Array | None = None, means: Array | None = None) -> Array:
    """Expected returns of N symbols: sample means pulled together, because most of their spread is noise.

    The positive-part James-Stein estimator toward the grand mean. With the sample means m_i, their mean M, and
    s^2 = average over symbols of (variance_i / n), the variance of one sample mean:

        delta = min(1, (N - 3) s^2 / sum_i (m_i - M)^2)
        mu_i  = M + (1 - delta) (m_i - M)

    The estimator takes the symbols' errors as independent and of one size; returns are neither, so read it as a
    deliberately cautious mean. With N <= 3 there is nothing to borrow and the sample means are kept; with one row
    nothing is known about noise, and every symbol gets the grand mean.

    Args:
        returns: [n, N] with n >= 1, per bar.
        covariance: [N, N] of the same rows with divisor n, shrunk or not: its trace, which Ledoit-Wolf shrinkage keeps,
            saves a pass over them.
        means: [N] of the rows, where they are known already.

    Returns:
        [N], in units of `returns`, per bar.

    Source: Efron, B., Morris, C. (1973), "Stein's estimation rule and its competitors: an empirical Bayes approach",
    Journal of the American Statistical Association 68, 117-130, section 7 (the N - 3 of an estimated grand mean);
    Efron and Morris (1977), "Stein's paradox in statistics", Scientific American 236(5), 119-127.
    """
    n, N = returns.shape
    if means is None:
        means = row_mean(returns)
    centre = float(np.add.reduce(means)) / N
    spread: Array = means - centre
    if n == 1:
        return np.full(N, centre)
    between = float(spread.dot(spread))
    if covariance is None:
        X = returns - means
        variance = float(np.vdot(X, X)) / n
    else:
        variance = float(covariance.trace())
    noise = variance / (N * (n - 1))
    shrinkage = min(1.0, (N - 3) * noise / between) if N > 3 and between > 0 else 0.0
    spread *= 1.0 - shrinkage
    spread += centre
    return spread
