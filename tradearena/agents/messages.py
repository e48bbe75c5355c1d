"""Exchanges come in, the messages of a chat go out, as OpenAI's protocol has them and litellm translates them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from tradearena.agents.answer import storable
from tradearena.agents.tools import ToolCall, calls_in
from tradearena.values import Exchange

Messages: TypeAlias = list[dict[str, Any]]


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
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in asked
    ]


def calls_of(message: Any) -> list[ToolCall]:
    """The calls of tools in a message of a model. One without an identifier gets its number."""
    calls = [(call, call.function) for call in message.tool_calls or ()]
    return [
        ToolCall(storable(call.id or f"call_{number}"), storable(said.name or ""), storable(said.arguments or ""))
        for number, (call, said) in enumerate(calls, start=1)
    ]
