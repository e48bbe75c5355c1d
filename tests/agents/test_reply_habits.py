"""Habits of models: thoughts in tags of their own, calls of tools, other languages in a fence, Chinese signs."""

from __future__ import annotations

import pytest
from replies import NEATLY, REPLY, lost, read, weights

DRAFT = '{"target_weights": {"BBB": 1}}'

# ---------------------------------------------------------------------- thoughts


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"), ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
    ],
)  # fmt: skip
def test_what_a_model_thinks_does_not_count_however_it_says_so(begin: str, end: str) -> None:
    assert weights(f"{begin}I take {DRAFT}{end}{REPLY}") == [0.5, 0, 0.25]
    assert weights(f"{begin}\nOr {'{'} \n{end}\n{NEATLY}") == [0.5, 0, 0.25]
    assert weights(f"{DRAFT}\n{end}{REPLY}") == [0.5, 0, 0.25], "a thought whose beginning stood in the prompt"
    assert lost(f"{begin}I take {REPLY}") == "the reply ends inside a thought"
    lost(f"{begin}I take {REPLY}{end}")


def test_a_reply_that_is_a_thought_and_nothing_else_says_so() -> None:
    assert lost("<think>\nToo dear.\n</think>\n") == "the reply is a thought and nothing else"
    assert lost("<think>Too dear.</think> I wait.") == "the reply holds no JSON object with target_weights"


# ---------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    "token",
    [
        "<|tool_call|>", "<tool_call>", "</tool_calls_end", "<function_calls>", "<|tool_calls_section_begin|>",
        "<｜tool▁calls▁begin｜>", "<function_call name='x'>", "<ns:function_calls>", "<tool_use>", "[TOOL_CALLS]",
        "<|python_tag|>",
    ],
)  # fmt: skip
def test_a_call_of_a_tool_is_prose(token: str) -> None:
    said = "the reply calls a tool and states no target_weights"
    assert lost(token) == lost(f'{token}[{{"name": "buy", "arguments": {{"AAA": 5}}}}]') == said
    assert lost(f'{token}{{"name": "trade", "arguments": {DRAFT}}}') == "the reply states no target_weights"
    lost(f'{token}{{"name": "trade", "arguments": "{{\\"target_weights\\": {{\\"BBB\\": 1}}}}"}}')
    assert weights(f"{token}\n{REPLY}") == [0.5, 0, 0.25]


def test_weights_in_the_parameters_of_a_call_are_not_read() -> None:
    lost('<invoke name="trade"><parameter name="target_weights">{"AAA": 0.5}</parameter></invoke>')
    lost('trade(target_weights={"AAA": 0.5})')


def test_an_object_that_states_something_else_is_named_as_such() -> None:
    said = "the reply holds an object, but none with target_weights"
    assert lost('Holdings: {"AAA": 10, "CASH": 7449.6}') == said
    assert lost("```python\n{\n'AAA': 300,  # 招商银行\n'CASH': 551\n}\n```") == said
    assert lost("A set {AAA, BBB} and $\\frac{1}{n}$.") == "the reply holds no JSON object with target_weights"


# ---------------------------------------------------------------------- fences


@pytest.mark.parametrize("language", ["json", "JSON", "json5", "jsonc", "javascript", "python", "text", "yaml", ""])
def test_an_object_is_read_in_a_fence_of_any_language(language: str) -> None:
    assert weights(f"```{language}\n{NEATLY}\n```") == [0.5, 0, 0.25]
    assert weights(f"~~~{language}\n{REPLY}\n~~~") == [0.5, 0, 0.25]


def test_an_object_is_read_from_an_assignment_of_the_whole_and_not_of_its_weights() -> None:
    assert weights(f"```javascript\nconst reply = {REPLY};\n```") == [0.5, 0, 0.25]
    lost('```python\ntarget_weights = {"AAA": 0.5}\n```')


@pytest.mark.parametrize(
    "text",
    [
        "```yaml\ntarget_weights:\n  AAA: 0.5\n  CCC: 0.25\n```",
        "```yaml\ntarget_weights: {AAA: 0.5}\n```",
        "```toml\n[target_weights]\nAAA = 0.5\n```",
        "```xml\n<target_weights><AAA>0.5</AAA></target_weights>\n```",
        "```csv\nsymbol,weight\nAAA,0.5\n```",
        '```json\n"target_weights": {"AAA": 0.5}\n```',
    ],
)
def test_weights_in_another_notation_are_not_read(text: str) -> None:
    lost(text)


# ---------------------------------------------------------------------- Chinese


@pytest.mark.parametrize(
    ("stated", "weight"),
    [
        ("５０％", 0.5),
        ("５０%", 0.5),
        ("50％", 0.5),
        (" ０．５ ", 0.5),
        ("－０．５", -0.5),
        ("＋５０ ％", 0.5),
        ("１", 1.0),
    ],
)
def test_full_width_signs_count_inside_of_json(stated: str, weight: float) -> None:
    assert weights(f'{{"target_weights": {{"AAA": "{stated}"}}, "rationale": "看好半导体；减持银行。"}}') == [
        weight,
        0,
        0,
    ]


@pytest.mark.parametrize(
    "stated", ["五成", "百分之五十", "½", "0。5", "5０·0", "٠.٥", "०.५", "1_0", "0,5", "约50%", "50%左右"]
)
def test_other_signs_are_no_numbers(stated: str) -> None:
    assert "weight of AAA is not a usable number" in lost(f'{{"target_weights": {{"AAA": "{stated}"}}}}')


@pytest.mark.parametrize(
    "text",
    [
        "｛“target_weights”：｛“AAA”：0.5｝｝",
        '{"target_weights"：{"AAA"：0.5}}',
        '{"target_weights": {"AAA": 0.5，"CCC": 0.25}}',
        '{"target_weights": {“AAA”: 0.5}}',
        '{"target_weights": {"AAA": ０．５}}',
        '{"目标权重": {"AAA": 0.5}}',
        "目标权重：AAA 50%，CCC 25%。",
    ],
)
def test_chinese_signs_in_place_of_json_are_refused(text: str) -> None:
    lost(text)


def test_words_in_any_language_are_kept_as_they_are() -> None:
    decision = read(f"好的，以下是今日决策：\n{REPLY.replace('up', '看多🎉')}\n谢谢。")
    assert decision.status == "ok"
    assert decision.rationale == '看多🎉 } {" 看多🎉'
