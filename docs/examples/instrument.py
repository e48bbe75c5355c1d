"""Tries the instrument and writes what came of it into `docs/calibration.md`, in place.

    python docs/examples/instrument.py [EXPERIMENTS [WINDOWS [STEPS [JOBS]]]]

By default 200 experiments of 10 windows of 40 decisions, on all cores: about 35 minutes on two of them.
`tradearena check --instrument` measures the same, and prints less of it.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tradearena import policy
from tradearena.analysis.instrument import Trial
from tradearena.cli.calibrated import VERDICTS, interval, measure, share
from tradearena.cli.session import Watch

PAGE = Path(__file__).resolve().parents[1] / "calibration.md"
BEGIN, END = (
    "<!-- measured: docs/examples/instrument.py writes what follows -->\n",
    "<!-- end of what is measured -->\n",
)

Found = dict[str, Any]


def measured(found: Found) -> str:
    """All of it as Markdown."""
    return "\n\n".join(
        (
            _made_by(found),
            "### What may be said",
            table(_claims(found)),
            "### No effect: share of experiments with p at most 0.05",
            table(_nulls(found, "primary")),
            table(_families(found)),
            table(_nulls(found, "exploratory")),
            "### Planted effects: share of experiments that find them",
            table(_powers(found)),
        )
    )


def _made_by(found: Found) -> str:
    versions, (before, after) = found["versions"], found["load"]
    first = found["seed"]
    size = f"--experiments {found['experiments']} --windows {found['windows']} --steps {found['steps']}"
    said = ", ".join(f"{name} {versions[name]}" for name in ("tradearena", "python", "numpy", "daqp"))
    return textwrap.fill(
        f"`tradearena check --instrument {size} --seed {first}`: markets of the seeds {first} to "
        f"{first + found['experiments'] - 1}, policy `{found['policy']['name']}`, modes "
        f"{', '.join(f'`{mode}`' for mode in found['modes'])}; {len(found['organisms'])} organisms in each market, "
        f"{found['seeds']} seed each. It took {found['seconds'] / 60:.1f} minutes in {found['jobs']} processes, load "
        f"{before} at the start and {after} at the end, on {versions['processor']}; {said}, revision "
        f"{(versions['revision'] or 'unknown')[:10]}. With {found['windows']} windows the attainable level is "
        f"{found['attainable']:.4f}.",
        120,
        break_on_hyphens=False,
    )


def _claims(found: Found) -> Iterator[list[str]]:
    yield ["", "claim", "grounds"]
    for claim in found["claims"]:
        yield [VERDICTS[claim["holds"]], claim["claim"], claim["said"]]


def _nulls(found: Found, family: str) -> Iterator[list[str]]:
    levels = sorted({row["noise"] for row in found["null"] if row["noise"] is not None})
    yield [
        f"{family}: metric", "contrast", *(f"noise {level:g}" for level in levels), "all, of", "95 % interval",
        "nominal", "exact zeros", "no p",
    ]  # fmt: skip
    held: dict[tuple[str, str], dict[float | None, Found]] = {}
    for row in found["null"]:
        if row["family"] == family:
            held.setdefault((row["metric"], row["contrast"]), {})[row["noise"]] = row
    for (metric, contrast), by in held.items():
        whole = by[None]
        cells = [f"{share(by[level]['fired'])} {interval(by[level]['fired'])}" for level in levels]
        together = [f"{share(whole['fired'])}, {whole['fired']['n']}", interval(whole["fired"])]
        rest = [f"{whole['nominal']:.4f}", f"{whole['ties']:.3f}", str(whole["silent"])]
        yield [f"`{metric}`", contrast, *cells, *together, *rest]


def _families(found: Found) -> Iterator[list[str]]:
    yield ["any primary row after Holm", "rows", "share of experiments", "95 % interval", "of", "due at most"]
    for row in found["families"]:
        noise = "all" if row["noise"] is None else f"noise {row['noise']:g}"
        fired = row["fired"]
        yield [noise, str(row["tests"]), share(fired), interval(fired), str(fired["n"]), f"{row['bound']:.4f}"]


def _powers(found: Found) -> Iterator[list[str]]:
    yield [
        "planted", "strength", "metric", "contrast", "sign", "found", "95 % interval", "formula", "wrong sign",
        "mean effect", "spread of clusters",
    ]  # fmt: skip
    for row in found["power"]:
        effect = ["–" if row[name] is None else f"{row[name]:.4f}" for name in ("mean", "spread")]
        formula = "–" if row["predicted"] is None else f"{row['predicted']:.3f}"
        yield [
            row["kind"], f"{row['strength']:g}", f"`{row['metric']}`", row["contrast"], "+" if row["sign"] > 0 else "−",
            share(row["found"]), interval(row["found"]), formula, share(row["wrong"]), *effect,
        ]  # fmt: skip


def table(lines: Iterator[list[str]]) -> str:
    """Rows as Markdown; the first is the head."""
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|" + "---|" * (head.count(" | ") + 1), *rest])


def replaced(page: str, made: str) -> str:
    """A page with what is measured in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n\n{END}{after}"


def main(sizes: Sequence[int]) -> None:
    """Measure, and write."""
    count, windows, steps, jobs = (*sizes, *(200, 10, 40, os.cpu_count() or 1)[len(sizes) :])
    trial = Trial(policy.load("standard"), windows=windows, steps=steps)

    with Watch(show=True) as shown:
        found = measure(
            trial, range(1, count + 1), jobs, lambda ended: shown.look(lambda: f"{ended} of {count} markets")
        )
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), measured(found)), encoding="utf-8")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
