"""What every driver is asked, and how it answers: a task's name, a number and a folder come in on the command line; the
seconds its work took, and what it came to, go out as one line of JSON.

    python loop_bt.py mean-variance 500 FOLDER
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

FIRST = 60
"""Bar of the first decision: a lookback of returns lies before it. A course of n bars ends with bar FIRST + n."""

CASH = 1_000_000.0
COST = 3e-4
"""Share of what is traded, where a peer knows only that: the commission and half spread of the policy `standard`."""

RISK_AVERSION, CAP = 5.0, 0.20
"""Of the policy `standard`; the drivers of peers cannot read it, so `bars.py` makes sure that they agree."""


@dataclass(frozen=True)
class Lap:
    """One run of a task: the seconds of its work alone, how many bars (or problems) that was, and the last value of
    the portfolio as a multiple of the first."""

    seconds: float
    count: int
    growth: float | None = None


Task: TypeAlias = Callable[[int, Path], Lap]


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def answer(tasks: Mapping[str, Task]) -> None:
    """Run the task the command line names and print its lap, with the peak memory of this process in MB.

    It is run on two bars (or problems) before, so that nothing is imported or compiled while the clock runs.
    """
    name, size, folder = sys.argv[1:]
    tasks[name](2, Path(folder))
    lap = tasks[name](int(size), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps(asdict(lap) | {"peak": peak}))
