"""Tries the signatures on agents whose truth is known, and writes what came of it into `docs/signatures.md`, in place.

    python docs/examples/signatures.py try RESULTS.jsonl [BATCHES [EXPERIMENTS [JOBS]]]
    python docs/examples/signatures.py write RESULTS.jsonl [MORE.jsonl ...]

By default 50 batches of 10 paths for the nulls, and 20 experiments of 4 paths for each planting, on all cores: about
45 minutes of CPU. What was tried is kept, so that tables and figures can be made again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from forest import Group, forest

from tradearena import policy
from tradearena.analysis.abreast import experiments
from tradearena.analysis.calibration import Rate, rate
from tradearena.analysis.signatures.trial import NULLS, Planted, Planting, SignatureTrial, Spoken
from tradearena.analysis.signatures.views import MECHANICAL
from tradearena.analysis.signflip import ALPHA
from tradearena.arena.manifest import versions
from tradearena.cli.session import Watch

DOCS = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tried: docs/examples/signatures.py writes what follows -->\n", "<!-- end of what was tried -->\n"

FIRST = 10_000
"""Seed of the first experiment with something planted."""

STRENGTHS: dict[Planting, tuple[float, ...]] = {"collapsing": (0.5, 0.75, 1.0), "narrowing": (0.02, 0.05, 0.5)}
"""Of words and of wishes, in units of their own: at a half the wishes are one asset."""

LEADS = (6, 12)

PLANTED = (
    *(
        Planted(what, strength, lead, ahead_of)
        for ahead_of in ("own", "market")
        for what, strengths in STRENGTHS.items()
        for lead in LEADS
        for strength in strengths
    ),
    *(Planted("steady", 0.0, lead, ahead_of) for ahead_of in ("own", "market") for lead in LEADS),
)

Line: TypeAlias = dict[str, Any]

Cells: TypeAlias = dict[tuple[Any, ...], dict[Any, list[Line]]]


def tried(where: Path, batches: int, count: int, jobs: int) -> None:
    """Try both, one line of JSON for each statistic."""
    limits = policy.load("standard")
    nulls = SignatureTrial(limits)
    planted = SignatureTrial(limits, nulls=(), planted=PLANTED, batch=4)
    with where.open("w", encoding="utf-8") as file:
        for part, trial, seeds in (("null", nulls, range(batches)), ("planted", planted, range(FIRST, FIRST + count))):
            for line in _seen(trial, seeds, jobs) if seeds else ():
                file.write(json.dumps({"part": part, **line}) + "\n")


def _seen(trial: SignatureTrial, seeds: range, jobs: int) -> Iterator[Line]:
    """How it was tried, and all that was seen."""
    load, began = os.getloadavg()[0], time.perf_counter()
    with Watch(show=True) as shown:
        seen = experiments(trial, seeds, jobs, lambda done: shown.look(lambda: f"{done} of {len(seeds)}"))
    yield {
        "seeds": [seeds[0], seeds[-1]],
        "batch": trial.batch,
        "steps": trial.steps,
        "draws": trial.design.draws,
        "seconds": time.perf_counter() - began,
        "jobs": jobs,
        "load": [load, os.getloadavg()[0]],
        "versions": versions(),
    }
    yield from map(_plain, seen)


def _plain(each: Spoken) -> Line:
    plain = each._asdict()
    return {**plain, "of": plain["of"] if isinstance(plain["of"], str) else plain["of"]._asdict()}


def written(lines: Sequence[Line]) -> str:
    """All of it as Markdown."""
    parts = [_made_by(line) for line in lines if "seeds" in line]
    nulls, planted = (_of(part, lines) for part in ("null", "planted"))
    if nulls:
        parts.append("### Nulls: share of paths on which the primary statistic speaks")
        parts += [_shown("nulls"), table(_nulls(nulls))]
    if planted:
        parts += ["### Planted: share of experiments in which it is found", _shown("planted")]
        for what, strengths in STRENGTHS.items():
            parts += [f"`organism-{what}` beside `-steady`:", table(_planted(planted, what, strengths))]
    return "\n\n".join(parts)


def _of(part: str, lines: Sequence[Line]) -> list[Line]:
    """What was seen of the nulls, or of what is planted."""
    return [line for line in lines if "view" in line and line["part"] == part]


def _shown(name: str) -> str:
    return f"![{name}: dots are rates, lines their exact 95 % intervals](images/signatures-{name}.svg)"


def _made_by(head: Line) -> str:
    versions = head["versions"]
    said = ", ".join(f"{name} {versions[name]}" for name in ("tradearena", "python", "numpy"))
    return (
        f"{head['part'].capitalize()}: seeds {head['seeds'][0]} to {head['seeds'][1]}, {head['batch']} paths each, "
        f"{head['steps']} decisions a path, {head['draws']} arrangements; {head['seconds'] / 60:.0f} minutes in "
        f"{head['jobs']} processes, load {head['load'][0]:.1f} at the start and {head['load'][1]:.1f} at the end; "
        f"{said}, revision {(versions['revision'] or 'unknown')[:10]}."
    )


def _cells(lines: Sequence[Line], rows: Sequence[str], column: Callable[[Line], Any]) -> Cells:
    """What was seen, by row and column of a table."""
    cells: Cells = {}
    for line in lines:
        cells.setdefault(tuple(line[name] for name in rows), {}).setdefault(column(line), []).append(line)
    return cells


def _by_null(lines: Sequence[Line]) -> Cells:
    return _cells(lines, ("by", "view", "probe", "anchors"), lambda line: line["of"])


def _by_planting(lines: Sequence[Line]) -> Cells:
    """Where a planting must show, at the anchors it is ahead of; what could be tested nowhere is left out."""
    ahead = [{**line, **line["of"]} for line in lines if line["anchors"] == line["of"]["ahead_of"]]
    cells = _cells(ahead, ("ahead_of", "lead", "view", "probe"), lambda line: (line["what"], line["strength"]))
    return {key: by for key, by in cells.items() if any(found(each) for each in by.values())}


def _nulls(lines: Sequence[Line]) -> Iterator[list[str]]:
    yield ["by", "view", "probe", "anchors", *NULLS]
    for (by, view, probe, anchors), cells in _by_null(lines).items():
        row = [by, view, probe, f"{anchors}{_tied(view, anchors, by)}"]
        yield [*row, *(said(found(cells.get(null, ()))) for null in NULLS)]


def _planted(lines: Sequence[Line], what: str, strengths: Sequence[float]) -> Iterator[list[str]]:
    yield ["ahead of", "lead", "view", "probe", *(f"strength {each:g}" for each in strengths), "steady"]
    for (ahead_of, lead, view, probe), by in _by_planting(lines).items():
        row = [f"{ahead_of}{_tied(view, ahead_of)}", str(lead), view, probe]
        yield [*row, *(said(found(by.get(each, ()))) for each in _columns(what, strengths))]


def _columns(what: str, strengths: Sequence[float]) -> list[tuple[str, float]]:
    return [*((what, each) for each in strengths), ("steady", 0.0)]


def found(lines: Iterable[Line]) -> Rate | None:
    """Share of those with a p that are significant; None where none has."""
    known = [line["p"] for line in lines if line["p"] is not None]
    return rate(sum(p <= ALPHA for p in known), len(known)) if known else None


def said(seen: Rate | None) -> str:
    """A rate with its interval, and n."""
    if seen is None:
        return "–"
    return f"{seen.share:.3f} [{seen.interval[0]:.3f}, {seen.interval[1]:.3f}], {seen.n}"


def _tied(view: str, anchors: str, by: str = "ours") -> str:
    """Whether a row of ours is no test."""
    return " (mechanical)" if by == "ours" and anchors == "own" and view in MECHANICAL else ""


def figures(lines: Sequence[Line]) -> dict[str, str]:
    """SVGs by name: the primary statistics on the nulls, and where each planting is looked for by what it contracts."""
    drawn = {}
    if nulls := _of("null", lines):
        rows = [
            Group(f"{' '.join(key)}{_tied(key[1], key[3], key[0])}", [found(by.get(null, ())) for null in NULLS])
            for key, by in _by_null(nulls).items()
            if any(found(each) for each in by.values())
        ]
        drawn["nulls"] = forest("Speaks where there is nothing to find: share of paths", NULLS, rows, ALPHA)
    if planted := _of("planted", lines):
        rows = [
            Group(
                f"{what}, {lead} ahead of {ahead_of}: {view} {probe}{_tied(view, ahead_of)}",
                [found(by.get(each, ())) for each in _columns(what, strengths)],
            )
            for what, strengths in STRENGTHS.items()
            for (ahead_of, lead, view, probe), by in _by_planting(planted).items()
            if view == {"collapsing": "plan", "narrowing": "intent"}[what]
        ]
        names = ("weak", "stronger", "strongest", "steady")
        drawn["planted"] = forest("Finds what was planted: share of experiments", names, rows, ALPHA)
    return drawn


def table(lines: Iterator[list[str]]) -> str:
    """Rows as Markdown; the first is the head."""
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|" + "---|" * (head.count(" | ") + 1), *rest])


def main(stage: str, *words: str) -> None:
    """Try, or write."""
    if stage == "try":
        tried(Path(words[0]), *(*map(int, words[1:]), *(50, 20, os.cpu_count() or 1)[len(words) - 1 :]))
        return
    lines = [json.loads(line) for name in words for line in Path(name).read_text(encoding="utf-8").splitlines()]
    page = DOCS / "signatures.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    for name, svg in figures(lines).items():
        (DOCS / "images" / f"signatures-{name}.svg").write_text(svg, encoding="utf-8")
    page.write_text(f"{before}{BEGIN}\n{written(lines)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
