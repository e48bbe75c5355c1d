"""One episode as it is exported: a reader and a row come in; its frames, and their values as JSON has them, go out."""

from __future__ import annotations

import json
import math
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tradearena.store.fields import KEY, Field, columns_of
from tradearena.store.frames import frame
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.values import Exchange

if TYPE_CHECKING:
    import pandas as pd


class Format(Protocol):
    """What is written in one format; `rows` counts it, by the names of its parts."""

    rows: dict[str, int]

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Chapter:
    """One episode. Its frames are read once, and forgotten with it: so memory holds one episode at a time."""

    def __init__(self, reader: Reader, row: EpisodeRow) -> None:
        self.reader, self.row = reader, row
        self._frames: dict[str, pd.DataFrame] = {}

    def frame(self, name: str) -> pd.DataFrame:
        """One of its frames."""
        if name not in self._frames:
            self._frames[name] = frame(self.reader, name, [self.row])
        return self._frames[name]

    def rows_of(self, name: str, *leave_out: str) -> dict[str, list[Any]]:
        """A frame by columns, its values as JSON has them."""
        found = self.frame(name)
        return {f.name: listed(f, found[f.name]) for f in columns_of(name) if f.name not in leave_out}

    def by_step(self, name: str, step: str = "t") -> dict[int, list[dict[str, Any]]]:
        """The rows of a frame by the bar of their step, without what tells episodes apart."""
        columns = self.rows_of(name, *(field.name for field in KEY))
        bars = columns.pop(step)
        if step == "t":
            columns.pop("time")
        found: dict[int, list[dict[str, Any]]] = {}
        for bar, *values in zip(bars, *columns.values(), strict=True):
            found.setdefault(bar, []).append(dict(zip(columns, values, strict=True)))
        return found

    @cached_property
    def said(self) -> dict[int, list[Exchange]]:
        """Its exchanges, by bar."""
        return self.reader.exchanges(self.row.id)


def listed(field: Field, values: pd.Series[Any]) -> list[Any]:
    """The values of a column as JSON has them: what is missing or not finite is None, times are ISO-8601 with Z."""
    held = [None if gone else value for value, gone in zip(values.tolist(), values.isna(), strict=True)]
    if field.type == "TIMESTAMP":
        return [iso(value) for value in held]
    return [plain(value) for value in held] if field.type in ("DOUBLE", "JSON") else held


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 with Z."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value in the words of JSON: what is not finite is null."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def line(value: dict[str, Any]) -> str:
    """One line of JSON, in ASCII: a model may have written half a character, which no encoding has."""
    return json.dumps(value, allow_nan=False) + "\n"
