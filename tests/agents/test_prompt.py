"""What an agent that is asked in words gets to read, and what a scripted reader finds in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import observe, walk
from strategies import panel_of, panels

from tradearena import rooms
from tradearena.agents.format import answer_wanted
from tradearena.agents.prompt import STATISTICS, Pages, completed, instructions_in, mandate, statistics
from tradearena.agents.scene import Claim, read
from tradearena.errors import CardError
from tradearena.panel import Panel
from tradearena.policy import Limits, load
from tradearena.values import Account, Fill, LongRun, Memo

TEXT = (rooms.shipped() / "agents" / "trader.txt").read_text(encoding="utf-8")
TOLD = (
    'Risk desk: 1 of 1 findings.\n{"findings": [{"rule": "single-name", "scope": "symbol", "name": "S1", '
    '"proposed": 0.4, "approved": 0.2, "limit": 0.2, "severity": "major"}], "more": 0, "reviews": 1, "altered": 1, '
    '"rules": {}}'
)


def pages(bars: int = 21, limits: Limits | None = None, **shown: bool) -> Pages:
    return Pages(instructions_in(completed(TEXT, "trader.txt"), "trader.txt"), limits or Limits(), bars, **shown)


def memo(t: int, *weights: float, told: str | None = None) -> Memo:
    return Memo(t, np.array(weights), "Bought the strong.", "ok", told)


# ---------------------------------------------------------------------- system


def test_the_system_text_names_symbols_and_mandate_and_is_made_once() -> None:
    panel, made = walk(1, bars=30, n=3), pages(limits=load("standard").limits)
    said = made.system(observe(panel))
    assert "You manage a portfolio of 3 symbols." in said
    assert "- A: S0, S2\n- B: S1\n" in said
    assert "- at most 0.2 of NAV in one symbol" in said
    assert "$" not in said
    assert made.system(observe(panel, 20)) is said


def test_a_mandate_says_every_limit_that_applies_and_no_other() -> None:
    assert mandate(Limits()) == "- no short positions"
    everything = Limits(
        allow_short=True,
        single_name=0.1,
        sector=0.2,
        cluster=0.3,
        gross=1.5,
        net=0.5,
        volatility=0.25,
        reference_risk=2.0,
        turnover=0.4,
        liquidity=0.05,
        drawdown=0.15,
        min_confidence=0.35,
    )
    said = mandate(everything)
    assert said.startswith("- short positions are allowed\n")
    for value in ("0.1 ", "0.2 ", "0.3 ", "1.5", "0.5", "0.25 ", "2 times", "0.4 ", "0.05 ", "0.15 ", "0.35 "):
        assert value in said
    assert len(said.splitlines()) == 12
    assert mandate(everything.model_copy(update={"method": "projection"})) == said


def test_instructions_may_only_name_what_is_known() -> None:
    with pytest.raises(CardError, match=r"mine.txt: cannot fill in 'limits'; instructions may use \$count"):
        instructions_in("Keep to $limits.", "mine.txt")
    with pytest.raises(CardError, match="cannot fill in"):
        instructions_in("Make $ 5.", "mine.txt")
    assert instructions_in("Make $$5.", "mine.txt").substitute() == "Make $5."


def test_a_form_that_is_asked_for_stands_in_the_instructions() -> None:
    for mode in ("rationale", "rationale-last", "weights-only"):
        made = completed(TEXT, "trader.txt", mode=mode)
        assert made == TEXT.replace("$answer", answer_wanted(mode))
        assert "$" not in pages().system(observe(walk(1, bars=30, n=3)))
    assert completed("${answer} costs $$answer", "mine.txt").endswith(" costs $$answer")
    assert completed("As ever.", "mine.txt") == "As ever."
    for asked in ({"mode": "weights-only"}, {"notes": True}):
        with pytest.raises(
            CardError, match=r"mine\.txt: has no \$answer, so that an answer cannot be asked for in ano"
        ):
            completed("As ever, not for $$answer.", "mine.txt", **asked)  # type: ignore[arg-type]


def test_without_a_mandate_its_paragraph_is_not_there_and_nothing_else_is_missing() -> None:
    shown, hidden = completed(TEXT, "trader.txt"), completed(TEXT, "trader.txt", mandate=False)
    before, after = shown.split("Your mandate:\n$mandate\n")
    assert hidden == before + after.split("\n\n", 1)[1]
    assert "mandate" not in hidden
    assert completed("Keep to $$mandate.", "mine.txt", mandate=False) == "Keep to $$mandate."


def test_the_shipped_instructions_say_nothing_of_reports_or_experiments() -> None:
    said = TEXT.lower() + "".join(answer_wanted(mode, notes=True) for mode in ("rationale", "weights-only"))
    for word in ("feedback", "risk desk", "review", "audit", "experiment", "simulat", "placebo", "backtest"):
        assert word not in said


# ---------------------------------------------------------------------- prompt


def test_a_prompt_shows_the_last_bars_and_nothing_later() -> None:
    panel = walk(2, bars=60, n=3)
    text = pages().prompt(observe(panel, 40))
    seen = read(text)
    assert np.allclose(seen.closes, panel.close[20:41], rtol=1e-5)
    assert np.allclose(seen.volumes * 1e3, panel.volume[20:41], rtol=1e-3)
    assert (seen.symbols, seen.age) == (panel.symbols, 40)
    assert str(panel.end[41])[:16] not in text


def test_lines_of_bars_are_the_same_whether_they_were_made_before_or_not() -> None:
    panel, lasting = walk(3, bars=60, n=3), pages()
    for t in range(20, 60, 3):
        assert lasting.prompt(observe(panel, t)) == pages().prompt(observe(panel, t))


def test_a_missing_bar_is_an_empty_cell_and_is_read_as_the_close_before() -> None:
    panel = walk(4, bars=40, n=3, gaps=0.3)
    seen = read(pages().prompt(observe(panel)))
    shown = panel.mark[19:]
    known = np.where(panel.valid[19:].cumsum(axis=0) > 0, shown, np.nan)
    assert np.allclose(seen.closes, known, rtol=1e-5, equal_nan=True)


def test_what_is_held_and_did_not_trade_is_named_in_the_account() -> None:
    panel = walk(4, bars=40, n=4, gaps=0.3)
    t = next(t for t in range(20, 40) if panel.tradable[t].sum() == 2)
    every = np.full(4, 10.0)
    holding = replace(observe(panel, t).account, shares=every, weights=every / 40, committed=every / 40)
    text = pages().prompt(replace(observe(panel, t), account=holding))
    a, b = (panel.symbols[i] for i in np.flatnonzero(~panel.tradable[t]))
    assert f'Held, without trade in this bar, at an older price: ["{a}", "{b}"]' in text
    assert np.allclose(read(text).held, every / 40)
    assert "Held, without" not in pages().prompt(observe(panel, t))


def test_the_account_is_told_in_full() -> None:
    panel = walk(5, bars=40, n=3)
    z = np.zeros(3)
    ordered, quantity = np.array([100.0, 0.0, -50.0]), np.array([60.0, 0.0, -50.0])
    price = panel.open[39]
    fill = Fill(39, 38, ordered, quantity, price, z + 1.0, z.copy(), z.copy(), np.array([2, 0, 0], dtype=np.int8))
    held = Account(1e4, 500.0, 3.25, quantity, z + 1, np.array([0.6, 0.0, 0.1]), np.array([0.7, 0.1, 0.1]), fill)
    text = pages().prompt(replace(observe(panel), account=held))
    a, b, c = panel.symbols
    assert "NAV 10000.00, cash 500.00, borrow fees owed 3.25" in text
    assert f'Positions: {{"{a}": 0.6000, "{c}": 0.1000}}' in text
    assert f'Once orders in flight have filled: {{"{a}": 0.7000, "{b}": 0.1000, "{c}": 0.1000}}' in text
    assert f'at a cost of 3.00: {{"{a}": {60 * price[0] / 1e4:.4f}, "{c}": {-50 * price[2] / 1e4:.4f}}}' in text
    assert f'Not filled, or in part, and cancelled: {{"{a}": "participation"}}' in text
    assert np.allclose(read(text).held, [0.7, 0.1, 0.1])


def test_the_last_decisions_stand_in_one_line_each() -> None:
    panel = walk(6, bars=40, n=3)
    memory = (
        memo(36, 0.4, 0.0, 0.1, told="single-name S0 0.4 to 0.2, volatility 0.5 to 0.3"),
        Memo(37, None, "", "fallback", "unchanged"),
        Memo(38, None, "Hold.", "ok", None),
    )
    text = pages().prompt(replace(observe(panel), memory=memory))
    lines = text.split("# Your last decisions\n")[1].splitlines()
    a, _, c = panel.symbols
    assert lines[0].endswith(
        f': asked for {{"{a}": 0.4000, "{c}": 0.1000}}. You said: "Bought the strong." '
        "Risk review: single-name S0 0.4 to 0.2, volatility 0.5 to 0.3."
    )
    assert lines[1].endswith(": reply unusable (fallback), position kept. Risk review: unchanged.")
    assert lines[2].endswith(': kept the position. You said: "Hold."')
    past = read(text).past
    assert [dict(p.asked) for p in past] == [{a: 0.4, c: 0.1}, {}, {}]
    assert past[0].claims == (Claim("single-name", "S0", 0.4, 0.2), Claim("volatility", "", 0.5, 0.3))
    assert past[1].claims == past[2].claims == ()


def test_the_claims_of_the_last_decision_are_those_of_the_review() -> None:
    panel = walk(7, bars=40, n=3)
    memory = (memo(38, 0.4, 0.0, 0.1, told="turnover 0.9 to 0.5"),)
    seen = read(pages().prompt(replace(observe(panel), memory=memory, told=TOLD)))
    assert seen.past[-1].claims == (Claim("single-name", "S1", 0.4, 0.2),)
    assert seen.review == TOLD


@pytest.mark.parametrize("remembered", [True, False])
def test_hidden_differs_by_absence_alone(remembered: bool) -> None:
    panel, gist = walk(8, bars=40, n=3), "single-name S1 0.4 to 0.2"
    telling = replace(observe(panel), memory=(memo(38, 0.4, 0.0, 0.1, told=gist),) if remembered else (), told=TOLD)
    hiding = replace(telling, memory=tuple(one._replace(told=None) for one in telling.memory), told=None)
    shown, hidden = pages().prompt(telling), pages().prompt(hiding)
    cut = shown.replace(f"\n\n# Risk review\n{TOLD}", "").replace(f" Risk review: {gist}.", "")
    assert hidden == cut
    assert pages().system(telling) == pages().system(hiding)


@settings(max_examples=60, deadline=None)
@given(panels(bars=30), st.integers(1, 29))
def test_whatever_the_bars_the_prompt_can_be_read_again(panel: Panel, t: int) -> None:
    seen = read(pages().prompt(observe(panel, t)))
    assert seen.symbols == panel.symbols
    assert seen.closes.shape == seen.volumes.shape == (min(t + 1, 21), len(panel.symbols))
    assert np.allclose(
        seen.closes[-1], np.where(panel.mark[t] > 0, panel.mark[t], np.nan), rtol=1e-5, equal_nan=True
    ) or (not panel.valid[max(0, t - 20) : t + 1].any(axis=0).all())


# ---------------------------------------------------------------------- what a card may add


def test_statistics_are_the_return_and_the_volatility_of_what_is_shown() -> None:
    panel = walk(9, bars=60, n=3)
    said = statistics(panel.until(40), 21).split("\n")
    assert said[:3] == [STATISTICS, "Over the same bars: return, volatility a year.", "symbol,return,volatility"]
    closes = panel.close[20:41]
    moves = closes[1:] / closes[:-1] - 1
    for i, line in enumerate(said[3:]):
        symbol, earned, spread = line.split(",")
        assert symbol == panel.symbols[i]
        assert float(earned) == pytest.approx(closes[-1, i] / closes[0, i] - 1, rel=5e-3)
        assert float(spread) == pytest.approx(moves[:, i].std(ddof=1) * panel.bars_per_year**0.5, rel=5e-3)


def test_statistics_of_a_symbol_with_too_few_closes_are_empty() -> None:
    closes = np.array([[np.nan, np.nan, 10.0]] * 3 + [[np.nan, 50.0, 10.0], [40.0, 55.0, 10.0]])
    said = statistics(panel_of(closes, closes, np.ones_like(closes)), 21)
    assert said.endswith("\nS0,,\nS1,0.1,\nS2,0,0")
    assert statistics(panel_of(closes[:1], closes[:1], np.ones((1, 3))), 21).endswith("\nS0,,\nS1,,\nS2,,")


def test_an_organism_reads_a_prompt_with_everything_in_it_as_it_reads_one_without() -> None:
    panel = walk(10, bars=40, n=3)
    memory = (memo(38, 0.4, 0.0, 0.1, told="turnover 0.9 to 0.5")._replace(reflection="Less, and slower."),)
    run = LongRun(1e6, 1.1e6, 0.1, 3.0, decisions=12, reviews=12, altered=5)
    observation = replace(observe(panel), memory=memory, told=TOLD, so_far=run)
    text = pages(statistics=True, summary=True, reflection=True).prompt(observation)
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert headings == [
        "# Market", "# Statistics", "# Account", "# So far", "# Your last decisions", "# Risk review",
    ]  # fmt: skip
    plain, full = read(pages().prompt(observation)), read(text)
    assert np.array_equal(plain.closes, full.closes)
    assert np.array_equal(plain.volumes, full.volumes)
    for name in ("symbols", "age", "prices", "trades", "past", "review"):
        assert getattr(plain, name) == getattr(full, name), name
    assert np.array_equal(plain.held, full.held)


def test_what_a_card_does_not_ask_for_is_not_in_the_prompt() -> None:
    run = LongRun(1e6, 1e6, decisions=1)
    observation = replace(observe(walk(10, bars=40, n=3)), so_far=run)
    assert pages().prompt(observation) == pages().prompt(replace(observation, so_far=None))
