"""What a rationale says, held against what was done and what was so: the rules, sentence by sentence, and the rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.claims import Rate, actions, consistency, rate_of
from tradearena.analysis.quotes import Quote, ledger_consistency, quotes

SYMBOLS = ("AAA", "BBB", "CCC", "BRK-B", "600519.SH", "A")


# ---------------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Buy AAA, BBB and CCC, with BRK-B weak.", {"AAA": "up", "BBB": "up", "CCC": "up"}),
        ("I sell AAA to buy BBB.", {"AAA": "down", "BBB": "up"}),
        ("I sell AAA and buy BBB because CCC fell 3.5%.", {"AAA": "down", "BBB": "up"}),
        ("Adding to 600519.SH; trimming BRK-B.", {"600519.SH": "up", "BRK-B": "down"}),
        ("AAA is sold. BBB and CCC are bought.", {"AAA": "down", "BBB": "up", "CCC": "up"}),
        ("Hold AAA.\nKeep BBB unchanged.", {"AAA": "held", "BBB": "same"}),
        ("Overweight AAA, underweight BBB.", {"AAA": "over", "BBB": "under"}),
        ("Hold AAA. Add to AAA.", {"AAA": "held up"}),
        # nothing is guessed
        ("AAA rallied, BBB dropped.", {}),
        ("Not buying AAA. We would sell BBB if it fell. I had bought CCC.", {}),
        ("I don't add to AAA, nor do I never sell BBB.", {}),
        ("Selling pressure in AAA, a buy signal in BBB, and AAA tops the buy list.", {}),
        ("Buy AAA. Sell AAA.", {}),  # one of them is not meant
        ("Buy or sell AAA?", {}),
        ("buy aaa, AAAB, XBBB and A", {}),  # other words
        ("", {}),
        ("增持AAA", {}),
    ],
)
def test_a_clause_says_one_thing_of_the_symbols_in_it_or_nothing(text, said):
    assert actions(text, SYMBOLS) == {symbol: frozenset(kinds.split()) for symbol, kinds in said.items()}


# ---------------------------------------------------------------------- held against the weights


def test_consistency_by_hand():
    texts = ["Buy AAA, sell BBB.", "Buy AAA, hold BBB.", "Nothing to say."]
    before = np.array([[0.1, 0.3], [0.2, 0.1], [0.2, 0.0]])
    after = np.array([[0.2, 0.1], [0.2, 0.0], [0.3, 0.1]])
    found = consistency(texts, ("AAA", "BBB"), before, after)
    # AAA up: right, BBB down: right; AAA up: it stays, BBB held: it is gone
    assert (found.rate, found.right, found.checked) == (0.5, 2, 4)
    assert found.coverage == pytest.approx(2 / 3)
    # elsewhere: AAA rises in 2, not in 1; BBB falls in 1, not in 2; AAA rises in 0 and 2; BBB is held in 0 and 2
    assert found.chance == pytest.approx((1 + 1 + 2 + 2) / 8)


@pytest.mark.parametrize(
    ("text", "before", "after", "right"),
    [
        ("Buy AAA", 0.10, 0.11, True),
        ("Buy AAA", 0.10, 0.10, False),
        ("Buy AAA", -0.10, 0.0, True),  # covering a short
        ("Trim AAA", 0.10, 0.09, True),
        ("Trim AAA", 0.10, 0.12, False),
        ("Maintain AAA", 0.204, 0.20, True),  # it had drifted
        ("Maintain AAA", 0.20, 0.25, False),
        ("Hold AAA", 0.20, 0.25, True),
        ("Hold AAA", 0.20, 0.0, False),
        ("Overweight AAA", 0.0, 0.6, True),
        ("Underweight AAA", 0.0, 0.6, False),
        ("Underweight AAA", 0.0, 0.2, True),
    ],
)
def test_each_kind_of_claim_is_held_against_what_it_speaks_of(text, before, after, right):
    found = consistency([text], ("AAA", "BBB"), np.array([[before, 0.4]]), np.array([[after, 0.4]]))
    assert (found.right, found.checked) == (int(right), 1)


def test_without_a_claim_there_is_no_rate_and_the_coverage_says_so():
    weights = np.zeros((2, 2))
    assert consistency(["", "Calm seas."], ("AAA", "BBB"), weights, weights) == Rate(None, None, 0.0, 0, 0, 2)
    assert consistency([], ("AAA", "BBB"), weights[:0], weights[:0]) == Rate(None, None, None, 0, 0, 0)
    assert consistency(["Buy AAA"], ("AAA", "BBB"), weights[:1], weights[:1] + 1).chance is None


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), max_size=8), st.randoms())
def test_rate_chance_and_coverage_lie_between_0_and_1(fits, rng):
    found = rate_of([(rng.randrange(5), np.array(each)) for each in fits], 5)
    assert all(value is None or 0.0 <= value <= 1.0 for value in (found.rate, found.chance, found.coverage))
    assert (found.rate is None) == (not fits)


def test_who_always_says_and_does_the_same_is_right_and_no_better_than_chance():
    texts = ["Buy AAA."] * 10
    before = np.linspace(0.1, 0.9, 10)[:, None]
    found = consistency(texts, ("AAA",), before, before + 0.05)
    assert (found.rate, found.chance) == (1.0, 1.0)


# ---------------------------------------------------------------------- the account


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("NAV is $1,012,345 and cash is $200k.", [("nav", "", 1_012_345.0), ("cash", "", 200_000.0)]),
        ("The account value is 1.2 million.", [("nav", "", 1_200_000.0)]),
        ("Current cash is 12.5%.", [("cash share", "", 0.125)]),
        ("AAA currently makes up 20% of the book.", [("weight", "AAA", 0.2)]),
        ("I already hold 1,200 shares of BRK-B.", [("shares", "BRK-B", 1200.0)]),
        # plans, prices, returns, and what is not clear
        ("20% of the account goes to AAA, and 5% stays in cash for now.", []),
        ("NAV rose 3%. AAA currently trades at 12.", []),
        ("Current position AAA is up 18.5%.", []),
        ("AAA currently +4.2%.", []),
        ("AAA and BBB are currently 20% each.", []),
        ("Currently AAA moved from 10% to 15%.", []),
        ("NAV could be $2,000,000.", []),
        ("Year 2026.", []),
    ],
)
def test_a_quote_is_one_amount_of_one_thing_that_is(text, quoted):
    assert [each[:3] for each in quotes(text, SYMBOLS)] == [(of, s, pytest.approx(v)) for of, s, v in quoted]


def test_a_quote_may_be_off_by_its_last_digit_and_a_rough_one_by_a_twentieth():
    (exact,) = quotes("AAA is currently 20%.", SYMBOLS)
    (finer,) = quotes("AAA is currently 20.0%.", SYMBOLS)
    (rough,) = quotes("AAA is currently about 20%.", SYMBOLS)
    assert isinstance(exact, Quote)
    assert [each.slack for each in (exact, finer, rough)] == pytest.approx([0.005, 0.001, 0.01])


def test_ledger_consistency_by_hand():
    texts = ["NAV is $1,000,000.", "Current cash is 30%. I currently own 50 shares of AAA.", "Fine."]
    nav, cash = np.array([1_004_000.0, 1_000_000.0, 1.0]), np.array([0.0, 200_000.0, 0.0])
    shares = np.array([[0.0], [50.0], [0.0]])
    found = ledger_consistency(texts, ("AAA",), nav, cash, shares, 0 * shares)
    # within half a percent; not 30 % but 20 %; right
    assert (found.right, found.checked, found.coverage) == (2, 3, pytest.approx(2 / 3))
