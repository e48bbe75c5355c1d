"""In what form an agent is to answer: the mode of its card comes in; the paragraph that asks for that form, and the
JSON Schema of it, go out.

| mode | fields, in this order |
|---|---|
| `rationale` | reflection, rationale, target weights, confidence: it reasons before it decides |
| `rationale-last` | target weights, rationale, confidence, reflection: it decides before it explains |
| `weights-only` | target weights: it is asked for no word, and none is kept |

Notes on single symbols come after the rationale, where the card asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

from tradearena.agents.answer import UNSURE
from tradearena.errors import UsageError
from tradearena.values import Decision

Mode: TypeAlias = Literal["rationale", "rationale-last", "weights-only"]

DEFAULT: Mode = "rationale-last"
"""What organisms are asked, and whoever's card says nothing else."""

FORMS: tuple[Mode, ...] = get_args(Mode)

_FIELDS: dict[Mode, tuple[str, ...]] = {
    "rationale": ("reflection", "rationale", "notes", "target_weights", "confidence"),
    "rationale-last": ("target_weights", "rationale", "notes", "confidence", "reflection"),
    "weights-only": ("target_weights",),
}

_EXAMPLES = {
    "target_weights": '{"SYMBOL": 0.1, ...}',
    "rationale": '"why, in a few sentences"',
    "notes": '[{"symbol": "SYMBOL", "reason": "optional: why this weight", "confidence": 0.6}, ...]',
    "confidence": "0.6",
    "reflection": '"optional: what you learned from your last decisions"',
}

_ANSWER: dict[Mode, str] = {
    "rationale": "Answer with one JSON object and nothing else, its fields in this order:",
    "rationale-last": "Answer with one JSON object and nothing else:",
    "weights-only": "Answer with one JSON object and nothing else, without a word before it or after it:",
}
_MEANING = "Symbols you leave out get weight 0. Weights are fractions of NAV."
_SURE = "Confidence is between 0 and 1."


def form_named(name: str) -> Mode:
    """The form of a name, as `--output` takes it.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMS:
        raise UsageError(f"--output {name}: write {', '.join(FORMS[:-1])} or {FORMS[-1]}; --out names a file")
    return name


def answer_wanted(mode: Mode, *, notes: bool = False) -> str:
    """The paragraph that asks for an answer: what `$answer` stands for in a file of instructions."""
    form = ", ".join(f'"{name}": {_EXAMPLES[name]}' for name in _asked(mode, notes=notes))
    return f"{_ANSWER[mode]}\n{{{form}}}\n{_MEANING if mode == 'weights-only' else f'{_MEANING} {_SURE}'}"


def asks_for_words(system: str) -> bool:
    """Is anything but weights asked for in this text?"""
    return _ANSWER["weights-only"] not in system


def schema_of(symbols: Sequence[str], mode: Mode, *, notes: bool = False) -> dict[str, Any]:
    """JSON Schema of an answer about N symbols, as strict structured outputs take it: every property is required and no
    other allowed, and what is optional may be null. Properties stand in the order in which they are to be written.

    A weight is asked for every symbol, so that none is left out, unknown or there twice: some 8 tokens each.
    """
    text, perhaps_text, perhaps_number = ({"type": of} for of in ("string", ["string", "null"], ["number", "null"]))
    note = {"symbol": {"type": "string", "enum": list(symbols)}, "reason": text, "confidence": perhaps_number}
    fields: dict[str, dict[str, Any]] = {
        "target_weights": _object({symbol: {"type": "number"} for symbol in symbols}),
        "rationale": text,
        "notes": {"type": ["array", "null"], "items": _object(note)},
        "confidence": perhaps_number,
        "reflection": perhaps_text,
    }
    return _object({name: fields[name] for name in _asked(mode, notes=notes)})


def without_words(decision: Decision) -> Decision:
    """A decision of which nothing is kept but its weights, its status and why it has that."""
    reason = decision.reason.partition(f"{UNSURE}: ")
    return replace(
        decision,
        rationale="",
        confidence=None,
        reflection=None,
        notes=(),
        reason=f"{reason[0]}{UNSURE if reason[1] else ''}",
    )


def _asked(mode: Mode, *, notes: bool) -> list[str]:
    return [name for name in _FIELDS[mode] if notes or name != "notes"]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
