"""What must hold of every account. Money is added up anew, without rounding, from bars, fills and terms alone."""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES, market, seeds, terms_of

from tradearena.execution.ledger import DUST, Ledger
from tradearena.panel import Array, Panel
from tradearena.policy import Execution
from tradearena.values import CAUSES, Account, Fill

often = settings(max_examples=EXAMPLES)


class Day(NamedTuple):
    """One bar of an account: what it had before, what the bar did, what it had and decided after."""

    t: int
    before: Account | None
    fill: Fill | None
    after: Account
    borrow: float
    approved: Array | None
    sent: Array | None


class Life(NamedTuple):
    """An account from its first bar to its last."""

    panel: Panel
    terms: Execution
    allow_short: bool
    days: list[Day]
    ruined: bool

    def __repr__(self):
        return f"Life({len(self.days)} days, {self.terms!r}, allow_short={self.allow_short}, ruined={self.ruined})"


@st.composite
def lives(draw):
    """Eight rough bars, decisions at some of them: over-invested, empty, signed where allowed, or what is held."""
    rng = np.random.default_rng(draw(seeds))
    panel = market(rng, 8, draw(st.integers(1, 4)))
    return lived(panel, terms_of(rng), rng, allow_short=draw(st.booleans()), every=int(rng.integers(1, 4)))


def lived(panel, chosen, rng, *, allow_short, every=1):
    ledger = Ledger(panel, chosen, allow_short=allow_short)
    days, before = [], None
    for t in range(len(panel)):
        fill = ledger.open(t)
        ledger.close(t)
        nav = ledger.nav if not ledger.ruined else math.nan
        after = ledger.account(t, fill) if not ledger.ruined else _remains(ledger, fill)
        approved = sent = None
        if nav > 0 and t % every == 0 and t + chosen.latency < len(panel):
            approved = wanted(rng, after, allow_short=allow_short)
            sent = ledger.order(t, approved)
        days.append(Day(t, before, fill, after, ledger.borrow, approved, sent))
        before = after
        if ledger.ruined:
            break
    return Life(panel, chosen, allow_short, days, ledger.ruined)


def _remains(ledger, fill):
    nothing = np.zeros_like(ledger.shares)
    return Account(ledger.nav, ledger.cash, ledger.owed, ledger.shares, ledger.in_flight, nothing, nothing, fill)


def wanted(rng, account, *, allow_short):
    kind, draws = rng.integers(8), rng.random((2, len(account.shares)))
    if kind == 0:
        return account.committed.copy()
    if kind == 1:
        return 0.0 * draws[0]
    weights = np.maximum(draws[0] - 0.2, 0.0)
    weights *= (0.3, 1.0, 1.5)[kind % 3] / max(weights.sum(), 0.1)
    return np.where(draws[1] < 0.5, weights, -weights) if allow_short and kind < 5 else weights


def fills(life):
    for day in life.days:
        if day.fill is not None:
            yield day, day.fill


def products(left, right):
    return [a * b for a, b in zip(left.tolist(), right.tolist(), strict=True)]


def plain_costs(size, price, volume, chosen):
    """Commission, half spread and impact of one fill, from the words of the policy."""
    if size == 0:
        return 0.0, 0.0, 0.0
    worth = size * price
    part = size / volume
    impact = math.sqrt(part) if chosen.impact == "square-root" else part
    return (
        max(chosen.commission_minimum, worth * chosen.commission_bps / 10_000),
        worth * chosen.half_spread_bps / 10_000,
        worth * impact * chosen.impact_bps / 10_000,
    )


def cost_of(day, life):
    """[N, 3] costs of the fill of a day."""
    volume = life.panel.volume[day.t]
    rows = zip(np.abs(day.fill.quantity).tolist(), day.fill.price.tolist(), volume.tolist(), strict=True)
    return np.array([plain_costs(*row, life.terms) for row in rows])


# ---------------------------------------------------------------------- accounting


@often
@given(lives())
def test_nav_changes_by_what_prices_fills_costs_and_fees_explain_and_by_nothing_else(life):
    mark = life.panel.mark
    changes = [life.terms.initial_cash]
    for day in life.days:
        if day.before is not None:
            changes += products(day.before.shares, mark[day.t] - mark[day.t - 1])
        if day.fill is not None:
            changes += products(day.fill.quantity, mark[day.t] - day.fill.price)
            changes += (-cost_of(day, life)).ravel().tolist()
        changes.append(-day.borrow)
        # To the cent, and far below it: rounding is 1e-16 of the largest amount that ever went in or out.
        assert abs(math.fsum(changes) - day.after.nav) <= 1e-13 * max(map(abs, changes)) * len(changes) < 0.005


@often
@given(lives())
def test_nav_is_cash_and_positions_less_what_is_owed(life):
    for day in life.days:
        after = day.after
        parts = [after.cash, -after.owed, *products(after.shares, life.panel.mark[day.t])]
        assert math.isclose(math.fsum(parts), after.nav, rel_tol=0, abs_tol=1e-14 * max(map(abs, parts)) * len(parts))


@often
@given(lives())
def test_the_costs_on_record_are_those_of_the_policy(life):
    for day, fill in fills(life):
        recorded = np.stack((fill.commission, fill.spread, fill.impact), axis=1)
        np.testing.assert_allclose(recorded, cost_of(day, life), rtol=1e-12, atol=0)
        assert math.isclose(fill.cost, recorded.sum(), rel_tol=1e-12, abs_tol=1e-300)


@often
@given(lives())
def test_the_borrow_fee_is_charged_on_every_short_position_at_every_close(life):
    for day in life.days:
        held = life.days[day.t].after.shares if not (life.ruined and day is life.days[-1]) else _held_at_ruin(day)
        short = math.fsum(max(-q, 0.0) * m for q, m in zip(held, life.panel.mark[day.t], strict=True))
        fee = short * life.terms.borrow_rate / 252 if life.allow_short else 0.0
        assert math.isclose(day.borrow, fee, rel_tol=1e-9, abs_tol=1e-12)


def _held_at_ruin(day):
    return day.before.shares + (day.fill.quantity if day.fill is not None else 0.0)


@often
@given(lives())
def test_cash_is_never_spent_below_zero(life):
    for day in life.days:
        if not (life.ruined and day is life.days[-1]):
            assert day.after.cash >= 0
            assert day.after.owed >= 0
            assert day.after.cash == 0 or day.after.owed == 0


@often
@given(lives())
def test_an_account_ends_where_its_nav_does(life):
    for day in life.days[:-1]:
        assert day.after.nav > 0
    last = life.days[-1].after
    assert life.ruined == (last.nav <= 0)
    if life.ruined:
        assert (last.cash, last.owed) == (last.nav, 0)
        assert not last.shares.any()
        assert not last.in_flight.any()


# ---------------------------------------------------------------------- orders


@often
@given(lives())
def test_position_and_orders_in_flight_together_are_the_target(life):
    lot = life.terms.lot
    for day in life.days:
        if day.sent is None:
            continue
        mark, nav = life.panel.mark[day.t], day.after.nav
        together = day.after.shares + day.after.in_flight + day.sent
        for i in np.flatnonzero(life.panel.tradable[day.t]):
            target = float(day.approved[i]) * nav / mark[i]
            rounding = DUST * nav / mark[i] + 1e-12 * abs(target)
            short_of = abs(target) - math.copysign(1.0, target) * together[i]
            assert -rounding <= short_of < (lot or rounding) + rounding
            if lot:
                assert abs(together[i] / lot - round(together[i] / lot)) < 1e-6
        assert not day.sent[~life.panel.tradable[day.t]].any()


@often
@given(lives())
def test_each_order_meets_one_open_and_is_never_cancelled_nor_filled_after_it(life):
    due = {day.t + life.terms.latency: day for day in life.days if day.sent is not None}
    for day in life.days:
        assert (day.fill is not None) == (day.t in due)
        if day.fill is not None:
            np.testing.assert_array_equal(day.fill.ordered, due[day.t].sent)
            assert day.fill.decided == due[day.t].t
        waiting = [due[t].sent for t in due if due[t].t < day.t < t]
        if not (life.ruined and day is life.days[-1]):
            np.testing.assert_allclose(day.after.in_flight, sum(waiting, start=np.zeros_like(day.after.shares)))
            moved = day.fill.quantity if day.fill is not None else 0.0
            held = day.before.shares if day.before is not None else 0.0
            np.testing.assert_array_equal(day.after.shares, held + moved)


@often
@given(lives(), seeds)
def test_orders_are_made_from_the_close_of_their_bar_and_nothing_later(life, seed):
    rng = np.random.default_rng(seed)
    day = life.days[rng.integers(len(life.days))]
    assume(day.sent is not None)
    panel, t = life.panel, day.t

    def other(array, first):
        return np.concatenate((array[:first], array[first:] * rng.uniform(0.5, 2.0, array[first:].shape)))

    prices = (*(other(array, t) for array in (panel.open, panel.high, panel.low)), other(panel.close, t + 1))
    volume = np.concatenate((panel.volume[: t + 1], other(panel.volume, 0)[t + 1 :]))
    changed = Panel.of(panel.symbols, panel.start, panel.end, prices, volume, bars_per_year=252.0)
    ledger = Ledger(changed, life.terms, allow_short=life.allow_short)
    ledger.nav, ledger.shares = day.after.nav, day.after.shares + day.after.in_flight
    np.testing.assert_allclose(ledger.order(t, day.approved), day.sent, rtol=1e-12, atol=1e-12)


@often
@given(lives())
def test_keeping_the_position_sends_no_orders(life):
    for day in life.days:
        if day.sent is not None and np.array_equal(day.approved, day.after.committed):
            assert not day.sent.any()


@often
@given(lives())
def test_no_order_is_dust(life):
    for day in life.days:
        if day.sent is not None:
            worth = np.abs(day.sent) * life.panel.mark[day.t]
            assert (worth[day.sent != 0] > DUST * day.after.nav).all()


# ---------------------------------------------------------------------- fills


@often
@given(lives())
def test_a_fill_is_part_of_its_order_within_volume_and_lots(life):
    chosen = life.terms
    for day, fill in fills(life):
        volume = life.panel.volume[day.t]
        assert (np.abs(fill.quantity) <= np.abs(fill.ordered)).all()
        assert (fill.quantity * fill.ordered >= 0).all()
        dead = ~life.panel.valid[day.t] | (volume == 0)
        assert not fill.quantity[dead].any()
        np.testing.assert_array_equal(fill.price[~dead], life.panel.open[day.t][~dead])
        if chosen.participation is not None:
            assert (np.abs(fill.quantity) <= chosen.participation * volume * (1 + 1e-9)).all()
        if chosen.lot:
            lots = fill.quantity / chosen.lot
            np.testing.assert_allclose(lots, np.round(lots), rtol=0, atol=1e-6)
        if not life.allow_short:
            assert (day.after.shares >= 0).all() or life.ruined


@often
@given(lives())
def test_every_cancelled_part_has_its_cause_and_nothing_else_has(life):
    for day, fill in fills(life):
        np.testing.assert_array_equal(fill.cause != 0, fill.quantity != fill.ordered)
        for i, ordered in enumerate(fill.ordered.tolist()):
            cause, live = CAUSES[fill.cause[i]], bool(life.panel.tradable[day.t, i])
            assert live == (cause != "no bar") or ordered == 0
            if cause == "participation":
                assert abs(ordered) > room_of(life, day.t, i)
            elif cause == "position":
                assert not life.allow_short
                assert ordered < -day.before.shares[i]
            elif cause == "cost":
                assert ordered < 0 == fill.quantity[i]
            elif cause == "cash":
                assert ordered > 0


def room_of(life, t, i):
    """The most of symbol i that may be filled at bar t."""
    chosen, volume = life.terms, float(life.panel.volume[t, i])
    if chosen.participation is None or volume == math.inf:
        return math.inf
    room = chosen.participation * volume
    return math.floor(room / chosen.lot + 1e-9) * chosen.lot if chosen.lot else room


@often
@given(lives())
def test_sales_fill_before_purchases_and_all_purchases_are_cut_alike(life):
    """The whole of an open done again: what may be sold is sold, then the cash there is buys what it can."""
    chosen = life.terms
    for day, fill in fills(life):
        volume, price = life.panel.volume[day.t], fill.price
        cash, buys = day.before.cash, {}
        for i, ordered in enumerate(fill.ordered.tolist()):
            if not life.panel.tradable[day.t, i]:
                continue
            room = room_of(life, day.t, i)
            if ordered > 0:
                buys[i] = min(ordered, room)
                continue
            sale = min(-ordered, room)
            if not life.allow_short:
                sale = min(sale, float(day.before.shares[i]))
            cost = sum(plain_costs(sale, float(price[i]), float(volume[i]), chosen))
            if cost > sale * float(price[i]):
                sale = cost = 0.0
            assert math.isclose(-fill.quantity[i], sale, rel_tol=1e-9, abs_tol=1e-12)
            cash += sale * float(price[i]) - cost
        cash -= min(cash, day.before.owed)
        costs = {i: plain_costs(size, float(price[i]), float(volume[i]), chosen) for i, size in buys.items()}
        need = math.fsum(size * float(price[i]) + sum(costs[i]) for i, size in buys.items())
        shares = {i: fill.quantity[i] / size for i, size in buys.items() if size > 0}
        bought = {i: float(fill.quantity[i]) for i in buys}
        spent = [
            q * float(price[i]) + sum(plain_costs(q, float(price[i]), float(volume[i]), chosen))
            for i, q in bought.items()
        ]
        assert math.fsum(spent) <= cash * (1 + 1e-9)
        if need < cash * (1 - 1e-9):
            assert all(math.isclose(share, 1.0, rel_tol=1e-9) for share in shares.values())
        elif need > cash * (1 + 1e-9) and not chosen.lot:
            assert max(shares.values()) - min(shares.values()) <= 1e-9
            # What is left over is at most the minimum commissions and the curvature of the impact.
            slack = 2 * chosen.commission_minimum * len(shares) + sum(cost[2] for cost in costs.values())
            assert day.after.cash <= slack + 1e-9 * cash
        elif need > cash:
            factor = max(shares.values())
            assert all(shares[i] * buys[i] >= factor * buys[i] - chosen.lot * (1 + 1e-9) for i in shares)
