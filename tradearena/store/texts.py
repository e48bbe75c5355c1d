"""Texts by the line: what was said comes in, rows of `line` and `text` go out, and the texts again from these.

A prompt repeats most of the prompt before it: of its lines of bars all but two, in every episode on the same bars. So
each line is kept once, and a text is the list of its lines. A prompt of 51 symbols is 17 kB, and adds about 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

from tradearena.store.columns import Values
from tradearena.store.views import SAID

REMEMBERED = 50_000
"""Lines whose number is remembered while a file is written. One that is forgotten and said again is kept twice."""


class TextWriter:
    """Numbers lines and lists texts, for one file being written."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """What the file of the attached database holds already."""
        self._known = {bytes(digest) for (digest,) in db.execute('SELECT sha256 FROM "text"').fetchall()}
        ((last,),) = db.execute("SELECT coalesce(max(id), -1) FROM line").fetchall()
        self._next = int(last) + 1
        self._numbers: dict[str, str] = {}

    def add(self, said: Iterable[tuple[bytes, str]]) -> dict[str, dict[str, Values]]:
        """Rows of `line` and `text` for texts, by their SHA-256, that the file does not hold yet."""
        lines: dict[int, str] = {}
        texts: dict[bytes, str] = {}
        for digest, text in said:
            if digest not in self._known:
                self._known.add(digest)
                known = self._numbers
                texts[digest] = ",".join([known.get(line) or self._number(line, lines) for line in text.split("\n")])
        rows: dict[str, dict[str, Values]] = {}
        if lines:
            rows["line"] = {"id": list(lines), "text": list(lines.values())}
        if texts:
            rows["text"] = {"sha256": list(texts), "lines": list(texts.values())}
        return rows

    def _number(self, line: str, new: dict[int, str]) -> str:
        """The number of a line that has none, or whose number is forgotten."""
        if len(self._numbers) >= REMEMBERED:
            self._numbers.clear()
        new[self._next] = line
        number = self._numbers[line] = str(self._next)
        self._next += 1
        return number


def texts(
    db: duckdb.DuckDBPyConnection,
    where: str,
    values: list[Any],
    column: str = "text",
    said: Sequence[str] = ("system", "prompt", "reply"),
) -> dict[bytes, Any]:
    """Texts by the digest they are filed under, or what `column` makes of each; `where` says of which exchanges, and
    `said` which of their texts. What is not whole is put together as far as it goes: its digest is another one. One of
    which nothing is left is missing."""
    asked = " UNION ".join(f'SELECT "{name}" FROM exchange {where}' for name in said)
    query = f"SELECT sha256, {column} FROM ({SAID.replace('FROM text', f'FROM text WHERE sha256 IN ({asked})')})"
    rows = db.execute(query, values * len(said)).fetchall()
    return {bytes(digest): found for digest, found in rows if found is not None}
