"""Commits beside the event loop: what waits is taken out of the recorders there, and written in a thread of its own.

DuckDB lets other threads run while it works, so that requests and replies go on meanwhile; what comes in the meantime
goes into the next commit. There is one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from types import TracebackType
from typing import Any

from tradearena.store.writer import Batch, Writer

LOGGED = 8
"""Commits after which the log is folded in here, where nobody waits for it: those who wait for a commit wait for the
log to be read before it."""


class Committer:
    """Has the commits of a writer made, for one event loop. Whoever leaves it waits for the one under way."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._thread = ThreadPoolExecutor(1, "commit")
        self._under_way: Future[None] = Future()
        self._under_way.set_result(None)
        self._waiting: list[asyncio.Future[None]] = []
        self._ripe = False

    def __enter__(self) -> Committer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait()
        finally:
            self._thread.shutdown()

    def keep_pace(self) -> None:
        """A step waits: begin a commit if the oldest of them has waited long enough, and none is under way.

        Raises:
            StoreError: the commit before could not be made.
        """
        self.writer.wait()
        self.tend()

    def tend(self) -> None:
        """Begin a commit of what waits, if it has waited long enough and none is under way.

        Raises:
            StoreError: the commit before could not be made.
        """
        if self.writer.due and self._under_way.done():
            self._begin([])

    async def commit(self, moment: float) -> None:
        """Returns when what waits is on disk. All share a commit who ask for one within a moment of so many seconds,
        and until the one under way is done.

        Raises:
            StoreError: it could not be written, or the commit before could not.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(moment, self._ripen)
        self._waiting.append(told := loop.create_future())
        await told

    async def rest(self) -> None:
        """Returns when no commit is under way.

        Raises:
            StoreError: the last one could not be made.
        """
        while not self._under_way.done():
            await asyncio.shield(asyncio.wrap_future(self._under_way))
        self._under_way.result()

    def commit_here(self) -> None:
        """Commit what waits before anything else goes on: the run is broken off, and waits for no other process any
        longer than usual.

        Raises:
            StoreError: it cannot be written, or the last commit failed.
        """
        self.writer.hurry = True
        self._wait()
        self.writer.commit()

    def _ripen(self) -> None:
        """The moment is over."""
        self._ripe = True
        self._go_on()

    def _go_on(self) -> None:
        """Begin the commit that is waited for, if its moment is over, unless one is under way: then it follows."""
        if self._ripe and self._under_way.done():
            waiting, self._waiting, self._ripe = self._waiting, [], False
            try:
                self._begin(waiting)
            except Exception as error:  # whatever it is, it is for those who wait: nobody else would hear of it
                _tell(waiting, error)

    def _begin(self, waiting: list[asyncio.Future[None]]) -> None:
        """Have what waits written, and those told who wait for it."""
        self._under_way.result()
        if batch := self.writer.collect():
            loop = asyncio.get_running_loop()
            self._under_way = self._thread.submit(self._write, batch, waiting, loop)
            self._under_way.add_done_callback(lambda _: _soon(loop, self._go_on))
        else:
            _tell(waiting, None)

    def _write(self, batch: Batch, waiting: list[asyncio.Future[None]], loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: write, and tell those who wait as soon as it is on disk."""
        try:
            self.writer.write(batch, lambda: _soon(loop, _tell, waiting, None), LOGGED)
        except BaseException as error:
            _soon(loop, _tell, waiting, error)
            raise

    def _wait(self) -> None:
        """Wait for the commit under way, whoever is in a hurry: the file is not left in the middle of it."""
        hurry: KeyboardInterrupt | None = None
        while not self._under_way.done():
            try:
                wait([self._under_way])
            except KeyboardInterrupt as error:
                hurry, self.writer.hurry = error, True
        if hurry:
            raise hurry


def _tell(waiting: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    """Wake those who wait, but for those who were cancelled or know already: one in each turn of the loop. Woken all at
    once they would go on in step, and the first request be sent when the last one is ready."""
    for place, told in enumerate(waiting, start=1):
        if not told.done():
            told.set_exception(error) if error else told.set_result(None)
            asyncio.get_running_loop().call_soon(_tell, waiting[place:], error)
            return


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *values: Any) -> None:
    """From the thread: have something done on the loop, if it is still there."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *values)
