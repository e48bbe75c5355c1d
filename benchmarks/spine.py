"""One episode against the floor: prints what the whole machine costs beside a bare loop of the same mathematics.

    python benchmarks/spine.py            everything, one core, about two minutes
    python benchmarks/spine.py --bars 2000 --quick

The bare loop is plain numpy plus one exact QP on the same bars: Ledoit-Wolf covariance, James-Stein mean, `daqp`, once
a bar, nothing recorded. `full` is the agent markowitz with everything on; `talking` is the agent organism-momentum, for
which every step renders a prompt of 21 bars, parses a reply and stores both. They are timed in turn in one process,
five times each; ratios are of medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import daqp
import duckdb
import numpy as np

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan, rehearse
from tradearena.market.dataset import open_dataset
from tradearena.market.design import Design
from tradearena.market.window import Window
from tradearena.market.writing import write_synthetic
from tradearena.panel import Array
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store.schema import TABLES

SYMBOLS, SECTORS = 51, 8


def bare(returns: Array, rules: policy.Reference, first: int, last: int) -> Array:
    """The floor: what the reference portfolio cannot do without. Returns the last weights."""
    n = returns.shape[1]
    ones, kinds = np.ones((1, n)), np.zeros(n + 1, dtype=np.int32)
    kinds[n] = 5
    upper, lower = np.full(n + 1, rules.cap), np.zeros(n + 1)
    upper[n] = lower[n] = 1.0
    weights = np.zeros(n)
    for t in range(first, last):
        window = returns[max(1, t - rules.lookback + 1) : t + 1]
        rows = len(window)
        mean = window.mean(axis=0)
        X = window - mean
        S = X.T @ X / rows
        average = S.trace() / n
        squares = (X * X).sum(axis=1)
        norm = (S * S).sum() / n
        dispersion = norm - average**2
        shrinkage = min(1.0, ((squares @ squares) / (rows * n) - norm) / rows / dispersion)
        S *= 1.0 - shrinkage
        S.flat[:: n + 1] += shrinkage * average
        centre = mean.mean()
        spread = mean - centre
        noise = squares.sum() / (n * (rows - 1) * rows)
        mean = centre + (1.0 - min(1.0, (n - 3) * noise / (spread @ spread))) * spread
        scale = rules.risk_aversion * average
        weights = daqp.solve(S * (rules.risk_aversion / scale), -mean / scale, ones, upper, lower, kinds)[0]
    return weights


def rates(folder: Path, bars: int, repeats: int) -> dict[str, list[float]]:
    """Decisions per second, bare, full and talking, timed in turn."""
    plan = made(folder, bars)
    returns, span = plan.dataset.panel.returns, plan.span
    agents = {"full": "markowitz", "talking": "organism-momentum"}
    found: dict[str, list[float]] = {"bare": [], **{name: [] for name in agents}}
    for turn in range(repeats + 1):
        took = {"bare": -time.perf_counter()}
        bare(returns, plan.policy.reference, span.first, span.first + len(span.decisions))
        took["bare"] += time.perf_counter()
        for name, agent in agents.items():
            path = folder / f"{name}.duckdb"
            path.unlink(missing_ok=True)
            asked = replace(plan, candidates=(open_agent(agent),))  # its reference is not shared with the run before
            took[name] = -time.perf_counter()
            experiment.run(asked, path)
            took[name] += time.perf_counter()
        for name, seconds in took.items() if turn else ():  # the first turn warms up
            found[name].append(len(span.decisions) / seconds)
    return found


def grid(folder: Path) -> float:
    """Seconds for 4 modes x 2 organisms x 25 seeds x 250 steps on demo-daily, from an empty file."""
    asked = Plan(
        open_dataset("demo-daily"),
        policy.load("standard"),
        Window(None, None, 250, 1),
        (open_agent("organism-obedient"), open_agent("organism-stubborn")),
        tuple(range(25)),
        ("true", "hidden", "placebo", "false-audit:alarm"),
    )
    began = time.perf_counter()
    experiment.run(asked, folder / "grid.duckdb")
    return time.perf_counter() - began


def parts(plan: Plan) -> dict[str, float]:
    """Where the time goes, in microseconds a step: best of three."""
    panel, rules, span = plan.dataset.panel, plan.policy.reference, plan.span
    steps = len(span.decisions)

    def estimates() -> None:
        reference = RollingMarkowitz(panel, rules)
        for t in span.decisions:
            reference.at(t)

    def unrecorded() -> None:
        rehearse(replace(plan), "markowitz")

    found = {}
    for name, part in (
        ("bare loop", lambda: bare(panel.returns, rules, span.first, span.first + steps)),
        ("the reference alone, with its proof of optimality", estimates),
        ("the whole loop, nothing recorded", unrecorded),
    ):
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            part()
            taken.append(time.perf_counter() - began)
        found[name] = min(taken) / steps * 1e6
    return found


def made(folder: Path, bars: int) -> Plan:
    """51 invented symbols, the standard policy, the agent that is the reference, a decision every bar."""
    place = folder / f"bench-{bars}"
    if not place.exists():
        write_synthetic(Design(symbols=SYMBOLS, sectors=SECTORS, bars=bars, seed=7), place)
    dataset = open_dataset(str(place))
    return Plan(dataset, policy.load("standard"), Window(None, None, None, 1), (open_agent("markowitz"),))


def sizes(path: Path, folder: Path) -> tuple[int, int]:
    """Bytes of the experiment file, and of the same tables as zstd Parquet."""
    total = 0
    with duckdb.connect(str(path), read_only=True) as db:
        for table in TABLES:
            target = folder / f"{table}.parquet"
            db.execute(f"COPY \"{table}\" TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
            total += target.stat().st_size
    return path.stat().st_size, total


def memory(bars: int) -> float:
    """Peak memory of one run in a process of its own, in MB. Not `ru_maxrss`: a child inherits its parent's."""
    code = (
        "import re, sys, tempfile; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import spine\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    p = spine.made(Path(d), int(sys.argv[2])); spine.experiment.run(p, Path(d) / 'r.duckdb')\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    here = str(Path(__file__).parent)
    answer = subprocess.run([sys.executable, "-c", code, here, str(bars)], capture_output=True, text=True, check=True)
    return int(answer.stdout) / 1024


def wall(command: list[str], repeats: int, cwd: Path) -> float:
    """Median seconds of a command, after one run to warm up."""
    taken = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        subprocess.run(command, cwd=cwd, capture_output=True, check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def starts(folder: Path) -> None:
    """Time of `--help` beside an empty typer program, and of `tradearena run` with no options."""
    empty = folder / "empty.py"
    empty.write_text("import typer\napp = typer.Typer()\n@app.command()\ndef f(): ...\napp()\n")
    program = "from tradearena.cli import main; main()"
    helped = wall([sys.executable, "-c", program, "--help"], 9, folder)
    floor = wall([sys.executable, str(empty), "--help"], 9, folder)
    print(f"--help {helped:.3f} s, an empty typer program {floor:.3f} s, ratio {helped / floor:.2f} (goal at most 1.5)")
    fresh = folder / "fresh"
    fresh.mkdir()
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, "run"], cwd=fresh, capture_output=True, check=True)
    print(f"tradearena run with no options: {time.perf_counter() - began:.1f} s (goal under 10)")


def main() -> None:
    """Run the whole table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bars", type=int, default=5000)
    options.add_argument("--quick", action="store_true", help="rates only")
    chosen = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one core, ", end="")
    print(f"load {os.getloadavg()[0]:.2f}, numpy {np.__version__}, DuckDB {duckdb.__version__}")
    folder = Path(tempfile.mkdtemp())
    try:
        found = rates(folder, chosen.bars, 5)
        bare_rate, full_rate, talking = (statistics.median(found[name]) for name in ("bare", "full", "talking"))
        print(f"{SYMBOLS} assets x {chosen.bars} bars, everything on, medians of 5 interleaved runs each")
        spreads = {name: f"{min(values):.0f} .. {max(values):.0f}" for name, values in found.items()}
        print(
            f"bare {bare_rate:.0f} decisions/s ({spreads['bare']}), full {full_rate:.0f} ({spreads['full']}), ", end=""
        )
        print(f"ratio {full_rate / bare_rate:.2f} (goal at least 0.40)")
        print(f"talking {talking:.0f} ({spreads['talking']}), ratio {talking / bare_rate:.2f} (goal at least 0.15)")
        for name, taken in parts(made(folder, chosen.bars)).items():
            print(f"  {taken:4.0f} us a step: {name}")
        print(f"  {1e6 / full_rate:4.0f} us a step: the whole loop, recorded")
        print(f"  {1e6 / talking:4.0f} us a step: the same for an organism, prompt and reply included")
        if chosen.quick:
            return
        ours, parquet = sizes(folder / "full.duckdb", folder)
        print(
            f"on disk {ours / 1e6:.1f} MB, as zstd Parquet {parquet / 1e6:.1f} MB, ratio {ours / parquet:.2f} ", end=""
        )
        print("(goal at most 1.15)")
        print(f"4 modes x 2 organisms x 25 seeds x 250 steps on demo-daily: {grid(folder):.0f} s (goal under 180)")
        short, long = (1e6 / statistics.median(rates(folder, bars, 3)["full"]) for bars in (2_000, 20_000))
        print(f"per step {short:.0f} us at 2,000 bars, {long:.0f} us at 20,000, ", end="")
        print(f"ratio {long / short:.2f} (goal 0.9 to 1.1)")
        print(f"peak memory of a run {memory(chosen.bars):.0f} MB (goal under 600)")
        starts(folder)
        print(f"load at the end {os.getloadavg()[0]:.2f}, peak memory of this script ", end="")
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
