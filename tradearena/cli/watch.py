"""Watches a run: its standing comes in, one line of progress goes to stderr, and Ctrl-C becomes an orderly stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from tradearena.errors import Interrupted

if TYPE_CHECKING:
    from tradearena.arena.schedule import Standing


class Watch:
    """Shows how far a run is, on stderr, and turns the first Ctrl-C or SIGTERM into an orderly stop."""

    def __init__(self, *, show: bool) -> None:
        self.show, self.stopped, self.heading = show, False, ""
        self._shown = 0.0
        self._line = self._told = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Watch:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._line:
            typer.echo("\r\033[K", err=True, nl=False)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("stopped at once; the same command takes it up again") from None

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.stopped:  # the second one means it
            raise KeyboardInterrupt
        self.stopped = True
        typer.echo("\nstopping after this step; once more to stop at once", err=True)
        del number

    def __call__(self, standing: Standing) -> bool:
        """Progress of an experiment."""
        return self.look(lambda: f"{self.heading}{_said(standing)}")

    def look(self, said: Callable[[], str]) -> bool:
        """Is it to stop? Shows how far it is: at most ten lines a second on a terminal, none elsewhere."""
        now = time.monotonic()
        if self.show and sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown, self._line = now, True
            typer.echo(f"\r\033[K{said()}", err=True, nl=False)
        return self.stopped

    def held(self, waited: float) -> bool:
        """Another process holds the file: the run waits for it as long as it takes, and says so once."""
        if not self._told:
            self._told = True
            hint = "close it there, or press Ctrl-C twice to stop"
            typer.echo(f"\nwaiting: another process holds the experiment file open; {hint}", err=True)
        del waited
        return True


def _said(standing: Standing) -> str:
    if standing.episodes == 1:
        return f"{standing.agent}: {standing.done:,} of {standing.total:,} decisions"
    episodes = f"{standing.ended:,} of {standing.episodes:,} episodes"
    return f"{episodes}, {standing.reached:,} of {standing.decisions:,} decisions"
