"""Exchanges come in, the messages of a chat go out, as OpenAI's protocol has them and litellm translates them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from tradearena.agents.answer import storable
from tradearena.agents.keys import hide
from tradearena.agents.tools import ToolCall, calls_in
from tradearena.values import Exchange

Messages: TypeAlias = list[dict[str, Any]]

_SIGNED = "__thought__"
"""Stands between an identifier and the signature that litellm puts there for Gemini."""


def messages_of(system: str, prompt: str, before: Sequence[Exchange]) -> Messages:
    """A conversation: the system text, what was said in turn, and the prompt that is to be answered."""
    messages: Messages = [{"role": "system", "content": system}]
    asked: list[ToolCall] = []
    for exchange in before:
        messages += _said(exchange.prompt, asked)
        content, asked = calls_in(exchange.reply) if exchange.tools else (exchange.reply, [])
        messages.append({"role": "assistant", "content": content} | ({"tool_calls": _calls(asked)} if asked else {}))
    return messages + _said(prompt, asked)


def _said(prompt: str, asked: list[ToolCall]) -> Messages:
    """What is said next: what the tools gave that were called, or the prompt."""
    if not asked:
        return [{"role": "user", "content": prompt}]
    given = zip(asked, json.loads(prompt), strict=True)
    return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in given]


def _calls(asked: list[ToolCall]) -> list[dict[str, Any]]:
    """Calls as they are sent back: every service takes a plain name and an object of JSON, and few take anything else.
    What the model wrote is on record, and what was wrong with it in the answer to the call."""
    return [{"id": call.id, "type": "function", "function": _sendable(call)} for call in asked]


def _sendable(call: ToolCall) -> dict[str, str]:
    try:
        fine = isinstance(json.loads(call.arguments), dict)
    except (ValueError, RecursionError):
        fine = False
    name = call.name if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call.name) else "unknown"
    return {"name": name, "arguments": call.arguments if fine else "{}"}


def calls_of(message: Any, turn: int) -> list[ToolCall]:
    """The calls of tools in a message of a model, of whatever kind.

    They get identifiers of ours, of nine letters and digits, as the strictest service wants them: those of a service
    are random, and a model that answers alike would leave another record every time. One that holds a signature, which
    its service wants back, is kept.
    """
    found = []
    for number, call in enumerate(getattr(message, "tool_calls", None) or (), start=1):
        said, its = getattr(call, "function", None), str(getattr(call, "id", None) or "")
        name, arguments = (str(getattr(said, part, None) or "") for part in ("name", "arguments"))
        name_of = its if _SIGNED in its else f"call{turn % 100:02}{number % 1000:03}"
        found.append(ToolCall(heard(name_of), heard(name), heard(arguments)))
    return found


def heard(said: str) -> str:
    """What a service says, as it may be put on record: without secrets, which a gateway may echo."""
    return hide(storable(said))
