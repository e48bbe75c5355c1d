"""The parameters of a card of kind `llm` come in; which model is asked, how patiently and at what price goes out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tradearena.cards import Card


class Prices(Card):
    """US dollars per million tokens; what was read before costs as much as what was not, unless it is said."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached: Annotated[float, Field(ge=0)] | None = None

    def of(self, read: int, cached: int, written: int) -> float:
        """What so many tokens cost; those read before are among the read."""
        again = self.input if self.cached is None else self.cached
        return ((read - cached) * self.input + cached * again + written * self.output) / 1e6


class Model(Card):
    """Which model is asked, and how.

    Attributes:
        model: any name litellm knows, `provider/model`.
        max_tokens: of one reply; of a model that thinks first, its thoughts count.
        structured: whether the form of the answer is given as a JSON schema, to a model that takes one; else it stands
            in the instructions alone.
        api_base: an address that speaks OpenAI's protocol. Cards are on record, so it may not carry a password.
        key: name of the environment variable that holds the key, where it is not the provider's own.
        timeout: seconds after which a reply that is not complete is given up.
        attempts: requests for one reply, if those before it brought none.
        backoff: seconds before the second of them; they double, up to `longest`, and vary by half. A service that says
            when to come back is taken at its word.
        prices: where they are not those of litellm's list, or it has none.
    """

    model: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 2000
    structured: bool = True
    api_base: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")] | None = None
    key: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 6
    backoff: Annotated[float, Field(ge=0, le=60)] = 1.0
    longest: Annotated[float, Field(ge=0, le=3600)] = 60.0
    prices: Prices | None = None


PATIENCE = frozenset({"timeout", "attempts", "backoff", "longest", "prices", "key"})
"""Parameters of a model that say how a reply is had and paid for, and nothing about what it will be."""
