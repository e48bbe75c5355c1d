"""What models really wrote, damaged and mixed with replies: never a weight that the text does not state, no crash."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replies import BROKEN, NEATLY, REPLY, lost, read, weights

DRAFT = '{"target_weights": {"BBB": 1}}'
SPLICES = (
    REPLY, NEATLY, BROKEN, DRAFT, REPLY[:-1], DRAFT[1:], f"```json\n{NEATLY}\n```", f"```\n{DRAFT}",
    f"<think>{DRAFT}</think>",
    "<think>", "</think>", "[THINK]", "<|channel|>final", "<|tool_call|>", "```", "{", "}", '"', "'", "\\", "//", "# ",
    '"target_weights": ', "weights: {", "allocation", '{"weights": {"AAA": "１２％"}}', '{"weights": {"AAA": null}}',
    '{"weights": [["AAA", 0.3], ["AAA", 0.4]]}', "\ud800", "％", "｛",
)  # fmt: skip


@pytest.fixture(scope="module")
def texts(real_data: Path) -> list[str]:
    """The texts of 55 replies, and what some of them thought."""
    lines = (real_data / "raw_llm_outputs.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [text for output in found for text in (output["text"], output.get("reasoning_content")) if text]


def spliced(rng: random.Random, text: str) -> str:
    """The text after a few accidents: pieces cut out, doubled or moved, and replies, thoughts and signs put in."""
    for _ in range(rng.randint(1, 5)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice((0, 1, 12, 400)))
        piece = rng.choice(("", text[start:end] * 2, rng.choice(SPLICES), rng.choice(SPLICES), rng.choice(SPLICES)))
        text = text[:start] + piece + text[end:]
    return text


@given(seed=st.integers(0, 2**32 - 1))
def test_no_accident_makes_a_weight_that_the_text_does_not_state(texts: list[str], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(5):
        read(spliced(rng, rng.choice(texts)))


def test_a_reply_is_found_wherever_it_stands_in_a_text(texts: list[str]) -> None:
    for text in texts:
        before, _, after = text.rpartition("\n\n")
        if "</think>" not in after:
            assert weights(f"{before}\n\n{REPLY}\n\n{after}") == [0.5, 0, 0.25]
        assert weights(f"<think>{text.replace('think>', '')}{DRAFT}</think>{text}\n```json\n{NEATLY}\n```") == [
            0.5,
            0,
            0.25,
        ]


def test_a_reply_that_is_cut_is_not_read_in_any_of_the_texts(texts: list[str]) -> None:
    rng = random.Random(0)
    for text in texts:
        for whole in (REPLY, NEATLY, BROKEN):
            lost(f"{text}\n{whole[: rng.randint(1, len(whole) - 1)]}")
            lost(f"{text}\n```json\n{whole[: rng.randint(1, len(whole) - 1)]}\n```")


def test_two_replies_that_differ_are_none_in_any_of_the_texts(texts: list[str]) -> None:
    for text in texts:
        assert lost(f"{REPLY}\n{text}\n{DRAFT}".replace("think>", "")) == "the reply holds two different decisions"
