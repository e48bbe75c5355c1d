"""What a model that is none answers: a text and its faults come in, a chat completion as OpenAI sends it goes out."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, count
from typing import Any, TypeAlias

Messages: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """How one request is answered, where it takes more than a text.

    Attributes:
        text: what the model says.
        finish: why it ended; by default "stop", or "tool_calls" where there are any.
        fields: replace fields of the completion; None takes one out.
        status: of HTTP.
        body: sent instead of a completion.
        wait: seconds before the first byte.
        drip: seconds between each of a thousand spaces, which JSON allows, ahead of the body.
        cut: the connection is closed in the middle of the body.
        headers: of the answer, such as Retry-After; they replace those of the same name.
        drop: the connection is closed before the first byte.
        reset: the same, and the connection is reset (TCP RST), as by a machine that fails.
        hang: the connection is closed before the first byte, after so many seconds; `math.inf`: when the server closes.
        cached: tokens of the prompt that are said to have been in a cache.
        reasoning: tokens of thought, said to be among those of the completion.
        tool_calls: names and arguments; arguments that are text are sent as they are.
    """

    text: str = ""
    finish: str | None = None
    fields: Mapping[str, Any] | None = None
    status: int = 200
    body: str | bytes | None = None
    wait: float = 0.0
    drip: float = 0.0
    cut: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    reset: bool = False
    hang: float = 0.0
    cached: int | None = None
    reasoning: int | None = None
    tool_calls: tuple[tuple[str, Mapping[str, Any] | str], ...] = ()


Reply: TypeAlias = Callable[[Messages], str | Answer]

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "429": {"status": 429, "body": '{"error": {"message": "slow down"}}', "headers": {"Retry-After": "0"}},
    "500": {"status": 500, "body": '{"error": {"message": "oops"}}'},
    "hang": {"hang": math.inf},
    "drop": {"drop": True},
    "reset": {"reset": True},
    "cut": {"cut": True},
    "garbage": {"body": b"<html>\xff\x00 502 Bad Gateway"},
    "drip": {"drip": 0.001},
}
"""What `chance` makes of an answer, by name."""


def sequence(first: str | Answer | Reply, *others: str | Answer | Reply) -> Reply:
    """Answer the first request so, each other with the next of `others`; the last answers all that come after it."""
    answers, numbers = (first, *others), count()

    def reply(messages: Messages) -> str | Answer:
        answer = answers[min(next(numbers), len(answers) - 1)]
        return answer(messages) if callable(answer) else answer

    return reply


def chance(seed: int, shares: Mapping[str, float], usual: Reply) -> Reply:
    """Answer as usual, but for a share of the requests, each with a fault of `FAULTS`. Which request meets which fault
    follows from the seed and its number alone.

    Raises:
        ValueError: a fault that is not known, or shares that are no shares.
    """
    if unknown := sorted(set(shares) - set(FAULTS)):
        raise ValueError(f"no fault named '{unknown[0]}'; known: {', '.join(FAULTS)}")
    if min(shares.values(), default=0) < 0 or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares are at least 0 and at most 1 together, not {dict(shares)}")
    bounds, numbers = dict(zip(shares, accumulate(shares.values()), strict=True)), count()

    def reply(messages: Messages) -> str | Answer:
        place = random.Random(f"{seed} {next(numbers)}").random()  # noqa: S311  # dice, no secret
        answer = usual(messages)
        fault = next((name for name, bound in bounds.items() if place < bound), None)
        if fault is None:
            return answer
        return replace(Answer(answer) if isinstance(answer, str) else answer, **FAULTS[fault])

    return reply


def completion(model: str, messages: Messages, answer: Answer, number: int = 1) -> dict[str, Any]:
    """A chat completion as OpenAI sends it; a token is a word. `number` makes its identifiers its own."""
    words = sum(len(str(message.get("content") or "").split()) for message in messages)
    said = len(answer.text.split()) + (answer.reasoning or 0)
    usage: dict[str, Any] = {"prompt_tokens": words, "completion_tokens": said, "total_tokens": words + said}
    if answer.cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": answer.cached}
    if answer.reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning}
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.tool_calls:
        message = {**message, "content": answer.text or None, "tool_calls": _tool_calls(answer, len(messages))}
    finish = answer.finish or ("tool_calls" if answer.tool_calls else "stop")
    whole = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    return {key: value for key, value in (whole | dict(answer.fields or {})).items() if value is not None}


def _tool_calls(answer: Answer, turn: int) -> list[dict[str, Any]]:
    """Their identifiers follow from the place in the conversation: a model that answers alike answers alike."""
    return [
        {
            "id": f"call_{turn}_{place}",
            "type": "function",
            "function": {"name": name, "arguments": said if isinstance(said, str) else json.dumps(dict(said))},
        }
        for place, (name, said) in enumerate(answer.tool_calls, start=1)
    ]
