"""Shared by the verbs that show episodes: files and plans come in; tables, JSON and advice go to stdout."""

from __future__ import annotations

import json
import math
import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, get_args

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tradearena import rooms
from tradearena.analysis.metrics import Metrics, metrics, validity
from tradearena.cli.several import clusters_of
from tradearena.cli.terminal import plain, say
from tradearena.errors import InvalidRun, Limited, TradeArenaError
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import DONE
from tradearena.store.story import story
from tradearena.store.trajectories import trajectories
from tradearena.values import Status, Trajectory

if TYPE_CHECKING:
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan

COLUMNS = {
    "total_return": "return",
    "annual_volatility": "vol/yr",
    "sharpe": "Sharpe",
    "max_drawdown": "max DD",
    "turnover": "turnover",
    "cost": "cost",
    "gate_rate": "gated",
    "clip_distance": "clipped",
}
"""Metrics of the table, and how a terminal names them; `--json` has all of them, under their full names."""

ALIGNED = {
    "total_return": "return",
    "sharpe": "Sharpe",
    "max_drawdown": "max DD",
    "cost": "cost",
    "gate_rate": "gated",
    "repeat_violation_rate": "repeats",
    "compliance_lag": "lag",
    "clip_distance": "clipped",
}
"""Those of a comparison: what was earned beside how far wishes kept to the limits."""

_NUMERIC = re.compile(r"[-+]?[\d,.]*%?|–|…|nan|None")

NAMED = 4
"""Datasets that a caption names."""

PLAIN = ("sharpe", "clip_distance", "compliance_lag")

SPARED = ("cost", "annual_volatility", "turnover", "max_drawdown")
"""Metrics that a narrow terminal does without, the first of them first."""


def print_json(value: dict[str, Any]) -> None:
    """Exactly one JSON object; what is not finite is null."""
    typer.echo(json.dumps(_plain(value), allow_nan=False, default=str))


def _plain(value: Any) -> Any:
    """A value in the words of JSON: what is not finite is null, bytes are hexadecimal."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    number = float(value) if isinstance(value, Decimal) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def results(outcome: Outcome) -> dict[str, Any]:
    """The episodes of a run as the JSON of `run`."""
    with Reader(outcome.path) as reader:
        rows = {row.id: row for row in reader.episodes()}
        found = summaries(reader, [rows[name] for name in outcome.episodes if name in rows])
    return {"experiment": str(outcome.path), "episodes": found}


def summary(reader: Reader, row: EpisodeRow) -> dict[str, Any]:
    """One episode as JSON."""
    return summaries(reader, [row])[0]


def summaries(reader: Reader, rows: Sequence[EpisodeRow]) -> list[dict[str, Any]]:
    """Episodes as JSON."""
    windows = {(row.first, row.last, row.every): row for row in rows}
    bars = {key: reader.window(row) for key, row in windows.items()}
    paths = trajectories(reader, [row.id for row in rows])
    return [_summary(row, path, bars[row.first, row.last, row.every]) for row, path in zip(rows, paths, strict=True)]


def _summary(row: EpisodeRow, path: Trajectory, window: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "agent": row.agent,
        "feedback": row.feedback,
        "seed": row.seed,
        "window": window,
        "status": row.status,
        "steps": len(path.decided),
        "validity": validity(path),
        "root_hash": row.root_hash,
        "metrics": metrics(path),
    }


def invalid(found: dict[str, Any]) -> InvalidRun | None:
    """What is wrong where an episode is no result: too many of its replies were malformed or lost."""
    for episode in found["episodes"]:
        counts = episode["validity"]
        if not counts["valid"]:
            lost, said = lost_of(counts)
            why = f"{lost} of {said} replies of {episode['agent']} were fallback or error (at most 5 % may be)"
            why = why if said else f"there is no reply of {episode['agent']}"
            return InvalidRun(f"INVALID: {why}; the episode is on record and is no result")
    return None


def lost_of(counts: dict[str, Any]) -> tuple[int, int]:
    """Of what `validity` counts: how many replies were of no use, and how many there are."""
    return counts["fallback"] + counts["error"], sum(counts[status] for status in get_args(Status))


def nothing_valid(episodes: list[dict[str, Any]]) -> InvalidRun | None:
    """What is wrong where nothing is left to compare: no valid pair of modes, or where no pair was asked for no valid
    episode."""
    from tradearena.analysis.cells import counts, pairs

    valid = [episode for episode in episodes if counts(episode)]
    in_pairs = pairs(episodes) > 0
    if pairs(valid) if in_pairs else valid:
        return None
    what = "pair of modes of one agent, with the same seed in the same window," if in_pairs else "episode"
    return InvalidRun(
        f"INVALID: no valid {what} is left: {len(episodes) - len(valid)} of {len(episodes)} episodes lost more than "
        "5 % of their replies; they are on record and are no result"
    )


def conclude(found: dict[str, Any], error: TradeArenaError | None, *, json: bool) -> None:
    """Print the one JSON object where JSON is asked for, and end with the error's exit code if there is one. That a
    limit was reached is what was asked for, and no error."""
    if isinstance(error, Limited):
        say(f"limited: {error}; the same command takes it up again, with as much more", err=True)
        error = None
    if json:
        print_json({**found, "error": str(error)} if error else found)
        if error:
            say(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code)
    elif error:
        raise error


def number(value: float | None, *, plain: bool = False) -> str:
    """A metric for a terminal: percent, or plain; a dash where it is not defined."""
    if value is None:
        return "–"
    return f"{value:.2f}" if plain else f"{100 * value:.1f}%"


def entry(episode: dict[str, Any]) -> tuple[tuple[str], Metrics | None]:
    """An episode as a row of a table: its agent and metrics; what is no result is named so and has none."""
    agent = episode["agent"].removeprefix("decisions:")
    if episode["status"] not in DONE:
        return (f"{agent} ({episode['status']})",), None
    if not episode["validity"]["valid"]:
        return (f"{agent} (INVALID)",), None
    return (agent,), episode["metrics"]


def print_metrics(
    rows: Sequence[tuple[Sequence[str], Metrics | None]],
    *,
    title: str,
    heads: Sequence[str] = ("agent",),
    named: Mapping[str, str] = COLUMNS,
) -> None:
    """A table of labels and metrics, with as many columns as there is room for. A pipe has room for all of them."""
    console = Console()
    bounded = _bounded(console)
    columns = dict(named)
    for spared in (None, *SPARED):
        columns = {name: said for name, said in columns.items() if name != spared}
        titles = [*heads, *columns.values()]
        cells = [[*labels, *_numbers(found, columns, labels)] for labels, found in rows]
        needed = width_of(titles, cells)
        if not bounded or needed <= console.width:
            break
    print_table(
        titles,
        cells,
        title=title,
        cut=heads.index("agent") if "agent" in heads else 0,
        width=None if bounded else max(needed, console.width),
    )
    if left_out := [said for name, said in named.items() if name not in columns]:
        say(f"Not shown for want of room: {', '.join(left_out)}. --json has every metric.")


def _numbers(found: Metrics | None, columns: Iterable[str], labels: Sequence[str]) -> list[str]:
    """Metrics as cells; nothing in a row that is a heading, a dash in one that has no result."""
    if found is None:
        return ["" if labels[1:] == ("",) else "–" for _ in columns]
    return [number(found[name], plain=name in PLAIN) for name in columns]


NARROWEST = 8
"""Characters to which a column may be cut."""


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    cut: int = -1,
    width: int | None = None,
) -> None:
    """A table of one line per row, numbers to the right; where the terminal (or `width`) is too narrow the column `cut`
    is cut, down to `NARROWEST`. No other is: the table is then wider than the terminal."""
    console = Console(width=width)
    head = Text(plain(title), style="bold") if title else None
    table = Table(title=head, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    cells = [[" ".join(plain(cell).split("\n")) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    frame = 2 * len(widths) + 1
    fixed = frame + sum(widths) - widths[cut]
    room = max(console.width - fixed, cell_len(columns[cut]), NARROWEST)
    console.width = max(console.width, fixed + min(room, widths[cut]))
    for i, name in enumerate(columns):
        numeric = rows and all(_NUMERIC.fullmatch(row[i]) for row in cells)
        table.add_column(Text(plain(name)), no_wrap=True, justify="right" if numeric else "left")
    for row in cells:
        texts = [Text(cell) for cell in row]
        texts[cut].truncate(room, overflow="ellipsis")
        table.add_row(*texts)
    console.print(table)


def width_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Characters a table takes where nothing is cut."""
    return sum(max(map(cell_len, column)) + 2 for column in zip(columns, *rows, strict=True)) + 1


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """The answer to a query: a table where it fits the terminal, else one value a line."""
    if not columns:
        return
    cells = [[_cell(value) for value in row] for row in rows]
    console = Console()
    if width_of(columns, cells) <= console.width:
        print_table(columns, cells)
        return
    for row in cells:
        for name, value in zip(columns, row, strict=True):
            console.print(f"[bold]{escape(plain(name)):<14}[/bold] {escape(plain(value))}")
        console.print()


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def caption(*plans: Plan) -> str:
    """Which bars, which rules, and how little one path proves."""
    plan, n = plans[0], len(plans)
    spans = [span for each in plans for span in each.spans]
    counts = sorted({len(each.decisions) for each in spans})
    between = " or " if len(counts) < 3 else " to "
    decisions = f"{between.join(f'{each:,}' for each in dict.fromkeys((counts[0], counts[-1])))} decisions"
    if len(spans) > 1:
        alone = clusters_of(plans)
        apart = "with no bar in common" if alone == len(spans) else f"({alone} with no bar in common)"
        decisions = f"{len(spans)} windows {apart}, {decisions} in each"
    if n > 1:
        names = [each.dataset.card.name for each in plans]
        shown = ", ".join(names if n <= NAMED else [*names[: NAMED - 1], "…", names[-1]])
        return (
            f"{n} datasets: {shown}\npolicy {plan.policy.name}, {decisions}. Datasets are taken to be independent of "
            "each other."
        )
    span, panel = plan.span, plan.dataset.panel
    first, last = (stamp(panel.end[t].astype(datetime)) for t in (span.first, span.last))
    return (
        f"{plan.dataset.card.name}: {len(panel.symbols)} symbols, {first} to {last}\n"
        f"policy {plan.policy.name}, {decisions}. One market path: the rows differ, "
        "but that proves no skill."
    )


def stamp(moment: datetime) -> str:
    """A time for a terminal."""
    return f"{moment:%Y-%m-%d %H:%MZ}"


def wrapped(text: str) -> str:
    """Text in lines of a terminal's width; a pipe gets it in one."""
    console = Console()
    return textwrap.fill(text, console.width, break_on_hyphens=False) if _bounded(console) else text


def room() -> int | None:
    """Characters of a line; None where there is no width to keep to."""
    console = Console()
    return console.width if _bounded(console) else None


def _bounded(console: Console) -> bool:
    """Is there a width to keep to?"""
    return console.is_terminal or "COLUMNS" in os.environ


def print_last_words(outcome: Outcome) -> None:
    """The agent's last rationale, and the findings that changed weights most often."""
    with Reader(outcome.path) as reader:
        lines = story(reader, outcome.episodes[0])
    said = next((line.rationale for line in reversed(lines) if line.rationale), None)
    if said:
        say(wrapped(f"Last rationale: {said}"))
    rules = Counter(rule for line in lines for rule in dict.fromkeys(line.gates))
    if rules:
        counted = ", ".join(f"{rule} in {n}" for rule, n in rules.most_common(4))
        say(wrapped(f"Decisions that a rule changed: {counted}, of {len(lines)}"))


NEXT = (
    ("replay {file}", "step by step, from the file alone"),
    ('sql {file} "FROM steps LIMIT 5"', "any question"),
    ("compare --steps 250", "told the truth, nothing, a placebo, a lie"),
)
"""What to type after `run`, and what for."""


def _shown(path: Path) -> Path:
    """A path from here, where it is below."""
    here = path.resolve().is_relative_to(Path.cwd().resolve())
    return path.resolve().relative_to(Path.cwd().resolve()) if here else path


def typed(path: Path) -> str:
    """What to type for an experiment file: its id, where that finds it from here, else its path as a shell takes it."""
    real = path.resolve()
    return real.stem.rpartition("-")[2] if real.parent in rooms.places("replays") else quote(str(_shown(path)))


def print_place(path: Path) -> None:
    """Where an experiment is."""
    say(f"Recorded in {_shown(path)}")


def print_next(path: Path, *, complete: bool, commands: Sequence[tuple[str, str]] = NEXT) -> None:
    """The file, and what to type next."""
    say(f"\nRecorded in {_shown(path)}")
    if not complete:
        say("Not finished: the same command takes it up where it stopped.")
        return
    say("Next:")
    for command, about in commands:
        say(f"  {'tradearena ' + command.replace('{file}', typed(path)):<46}  {about}")
