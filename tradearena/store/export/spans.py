"""Episodes as OpenTelemetry traces: episodes come in, lines of OTLP/JSON go out, after the GenAI semantic conventions.

A trace is an episode, with one span for it, one below it for each step (`invoke_agent NAME`), and below that one for
each request (`chat MODEL`), or for each exchange of one that makes none. Of clock times only the beginning of an
episode is on record, and how long each step and request took: spans follow each other from there without a gap, and say
`tradearena.time.synthetic`.

Source: opentelemetry.io/docs/specs/semconv/gen-ai (in development; attributes as of July 2026), and for the form of
the file opentelemetry.io/docs/specs/otel/protocol/file-exporter.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tradearena import __version__
from tradearena.store.export.chapter import Chapter, line
from tradearena.store.export.chats import conversations, spoken
from tradearena.values import Exchange

INTERNAL, CLIENT = 1, 3
"""Kinds of a span."""

FAILED = 2
"""Status of a span."""

PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""What the conventions call those whom litellm calls otherwise."""

_SENT = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
}
_COUNTED = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


_OF_STEP = ("status", "reason", "kept", "rationale", "confidence", "told", "nav", "gross", "distance")


class Request(NamedTuple):
    """What one span below a step is of: a request, and the conversation it went on with, up to the reply it was made
    for. Either may be unknown: organisms make no requests, and a request may have brought nothing."""

    call: dict[str, Any] | None
    talk: list[Exchange]

    @property
    def answered(self) -> bool:
        """Did it bring the last reply?"""
        return bool(self.talk) and (self.call is None or self.call["error"] is None)


def trace_of(chapter: Chapter) -> str:
    """What names the trace of an episode: its id alone may be that of an episode on other bars."""
    return f"{chapter.reader.experiment().id}/{chapter.row.id}"


class Spans:
    """One line per step, and one per episode for the span of all of it."""

    def __init__(self, path: Path) -> None:
        self.rows = {"traces": 0, "spans": 0}
        self._file = path.open("w", encoding="ascii", newline="\n")

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        row, calls = chapter.row, chapter.by_step("calls")
        began = now = round(datetime.fromisoformat(row.started_at).timestamp()) * 10**9
        columns = chapter.rows_of("steps")
        every = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        steps = {step["t"]: step for step in every}
        for t in sorted({*steps, *chapter.said, *calls}):
            spans, now = _step(chapter, t, steps.get(t), calls.get(t, []), now)
            self._write(spans)
        told = {
            "gen_ai.agent.name": row.agent,
            "gen_ai.conversation.id": row.id,
            "tradearena.dataset": chapter.reader.experiment().name,
            **{f"tradearena.{name}": getattr(row, name) for name in ("feedback", "seed", "status", "root_hash")},
        }
        error = row.error if row.status == "error" else None
        self._write([_span(trace_of(chapter), (), f"episode {row.agent}", INTERNAL, (began, now), told, error)])
        self.rows["traces"] += 1

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def _write(self, spans: list[dict[str, Any]]) -> None:
        resource = {"attributes": _attributes({"service.name": "tradearena", "service.version": __version__})}
        scope = {"name": "tradearena", "version": __version__}
        parts = {"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}
        self._file.write(line({"resourceSpans": [parts]}))
        self.rows["spans"] += len(spans)


def _step(
    chapter: Chapter, t: int, step: dict[str, Any] | None, calls: list[dict[str, Any]], begin: int
) -> tuple[list[dict[str, Any]], int]:
    """The spans of a step, and when it ended; of one that was not reached the requests that were made for it."""
    row, trace, now = chapter.row, trace_of(chapter), begin
    below: list[dict[str, Any]] = []
    for request in _requests(chapter.said.get(t, []), calls):
        call = request.call or {}
        end = now + round(1e9 * (call.get("latency") or 0.0))
        attributes = {**_asked(call), **_words(chapter, t, request)}
        name = f"chat {attributes.get('gen_ai.request.model') or row.agent}"
        kind = CLIENT if call else INTERNAL  # an organism speaks in this very process
        below.append(_span(trace, (t, len(below)), name, kind, (now, end), attributes, call.get("error")))
        now = end
    found = step or {}
    now = max(now, begin + round(1e9 * found.get("latency", 0.0)))
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": row.agent,
        "gen_ai.conversation.id": row.id,
        "tradearena.t": t,
        "tradearena.bar.end": found.get("time"),
        **{f"tradearena.{name}": found.get(name) for name in _OF_STEP},
    }
    return [_span(trace, (t,), f"invoke_agent {row.agent}", INTERNAL, (begin, now), attributes), *below], now


def _requests(said: Sequence[Exchange], calls: list[dict[str, Any]]) -> Iterator[Request]:
    """The requests of a step in turn, and the exchanges that took none."""
    talks = {start + i: talk[: i + 1] for start, talk in conversations(said) for i in range(len(talk))}
    for place in sorted({*talks, *(call["exchange"] for call in calls)}):
        made = [call for call in calls if call["exchange"] == place]
        yield from (Request(call, talks.get(place, [])) for call in made or (None,))


def _asked(call: dict[str, Any]) -> dict[str, Any]:
    """What a request says of itself."""
    if not call:
        return {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "tradearena"}
    provider, _, model = call["model"].rpartition("/")
    provider = provider.partition("/")[0] or "litellm"
    sent = call["parameters"] if isinstance(call["parameters"], dict) else {}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
        **{named: sent.get(name) for name, named in _SENT.items() if name in sent},
        "gen_ai.output.type": "json" if "response_format" in sent else None,
        "gen_ai.response.model": call["answered"],
        "gen_ai.response.finish_reasons": [_finish(call)] if call["finish"] else None,
        **{named: call[name] for name, named in _COUNTED.items()},
        "tradearena.model": call["model"],
        "tradearena.cost_usd": call["cost"],
        "tradearena.reused": call["reused"],
    }


def _words(chapter: Chapter, t: int, request: Request) -> dict[str, Any]:
    """What was said in a request and answered to it, as far as it is known."""
    about = {"gen_ai.conversation.id": chapter.row.id, "tradearena.t": t}
    if not request.talk:
        return about
    *asked, reply = spoken(chapter, t, request.talk)
    about["gen_ai.agent.name"] = request.talk[-1].speaker or chapter.row.agent
    about["gen_ai.input.messages"] = json.dumps([_message(each) for each in asked])
    if request.answered:
        finish = _finish(request.call) if request.call and request.call["finish"] else "stop"
        about["gen_ai.output.messages"] = json.dumps([{**_message(reply), "finish_reason": finish}])
    return about


def _finish(call: dict[str, Any]) -> str:
    """The last word on why a reply ended: where a service has words of its own, these come before the usual one."""
    return str(call["finish"]).split()[-1]


def _message(said: dict[str, Any]) -> dict[str, Any]:
    """A message of a chat in the parts of the conventions."""
    if said["role"] == "tool":
        answer = {"type": "tool_call_response", "id": said["tool_call_id"], "response": said["content"]}
        return {"role": "tool", "parts": [answer]}
    parts = [{"type": "text", "content": said["content"]}] if said["content"] else []
    calls = [{"type": "tool_call", "id": call["id"], **call["function"]} for call in said.get("tool_calls", ())]
    return {"role": said["role"], "parts": [*parts, *calls]}


def _span(
    trace: str,
    place: tuple[int, ...],
    name: str,
    kind: int,
    times: tuple[int, int],
    attributes: dict[str, Any],
    error: str | None = None,
) -> dict[str, Any]:
    """One span: `place` is the bar of its step, and the number of its request; none for the whole episode."""
    told = {**attributes, "tradearena.time.synthetic": True}
    span = {
        "traceId": _id(16, trace),
        "spanId": _id(8, trace, *place),
        **({"parentSpanId": _id(8, trace, *place[:-1])} if place else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": _attributes({**told, "error.type": _kind_of(error) if error else None}),
    }
    return {**span, "status": {"code": FAILED, "message": error}} if error else span


def _kind_of(error: str) -> str:
    """A class of errors, out of the sentence on record."""
    if status := re.search(r"\(status (\d{3})", error):
        return status[1]
    kinds = {"no complete reply within": "timeout", "cannot be reached": "unreachable", "broken off": "cancelled"}
    return next((kind for words, kind in kinds.items() if words in error), "_OTHER")


def _id(size: int, *named: object) -> str:
    """The identifier of a trace or span: the same in every export, and never all zeros."""
    return hashlib.sha256("/".join(map(str, named)).encode()).hexdigest()[: 2 * size]


def _attributes(named: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes that are known, as OTLP/JSON has them: whole numbers are strings there."""
    return [{"key": key, "value": _value(value)} for key, value in named.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}
