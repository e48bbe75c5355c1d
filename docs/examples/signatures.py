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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tradearena import policy
from tradearena.analysis.abreast import experiments
from tradearena.analysis.calibration import rate
from tradearena.analysis.signatures.trial import Planted, SignatureTrial, Spoken
from tradearena.analysis.signflip import ALPHA
from tradearena.arena.manifest import versions
from tradearena.cli.session import Watch

DOCS = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tried: docs/examples/signatures.py writes what follows -->\n", "<!-- end of what was tried -->\n"

FIRST = 10_000
"""Seed of the first experiment with something planted."""

STRENGTHS, LEADS = (0.5, 0.75, 1.0), (6, 12)

PLANTED = (
    *(
        Planted(what, strength, lead, ahead_of)
        for ahead_of in ("own", "market")
        for what in ("collapsing", "narrowing")
        for lead in LEADS
        for strength in STRENGTHS
    ),
    *(Planted("steady", 0.0, lead, ahead_of) for ahead_of in ("own", "market") for lead in LEADS),
)

Line: TypeAlias = dict[str, Any]


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
    found = each._asdict()
    return {**found, "of": found["of"] if isinstance(found["of"], str) else found["of"]._asdict()}


def written(lines: Sequence[Line]) -> str:
    """All of it as Markdown."""
    heads = [line for line in lines if "seeds" in line]
    parts = [_made_by(head) for head in heads]
    said = [line for line in lines if "view" in line]
    nulls = [line for line in said if line["part"] == "null"]
    planted = [line for line in said if line["part"] == "planted"]
    if nulls:
        parts += ["### Nulls: share of paths on which the primary statistic speaks", table(_nulls(nulls))]
    if planted:
        parts += ["### Planted: share of experiments in which it is found", table(_planted(planted))]
    return "\n\n".join(parts)


def _made_by(head: Line) -> str:
    versions = head["versions"]
    said = ", ".join(f"{name} {versions[name]}" for name in ("tradearena", "python", "numpy"))
    return (
        f"{head['part'].capitalize()}: seeds {head['seeds'][0]} to {head['seeds'][1]}, {head['batch']} paths each, "
        f"{head['steps']} decisions a path, {head['draws']} arrangements; {head['seconds'] / 60:.0f} minutes in "
        f"{head['jobs']} processes, load {head['load'][0]:.1f} at the start and {head['load'][1]:.1f} at the end; "
        f"{said}, revision {(versions['revision'] or 'unknown')[:10]}."
    )


def _nulls(lines: Sequence[Line]) -> Iterator[list[str]]:
    yield ["by", "view", "probe", "anchors", "shuffled", "elsewhere", "reactive"]
    cells: dict[tuple[str, ...], dict[str, list[Line]]] = {}
    for line in lines:
        cells.setdefault((line["by"], line["view"], line["probe"], line["anchors"]), {}).setdefault(
            line["of"], []
        ).append(line)
    for key, by in cells.items():
        yield [*key, *(fired(by.get(null, ())) for null in ("shuffled", "elsewhere", "reactive"))]


def _planted(lines: Sequence[Line]) -> Iterator[list[str]]:
    """Where a planting must show, at the anchors it is ahead of."""
    yield ["planted", "ahead of", "lead", "view", "probe", *(f"strength {each:g}" for each in STRENGTHS), "steady"]
    cells: dict[tuple[Any, ...], dict[Any, list[Line]]] = {}
    for line in lines:
        of = line["of"]
        if line["anchors"] == of["ahead_of"]:
            key = of["ahead_of"], of["lead"], line["view"], line["probe"]
            cells.setdefault(key, {}).setdefault((of["what"], of["strength"]), []).append(line)
    for what in ("collapsing", "narrowing"):
        for (ahead_of, lead, view, probe), by in cells.items():
            shown = [fired(by.get((what, strength), ())) for strength in STRENGTHS]
            yield [what, ahead_of, str(lead), view, probe, *shown, fired(by.get(("steady", 0.0), ()))]


def fired(lines: Iterable[Line]) -> str:
    """Share of those with a p that are significant, with its interval, and n; a dash where none has."""
    known = [line["p"] for line in lines if line["p"] is not None]
    if not known:
        return "–"
    found = rate(sum(p <= ALPHA for p in known), len(known))
    return f"{found.share:.3f} [{found.interval[0]:.3f}, {found.interval[1]:.3f}], {found.n}"


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
    page.write_text(f"{before}{BEGIN}\n{written(lines)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
