"""What can go wrong, as one tree: every error a user can cause is one sentence that says what, where and what to do.

TradeArenaError                 exit 1
├── UsageError                  exit 2   the command line itself is wrong
│   └── UnknownName             exit 2   no such agent, dataset, policy or episode; offers the nearest
├── CardError                   exit 1   a card or policy that cannot be read: file and line
├── DataError                   exit 1   bars or recorded decisions that cannot be trusted: file, row, symbol, rule
├── Undecided                   exit 1   no decision was had: carries the requests that were made for it
│   ├── AgentError              exit 1   an agent that cannot be opened, or that raised while deciding
│   ├── Limited                 exit 0   a limit of cost, tokens or time was reached, as asked for; can be taken up
│   └── Interrupted             exit 130 stopped by Ctrl-C or a signal; what was decided is kept
├── SolverError                 exit 1   a portfolio problem without a proven optimum
├── StoreError                  exit 1   an experiment file that cannot be written or read
│   └── DivergedError           exit 1   a recorded step that the same inputs no longer reproduce
└── InvalidRun                  exit 3   too many malformed replies to count as a result
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class TradeArenaError(Exception):
    """Base of the tree; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(TradeArenaError):
    """The command line asks for something that cannot be meant."""

    exit_code = 2


class UnknownName(UsageError):
    """A name nobody here bears. The message offers the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
        super().__init__(f"no {kind} named '{name}'; {hint}")


class CardError(TradeArenaError):
    """An agent card, dataset card or policy that is missing, malformed or contradictory."""


class DataError(TradeArenaError):
    """Bars or recorded decisions that break a hard rule."""


class Undecided(TradeArenaError):
    """No decision was had; `calls` are the requests it took all the same. The base of what can end an episode while
    its agent is asked."""

    def __init__(self, message: str, calls: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.calls = calls


class AgentError(Undecided):
    """An agent that cannot be opened, or that raised while deciding."""


class SolverError(TradeArenaError, ArithmeticError):
    """A portfolio problem whose optimum could not be proven."""


class StoreError(TradeArenaError):
    """An experiment file that cannot be opened, written or understood."""


class DivergedError(StoreError):
    """A recorded step that the same inputs no longer reproduce."""


class InvalidRun(TradeArenaError):
    """More than 5 % of the replies were malformed or lost: recorded, but no result."""

    exit_code = 3


class Limited(Undecided):
    """What a run may cost, read and write, or last has been reached; the same command with more of it goes on."""

    exit_code = 0


class Interrupted(Undecided):
    """Stopped from outside; everything decided so far is on disk and the same command resumes."""

    exit_code = 130
