"""Sizes, how much of each and of sums of them is allowed, and how much risk come in; the nearest sizes that are within
all of it go out, with the price of each limit.

    minimise  |u - x|² / 2   subject to   0 <= u <= top,   A u <= room,   sqrt(u'Su + 2 q'u + c) <= calm

The linear limits are one quadratic programme, solved exactly by a dual active-set method. Where its answer is too
risky, the price mu of risk is the root of one equation: u(mu) minimises |u - x|² / 2 + mu / 2 (u'Su + 2 q'u) within the
linear limits, and its risk falls as mu grows. With t = 1 / (1 + mu s), where s is the variance along the answer without
mu, the risk is close to linear in t, and exactly so where all symbols are alike and independent.

Source: Boyd, S. and Vandenberghe, L. (2004), "Convex Optimization", sections 5.5 and 8.1; solver: as in
`portfolio.optimiser`. The root: the Illinois method (Dowell, M. and Jarratt, P. (1971), BIT 11, 168-174).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import daqp
import numpy as np

from tradearena.errors import SolverError
from tradearena.panel import Array
from tradearena.portfolio.optimiser import OPTIMAL, PATIENCE
from tradearena.risk.limits import risk_factor
from tradearena.values import TOLERANCE

GAP = 1e-12
"""Largest duality gap of an answer, where |x|² is scaled to 1. Half the squared distance from the best is at most
that."""

SNAP = 1e-12
"""Sizes this close to a bound, as a part of the largest, are on it."""

ROUNDING = 1e-14
"""Relative difference from the limit of risk at which a root is found."""

FLOOR = 1e-12
"""Smallest t: where it is reached, only sizes without any risk are allowed."""

ROUNDS = 100
"""Evaluations before the search for a root ends; a dozen is usual."""


class Ball(NamedTuple):
    """A limit of risk: sqrt(u'Su + 2 q'u + c) at most `calm`, which is not below sqrt(c)."""

    S: Array
    q: Array
    c: float
    calm: float

    def risk(self, sizes: Array) -> float:
        """Risk of sizes [N]."""
        return math.sqrt(max(float(sizes.dot(self.S.dot(sizes) + 2.0 * self.q)) + self.c, 0.0))


class Nearest(NamedTuple):
    """The nearest sizes [N] and why they are: what each sum pushed, and in the last row risk [K + 1, N], and what the
    bounds 0 and top pushed [N]. Their sum is the whole way from x. `before` is the risk of what is nearest without a
    limit of risk, `mu` the price of risk."""

    sizes: Array
    pushes: Array
    bounds: Array
    before: float
    mu: float


def nearest(x: Array, top: Array, A: Array, room: Array, ball: Ball | None) -> Nearest:
    """The sizes nearest to x within all limits, from scratch: the answer depends on the arguments alone.

    Args:
        x: [N], what is wished, > 0.
        top: [N], largest size of each, >= 0 and at most x.
        A, room: [K, N] and [K], sums and how much of each is allowed, >= 0: nothing at all is always allowed.
        ball: the limit of risk, if there is one.

    Returns:
        Sizes that are 0 <= u <= top exactly and within sums and risk up to rounding, and what moved them.

    Raises:
        SolverError: no optimum could be proven.
    """
    mu, before = 0.0, 0.0
    sizes, prices = priced(x, top, A, room)
    if ball is not None:
        before = ball.risk(sizes)
        if before > ball.calm + TOLERANCE:
            sizes, prices, mu = _calmed(x, top, A, room, ball, sizes)
    sizes = _fitted(sizes, A, room, ball if mu else None)
    pushes = np.zeros((len(A) + 1, len(x)))
    np.multiply(A, -prices[:, None], out=pushes[:-1])
    if ball is not None and mu:
        pushes[-1] = -mu * (ball.S.dot(sizes) + ball.q)
    bounds = sizes - x - np.add.reduce(pushes)
    gap = float(np.where(bounds > 0, sizes, sizes - top).dot(bounds)) + float(prices.dot(np.abs(room - A.dot(sizes))))
    if ball is not None and mu:
        gap += 0.5 * mu * abs(ball.calm**2 - ball.risk(sizes) ** 2)
    if not gap <= GAP * float(x.dot(x)):
        raise _unproven(len(x))
    return Nearest(sizes, pushes, bounds, before, mu)


def priced(
    x: Array, top: Array, A: Array, room: Array, ball: Ball | None = None, mu: float = 0.0
) -> tuple[Array, Array]:
    """The nearest sizes [N] within the linear limits where risk has a price, and the prices of the sums [K].

    Raises:
        SolverError: the solver ended without an optimum.
    """
    n = len(x)
    if not (len(A) or mu):
        return top, np.zeros(0)
    H, f = np.eye(n), -x
    if ball is not None and mu:
        H += mu * ball.S
        f = mu * ball.q - x
    upper, lower, kinds = np.concatenate((top, room)), np.zeros(n + len(A)), np.zeros(n + len(A), dtype=np.intc)
    lower[n:] = -np.inf
    found, _, flag, detail = daqp.solve(
        H, f, A, upper, lower, kinds, primal_tol=1e-12, dual_tol=1e-12, eps_prox=0.0, cycle_tol=PATIENCE
    )
    if flag != OPTIMAL:
        raise _unproven(n)
    snap = SNAP * min(1.0, float(np.maximum.reduce(top)))
    sizes = np.where(found > snap, found, 0.0)
    np.copyto(sizes, top, where=found > top - snap)
    return sizes, np.maximum(detail["lam"][n:], 0.0)


def _calmed(x: Array, top: Array, A: Array, room: Array, ball: Ball, sizes: Array) -> tuple[Array, Array, float]:
    """Sizes and prices at the price of risk that brings it to its limit, and that price."""
    steep = ball.S.dot(sizes) + ball.q
    scale = float(steep.dot(steep)) / float(sizes.dot(steep))
    low, high = 0.0, 1.0
    below, above = math.sqrt(ball.c) - ball.calm, ball.risk(sizes) - ball.calm
    prices, mu, side = np.zeros(len(A)), 0.0, 0.0
    for _ in range(ROUNDS):
        t = high - above * (high - low) / (above - below)
        if low == 0.0:
            t = max(t, high / 16)
        elif not low < t < high:
            t = 0.5 * (low + high)
        if t < FLOOR:
            break
        mu = (1.0 / t - 1.0) / scale
        sizes, prices = priced(x, top, A, room, ball, mu)
        risk = ball.risk(sizes) - ball.calm
        if abs(risk) <= ROUNDING * ball.calm or high - low <= ROUNDING * high:
            break
        if risk > 0:  # an end that stays twice counts half
            high, above, below = t, risk, below / (2 if side > 0 else 1)
        else:
            low, below, above = t, risk, above / (2 if side < 0 else 1)
        side = math.copysign(1, risk)
    return sizes, prices, mu


def _fitted(sizes: Array, A: Array, room: Array, ball: Ball | None) -> Array:
    """Sizes [N], scaled down where rounding left them beyond a limit. Where x is a million, rounding is 1e-10."""
    sums = A.dot(sizes)
    over = sums > room + 1e-13
    if np.count_nonzero(over):
        sizes = sizes * float(np.minimum.reduce(room[over] / sums[over]))
    if ball is not None and ball.risk(sizes) > ball.calm + 1e-3 * TOLERANCE:
        a, b = float(sizes.dot(ball.S.dot(sizes))), float(sizes.dot(ball.q))
        sizes = sizes * risk_factor(a, b, ball.c, ball.calm)
    return sizes


def _unproven(n: int) -> SolverError:
    return SolverError(
        f"the nearest portfolio of {n} symbols within the limits has no proven optimum; weights and covariance must be "
        "finite, and the covariance must be positive semidefinite"
    )
