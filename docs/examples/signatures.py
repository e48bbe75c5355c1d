"""Tries the signatures on agents whose truth is known, and writes what came of it into `docs/signatures.md`, in place.

    python docs/examples/signatures.py try RESULTS.jsonl [BATCHES [EXPERIMENTS [JOBS]]]
    python docs/examples/signatures.py write RESULTS.jsonl

By default 50 batches of 10 paths for the nulls, and 20 experiments of 4 paths for each planting, on all cores: about
45 minutes of CPU.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tradearena import policy
from tradearena.analysis.abreast import experiments
from tradearena.analysis.signatures.trial import Planted, SignatureTrial, Spoken
from tradearena.arena.manifest import versions
from tradearena.cli.session import Watch

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


def tried(where: Path, batches: int, count: int, jobs: int) -> None:
    """Try both, one line of JSON for each statistic."""
    limits = policy.load("standard")
    nulls = SignatureTrial(limits)
    planted = SignatureTrial(limits, nulls=(), planted=PLANTED, batch=4)
    with where.open("w", encoding="utf-8") as file:
        for part, trial, seeds in (
            ("null", nulls, range(batches)),
            ("planted", planted, range(10_000, 10_000 + count)),
        ):
            load, began = os.getloadavg()[0], time.perf_counter()
            with Watch(show=True) as shown:
                seen = experiments(trial, seeds, jobs, lambda done, n=len(seeds): shown.look(lambda: f"{done} of {n}"))
            said = {
                "part": part,
                "seeds": [seeds[0], seeds[-1]],
                "batch": trial.batch,
                "steps": trial.steps,
                "draws": trial.design.draws,
                "seconds": time.perf_counter() - began,
                "jobs": jobs,
                "load": [load, os.getloadavg()[0]],
                "versions": versions(),
            }
            file.write(json.dumps(said) + "\n")
            file.writelines(json.dumps({"part": part, **_plain(each)}) + "\n" for each in seen)
            file.flush()


def _plain(each: Spoken) -> dict[str, Any]:
    found = each._asdict()
    return {**found, "of": found["of"] if isinstance(found["of"], str) else found["of"]._asdict()}


if __name__ == "__main__":
    stage, where, *sizes = sys.argv[1:]
    if stage == "try":
        tried(Path(where), *(*map(int, sizes), *(50, 20, os.cpu_count() or 1)[len(sizes) :]))
