"""A model comes in; one tiny request is made, as a run would make it; what works and what it costs goes out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from tradearena.agents.format import DEFAULT, schema_of
from tradearena.agents.gateway import listed_prices, load
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import Model, Prices
from tradearena.agents.reply import decision_in
from tradearena.errors import AgentError

SYSTEM = """You manage a portfolio of one symbol. Answer with one JSON object and nothing else:
{"target_weights": {"SYMBOL": 0.1}, "rationale": "why, in a few words", "confidence": 0.6}"""

PROMPT = "The symbol is TEST. Hold half of your portfolio in it."

_ALSO = {"gemini": "GOOGLE", "huggingface": "HF", "bedrock": "AWS", "sagemaker": "AWS"}
"""Other names under which the keys of a provider stand in the environment."""

_SAID = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True)
class Probed:
    """What is known of a model that has answered.

    Attributes:
        model: as asked for.
        answered: the name under which it answered, None where it did not say.
        key: is there a key of its provider in the environment?
        schema, tools: does it take a JSON schema, and tools? By litellm's list; None where it does not know the model.
        prices: by the card, or by litellm's list; None where neither says.
        seconds: it took to answer.
    """

    model: str
    answered: str | None
    key: bool
    schema: bool | None
    tools: bool | None
    prices: Prices | None
    seconds: float

    def __str__(self) -> str:
        """All of it in one line."""
        parts = [
            f"{self.model}: key ok" if self.key else f"{self.model}: no key, and none asked for",
            f"model answers as {self.answered}" if self.answered else "model answers without a name",
            f"JSON schema {_SAID[self.schema]}",
            f"tools {_SAID[self.tools]}",
            _price(self.prices),
            f"{self.seconds:.1f} s",
        ]
        return ", ".join(parts)


async def probe(model: Model) -> Probed:
    """Ask a model once, whatever its card says of further attempts.

    Raises:
        AgentError: it cannot be asked, does not answer, or not in a form that can be read.
    """
    once = model.model_copy(update={"attempts": 1})
    reply = await LanguageModel(once, 0, schema=schema_of(("TEST",), DEFAULT)).answer(SYSTEM, PROMPT)
    if reply.cut:
        cut = f"the reply was cut off before its end, with max_tokens = {model.max_tokens}"
        raise AgentError(f"{model.model}: {cut}; raise it in the card: thoughts count")
    decision = decision_in(reply.text, ("TEST",))
    if decision.status not in ("ok", "repaired"):
        raise AgentError(f"{model.model}: it answers, but {decision.reason}; a run with it would be INVALID")
    litellm, call = load(), reply.calls[-1]
    return Probed(
        model=model.model,
        answered=call.answered,
        key=_has_key(litellm.get_llm_provider(model.model, api_base=model.api_base)[1]),
        schema=_supported(litellm, litellm.supports_response_schema, model.model),
        tools=_supported(litellm, litellm.supports_function_calling, model.model),
        prices=model.prices or listed_prices(litellm, model.model),
        seconds=call.latency,
    )


def _has_key(provider: str) -> bool:
    """Is there a key under the provider's name in the environment?"""
    owners = tuple(f"{owner.upper()}_" for owner in (provider, _ALSO.get(provider, provider)))
    kinds = ("_KEY", "_KEY_ID", "_TOKEN")
    return any(name.startswith(owners) and name.endswith(kinds) and value.strip() for name, value in os.environ.items())


def _supported(litellm: Any, asked: Any, model: str) -> bool | None:
    """What litellm says of a model; its "no" counts where it knows the model."""
    try:
        litellm.get_model_info(model)
    except Exception:  # whatever comes where a model is not on the list
        return True if asked(model) else None
    return bool(asked(model))


def _price(prices: Prices | None) -> str:
    if prices is None:
        return "price unknown"
    return f"price {_dollars(prices.input)}/{_dollars(prices.output)} USD per million tokens"


def _dollars(price: float) -> str:
    return f"{price:.2f}" if round(price, 2) == round(price, 6) else f"{price:.4g}"
