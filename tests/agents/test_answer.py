"""What an agent answers is read as it stands, or the position is kept: nothing is guessed and nothing crashes."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.agents.answer import USABLE, decision_of
from tradearena.values import Decision, Note

SYMBOLS = ("AAA", "BBB", "CCC")


def read(answer):
    return decision_of(answer, SYMBOLS)


def target(answer):
    decision = read(answer)
    assert decision.status == "ok", decision.reason
    return decision.target.tolist()


def lost(answer):
    """Why an answer is a fallback."""
    decision = read(answer)
    assert decision.status == "fallback"
    assert decision.target is None
    assert decision.reason
    return decision.reason


# ---------------------------------------------------------------------- what can be read


@pytest.mark.parametrize(
    "answer",
    [
        {"AAA": 0.5, "CCC": 0.25},
        {"CCC": 0.25, "AAA": 0.5, "BBB": 0},
        {"AAA": "0.5", "CCC": " 0.25 "},
        {"AAA": np.float32(0.5), "CCC": np.float64(0.25)},
        {"weights": {"AAA": 0.5, "CCC": 0.25}},
        {"target_weights": {"AAA": 0.5, "CCC": 0.25}},
        {"allocation": {"AAA": 0.5, "CCC": 0.25}},
        {"weights": [0.5, 0, 0.25]},
        {"weights": pd.Series({"CCC": 0.25, "AAA": 0.5})},
        pd.Series({"CCC": 0.25, "AAA": 0.5, "BBB": 0.0}),
        [0.5, 0.0, 0.25],
        (0.5, 0.0, 0.25),
        np.array([0.5, 0.0, 0.25]),
        Decision(np.array([0.5, 0.0, 0.25])),
        {"AAA": 0.5, "CCC": 0.25, "CASH": 0.25},
        {"AAA": 0.5, "CCC": 0.25, "cash": "the rest"},
    ],
)
def test_weights_by_name_or_in_order_mean_the_same_however_they_are_given(answer):
    assert target(answer) == [0.5, 0.0, 0.25]
    assert read(answer).stray == ()


def test_a_series_inside_an_answer_is_read_by_its_names_and_not_by_its_places():
    assert target({"weights": pd.Series({"BBB": 1.0, "CCC": 0.0, "AAA": 0.0})}) == [0.0, 1.0, 0.0]


def test_none_keeps_the_position_and_is_no_fault():
    assert read(None) == Decision(None)
    assert read(Decision(None, "wait", 0.5)) == Decision(None, "wait", 0.5)


def test_an_empty_mapping_is_a_complete_reply_that_holds_nothing():
    assert target({}) == [0, 0, 0]
    assert target({"CASH": 1.0}) == [0, 0, 0]


def test_what_is_said_beside_the_weights_is_kept():
    said = {"weights": {"AAA": 1}, "rationale": "up", "confidence": 0.7, "reflection": "was wrong"}
    decision = read(said)
    assert (decision.rationale, decision.confidence, decision.reflection) == ("up", 0.7, "was wrong")


def test_a_symbol_that_is_called_weights_is_a_symbol():
    assert decision_of({"weights": 0.4}, ("weights", "B")).target.tolist() == [0.4, 0.0]
    assert decision_of({"CASH": 0.4}, ("CASH", "B")).target.tolist() == [0.4, 0.0]


@pytest.mark.parametrize("value", [40.0, -3.0, USABLE, 1e-320])
def test_a_weight_that_is_a_number_is_taken_at_its_word(value):
    assert target({"AAA": value}) == [value, 0, 0]


# ---------------------------------------------------------------------- what cannot


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300, -1e7, "much", "", None, True, [0.5], {"w": 1}, 1j])
def test_one_weight_that_is_no_usable_number_makes_the_whole_answer_a_fallback(value):
    assert "AAA" in lost({"AAA": value, "BBB": 0.5})
    assert read({"AAA": value, "BBB": 0.5}).stray == (("AAA", str(value)),)


def test_an_unknown_symbol_is_set_aside_and_the_rest_stands():
    decision = read({"AAA": 0.5, "ZZZ": 0.3, "aaa": "x"})
    assert decision.target.tolist() == [0.5, 0, 0]
    assert decision.status == "ok"
    assert decision.stray == (("ZZZ", "0.3"), ("aaa", "x"))


@pytest.mark.parametrize("answer", [{"ZZZ": 1.0}, {"rationale": "hold"}, pd.Series([0.1, 0.2, 0.3]), {0: 1.0}])
def test_an_answer_in_which_no_symbol_is_known_keeps_the_position_and_does_not_liquidate(answer):
    assert "no symbol is known" in lost(answer)


@pytest.mark.parametrize(
    "answer",
    [
        [0.5, 0.5], [], [1, 2, 3, 4], np.zeros(4), 0.5, "abc", "hold", b"abc", {0.1, 0.2, 0.3}, object(),
        np.array(0.5), {"weights": [1]}, {"weights": None}, {"weights": "all in"}, Decision(np.zeros(2)),
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_a_fallback(answer):
    assert lost(answer) == "expected 3 weights, one per symbol"


def test_a_column_of_weights_is_not_a_row_of_weights():
    assert "AAA" in lost(np.array([[0.1], [0.2], [0.3]]))
    assert "AAA" in lost(pd.DataFrame({"AAA": [0.5], "BBB": [0.5]}))


@pytest.mark.parametrize("confidence", [1.5, -0.1, math.nan, "high", True, [0.5]])
def test_a_confidence_that_is_none_is_left_out_and_the_reply_counts_as_repaired(confidence):
    decision = read({"weights": {"AAA": 0.5}, "confidence": confidence})
    assert decision.confidence is None
    assert decision.status == "repaired"
    assert decision.reason == f"confidence is not a number in [0, 1]: {confidence}"
    assert decision.target[0] == 0.5


def test_a_confidence_may_be_left_out():
    decision = read({"weights": {"AAA": 0.5}, "confidence": None})
    assert (decision.confidence, decision.status) == (None, "ok")


@pytest.mark.parametrize(("value", "kept"), [("0.25", 0.25), (0, 0.0), (1, 1.0), (np.float32(0.5), 0.5)])
def test_a_confidence_is_a_number_from_nought_to_one(value, kept):
    assert read({"weights": {"AAA": 0.5}, "confidence": value}).confidence == kept


# ---------------------------------------------------------------------- ready-made decisions


def test_a_ready_made_decision_is_checked_like_any_other_answer():
    wild = Decision(np.array([0.1, math.nan, 0.2]), rationale=7, confidence=9.0, stray=((1, 2),))  # type: ignore[arg-type]
    decision = read(wild)
    assert (decision.status, decision.target) == ("fallback", None)
    assert (decision.rationale, decision.confidence) == ("7", None)
    assert decision.stray == (("1", "2"), ("BBB", "nan"))


@pytest.mark.parametrize("status", ["fallback", "error"])
def test_a_decision_that_calls_itself_lost_keeps_the_position(status):
    decision = read(Decision(np.array([1.0, 0, 0]), status=status, reason="no reply"))
    assert (decision.status, decision.target, decision.reason) == (status, None, "no reply")


def test_a_decision_with_a_status_nobody_knows_is_a_fallback():
    assert read(Decision(None, status="fine")).status == "fallback"  # type: ignore[arg-type]


def test_a_repaired_decision_stays_repaired():
    decision = read(Decision(np.array([1.0, 0, 0]), "up", 0.5, "ok", "repaired", "a comma was missing"))
    assert (decision.status, decision.reason, decision.reflection) == ("repaired", "a comma was missing", "ok")


def test_a_target_is_copied():
    mine = np.array([0.5, 0, 0])
    decision = read(Decision(mine))
    mine[:] = 9
    assert decision.target.tolist() == [0.5, 0, 0]


# ---------------------------------------------------------------------- anything at all

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(SYMBOLS) | st.text(), inner),
    max_leaves=8,
)
keyed = st.dictionaries(
    st.sampled_from(("weights", "target_weights", "rationale", "confidence", "reflection", *SYMBOLS)), anything
)


@given(anything | keyed)
def test_whatever_an_agent_answers_becomes_a_decision_that_can_be_stored(answer):
    decision = read(answer)
    assert decision.status in ("ok", "repaired", "fallback")
    assert (decision.status == "fallback") <= (decision.target is None)
    if decision.target is not None:
        assert decision.target.shape == (3,)
        assert np.isfinite(decision.target).all()
        assert np.abs(decision.target).max() <= USABLE
    assert decision.confidence is None or 0 <= decision.confidence <= 1
    texts = (decision.rationale, decision.reason, decision.reflection or "", json.dumps(decision.stray))
    assert all(text.encode().decode() == text for text in texts)


def test_half_of_a_surrogate_pair_becomes_a_question_mark():
    decision = read({"weights": {"AAA": "\ud800"}, "rationale": "up \udfff!"})
    assert decision.rationale == "up ?!"
    assert decision.stray == (("AAA", "?"),)


def test_a_number_that_is_written_as_text_is_read_if_it_is_one_everywhere():
    assert target({"AAA": "5e-1", "BBB": " .5 ", "CCC": "+1."}) == [0.5, 0.5, 1]
    for text in ("1_0", "٠.٥", "12%", "１", "0x1", "nan", "inf", "", "1 0", "e5", "."):
        assert read({"AAA": text}).status == "fallback"


def test_notes_of_a_ready_made_decision_are_checked_like_the_rest():
    known = Note("BBB", "falls", 0.5)
    wild = (
        known,
        ("AAA", 7, "no"),
        ("AAA", " up\n", math.nan),
        ("ZZZ", "x", 0.1),
        ("AAA", "x"),
        5,
        Note("BBB", "", None),
    )
    assert read(Decision(None, notes=wild)).notes == (Note("AAA", "up", None), known)
