"""What an agent remembers: the last few of its decisions, at a cost that does not grow."""

from __future__ import annotations

import numpy as np

from tradearena.agents.memory import MOST, WORDS, Memory
from tradearena.values import Decision


def test_only_the_last_decisions_are_remembered_oldest_first() -> None:
    memory = Memory()
    for t in range(MOST + 3):
        memory.add(t, Decision(np.full(2, 0.1), f"Reason {t}."), None if t % 2 else "unchanged")
    assert [memo.t for memo in memory.recent] == list(range(3, MOST + 3))
    assert [memo.told for memo in memory.recent] == [None, "unchanged", None, "unchanged", None]


def test_a_long_rationale_is_remembered_by_its_first_words_in_one_line() -> None:
    memory = Memory()
    memory.add(0, Decision(None, "Sold.\n\n# Risk review\n" + "word " * 100, status="fallback"), None)
    (memo,) = memory.recent
    assert memo.rationale.startswith("Sold. # Risk review word word")
    assert len(memo.rationale) <= WORDS + 1
    assert memo.rationale.endswith(" word…")
    assert (memo.target, memo.status) == (None, "fallback")


def test_a_word_without_an_end_is_cut() -> None:
    memory = Memory()
    memory.add(0, Decision(None, "x" * 1000), None)
    assert memory.recent[0].rationale == "x" * WORDS + "…"
