"""What a run may spend: limits of cost, tokens and time come in; each request reserves what it may take before it is
made, and says afterwards what it took."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tradearena.errors import Limited
from tradearena.values import Call


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most a request may take: tokens read and written, and US dollars."""

    tokens: float
    cost: float


class Allowance:
    """Spent so far, held for what is under way, and the most there may be of both."""

    def __init__(
        self,
        cost: float | None = None,
        tokens: int | None = None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Dollars, tokens and seconds; None: as much as it takes. The time begins now."""
        self.cost, self.tokens, self.seconds, self.clock = cost, tokens, seconds, clock
        self.spent, self.held = Estimate(0, 0.0), Estimate(0, 0.0)
        self._under_way = 0
        self._began = clock()
        self._changed = asyncio.Event()

    @property
    def bounded(self) -> bool:
        """Is there a limit on what requests take?"""
        return self.cost is not None or self.tokens is not None

    def in_time(self) -> None:
        """Go on, or not.

        Raises:
            Limited: the time is up.
        """
        if self.seconds is not None and self.clock() - self._began >= self.seconds:
            raise Limited(f"the time limit of {self.seconds:g} s is reached")

    @asynccontextmanager
    async def reserved(self, most: Estimate) -> AsyncIterator[list[Call]]:
        """Hold the most that a request may take, as soon as there is enough; the list takes what it took.

        Raises:
            Limited: there is not enough for it, even if nothing else that is under way took anything.
        """
        while True:
            self.in_time()
            if self._short(_sum(self.spent, most)):
                raise Limited(self._short(_sum(self.spent, most)))
            if not self._short(_sum(_sum(self.spent, self.held), most)):
                break
            self._changed.clear()
            await self._changed.wait()
        self.held, self._under_way = _sum(self.held, most), self._under_way + 1
        made: list[Call] = []
        try:
            yield made
        finally:
            self._under_way -= 1
            rest = _sum(self.held, Estimate(-most.tokens, -most.cost))
            self.held = rest if self._under_way else Estimate(0, 0.0)  # sums of floats need not return to nothing
            self.spent = _sum(self.spent, _taken(made, most))
            self._changed.set()

    def _short(self, whole: Estimate) -> str:
        """Which limit is too small for this much, in a sentence; "" where none is."""
        if self.tokens is not None and whole.tokens > self.tokens:
            return (
                f"the token limit of {self.tokens:,} leaves no room for another request: {self.spent.tokens:,.0f} spent"
            )
        if self.cost is not None and whole.cost > self.cost:
            return (
                f"the cost limit of {self.cost:g} USD leaves no room for another request: {self.spent.cost:.4f} spent"
            )
        return ""


def _sum(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(one.tokens + other.tokens, one.cost + other.cost)


def _taken(made: Sequence[Call], most: Estimate) -> Estimate:
    """What a request took. An answer that does not say is taken to have cost the most there was to pay; a request
    without an answer, nothing."""
    tokens = cost = 0.0
    for call in made:
        if call.error is None:
            counted = call.input_tokens is not None and call.output_tokens is not None
            tokens += (call.input_tokens or 0) + (call.output_tokens or 0) if counted else most.tokens
            cost += most.cost if call.cost is None else call.cost
    return Estimate(tokens, cost if math.isfinite(cost) else 0.0)
