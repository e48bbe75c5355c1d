"""A grid that is killed again and again ends with the root hashes of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tradearena.store.reader import Reader
from tradearena.store.seal import seal_of

WAITING = '''"""Twelve milliseconds a step, in which the others may go on."""
import asyncio

async def ask(seen):
    await asyncio.sleep(0.012)
    return {symbol: (1 + (seen.t + i) % 5) / 40 for i, symbol in enumerate(seen.symbols)}
'''

KILLER = """
import os, random, signal, sys, time
import tradearena.analysis.cells, tradearena.arena.experiment, tradearena.cli.report  # a child starts at once
from tradearena.cli import main

def compare(out):
    child = os.fork()
    if child:
        return child
    sys.stdout, code = open(f"{out}.json", "w"), 0
    sys.argv = ["tradearena", "compare", "--agent", "python:waiting_agent:ask", "--agent", "random", "--seeds", "2",
                "--feedback", "true", "--feedback", "hidden", "--steps", "45", "--json", "--out", out]
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    os._exit(code)

assert os.waitpid(compare("calm.duckdb"), 0)[1] == 0
dice = random.Random(int(sys.argv[2]))
for _ in range(int(sys.argv[1])):
    child = compare("mine.duckdb")
    time.sleep(dice.uniform(0.05, 1.0))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
assert os.waitpid(compare("mine.duckdb"), 0)[1] == 0
"""


def killed(folder, kills, seed):
    """Kill a comparison at random moments, each time in another process, until one is left to come through."""
    (folder / "waiting_agent.py").write_text(WAITING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(kills), str(seed)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    calm, mine = (json.loads((folder / f"{name}.duckdb.json").read_text()) for name in ("calm", "mine"))
    assert mine["cells"] == calm["cells"]
    assert mine["episodes"] == calm["episodes"]
    assert len(mine["episodes"]) == 6
    with Reader(folder / "mine.duckdb") as reader:
        found = reader.episodes()
        assert all(row.seal == seal_of(reader.db, row.id) for row in found)
    assert len(found) == 6  # none was begun twice
    assert sorted(each.name for each in folder.glob("mine.duckdb*")) == ["mine.duckdb", "mine.duckdb.json"]


def test_a_comparison_killed_three_times_ends_as_if_nothing_had_happened(tmp_path):
    killed(tmp_path, 3, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_comparison_killed_twenty_times_ends_as_if_nothing_had_happened(tmp_path, seed):
    killed(tmp_path, 20, seed)
