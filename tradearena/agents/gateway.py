"""litellm: silent, confined and closed with its event loop; what it knows of keys, prices and tokens. The one module
that imports it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import AsyncGenerator
from typing import Any

from tradearena.agents.keys import guard
from tradearena.agents.model import Model, Prices
from tradearena.errors import AgentError

_loading = threading.Lock()
_loaded = False
_endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}


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
        again = listed.get("cache_read_input_token_cost")
        found = Prices(
            input=listed["input_cost_per_token"] * 1e6,
            output=listed["output_cost_per_token"] * 1e6,
            cached=None if again is None else again * 1e6,
        )
    except Exception:  # whatever comes where a model is not on the list
        return None
    return found if found.input or found.output else None


def quoted(model: Model) -> dict[str, Any]:
    """The prices in force of a model, for the record, in US dollars per million tokens, and where they are from: its
    card, or litellm's list, of which every price stands there as it is, a token. None where neither has any."""
    prices = prices_of(model)
    said = prices.model_dump() if prices else dict.fromkeys(Prices.model_fields)
    if prices is None or model.prices:
        return {"model": model.model, **said, "from": "card" if prices else None}
    listed = load().get_model_info(model.model)
    rest = {name: price for name, price in sorted(listed.items()) if "cost" in name and price}
    return {"model": model.model, **said, "from": "litellm", "listed": rest}


async def ready() -> None:
    """Returns when litellm is there. It is imported in a thread: that takes seconds, and what it opens belongs to no
    event loop. Once it is there no thread is asked: beside a busy loop each would wait long for its turn."""
    if not _loaded:
        await asyncio.to_thread(load)


def load() -> Any:
    """litellm, silent and confined: it calls nobody but the model."""
    global _loaded
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import fetches a list of prices,
    os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"  # and a request to Anthropic one of headers
    os.environ["LITELLM_MODE"] = "PRODUCTION"  # else it reads a .env file, and nobody knows whose key was used
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL + 1)
    with _loading, warnings.catch_warnings():  # the lock: filters saved in two threads are restored in any order
        warnings.simplefilter("ignore")
        new = "litellm" not in sys.modules
        import litellm

        if new:  # looking for garbage among its 300,000 objects would stop all episodes for 0.2 s, time and again
            gc.collect()
            gc.freeze()
            atexit.register(gc.unfreeze)  # else modules that are torn down last complain of leaks
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        AsyncHTTPHandler.single_connection_post_request = _not_again  # type: ignore[method-assign]
    hush()
    litellm.suppress_debug_info = litellm.disable_hf_tokenizer_download = _loaded = True
    return litellm


async def _not_again(*_: object, **__: object) -> Any:
    """Stands in for what litellm does where a connection broke: it would send the request once more, unseen, which the
    service may charge for. Raises what it handles."""
    raise sys.exception() or RuntimeError("a request is not repeated unseen")


def hush() -> None:
    """Ignore what litellm warns of while it works, of itself and its types: warnings may be errors here. As
    `catch_warnings` is not for code that waits or runs in threads, and undoes these filters where others use it, they
    name their target and are set again for each request."""
    warnings.filterwarnings("ignore", module=r"litellm(\.|$)")
    warnings.filterwarnings("ignore", message=r"(?s).*`ReadOnly` qualifier|Pydantic serializer warnings")


async def close_with_the_loop(litellm: Any) -> None:
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


def key_of(litellm: Any, model: Model) -> str | None:
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
