"""Each classical agent against weights worked by hand, and against the portfolio functions it calls."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import FREE, TIGHT, answer, episode, observe, seat, walk, with_latency
from strategies import panel_of

from tradearena import policy as policies
from tradearena import rooms
from tradearena.agents.agent import Seat
from tradearena.agents.card import open_agent
from tradearena.agents.classical import RULES
from tradearena.market.dataset import open_dataset
from tradearena.policy import Execution, Limits, Policy
from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.optimiser import mean_variance
from tradearena.portfolio.risk_parity import risk_parity


def card(tmp_path, kind, **parameters):
    """A card of a kind with parameters of its own."""
    lines = [f'name = "mine"\nkind = "{kind}"', "[parameters]", *(f"{k} = {v}" for k, v in parameters.items())]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines))
    return path


def closes(*rows):
    """A panel from closes, one row per bar; opens are the closes, volumes unlimited."""
    return panel_of(rows, rows)


def weights(agent, panel, **options):
    return answer(seat(agent), observe(panel, **options)).target.tolist()


# ---------------------------------------------------------------------- worked by hand


def test_cash_holds_nothing():
    decision = answer(seat("cash"), observe(closes((1, 2, 3), (2, 3, 4))))
    assert decision.target.tolist() == [0, 0, 0]
    assert decision.rationale == "Stay in cash."


def test_equal_weight_gives_each_symbol_the_same():
    assert weights("equal-weight", closes((1, 2, 3, 4))) == [0.25] * 4


def test_equal_weight_leaves_out_what_has_no_bar_and_what_nobody_traded():
    nan = np.nan
    panel = panel_of([(1, 2, 3, 4), (1, nan, 3, 4)], [(1, 2, 3, 4), (1, nan, 3, 4)], [(9, 9, 9, 9), (9, 9, 0, 9)])
    decision = answer(seat("equal-weight"), observe(panel))
    assert decision.target.tolist() == [0.5, 0, 0, 0.5]
    assert decision.rationale == "Rebalance to 1/2 in each of the 2 symbols that trade."


def test_what_cannot_be_traded_stays_as_it_is_and_the_rest_fits_beside_it():
    nan = np.nan
    panel = panel_of([(1, 2, 3, 4), (1, nan, nan, 4)], [(1, 2, 3, 4), (1, nan, nan, 4)])
    held = np.array([0.1, 0.3, 0.4, 0.0])
    decision = answer(seat("equal-weight"), observe(panel, committed=held))
    assert decision.target == pytest.approx([0.15, 0.3, 0.4, 0.15])
    little = answer(seat("equal-weight"), observe(panel, committed=held / 10))
    assert little.target == pytest.approx([0.465, 0.03, 0.04, 0.465])
    over = answer(seat("equal-weight"), observe(panel, committed=held * 2))
    assert over.target == pytest.approx([0.0, 0.6, 0.8, 0.0])


def test_momentum_holds_the_strongest_and_breaks_ties_by_symbol(tmp_path):
    panel = closes((99, 1, 1, 1, 1), (10, 10, 10, 10, 10), (11, 9, 12, 10, 10), (12, 11, 11, 9, 10))
    mine = card(tmp_path, "momentum", lookback=2, share=0.4)  # two of five; S1 and S2 both gained 10 %
    decision = answer(seat(mine), observe(panel))
    assert decision.target.tolist() == [0.5, 0.5, 0, 0, 0]
    assert decision.rationale == "Hold the 2 strongest of 5 over 2 bars, S0 (+20.0%) to S1 (+10.0%)."


def test_mean_reversion_holds_the_weakest_and_breaks_ties_by_symbol(tmp_path):
    panel = closes((99, 1, 1, 1, 1), (10, 10, 10, 10, 10), (11, 9, 12, 10, 10), (12, 8, 9, 9, 10))
    mine = card(tmp_path, "mean-reversion", lookback=2, share=0.4)  # S2 and S3 both lost 10 %
    decision = answer(seat(mine), observe(panel))
    assert decision.target.tolist() == [0, 0.5, 0.5, 0, 0]
    assert decision.rationale == "Hold the 2 weakest of 5 over 2 bars, S1 (-20.0%) to S2 (-10.0%)."


def test_a_ranking_takes_no_symbol_that_does_not_trade_or_has_no_price_to_compare_with(tmp_path):
    nan = np.nan
    rows = [(10, nan, 10, 10), (10, nan, 10, 10), (20, 30, nan, 11)]
    mine = card(tmp_path, "momentum", lookback=2, share=1.0)
    assert weights(mine, panel_of(rows, rows)) == [0.5, 0, 0, 0.5]


def test_a_ranking_without_a_symbol_that_trades_keeps_the_position(tmp_path):
    rows = [(10, 10), (np.nan, np.nan)]
    decision = answer(seat(card(tmp_path, "momentum", lookback=2)), observe(panel_of(rows, rows)))
    assert decision.target is None
    assert decision.rationale == "No symbol trades; keep the position."


def test_a_ranking_uses_the_bars_there_are_until_its_lookback_is_full(tmp_path):
    mine = card(tmp_path, "momentum", lookback=50, share=0.5)
    assert weights(mine, closes((10, 10), (9, 11))) == [0, 1]


def test_a_ranking_takes_one_symbol_at_least(tmp_path):
    assert weights(card(tmp_path, "momentum", lookback=2, share=0.01), closes((1, 1, 1), (2, 3, 1))) == [0, 1, 0]


# ---------------------------------------------------------------------- buy and hold


def test_buy_and_hold_asks_for_equal_weights_at_first():
    decision = answer(seat("buy-and-hold"), observe(closes((1, 2, 3, 4), (1, 2, 3, 4)), first=1))
    assert decision.target.tolist() == [0.25] * 4
    assert decision.rationale == "Buy 4 symbols once and hold them; 100.0% still to buy."


def test_what_buy_and_hold_still_asks_for_is_what_equal_weights_have_become():
    panel = closes((1, 10), (2, 10), (4, 10))  # since bar 0 the first has quadrupled: 0.5 * 4 against 0.5 * 1
    decision = answer(seat("buy-and-hold"), observe(panel, previous=1, committed=np.array([0.4, 0.1])))
    assert decision.target.tolist() == [0.8, 0.2]
    assert decision.rationale == "Buy 2 symbols once and hold them; 50.0% still to buy."


def test_buy_and_hold_keeps_once_it_is_there():
    panel = closes((1, 10), (2, 10), (4, 10))
    decision = answer(seat("buy-and-hold"), observe(panel, previous=1, committed=np.array([0.79, 0.2])))
    assert decision.target is None
    assert decision.rationale == "Hold; equal weights have grown by +150.0% since the start."


def test_buy_and_hold_loses_its_patience_after_twenty_decisions(tmp_path):
    panel = walk(1, 60)
    late = observe(panel, 41, first=1, previous=39)  # every second bar: the twenty-first decision
    assert answer(seat("buy-and-hold"), late).target is None
    assert answer(seat("buy-and-hold"), replace(late, t=39, previous=37)).target is not None
    assert answer(seat(card(tmp_path, "buy-and-hold", patience=21)), late).target is not None


def _bought(record):
    return [fill.decided for fill in record.fills if (fill.ordered > 0).any()]


def test_buy_and_hold_orders_once_where_nothing_holds_it_back():
    record = episode("buy-and-hold", walk(4, 200, size=0.03), FREE)
    assert [fill.decided for fill in record.fills if fill.ordered.any()] == [20]
    assert all(step.decision.target is None for step in record.steps[1:])


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_buy_and_hold_that_a_turnover_limit_slows_buys_in_steps_and_never_again(latency):
    policy = with_latency(Policy(name="slow", limits=Limits(turnover=0.3)), latency)
    record = episode("buy-and-hold", walk(4, 200, size=0.03), policy)
    assert _bought(record) == [20, 21, 22, 23]
    assert [step.t for step in record.steps if step.decision.target is not None] == [20, 21, 22, 23]
    assert record.steps[-1].report.approved.sum() == pytest.approx(1.0, abs=0.02)


def test_buy_and_hold_that_thin_volumes_slow_asks_for_the_rest_and_then_holds():
    policy = Policy(name="thin", execution=Execution(initial_cash=100_000, participation=0.2))
    record = episode("buy-and-hold", walk(4, 200), policy)
    several = _bought(record)
    assert several[0] == 20
    assert 2 <= len(several) <= 20
    assert several[-1] < 40


def test_buy_and_hold_under_a_limit_it_can_never_meet_stops_asking():
    record = episode("buy-and-hold", walk(4, 200, size=0.03), Policy(name="half", limits=Limits(gross=0.5)))
    assert [step.t for step in record.steps if step.decision.target is not None] == list(range(20, 40))
    assert not any((fill.ordered > 0).any() for fill in record.fills if fill.decided >= 40)


@pytest.mark.parametrize("name", ["standard", "unlimited"])
def test_buy_and_hold_on_the_bundled_bars_buys_in_its_first_two_decisions_only(name):
    record = episode("buy-and-hold", open_dataset("demo-daily").panel, policies.load(name))
    orders = [fill.decided for fill in record.fills if fill.ordered.any()]
    assert orders == [20, 21][: len(orders)]


# ---------------------------------------------------------------------- dice


def test_random_draws_the_same_for_the_same_seed_and_bar_whatever_came_before():
    panel = walk(2)
    assert weights("random", panel, t=30) == weights("random", panel, t=30, first=3, previous=29)
    for t in (31, 32):
        assert weights("random", panel, t=t) != weights("random", panel, t=30)
    assert answer(seat("random", seed=1), observe(panel, 30)).target.tolist() != weights("random", panel, t=30)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**63 - 1), t=st.integers(0, 69))
def test_random_weights_are_long_only_and_fully_invested_in_what_trades(seed, t):
    panel = walk(9, gaps=0.3)
    observation = observe(panel, t)
    decision = answer(seat("random", seed=seed), observation)
    assert (decision.target >= 0).all()
    assert not decision.target[~observation.live].any()
    if observation.live.any():
        assert decision.target.sum() == pytest.approx(1.0, abs=1e-12)


def test_random_weights_are_uniform_on_the_simplex():
    panel = walk(2, 2, n=3)
    candidate, seen = open_agent("random"), observe(panel)
    draws = np.array([answer(candidate.seat(Seat(seed, np.zeros)), seen).target for seed in range(2_000)])
    np.testing.assert_allclose(draws.mean(axis=0), 1 / 3, atol=0.015)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 18, atol=0.004)  # Dirichlet(1, 1, 1): 2 / (9 * 4)


# ---------------------------------------------------------------------- optimisers


def test_risk_parity_is_the_portfolio_function_on_the_trailing_covariance_of_what_trades():
    panel = walk(6, 90, gaps=0.15)
    observation = next(seen for t in range(89, 60, -1) if not (seen := observe(panel, t)).live.all())
    live, t = observation.live, observation.t
    covariance = ledoit_wolf(panel.returns[t - 59 : t + 1])
    expected = np.zeros(5)
    expected[live] = risk_parity(covariance[np.ix_(live, live)])
    decision = answer(seat("risk-parity"), observation)
    assert decision.target.tobytes() == expected.tobytes()
    i = int(expected.argmax())
    n = int(live.sum())
    assert decision.rationale == (
        f"Equal risk from each of {n} symbols: {n} symbols, most in S{i} ({expected[i]:.1%})."
    )  # fmt: skip


def test_risk_parity_with_nothing_to_trade_holds_nothing():
    rows = [(1.0, 2.0), (1.1, 2.1), (1.2, 2.0), (np.nan, np.nan)]
    assert weights("risk-parity", panel_of(rows, rows)) == [0, 0]


def test_min_variance_is_the_optimiser_without_means_and_with_the_cap_of_its_card(tmp_path):
    panel = walk(6, 90)
    mine = card(tmp_path, "min-variance", lookback=30, cap=0.3)
    covariance = ledoit_wolf(panel.returns[60:90])
    expected = mean_variance(covariance, cap=np.full(5, 0.3))
    decision = answer(seat(mine), observe(panel))
    assert decision.target.tobytes() == expected.tobytes()
    assert decision.target.max() <= 0.3 + 1e-9
    assert decision.rationale.startswith("Least variance over 30 bars: ")


def test_min_variance_gives_nothing_to_what_does_not_trade():
    panel = walk(6, 90, gaps=0.2)
    observation = next(seen for t in range(89, 60, -1) if not (seen := observe(panel, t)).live.all())
    assert not answer(seat("min-variance"), observation).target[~observation.live].any()


def test_markowitz_is_the_reference_itself_and_shares_its_solve():
    record = episode("markowitz", walk(7), TIGHT)
    for step in record.steps:
        assert step.decision.target is step.reference
        assert step.report.intent is step.reference


def test_markowitz_says_what_it_holds_most_of():
    record = episode("markowitz", walk(7), FREE)
    for step in record.steps:
        i, held = int(step.reference.argmax()), np.count_nonzero(step.reference)
        said = f"Mean-variance optimum of the trailing bars: {held} symbols, most in S{i} ({step.reference[i]:.1%})."
        assert step.decision.rationale == said


# ---------------------------------------------------------------------- all of them

CARDS = sorted(path for name, path in rooms.cards("agents").items() if open_agent(name).card.kind in RULES)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_rationale_is_one_line_with_the_numbers_behind_it(path):
    for step in episode(path, walk(8, gaps=0.1), TIGHT).steps:
        said = step.decision.rationale
        assert said == said.strip()
        assert 0 < len(said) < 120
        assert "\n" not in said
        assert path.stem == "cash" or "No symbol trades" in said or re.search(r"\d", said)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_classical_agent_is_a_pure_function_of_what_it_observes(path):
    panel = walk(8, gaps=0.1)
    agents = [seat(path, lambda _t: np.full(5, 0.2)) for _ in range(2)]
    for t in range(25, 60):
        answer(agents[1], observe(panel, t, first=20, previous=t - 1))
    seen = observe(panel, 40, first=20, previous=39)
    first, second = (answer(agent, seen) for agent in agents)
    assert first.rationale == second.rationale
    assert (first.target is None) == (second.target is None)
    assert first.target is None or first.target.tobytes() == second.target.tobytes()


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_shipped_card_states_every_parameter_at_its_default(path):
    candidate = open_agent(str(path))
    assert candidate.card.name == path.stem
    assert candidate.card.description
    assert candidate.card.parameters == candidate.settings == RULES[candidate.card.kind]().model_dump()


def test_there_is_a_card_for_every_rule_and_a_rule_for_every_card():
    assert {path.stem for path in CARDS} >= set(RULES)


@pytest.mark.parametrize(
    ("name", "bars"), [("cash", 20), ("momentum", 20), ("mean-reversion", 20), ("risk-parity", 60), ("markowitz", 20)]
)
def test_the_warm_up_is_the_lookback_and_at_least_twenty_bars(name, bars):
    assert open_agent(name).warmup == bars
