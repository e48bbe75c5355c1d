"""Moves stamps between an exchange's clock and UTC: arrays of datetime64 come in, arrays of datetime64 go out.

Daylight saving makes two kinds of local stamp doubtful, and both are read as Python reads them (PEP 495, fold 0): one
that occurs twice is the first of the two, one that never occurs is read with the offset in force before the change.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import numpy as np

from tradearena.panel import Mask, Times


def to_utc(local: Times, zone: ZoneInfo) -> tuple[Times, Mask]:
    """Local stamps as UTC, and which of them are doubtful: they occur twice or never on that clock."""
    distinct, where = np.unique(local, return_inverse=True)
    offsets = np.empty(len(distinct), dtype="timedelta64[us]")
    doubtful = np.zeros(len(distinct), dtype=np.bool_)
    for i, stamp in enumerate(distinct.tolist()):
        first, second = (stamp.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        offsets[i], doubtful[i] = np.timedelta64(first, "us"), first != second
    return (distinct - offsets)[where], doubtful[where]


def to_local(times: Times, zone: ZoneInfo) -> Times:
    """UTC times as they read on the exchange's clock."""
    distinct, where = np.unique(times, return_inverse=True)
    return np.array([_reading(time, zone) for time in distinct.tolist()], dtype="datetime64[us]")[where]


def _reading(time: datetime, zone: tzinfo) -> datetime:
    return time.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)


def instant(time: datetime) -> np.datetime64:
    """A Python time as UTC datetime64; a naive one is taken as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "us")
