"""The state limits all at once: free weights come in, the nearest weights (least squares) that meet every limit go out.

What cannot be held at all is 0 (`no-bar`, `short`). Of the rest x the sizes u = |w| are sought, each with the sign of
x: nearest to |x| within single names, sets of symbols (sector, coupled cluster), gross, net and volatility, what pins
have of these counted as in the sequence, and within 0 <= u <= |x|. That no position grows or turns its sign is part of
the set: it makes every |w| linear where shorts are allowed, and no limit is met by a hedge that nobody asked for. The
set depends on x for that; but what is nearest in it meets all limits, and is nearest to itself.

At the nearest weights the whole way is the sum of what each limit pushed: its price (multiplier) times its gradient
(Karush, Kuhn and Tucker; Boyd and Vandenberghe 2004, section 5.5.3). Limits whose price is 0 took nothing. What the
bounds 0 and |x| hold back is taken off those who push against them, in proportion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from tradearena.panel import Array
from tradearena.risk.limits import LimitSet, Sets
from tradearena.risk.nearest import ROUNDING, Ball, Nearest, Problem
from tradearena.risk.trail import SILENT, Trail, changed
from tradearena.values import TOLERANCE, Finding, Scope


class Sum(NamedTuple):
    """A limit of a sum of sizes, signed members [n]: how much room there is, what the pins have of it, the limit."""

    rule: str
    members: Array
    room: float
    stuck: float
    limit: float
    sign: float = 1.0
    of: tuple[Sets, int] | None = None


def projected(rules: LimitSet, weights: Array, trail: Trail) -> Array:
    """The weights [N] within the limits that are nearest to free weights [N] (0 where pinned).

    Raises:
        SolverError: no optimum could be proven.
    """
    possible = rules.possible(weights, trail)
    if not np.count_nonzero(possible):
        return possible
    wish = _Wish(rules, possible)
    if wish.problem.met():
        return possible
    answer = wish.problem.nearest()
    if trail is not SILENT:
        _tell(wish, answer, trail)
    return wish.signed(answer.sizes)


class _Wish:
    """What is wished of the n symbols that something is wished of, as sizes x [n], and the limits around it."""

    def __init__(self, rules: LimitSet, weights: Array) -> None:
        self.rules, self.weights, cap = rules, weights, rules.limits.single_name
        (self.held,) = weights.nonzero()
        self.sign, x = np.sign(weights[self.held]), np.abs(weights[self.held])
        self.x, self.top = x, x if cap is None else np.where(x > cap + TOLERANCE, cap, x)
        self.sums = list(_tightest(self._sums()))
        self.calmest = min(rules.risk_limits, key=itemgetter(1), default=None)
        A, room = [each.members for each in self.sums], [each.room for each in self.sums]
        ball = None if self.calmest is None else self._ball(self.calmest[1])
        self.problem = Problem(x, self.top, np.array(A).reshape(len(A), len(x)), np.array(room), ball)

    def signed(self, sizes: Array) -> Array:
        """Sizes [n] as weights [N]."""
        weights = np.zeros_like(self.weights)
        weights[self.held] = self.sign * sizes
        return weights

    def _sums(self) -> Iterator[Sum]:
        """The limits of sums that sizes up to `top` could break: the price of any other is 0. Of two that amount to
        the same the solver could give the price to either."""
        rules, limits, top = self.rules, self.rules.limits, self.top
        pinned, most = np.abs(rules.pins), float(top.sum())
        for kind in rules.sets():
            labels = kind.labels[self.held]
            stuck, ceiling = np.bincount(kind.labels, pinned), np.bincount(labels, top, kind.labels.max() + 1)
            room = np.maximum(kind.limit - stuck, 0.0)
            over = ceiling > room + TOLERANCE
            if kind.names is None:
                over &= np.bincount(kind.labels) > 1
            for g in np.flatnonzero(over).tolist():
                yield Sum(kind.rule, (labels == g) * 1.0, float(room[g]), float(stuck[g]), kind.limit, of=(kind, g))
            most = min(most, float(np.where(over, room, ceiling).sum()))
        if limits.gross is not None:
            held = float(pinned.sum())
            left = max(limits.gross - held, 0.0)
            if most > left + TOLERANCE:
                yield Sum("gross", np.ones_like(top), left, held, limits.gross)
                most = left
        if limits.net is not None:
            held = float(rules.pins.sum())
            for side in (1.0, -1.0):
                members, left = side * self.sign, max(limits.net, side * held) - side * held
                asked = float(members.dot(self.x))
                left = asked if left < asked <= left + TOLERANCE else left
                if min(most, float(top[members > 0].sum())) > left + TOLERANCE:
                    yield Sum("net", members, left, held, limits.net, side)

    def _ball(self, limit: float) -> Ball:
        """The limit of volatility a year, or what the pins carry alone if that is more."""
        rules, held, year = self.rules, self.held, self.rules.state.bars_per_year
        S = year * rules.state.covariance[np.ix_(held, held)] * np.outer(self.sign, self.sign)
        q, c = np.zeros(len(held)), 0.0
        if rules.pinned is not None:
            pull = rules.state.covariance @ rules.pins
            q, c = year * self.sign * pull[held], max(float(rules.pins @ pull) * year, 0.0)
        room = limit**2 - c
        return Ball(S, q, c, room if room > ROUNDING * c else 0.0)  # the root of c, squared, is not quite c


def _tightest(sums: Iterable[Sum]) -> list[Sum]:
    """Of limits on the same sum the one with least room, of equals the first."""
    kept: dict[bytes, Sum] = {}
    for each in sums:
        key = each.members.tobytes()
        if key not in kept or each.room < kept[key].room:
            kept.pop(key, None)
            kept[key] = each
    return list(kept.values())


def _tell(wish: _Wish, answer: Nearest, trail: Trail) -> None:
    """What each limit took, and a finding of each whose price is not 0."""
    cut, moved = _shares(wish, answer)
    rules, cap = wish.rules, wish.rules.limits.single_name
    if cap is not None:
        for i in np.flatnonzero(cut < -TOLERANCE).tolist():
            name, sign = rules.state.symbols[wish.held[i]], float(wish.sign[i])
            proposed, approved = sign * float(wish.x[i]), sign * float(answer.sizes[i])
            trail.say(changed("single-name", "symbol", name, proposed, approved, cap))
    trail.take("single-name", wish.signed(cut))
    taken: dict[str, Array] = {}
    for k, each in enumerate(wish.sums):
        taken[each.rule] = taken.get(each.rule, 0.0) + moved[k]
        if float(np.abs(moved[k]).sum()) > TOLERANCE:
            trail.say(_finding(wish, answer, k))
    ball = wish.problem.ball
    if answer.mu and ball is not None and wish.calmest is not None:
        rule, limit = wish.calmest
        asked = ball.risk(wish.x)
        asked = asked if asked > ball.calm + TOLERANCE else answer.risky
        trail.say(changed(rule, "portfolio", "", asked, ball.calm, limit))
        taken[rule] = moved[-1]
    for rule, sizes in taken.items():
        trail.take(rule, wish.signed(sizes))


def _finding(wish: _Wish, answer: Nearest, k: int) -> Finding:
    """A limit of a sum that binds: what was wished of it, or, where that is within the limit, what the other limits
    would leave (a net sum may only break once a side of it has been cut), and what is approved."""
    rule, members, room, stuck, limit, sign, of = wish.sums[k]
    asked = float(members.dot(wish.x))
    if asked <= room + TOLERANCE:
        asked = float(members.dot(wish.problem.without(k).priced(answer.mu)[0]))
    name = "" if of is None else wish.rules.name(*of)
    scope: Scope = "portfolio" if of is None else "group"
    return changed(rule, scope, name, sign * asked + stuck, sign * room + stuck, limit)


def _shares(wish: _Wish, answer: Nearest) -> tuple[Array, Array]:
    """What single names took [n], and what each sum and risk did [K + 1, n]: together the whole way from x."""
    pushes = answer.pushes
    cut = np.where(wish.top < wish.x, np.minimum(answer.bounds, 0.0), 0.0)
    held = answer.bounds - cut
    against = np.where(held > 0, np.minimum(pushes, 0.0), np.where(held < 0, np.maximum(pushes, 0.0), 0.0))
    all_of_it = np.add.reduce(against)
    part = np.divide(held, all_of_it, out=np.zeros_like(held), where=all_of_it != 0.0)
    moved = pushes + against * np.clip(part, -1.0, 0.0)
    rest = answer.sizes - wish.x - cut - np.add.reduce(moved)  # rounding
    moved[np.abs(moved).sum(axis=1).argmax()] += rest
    return cut, moved
