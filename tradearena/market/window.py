"""Chooses the parts of a panel that episodes run over: dates, a number of steps, a scheme of windows and a panel come
in; one `Span` for each window goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from tradearena.errors import UsageError
from tradearena.market.card import iso
from tradearena.market.clock import instant
from tradearena.market.scheme import Dates, Even, Rolling, Room, Scheme
from tradearena.panel import Panel


@dataclass(frozen=True, slots=True)
class Span:
    """Bars of one episode, as indices into its panel: decisions begin at `first`, the last bar is `last`, inclusive.

    The last decision is made early enough that its orders are filled at the open of `last` at the latest.
    """

    first: int
    last: int
    every: int
    latency: int

    @property
    def decisions(self) -> range:
        """Bars at whose close a decision is made."""
        return range(self.first, self.last - self.latency + 1, self.every)


@dataclass(frozen=True, slots=True)
class Window:
    """What a user asks for: decisions from `start` on, no bar that ends after `end` (naive times are UTC), one in
    `every` bars; in that the windows of a `scheme`, each of at most `steps` decisions.

    Raises:
        UsageError: a window in which no step can lie, or a scheme that says already what `start`, `end` or `steps` say.
    """

    start: datetime | None = None
    end: datetime | None = None
    steps: int | None = None
    every: int = 1
    scheme: Scheme = field(default_factory=Even)

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"--steps is {self.steps}; at least one step is needed")
        if self.every < 1:
            raise UsageError(f"--every is {self.every}; a decision can be made at every bar (1) or less often")
        if self.start is not None and self.end is not None and instant(self.start) >= instant(self.end):
            raise UsageError(f"the window ends at {_said(self.end)}, but it starts at {_said(self.start)}")
        if isinstance(self.scheme, Dates) and (self.start is not None or self.end is not None):
            raise UsageError("--windows says from when to when; leave --start and --end out")
        if isinstance(self.scheme, Rolling) and self.steps is not None:
            raise UsageError("--windows says how many decisions a window has; leave --steps out")

    @property
    def rule(self) -> str:
        """The windows as asked for, in one canonical line: the same wish gives the same line on any data."""
        parts = {"start": _said(self.start), "end": _said(self.end), "steps": self.steps or "-", "every": self.every}
        return " ".join([*(f"{key}={value}" for key, value in parts.items()), self.scheme.rule]).rstrip()

    def resolve(
        self, panel: Panel, *, warmup: int, latency: int, begins: np.datetime64 | None = None
    ) -> tuple[Span, ...]:
        """Find the windows in a panel, in the order of time.

        The first decision is made at the first bar that ends at `start` or `begins` (UTC) or later and has `warmup`
        bars before it; the last bar is the last that ends by `end`, or where the orders of the last of `steps`
        decisions are filled, `latency` bars after it. Between these the scheme lays its windows.

        Raises:
            UsageError: no decision or window fits; says how many bars there are and how many it takes.
        """
        asked = None if self.start is None else instant(self.start)
        froms = [time for time in (asked, begins) if time is not None]
        reached = max((int(np.searchsorted(panel.end, time, side="left")) for time in froms), default=0)
        first = max(reached, warmup)
        last = len(panel) - 1
        if self.end is not None:
            last = int(np.searchsorted(panel.end, instant(self.end), side="right")) - 1
        if begins is not None and begins > panel.end[last]:
            raise UsageError(
                f"no decision fits: the first on record was made by {iso(begins)}, and the last bar ends at "
                f"{iso(panel.end[last])}; name bars that go so far, or a later --end"
            )
        if first + latency > last:
            raise UsageError(self._too_short(panel, reached, last, warmup, latency))
        room = Room(first, last, self.every, latency, self.steps)
        return tuple(Span(begin, end, self.every, latency) for begin, end in self.scheme.cut(panel, room))

    def _too_short(self, panel: Panel, reached: int, last: int, warmup: int, latency: int) -> str:
        """Why no decision fits, with the numbers a user needs to make one fit."""
        inside = max(0, last - reached + 1)
        there = f"{len(panel)} bars from {iso(panel.start[0])} to {iso(panel.end[-1])}"
        needs = f"a decision needs {warmup} bars before it and {latency} after it"
        if self.start is None and self.end is None and reached == 0:
            return f"no decision fits: there are {there}, and {needs}, so at least {warmup + latency + 1} bars"
        where = f"the window has {inside} of {there}, {reached} of them before it"
        return f"no decision fits: {where}; {needs}; move --start or --end"


def _said(time: datetime | None) -> str:
    return "-" if time is None else iso(instant(time))
