"""Prints the table of docs/calibration.md on real bars: two experiment files of the same agents come in, one of whole
runs and one of forked steps; every primary contrast of both goes out, side by side.

python docs/examples/planted.py PAIRED.duckdb FORKED.duckdb
"""

from __future__ import annotations

import sys
from pathlib import Path

from tradearena.analysis.comparison import compare, is_primary
from tradearena.analysis.contrasts import Row
from tradearena.cli.contrasts import NAMES


def table(paired: Path, forked: Path) -> str:
    """The rows of both files that were declared beforehand."""
    lines = [
        "| agent | measure | contrast | paired runs | Holm | forked steps | Holm |",
        "|---|---|---|---|---|---|---|",
    ]
    found = [{_key(row): row for row in compare([(path, None)]).rows if is_primary(row)} for path in (paired, forked)]
    for (agent, metric, treatment, control), row in found[0].items():
        modes = f"{treatment} - {control}".replace("false-audit:", "")
        said = f"{_said(row)} | {_said(found[1][agent, metric, treatment, control])}"
        lines.append(f"| {agent.removeprefix('organism-')} | {NAMES[metric]} | {modes} | {said} |")
    counts = sorted({row.effect.n for each in found for row in each.values()})
    return "\n".join([*lines, "", f"n = {' to '.join(map(str, counts))} windows"])


def _key(row: Row) -> tuple[str, str, str, str]:
    return row.agent, row.metric, row.contrast.treatment, row.contrast.control


def _said(row: Row) -> str:
    effect = row.effect
    if effect.mean is None or effect.interval is None or row.p_adjusted is None:
        return f"{effect.verdict} | –"
    return f"{effect.mean:+.3f} [{effect.interval[0]:+.3f}, {effect.interval[1]:+.3f}] | {row.p_adjusted:.2g}"


if __name__ == "__main__":
    print(table(Path(sys.argv[1]), Path(sys.argv[2])))
