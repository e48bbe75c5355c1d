"""Finds the bars in a table: column names come in, which column is which field of which symbol goes out.

Three layouts are read, names in any case, other columns ignored: long (a time, a symbol, open, high, low, close,
volume), one symbol (the same without a symbol column), and wide (a time, then `AAPL_open`, `open_AAPL`, `AAPL.open` or
`AAPL open` and so on, or one column per symbol that holds closes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tradearena.errors import DataError
from tradearena.market.bars import FIELDS

TIMES = ("timestamp", "datetime", "date", "time", "index", "", "unnamed: 0", "__index_level_0__")
SYMBOLS = ("symbol", "ticker")

_SEPARATOR = r"[ _.:/|-]"
_FIELD = "|".join(FIELDS)
_WIDE = re.compile(rf"(?P<a>.+?){_SEPARATOR}(?P<f>{_FIELD})|(?P<g>{_FIELD}){_SEPARATOR}(?P<b>.+)", re.IGNORECASE)
_ADJUSTED = re.compile(r"(?<![a-z])adj(usted)?[ _.]?close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of columns. `stamp` is one column, or a date and a time of day; `series` maps each symbol to its
    fields; its one key is "" where the symbol is the value of the column `symbol`, or the file's name."""

    stamp: tuple[int, ...]
    symbol: int | None
    series: dict[str, dict[str, int]]
    closes_only: bool
    wide: bool

    @property
    def numbers(self) -> list[int]:
        """Positions of the columns that hold numbers, each once."""
        return sorted({column for fields in self.series.values() for column in fields.values()})

    @property
    def owners(self) -> dict[int, tuple[str, str]]:
        """Symbol and field of each column of numbers; a column of closes is the close, whatever else it stands for."""
        return {i: (name, field) for name, fields in self.series.items() for field, i in reversed(fields.items())}

    @property
    def volumes(self) -> set[int]:
        """Positions of the columns that hold volumes."""
        return {fields["volume"] for fields in self.series.values() if "volume" in fields}


def layout_of(names: list[str], file: str) -> Layout:
    """Recognise a table by its column names.

    Raises:
        DataError: no time column, a field is missing, or two columns claim the same field; names the columns there are.
    """
    lower = [name.strip().lower() for name in names]
    more = ", ..." if len(names) > 12 else ""
    there = f"; the columns are: {', '.join(name or '(unnamed)' for name in names[:12])}{more}"
    stamp = _stamp(lower)
    if not stamp:
        raise DataError(f"{file}: no column named timestamp, datetime, date or time{there}")
    symbol = next((lower.index(name) for name in SYMBOLS if name in lower), None)
    claims = [("", name, i) for i, name in enumerate(lower) if name in FIELDS]
    wide = symbol is None and not claims
    if wide:
        others = [i for i in range(len(names)) if i not in stamp and not _ADJUSTED.search(names[i])]
        claims = [claim for i in others if (claim := _wide(names[i].strip(), i))]
        claims = claims or [(names[i].strip(), "close", i) for i in others]
    series: dict[str, dict[str, int]] = {}
    for owner, field, column in claims:
        fields = series.setdefault(owner, {})
        if field in fields:
            raise DataError(f"{file}: two columns are the {field}{f' of {owner}' if owner else ''}{there}")
        fields[field] = column
    if not series:
        raise DataError(f"{file}: no column named open, high, low, close or volume{there}")
    bare = [_completed(owner, fields, file, there) for owner, fields in series.items()]
    return Layout(stamp, symbol, series, any(bare), wide)


def _stamp(lower: list[str]) -> tuple[int, ...]:
    """The time column; a date beside a time of day where there is no timestamp."""
    found = [lower.index(name) for name in TIMES if name in lower]
    both = "date" in lower and "time" in lower and "timestamp" not in lower and "datetime" not in lower
    return (lower.index("date"), lower.index("time")) if both else tuple(found[:1])


def _wide(name: str, column: int) -> tuple[str, str, int] | None:
    """`AAPL_open` or `open_AAPL` as (symbol, field, column)."""
    match = _WIDE.fullmatch(name)
    if match is None:
        return None
    return match["a"] or match["b"], (match["f"] or match["g"]).lower(), column


def _completed(owner: str, fields: dict[str, int], file: str, there: str) -> bool:
    """Fill in a series of closes only, and say that it was one."""
    absent = [field for field in FIELDS[:4] if field not in fields]
    if absent == ["open", "high", "low"]:
        fields.update(dict.fromkeys(absent, fields["close"]))
        return True
    if absent:
        raise DataError(f"{file}: no column named {absent[0]}{f' for {owner}' if owner else ''}{there}")
    return False
