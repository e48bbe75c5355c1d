"""A reply's weights are the ones its text states as JSON, or there are none: no guess, no crash, no truncated reply."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replies import BROKEN, NEATLY, REPLY, SYMBOLS, lost, mended, read, weights

from tradearena.agents.answer import USABLE
from tradearena.agents.reply import decision_in

# ---------------------------------------------------------------------- what can be read


@pytest.mark.parametrize(
    "text",
    [
        REPLY,
        NEATLY,
        f"\n\t {REPLY}\r\n",
        f"\ufeff{REPLY}",
        f"```json\n{NEATLY}\n```",
        f"```\n{REPLY}\n```",
        f"```json\n{NEATLY}",  # the object is complete, whatever became of its fence
        f'Here is my decision:\n\n  ```JSON\n{NEATLY}\n  ```\nIt\'s a "safe" one.',
        f"My decision: {REPLY} That is all.",
        f"{REPLY}}}",
        f"The mean is $\\frac{{1}}{{n}}$ and it's 5\" of {{noise}}. {REPLY}",
        f"A set {{AAA, BBB\n```json\n{REPLY}\n```",
        f'{{"error": "Insufficient cash!", "symbol": "AAA"}}\n{{"AAA": 10, "CASH": 7449.6}}\n{REPLY}',
        f"{REPLY}\nOnce more:\n```json\n{NEATLY}\n```",
        f'{{"decision": {REPLY}}}',
        f'So: {{"reply": {NEATLY}}}',
    ],
)
def test_a_reply_is_read_plain_fenced_in_prose_or_inside_one_object(text):
    decision = read(text)
    assert (decision.status, decision.reason) == ("ok", "")
    assert decision.target.tolist() == [0.5, 0, 0.25]
    assert (decision.rationale, decision.confidence) == ('up } {" up', 0.7)


@pytest.mark.parametrize("field", ["target_weights", "weights", "allocation"])
@pytest.mark.parametrize(
    "stated",
    [
        '{"AAA": 0.5, "CCC": 0.25}',
        '{"AAA": "0.5", "CCC": "25%"}',
        '{"AAA": 5e-1, "CCC": " 25 % ", "BBB": -0.0}',
        '{" AAA": "50.0%", "CCC\\n": ".25", "CASH": 0.25}',
        '{"AAA": 0.5, "AAA": "50%", "CCC": 0.25, " AAA ": 0.5}',
        '[{"symbol": "AAA", "weight": 0.5}, {"symbol": "CCC", "weight": "25%"}]',
        '[{"ticker": "AAA", "target_weight": 0.5}, {"name": "CCC", "value": 0.25}]',
        '[{"symbol": "AAA", "name": "Apple Inc.", "note": "buy", "weight": 0.5}, ["CCC", 0.25]]',
        '[["AAA", 0.5], ["CCC", "0.25"], ["BBB", 0]]',
    ],
)
def test_weights_are_a_map_or_a_list_of_symbols_with_numbers_or_percentages(field, stated):
    assert weights(f'{{"{field}": {stated}}}') == [0.5, 0, 0.25]


def test_a_percentage_is_the_number_nearest_to_it():
    assert weights('{"weights": {"AAA": "33.3%", "BBB": "-7%", "CCC": "0.1%"}}') == [0.333, -0.07, 0.001]


def test_a_number_is_taken_at_its_word():
    assert weights('{"weights": {"AAA": 40, "BBB": -3, "CCC": 1000000}}') == [40, -3, USABLE]


def test_an_omitted_symbol_means_nothing_is_held_of_it():
    assert weights('{"target_weights": {"BBB": 1}}') == [0, 1, 0]
    assert weights('{"target_weights": {}}') == [0, 0, 0]


def test_an_unknown_symbol_is_set_aside_and_so_is_one_in_other_letters():
    decision = read('{"target_weights": {"AAA": 0.5, "ZZZ": "30%", "aaa": "much"}}')
    assert decision.target.tolist() == [0.5, 0, 0]
    assert decision.stray == (("ZZZ", "0.3"), ("aaa", "much"))


def test_what_is_said_beside_the_weights_is_kept_and_notes_and_other_keys_are_ignored():
    decision = read(
        '{"notes": {"AAA": ["a", {"b": null}], "AAA": 1}, "rationale": ["up", "é"], "confidence": "70%",'
        ' "signal": true, "reflection": {"last": "too much"}, "weights": {"AAA": 1}}'
    )
    assert decision.status == "ok"
    assert (decision.rationale, decision.confidence) == ('["up", "é"]', 0.7)
    assert decision.reflection == '{"last": "too much"}'


@pytest.mark.parametrize("confidence", ["85", '"high"', "true", "-0.1", "1e999", "[0.5]"])
def test_a_confidence_that_is_none_is_left_out_and_the_reply_counts_as_repaired(confidence):
    decision = read(f'{{"weights": {{"AAA": 1}}, "confidence": {confidence}}}')
    assert (decision.status, decision.confidence) == ("repaired", None)
    assert "confidence" in decision.reason


def test_half_of_a_surrogate_pair_becomes_a_question_mark():
    decision = read('{"weights": {"AAA": 1, "\\ud800": 2}, "rationale": "up \\udfff", "reflection": "\ud800"}')
    assert (decision.rationale, decision.reflection, decision.stray) == ("up ?", "?", (("?", "2.0"),))
    assert lost('{"weights": {"\\ud800": 1, "\\ud800": 2}}') == "two weights are stated for ?"


# ---------------------------------------------------------------------- what is no reply


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000"])
def test_an_empty_reply_is_an_error(text):
    assert (read(text).status, read(text).reason) == ("error", "the reply is empty")
    assert read(text, cut=True).status == "error"


@pytest.mark.parametrize(
    "text",
    [
        "Hold everything.",
        "I put 50% into AAA and 25% into CCC, target_weights: AAA 0.5, CCC 0.25",
        "| symbol | target_weights |\n|---|---|\n| AAA | 0.5 |\n| CCC | 0.25 |",
        "target_weights:\n  AAA: 0.5\n  CCC: 0.25",
        '"target_weights": "AAA"',
        '{"AAA": 0.5, "CCC": 0.25}',
        '{"positions": {"AAA": 0.5}}',
        '{"a": {"b": {"target_weights": {"AAA": 0.5}}}}',
        '{"decision": {"target_weights": {"AAA": 0.5}}, "model": "x"}',
        '{"decision": {"target_weights": {"AAA": 0.5}}, "decision": {"target_weights": {"AAA": 0.5}}}',
        '[{"target_weights": {"AAA": 0.5}}]',
        '[{"symbol": "AAA", "weight": 0.5}]',
        '{"reply": "{\\"target_weights\\": {\\"AAA\\": 0.5}}"}',
        '{"Target_Weights": {"AAA": 0.5}}',
        "null", "0.5", "[0.5, 0.5, 0]", "[]", "{}", '"AAA"', "}", "\ud800", "\x00", "{\x00}",
    ],
)  # fmt: skip
def test_weights_are_never_taken_from_prose_tables_or_objects_that_do_not_call_them_so(text):
    lost(text)
    lost(f"So: {text}")
    lost(f"```json\n{text}\n```")


@pytest.mark.parametrize(
    "stated",
    [
        "[0.5, 0.25, 0.25]", "[]", "0.5", '"AAA 50%"', "null", "true", '["AAA", 0.5]', '[["AAA", 0.5, 0.25]]',
        '[["AAA"]]', "[[1, 0.5]]", '[{"symbol": "AAA"}]', '[{"weight": 0.5}]', '[{"symbol": 1, "weight": 0.5}]',
        '[{"symbol": "AAA", "weight": 0.5, "value": 0.4}]', '[{"symbol": "AAA", "symbol": "BBB", "weight": 0.5}]',
        '[{"symbol": "AAA", "weight": 0.5, "weight": 0.4}]', '[{"AAA": 0.5}]', '[{"symbol": "AAA", "weight": 1}, 0]',
    ],
)  # fmt: skip
def test_weights_that_do_not_name_their_symbols_are_a_fallback(stated):
    assert "weights" in lost(f'{{"target_weights": {stated}}}')


@pytest.mark.parametrize(
    "value",
    ["null", "true", '""', '"much"', '"nan"', '"inf%"', '"%"', '"0,5"', '"1e1%"', '"1/3"', '"about\\n0.5"', "1e999",
     "1000001", '{"weight": 0.5}', "[0.5]", "9" * 5000, f'"{"9" * 5000}"', "1" + "0" * 400],
)  # fmt: skip
def test_a_weight_that_is_no_usable_number_makes_the_reply_a_fallback_that_names_the_symbol(value):
    assert "AAA" in lost(f'{{"target_weights": {{"BBB": 0.5, "AAA": {value}}}}}')
    assert "AAA" in lost(f'{{"target_weights": [["BBB", 0.5], ["AAA", {value}]]}}')
    assert read(f'{{"target_weights": {{"AAA": 0.5}}, "notes": {value}}}').status == "ok"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ['"target_weights": {"AAA": %s}', '"weights": {"AAA": 1}, "confidence": %s'])
def test_nan_and_infinity_are_not_json(value, place):
    assert lost(f"{{{place % value}}}") == f"{value} is no number in JSON"
    assert lost(f"So: {{{place % value}}}") == f"{value} is no number in JSON"
    lost(f"{{{place % value},}}")


@pytest.mark.parametrize(
    "stated",
    ['{"AAA": 0.5, "AAA": 0.6}', '{"AAA": 0.5, "BBB": 0, " AAA": "5%"}', '[["AAA", 0.5], ["AAA", 0.6]]',
     '[{"symbol": "AAA", "weight": 0.5}, {"ticker": "AAA", "weight": 0.6}]', '{"AAA": null, "AAA": 0.5}'],
)  # fmt: skip
def test_two_weights_for_one_symbol_are_a_fallback_that_names_it(stated):
    assert lost(f'{{"target_weights": {stated}}}') == "two weights are stated for AAA"
    assert lost(f'{{"target_weights": {stated},}}') == "two weights are stated for AAA"


def test_two_sets_of_weights_in_one_object_have_to_be_the_same():
    assert weights('{"target_weights": {"AAA": 0.5}, "weights": [["AAA", "50%"]]}') == [0.5, 0, 0]
    assert "two different" in lost('{"target_weights": {"AAA": 0.5}, "weights": {"AAA": 0.4}}')
    assert "two different" in lost('{"weights": {"AAA": 0.5}, "weights": {"AAA": 0.5, "BBB": 0}}')
    lost('{"target_weights": {"AAA": 0.5}, "allocation": null}')


def test_an_object_with_equal_keys_inside_one_wrapper_is_not_read_by_its_last():
    lost('{"a": {"weights": {"AAA": 1}}, "a": {"weights": {"BBB": 1}}}')


# ---------------------------------------------------------------------- prose around it


@pytest.mark.parametrize(
    "text",
    [
        f"{REPLY} or {REPLY.replace('0.5', '0.4')}",
        f"Now {REPLY.replace('0.5', '0.4')}, then\n```json\n{REPLY}\n```",
        f"{REPLY} or {REPLY.replace('up', 'down')}",
        f"{REPLY} or {REPLY.replace('0.7', '0.8')}",
        f"{REPLY} or {BROKEN}",
        f'{REPLY} or {{"weights": {{"AAA": null}}}}',
        f'{{"weights": null}} or {REPLY}',
    ],
)
def test_two_replies_that_differ_are_none(text):
    assert lost(text)


def test_the_form_of_a_reply_may_be_quoted_before_the_reply_but_not_after_it():
    form = '{"target_weights": {"SYMBOL": weight, ...}, "rationale": "..."}'
    assert weights(f"In the form {form}: {REPLY}") == [0.5, 0, 0.25]
    lost(f"{REPLY} in the form {form}")


@pytest.mark.parametrize(
    "text",
    [
        "<think>{0}</think>{1}",
        "<think>\n{0} or { ' \" </think>\n\n{1}",
        "Well. <thinking>{0}</thinking>\n```json\n{1}\n```\n<think>{0}</think>",
        "{0} is what I had in the thought that the prompt began.\n</think>\n{1}",
        "Let me see: { \n</think>\n{1}",
        "<think>a<think>{0}</think>{0}</think>{1}",
    ],
)
def test_what_stands_in_a_thought_does_not_count(text):
    draft = '{"target_weights": {"BBB": 1}}'
    assert weights(text.replace("{0}", draft).replace("{1}", REPLY)) == [0.5, 0, 0.25]
    lost(text.replace("{0}", draft).replace("{1}", ""))


def test_a_thought_that_never_ends_leaves_no_reply():
    assert "thought" in lost(f"<think>I take {REPLY}")
    assert "thought" in lost(f"{REPLY} <think>or")


def test_a_rationale_may_speak_of_thoughts_and_fences():
    rationale = "</think> ```json {'target_weights': {'AAA': 9}} ``` <think> \n``` // #"
    text = json.dumps({"rationale": rationale, "target_weights": {"AAA": 1}})
    for reply in (text, f"So: {text}", f"```json\n{text}\n```"):
        assert weights(reply) == [1, 0, 0]
        assert read(reply).rationale == rationale


# ---------------------------------------------------------------------- broken JSON


@pytest.mark.parametrize(
    "text",
    [
        BROKEN,
        f"So: {BROKEN} That's all.",
        f"```python\n{BROKEN}\n```",
        '{"target_weights": {"AAA": 0.5, "CCC": 0.25},}',
        '{"target_weights": {"AAA": 0.5, "CCC": 0.25,}}',
        '{"target_weights": {"AAA": 0.5, "CCC": 0.25} "rationale": "no comma"}',
        '{target_weights: {AAA: .5, CCC: +0.25}, rationale: "bare keys"}',
        '{"target_weights": {"AAA": 0.5, // {half}\n "CCC": 0.25 # it\'s a quarter\n}}',
        '{"target_weights": {"AAA": 0.5, "CCC": 0.25}, "notes": None, "signal": True}',
        '{"rationale": "the "safe" one", "target_weights": {"AAA": 0.5, "CCC": 0.25}}',
        '{"target_weights": {"AAA": 0.5, "CCC": 0.25}, "rationale": "two\nlines"}',
        '{"target_weights": [{"symbol": "AAA", "weight": 0.5}, {"symbol": "CCC", "weight": "25%"},]}',
        '{"decision": {"target_weights": {"AAA": 0.5, "CCC": 0.25},}}',
    ],
)
def test_broken_json_is_mended_where_the_weights_are_beyond_doubt(text):
    assert mended(text) == [0.5, 0, 0.25]


def test_what_a_mended_reply_says_beside_its_weights_is_kept():
    decision = read('{"weights": {"AAA": 1}, "rationale": "the "safe" one", "confidence": 7,}')
    assert decision.rationale == 'the "safe" one'
    assert decision.reason == "mended by json-repair; confidence is not a number in [0, 1]: 7.0"


@pytest.mark.parametrize(
    "stated",
    ['{"AAA": 20%}', '{"AAA": 50 percent}', '{"AAA": 0.5, ...}', '{"AAA": 0.5, "BBB": ...}', '{"AAA": ~0.5}',
     '{"AAA": 0.5 0.6}', '{"AAA": 1,5}', '{"AAA": $5}', '{"AAA": 1_000}', '{"AAA": 5e}', '{"AAA": - 0.5}',
     '{"AAA": 0.1-0.2}', '{"AAA": 1/3}', '{"AAA" 0.5}', '{"AAA": }', '{"AAA": 0.5; "BBB": 0.5}', '{AAA}',
     '{"AAA": None,}', '{"AAA": null,}', '{"AAA": 0.1} {"AAA": 0.3}', '{"AAA": 0。5}', '{"AAA": (0.5)}',
     '{"AAA": 0x1}'],
)  # fmt: skip
def test_broken_weights_are_not_mended_by_a_guess(stated):
    lost(f'{{"target_weights": {stated}}}')
    lost(f'{{"target_weights": {stated}, "rationale": "x",}}')


@pytest.mark.parametrize(
    "text",
    [
        '{"rationale": "was "target_weights": {"AAA": 1} wise?", "target_weights": {"AAA": 0.5}}',
        '{"a": {"target_weights": {"AAA": 0.5}}, "b": 1,}',
        '{"rationale": "x "target_weights": {"AAA": 0.5}" y"}',
        '{"target_weights": {"AAA": 0.5}, "rationale": "he said "} x" ok"}',
        '{"target_weights": {"AAA": 0.5}, "rationale": "5" and :-}"}',
        '{"target_weights": {"AAA": 0.5}, "rationale": "5" pipe"}',
        '{ " {"decision": {"rationale": "\\"} :-} ", "target_weights": {"AAA": 0.5}}',
        "{“target_weights”: {“AAA”: 0.5}}",
        '{\\"target_weights\\": {\\"AAA\\": 0.5}}',
    ],
)
def test_a_quotation_mark_that_leaves_doubt_makes_the_reply_a_fallback(text):
    lost(text)


def test_only_a_broken_reply_needs_json_repair(monkeypatch):
    monkeypatch.setitem(sys.modules, "json_repair", None)
    for text in (REPLY, f"```json\n{REPLY}\n```", f"So: {REPLY}"):
        assert weights(text) == [0.5, 0, 0.25]
    for text in ("no reply", REPLY[:-1], '{"weights": {"AAA": ...}'):
        lost(text)
    with pytest.raises(ImportError):
        read(BROKEN)


# ---------------------------------------------------------------------- truncated replies


def test_a_reply_that_was_cut_off_is_a_fallback_however_complete_it_looks():
    for text in (REPLY, f"So: {REPLY}", BROKEN, REPLY[:-9], "no"):
        assert lost(text, cut=True) == "the reply was cut off"
    assert read(REPLY, cut=True).rationale == 'up } {" up'


@pytest.mark.parametrize("before", ["", "So: ", "```json\n", "<think>{}</think>", "```\n{ \n```\n"])
@pytest.mark.parametrize("reply", [REPLY, NEATLY, BROKEN, f'{{"reply": {REPLY}}}', f'{{"decision":{BROKEN}}}'])
def test_no_truncation_of_a_reply_is_read(before, reply):
    assert read(before + reply).status in ("ok", "repaired")
    for end in range(len(before + reply)):
        assert read((before + reply)[:end]).status in ("fallback", "error")


def test_a_fence_that_closes_before_its_object_does_leaves_no_reply():
    assert "never closes" in lost(f"```json\n{REPLY[:-1]}\n```\n")
    assert "never closes" in lost(f"```json\n{REPLY[:-1]}\n```\nOnce more:\n```json\n{REPLY}\n```")


finite = st.floats(-USABLE, USABLE)
stated_weights = st.dictionaries(st.sampled_from(SYMBOLS), finite | finite.map(str), min_size=1)
hostile = st.text(st.sampled_from("ab {}[]\"'\\:,/#`<>%.019\n\ud800é")) | st.sampled_from(
    ("</think>", "<think>", "\n```\n", '"} ', '{"target_weights": {"AAA": 9}}', "{'weights': {'AAA': 9}}", "// }")
)
prose = st.text(st.sampled_from("ab }]\"'\\:,/#`.0\né"))
fields = st.fixed_dictionaries(
    {"target_weights": stated_weights},
    optional={"rationale": hostile, "confidence": st.floats(0, 1), "notes": st.dictionaries(hostile, hostile)},
)


@st.composite
def replies(draw):
    """A valid reply: its text, and the weights it states."""
    said = draw(fields)
    body = dict(draw(st.permutations(list(said.items()))))
    body = {"decision": body} if draw(st.booleans()) else body
    text = json.dumps(body, indent=draw(st.sampled_from((None, 1))), ensure_ascii=draw(st.booleans()))
    return text, [float(said["target_weights"].get(symbol, 0)) for symbol in SYMBOLS]


@given(replies())
def test_any_weights_are_read_exactly_as_they_were_written(reply):
    text, stated = reply
    assert weights(text) == stated
    assert weights(f"So:\n```json\n{text}\n```") == stated


@given(replies(), prose, st.data())
def test_a_valid_reply_is_not_read_wherever_it_is_truncated(reply, before, data):
    whole = before + reply[0]
    end = data.draw(st.integers(0, len(whole) - 1))
    assert read(whole[:end]).status in ("fallback", "error")


# ---------------------------------------------------------------------- anything at all


@given(st.text(st.characters()) | hostile)
def test_any_text_becomes_a_decision(text):
    read(text)
    read(f'{{"target_weights": {{"AAA": {text}}}}}')
    read(f"{{'target_weights': {{'AAA': 0.5}}, 'rationale': '{text}'}}")


@st.composite
def mutated(draw, texts):
    """A text after a few accidents: pieces lost, moved, or put in."""
    text = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        end = min(end, start + 12)
        text = text[:start] + draw(st.just("") | hostile | st.just(text[start:end] * 2)) + text[end:]
    return text


@given(mutated(st.sampled_from((REPLY, NEATLY, BROKEN, f"So:\n```json\n{NEATLY}\n```", f"<think>x</think>{REPLY}"))))
def test_a_damaged_reply_becomes_a_decision_whose_weights_its_text_states(text):
    read(text)


@pytest.mark.parametrize(
    "flood",
    [
        "{" * 10_000_000, '{"a":' * 200_000, "[" * 1_000_000, "{}" * 50_000, "[{" * 50_000, "}" * 100_000,
        '{"' * 50_000, "{'" * 50_000, "{'a " * 30_000, "{" + "\\" * 100_000, '{"' + "\\" * 100_001,
        "{\n```\n" * 20_000, "<think>" * 20_000, "</think>" * 20_000, "{" + "#\n" * 50_000,
        '{"weights"' + " " * 200_000, '{"weights":' * 20_000, '{"weights":{"AAA":' + "9" * 1_000_000,
        '{"weights":{' + " ," * 20_000 + "}}", "{'weights':{" + "' " * 20_000 + "}}",
        '{"weights":{"AAA":1},"n":' + "[" * 100_000 + "]" * 100_000 + "}", " " * 1_000_000 + "x",
    ],
    ids=lambda flood: flood[:12],
)  # fmt: skip
def test_a_flood_of_brackets_or_quotes_is_a_fallback_in_good_time(flood):
    assert decision_in(flood, SYMBOLS).status == "fallback"


def test_a_reply_is_read_to_a_depth_that_is_the_same_on_every_machine():
    def deep(levels):
        return '{"weights": {"AAA": 1}, "notes": ' + "[" * levels + "]" * levels + "}"

    assert weights(deep(31)) == weights(f"So: {deep(31)}") == [1, 0, 0]
    assert lost(deep(32)) == lost(f"So: {deep(32)}") == lost(deep(100_000)) == "the reply is nested too deeply"
    many = json.dumps({"weights": [{"symbol": f"S{i}", "weight": 0.01} for i in range(500)]})
    assert np.count_nonzero(decision_in(many, tuple(f"S{i}" for i in range(500))).target) == 500


# ---------------------------------------------------------------------- what models really wrote


@pytest.fixture(scope="module")
def outputs(real_data):
    """Free prose, tables, share counts and tool output of models that were not asked for JSON."""
    lines = (real_data / "raw_llm_outputs.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_no_weights_are_invented_from_what_models_wrote_freely(outputs):
    assert len(outputs) == 55
    for output in outputs:
        held = (output["truth"] or {}).get("weights_after") or {}
        symbols = tuple(symbol for symbol in held if symbol != "CASH") or ("AAPL", "NVDA")
        for text in (output["text"], output.get("reasoning_content", "-")):
            assert not re.search(r"weights\W*\{|allocation\W*\{", text)  # none of them states weights as JSON
            decision = decision_in(text, symbols)
            assert (decision.status, decision.target) == ("fallback", None)


def test_a_reply_is_found_after_anything_that_models_wrote(outputs):
    for output in outputs:
        assert weights(f"{output['text']}\n```json\n{NEATLY}\n```") == [0.5, 0, 0.25]
        lost(f"{output['text']}\n```json\n{NEATLY[:-1]}")


@given(data=st.data())
def test_damaged_texts_of_models_become_decisions(outputs, data):
    texts = st.sampled_from(outputs).map(lambda output: output["text"])
    text = data.draw(mutated(texts | texts.map(lambda text: f"{text}\n{NEATLY}\n{text}")))
    read(text)
