"""Places, and what they could be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.ranks import places


def test_a_case_worked_by_hand():
    """Ten windows. a beats b and c in every one: p = 2 / 2^10, doubled after Holm. b and c do not differ."""
    quiet = np.array([0.1, -0.1] * 5)
    found = places({"b": quiet, "c": -quiet, "a": quiet + 5.0})
    assert [(each.entry, each.place, each.best, each.worst) for each in found] == [
        ("a", 1, 1, 1), ("b", 2, 2, 3), ("c", 3, 2, 3),
    ]  # fmt: skip
    assert {each.n for each in found} == {10}
    assert all(each.conclusive for each in found)
    assert found[0].score == pytest.approx(5.0)


def test_with_few_windows_nothing_is_settled():
    found = places({"a": np.full(5, 9.0) + np.arange(5), "b": np.zeros(5), "c": np.ones(5) * 0.1})
    assert [(each.best, each.worst, each.conclusive) for each in found] == [(1, 3, False)] * 3


def test_two_who_are_the_same_share_their_places_in_order_of_name():
    found = places({"b": np.ones(8), "a": np.ones(8)})
    assert [(each.entry, each.place, each.best, each.worst) for each in found] == [("a", 1, 1, 2), ("b", 2, 1, 2)]


def test_one_alone_is_first():
    (found,) = places({"a": np.zeros(3)})
    assert (found.place, found.best, found.worst) == (1, 1, 1)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_place_is_between_the_best_and_the_worst_it_could_be(n, entries, seed):
    dice = np.random.default_rng(seed)
    found = places({str(k): dice.normal(k, 1.0, n) for k in range(entries)})
    assert [each.place for each in found] == list(range(1, entries + 1))
    for each in found:
        assert 1 <= each.best <= each.worst <= entries
    assert all(a.score >= b.score for a, b in pairwise(found))


@pytest.mark.slow
def test_a_true_place_is_outside_its_interval_in_at_most_five_percent():
    """Six entries of which two pairs are equal; 400 rankings of 10 windows, by the share of wrong intervals of each."""
    means, dice, wrong = np.array([2.0, 1.0, 1.0, 0.0, 0.0, -1.0]), np.random.default_rng(8), np.zeros(6)
    true = [(1, 1), (2, 3), (2, 3), (4, 5), (4, 5), (6, 6)]  # of equals either place is right
    for _ in range(400):
        scores = means + dice.normal(0.0, 1.0, (10, 6)) + dice.normal(0.0, 2.0, (10, 1))
        for each in places({str(k): scores[:, k] for k in range(6)}):
            best, worst = true[int(each.entry)]
            wrong[int(each.entry)] += each.worst < best or each.best > worst
    assert (wrong / 400 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)).all(), wrong / 400


@pytest.mark.parametrize("scores", [{"a": [1.0, 2.0], "b": [1.0]}, {"a": [1.0], "b": [float("nan")]}])
def test_scores_that_cannot_be_compared_are_refused(scores):
    with pytest.raises(ValueError, match="one finite score for each window"):
        places({name: np.array(held) for name, held in scores.items()})
