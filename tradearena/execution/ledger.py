"""The ledger of one account: approved weights and bars come in; fills, costs, cash and NAV go out.

    close of bar t      order(t, approved)  new orders = target - (position + orders in flight)
    open of bar t+L     open(t+L)           sells fill first, then buys as far as the cash goes
    close of bar t+L    close(t+L)          what is unfilled is gone; borrow fee charged; account marked

Cash is never spent below zero: buys are scaled to what there is, sales that would not cover their own cost are not
made, and a borrow fee that cash cannot pay is owed (and part of NAV) until it can. Arrays are replaced, never changed
in place, so whoever was handed one keeps it. Sums are numpy's and not those of a BLAS, whose last bits differ from one
processor to the next: money is exact everywhere.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.execution.costs import Costs, costs
from tradearena.panel import Array, Panel, ratio
from tradearena.policy import Execution
from tradearena.values import CAUSES, Account, Fill

DUST = 1e-9
"""Orders worth less than this fraction of NAV are rounding, not intent, and are not sent."""

_NO_BAR, _PARTICIPATION, _POSITION, _COST, _CASH = (
    CAUSES.index(cause) for cause in ("no bar", "participation", "position", "cost", "cash")
)


class Order(NamedTuple):
    """Signed quantities [N] decided at one close, due at one open."""

    decided: int
    due: int
    quantity: Array


class Ledger:
    """One account over the bars of one panel."""

    def __init__(self, panel: Panel, terms: Execution, *, allow_short: bool) -> None:
        n = len(panel.symbols)
        self.panel, self.terms, self.allow_short = panel, terms, allow_short
        self.cash, self.owed, self.borrow = terms.initial_cash, 0.0, 0.0
        self.nav = terms.initial_cash
        self._nothing: Array = np.zeros(n)
        self.shares = self._nothing
        self.ruined = False
        self._flight: deque[Order] = deque()
        self.in_flight = self._nothing
        """[N] signed quantities ordered and not yet due."""

    def account(self, t: int, fill: Fill | None) -> Account:
        """The account at the close of bar t, as the agent and the audit see it."""
        mark, flight = self.panel.mark[t], self.in_flight
        scale = mark / self.nav
        weights = self.shares * scale
        committed = weights + flight * scale if self._flight else weights
        return Account(self.nav, self.cash, self.owed, self.shares, flight, weights, committed, fill)

    # ------------------------------------------------------------------ orders

    def order(self, t: int, approved: Array) -> Array:
        """Send what takes the position, orders in flight included, to the approved weights [N] at today's close.

        Quantities are cut toward zero to whole lots. Nothing is sent for a symbol that cannot be traded now. Returns
        the quantities [N] sent.
        """
        mark = self.panel.mark[t]
        target = ratio(approved * self.nav, mark)
        if self.terms.lot > 0:
            target = _lots(target, self.terms.lot)
        quantity = target - (self.shares + self.in_flight)
        sent = self.panel.tradable[t] & (np.abs(quantity) * mark > DUST * self.nav)
        quantity = np.where(sent, quantity, 0.0)
        self._flight.append(Order(t, t + self.terms.latency, quantity))
        self.in_flight = self.in_flight + quantity
        return quantity

    # ------------------------------------------------------------------ the bar

    def open(self, t: int) -> Fill | None:
        """Fill what is due at the open of bar t; None if nothing was due."""
        if not self._flight or self._flight[0].due != t:
            return None
        order = self._flight.popleft()
        self.in_flight = sum((waiting.quantity for waiting in self._flight), start=self._nothing)
        live, price, volume = self.panel.tradable[t], self.panel.dealing[t], self.panel.volume[t]
        cause = np.zeros(len(live), dtype=np.int8)

        quantity = order.quantity
        if np.count_nonzero(live) < len(live):
            quantity = _reduced(quantity, np.where(live, quantity, 0.0), cause, _NO_BAR)
        quantity = self._within_volume(quantity, volume, cause)
        if not self.allow_short:
            quantity = _reduced(quantity, np.maximum(quantity, -self.shares), cause, _POSITION)
        paid, money = self._price(quantity, price, volume)
        futile = (quantity < 0.0) & (money > 0.0)
        if np.count_nonzero(futile):
            quantity = _reduced(quantity, np.where(futile, 0.0, quantity), cause, _COST)
            paid, money = self._price(quantity, price, volume)
        self.cash -= float(np.add.reduce(np.minimum(money, 0.0)))
        self._settle()
        need = float(np.add.reduce(np.maximum(money, 0.0)))
        if need > self.cash:
            quantity = _reduced(quantity, self._affordable(quantity, need), cause, _CASH)
            paid, money = self._price(quantity, price, volume)
            need = float(np.add.reduce(np.maximum(money, 0.0)))
        self.cash -= need

        self.shares = self.shares + quantity
        return Fill(t, order.decided, order.quantity, quantity, price, *paid, cause)

    def _price(self, quantity: Array, price: Array, volume: Array) -> tuple[Costs, Array]:
        """What filling these quantities costs, and the money [N] it takes out of the account, costs included."""
        paid = costs(quantity, price, volume, self.terms)
        money = quantity * price
        money += paid.total
        return paid, money

    def _within_volume(self, quantity: Array, volume: Array, cause: NDArray[np.int8]) -> Array:
        if self.terms.participation is None:
            return quantity
        room = self.terms.participation * volume
        if self.terms.lot > 0:
            room = _lots(room, self.terms.lot)
        if not np.count_nonzero(np.abs(quantity) >= room):
            return quantity
        return _reduced(quantity, np.minimum(np.maximum(quantity, -room), room), cause, _PARTICIPATION)

    def _affordable(self, quantity: Array, need: float) -> Array:
        """Buys scaled pro rata so that they and their cost fit the cash; `need` is what they would take unscaled.

        Per symbol the cost at a fraction s is at most s times its cost, plus the minimum commission: the factor errs on
        the side of cash left over, by no more than the minimum commissions and the curvature of the impact.
        """
        buys = quantity > 0.0
        minimum = self.terms.commission_minimum * np.count_nonzero(buys)
        scaled = quantity * (max((self.cash - minimum) / need, 0.0) * (1.0 - 1e-12))
        if self.terms.lot > 0:
            scaled = _lots(scaled, self.terms.lot)
        return np.where(buys, scaled, quantity)

    def close(self, t: int) -> float:
        """Charge the borrow fee, mark the account at the close of bar t and return its NAV. At or below zero the
        positions are closed at their marks, the orders in flight are dropped, and the account is ruined."""
        mark = self.panel.mark[t]
        self.borrow = 0.0
        if self.allow_short and self.terms.borrow_rate > 0:
            short = float(np.add.reduce(np.maximum(-self.shares, 0.0) * mark))
            self.borrow = short * self.terms.borrow_rate / self.panel.bars_per_year
            self.owed += self.borrow
            self._settle()
        self.nav = self.cash + float(np.add.reduce(self.shares * mark)) - self.owed
        if self.nav <= 0.0:
            self.ruined = True
            self.cash, self.owed, self.shares = self.nav, 0.0, self._nothing
            self.in_flight = self._nothing
            self._flight.clear()
        return self.nav

    def _settle(self) -> None:
        """Pay what is owed, as far as the cash goes."""
        paid = min(self.owed, max(self.cash, 0.0))
        self.cash -= paid
        self.owed -= paid


def _lots(quantity: Array, lot: float) -> Array:
    """Cut toward zero to whole lots; a quantity within rounding of a whole lot is that lot."""
    cut: Array = np.trunc(quantity / lot * (1.0 + 1e-12)) * lot
    return cut


def _reduced(before: Array, after: Array, cause: NDArray[np.int8], reason: int) -> Array:
    """Note the reason wherever a quantity was cut and none is noted yet."""
    cut = before != after
    if np.count_nonzero(cut):
        cause[cut & (cause == 0)] = reason
    return after
