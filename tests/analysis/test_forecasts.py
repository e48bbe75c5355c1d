"""Confidence as a forecast: Brier score and its parts by hand, by identity, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import path_of
from sklearn.metrics import brier_score_loss

from tradearena.analysis.forecasts import Bin, foretold, scores

said = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def test_the_scores_by_hand():
    # said 0.8 three times, twice true; 0.3 once, false
    found = scores(np.array([0.8, 0.8, 0.8, 0.3]), np.array([True, True, False, False]))
    assert found.brier == pytest.approx((0.04 + 0.04 + 0.64 + 0.09) / 4)
    assert (found.base_rate, found.reference) == (0.5, 0.25)
    assert found.skill == pytest.approx(1 - 0.2025 / 0.25)
    assert found.bins == (Bin(1, 0.3, 0.0), Bin(3, pytest.approx(0.8), pytest.approx(2 / 3)))
    assert found.reliability == pytest.approx((0.09 + 3 * (0.8 - 2 / 3) ** 2) / 4)
    assert found.resolution == pytest.approx((0.25 + 3 * (2 / 3 - 0.5) ** 2) / 4)


def test_without_a_forecast_there_is_no_score_and_where_all_came_true_no_skill():
    assert scores(np.zeros(0), np.zeros(0, dtype=bool)) == (0, *[None] * 6, ())
    found = scores(np.array([1.0, 0.9]), np.array([True, True]))
    assert (found.brier, found.skill, found.base_rate) == (pytest.approx(0.005), None, 1.0)


@given(said)
def test_scores_lie_in_their_ranges(pairs):
    stated, came = (np.array(each) for each in zip(*pairs, strict=True))
    found = scores(stated, came)
    assert found.brier == pytest.approx(brier_score_loss(came, stated, labels=[False, True]))
    assert all(0.0 <= value <= 1.0 for value in (found.brier, found.base_rate, found.reliability, found.resolution))
    assert found.reference <= 0.25
    assert found.skill is None or found.skill <= 1.0
    assert sum(each.n for each in found.bins) == found.n


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40))
def test_the_parts_add_up_where_a_bin_holds_one_value(pairs):
    """Murphy's identity: brier = reliability - resolution + reference. 0.3 * 10 is 3 in floats, 0.7 * 10 is 7."""
    stated, came = np.array([tenth / 10 for tenth, _ in pairs if tenth < 10]), [c for tenth, c in pairs if tenth < 10]
    if len(stated):
        found = scores(stated, np.array(came))
        assert found.brier == pytest.approx(found.reliability - found.resolution + found.reference, abs=1e-12)


@pytest.mark.parametrize(("stated", "came"), [([1.1], [True]), ([-0.1], [True]), ([np.nan], [True]), ([0.5], [])])
def test_what_is_no_forecast_is_refused(stated, came):
    with pytest.raises(ValueError, match="a probability and has one outcome"):
        scores(np.array(stated), np.array(came, dtype=bool))


def test_a_confidence_is_held_against_the_return_of_what_was_wished_until_the_next_decision():
    path = path_of(
        statuses=("ok", "error", "repaired", "ok", "ok"),
        confidence=(0.9, 0.8, 0.7, None, 0.6),
        nav=[1.0, 1.1, 1.0, 0.9, 0.9, 0.9],
    )
    stated, came = foretold(path)
    # the second is no decision, the fourth says nothing, the book of the last did not move
    assert stated.tolist() == [0.9, 0.7]
    assert came.tolist() == [True, False]
    assert [len(each) for each in foretold(path_of(statuses=()))] == [0, 0]
