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

GAP = 1e-10
"""Largest duality gap of an answer, where |x|² is scaled to 1. Half the squared distance from the best is at most
that."""

SLACK = 1e-10
"""Up to this a limit of a sum counts as met, and a size as on its bound; of a wish above 1, up to this part of it. The
solver is asked for a hundredth, and for more only where it finds no end: a wish of 1e-12 is no wider than that."""

EXACT = {"eps_prox": 0.0, "cycle_tol": PATIENCE}
"""Nothing is added to the problem, and the solver gives up late."""

ROUNDING = 1e-14
"""Relative difference from the limit of risk at which a root is found."""

FLOOR = 1e-10
"""Smallest t, where x is scaled to 1. Below it there is no root: pins carry all the risk that is allowed, and no finite
price is high enough for what adds to it."""

SINGULAR = 1e-12
"""A direction with less of the variance than that has none."""

ROUNDS = 100
"""Evaluations before the search for a root ends; a dozen is usual."""


class Ball(NamedTuple):
    """A limit of risk, sqrt(u'Su + 2 q'u + c): what u adds to the variance c is at most `room`, >= 0."""

    S: Array
    q: Array
    c: float
    room: float

    @property
    def calm(self) -> float:
        """The largest risk."""
        return math.sqrt(self.c + self.room)

    def risk(self, sizes: Array) -> float:
        """Risk of sizes [n]."""
        return math.sqrt(max(float(sizes.dot(self.S.dot(sizes) + 2.0 * self.q)) + self.c, 0.0))

    def pull(self, sizes: Array) -> Array:
        """Half the gradient of the variance [n]."""
        slope: Array = self.S.dot(sizes) + self.q
        return slope

    def beyond(self, sizes: Array) -> tuple[float, float]:
        """How far the variance of sizes [n] is beyond its limit, and the size of what that is the difference of."""
        own, shared = float(sizes.dot(self.S.dot(sizes))), 2.0 * float(sizes.dot(self.q))
        return own + shared - self.room, own + abs(shared) + self.room

    def noise(self, sizes: Array) -> float:
        """What rounding alone may make of a variance: it is only as exact as the sum of its terms' sizes."""
        return 1e-15 * len(sizes) * float(sizes.dot(np.abs(self.S).dot(sizes) + 2.0 * np.abs(self.q)))


class Nearest(NamedTuple):
    """The nearest sizes [n] and why they are: what each sum pushed, and in the last row risk [K + 1, n], and what the
    bounds pushed [n], 0 up and top down. Their sum is the whole way from x, up to rounding. `risky` is what the risk
    would be without a limit of it, `mu` the price of risk; where none is high enough, the highest that was tried."""

    sizes: Array
    pushes: Array
    bounds: Array
    risky: float
    mu: float


class Problem(NamedTuple):
    """What is wished, and the limits around it. No size at all is always within them.

    Attributes:
        x: [n], the wish, > 0.
        top: [n], largest size of each, >= 0 and at most x.
        A, room: [K, n] and [K], sums of sizes, and how much of each is allowed, >= 0.
        ball: the limit of risk, if there is one.
    """

    x: Array
    top: Array
    A: Array
    room: Array
    ball: Ball | None

    @property
    def slack(self) -> float:
        """What counts as nothing here."""
        return SLACK * max(1.0, float(np.maximum.reduce(self.x)))

    def met(self) -> bool:
        """Is the wish within every limit?"""
        calm = self.ball is None or self.ball.risk(self.x) <= self.ball.calm + TOLERANCE
        return calm and bool((self.x == self.top).all() and (self.A.dot(self.x) <= self.room).all())

    def without(self, k: int) -> Problem:
        """The same without the sum k."""
        return self._replace(A=np.delete(self.A, k, axis=0), room=np.delete(self.room, k))

    def nearest(self) -> Nearest:
        """The sizes nearest to the wish, from scratch: they depend on the problem alone. They are 0 <= u <= top
        exactly, and within every other limit up to rounding.

        Raises:
            SolverError: no optimum could be proven, not even without the wishes that count as nothing.
        """
        dust = self.x <= TOLERANCE
        try:
            return self._proven()
        except SolverError:
            if not dust.any():
                raise
            return self._replace(top=np.where(dust, 0.0, self.top))._proven()

    def _proven(self) -> Nearest:
        """The nearest sizes, with their proof.

        Raises:
            SolverError: there is none.
        """
        sizes, prices = self.priced()
        risk, risky, mu, gap = np.zeros_like(self.x), 0.0, 0.0, 0.0
        if self.ball is not None and (risky := self.ball.risk(sizes)) > self.ball.calm + TOLERANCE:
            sizes, prices, mu, found = self._calmed(self.ball, sizes)
            if found:
                risk = -mu * self.ball.pull(sizes)
                gap = mu * (0.5 * abs(self.ball.beyond(sizes)[0]) - self.ball.noise(sizes))
            else:
                sizes, prices, risk = self._riskless(self.ball, sizes)
        pushes = np.vstack((self.A * -prices[:, None], risk))
        bounds = sizes - self.x - np.add.reduce(pushes)
        # How far sizes are from the bound, and sums from the limit, that has a price: they should be on it.
        off = np.maximum(np.where(bounds > 0, sizes, self.top - sizes) - self.slack, 0.0)
        apart = np.maximum(np.abs(self.room - self.A.dot(sizes)) - self.slack, 0.0)
        gap += float(np.abs(bounds).dot(off)) + float(prices.dot(apart))
        if not gap <= GAP * max(float(self.x.dot(self.x)), TOLERANCE):
            raise self._unproven()
        bounds[(sizes > 0) & (sizes < self.top)] = 0.0
        return Nearest(self._fitted(sizes), pushes, bounds, risky, mu)

    def priced(self, mu: float = 0.0) -> tuple[Array, Array]:
        """The nearest sizes [n] within the linear limits where risk has a price, and the prices of the sums [K].

        Raises:
            SolverError: the solver ended without an optimum.
        """
        n, K = len(self.x), len(self.A)
        if not K and not mu:
            return self.top, np.zeros(0)
        H, f = np.eye(n), -self.x
        if mu and self.ball is not None:
            H += mu * self.ball.S
            f = mu * self.ball.q - self.x
        upper, lower, kinds = np.concatenate((self.top, self.room)), np.zeros(n + K), np.zeros(n + K, dtype=np.intc)
        lower[n:] = -np.inf
        for near in (0.01 * self.slack, 0.1 * self.slack, self.slack):
            found, _, flag, detail = daqp.solve(
                H, f, self.A, upper, lower, kinds, primal_tol=near, dual_tol=0.01 * self.slack, **EXACT
            )
            if flag == OPTIMAL:
                sizes = np.where(found > near, found, 0.0)
                np.copyto(sizes, self.top, where=found > self.top - near)
                return sizes, np.maximum(detail["lam"][n:], 0.0)
        raise self._unproven()

    def _calmed(self, ball: Ball, sizes: Array) -> tuple[Array, Array, float, bool]:
        """Sizes and prices of sums at the price of risk that brings it to its limit; that price, and whether there is
        one. Sizes without a price come in: they are too risky."""
        steep = ball.pull(sizes)
        scale = float(steep.dot(steep)) / float(sizes.dot(steep))
        floor = FLOOR * SLACK / self.slack
        low, high, calm = 0.0, 1.0, ball.calm
        below, above = math.sqrt(ball.c) - calm, ball.risk(sizes) - calm
        prices, mu, side = np.zeros(len(self.A)), 0.0, 0
        for _ in range(ROUNDS):
            t = high - above * (high - low) / (above - below)
            t = max(t, high / 16) if low == 0.0 else t if low < t < high else 0.5 * (low + high)
            if t < floor:  # what shrinks as t does is on its way to 0
                return np.where(sizes > 32 * floor * self.x, sizes, 0.0), prices, mu, False
            mu = (1.0 / t - 1.0) / scale
            sizes, prices = self.priced(mu)
            excess, size = ball.beyond(sizes)
            if size == 0.0:  # nothing at all is left, and there is room for nothing: any price above this is as good
                return sizes, prices, mu, False
            if abs(excess) <= ROUNDING * size or high - low <= ROUNDING * high:
                break
            beyond = excess / (calm + ball.risk(sizes))
            if beyond > 0:  # an end that stays a second time counts half
                high, above, below, side = t, beyond, below / (2 if side > 0 else 1), 1
            else:
                low, below, above, side = t, beyond, above / (2 if side < 0 else 1), -1
        return sizes, prices, mu, True

    def _riskless(self, ball: Ball, sizes: Array) -> tuple[Array, Array, Array]:
        """Where no price of risk is high enough: sizes and prices of sums among what carries no risk, be it by itself
        or in pairs that cancel out, and what risk pushed. Sizes that almost are so come in.

        Raises:
            SolverError: what is left carries risk.
        """
        K, left = len(self.A), sizes > 0.0
        variances, directions = np.linalg.eigh(ball.S[np.ix_(left, left)])
        carrying = directions.T[variances > SINGULAR * float(np.trace(ball.S))]
        none = np.zeros((len(carrying), len(sizes)))
        none[:, left] = carrying
        A, room = np.vstack((self.A, none, -none)), np.concatenate((self.room, np.zeros(2 * len(none))))
        among = self._replace(top=np.where(left, self.top, 0.0), A=A, room=room)
        exact, prices = among.priced()
        if ball.beyond(exact)[0] > max(ball.noise(exact), self.slack):
            raise self._unproven()
        risk = np.where(left, -prices[K:].dot(A[K:]), exact - self.x + prices[:K].dot(self.A))
        return exact, prices[:K], risk

    def _fitted(self, sizes: Array) -> Array:
        """Sizes [n], scaled down where rounding left them beyond a limit: of a wish of a million it leaves 1e-6."""
        for members, room in zip(self.A, self.room.tolist(), strict=True):
            if (excess := float(members.dot(sizes)) - room) > 0.5 * TOLERANCE:
                more = members > 0
                sizes = sizes * np.where(more, 1.0 - excess / float(sizes[more].sum()), 1.0)
        if self.ball is not None and self.ball.risk(sizes) > self.ball.calm + TOLERANCE:
            a, b = float(sizes.dot(self.ball.S.dot(sizes))), float(sizes.dot(self.ball.q))
            sizes = sizes * risk_factor(a, b, self.ball.room)
        return sizes

    def _unproven(self) -> SolverError:
        return SolverError(
            f"the nearest portfolio of {len(self.x)} symbols within the limits has no proven optimum; weights and "
            "covariance must be finite, and the covariance must be positive semidefinite"
        )
