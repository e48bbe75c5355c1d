"""`tradearena show --waterfall`: what an episode earned, from what was wished to what was had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tradearena.analysis.waterfall import PAID, Waterfall, waterfall_of
from tradearena.cli.terminal import say

if TYPE_CHECKING:
    from tradearena.panel import Array

SYMBOLS = 5
"""Symbols that are shown by name: those that earned or lost most."""

WIDTH = 24
"""Characters of the longest bar."""


def show_waterfall(path: Path, name: str | None, *, json: bool) -> None:
    """Print the waterfall of one episode, the newest where none is named."""
    from tradearena.cli import report
    from tradearena.store.reader import Reader

    with Reader(path) as reader:
        row, symbols = reader.episode(name), reader.experiment().symbols
        found = waterfall_of(reader, row)
    if json:
        report.print_json({"experiment": str(path), "episode": row.id, **_as_json(found, symbols)})
        return
    say(f"episode {row.id}: {row.agent}, feedback {row.feedback}, {len(found.decided)} decisions")
    report.print_table(["part", "money", "of NAV", ""], _rows(found), title="from what was wished to what was had")
    report.print_table(["symbol", "intent", "risk", "execution", "costs", "executed"], _by_symbol(found, symbols))
    say('By decision and symbol: --json, or the view waterfall: tradearena sql FILE "FROM waterfall LIMIT 5"')


def _rows(found: Waterfall) -> list[list[str]]:
    """The parts one below the other, each with the way it goes."""
    totals = found.totals
    levels, level = [0.0], 0.0
    for money in totals.values():
        level += money
        levels.append(level)
    low, high = min(levels), max(levels)
    unit = (high - low) / WIDTH or 1.0
    rows = []
    for (part, money), begin, end in zip(totals.items(), levels, levels[1:], strict=False):
        rows.append([part, f"{money:+,.2f}", f"{100 * money / found.nav:+.2f}%", _bar(begin, end, low, unit)])
    return [*rows, ["executed", f"{level:+,.2f}", f"{100 * level / found.nav:+.2f}%", _bar(0.0, level, low, unit)]]


def _bar(begin: float, end: float, low: float, unit: float) -> str:
    left, right = sorted(round((each - low) / unit) for each in (begin, end))
    return (" " * left + ("█" * (right - left) or "│")).ljust(WIDTH + 1)


def _by_symbol(found: Waterfall, symbols: tuple[str, ...]) -> list[list[str]]:
    """Those that earned or lost most, and the rest in one row."""
    money = found.money.sum(axis=0)
    executed = money.sum(axis=0)
    order = (-abs(executed)).argsort(kind="stable")
    rows = [[symbols[i], *_said(money[:, i])] for i in order[:SYMBOLS].tolist()]
    rest = order[SYMBOLS:]
    return rows + ([[f"{len(rest)} more", *_said(money[:, rest].sum(axis=1))]] if len(rest) else [])


def _said(money: Array) -> list[str]:
    """Money by part [P], the rules taken together, and the costs."""
    parts = money[0], money[1 : -1 - len(PAID)].sum(), money[-1 - len(PAID)], money[-len(PAID) :].sum(), money.sum()
    return [f"{float(each):+,.0f}" for each in parts]


def _as_json(found: Waterfall, symbols: tuple[str, ...]) -> dict[str, object]:
    """Totals, and money by decision, part and symbol."""
    steps = [
        {"t": t, **{part: dict(zip(symbols, row, strict=True)) for part, row in zip(found.parts, each, strict=True)}}
        for t, each in zip(found.decided, found.money.tolist(), strict=True)
    ]
    return {"nav": found.nav, "totals": found.totals, "executed": float(found.money.sum()), "steps": steps}
