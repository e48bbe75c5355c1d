"""Windows of returns come in; covariance and correlation matrices go out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradearena.panel import Array


def row_mean(returns: Array) -> Array:
    """Sample means [N] of n rows: `returns.mean(axis=0)` to the bit, at half of its price."""
    mean: Array = np.add.reduce(returns, axis=0)
    mean /= len(returns)
    return mean


def ledoit_wolf(returns: Array, means: Array | None = None) -> Array:
    """Covariance of N return series, shrunk to the scaled identity.

    With X the centred [n, N] window, S = X'X / n and m = tr(S) / N (their norm is ||A||^2 = tr(AA') / N):

        d^2 = ||S - m I||^2
        b^2 = min(d^2, sum_k ||x_k x_k' - S||^2 / n^2),   where sum_k ||x_k x_k'||^2 = sum_k |x_k|^4 / N
        Sigma = (1 - b^2 / d^2) S + (b^2 / d^2) m I

    The trace of S is kept. A symbol that never moved gets the variance b^2 / d^2 * m. With one row, and where nothing
    moved, the answer is all zeros; with two rows and with one symbol, b^2 / d^2 = 0 and the answer is S.

    Args:
        returns: [n, N] with n >= 1, per bar. Bars where nothing is known count as a return of 0.
        means: [N] of the rows, where they are known already.

    Returns:
        [N, N], symmetric positive semidefinite, in squared units of `returns` (per bar, divided by n).

    Source: Ledoit, O., Wolf, M. (2004), "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88(2), 365-411, section 3.2.
    """
    n, N = returns.shape
    X = returns - (row_mean(returns) if means is None else means)
    S: Array = X.T @ X
    S /= n
    squares = np.vecdot(X, X)  # |x_k|^2: the fourth moments need no [N, N] array of their own
    shrunk = shrinkage(squares, float(np.vdot(S, S)), N)
    S *= 1.0 - shrunk.intensity
    diagonal = S.reshape(-1)[:: N + 1]
    diagonal += shrunk.intensity * shrunk.average
    return S


class Shrinkage(NamedTuple):
    """b^2 / d^2 and m of `ledoit_wolf`."""

    intensity: float
    average: float


def shrinkage(squares: Array, norm: float, N: int) -> Shrinkage:
    """How far `ledoit_wolf` shrinks, and what towards, from squared lengths [n] of the centred rows and the sum of the
    squared entries of S: those of X X' / n sum up to the same, so N may be larger than n without an [N, N] matrix."""
    n = len(squares)
    average = float(np.add.reduce(squares)) / (n * N)
    mean_square = norm / N
    dispersion = mean_square - average * average
    error = (float(squares.dot(squares)) / (n * N) - mean_square) / n
    # Two rows give error = 0, one symbol gives dispersion = 0, both up to rounding: nothing to shrink.
    return Shrinkage(min(1.0, error / dispersion) if n > 2 and N > 1 and dispersion > 0 else 0.0, average)


def correlation(covariance: Array) -> Array:
    """Correlation matrix [N, N] of a covariance matrix [N, N].

    A symbol without variance correlates with nothing: 0 off the diagonal. The diagonal is exactly 1 and every entry
    lies in [-1, 1].
    """
    variance = covariance.diagonal()
    moves = variance > 0
    scale = np.sqrt(variance, where=moves, out=np.zeros(len(variance)))
    np.divide(1.0, scale, where=moves, out=scale)
    rho: Array = covariance * (scale[:, None] * scale)  # one product of both keeps it symmetric to the bit
    np.minimum(np.maximum(rho, -1.0, out=rho), 1.0, out=rho)
    rho.flat[:: len(rho) + 1] = 1.0
    return rho
