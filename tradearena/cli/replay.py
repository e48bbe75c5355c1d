"""`tradearena replay`: an episode step by step, from the file alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tradearena.cli import options

if TYPE_CHECKING:
    from tradearena.store.reader import EpisodeRow, Reader
    from tradearena.store.story import Line, Page

SHOWN = 20
"""Steps a table shows at either end before it cuts the middle out."""


def replay(
    file: options.File,
    episode: options.EpisodeName = None,
    step: Annotated[int | None, typer.Option("--step", help="Show the step at this bar in full.")] = None,
    each: Annotated[bool, typer.Option("--each", help="Every step in full; on a terminal Enter goes on.")] = False,
    every_line: Annotated[bool, typer.Option("--all", help="Every step in the table, the middle too.")] = False,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Replay an episode from its file: no key, no network, no dataset.

    A table of its steps; with --step one of them in full; with --each all of them, one after the other.
    """
    from tradearena.cli import report
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader
    from tradearena.store.story import page, story

    path = resolve(file, home)
    with Reader(path) as reader:
        row = reader.episode(episode)
        if step is not None:
            found = page(reader, row, step)
            if json:
                report.print_json({"experiment": str(path), "episode": row.id, **_as_json(found)})
            else:
                _print_page(found)
            return
        lines = story(reader, row.id)
        if json:
            summary = report.summary(reader, row)
            report.print_json({"experiment": str(path), "episodes": [{**summary, "path": [x._asdict() for x in lines]}]})
        elif each:
            _walk(reader, row, lines)
        else:
            _print_table(reader, row, lines, whole=every_line)


def _as_json(found: Page) -> dict[str, object]:
    return {**found._asdict(), "line": found.line._asdict()}


def _walk(reader: Reader, row: EpisodeRow, lines: list[Line]) -> None:
    from tradearena.store.story import page

    for number, line in enumerate(lines, start=1):
        _print_page(page(reader, row, line.t))
        if sys.stdin.isatty() and sys.stdout.isatty() and number < len(lines):
            typer.prompt(f"step {number} of {len(lines)}, Enter for the next", default="", show_default=False, err=True)


def _print_table(reader: Reader, row: EpisodeRow, lines: list[Line], *, whole: bool) -> None:
    from rich.console import Console

    from tradearena.cli import report

    setup = reader.experiment()
    window = reader.window(row)
    typer.echo(
        f"episode {row.id}: {row.agent} on {setup.name}, policy {setup.policy['name']}, feedback {row.feedback}, "
        f"seed {row.seed}, {window['start']} to {window['end']}, {row.status}"
    )
    table = report.plain_table("bar", "close of", "NAV", "gross", "changed by", "rationale")
    cut = not whole and len(lines) > 2 * SHOWN
    for line in lines[:SHOWN] if cut else lines:
        table.add_row(*_cells(line))
    if cut:
        table.add_row("…", f"{len(lines) - 2 * SHOWN} more", "", "", "", "--all shows them, --step BAR one in full")
        for line in lines[-SHOWN:]:
            table.add_row(*_cells(line))
    Console().print(table)
    others = [other for other in reader.episodes() if other.id != row.id]
    report.print_metrics([(row.agent, report.summary(reader, row)["metrics"])], title="executed book")
    if others:
        names = ", ".join(f"{other.id} ({other.agent})" for other in others[:6])
        typer.echo(f"Other episodes in this file: {names}; choose with --episode")


def _cells(line: Line) -> tuple[str, ...]:
    said = line.rationale if line.status == "ok" else f"[{line.status}] {line.rationale}"
    gates = ", ".join(dict.fromkeys(line.gates))
    text = " ".join(said.split()).replace("[", "\\[")
    return (str(line.t), line.time[:16], f"{line.nav:,.0f}", f"{line.gross:.2f}", gates, text)


def _print_page(found: Page) -> None:
    from rich.console import Console
    from rich.markup import escape

    from tradearena.cli import report

    console, line = Console(), found.line
    console.print(f"[bold]bar {line.t}[/bold], close of {line.time}: NAV {line.nav:,.2f}, cash {found.cash:,.2f}")
    reply = line.status + (f": {found.reason}" if found.reason else "") + (", keeps the position" if line.kept else "")
    confidence = "" if found.confidence is None else f", confidence {found.confidence:.2f}"
    console.print(f"reply {escape(reply)}{confidence}")
    if line.rationale:
        console.print(escape(line.rationale))
    weights = report.plain_table("symbol", "held", "intent", "approved", "reference", title="weights")
    for row in found.weights:
        weights.add_row(row["symbol"], *(f"{row[name]:.4f}" for name in ("held", "intent", "approved", "reference")))
    console.print(weights)
    if found.findings:
        findings = report.plain_table("rule", "on", "proposed", "approved", "limit", "severity", title="findings")
        for row in found.findings:
            numbers = (f"{row[name]:.4f}" for name in ("proposed", "approved", "limit"))
            findings.add_row(row["rule"], escape(row["name"] or row["scope"]), *numbers, row["severity"])
        console.print(findings)
    if found.fills:
        fills = report.plain_table("symbol", "ordered", "filled", "price", "cost", "rest cancelled for", title="fills")
        fills.title = f"fills at the open of bar {found.fills[0]['bar']}"
        for row in found.fills:
            numbers = (f"{row[name]:,.2f}" for name in ("ordered", "filled", "price", "cost"))
            fills.add_row(row["symbol"], *numbers, row["cause"])
        console.print(fills)
    console.print(f"hash {found.hash}\n")
