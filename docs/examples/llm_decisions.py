"""Recorded LLM portfolios as decisions to audit: two Parquet files come in, one wide CSV file per model goes out.

    python docs/examples/llm_decisions.py TRAJECTORIES BARS OUT
    tradearena run --agent decisions:OUT/gpt-5.csv --data BARS

TRAJECTORIES holds one row per model and bar: `model, timestamp, positions` (JSON, shares after the step), `nav` and
`reasoning_text`. BARS holds `timestamp, symbol, close`. Three things happen to a row:

- It is stamped with the bar before. The shares of the row labelled t were bought at the open of bar t, so nothing newer
  than that open was known; stamped t - 1, the decision is executed at the open of t again.
- Its weights are worked out anew: the shares it decided on, at the closes of bar t - 1, over the NAV of that close.
  The weights that the source records are marked at the close of bar t. Stamped t - 1 they would lean towards what rises
  in the bar to come. Shares that are worth more than that NAV (bought lower, after a gap) are scaled to it.
- Its text is the rationale, word for word.

Rows without a bar before them are left out: the account before its first trade, and the first trade. The shares of the
first trade are in the next row; its text is not.
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb

Closes = dict[int, dict[str, float]]

END_MARK = "<FINISH_SIGNAL>"
"""What ends a text in the source; it stays in the rationale and does not count as a word."""


class Row(NamedTuple):
    """The account of one model after one step. `time` is in microseconds, UTC."""

    time: int
    shares: dict[str, float]
    nav: float
    text: str


def read_closes(bars: Path) -> Closes:
    """Closes by bar and symbol; a bar that has an open only is there, and empty."""
    query = "SELECT epoch_us(timestamp), symbol, close FROM read_parquet(?) ORDER BY 1, 2"
    closes: Closes = {}
    for time, symbol, close in duckdb.execute(query, [str(bars)]).fetchall():
        known = closes.setdefault(time, {})
        if close is not None:
            known[symbol] = close
    return closes


def read_rows(trajectories: Path) -> dict[str, list[Row]]:
    """The rows of each model, in order of time."""
    query = "SELECT model, epoch_us(timestamp), positions, nav, reasoning_text FROM read_parquet(?) ORDER BY 1, 2"
    rows: dict[str, list[Row]] = {}
    for model, time, positions, nav, text in duckdb.execute(query, [str(trajectories)]).fetchall():
        rows.setdefault(model, []).append(Row(time, json.loads(positions), nav, text or ""))
    return rows


def decisions(rows: list[Row], closes: Closes) -> list[tuple[int, dict[str, float], str]]:
    """Time, weights and rationale of each decision, stamped with the bar before its fills."""
    order = sorted(closes)
    found = []
    for before, row in pairwise(rows):
        if before.time not in closes:
            continue  # the step at the first bar: nothing was known yet
        if row.time not in closes or order.index(row.time) != order.index(before.time) + 1:
            raise SystemExit(f"{stamp(row.time)}: the step before it is not one bar before it")
        known = closes[before.time]
        values = {symbol: shares * known[symbol] for symbol, shares in row.shares.items() if shares}
        whole = max(before.nav, sum(values.values()))
        found.append((before.time, {symbol: value / whole for symbol, value in values.items()}, row.text))
    return found


def write(path: Path, made: list[tuple[int, dict[str, float], str]]) -> None:
    """A wide CSV file: timestamp, one column of weights per symbol ever held, rationale."""
    symbols = sorted({symbol for _, weights, _ in made for symbol in weights})
    with path.open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text)
        out.writerow(["timestamp", *symbols, "rationale"])
        for time, weights, rationale in made:
            out.writerow([stamp(time), *(repr(weights.get(symbol, 0.0)) for symbol in symbols), rationale])


def stamp(microseconds: int) -> str:
    """ISO-8601 with Z."""
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Convert every model of a file."""
    if len(sys.argv) != 4:
        raise SystemExit("usage: python llm_decisions.py TRAJECTORIES BARS OUT")
    trajectories, bars, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    closes = read_closes(bars)
    for model, rows in read_rows(trajectories).items():
        made = decisions(rows, closes)
        write(out / f"{model}.csv", made)
        silent = sum(not text.replace(END_MARK, "").strip() for _, _, text in made)
        print(f"{out / model}.csv: {len(made)} of {len(rows)} rows, {silent} without a word")


if __name__ == "__main__":
    main()
