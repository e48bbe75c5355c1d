"""What all requests of one run share: connections to each model, what may be spent, replies of earlier files, and
whether a stop was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tradearena.agents.allowance import Allowance
from tradearena.agents.lines import MOST, Lines
from tradearena.errors import Interrupted
from tradearena.values import Call

GLANCE = 0.1
"""Seconds between two looks, of one who waits, at whether to stop."""


class Answered(NamedTuple):
    """A reply that was had before, the request it took, and whether it calls tools."""

    text: str
    call: Call
    tools: bool = False


@dataclass
class Switchboard:
    """Puts requests through. `answered` are earlier replies by the key of their request (`request_key`)."""

    most: int = MOST
    allowance: Allowance = field(default_factory=Allowance)
    answered: Mapping[bytes, Answered] = field(default_factory=dict)
    stopped: Callable[[], bool] = lambda: False
    _lines: dict[str, Lines] = field(default_factory=dict)

    def lines(self, model: str, address: str | None) -> Lines:
        """The connections to a model at an address."""
        return self._lines.setdefault(f"{model} {address}", Lines(self.most))

    async def pause(self, seconds: float) -> None:
        """Wait before the next attempt.

        Raises:
            Interrupted: a stop was asked for.
            Limited: the time is up.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self.go_on()
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(GLANCE, left))
            self.go_on()

    def go_on(self) -> None:
        """Make a request, or not.

        Raises:
            Interrupted: a stop was asked for.
            Limited: the time is up.
        """
        if self.stopped():
            raise Interrupted("stopped before a request")
        self.allowance.in_time()


def request_key(
    model: str, address: str | None, parameters: str, seed: int, words: Sequence[bytes], analyst: str = ""
) -> bytes:
    """Names a request: the model and where it is, all that is sent beside the words, the episode's seed (not every
    model takes one, but two seeds are two draws), and the SHA-256 of the words: system text, and in turn prompts and
    replies. Two analysts who are asked alike are two draws as well."""
    named = [model, address, parameters, seed, *(each.hex() for each in words), *([analyst] if analyst else [])]
    return hashlib.sha256(json.dumps(named).encode()).digest()
