"""The paths of many episodes at once: ids come in, a `Trajectory` of each goes out.

One query for all episodes costs little more than one for each of them, and there may be hundreds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tradearena.panel import Array
from tradearena.store.columns import entries
from tradearena.values import Finding, Trajectory

if TYPE_CHECKING:
    from tradearena.store.reader import Reader

TOGETHER = 50
"""Episodes that are read at once: their steps, with two vectors each, stand in memory together."""

_FOUND = ", ".join(f'"{name}"' for name in ("t", *Finding._fields))
_SILENT = """
    SELECT episode, count(*) FROM step s JOIN episode e ON e.id = s.episode
    WHERE e.card->>'kind' = 'decisions' AND s.kept AND s.status = 'ok' AND coalesce(s.rationale, '') = ''
      AND s.episode IN (SELECT unnest($1)) GROUP BY episode"""
"""Decisions of recordings that no row stands for. Another agent that keeps its position without a word has said so."""

_FILLED = ("ordered", "filled", "bought", "sold", "cost")


def trajectories(reader: Reader, episodes: Sequence[str]) -> Iterator[Trajectory]:
    """The trajectory of each episode, in the order asked for."""
    for begin in range(0, len(episodes), TOGETHER):
        yield from _together(reader, list(episodes[begin : begin + TOGETHER]))


def _together(reader: Reader, episodes: list[str]) -> Iterator[Trajectory]:
    setup = reader.experiment()
    step = _columns(reader, "step", "t, status, coalesce(confidence, 'nan') AS confidence", episodes)
    unasked = dict(reader.db.execute(_SILENT, [episodes]).fetchall())
    found = _columns(reader, "finding", _FOUND, episodes, "t, seq")
    findings = [*map(Finding, *(found[name].tolist() for name in Finding._fields))]
    mark = _columns(reader, "mark", "t, nav, intent, approved, reference, borrow", episodes)
    intent, approved = _vectors(reader, ("intent", "approved"), episodes)
    fill = _fills(reader, episodes)
    every = np.arange(len(episodes) + 1)
    edges = [np.searchsorted(rows["k"], every).tolist() for rows in (step, mark, fill, found)]
    for k in range(len(episodes)):
        s, m, f, v = (slice(edge[k], edge[k + 1]) for edge in edges)
        yield Trajectory(
            decided=step["t"][s],
            intent=intent[s],
            approved=approved[s],
            statuses=tuple(step["status"][s]),
            confidence=tuple(None if value != value else value for value in step["confidence"][s].tolist()),
            found_at=found["t"][v],
            findings=tuple(findings[v]),
            marked=mark["t"][m],
            nav=mark["nav"][m],
            intent_nav=mark["intent"][m],
            approved_nav=mark["approved"][m],
            reference_nav=mark["reference"][m],
            borrow=mark["borrow"][m],
            filled_at=fill["t"][f],
            **{name: fill[name][f] for name in _FILLED},
            initial_cash=setup.policy["execution"]["initial_cash"],
            bars_per_year=setup.bars_per_year,
            silent=unasked.get(episodes[k], 0),
        )


def _rows(table: str, columns: str, order: str = "t") -> str:
    """Rows of the episodes asked for, in the order asked for; `k` counts them."""
    asked = "SELECT unnest($1) AS episode, generate_subscripts($1, 1) - 1 AS k"
    return f'SELECT k, {columns} FROM "{table}" JOIN ({asked}) USING (episode) ORDER BY k, {order}'


def _columns(reader: Reader, table: str, columns: str, episodes: list[str], order: str = "t") -> dict[str, Any]:
    found = reader.db.execute(_rows(table, columns, order), [episodes]).fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items()}


def _vectors(reader: Reader, columns: Sequence[str], episodes: list[str]) -> list[Array]:
    """[rows, N] of each."""
    rows, n = _rows("step", ", ".join((*columns, "t"))), len(reader.experiment().symbols)
    return [flat.reshape(-1, n) for flat in entries(reader.db, columns, rows, [episodes])]


def _fills(reader: Reader, episodes: list[str]) -> dict[str, Any]:
    """Fills of one bar added up over the symbols, one after the other: so the last bit is the same at every reading."""
    columns = "t, symbol, decided, ordered, quantity, price, commission + spread + impact AS cost"
    rows = _columns(reader, "fill", columns, episodes, "t, symbol")
    if not len(rows["k"]):
        return {
            name: np.zeros(0, dtype=np.int32 if name in ("k", "t") else np.float64) for name in ("k", "t", *_FILLED)
        }
    close = reader.vectors("bars", "close")[0][rows["decided"], rows["symbol"]]
    quantity, price = rows["quantity"], rows["price"]
    values = {
        "ordered": np.abs(rows["ordered"]) * close,
        "filled": np.abs(quantity) * close,
        "bought": np.maximum(quantity, 0.0) * price,
        "sold": np.maximum(-quantity, 0.0) * price,
        "cost": rows["cost"],
    }
    new = np.flatnonzero(np.r_[True, (np.diff(rows["k"]) != 0) | (np.diff(rows["t"]) != 0)])
    sums = {name: np.add.reduceat(value, new) for name, value in values.items()}
    return {"k": rows["k"][new], "t": rows["t"][new], **sums}
