"""How long a run keeps those waiting who read along: prints the time of `list`, `show`, `sql` and frames.

    python benchmarks/reading.py                   20 answers of each during a run, a process each, about a minute
    python benchmarks/reading.py --answers 50

A run on `intraday-51` (51 symbols) decides 30 times a second, and begins again in a new file when it is done.
Meanwhile each verb is typed in turn, in a process of its own. Of the time that takes, most is Python that starts;
`idle` is the same verb once nobody writes. Every answer must come, or the script ends with an error.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAIN = "from tradearena.cli import main; main()"
FRAME = "import sys, tradearena; print(len(tradearena.open(sys.argv[1]).steps()))"
PROMISED = 2.0
AGENT = """import time

def ask(seen):
    time.sleep(0.03)
    return {symbol: 0.5 / len(seen.symbols) for symbol in seen.symbols}
"""


def typed(code: str, *arguments: str, folder: Path) -> float:
    """Seconds that a process takes to answer."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return time.perf_counter() - began


def writing(folder: Path, number: int) -> subprocess.Popen[bytes]:
    """A run that has an episode on file."""
    path = folder / "replays" / f"{number}-x.duckdb"
    run = ["run", "--agent", "python:paced:ask", "--data", "intraday-51", "--quiet", "--json", "--out", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *run], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not path.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.0)
    return process


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--answers", type=int, default=20)
    asked = options.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder, number, runs = Path(name), 0, []
        (folder / "replays").mkdir()
        (folder / "paced.py").write_text(AGENT)
        verbs = {
            "list": lambda: typed(MAIN, "list", folder=folder),
            "show": lambda: typed(MAIN, "show", f"{number}-x", folder=folder),
            "sql": lambda: typed(MAIN, "sql", f"{number}-x", "SELECT count(*) FROM steps", folder=folder),
            "steps()": lambda: typed(FRAME, f"{number}-x", folder=folder),
        }
        during: dict[str, list[float]] = {verb: [] for verb in verbs}
        process = writing(folder, number)
        while min(map(len, during.values())) < asked.answers:
            for verb, ask in verbs.items():
                if process.poll() is not None:
                    runs.append(process.returncode)
                    number += 1
                    process = writing(folder, number)
                seconds = ask()
                if process.poll() is None:  # else nobody wrote at its end
                    during[verb].append(seconds)
        process.terminate()
        process.wait()  # it says that it was stopped
        idle = {verb: [ask() for _ in range(5)] for verb, ask in verbs.items()}
    if any(runs):
        sys.exit(f"a run ended with {runs}")
    print("| verb | n | median | worst | idle, n = 5 |\n|---|---|---|---|---|")
    for verb, times in during.items():
        middle = statistics.median(times)
        print(
            f"| `{verb}` | {len(times)} | {middle:.2f} s | {max(times):.2f} s | {statistics.median(idle[verb]):.2f} s |"
        )
    worst = max(map(max, during.values()))
    print(f"worst {worst:.2f} s, promised {PROMISED:.1f}; {len(runs)} runs came through meanwhile")


if __name__ == "__main__":
    main()
