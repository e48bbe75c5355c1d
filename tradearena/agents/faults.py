"""What goes wrong with a request: an exception out of litellm comes in; what happened, what to do about it, and whether
to ask again go out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from tradearena.agents.answer import storable
from tradearena.agents.keys import hide
from tradearena.agents.lines import Fate

LONGEST = 3600.0
"""Seconds that a service is waited for at its word."""


class Fault(NamedTuple):
    """A request that brought no reply: what happened and what to do about it, in words; whether another attempt may
    bring one, and after how many seconds the service asked for it (None: it did not say). `answered`: something came,
    and may have been paid for, which cannot be read."""

    text: str
    again: bool
    fate: Fate = "failed"
    wait: float | None = None
    answered: bool = False


def fault_of(error: Exception, litellm: Any, *, address: str | None, timeout: float, now: float) -> Fault:
    """What an exception means. `now` (seconds since 1970) is for a service that names a moment to come back.

    litellm calls half of everything an internal server error; what happened on the wire stands further down the chain
    of causes, where the clients of all providers use httpx.
    """
    import httpx

    chain = list(_chain(error))
    said = said_by(error)
    status = next((link.response.status_code for link in chain if isinstance(link, httpx.HTTPStatusError)), None)
    if status is None:
        if any(isinstance(link, TimeoutError | httpx.TimeoutException) for link in chain):
            return Fault(f"no complete reply within {timeout:g} s; raise timeout in the card, or try again", again=True)
        if any(isinstance(link, OSError | httpx.TransportError) for link in chain):
            lost = f"{address or 'the service'} cannot be reached, or hung up"
            return Fault(f"{lost} ({said_by(chain[-1])}); check the network and the address", again=True)
        status = int(getattr(error, "status_code", None) or 500)
        status = 0 if status == 500 else status  # 500 is what litellm makes of an answer it cannot read
    if status < 400:
        unread = f"the answer is not a chat completion ({said}); check what answers at this address"
        return Fault(unread, again=True, answered=True)
    what, remedy, again = _refusal(status, error, said, litellm)
    fate: Fate = "busy" if status == 429 else "failed"
    wait = _asked_to_wait(chain, now)
    if wait is not None and wait > LONGEST:
        again, remedy = False, f"it asks to come back in {wait:.0f} s, which is longer than is waited for"
    return Fault(f"{what} (status {status}: {said}); {remedy}", again, fate, wait)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it came from."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _refusal(status: int, error: Exception, said: str, litellm: Any) -> tuple[str, str, bool]:
    """What an HTTP status means, what to do about it, and whether to ask again."""
    overlong = re.search("context.?(length|window|size)", said, re.IGNORECASE)  # litellm knows some wordings only
    if overlong or isinstance(error, litellm.ContextWindowExceededError):
        return (
            "the prompt is longer than the model can read",
            "show it fewer bars or symbols, or ask another model",
            False,
        )
    if isinstance(error, litellm.AuthenticationError) or status in (401, 403):
        return "the key was refused", "check the key in the environment, and what it may use", False
    if status == 404:
        return "there is no such model", "check its name, and api_base if the card has one", False
    if status == 402 or (status == 429 and re.search("quota|credit|billing|balance", said, re.IGNORECASE)):
        return "no credit is left", "raise the limit at the provider", False
    if status == 429:
        return "too many requests", "wait, or raise the limit at the provider", True
    if status >= 500 or status in (408, 409, 425):
        return "the service failed", "try again later", True
    return "the request was refused", "check the parameters of the card", False


def _asked_to_wait(chain: list[BaseException], now: float) -> float | None:
    """Seconds by the header Retry-After, which names a number of them or a moment."""
    for link in chain:
        headers = getattr(getattr(link, "response", None), "headers", None) or {}
        stated = headers.get("retry-after")
        if stated is None:
            continue
        try:
            return max(0.0, float(stated))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(stated).timestamp() - now)
        except (ValueError, OverflowError):
            continue
    return None


def said_by(error: BaseException) -> str:
    """What the other side said, as one short line, without litellm's preamble and without any key."""
    text = hide(" ".join(str(error).split()))
    text = text.rpartition("Exception - ")[2].partition(" Traceback ")[0]
    text = re.sub(r"^((litellm\.)?\w*(Error|Timeout): |LiteLLM: |Error code: \d+$)+", "", text)
    return storable(text if len(text) <= 200 else f"{text[:200]}...") or "nothing more said"
