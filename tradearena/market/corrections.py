"""Keeps account of what import does to bars: a rule's `Mend` comes in, mended bars and one `Correction` for each cell
changed and each bar dropped go out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradearena.market.bars import FIELDS, Bars, lines_of
from tradearena.market.card import iso
from tradearena.panel import Array

COLUMNS = ("rule", "file", "line", "symbol", "time", "field", "before", "after", "why")
"""Of the written list. `file` is a name without its folder; `line` is the row of a Parquet file."""

DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Correction:
    """One cell that was changed, or one bar that was dropped (`field` is "bar", `after` is "dropped").

    `row` counts the data rows of the file from 0; `time` is the bar's stamp, UTC; `before` is the cell as it stood.
    """

    rule: str
    file: Path
    row: int
    symbol: str
    time: str
    field: str
    before: str
    after: str
    why: str

    @property
    def dropped(self) -> bool:
        """Whether a whole bar went."""
        return self.after == DROPPED


class Mend(NamedTuple):
    """What a rule would do to the bars `at` [k]: give them `values` [k, 5], or drop them where those are None."""

    rule: str
    why: str
    at: NDArray[np.intp]
    values: Array | None = None


Rule: TypeAlias = Callable[[Bars, np.timedelta64], Mend]
"""Bars and the length of a bar come in; a mend goes out, of no bars where the rule finds nothing."""


def mended(bars: Bars, rules: Iterable[Rule], step: np.timedelta64) -> tuple[Bars, list[Correction]]:
    """Apply rules one after the other; each sees what those before it left."""
    made: list[Correction] = []
    for rule in rules:
        mend = rule(bars, step)
        made += _corrections(bars, mend)
        bars = _applied(bars, mend)
    return bars, made


def _applied(bars: Bars, mend: Mend) -> Bars:
    if mend.values is None:
        return bars.take(np.delete(np.arange(len(bars)), mend.at))
    values = bars.values.copy()
    values[mend.at] = mend.values
    return bars.with_values(values)


def _corrections(bars: Bars, mend: Mend) -> Iterable[Correction]:
    for k, i in enumerate(mend.at.tolist()):
        old = bars.values[i].tolist()
        if mend.values is None:
            said = ", ".join(f"{name} {number(x)}" for name, x in zip(FIELDS, old, strict=True) if math.isfinite(x))
            yield correction(bars, i, mend.rule, "bar", said, DROPPED, mend.why)
            continue
        for name, before, after in zip(FIELDS, old, mend.values[k].tolist(), strict=True):
            if before != after:
                yield correction(bars, i, mend.rule, name, number(before), number(after), mend.why)


def correction(bars: Bars, i: int, rule: str, field: str, before: str, after: str, why: str) -> Correction:
    """A correction of one bar of a table, which says where the bar stood."""
    file, row = bars.files[bars.file[i]], int(bars.row[i])
    return Correction(rule, file, row, bars.symbols[bars.symbol[i]], iso(bars.stamp[i]), field, before, after, why)


def number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(value).removesuffix(".0")


def lines(made: Sequence[Correction]) -> list[int]:
    """Where each correction stands: line of a CSV file, row of a Parquet file. Each file is read once."""
    rows: dict[Path, list[int]] = {}
    for one in made:
        rows.setdefault(one.file, []).append(one.row)
    found = {path: iter(lines_of(path, asked)) for path, asked in rows.items()}
    return [next(found[one.file]) for one in made]


def as_csv(made: Sequence[Correction]) -> str:
    """The list as CSV text with a header, in the order in which it was made."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one, line in zip(made, lines(made), strict=True):
        told = (one.rule, one.file.name, line, one.symbol, one.time, one.field, one.before, one.after, one.why)
        rows.writerow(told)
    return text.getvalue()
