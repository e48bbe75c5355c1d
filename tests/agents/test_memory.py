"""What an agent remembers: the last few of its decisions and a tally of all of them, at a cost that does not grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stage import TIGHT, Links, asked, episode, walk
from strategies import account_of

from tradearena.agents.memory import LESSON, MOST, UNCHANGED, WORDS, Memory, up_to
from tradearena.panel import Panel
from tradearena.portfolio import performance
from tradearena.risk.feedback import Desk, wording_in
from tradearena.values import Decision, LongRun, Observation, RiskReport

ACCOUNT = account_of(np.zeros(2))


def test_only_the_last_decisions_are_remembered_oldest_first() -> None:
    memory = Memory()
    for t in range(MOST + 3):
        memory.add(t, Decision(np.full(2, 0.1), f"Reason {t}."), None if t % 2 else UNCHANGED, ACCOUNT)
    assert [memo.t for memo in memory.recent] == list(range(3, MOST + 3))
    assert [memo.told for memo in memory.recent] == [None, UNCHANGED, None, UNCHANGED, None]


def test_a_long_rationale_is_remembered_by_its_first_words_in_one_line() -> None:
    memory = Memory()
    memory.add(0, Decision(None, "Sold.\n\n# Risk review\n" + "word " * 100, status="fallback"), None, ACCOUNT)
    (memo,) = memory.recent
    assert memo.rationale.startswith("Sold. # Risk review word word")
    assert len(memo.rationale) <= WORDS + 1
    assert memo.rationale.endswith(" word…")
    assert (memo.target, memo.status, memo.reflection) == (None, "fallback", "")


def test_a_word_without_an_end_is_cut() -> None:
    memory = Memory()
    memory.add(0, Decision(None, "x" * 1000, reflection="y" * 1000), None, ACCOUNT)
    assert memory.recent[0].rationale == "x" * WORDS + "…"
    assert memory.recent[0].reflection == "y" * LESSON + "…"


# ---------------------------------------------------------------------- the tally


def test_before_the_first_decision_there_is_no_tally() -> None:
    assert Memory().so_far is None


def test_only_what_was_told_is_counted() -> None:
    memory = Memory()
    for told in (None, UNCHANGED, "gross 1.2 to 1", None):
        memory.add(0, Decision(None), told, ACCOUNT)
    assert memory.so_far is not None
    assert (memory.so_far.decisions, memory.so_far.reviews, memory.so_far.altered) == (4, 2, 1)


def test_what_counts_as_unchanged_is_what_the_risk_desk_says_of_nothing() -> None:
    report = RiskReport(np.zeros(2), np.zeros(2), (), None)  # type: ignore[arg-type]
    assert Desk(lambda _report: (), wording_in("Nothing.", "x")).tell(report).gist == UNCHANGED


def test_the_tally_knows_the_highest_value_and_the_deepest_fall() -> None:
    run = None
    for nav in (100.0, 120.0, 90.0, 110.0):
        run = up_to(run, replace(ACCOUNT, nav=nav))
    assert run == LongRun(start=100.0, peak=120.0, fall=0.25)


class Diary:
    """An agent that keeps every observation it is handed."""

    def __init__(self, panel: Panel) -> None:
        self.seen: list[Observation] = []
        self.chance = np.random.default_rng(1).random((len(panel), len(panel.symbols))) / 4

    def decide(self, observation: Observation) -> dict[str, Any]:
        self.seen.append(observation)
        weights = dict(zip(observation.symbols, self.chance[observation.t].tolist(), strict=True))
        words = {"rationale": f"Bar {observation.t}.", "reflection": f"Learned at bar {observation.t}."}
        return {"target_weights": weights, **words}


def test_the_tally_is_what_the_metrics_of_the_same_episode_say() -> None:
    panel = walk(3, bars=70, gaps=0.1)
    diary = Diary(panel)
    record = episode(asked(diary.decide), panel, TIGHT)
    last = diary.seen[-1]
    run = up_to(last.so_far, last.account)
    nav = np.array([mark.nav for mark in record.marks][: len(diary.seen)])
    assert run.decisions == len(diary.seen) - 1
    assert last.account.nav / run.start - 1 == pytest.approx(performance.total_return(nav))
    assert run.fall == pytest.approx(performance.max_drawdown(nav))
    fills = [seen.account.fill for seen in diary.seen if seen.account.fill is not None]
    bought = [float((np.maximum(fill.quantity, 0) * fill.price).sum()) for fill in fills]
    sold = [float((np.maximum(-fill.quantity, 0) * fill.price).sum()) for fill in fills]
    navs = [seen.account.nav for seen in diary.seen if seen.account.fill is not None]
    traded = [max(b, s) / nav for b, s, nav in zip(bought, sold, navs, strict=True)]
    assert run.traded == pytest.approx(sum(traded))
    assert sum(traded) > 0.1


class Resumed(Links):
    """A record that has the first decisions of another."""

    def __init__(self, other: Links, count: int) -> None:
        super().__init__()
        self.known = {step.t: step.decision for step in other.steps[:count]}

    def recall(self, t: int) -> Decision | None:
        return self.known.get(t)


def test_a_record_that_is_played_again_makes_the_same_memory_again() -> None:
    panel = walk(4, bars=60)
    whole, rest = Diary(panel), Diary(panel)
    record = episode(asked(whole.decide), panel, TIGHT)
    episode(asked(rest.decide), panel, TIGHT, record=Resumed(record, 15))
    assert len(rest.seen) == len(whole.seen) - 15
    for again, once in zip(rest.seen, whole.seen[15:], strict=True):
        assert again.so_far == once.so_far
        for a, b in zip(again.memory, once.memory, strict=True):
            assert (a.t, a.rationale, a.status, a.told, a.reflection) == (
                b.t,
                b.rationale,
                b.status,
                b.told,
                b.reflection,
            )
            assert np.array_equal(a.target, b.target)  # type: ignore[arg-type]
