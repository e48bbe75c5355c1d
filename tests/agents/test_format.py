"""The form of an answer: what is asked for, what its JSON Schema allows, what is kept of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from stage import FREE, episode, observe, walk

from tradearena.agents.asking import Asking, asked_in
from tradearena.agents.card import AgentCard, Candidate, open_agent
from tradearena.agents.conversation import Reply
from tradearena.agents.format import DEFAULT, Mode, answer_wanted, schema_of
from tradearena.agents.prompt import Pages, instructions_in
from tradearena.agents.reply import decision_in
from tradearena.agents.talker import Talker
from tradearena.errors import CardError
from tradearena.policy import Limits
from tradearena.values import Exchange, Note

MODES: tuple[Mode, ...] = get_args(Mode)
SYMBOLS = ("AAA", "B.B", "CASH-1")
FULL = {
    "reflection": "Slower.",
    "rationale": "Chips rise.",
    "notes": [{"symbol": "AAA", "reason": "rises", "confidence": 0.4}],
    "target_weights": {"AAA": 0.5, "B.B": -0.1, "CASH-1": 0},
    "confidence": 0.7,
}
CHANGES = (
    'mode = "rationale"', 'mode = "weights-only"', "mandate = false", "notes = true", "summary = true",
    "statistics = true", "reflection = true",
)  # fmt: skip
"""Every key of a card that changes how an agent is asked."""


class Scripted:
    """A voice that answers with the same words every time, and keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[tuple[str, str]] = []

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:  # noqa: ARG002
        self.asked.append((system, prompt))
        return Reply(self.text)


def form_in(paragraph: str) -> dict[str, Any]:
    """The example of an answer that a paragraph shows."""
    found: dict[str, Any] = json.loads(paragraph.splitlines()[1].replace(", ...", ""))
    return found


# ---------------------------------------------------------------------- what is asked for


def test_each_mode_asks_for_its_fields_in_their_order() -> None:
    asked = {mode: list(form_in(answer_wanted(mode))) for mode in MODES}
    assert asked == {
        "rationale": ["reflection", "rationale", "target_weights", "confidence"],
        "rationale-last": ["target_weights", "rationale", "confidence", "reflection"],
        "weights-only": ["target_weights"],
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("notes", [True, False])
def test_what_is_asked_for_is_what_the_schema_demands_in_the_same_order(mode: Mode, notes: bool) -> None:
    assert list(form_in(answer_wanted(mode, notes=notes))) == schema_of(SYMBOLS, mode, notes=notes)["required"]


def test_weights_only_asks_for_no_word() -> None:
    said = answer_wanted("weights-only", notes=True) + asked_in(Asking(mode="weights-only"))[0]
    for word in ("rationale", "reason", "why", "confidence", "reflection", "explain", "learned", "notes"):
        assert word not in said.lower()


def test_a_form_as_it_is_shown_can_be_read() -> None:
    for mode in MODES:
        shown = json.dumps(form_in(answer_wanted(mode, notes=True))).replace("SYMBOL", "AAA")
        assert decision_in(shown, SYMBOLS).status == "ok"


def test_weights_only_with_notes_or_reflection_is_refused_with_its_line(tmp_path: Any) -> None:
    for more in ("notes", "reflection"):
        path = tmp_path / "mine.toml"
        path.write_text(
            f'name = "mine"\nkind = "organism"\n\n[prompt]\nmode = "weights-only"\n{more} = true\n', encoding="utf-8"
        )
        with pytest.raises(CardError, match="line 4: prompt: mode weights-only asks for no words; leave out notes"):
            open_agent(str(path))


# ---------------------------------------------------------------------- the schema


def objects_in(schema: Any) -> list[dict[str, Any]]:
    """Every object that a schema describes."""
    if not isinstance(schema, dict):
        return []
    inner = [found for part in schema.values() for found in objects_in(part)]
    return [schema, *inner] if schema.get("type") == "object" else inner


@pytest.mark.parametrize("mode", MODES)
def test_a_schema_is_as_strict_outputs_want_it(mode: Mode) -> None:
    schema = schema_of(SYMBOLS, mode, notes=True)
    Draft202012Validator.check_schema(schema)
    for found in objects_in(schema):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert list(schema["properties"]["target_weights"]["properties"]) == list(SYMBOLS)


def test_what_is_optional_may_be_null_and_a_weight_may_not() -> None:
    check = Draft202012Validator(schema_of(SYMBOLS, "rationale", notes=True)).is_valid
    assert check(FULL)
    assert check({**FULL, "reflection": None, "notes": None, "confidence": None})
    assert check({**FULL, "notes": [{"symbol": "AAA", "reason": "", "confidence": None}]})
    for wrong in (
        {"rationale": None},
        {"target_weights": {"AAA": None, "B.B": 0, "CASH-1": 0}},
        {"target_weights": {"AAA": 1}},
        {"target_weights": {**FULL["target_weights"], "ZZZ": 0}},  # type: ignore[dict-item]
        {"notes": [{"symbol": "ZZZ", "reason": "", "confidence": None}]},
        {"more": 1},
    ):
        assert not check({**FULL, **wrong}), wrong


numbers = st.floats(-1e6, 1e6)
answers = st.fixed_dictionaries(
    {
        "reflection": st.none() | st.text(),
        "rationale": st.text(),
        "notes": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {
                    "symbol": st.sampled_from(SYMBOLS),
                    "reason": st.text(),
                    "confidence": st.none() | st.floats(0, 1),
                }
            )
        ),
        "target_weights": st.fixed_dictionaries(dict.fromkeys(SYMBOLS, numbers)),
        "confidence": st.none() | st.floats(0, 1),
    }
)


@given(answers, st.sampled_from(MODES))
def test_whatever_fits_the_schema_is_read_as_it_was_written(answer: dict[str, Any], mode: Mode) -> None:
    schema = schema_of(SYMBOLS, mode, notes=True)
    said = {name: answer[name] for name in schema["required"]}
    assert Draft202012Validator(schema).is_valid(said)
    decision = decision_in(json.dumps(said), SYMBOLS)
    assert decision.status == "ok"
    assert decision.target is not None
    assert decision.target.tolist() == [answer["target_weights"][symbol] for symbol in SYMBOLS]


# ---------------------------------------------------------------------- what is kept


def test_in_weights_only_no_word_is_kept_and_none_is_remembered() -> None:
    text = json.dumps({**FULL, "target_weights": {"S0": 0.5}})
    card, pages = AgentCard(name="scripted", kind="python"), partial(Pages, summary=True, reflection=True)

    for mode in MODES:
        talker = Talker(Scripted(text), pages(instructions_in("", "none"), Limits(), 21), mode)
        candidate = Candidate(card, 0, None, lambda _seat, talker=talker: talker)  # type: ignore[misc]
        steps = episode(candidate, walk(1, bars=30, n=3), FREE).steps
        kept = [(step.decision.rationale, step.decision.confidence, step.decision.reflection) for step in steps]
        silent = mode == "weights-only"
        assert set(kept) == {("", None, None) if silent else ("Chips rise.", 0.7, "Slower.")}
        assert {step.decision.status for step in steps} == {"ok"}
        said = [exchange for step in steps for exchange in step.decision.exchanges]
        assert {exchange.reply for exchange in said} == {text}
        prompts = "".join(exchange.prompt for exchange in said)
        assert ("You said" in prompts, "You noted" in prompts) == (not silent, not silent)
        assert "asked for" in prompts


def test_the_weights_and_the_status_of_a_reply_are_the_same_in_every_mode() -> None:
    observation = observe(walk(1, bars=30, n=3))
    for text in ('{"weights": {"S0": 0.5}, "confidence": "sure"}', "no", '{"weights": {"S0": 1}, "rationale": "x",}'):
        heard = []
        for mode in MODES:
            talker = Talker(Scripted(text), Pages(instructions_in("", "none"), Limits(), 21), mode)
            decision = asyncio.run(talker.decide(observation))
            reason = decision.reason.partition(":")[0]  # what stood in place of a confidence is words as well
            heard.append((decision.status, reason, None if decision.target is None else decision.target[0]))
        assert heard.count(heard[0]) == len(heard)


# ---------------------------------------------------------------------- the card


def test_what_a_card_asks_for_reaches_the_model_and_its_identity(tmp_path: Any) -> None:
    digests = set()
    path = tmp_path / "mine.toml"
    for extra in ("", *CHANGES):
        path.write_text(f'name = "mine"\nkind = "organism"\n[prompt]\n{extra}\n', encoding="utf-8")
        digests.add(open_agent(str(path)).digest)
    assert len(digests) == 1 + len(CHANGES)
    path.write_text(
        f'name = "mine"\nkind = "organism"\n[prompt]\nmode = "{DEFAULT}"\nmandate = true\n', encoding="utf-8"
    )
    spelled = open_agent(str(path)).digest
    path.write_text('name = "mine"\nkind = "organism"\n', encoding="utf-8")
    assert spelled == open_agent(str(path)).digest, "the usual value is the same spelled out or not"


def test_the_shipped_model_reasons_first_and_reads_everything_there_is() -> None:
    asking = open_agent("llm").card.prompt
    assert asking.mode == "rationale"
    assert all((asking.mandate, asking.statistics, asking.summary, asking.reflection))


def test_notes_are_read_from_a_map_or_a_list() -> None:
    expected = (Note("AAA", "rises", 0.4), Note("B.B", "falls", None))
    for notes in (
        '{"AAA": {"reason": "rises", "confidence": 0.4}, "B.B": "falls"}',
        '[{"symbol": "B.B", "reason": "falls"}, {"ticker": "AAA", "reason": "rises", "confidence": "40%"}]',
        '{"B.B": {"reason": " falls\\n", "confidence": 7}, " AAA ": {"reason": "rises", "confidence": 0.4}, "Z": "x"}',
        '{"AAA": "no", "AAA": {"reason": "rises", "confidence": 0.4}, "B.B": {"reason": "falls", "more": 1}}',
    ):
        decision = decision_in(f'{{"weights": {{"AAA": 1}}, "notes": {notes}}}', SYMBOLS)
        assert (decision.status, decision.notes) == ("ok", expected)


@pytest.mark.parametrize(
    "notes",
    ["null", "1", '"why not"', "[]", "{}", '["AAA"]', '[["AAA", "x"]]', '{"AAA": {}}', '{"AAA": 1}', '{"ZZZ": "x"}',
     '{"AAA": {"reason": 1, "confidence": "high"}}', '[{"reason": "x"}]', '{"AAA": {"confidence": true}}'],
)  # fmt: skip
def test_notes_that_say_nothing_of_a_symbol_are_left_out_and_cost_nothing(notes: str) -> None:
    decision = decision_in(f'{{"weights": {{"AAA": 1}}, "notes": {notes}}}', SYMBOLS)
    assert (decision.status, decision.reason, decision.notes) == ("ok", "", ())


def test_a_note_is_bounded_and_can_be_stored() -> None:
    text = json.dumps({"weights": {"AAA": 1}, "notes": {"AAA": "\ud800" + "x" * 999}})
    (note,) = decision_in(text, SYMBOLS).notes
    assert note == Note("AAA", "?" + "x" * 199, None)


def test_notes_of_a_reply_that_keeps_the_position_are_kept() -> None:
    decision = decision_in('{"weights": {"AAA": null}, "notes": {"AAA": "unsure"}}', SYMBOLS)
    assert (decision.status, decision.target, decision.notes) == ("fallback", None, (Note("AAA", "unsure", None),))
    assert np.count_nonzero(decision_in('{"weights": {}}', SYMBOLS).target) == 0
