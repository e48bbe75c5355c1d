"""Experiments on all cores: a trial and the seeds of its markets come in; what was seen in each goes out, in the order
of the seeds, whoever was first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

from tradearena.errors import Interrupted, TradeArenaError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

LOOK = 0.2
"""Seconds between two looks at whether to stop."""

T = TypeVar("T", covariant=True)


class Trial(Protocol[T]):
    """What is tried on the market of one seed, as often as there are seeds. It goes to other processes."""

    def experiment(self, seed: int, halt: Callable[[int], bool]) -> Sequence[T]:
        """What was seen there: a pure function of the seed. `halt`, asked before every decision, says to stop.

        Raises:
            Interrupted: it did.
        """
        ...


_told: list[Event] = []
"""In a process that experiments for another: set when it is to stop."""


def experiments(
    trial: Trial[T],
    seeds: Sequence[int],
    jobs: int = 1,
    watch: Callable[[int], bool] = lambda _ended: False,
) -> list[T]:
    """The experiments in the market of each seed, in so many processes.

    Args:
        watch: told every now and then how many markets are done; True stops, before the next decision.

    Raises:
        Interrupted: it was stopped; nothing is kept.
        TradeArenaError: a process was killed.
    """
    if jobs == 1 or len(seeds) < 2:
        return [seen for done, seed in enumerate(seeds) for seen in _here(trial, seed, done, watch)]
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(min(jobs, len(seeds)), context, _begin, (stop,)) as pool:
        with _unheard():
            waiting = [pool.submit(_there, trial, seed) for seed in seeds]
        try:
            _await(waiting, watch)
            return list(chain.from_iterable(each.result() for each in waiting))
        except BrokenProcessPool:
            raise TradeArenaError("a process that experimented was killed; is there memory for --jobs?") from None
        finally:
            stop.set()  # where all are done, nobody hears it
            pool.shutdown(cancel_futures=True)


def _here(trial: Trial[T], seed: int, done: int, watch: Callable[[int], bool]) -> Sequence[T]:
    return trial.experiment(seed, lambda _t: watch(done))


def _await(waiting: Sequence[Future[Sequence[T]]], watch: Callable[[int], bool]) -> None:
    """Until all are done, one fails, or it is to stop."""
    left = set(waiting)
    while left:
        done, left = wait(left, LOOK, FIRST_COMPLETED)
        for each in done:
            each.result()
        if watch(len(waiting) - len(left)) and left:
            raise Interrupted("stopped before all experiments were done")


def _begin(stop: Event) -> None:
    """Of a process: it stops when it is told to, and ends when the one that began it is gone."""
    _told.append(stop)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _there(trial: Trial[T], seed: int) -> Sequence[T]:
    """In a process of its own."""
    return trial.experiment(seed, lambda _t: _told[0].is_set())


@contextmanager
def _unheard() -> Iterator[None]:
    """Processes that are begun meanwhile never hear Ctrl-C: it is for the one that began them, which tells them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
