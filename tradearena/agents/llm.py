"""A prompt comes in, one structured request to a language model goes out through litellm, and its raw reply comes back
with what it took. The one module that imports litellm."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import random
import threading
import time
import warnings
from collections.abc import AsyncGenerator
from typing import Any

from tradearena.agents.allowance import Estimate
from tradearena.agents.answer import storable
from tradearena.agents.faults import Fault, fault_of
from tradearena.agents.keys import guard
from tradearena.agents.model import Model, Prices
from tradearena.agents.switchboard import Switchboard, request_key
from tradearena.agents.talker import Reply
from tradearena.errors import AgentError
from tradearena.values import Call

_UNSENT = {"max_retries", "stream", "fake_stream", "json_mode", "extra_body"}
"""What litellm keeps among the parameters for its own use. `extra_body` is sent, but as what it holds."""

_BROKEN_OFF = {"length", "content_filter", "error", "network_error"}
"""Finish reasons of a reply that ends before its end. litellm calls the last two "stop" and sets the original aside."""

COUNTABLE = 2**31 - 1
"""More tokens than that, or fewer than none, are no count: what a service says is not taken on trust."""

LINE = 200
"""Characters of a parameter that is put on record as it is."""

_loading = threading.Lock()
_endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}


class LanguageModel:
    """A model in its seat: every prompt is one structured request, with the episode's seed where the model takes one,
    and further ones where it brought no reply."""

    def __init__(
        self, model: Model, seed: int, board: Switchboard | None = None, schema: dict[str, Any] | None = None
    ) -> None:
        self.model, self.seed, self.board, self.schema = model, seed, board or Switchboard(), schema
        self._litellm: Any = None
        self._request: dict[str, Any] = {}
        self._parameters = ""
        self._prices: Prices | None = None
        self._dice = random.Random(seed)  # noqa: S311  it spreads waiting times, and nothing else

    async def answer(self, system: str, prompt: str) -> Reply:
        """Ask, as often as the card allows. The first latency of a process contains up to half a second in which
        litellm gets ready.

        Raises:
            AgentError: there is no key, or no request brought a chat completion; with the requests that were made.
            Limited: what the run may spend is not enough for another request.
            Interrupted: a stop was asked for between two attempts.
        """
        if self._litellm is None:  # in a thread: the import takes seconds, and what it opens belongs to no event loop
            await asyncio.to_thread(self.check)
        words = [hashlib.sha256(text.encode()).digest() for text in (system, prompt)]
        if known := self.board.answered.get(
            request_key(self.model.model, self.model.api_base, self._parameters, self.seed, *words)
        ):
            return Reply(known.text, broken_off(known.call.finish), (known.call._replace(cost=0.0, reused=True),))
        await _close_with_the_loop(self._litellm)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        calls: list[Call] = []
        try:
            return await self._insist(messages, calls)
        except BaseException as error:  # whatever ends it, the requests were made
            error.calls = tuple(calls)  # type: ignore[attr-defined]
            raise

    async def _insist(self, messages: list[dict[str, str]], calls: list[Call]) -> Reply:
        """Request until there is a reply; every request is listed."""
        board, lines = self.board, self.board.lines(self.model.model, self.model.api_base)
        most = self.most(sum(len(message["content"].encode()) for message in messages))
        while True:
            async with board.allowance.reserved(most) as made, lines.connection() as fate:
                board.go_on()  # it may have waited long for its turn
                text, call, fault = await self._attempt(messages, calls)
                made.append(call)
                fate.append(fault.fate if fault else "well")
            if fault is None:
                return Reply(text, broken_off(call.finish), tuple(calls))
            if not fault.again or len(calls) >= self.model.attempts:
                tried = f"; {len(calls)} requests were made" if len(calls) > 1 else ""
                raise AgentError(f"{call.error}{tried}")  # outside of any `except`: causes would carry the key along
            await board.pause(self._delay(len(calls), fault))

    def _delay(self, made: int, fault: Fault) -> float:
        """Seconds before the next request, after so many."""
        usual = min(self.model.backoff * 2.0 ** (made - 1), self.model.longest) * self._dice.uniform(0.5, 1.0)
        return max(usual, fault.wait or 0.0)

    def most(self, size: int) -> Estimate:
        """The most that a request of so many bytes may take, at a byte a token: numbers are cut into tokens of two
        bytes or fewer, and by some models into single digits. The form of the answer is read as well."""
        read, written = size + len(json.dumps(self._request["response_format"])) + 50, self.model.max_tokens
        return Estimate(read + written, self._prices.of(read, 0, written) if self._prices else 0.0)

    def check(self) -> None:
        """Find out what can be known without asking anybody, and fix what every request will carry.

        Raises:
            AgentError: litellm does not know the provider, there is no key for it in the environment, or a price is
                needed and not known.
        """
        model, litellm = self.model, load()
        wanted = model.model_dump(include={"temperature", "max_tokens"})
        wanted |= {"seed": self.seed, "drop_params": True}  # what the model does not take is left out
        try:
            name, provider, *_ = litellm.get_llm_provider(model.model, api_base=model.api_base)
            wanted["response_format"] = self._form(litellm.supports_response_schema(name, provider))
            sent = litellm.get_optional_params(model=name, custom_llm_provider=provider, **wanted)
        except litellm.BadRequestError:
            problem = "litellm knows no such model or provider; write provider/model, as in openai/gpt-4o-mini"
            raise AgentError(f"{model.model}: {problem}") from None
        if provider == "ollama":
            problem = "litellm says 'stop' of its replies that were cut off; write ollama_chat/ instead of ollama/"
            raise AgentError(f"{model.model}: {problem}")
        key = _key(litellm, model)
        self._prices = prices_of(model)
        if self._prices is None and self.board.allowance.cost is not None:
            known = "give them in the card under [parameters.prices], or use --token-limit"
            raise AgentError(f"{model.model}: a limit of cost needs prices, and litellm's list has none; {known}")
        self._request = {
            **wanted,
            "model": model.model,
            "api_base": model.api_base,
            "api_key": key,
            "timeout": model.timeout,
            "stream": False,
            "max_retries": 0,  # litellm, and the client below it, would each retry unseen
            "num_retries": 0,
        }
        sent = {key: value for key, value in {**sent, **sent.get("extra_body", {})}.items() if key not in _UNSENT}
        self._parameters = json.dumps({key: _brief(value) for key, value in sent.items()}, sort_keys=True)
        self._litellm = litellm

    def _form(self, takes_schema: bool) -> dict[str, Any]:  # noqa: FBT001  litellm's answer
        """What is asked of the form of a reply."""
        if not (takes_schema and self.model.structured and self.schema):
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": "decision", "strict": True, "schema": self.schema}}

    async def _attempt(self, messages: list[dict[str, str]], calls: list[Call]) -> tuple[str, Call, Fault | None]:
        """One request: the text it brought, its entry in the record, which is listed, and what went wrong."""
        began = time.perf_counter()
        calls.append(Call(self.model.model, self._parameters, error=f"{self.model.model}: broken off"))
        try:
            text, call, fault = await self._requested(messages)
        finally:
            latency = time.perf_counter() - began
            calls[-1] = calls[-1]._replace(latency=latency)
        calls[-1] = call._replace(latency=latency)
        return text, calls[-1], fault

    async def _requested(self, messages: list[dict[str, str]]) -> tuple[str, Call, Fault | None]:
        """What came of the request."""
        _hush()
        model, call = self.model, Call(self.model.model, self._parameters)
        try:
            async with asyncio.timeout(model.timeout):  # litellm's own starts anew with every byte that arrives
                response = await self._litellm.acompletion(messages=messages, **self._request)
            if response.choices:
                return *self._read(call, response), None
            said = "the answer is not a chat completion (it has no choices); check what answers at this address"
            fault = Fault(said, again=True)
        except Exception as error:
            fault = fault_of(error, self._litellm, address=model.api_base, timeout=model.timeout, now=time.time())
        return "", call._replace(error=f"{model.model}: {fault.text}"), fault

    def _read(self, call: Call, response: Any) -> tuple[str, Call]:
        """The text of a completion, and the entry with what it says of itself."""
        choice = response.choices[0]
        aside = getattr(choice, "provider_specific_fields", None) or {}
        reasons = [str(reason) for reason in (aside.get("native_finish_reason"), choice.finish_reason) if reason]
        call = call._replace(answered=storable(response.model) if response.model else None, finish=" ".join(reasons))
        return storable(choice.message.content or ""), self._counted(call, response)

    def _counted(self, call: Call, response: Any) -> Call:
        """The entry with tokens and cost; None where unknown, for which litellm writes 0."""
        usage = getattr(response, "usage", None)
        if not usage or not usage.prompt_tokens:  # no prompt has none: the service says nothing
            return call
        cached = getattr(usage.prompt_tokens_details, "cached_tokens", None)
        thought = getattr(usage.completion_tokens_details, "reasoning_tokens", None)
        counts = (usage.prompt_tokens, cached or 0, usage.completion_tokens, thought or 0)
        if not all(0 <= count <= COUNTABLE for count in counts):
            return call
        cost = None
        if not self.model.prices:
            cost = (getattr(response, "_hidden_params", None) or {}).get("response_cost") or None  # by litellm's list
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


def tokens_in(model: str, text: str) -> int:
    """Tokens of a text, by the model's own way of counting where litellm knows it, else by a usual one."""
    return int(load().token_counter(model=model, text=text))


def prices_of(model: Model) -> Prices | None:
    """The prices of the card, or those of litellm's list; None where neither has any."""
    return model.prices or listed_prices(load(), model.model)


def listed_prices(litellm: Any, model: str) -> Prices | None:
    """A model's prices by litellm's list, None where they are not on it; nothing is free there but what is unknown."""
    try:
        listed = litellm.get_model_info(model)
        found = Prices(input=listed["input_cost_per_token"] * 1e6, output=listed["output_cost_per_token"] * 1e6)
    except Exception:  # whatever comes where a model is not on the list
        return None
    return found if found.input or found.output else None


def load() -> Any:
    """litellm, silent and confined: it calls nobody but the model."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import fetches a list of prices,
    os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"  # and a request to Anthropic one of headers
    os.environ["LITELLM_MODE"] = "PRODUCTION"  # else it reads a .env file, and nobody knows whose key was used
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL + 1)
    with _loading, warnings.catch_warnings():  # the lock: filters saved in two threads are restored in any order
        warnings.simplefilter("ignore")
        import litellm
    _hush()
    litellm.suppress_debug_info = litellm.disable_hf_tokenizer_download = True
    return litellm


def _hush() -> None:
    """Ignore what litellm warns of while it works, of itself and its types: warnings may be errors here. As
    `catch_warnings` is not for code that waits or runs in threads, and undoes these filters where others use it, they
    name their target and are set again for each request."""
    warnings.filterwarnings("ignore", module=r"litellm(\.|$)")
    warnings.filterwarnings("ignore", message=r"(?s).*`ReadOnly` qualifier|Pydantic serializer warnings")


async def _close_with_the_loop(litellm: Any) -> None:
    """See to it that litellm's connections are closed when the running event loop ends.

    litellm keeps them by the id of their loop and never closes them: they complain when collected, and a later loop
    with the same id is handed dead ones. When it ends, `asyncio.run` closes every asynchronous generator that is
    still open, so one is left open here that does the closing.
    """
    loop = asyncio.get_running_loop()
    if loop in _endings:
        return

    async def ending() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            del _endings[loop]
            clients = litellm.in_memory_llm_clients_cache.cache_dict
            for key in [key for key in clients if key.endswith(f"-{id(loop)}")]:
                with contextlib.suppress(Exception):  # the replies are in: a connection that will not close costs none
                    await clients.pop(key).close()

    _endings[loop] = ending()
    await anext(_endings[loop])


def _key(litellm: Any, model: Model) -> str | None:
    """The key to send; None where litellm finds the provider's own in the environment.

    Raises:
        AgentError: there is none, and the model is not at an address of the user's.
    """
    if model.key is not None:
        if value := os.environ.get(model.key, "").strip():
            guard(model.key)
            return value
        raise AgentError(f"{model.model}: no key in the environment; set {model.key}")
    missing = _missing_keys(litellm, model.model)
    if missing and model.api_base is None:
        raise AgentError(f"{model.model}: no key in the environment; set {' or '.join(missing)}")
    return "no-key" if missing else None  # servers at home ask for none, clients do


def _missing_keys(litellm: Any, model: str) -> list[str]:
    """Environment variables that could hold the key, if none of them does. Only keys count: litellm also lists
    addresses that have a default, and what a cloud keeps in a profile."""
    for name in [name for name, value in os.environ.items() if name.endswith("_API_KEY") and not value.strip()]:
        del os.environ[name]  # litellm would take a blank for a key
    missing: list[str] = litellm.validate_environment(model)["missing_keys"]
    return [name for name in missing if name.endswith(("_API_KEY", "_API_TOKEN"))]
