"""How many requests one model is asked at a time: a request comes in and waits its turn, a connection goes out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["well", "busy", "failed"]
"""How a request ended, as far as the number of connections goes: an answer; too many requests; anything else."""

FIRST, MOST = 32, 256
"""Connections at first, and at most. Who runs no more than so many episodes side by side, as without being told nobody
does, never waits for one; of 64 half wait for one answer, and 16 of them would for two if it began with 16."""


class Lines:
    """Connections to one model: few at first, and as many more as the model bears.

    Each answer adds one, until the model says that there are too many; then half of them are closed, and from there on
    it takes as many answers as there are connections to add one (Chiu and Jain 1989, Computer Networks 17: additive
    increase, multiplicative decrease). Requests that were under way at the time are not counted as further complaints.
    A failure of the service, which says nothing of their number, leaves it as it is. Requests are served in the order
    in which they come, so that episodes that run side by side take turns.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.allowed = min(FIRST, most)
        self.open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_before = self._begun = self._answers = 0
        self._steadily = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[list[Fate]]:
        """One connection, once there is room for it. The list takes how the request ended."""
        if self.open < self.allowed and not self._waiting:
            self.open += 1
        else:
            self._waiting.append(turn := asyncio.get_running_loop().create_future())
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._close()  # it was its turn, and it is gone
                raise
        self._begun = number = self._begun + 1
        fate: list[Fate] = []
        try:
            yield fate
        finally:
            for each in fate:
                self._learn(each, number)
            self._close()

    def _close(self) -> None:
        """One connection less; those who wait take what is free."""
        self.open -= 1
        while self.open < self.allowed and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.open += 1

    def _learn(self, fate: Fate, number: int) -> None:
        if fate == "busy" and number > self._cut_before:
            self.allowed, self._cut_before, self._answers = max(1, self.allowed // 2), self._begun, 0
            self._steadily = True
        elif fate == "well":
            self._answers += 1
            if self._answers >= (self.allowed if self._steadily else 1):
                self.allowed, self._answers = min(self.allowed + 1, self.most), 0
