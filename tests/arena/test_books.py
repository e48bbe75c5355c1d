import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import market, panel_of, seeds

from tradearena.arena.books import PaperBooks
from tradearena.execution.ledger import Ledger
from tradearena.policy import Execution

NAN = float("nan")


def books_at(opened, close, cash=1000.0):
    """Books over bars given per symbol."""
    return PaperBooks(panel_of(np.array(opened).T, np.array(close).T), cash)


def test_three_books_over_four_bars_worked_by_hand():
    books = books_at(
        [[10.0, 10.0, 20.0, 15.0], [5.0, 8.0, 8.0, 10.0]], [[10.0, 12.0, 20.0, 15.0], [5.0, 8.0, 10.0, 5.0]]
    )
    assert books.advance(0) == (1000.0, 1000.0, 1000.0)
    # Intent: all in A. Approved: half in A. Reference: half in each.
    books.rebalance(np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([0.5, 0.5]))
    # Open of bar 1: A at 10, B at 8. 100 A; 50 A and 500; 50 A and 62.5 B. Close: A at 12, B at 8.
    assert books.advance(1) == pytest.approx((1200.0, 500 + 600, 600 + 500))
    # No decision: they drift to A at 20, B at 10.
    assert books.advance(2) == pytest.approx((2000.0, 500 + 1000, 1000 + 625))
    # Intent: short A, long B twice. Approved: cash. Reference: as before.
    books.rebalance(np.array([-1.0, 2.0]), np.array([0.0, 0.0]), np.array([0.5, 0.5]))
    # Open of bar 3: A at 15, B at 10. Values 1500; 500 + 750 = 1250; 750 + 625 = 1375.
    # Intent: -100 A, 300 B, no cash. Close, A at 15 and B at 5: -1500 + 1500 = 0: it is bust.
    # Reference: 687.5 of each; B halves: 687.5 + 343.75.
    assert books.advance(3) == pytest.approx((0.0, 1250.0, 687.5 + 343.75))


def test_weights_count_from_the_open_of_the_next_bar_whatever_the_close_of_this_one():
    books = books_at([[10.0, 40.0, 40.0]], [[20.0, 40.0, 60.0]])
    books.advance(0)
    books.rebalance(*[np.array([1.0])] * 3)
    assert books.advance(1) == (1000.0,) * 3
    assert books.advance(2) == (1500.0,) * 3


def test_a_bust_book_stays_at_zero_and_leaves_the_others_alone():
    books = books_at([[10.0, 10.0, 30.0, 10.0, 10.0]], [[10.0, 10.0, 30.0, 10.0, 20.0]])
    books.advance(0)
    books.rebalance(np.array([-1.0]), np.array([0.5]), np.array([0.0]))
    assert books.advance(1) == (1000.0, 1000.0, 1000.0)
    # 100 short at 10 are worth -3000 at 30, against a cash of 2000.
    assert books.advance(2) == (0.0, 2000.0, 1000.0)
    assert books.advance(3) == (0.0, 1000.0, 1000.0)
    books.rebalance(*[np.array([1.0])] * 3)
    assert books.advance(4) == (0.0, 2000.0, 2000.0)


def test_a_book_that_is_bust_at_an_open_cannot_trade_its_way_back():
    # Short 100 at 10, 2000 in cash. Bar 2 opens at 25 and closes at 5: the gap takes all before the close gives back.
    books = books_at([[10.0, 10.0, 25.0, 5.0]], [[10.0, 10.0, 5.0, 5.0]])
    books.advance(0)
    books.rebalance(*[np.array([-1.0])] * 3)
    books.advance(1)
    books.rebalance(*[np.array([-1.0])] * 3)
    assert books.advance(2) == books.advance(3) == (0.0, 0.0, 0.0)


def test_weight_in_a_symbol_that_is_not_listed_stays_in_cash():
    books = books_at([[10.0, 10.0, 20.0], [NAN, NAN, 4.0]], [[10.0, 10.0, 20.0], [NAN, NAN, 8.0]])
    books.advance(0)
    books.rebalance(*[np.array([0.5, 0.5])] * 3)
    assert books.advance(1) == (1000.0,) * 3
    assert books.advance(2) == (1500.0,) * 3


def test_a_symbol_without_a_bar_trades_at_its_last_mark():
    books = books_at([[10.0, NAN, 20.0]], [[10.0, NAN, 20.0]])
    books.advance(0)
    books.rebalance(*[np.array([1.0])] * 3)
    assert books.advance(1) == (1000.0,) * 3
    assert books.advance(2) == (2000.0,) * 3


@settings(max_examples=150)
@given(seeds, st.integers(1, 4))
def test_a_book_changes_by_what_prices_explain_and_by_nothing_else(seed, n):
    rng = np.random.default_rng(seed)
    panel = market(rng, 8, n)
    books = PaperBooks(panel, 1e6)
    nav, wanted = np.full(3, 1e6), False
    for t in range(8):
        held = books.shares.copy()
        now = np.array(books.advance(t))
        for b in range(3):
            if wanted:
                at = np.where(panel.valid[t], panel.open[t], panel.mark[max(t - 1, 0)])
                gap = math.fsum(held[b] * (at - panel.mark[t - 1]))
                nav[b] += gap + math.fsum(books.shares[b] * (panel.mark[t] - at)) if nav[b] + gap > 0 else -nav[b]
            elif t > 0:
                nav[b] += math.fsum(held[b] * (panel.mark[t] - panel.mark[t - 1]))
            nav[b] = max(nav[b], 0.0)
        np.testing.assert_allclose(now, nav, rtol=1e-9, atol=1e-6)
        nav, wanted = now, rng.random() < 0.7
        if wanted:
            books.rebalance(*(rng.uniform(-1, 2, n) / n for _ in range(3)))


@settings(max_examples=150)
@given(seeds, st.integers(1, 4))
def test_without_costs_and_gaps_the_executed_book_is_the_approved_book(seed, n):
    rng = np.random.default_rng(seed)
    panel = market(rng, 8, n, gaps=False)
    # What is ordered at the close is worth something else at the open: only where they are the same, so are the books.
    panel = panel_of(np.vstack((panel.close[:1], panel.close[:-1])), panel.close)
    books, ledger = PaperBooks(panel, 1e6), Ledger(panel, Execution(), allow_short=False)
    for t in range(8):
        ledger.open(t)
        assert ledger.close(t) == pytest.approx(books.advance(t)[1], rel=1e-8)
        weights = rng.dirichlet(np.ones(n)) * rng.uniform(0, 0.99)
        ledger.order(t, weights)
        books.rebalance(weights, weights, weights)
