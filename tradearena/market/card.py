"""Says how bars are to be read: the TOML beside a dataset comes in, a frozen `DatasetCard` goes out."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import AfterValidator, Field

from tradearena.cards import Card
from tradearena.panel import Times
from tradearena.stamps import Clock

Label: TypeAlias = Literal["start", "end"]
Calendar: TypeAlias = Literal["intersection", "union"]

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LOTS = re.compile(r"lots of ([1-9]\d*)")
_SCENE = re.compile(r"\w[\w-]*")
_DAY = re.compile(r"(1[7-9]|2[01])\d\d-\d\d-\d\d")

DAY = np.timedelta64(86_400_000_000, "us")


def step_of(frequency: str) -> np.timedelta64:
    """Length of a bar: `"5m"`, `"1h"`, `"1d"`, `"1w"` as microseconds.

    Raises:
        ValueError: not a whole number of seconds, minutes, hours, days or weeks.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", frequency)
    if match is None:
        raise ValueError(f"'{frequency}' is not a bar length; write a number and m, h, d or w: '5m', '1h', '1d'")
    return np.timedelta64(int(match[1]) * _UNITS[match[2]] * 1_000_000, "us")


def frequency_of(step: np.timedelta64) -> str:
    """A step in the largest unit that divides it: 3,600 s is `"1h"`, seven days are `"1w"`.

    Raises:
        ValueError: the step is not a whole number of seconds.
    """
    seconds, rest = divmod(int(step.astype("timedelta64[us]").astype(np.int64)), 1_000_000)
    if rest or seconds <= 0:
        raise ValueError(f"a step of {seconds + rest / 1e6:g} s is not a bar length")
    unit = next(unit for unit in reversed(_UNITS) if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _a_frequency(value: str) -> str:
    return frequency_of(step_of(value))


def _a_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{value}' is not a time zone; write its IANA name, such as 'America/New_York'") from None
    return value


def _a_volume_unit(value: str) -> str:
    if value not in ("shares", "units", "notional", "none") and not _LOTS.fullmatch(value):
        raise ValueError(f"'{value}' is not a volume unit; choose shares, units, 'lots of 100', notional or none")
    return value


def days_of(days: tuple[str, str]) -> tuple[str, str]:
    """First and last day of a stretch, checked.

    Raises:
        ValueError: one of them is no day, or the last is before the first.
    """
    for day in days:
        try:
            if not _DAY.fullmatch(day):
                raise ValueError
            date.fromisoformat(day)
        except ValueError:
            raise ValueError(f"'{day}' is not a day; write 2020-02-19") from None
    if days[0] > days[1]:
        raise ValueError(f"it ends on {days[1]}, but it begins on {days[0]}")
    return days


def _names(scenes: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    for name in scenes:
        if not _SCENE.fullmatch(name):
            raise ValueError(f"'{name}' cannot name a scene; take letters, digits, - and _")
    return scenes


Scene: TypeAlias = Annotated[tuple[str, str], Field(strict=False), AfterValidator(days_of)]
"""First and last day, on the exchange's clock, both inclusive."""

Scenes: TypeAlias = Annotated[dict[str, Scene], AfterValidator(_names)]


class Noisy(Card):
    """Noise that is on bars: how much of which unit, the seed, and the digest of the bars that it was laid on; `market`
    names their path."""

    size: float
    unit: Literal["volatility", "bp"]
    seed: int
    of: str
    market: str = ""


class DatasetCard(Card):
    """Where bars come from and how their stamps and volumes are meant.

    `timezone` is the exchange's: it reads naive stamps and groups sessions, and never shifts stamps that carry a zone.
    `label` says which edge of a bar its stamp is. `volume_unit`: "shares" or "units"; "lots of N"; "notional" (money,
    divided by the close); "none" (no volume is known, capacity is unbounded). Left out, `frequency` is the most common
    step within a symbol and `calendar` is the intersection. Without `[sectors]` all symbols are one sector.
    `[scenes]` names stretches of days that `--windows calendar:NAME` takes; left out, those of the rooms hold.
    `[noise]` stands on the card of bars that `--noise` has made, and on no other.
    """

    name: str
    source: str = "unknown"
    licence: str = "unknown"
    timezone: Annotated[str, AfterValidator(_a_zone)] = "UTC"
    label: Label = "start"
    frequency: Annotated[str, AfterValidator(_a_frequency)] | None = None
    volume_unit: Annotated[str, AfterValidator(_a_volume_unit)] = "shares"
    adjusted: bool = True
    calendar: Calendar | None = None
    sectors: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    scenes: Scenes | None = None
    noise: Noisy | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The exchange's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def step(self) -> np.timedelta64:
        """Length of a bar; the card of an opened dataset has one.

        Raises:
            ValueError: the frequency was left out and has not been inferred.
        """
        return step_of(self.frequency or "")

    @property
    def clock(self) -> Clock:
        """How stamps of others are read beside these bars; the card of an opened dataset has one."""
        return Clock(self.timezone, bool(self.step >= DAY))

    @property
    def lot(self) -> int:
        """How many shares or units one unit of volume stands for."""
        match = _LOTS.fullmatch(self.volume_unit)
        return int(match[1]) if match else 1

    def sector(self, symbol: str) -> str:
        """Sector of a symbol: "all" where the card names none, "unclassified" where it names others only."""
        return self.sectors.get(symbol, "unclassified" if self.sectors else "all")


def iso(time: np.datetime64 | Times) -> str:
    """A UTC time as ISO-8601 with Z, to the second."""
    return f"{np.datetime_as_string(time, unit='s')}Z"
