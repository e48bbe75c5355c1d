"""An episode as people read it: a reader comes in; one line per step, or one step in full, goes out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tradearena.errors import UsageError
from tradearena.store.reader import Reader, stamp
from tradearena.store.rows import EpisodeRow
from tradearena.values import CAUSES, Exchange


class Line(NamedTuple):
    """One step in a line. `gates` are the rules that changed weights, `flags` those that only spoke."""

    t: int
    time: str
    nav: float
    gross: float
    status: str
    kept: bool
    gates: tuple[str, ...]
    flags: tuple[str, ...]
    rationale: str


class Page(NamedTuple):
    """One step in full; weights, fills and findings as rows to print. `told` is what the agent was told of its audit
    before; `said` are the exchanges with one that is asked in words."""

    line: Line
    cash: float
    confidence: float | None
    reflection: str | None
    reason: str
    told: str | None
    said: tuple[Exchange, ...]
    findings: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    hash: str


def story(reader: Reader, episode: str, t: int | None = None) -> list[Line]:
    """The steps of an episode, or the one at bar t."""
    one, values = ("", [episode]) if t is None else (" AND s.t = ?", [episode, t])
    rows = reader.db.execute(
        'SELECT s.t, epoch_us(b."end"), m.nav, s.gross, s.status, s.kept, s.rationale FROM step s '
        f"JOIN bars b USING (t) JOIN mark m USING (episode, t) WHERE s.episode = ?{one} ORDER BY s.t",
        values,
    ).fetchall()
    spoke: dict[int, list[tuple[str, str]]] = {}
    query = f"SELECT s.t, rule, severity FROM finding s WHERE s.episode = ?{one} ORDER BY s.t, seq"
    for bar, rule, severity in reader.db.execute(query, values).fetchall():
        spoke.setdefault(bar, []).append((rule, severity))
    return [
        Line(
            bar,
            stamp(time) or "",
            nav,
            gross,
            status,
            kept,
            tuple(rule for rule, severity in spoke.get(bar, []) if severity != "flag"),
            tuple(rule for rule, severity in spoke.get(bar, []) if severity == "flag"),
            rationale or "",
        )
        for bar, time, nav, gross, status, kept, rationale in rows
    ]


def page(reader: Reader, row: EpisodeRow, t: int) -> Page:
    """The step at bar t in full.

    Raises:
        UsageError: no decision was made at that bar.
    """
    lines = story(reader, row.id, t)
    if not lines:
        raise UsageError(f"episode {row.id} has no step at bar {t}; its decisions are at bars {_bars(reader, row)}")
    columns = "m.cash, s.confidence, s.reflection, s.reason, s.told, s.hash"
    query = f"SELECT {columns} FROM step s JOIN mark m USING (episode, t)"
    cash, confidence, reflection, reason, told, link = _one(reader, query, row.id, t)
    names = ("rule", "scope", "name", "proposed", "approved", "limit", "severity")
    query = 'SELECT rule, scope, name, proposed, approved, "limit", severity FROM finding'
    findings = reader.db.execute(f"{query} WHERE episode = ? AND t = ? ORDER BY seq", [row.id, t]).fetchall()
    return Page(
        line=lines[0],
        cash=cash,
        confidence=confidence,
        reflection=reflection,
        reason=reason or "",
        told=told,
        said=tuple(reader.exchanges(row.id, t).get(t, ())),
        findings=[dict(zip(names, found, strict=True)) for found in findings],
        weights=_weights(reader, row.id, t, lines[0].nav),
        fills=_fills(reader, row.id, t),
        hash=bytes(link).hex(),
    )


def _weights(reader: Reader, episode: str, t: int, nav: float) -> list[dict[str, Any]]:
    """Symbols that any book holds, largest intent first; `stale` where nothing traded in the bar."""
    vectors = _one(reader, "SELECT s.shares, s.intent, s.approved, s.reference FROM step s", episode, t)
    shares, intent, approved, reference = (np.asarray(vector) for vector in vectors)
    panel = reader.panel()
    held = shares * panel.mark[t] / nav
    rows = zip(panel.symbols, held, intent, approved, reference, (~panel.tradable[t]).tolist(), strict=True)
    names = ("symbol", "held", "intent", "approved", "reference", "stale")
    listed = [dict(zip(names, row, strict=True)) for row in rows if any(abs(float(w)) > 1e-6 for w in row[1:-1])]
    return sorted(listed, key=lambda weights: -abs(weights["intent"]))


def _fills(reader: Reader, episode: str, t: int) -> list[dict[str, Any]]:
    """What became of this step's orders."""
    query = (
        "SELECT symbol, t, ordered, quantity, price, commission + spread + impact, cause FROM fill "
        "WHERE episode = ? AND decided = ? ORDER BY symbol"
    )
    symbols = reader.experiment().symbols
    names = ("symbol", "bar", "ordered", "filled", "price", "cost", "cause")
    found = reader.db.execute(query, [episode, t]).fetchall()
    return [dict(zip(names, (symbols[row[0]], *row[1:-1], CAUSES[row[-1]]), strict=True)) for row in found]


def _one(reader: Reader, select: str, episode: str, t: int) -> tuple[Any, ...]:
    found = reader.db.execute(f"{select} WHERE s.episode = ? AND s.t = ?", [episode, t]).fetchone()
    return found or ()


def _bars(reader: Reader, row: EpisodeRow) -> str:
    query = "SELECT min(t), max(t) FROM step WHERE episode = ?"
    first, last = reader.db.execute(query, [row.id]).fetchone() or (None, None)
    return f"{first} to {last}" + (f", every {row.every}" if row.every > 1 else "")
