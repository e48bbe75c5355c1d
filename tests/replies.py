"""Replies to read: one that is well formed, one that is not, and the checks that every decision has to pass."""

from __future__ import annotations

import json
import re

from tradearena.agents.reply import decision_in
from tradearena.values import Decision

SYMBOLS = ("AAA", "BBB", "CCC")
REPLY = '{"target_weights": {"AAA": 0.5, "CCC": "25%"}, "rationale": "up } {\\" up", "confidence": 0.7}'
NEATLY = json.dumps(json.loads(REPLY), indent=2)
BROKEN = "{'target_weights': {'AAA': 0.5, 'CCC': '25%',}, 'rationale': 'it's {up}', 'confidence': 0.7}"


def read(text: str, *, cut: bool = False) -> Decision:
    """A decision, after the checks that every decision has to pass: no weight that the text does not state."""
    decision = decision_in(text, SYMBOLS, cut=cut)
    assert decision.status in ("ok", "repaired", "fallback", "error")
    assert (decision.target is not None) == (decision.status in ("ok", "repaired"))
    assert decision.status == "ok" or (decision.reason and len(decision.reason.splitlines()) == 1)
    texts = (
        decision.rationale,
        decision.reason,
        decision.reflection or "",
        json.dumps([decision.stray, decision.notes]),
    )
    assert all(text.encode().decode() == text for text in texts)
    assert {note.symbol for note in decision.notes} <= set(SYMBOLS)
    if decision.target is not None:
        assert decision.target.shape == (len(SYMBOLS),)
        assert {weight for weight in decision.target.tolist() if weight} <= numbers_in(text)
    return decision


def numbers_in(text: str) -> set[float]:
    """Every number that a text states, in the two ways in which a weight may be written."""
    found = set()
    plain = text.translate(str.maketrans("％．＋－", "%.+-"))
    for number, percent in re.findall(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%?)", plain):
        found |= {float(number)} | ({float(f"{number}e-2")} if percent and "e" not in number.lower() else set())
    return found


def weights(text: str) -> list[float]:
    """The weights of a reply that is ok."""
    decision = read(text)
    assert decision.status == "ok", decision.reason
    assert decision.reason == ""
    assert decision.target is not None
    found: list[float] = decision.target.tolist()
    return found


def mended(text: str) -> list[float]:
    """The weights of a reply that json-repair mended."""
    decision = read(text)
    assert decision.status == "repaired", decision.reason
    assert decision.reason == "mended by json-repair"
    assert decision.target is not None
    found: list[float] = decision.target.tolist()
    return found


def lost(text: str, *, cut: bool = False) -> str:
    """Why a reply is a fallback."""
    decision = read(text, cut=cut)
    assert decision.status == "fallback", decision.target
    return decision.reason
