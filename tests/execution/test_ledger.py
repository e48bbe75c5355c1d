"""The ledger on cases worked by hand."""

import numpy as np
import pytest
from strategies import panel_of

from tradearena.execution.ledger import Ledger
from tradearena.policy import Execution
from tradearena.values import CAUSES

NAN = float("nan")


def account_at(opened, close=None, volume=np.inf, *, allow_short=False, cash=1000.0, **terms):
    """A ledger over bars given per symbol: two lists of prices are two symbols."""
    opened = np.atleast_2d(opened).T
    close = opened if close is None else np.atleast_2d(close).T
    volume = np.atleast_2d(volume).T if np.ndim(volume) else volume
    panel = panel_of(opened, close, volume)
    return Ledger(panel, Execution(initial_cash=cash, **terms), allow_short=allow_short)


def live(ledger, targets):
    """Live through the bars; a decision at each close for which there is a target. The fill of each bar."""
    fills = []
    for t in range(len(ledger.panel)):
        fills.append(ledger.open(t))
        ledger.close(t)
        if t < len(targets) and targets[t] is not None:
            ledger.order(t, np.atleast_1d(np.array(targets[t], dtype=float)))
    return fills


def causes(fill):
    return [CAUSES[place] for place in fill.cause]


# ---------------------------------------------------------------------- orders in flight


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_a_constant_target_is_reached_once_and_held(latency):
    # The original counted only what it held: 0, .3, .6, .6, .3, 0, and round again.
    ledger = account_at([10.0] * 12, latency=latency)
    held = []
    for t in range(12):
        ledger.open(t)
        ledger.close(t)
        held.append(float(ledger.account(t, None).weights[0]))
        ledger.order(t, np.array([0.3]))
    assert held == pytest.approx([0.0] * latency + [0.3] * (12 - latency))


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_a_target_that_fills_in_parts_is_approached_and_never_passed(latency):
    # 30 shares are wanted, 12 fill in a bar at most. The rest is ordered anew once it is known to be cancelled.
    ledger = account_at([10.0] * 12, volume=[120.0] * 12, latency=latency, participation=0.1)
    held = [0.0]
    for t in range(12):
        ledger.open(t)
        ledger.close(t)
        held.append(float(ledger.shares[0]))
        ledger.order(t, np.array([0.3]))
    assert held == sorted(held)
    assert sorted(set(held)) == pytest.approx([0.0, 12.0, 24.0, 30.0])


def test_a_new_decision_leaves_orders_in_flight_alone():
    # Buy 30 at bar 0, due at bar 3. At bar 1 the target is 10: 20 are sold at bar 4, and the 30 are bought first.
    ledger = account_at([10.0] * 6, latency=3)
    fills = live(ledger, [[0.3], [0.1]])
    assert [None if fill is None else fill.quantity.tolist() for fill in fills] == [None] * 3 + [[30.0], [-20.0], None]
    assert [fill.decided for fill in fills[3:5]] == [0, 1]


def test_committed_weights_are_those_of_position_and_orders_in_flight():
    ledger = account_at([10.0] * 3, latency=2)
    ledger.close(0)
    ledger.order(0, np.array([0.3]))
    account = ledger.account(0, None)
    assert account.weights.tolist() == [0.0]
    assert account.in_flight.tolist() == [30.0]
    assert account.committed.tolist() == pytest.approx([0.3])


def test_what_an_account_showed_does_not_change_when_its_orders_fill():
    ledger = account_at([10.0] * 3)
    ledger.close(0)
    before = ledger.account(0, None)
    ledger.order(0, np.array([0.5]))
    sent = ledger.account(0, None)
    fill = ledger.open(1)
    ledger.close(1)
    ledger.order(1, np.array([0.0]))
    ledger.open(2)
    assert before.shares.tolist() == before.in_flight.tolist() == sent.shares.tolist() == [0.0]
    assert sent.in_flight.tolist() == fill.quantity.tolist() == fill.ordered.tolist() == [50.0]
    assert ledger.shares.tolist() == [0.0]


def test_nothing_is_due_where_nothing_was_decided():
    fills = live(account_at([10.0] * 4), [None, [0.0]])
    assert fills[:2] == [None, None]
    assert fills[2].ordered.tolist() == [0.0]
    assert fills[3] is None


def test_a_drift_worth_a_billionth_of_nav_is_not_traded():
    ledger = account_at([10.0] * 3)
    live(ledger, [[0.5], [0.5 + 0.9e-9]])
    assert ledger.shares.tolist() == [50.0]
    ledger = account_at([10.0] * 3)
    live(ledger, [[0.5], [0.5 + 1.1e-9]])
    assert ledger.shares[0] > 50.0


# ---------------------------------------------------------------------- why an order is cancelled


@pytest.mark.parametrize(
    ("close", "volume"), [([10.0, NAN, 10.0], [9.0, 9.0, 9.0]), ([10.0, 10.0, 10.0], [9.0, 0.0, 9.0])]
)
def test_without_a_bar_or_without_volume_nothing_fills_then_or_later(close, volume):
    ledger = account_at(close, volume=volume)
    fills = live(ledger, [[0.5]])
    assert causes(fills[1]) == ["no bar"]
    assert fills[1].ordered.tolist() == [50.0]
    assert fills[1].quantity.tolist() == [0.0]
    assert fills[2] is None
    assert ledger.shares.tolist() == ledger.in_flight.tolist() == [0.0]
    assert ledger.cash == 1000.0


def test_a_fill_is_cut_to_its_part_of_the_volume_and_the_rest_is_gone():
    ledger = account_at([10.0] * 3, volume=[1.0, 80.0, 1e6], participation=0.25)
    fills = live(ledger, [[0.5]])
    assert causes(fills[1]) == ["participation"]
    assert fills[1].quantity.tolist() == [20.0]
    assert fills[2] is None
    assert ledger.shares.tolist() == [20.0]


def test_a_sale_of_what_was_never_bought_is_cut_to_the_position():
    # Bought at bar 0 for bar 2, sold at bar 1 for bar 3. Bar 2 has no volume: at bar 3 there is nothing to sell.
    volume = [9.0, 9.0, 0.0, 9.0]
    ledger = account_at([10.0] * 4, volume=volume, latency=2)
    fills = live(ledger, [[0.5], [0.0]])
    assert fills[3].ordered.tolist() == [-50.0]
    assert causes(fills[3]) == ["position"]
    assert ledger.shares.tolist() == [0.0]
    short = account_at([10.0] * 4, volume=volume, latency=2, allow_short=True)
    live(short, [[0.5], [0.0]])
    assert short.shares.tolist() == [-50.0]


def test_a_sale_that_would_not_cover_its_own_cost_is_not_made():
    # 4 shares at 0.5 are worth 2; bought when the minimum of 3 did not matter, they cost more to sell than they bring.
    ledger = account_at([0.5] * 3, commission_minimum=3.0)
    fills = live(ledger, [[0.002], [0.0]])
    assert fills[1].quantity.tolist() == [4.0]
    assert causes(fills[2]) == ["cost"]
    assert fills[2].cost == 0.0
    assert ledger.shares.tolist() == [4.0]
    assert ledger.cash == 1000 - 2 - 3


def test_purchases_are_cut_pro_rata_to_the_cash_there_is():
    # 50 shares each at a close of 10. A opens at 20: 50 * 20 + 50 * 10 = 1500, of which 1000 is there: two thirds.
    ledger = account_at([[10.0, 20.0], [10.0, 10.0]])
    fills = live(ledger, [[0.5, 0.5]])
    assert fills[1].quantity.tolist() == pytest.approx([100 / 3, 100 / 3])
    assert causes(fills[1]) == ["cash", "cash"]
    assert ledger.cash == pytest.approx(0.0, abs=1e-6)
    assert ledger.cash >= 0


def test_the_first_cause_is_the_one_that_is_noted():
    # A is cut to 20 by volume, then both to what cash there is: 20 * 40 + 50 * 10 = 1300 for 1000.
    ledger = account_at([[10.0, 40.0], [10.0, 10.0]], volume=[[1.0, 20.0], [1.0, 1e6]], participation=1.0)
    fills = live(ledger, [[0.5, 0.5]])
    assert causes(fills[1]) == ["participation", "cash"]
    assert fills[1].quantity.tolist() == pytest.approx([20 / 1.3, 50 / 1.3])


def test_what_fills_whole_has_no_cause():
    assert causes(live(account_at([[10.0, 10.0], [10.0, 9.0]]), [[0.5, 0.5]])[1]) == ["", ""]


# ---------------------------------------------------------------------- the open


def test_sales_pay_for_purchases_of_the_same_open():
    ledger = account_at([[10.0] * 3, [20.0] * 3])
    fills = live(ledger, [[1.0, 0.0], [0.0, 1.0]])
    assert fills[2].quantity.tolist() == [-100.0, 50.0]
    assert ledger.cash == 0.0


def test_fills_are_at_the_open_of_a_later_bar_and_never_at_the_close_that_was_used_to_decide():
    ledger = account_at([10.0, 11.0, 12.0], [10.5, 11.5, 12.5], latency=2)
    fills = live(ledger, [[0.21]])
    assert fills[2].price.tolist() == [12.0]
    assert fills[2].quantity.tolist() == [20.0]  # 0.21 * 1000 / 10.5: the close of bar 0
    assert ledger.cash == 1000 - 20 * 12
    assert ledger.nav == 1000 - 20 * 12 + 20 * 12.5


def test_every_cost_comes_out_of_cash():
    # 0.5 * 10,000 / 100 = 50 shares, at an open of 102: 5100. Commission 10 bps: 5.10. Half spread 5 bps: 2.55.
    # Impact 100 bps, linear, for 50 of 1000 shares: 5100 * 0.01 * 0.05 = 2.55. Cash 10,000 - 5100 - 10.20 = 4889.80.
    # At a close of 104 NAV is 4889.80 + 5200 = 10,089.80.
    costs = {"commission_bps": 10.0, "half_spread_bps": 5.0, "impact_bps": 100.0, "impact": "linear"}
    ledger = account_at([100.0, 102.0], [100.0, 104.0], [1.0, 1000.0], cash=10_000.0, **costs)
    fill = live(ledger, [[0.5]])[1]
    paid = [float(cost[0]) for cost in (fill.commission, fill.spread, fill.impact)]
    assert paid == pytest.approx([5.10, 2.55, 2.55])
    assert fill.cost == pytest.approx(10.20)
    assert ledger.cash == pytest.approx(4889.80)
    assert ledger.nav == pytest.approx(10_089.80)


def test_purchases_and_their_costs_together_never_overdraw():
    # All of 1000 at 10, with 1 per fill at least and 100 bps: cut to (1000 - 1) / 1010 of the order.
    ledger = account_at([10.0, 10.0], commission_bps=100.0, commission_minimum=1.0)
    live(ledger, [[1.0]])
    assert ledger.shares[0] == pytest.approx(100 * 999 / 1010)
    assert ledger.cash == pytest.approx(1.0)


def test_with_less_cash_than_the_minimum_commission_nothing_is_bought():
    ledger = account_at([[10.0] * 2, [10.0] * 2], commission_minimum=600.0)
    assert causes(live(ledger, [[0.5, 0.5]])[1]) == ["cash", "cash"]
    assert ledger.cash == 1000.0


# ---------------------------------------------------------------------- lots


def test_orders_are_cut_toward_zero_to_whole_lots():
    ledger = account_at([[1.0] * 2, [1.0] * 2], allow_short=True, lot=100.0)
    live(ledger, [[0.399, -0.399]])
    assert ledger.shares.tolist() == [300.0, -300.0]


def test_a_whole_lot_in_all_but_rounding_is_a_whole_lot():
    # 0.3 * 1000 / 0.1 is 2999.9999999999995 in floats: 3000 shares all the same. And so it stays when it is kept.
    ledger = account_at([0.1] * 9, lot=1000.0)
    for t in range(9):
        ledger.open(t)
        ledger.close(t)
        ledger.order(t, np.array([0.3]) if t == 0 else ledger.account(t, None).committed)
    assert ledger.shares.tolist() == [3000.0]


def test_volume_and_cash_cut_to_whole_lots_too():
    ledger = account_at([1.0, 1.0], volume=[1.0, 2590.0], participation=0.1, lot=100.0)
    live(ledger, [[0.9]])
    assert ledger.shares.tolist() == [200.0]
    ledger = account_at([1.0, 2.1], lot=100.0)
    live(ledger, [[0.9]])
    assert ledger.shares.tolist() == [400.0]


# ---------------------------------------------------------------------- marks


def test_without_a_bar_the_last_mark_is_kept_and_nothing_is_sent():
    ledger = account_at([10.0, 10.0, NAN, 12.0])
    navs, sent = [], []
    for t in range(4):
        ledger.open(t)
        navs.append(ledger.close(t))
        sent.append(ledger.order(t, np.array([0.5 if t == 0 else 0.0]))[0] if t in (0, 2, 3) else None)
    assert navs == [1000.0, 1000.0, 1000.0, 1100.0]
    assert sent == [50.0, None, 0.0, -50.0]


def test_a_symbol_that_is_not_listed_yet_is_not_ordered():
    ledger = account_at([[10.0] * 3, [NAN, NAN, 5.0]])
    live(ledger, [[0.5, 0.5]])
    assert ledger.shares.tolist() == [50.0, 0.0]


# ---------------------------------------------------------------------- shorts, fees, ruin


def test_the_borrow_fee_is_paid_from_cash():
    # 0.252 a year is a thousandth a bar: 1 on 100 short shares at 10, and 1.20 at 12.
    ledger = account_at([10.0, 10.0, 12.0], allow_short=True, borrow_rate=0.252)
    live(ledger, [[-1.0]])
    assert ledger.borrow == pytest.approx(1.2)
    assert ledger.cash == pytest.approx(2000 - 1 - 1.2)
    assert ledger.nav == pytest.approx(2000 - 2.2 - 1200)


def test_a_borrow_fee_that_cash_cannot_pay_is_owed_until_it_can():
    # 200 long, 100 short: no cash is left. Two fees of 1 are owed, part of NAV, and paid out of the next sale.
    ledger = account_at([[10.0] * 5, [10.0] * 5], allow_short=True, borrow_rate=0.252)
    owed, navs, cash = [], [], []
    for t in range(5):
        ledger.open(t)
        navs.append(ledger.close(t))
        owed.append(ledger.owed)
        cash.append(ledger.cash)
        if t == 0:
            ledger.order(t, np.array([2.0, -1.0]))
        if t == 2:
            ledger.order(t, np.array([1000.0, -1000.0]) / navs[t])  # 100 shares of each
    assert owed == pytest.approx([0, 1, 2, 0, 0])
    assert navs == pytest.approx([1000, 999, 998, 997, 996])
    # Bar 3 sells 100 of the long shares: 1000 come in, 2 are paid that were owed, and 1 for bar 3.
    assert cash == pytest.approx([1000, 0, 0, 997, 996], abs=1e-9)


def test_what_is_owed_is_paid_before_anything_is_bought():
    # As above; at bar 3 the 1000 from selling A are to buy C: 2 are owed, so 998 do.
    ledger = account_at([[10.0] * 4, [10.0] * 4, [10.0] * 4], allow_short=True, borrow_rate=0.252)
    fills = live(ledger, [[2.0, -1.0, 0.0], None, np.array([1000.0, -1000.0, 1000.0]) / 998])
    assert fills[3].quantity.tolist() == pytest.approx([-100.0, 0.0, 99.8])
    assert ledger.owed == pytest.approx(1.0)


def test_long_accounts_pay_no_borrow_fee():
    ledger = account_at([10.0] * 3, borrow_rate=10.0)
    live(ledger, [[1.0]])
    assert (ledger.borrow, ledger.nav) == (0.0, 1000.0)


@pytest.mark.parametrize(("price", "nav"), [(30.0, -1000.0), (20.0, 0.0)])
def test_a_nav_at_or_below_zero_closes_everything_and_ruins_the_account(price, nav):
    # 100 short at 10 leave a cash of 2000; at 20 they are all of it. An order of bar 2 is still in flight.
    ledger = account_at([10.0, 10.0, 10.0, price, 10.0], allow_short=True, latency=2)
    for t, target in enumerate((-1.0, -1.0, -0.5)):
        ledger.open(t)
        ledger.close(t)
        ledger.order(t, np.array([target]))
    assert ledger.in_flight.tolist() == [50.0]
    assert not ledger.ruined
    assert ledger.open(3).ordered.tolist() == [0.0]
    assert ledger.close(3) == ledger.nav == ledger.cash == nav
    assert ledger.ruined
    assert ledger.shares.tolist() == ledger.in_flight.tolist() == [0.0]
    assert ledger.open(4) is None
