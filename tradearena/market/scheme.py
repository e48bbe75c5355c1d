"""How windows lie in a stretch of bars: what `--windows` says comes in, the first and last bar of each window goes out.

A scheme never changes what a decision may see, only where episodes begin and end. Windows that follow each other have
no bar in common; rolling ones and dates may overlap, which is for statistics to merge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from tradearena.errors import UnknownName, UsageError
from tradearena.market.card import DAY, Scene, days_of, iso
from tradearena.market.clock import to_utc
from tradearena.panel import Panel

_NUMBER = re.compile(r"-?\d{1,9}")


class Room(NamedTuple):
    """Where decisions may be made: from bar `first` on, with no bar after `last`; one in `every` bars, at most `steps`
    in a window, and `latency` bars until the orders of the last are filled."""

    first: int
    last: int
    every: int
    latency: int
    steps: int | None

    def bars(self, decisions: int) -> int:
        """Bars that so many decisions take."""
        return (decisions - 1) * self.every + self.latency + 1


class Scheme(Protocol):
    """How windows lie in the bars."""

    @property
    def rule(self) -> str:
        """In one canonical line; "" for the one window that is usual."""
        ...

    def cut(self, panel: Panel, room: Room) -> list[tuple[int, int]]:
        """First and last bar of each window, in the order of time.

        Raises:
            UsageError: a window does not fit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Even:
    """`count` windows that follow each other: bars are dealt out evenly, so that their numbers of decisions differ by
    one at most."""

    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"--windows is {self.count}; at least one window is needed")

    @property
    def rule(self) -> str:
        """How many, where it is more than one."""
        return f"windows={self.count}" if self.count > 1 else ""

    def cut(self, panel: Panel, room: Room) -> list[tuple[int, int]]:
        """A window begins with the bar after the last one of the window before."""
        del panel
        last = room.last
        if room.steps is not None:
            last = min(last, room.first + self.count * room.bars(room.steps) - 1)
        bars, fewest = last - room.first + 1, room.bars(1)
        if bars < self.count * fewest:
            raise UsageError(
                f"--windows is {self.count}, but a window takes {fewest} bars, and from the first possible decision on "
                f"there are {bars}; ask for at most {bars // fewest} windows, or for a longer stretch of bars"
            )
        edges = [room.first + bars * k // self.count for k in range(self.count + 1)]
        return [(begin, end - 1) for begin, end in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Rolling:
    """As many whole windows of `length` decisions as fit, a new one every `stride` bars; without a stride each begins
    with the bar after the last one of the window before. More bars add windows and change none."""

    length: int
    stride: int | None = None

    def __post_init__(self) -> None:
        if self.length < 1 or (self.stride is not None and self.stride < 1):
            raise UsageError(f"--windows {self._said}: length and stride are whole numbers from 1 on")

    @property
    def _said(self) -> str:
        return f"disjoint:{self.length}" if self.stride is None else f"rolling:{self.length}:{self.stride}"

    @property
    def rule(self) -> str:
        """Length and stride."""
        return f"windows={self._said}"

    def cut(self, panel: Panel, room: Room) -> list[tuple[int, int]]:
        """Whole windows only: one that is cut short would not be like the others."""
        del panel
        size = room.bars(self.length)
        last = room.last - size + 1
        if last < room.first:
            raise UsageError(
                f"--windows {self._said}: a window takes {size} bars, and from the first possible decision on there "
                f"are {room.last - room.first + 1}; ask for shorter windows, or for a longer stretch of bars"
            )
        return [(first, first + size - 1) for first in range(room.first, last + 1, self.stride or size)]


class Stretch(NamedTuple):
    """From the first moment of a day to the last of another, UTC, and what to call it."""

    begin: np.datetime64
    end: np.datetime64
    said: str


@dataclass(frozen=True, slots=True)
class Dates:
    """Windows between dates, in the order of time: each holds all bars of its days, but for what `--steps` leaves out.

    A bar is of the day in which its middle lies: a day's bar is of that day, whether it is stamped at midnight of the
    exchange or of Greenwich, at the open or at the close.
    """

    stretches: tuple[Stretch, ...]

    @property
    def rule(self) -> str:
        """From when to when: the same days on the same clock are the same rule, whatever they are called."""
        return "windows=" + ",".join(f"{iso(each.begin)}..{iso(each.end)}" for each in self.stretches)

    def cut(self, panel: Panel, room: Room) -> list[tuple[int, int]]:
        """A window of which a part is missing is refused: it would not be what its name says."""
        return [self._bars(each, panel, room) for each in self.stretches]

    def _bars(self, stretch: Stretch, panel: Panel, room: Room) -> tuple[int, int]:
        middle = panel.start + (panel.end - panel.start) // 2
        first, after = (int(np.searchsorted(middle, edge)) for edge in (stretch.begin, stretch.end))
        last = after - 1
        if middle[0] >= stretch.begin + DAY or middle[-1] < stretch.end - DAY:
            there = f"{iso(panel.start[0])} to {iso(panel.end[-1])}"
            raise UsageError(f"{stretch.said} does not lie within the bars, which go from {there}")
        if first < room.first:
            raise UsageError(
                f"{stretch.said} begins with bar {first}, but the first decision can be made at bar {room.first} "
                f"({iso(panel.end[room.first])}): what comes before it is needed to decide; begin later, or take bars "
                "that go further back"
            )
        if first + room.latency > last:
            raise UsageError(
                f"{stretch.said} holds {max(0, last - first + 1)} bars, and one decision takes {room.bars(1)}; "
                "take a longer stretch"
            )
        return first, last if room.steps is None else min(last, first + room.bars(room.steps) - 1)


def scheme_of(asked: Sequence[str], scenes: Mapping[str, Scene], zone: ZoneInfo) -> Scheme:
    """What `--windows` asks for, each time it is given: `N`, `rolling:LENGTH:STRIDE` or `disjoint:LENGTH` once, or any
    number of scenes (`calendar:NAME`) and dates (`2020-02-19..2020-04-07`), separated by commas. Days are those of the
    exchange's clock, both inclusive.

    Raises:
        UsageError: it is none of these, or names something twice.
        UnknownName: no scene of that name.
    """
    if not asked:
        return Even()
    if all(".." in text or text.startswith("calendar:") for text in asked):
        return Dates(tuple(sorted(_distinct(_stretches(asked, scenes, zone)))))
    if len(asked) > 1:
        raise UsageError(f"--windows {asked[0]} and {asked[1]}: only scenes and dates can be named together")
    kind, *numbers = asked[0].split(":")
    if kind in ("rolling", "disjoint"):
        if len(numbers) != (2 if kind == "rolling" else 1) or not all(map(_NUMBER.fullmatch, numbers)):
            form = "rolling:LENGTH:STRIDE, in decisions and bars: rolling:60:5"
            form = form if kind == "rolling" else "disjoint:LENGTH, in decisions: disjoint:60"
            raise UsageError(f"--windows {asked[0]}: write {form}")
        return Rolling(*map(int, numbers))
    if numbers or not _NUMBER.fullmatch(kind):
        raise UsageError(
            f"--windows {asked[0]}: write a number of windows, rolling:LENGTH:STRIDE, disjoint:LENGTH, calendar:NAME, "
            "or dates such as 2020-02-19..2020-04-07"
        )
    return Even(int(kind))


def _stretches(asked: Sequence[str], scenes: Mapping[str, Scene], zone: ZoneInfo) -> Iterable[Stretch]:
    for text in asked:
        for part in text.removeprefix("calendar:").split(","):
            name = part.removeprefix("calendar:").strip()
            if ".." not in name:
                if name not in scenes:
                    raise UnknownName("scene", name, scenes)
                days, said = scenes[name], f"the scene {name} ({' to '.join(scenes[name])})"
            else:
                first, _, last = name.partition("..")
                try:
                    days = days_of((first, last))
                except ValueError as error:
                    raise UsageError(f"--windows {name}: {error}") from None
                said = f"the window {name}"
            first_day, last_day = (np.datetime64(day, "us") for day in days)
            begin, end = to_utc(np.array([first_day, last_day + DAY]), zone)[0]
            yield Stretch(begin, end, said)


def _distinct(stretches: Iterable[Stretch]) -> list[Stretch]:
    found: dict[tuple[np.datetime64, np.datetime64], Stretch] = {}
    for each in stretches:
        other = found.setdefault((each.begin, each.end), each)
        if other is not each:
            raise UsageError(f"{each.said} is asked for twice; name it once")
    return list(found.values())
