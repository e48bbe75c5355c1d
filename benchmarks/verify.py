"""How fast a file is verified: prints the time of a run beside that of its verification, from the file alone.

python benchmarks/verify.py            the agents whose rates are stated, on demo-daily, five interleaved runs
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import tempfile
import time
from pathlib import Path

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.arena.verify import verify
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window

AGENTS = ("markowitz", "organism-momentum")
RUNS = 5


def main() -> None:
    """Measure, and print a table."""
    dataset, standard = open_dataset("demo-daily"), policy.load("standard")
    print(f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| agent | run, us a step | verification | chain and seals alone | run / verification |")
    print("|---|---|---|---|---|")
    for name in AGENTS:
        took: dict[str, list[float]] = {"run": [], "whole": [], "fast": []}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(RUNS + 1):
                path = Path(folder) / f"{turn}.duckdb"
                plan = Plan(dataset, standard, Window(), (open_agent(name),))
                began = time.perf_counter()
                experiment.run(plan, path)
                took["run"].append(time.perf_counter() - began)
                for kind in ("whole", "fast"):
                    began = time.perf_counter()
                    whole, (verdict,) = verify(path, fast=kind == "fast")
                    took[kind].append(time.perf_counter() - began)
                    assert not whole
                    assert verdict.wrong is None
        run, whole, fast = (1e6 * statistics.median(each[1:]) / verdict.steps for each in took.values())
        print(f"| `{name}` | {run:,.0f} | {whole:,.0f} | {fast:,.0f} | {run / whole:.2f} |")
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
