"""The paper's own statistics, for people: its rows come in; a table beside what the same definitions give on shuffled
text and on random vectors, and why a rate of 0.9 says nothing, go to stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tradearena.analysis.signatures.published import ALL, Published, Spread
from tradearena.cli import report
from tradearena.cli.terminal import say

COLUMNS = {
    "delta": "delta",
    "contraction_rate": "contraction",
    "shift": "shift",
    "balanced_accuracy": "accuracy",
    "equal_contraction_rate": "equal size",
}
"""Its statistics, and as the last the one that is not: the contraction rate with windows of equal size."""


def print_published(rows: Sequence[Published]) -> None:
    """The rows of one group, or of all of them pooled."""
    spoken = [row for row in rows if row.n_anchors]
    if not spoken:
        say("As published: no anchor (12 decisions, and a drawdown from the fifth on).")
        return
    who = "all groups pooled" if spoken[0].group == ALL else spoken[0].group.removeprefix("decisions:")
    table = [line for row in spoken for line in _lines(row)]
    heads = ["as published", *COLUMNS.values()]
    width = report.width_of(heads, table) if report.room() is None else None
    n = spoken[0].n_trajectories
    held = "1 trajectory" if n == 1 else f"{n} trajectories"
    title = f"{who}, as published: {spoken[0].n_anchors} deepest steps of {held}"
    report.print_table(heads, table, title=title, cut=0, width=width)


def _lines(row: Published) -> Iterator[list[str]]:
    """What it gives, and 95 % of what the same definitions give where there is nothing to find."""
    yield [f"{row.view}, {row.probe}", *(_number(getattr(row, name)) for name in COLUMNS)]
    if row.shuffled:
        yield ["  shuffled text", *(_range(row.shuffled.get(name)) for name in COLUMNS)]
    if row.random:
        yield ["  random vectors", *(_range(row.random.get(name)) for name in COLUMNS)]


def caveat(row: Published) -> str:
    """Why a high rate of contraction says nothing, with the figures of this very row."""
    shuffled, random = row.shuffled.get("contraction_rate"), row.random.get("contraction_rate")
    said = (
        "A contraction rate of 0.9 says nothing: 4 vectors before an anchor are compared with all normal ones, and "
        "fewer vectors span fewer directions whatever they mean"
    )
    if shuffled is not None and random is not None:
        said += f"; {row.view}, {row.probe}: {shuffled.mean:.2f} on shuffled text, {random.mean:.2f} on random vectors"
    if row.equal_contraction_rate is not None:
        said += f", {row.equal_contraction_rate:.2f} once windows are of equal size, where 0.5 is no difference"
    return f"{said}. Ranges hold 95 % of the draws."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _range(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.low:.2f} to {spread.high:.2f}"
