"""`tradearena signatures --stress`: what becomes of each statistic when the agent is asked again, or its texts are
replaced."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradearena.cli.terminal import say
from tradearena.cli.watch import Watch

if TYPE_CHECKING:
    from tradearena.analysis.signatures.design import Design
    from tradearena.analysis.signatures.probe import Probe
    from tradearena.analysis.signatures.stress import Change

DEFAULT_PROBES = ("hash", "lsa", "lexical")
IN_TABLE = ("plan", "intent")
"""Views that a table has where none are named: with all four it would be hundreds of lines."""


def show_stress(
    paths: Sequence[Path],
    *,
    probes: Sequence[Probe] | None = None,
    design: Design | None = None,
    noise: Sequence[str] = (),
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Print the change of every statistic under every stress: the primary ones as a table, all of them with `json`.

    Args:
        paths: experiment files; those with noise beside those without.
        noise: sizes that scripted agents are asked again under, as `compare --noise` takes them; else two usual ones.

    Raises:
        InvalidRun: no episode is a result.
        UsageError: there is nothing to stress, an episode stands in two files, or a size is none.
        StoreError: a file cannot be read, or is not what it says.
        Interrupted: it was stopped.
    """
    from dataclasses import replace

    from tradearena.analysis.signatures.adjustment import shortest
    from tradearena.analysis.signatures.design import Design
    from tradearena.analysis.signatures.partners import NOISES, Partners
    from tradearena.analysis.signatures.probe import probe_of
    from tradearena.analysis.signatures.recorded import in_words
    from tradearena.analysis.signatures.stress import changes
    from tradearena.cli import report
    from tradearena.market.noise import noise_named

    sizes = [noise_named(size) for size in noise] or NOISES
    through = probes if probes is not None else [probe_of(name) for name in DEFAULT_PROBES]
    design = design or Design()
    fewest, asked = shortest(design.before), 0

    with Watch(show=not quiet) as watch:

        def halt(_bar: int) -> bool:
            nonlocal asked
            asked += 1
            return watch.look(lambda: f"asked again: {asked:,} decisions")

        partners = Partners(paths, fewest=fewest, halt=halt)
        found = list(changes(partners, through, replace(design, primary_only=not json), sizes))
    if json:
        said, left_out = [_said(row) for row in found], [each._asdict() for each in partners.left_out]
        report.print_json({"experiments": [str(path) for path in paths], "rows": said, "left_out": left_out})
    elif not quiet:
        for group, rows in groupby(sorted(found, key=lambda row: row.group), key=lambda row: row.group):
            _print_group(group, [row for row in rows if row.primary])
        if partners.left_out:
            say(report.wrapped(f"Left out: {in_words(partners.left_out, fewest)}."))


def _said(row: Change) -> dict[str, Any]:
    said = row._asdict()
    said["ci"] = said.pop("interval")
    return said


def _print_group(group: str, rows: Sequence[Change]) -> None:
    """One table; a stress that changes nothing, or that there is nobody for, is one line of it."""
    from tradearena.cli import report

    table = []
    for stress, each in groupby(rows, key=lambda row: row.stress):
        lines = list(each)
        verdicts = {row.verdict for row in lines}
        if len(verdicts) == 1 and all(not row.change for row in lines):
            table.append([f"{stress}: {verdicts.pop()}", *[""] * 4, str(max(row.n for row in lines) or "–")])
            continue
        table.append([stress, *[""] * 5])
        table += [
            [f"  {row.view}, {row.probe}, {row.anchors}", _number(row.base), _number(row.stressed), _number(row.change),
             _interval(row), str(row.n)]
            for row in lines
        ]  # fmt: skip
    title = f"{group}: effective rank before anchors less away from them, and what a stress does to it"
    report.print_table(["stress: view, probe, anchors", "without", "with", "change", "95 % interval", "n"], table,
                       title=title, cut=0)  # fmt: skip
    say(report.wrapped(
        "n: market paths that have both. Each interval is of one change, not adjusted for how many there are. All "
        "views and statistics are in --json; docs/stress.md says what each stress keeps and destroys."
    ))  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _interval(row: Change) -> str:
    if row.interval is not None:
        return "[{:+.4f}, {:+.4f}]".format(*row.interval)
    return row.verdict if row.verdict != "estimated" else "–"
