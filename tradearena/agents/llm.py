"""A prompt comes in, one structured request to a language model goes out through litellm, and its raw reply comes back
with what it took."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tradearena.agents.allowance import Estimate
from tradearena.agents.conversation import Reply
from tradearena.agents.faults import Fault, fault_of
from tradearena.agents.gateway import close_with_the_loop, hush, key_of, load, prices_of, ready
from tradearena.agents.messages import Messages, calls_of, heard, messages_of
from tradearena.agents.model import Model, Prices
from tradearena.agents.switchboard import Switchboard, request_key
from tradearena.agents.tools import calls_said, specifications
from tradearena.errors import AgentError
from tradearena.values import Call, Exchange

_UNSENT = {"max_retries", "stream", "fake_stream", "json_mode", "extra_body"}
"""What litellm keeps among the parameters for its own use. `extra_body` is sent, but as what it holds."""

_BROKEN_OFF = {
    "length", "content_filter",
    "error", "network_error", "abort", "model_length", "model_context_window_exceeded",
}  # fmt: skip
"""Finish reasons of a reply that ends before its end. litellm calls all but the first two "stop" and sets the original
aside."""

COUNTABLE = 2**31 - 1
"""More tokens than that, or fewer than none, are no count: what a service says is not taken on trust."""

LINE = 200
"""Characters of a parameter that is put on record as it is."""

_READ = ("response_format", "tools")
"""Of the parameters, those that a model reads."""


class Form(NamedTuple):
    """What a request carries beside the words, as litellm takes it; what of it is sent, as it is put on record; and the
    characters of it that a model reads."""

    request: dict[str, Any]
    parameters: str
    size: int


class LanguageModel:
    """A model in its seat: every prompt is one structured request, with the episode's seed where the model takes one,
    and further ones where it brought no reply. Tools are on offer for so many `rounds` of one conversation; where there
    are any the form of the answer is asked for in words alone, since not every service takes both. An `analyst` answers
    in words as well."""

    def __init__(
        self,
        model: Model,
        seed: int,
        board: Switchboard | None = None,
        schema: dict[str, Any] | None = None,
        *,
        tools: Sequence[str] = (),
        rounds: int = 0,
        analyst: str = "",
    ) -> None:
        self.model, self.seed, self.board, self.schema = model, seed, board or Switchboard(), schema
        self.tools, self.rounds, self.analyst = tools, rounds if tools else 0, analyst
        self._litellm: Any = None
        self._asking = self._closing = Form({}, "", 0)
        self._prices: Prices | None = None
        self._dice = random.Random(seed)  # noqa: S311  it spreads waiting times, and nothing else

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:
        """Ask, as often as the card allows. The first latency of a process contains up to half a second in which
        litellm gets ready.

        Raises:
            AgentError: there is no key, or no request brought a chat completion; with the requests that were made.
            Limited: what the run may spend is not enough for another request.
            Interrupted: a stop was asked for between two attempts.
        """
        if self._litellm is None:
            await ready()
            self.check()
        form = self._asking if sum(exchange.tools for exchange in before) < self.rounds else self._closing
        said = [system, *(text for exchange in before for text in (exchange.prompt, exchange.reply)), prompt]
        words = [hashlib.sha256(text.encode()).digest() for text in said]
        key = request_key(self.model.model, self.model.api_base, form.parameters, self.seed, words, self.analyst)
        if known := self.board.answered.get(key):
            call = known.call._replace(cost=0.0, reused=True)
            return Reply(known.text, broken_off(call.finish), (call,), known.tools)
        await close_with_the_loop(self._litellm)
        calls: list[Call] = []
        try:
            return await self._insist(messages_of(system, prompt, before), form, calls, len(before))
        except BaseException as error:  # whatever ends it, the requests were made
            error.calls = tuple(calls)  # type: ignore[attr-defined]
            raise

    async def _insist(self, messages: Messages, form: Form, calls: list[Call], turn: int) -> Reply:
        """Request until there is a reply; every request is listed."""
        board, lines = self.board, self.board.lines(self.model.model, self.model.api_base)
        most = self.most(sum(len(json.dumps(message, ensure_ascii=False).encode()) for message in messages))
        while True:
            async with board.allowance.reserved(most) as made, lines.connection() as fate:
                board.go_on()  # it may have waited long for its turn
                reply, fault = await self._attempt(messages, form, calls, turn)
                made.append(calls[-1]._replace(error=None) if fault and fault.answered else calls[-1])
                fate.append(fault.fate if fault else "well")
            if fault is None:
                return replace(reply, cut=broken_off(calls[-1].finish), calls=tuple(calls))
            if not fault.again or len(calls) >= self.model.attempts:
                tried = f"; {len(calls)} requests were made" if len(calls) > 1 else ""
                raise AgentError(f"{calls[-1].error}{tried}")  # outside of `except`: causes would carry the key along
            await board.pause(self._delay(len(calls), fault))

    def _delay(self, made: int, fault: Fault) -> float:
        """Seconds before the next request, after so many."""
        usual = min(self.model.backoff * 2.0 ** (made - 1), self.model.longest) * self._dice.uniform(0.5, 1.0)
        return max(usual, fault.wait or 0.0)

    def most(self, size: int) -> Estimate:
        """The most that a request of so many bytes may take, at a byte a token: numbers are cut into tokens of two
        bytes or fewer, and by some models into single digits. The form of the answer and the tools are read as well."""
        read, written = size + max(self._asking.size, self._closing.size) + 50, self.model.max_tokens
        return Estimate(read + written, self._prices.of(read, 0, written) if self._prices else 0.0)

    def check(self) -> None:
        """Find out what can be known without asking anybody, and fix what every request will carry.

        Raises:
            AgentError: litellm does not know the provider, the model takes no tools and has some, there is no key for
                it in the environment, or a price is needed and not known.
        """
        model, litellm = self.model, load()
        try:
            name, provider, *_ = litellm.get_llm_provider(model.model, api_base=model.api_base)
            takes_schema = bool(not self.analyst and litellm.supports_response_schema(name, provider))
        except litellm.BadRequestError:
            problem = "litellm knows no such model or provider; write provider/model, as in openai/gpt-4o-mini"
            raise AgentError(f"{model.model}: {problem}") from None
        if provider == "ollama":
            problem = "litellm says 'stop' of its replies that were cut off; write ollama_chat/ instead of ollama/"
            raise AgentError(f"{model.model}: {problem}")
        key = key_of(litellm, model)
        self._prices = prices_of(model)
        if self._prices is None and self.board.allowance.cost is not None:
            known = "give them in the card under [parameters.prices], or use --token-limit"
            raise AgentError(f"{model.model}: a limit of cost needs prices, and litellm's list has none; {known}")
        answer = {} if self.analyst else {"response_format": self._answer_form(takes_schema=takes_schema)}
        offered: dict[str, Any] = {}
        if self.tools:  # litellm would look for a gateway of its own that serves them, which takes another package
            offered = {"tools": specifications(self.tools), "_skip_mcp_handler": True}
        self._asking = self._form(litellm, name, provider, key, offered or answer)
        if offered and "tools" not in json.loads(self._asking.parameters):
            raise AgentError(f"{model.model}: takes no tools, as far as litellm knows; leave them out of the card")
        self._closing = self._asking
        if offered:
            self._closing = self._form(litellm, name, provider, key, {**offered, "tool_choice": "none"})
        if offered and "tool_choice" not in json.loads(self._closing.parameters):  # it could not be told not to call
            self._closing = self._form(litellm, name, provider, key, answer)
        self._litellm = litellm

    def _form(self, litellm: Any, name: str, provider: str, key: str | None, more: dict[str, Any]) -> Form:
        """What a request carries: the usual, and more."""
        wanted = {**self.model.model_dump(include={"temperature", "max_tokens"}), **more}
        wanted |= {"seed": self.seed, "drop_params": True}  # what the model does not take is left out
        asked = {key: value for key, value in wanted.items() if not key.startswith("_")}
        sent = litellm.get_optional_params(model=name, custom_llm_provider=provider, **asked)
        sent = {key: value for key, value in {**sent, **sent.get("extra_body", {})}.items() if key not in _UNSENT}
        request = {
            **wanted,
            "model": self.model.model,
            "api_base": self.model.api_base,
            "api_key": key,
            "timeout": self.model.timeout,
            "stream": False,
            "max_retries": 0,  # litellm, and the client below it, would each retry unseen
            "num_retries": 0,
        }
        size = len(json.dumps([request.get(part) for part in _READ]))
        return Form(request, json.dumps({key: _brief(value) for key, value in sent.items()}, sort_keys=True), size)

    def _answer_form(self, *, takes_schema: bool) -> dict[str, Any]:
        """What is asked of the form of a reply."""
        if not (takes_schema and self.model.structured and self.schema):
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": "decision", "strict": True, "schema": self.schema}}

    async def _attempt(
        self, messages: Messages, form: Form, calls: list[Call], turn: int
    ) -> tuple[Reply, Fault | None]:
        """One request, which is listed: what it brought, and what went wrong."""
        began = time.perf_counter()
        calls.append(Call(self.model.model, form.parameters, error=f"{self.model.model}: broken off"))
        try:
            reply, calls[-1], fault = await self._requested(messages, form, turn)
        finally:
            calls[-1] = calls[-1]._replace(latency=time.perf_counter() - began)
        return reply, fault

    async def _requested(self, messages: Messages, form: Form, turn: int) -> tuple[Reply, Call, Fault | None]:
        """What came of the request."""
        hush()
        model, call = self.model, Call(self.model.model, form.parameters)
        try:
            async with asyncio.timeout(model.timeout):  # litellm's own starts anew with every byte that arrives
                response = await self._litellm.acompletion(messages=messages, **form.request)
            if response.choices:
                return *self._read(call, response, turn, offered=form is self._asking), None
            said = "the answer is not a chat completion (it has no choices); check what answers at this address"
            fault = Fault(said, again=True, answered=True)
        except Exception as error:
            fault = fault_of(error, self._litellm, address=model.api_base, timeout=model.timeout, now=time.time())
        return Reply(""), call._replace(error=f"{model.model}: {fault.text}"), fault

    def _read(self, call: Call, response: Any, turn: int, *, offered: bool) -> tuple[Reply, Call]:
        """What a completion says, and the entry with what it says of itself. Calls of tools that were not on offer are
        not heard."""
        choice = response.choices[0]
        aside = getattr(choice, "provider_specific_fields", None) or {}
        reasons = [str(reason) for reason in (aside.get("native_finish_reason"), choice.finish_reason) if reason]
        answered = heard(response.model) if response.model else None
        call = call._replace(answered=answered, finish=heard(" ".join(reasons)))
        text = heard(choice.message.content or "")
        wanted = calls_of(choice.message, turn) if offered and self.tools else []
        reply = Reply(calls_said(wanted, text), tools=True) if wanted and not broken_off(call.finish) else Reply(text)
        return reply, self._counted(call, response)

    def _counted(self, call: Call, response: Any) -> Call:
        """The entry with tokens and cost; None where unknown, for which litellm writes 0, and where it cannot be: more
        tokens known from before than were read, or words of none. What is unknown is charged as the most."""
        usage = getattr(response, "usage", None)
        if not usage or not usage.prompt_tokens:  # no prompt has none: the service says nothing
            return call
        cached = getattr(usage.prompt_tokens_details, "cached_tokens", None)
        thought = getattr(usage.completion_tokens_details, "reasoning_tokens", None)
        counts = (usage.prompt_tokens, cached or 0, usage.completion_tokens, thought or 0)
        if not all(0 <= count <= COUNTABLE for count in counts) or counts[1] > counts[0]:
            return call
        if response.choices[0].message.content and not counts[2]:
            return call
        cost = None
        if not self.model.prices:
            cost = (getattr(response, "_hidden_params", None) or {}).get("response_cost") or None  # by litellm's list
        if cost is not None and not 0.0 <= cost < math.inf:
            cost = None
        if cost is None and self._prices:
            cost = self._prices.of(usage.prompt_tokens, cached or 0, usage.completion_tokens)
        return call._replace(
            input_tokens=usage.prompt_tokens,
            cached_tokens=cached,
            output_tokens=usage.completion_tokens,
            reasoning_tokens=thought,
            cost=cost,
        )


def _brief(value: Any) -> Any:
    """A parameter as it is put on record: one that is longer than a line, as a schema is, by its SHA-256."""
    text = json.dumps(value, sort_keys=True, default=str)
    return json.loads(text) if len(text) <= LINE else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def broken_off(finish: str | None) -> bool:
    """Does a reply with these finish reasons end before its end?"""
    return not _BROKEN_OFF.isdisjoint((finish or "").lower().split())
