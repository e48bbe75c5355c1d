"""TradeArena beside its peers: makes an environment for each, measures all in turn on the same bars, prints Markdown.

    python benchmarks/peers.py                   everything, five rounds, about 20 minutes
    python benchmarks/peers.py --work ../peers   environments are made there, and found there the next time
    python benchmarks/peers.py --quick           short courses, two rounds
    python benchmarks/peers.py --only tradearena-benchmark --short 480

Needs no package, but an index that pip can reach. Every measurement is a process of its own with one thread; in each
round all are measured once, ours beside its peers. Timed is the work alone, after imports, loading of bars and a run on
two bars that compiles what is compiled. The drivers in `benchmarks/drivers` say what each is asked to do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from drivers import page
from drivers.course import FIRST
from drivers.environments import OURS, REQUIREMENTS, Failed, install, spoken, versions
from drivers.findings import Contender, Found, Pair

DRIVERS = Path(__file__).resolve().parent / "drivers"
SYMBOLS, SECTORS, SEED = 51, 8, 7


@dataclass(frozen=True)
class Sizes:
    """Bars of the courses and number of problems. `short` is for tradearena-benchmark, twice its own default: it needs
    0.3 s and 6.5 MB for every bar, and writes nothing before it is done."""

    short: int = 240
    long: int = 2000
    problems: int = 300


QUICK = Sizes(20, 500, 50)


def loops(sizes: Sizes) -> list[Pair]:
    """Whole loops to compare, on a course of the same length; where that is short, also with ours on the long one."""
    short, long = sizes.short, sizes.long

    def pair(agent: str, size: int, peer: Contender, goal: float | None = None) -> Pair:
        return Pair(Contender(OURS, "loop_ours", agent, size), peer, goal)

    original = {
        strategy: Contender("tradearena-benchmark", "loop_original", strategy, short)
        for strategy in ("markowitz", "buy-and-hold")
    }
    return [
        *(pair(strategy, size, peer, 250) for strategy, peer in original.items() for size in (short, long)),
        pair("markowitz", long, Contender("bt", "loop_bt", "mean-variance", long), 20),
        pair("buy-and-hold", long, Contender("bt", "loop_bt", "buy-and-hold", long)),
        pair("buy-and-hold", long, Contender("backtrader", "loop_backtrader", "buy-and-hold", long)),
        pair("equal-weight", long, Contender("backtrader", "loop_backtrader", "equal-weight", long)),
        pair("buy-and-hold", long, Contender("vectorbt", "loop_vectorbt", "buy-and-hold", long)),
        pair("equal-weight", long, Contender("vectorbt", "loop_vectorbt", "equal-weight", long)),
    ]


def solvers(sizes: Sizes) -> list[Pair]:
    """Optimisers to compare on the same problems."""
    peers = [
        ("cvxpy", "qp_cvxpy", "default, unscaled", 10.0),
        ("cvxpy", "qp_cvxpy", "default", 10.0),
        ("cvxpy", "qp_cvxpy", "CLARABEL", 10.0),
        ("cvxpy", "qp_cvxpy", "CLARABEL, tightened", 10.0),
        ("PyPortfolioOpt", "qp_pypfopt", "default", None),
        ("PyPortfolioOpt", "qp_pypfopt", "CLARABEL, tightened", None),
        ("skfolio", "qp_skfolio", "default", None),
        ("skfolio", "qp_skfolio", "tightened", None),
    ]
    ours = Contender(OURS, "qp_ours", "exact", sizes.problems)
    return [Pair(ours, Contender(name, driver, task, sizes.problems), goal) for name, driver, task, goal in peers]


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def prepare(python: Path, sizes: Sizes, folder: Path) -> None:
    """Invent the bars with our own generator and write them in the form of each peer."""
    options = {"symbols": SYMBOLS, "sectors": SECTORS, "bars": FIRST + sizes.long + 1, "seed": SEED}
    said = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    spoken([str(python.parent / "tradearena"), "data", "synth", "bars", "--home", ".", *said], folder)
    spoken([str(python), str(DRIVERS / "bars.py"), ".", *map(str, astuple(sizes))], folder)


def measure(contender: Contender, python: Path, folder: Path) -> dict[str, float]:
    """One lap in a process of its own, with `wall`, the seconds of that process."""
    script = DRIVERS / f"{contender.driver}.py"
    began = time.perf_counter()
    said = spoken([str(python), str(script), contender.task, str(contender.size), "."], folder)
    wall = time.perf_counter() - began
    lap: dict[str, float] = json.loads(said.splitlines()[-1])
    return lap | {"wall": wall}


def rounds(contenders: list[Contender], pythons: dict[str, Path], count: int, folder: Path, found: Found) -> None:
    """Measure all in turn, `count` times. A peer that fails once is out; where ours fails, there is nothing to say."""
    for turn in range(count):
        for contender in contenders:
            if contender.environment not in pythons or contender in found.failures:
                continue
            progress(f"round {turn + 1} of {count}: {contender}")
            try:
                found.laps.setdefault(contender, []).append(measure(contender, pythons[contender.environment], folder))
            except Failed as failure:
                if contender.environment == OURS:
                    raise SystemExit(f"{contender}: {failure}") from None
                found.failures[contender] = str(failure)
                found.laps.pop(contender, None)


def environments(folder: Path, found: Found) -> dict[str, Path]:
    """The interpreters of all who are measured, where they could be installed."""
    folder.mkdir(parents=True, exist_ok=True)
    pythons, needed = {}, {OURS, *(pair.peer.environment for pair in found.loops + found.solvers)}
    for name in [name for name in REQUIREMENTS if name in needed]:
        progress(f"environment of {name}")
        try:
            pythons[name] = install(name, folder)
            found.versions[name] = versions(name, pythons[name])
        except Failed as failure:
            found.versions[name] = f"cannot be installed: {failure}"
    return pythons


def compared(work: Path, sizes: Sizes, count: int, only: str) -> Found:
    """Install, prepare, measure and judge. Of the work folder only the environments are kept."""
    found = Found(*([pair for pair in pairs if only in str(pair.peer)] for pairs in (loops(sizes), solvers(sizes))))
    if not found.loops + found.solvers:
        raise SystemExit(f"there is no peer in whose name and task stands '{only}'")
    pythons = environments(work / "environments", found)
    if OURS not in pythons:
        raise SystemExit(f"{OURS} {found.versions[OURS]}")
    contenders = [each for pair in found.loops + found.solvers for each in (pair.ours, pair.peer)]
    with tempfile.TemporaryDirectory(prefix="bars-", dir=work) as name:
        bars = Path(name)
        prepare(pythons[OURS], sizes, bars)
        rounds(list(dict.fromkeys(contenders)), pythons, count, bars, found)
        if found.solvers:
            found.gaps = json.loads(spoken([str(pythons[OURS]), str(DRIVERS / "gaps.py"), "."], bars))
        found.holding = json.loads((bars / "holding.json").read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Read the options, compare, print the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, help="folder that keeps the environments; default: a temporary one")
    options.add_argument("--short", type=int, metavar="BARS", help="course of tradearena-benchmark; default: 240")
    options.add_argument("--only", default="", metavar="TEXT", help="peers in whose name, task and size this stands")
    options.add_argument("--rounds", type=int, help="how often each is measured; default: 5, quick: 2")
    options.add_argument("--quick", action="store_true", help="short courses")
    options.add_argument("--json", type=Path, metavar="FILE", help="keep the raw figures of all rounds")
    chosen = options.parse_args()
    sizes, count = (QUICK, chosen.rounds or 2) if chosen.quick else (Sizes(), chosen.rounds or 5)
    sizes = replace(sizes, short=chosen.short or sizes.short)
    began = time.perf_counter()
    if chosen.work:
        found = compared(chosen.work.resolve(), sizes, count, chosen.only)
    else:
        with tempfile.TemporaryDirectory(prefix="peers-") as name:
            found = compared(Path(name).resolve(), sizes, count, chosen.only)
    found.ended(time.perf_counter() - began)
    print(page.markdown(found, count))
    if chosen.json:
        chosen.json.write_text(json.dumps(found.raw(), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
