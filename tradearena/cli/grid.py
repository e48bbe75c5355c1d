"""The table of a grid: cells and baselines come in; rows of means, what was left out of them and what to type next go
to stdout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradearena.analysis.cells import counts, ended
from tradearena.analysis.metrics import Metrics
from tradearena.cli import report
from tradearena.cli.contrasts import print_contrasts
from tradearena.cli.terminal import say

if TYPE_CHECKING:
    from tradearena.analysis.comparison import Comparison
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan

LISTED = 5
"""Episodes that are no result which are listed one by one."""


def print_grid(
    runs: Sequence[tuple[Plan, Outcome]], found: dict[str, Any], made: Comparison, *, complete: bool, words: bool
) -> None:
    """The cells beside the baselines, what they are made of and how they differ, and what to type next."""
    over = "seeds, windows, datasets" if len(runs) > 1 else "seeds, windows"
    print_cells(found, report.caption(*(plan for plan, _ in runs)), f"over n episodes ({over})")
    print_contrasts(made, words=words)
    say("With more seeds, modes or agents the same command adds what is missing.")
    for _, outcome in runs[:-1]:
        report.print_place(outcome.path)
    outcome = runs[-1][1]
    report.print_next(outcome.path, complete=complete, commands=_next(outcome))


def print_cells(found: dict[str, Any], title: str, over: str) -> None:
    """The mean of each agent in each mode, the baselines, and what was left out."""
    rows: list[tuple[tuple[str, str], Metrics | None]] = []
    for agent, cells in groupby(found["cells"], key=itemgetter("agent")):
        rows.append(((agent.removeprefix("decisions:"), ""), None))
        for cell in cells:
            invalid = f" ({cell['n_invalid']} INVALID)" if cell["n_invalid"] else ""
            rows.append(((f"  {cell['feedback']}{invalid}", str(cell["n_episodes"])), cell["metrics"]))
    if found["baselines"]:
        rows.append((("baselines", ""), None))
    rows += [((f"  {each['agent']}", str(each["n_windows"])), each["metrics"]) for each in found["baselines"]]
    report.print_metrics(rows, title=title, heads=("agent, feedback", "n"), named=report.ALIGNED)
    say(f"Means {over}{'; baselines are told nothing' if found['baselines'] else ''}.")
    _print_left_out(found["episodes"])


def _next(outcome: Outcome) -> list[tuple[str, str]]:
    """What to type next."""
    return [
        (f"replay {{file}} --episode {outcome.episodes[0]}", "the first episode, from the file alone"),
        ("show {file}", "each episode by itself"),
        ('sql {file} "FROM steps LIMIT 5"', "any question"),
    ]


def _print_left_out(episodes: list[dict[str, Any]]) -> None:
    """What is no result, by name."""
    lost = [episode for episode in episodes if not counts(episode)]
    for episode in lost[:LISTED]:
        why = episode["status"]
        if ended(episode):
            lost_replies, said = report.lost_of(episode["validity"])
            why = f"INVALID, {lost_replies} of {said} replies lost" if said else "INVALID, no reply"
        which = f"feedback {episode['feedback']}, seed {episode['seed']}, bars from {episode['window']['first']}"
        which += f", {Path(episode['experiment']).stem}" if "experiment" in episode else ""
        say(f"Left out: {episode['agent']}, {which}: {why}")
    if len(lost) > LISTED:
        say(f"Left out: {len(lost) - LISTED} more, see --json")
