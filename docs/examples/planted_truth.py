"""The planted truth on bars of yours: files of bars come in, the tables of docs/organisms.md go out.

    python docs/examples/planted_truth.py BARS.parquet [MORE.parquet ...]

Three organisms, four feedback modes, five seeds, at most 250 decisions, policy `standard`. A cell is the mean over the
seeds, with the smallest and the largest in brackets. All seeds of a file share one market path: n is one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window
from tradearena.store.reader import Reader
from tradearena.store.trajectories import trajectories
from tradearena.values import TOLERANCE, Trajectory

AGENTS = ("organism-obedient", "organism-stubborn", "organism-credulous")
MODES = ("true", "hidden", "placebo", "false-audit:alarm")


def gated(path: Trajectory) -> float:
    """Share of decisions that a rule changed."""
    return float((np.abs(path.intent - path.approved).max(axis=1) > TOLERANCE).mean())


def wished(path: Trajectory) -> float:
    """Mean gross weight asked for."""
    return float(np.abs(path.intent).sum(axis=1).mean())


def played(bars: str, folder: Path) -> dict[tuple[str, str], list[Trajectory]]:
    """The episodes of one file of bars, by agent and mode."""
    plan = Plan(
        open_dataset(bars),
        policy.load("standard"),
        Window(None, None, 250, 1),
        tuple(open_agent(name) for name in AGENTS),
        tuple(range(5)),
        MODES,
    )
    outcome = experiment.run(plan, folder / f"{Path(bars).stem}.duckdb")
    found: dict[tuple[str, str], list[Trajectory]] = {}
    with Reader(outcome.path) as reader:
        rows = {row.id: row for row in reader.episodes()}
        for name, path in zip(outcome.episodes, trajectories(reader, outcome.episodes), strict=True):
            found.setdefault((rows[name].agent, rows[name].feedback), []).append(path)
    return found


def main() -> None:
    """Print both tables."""
    with TemporaryDirectory() as folder:
        files = {Path(bars).stem: played(bars, Path(folder)) for bars in sys.argv[1:]}
    for title, measure in (("Share of decisions that a rule changed", gated), ("Mean gross weight asked for", wished)):
        print(f"{title}:\n\n| bars | agent | {' | '.join(f'`{mode}`' for mode in MODES)} |\n|---|---|" + "---|" * 4)
        for name, found in files.items():
            for agent in AGENTS:
                cells = []
                for mode in MODES:
                    values = [measure(path) for path in found[agent, mode]]
                    cells.append(f"{np.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]")
                print(f"| {name} | {agent.removeprefix('organism-')} | {' | '.join(cells)} |")
        print()


if __name__ == "__main__":
    main()
