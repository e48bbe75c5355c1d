"""A prompt comes in, one structured request to a language model goes out through litellm, and its raw reply comes back
with what it took. The one module that imports litellm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from pydantic import Field

from tradearena.agents.answer import storable
from tradearena.agents.talker import Reply
from tradearena.cards import Card
from tradearena.errors import AgentError
from tradearena.values import Call

_UNSENT = {"max_retries", "stream", "fake_stream", "json_mode", "extra_body"}
"""What litellm keeps among the parameters for its own use. `extra_body` is sent, but as what it holds."""

_BROKEN_OFF = {"length", "content_filter", "error", "network_error"}
"""Finish reasons of a reply that ends before its end. litellm calls the last two "stop" and sets the original aside."""

_loading = threading.Lock()
_endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}


class Model(Card):
    """Which model is asked, and how.

    Attributes:
        model: any name litellm knows, `provider/model`.
        max_tokens: of one reply; of a model that thinks first, its thoughts count.
        timeout: seconds after which a reply that is not complete is given up.
        api_base: an address that speaks OpenAI's protocol. Cards are on record, so it may not carry a password.
    """

    model: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 2000
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    api_base: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")] | None = None


class LanguageModel:
    """A model in its seat: every prompt is one request, with the episode's seed where the model takes one."""

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.seed = model, seed
        self._litellm: Any = None
        self._request: dict[str, Any] = {}
        self._parameters = ""

    async def answer(self, system: str, prompt: str) -> Reply:
        """Ask once. The first latency of a process contains up to half a second in which litellm gets ready.

        Raises:
            AgentError: there is no key, or the request brought no chat completion.
        """
        if self._litellm is None:  # in a thread: the import takes seconds, and what it opens belongs to no event loop
            await asyncio.to_thread(self.check)
        await _close_with_the_loop(self._litellm)
        reply, call = await self._attempt([{"role": "system", "content": system}, {"role": "user", "content": prompt}])
        if reply is None:
            raise AgentError(call.error)  # outside of any `except`: a chain of causes would carry the key along
        return reply

    def check(self) -> None:
        """Find out what can be known without asking anybody, and fix what every request will carry.

        Raises:
            AgentError: litellm does not know the provider, or there is no key for it in the environment.
        """
        model, litellm = self.model, _load()
        wanted = model.model_dump(include={"temperature", "max_tokens"})
        wanted |= {"seed": self.seed, "response_format": {"type": "json_object"}}
        wanted["drop_params"] = True  # what the model does not take is left out
        try:
            name, provider, *_ = litellm.get_llm_provider(model.model, api_base=model.api_base)
            sent = litellm.get_optional_params(model=name, custom_llm_provider=provider, **wanted)
        except litellm.BadRequestError:
            problem = "litellm knows no such model or provider; write provider/model, as in openai/gpt-4o-mini"
            raise AgentError(f"{model.model}: {problem}") from None
        missing = _missing_keys(litellm, model.model)
        if missing and model.api_base is None:
            raise AgentError(f"{model.model}: no key in the environment; set {' or '.join(missing)}")
        self._request = {
            **wanted,
            "model": model.model,
            "api_base": model.api_base,
            "api_key": "no-key" if missing else None,  # servers at home ask for none, clients do; None: the environment
            "timeout": model.timeout,
            "stream": False,
            "max_retries": 0,  # litellm, and the client below it, would each retry unseen
            "num_retries": 0,
        }
        sent = {key: value for key, value in {**sent, **sent.get("extra_body", {})}.items() if key not in _UNSENT}
        self._parameters = json.dumps(sent, sort_keys=True, default=str)
        self._litellm = litellm

    async def _attempt(self, messages: list[dict[str, str]]) -> tuple[Reply | None, Call]:
        """One request: what it brought, None if it failed, and its entry in the record."""
        _hush()
        began, response, problem = time.perf_counter(), None, ""
        try:
            async with asyncio.timeout(self.model.timeout):  # litellm's own starts anew with every byte that arrives
                response = await self._litellm.acompletion(messages=messages, **self._request)
        except Exception as error:
            problem = _diagnosis(error, self._litellm, self.model)
        latency = time.perf_counter() - began
        if response is not None and not response.choices:
            problem = "the answer is not a chat completion (it has no choices); check what answers at this address"
        name = storable(getattr(response, "model", None) or self.model.model)
        call = Call(name, self._parameters, *_spent(self._litellm, response), latency, None)
        if response is None or problem:
            return None, call._replace(error=f"{self.model.model}: {problem}")
        choice = response.choices[0]
        aside = getattr(choice, "provider_specific_fields", None) or {}
        reasons = {choice.finish_reason, str(aside.get("native_finish_reason")).lower()}
        return Reply(storable(choice.message.content or ""), not _BROKEN_OFF.isdisjoint(reasons), (call,)), call


def _load() -> Any:
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


def _missing_keys(litellm: Any, model: str) -> list[str]:
    """Environment variables that could hold the key, if none of them does. Only keys count: litellm also lists
    addresses that have a default, and what a cloud keeps in a profile."""
    for name in [name for name, value in os.environ.items() if name.endswith("_API_KEY") and not value.strip()]:
        del os.environ[name]  # litellm would take a blank for a key
    missing: list[str] = litellm.validate_environment(model)["missing_keys"]
    return [name for name in missing if name.endswith(("_API_KEY", "_API_TOKEN"))]


def _spent(litellm: Any, response: Any) -> tuple[int | None, int | None, float | None]:
    """Tokens in, tokens out and US dollars by litellm's price list; None where unknown, for which litellm writes 0."""
    usage = getattr(response, "usage", None)
    if not usage or not usage.prompt_tokens:  # no prompt has none: the service says nothing
        return None, None, None
    try:
        cost = float(litellm.completion_cost(response))
    except Exception:  # whatever comes where a model is not on the list
        cost = 0.0
    return usage.prompt_tokens, usage.completion_tokens, cost or None


def _diagnosis(error: Exception, litellm: Any, model: Model) -> str:
    """What went wrong with a request, and what to do about it.

    litellm calls half of everything an internal server error; what happened on the wire stands further down the chain
    of causes, where the clients of all providers use httpx.
    """
    import httpx

    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    said = _said(error)
    status = next((link.response.status_code for link in chain if isinstance(link, httpx.HTTPStatusError)), None)
    if status is None:
        if any(isinstance(link, TimeoutError | httpx.TimeoutException) for link in chain):
            return f"no complete reply within {model.timeout:g} s; raise timeout in the card, or try again"
        if any(isinstance(link, OSError | httpx.TransportError) for link in chain):
            lost = f"{model.api_base or 'the service'} cannot be reached, or hung up"
            return f"{lost} ({_said(chain[-1])}); check the network and the address"
        status = int(getattr(error, "status_code", None) or 500)
        status = 0 if status == 500 else status  # 500 is what litellm makes of an answer it cannot read
    if status < 400:
        return f"the answer is not a chat completion ({said}); check what answers at this address"
    what, remedy = _refusal(status, error, said, litellm)
    return f"{what} (status {status}: {said}); {remedy}"


def _refusal(status: int, error: Exception, said: str, litellm: Any) -> tuple[str, str]:
    """What an HTTP status means, and what to do about it."""
    overlong = re.search("context.?(length|window|size)", said, re.IGNORECASE)  # litellm knows some wordings only
    if overlong or isinstance(error, litellm.ContextWindowExceededError):
        return "the prompt is longer than the model can read", "show it fewer bars or symbols, or ask another model"
    if isinstance(error, litellm.AuthenticationError) or status in (401, 403):
        return "the key was refused", "check the key in the environment, and what it may use"
    if status == 404:
        return "there is no such model", "check its name, and api_base if the card has one"
    if status in (402, 429):
        return "too many requests, or no credit left", "wait, or raise the limit at the provider"
    if status >= 500 or status == 408:
        return "the service failed", "try again later"
    return "the request was refused", "check the parameters of the card"


def _said(error: BaseException) -> str:
    """What the other side said, as one short line, without litellm's preamble and without any key."""
    text = " ".join(str(error).split())
    named = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
    secrets = [value for name, value in os.environ.items() if named.search(name) and len(value) >= 6]
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(secret, "[key]")
    text = text.rpartition("Exception - ")[2].partition(" Traceback ")[0]
    text = re.sub(r"^((litellm\.)?\w*(Error|Timeout): |LiteLLM: |Error code: \d+$)+", "", text)
    return storable(text if len(text) <= 200 else f"{text[:200]}...") or "nothing more said"
