"""Other processes read along while a run writes: they are answered at once, and the run does not mind, however long
they hold its file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict

import pytest

from tradearena.store.reader import Reader

AGENT = '''"""Decides at the pace it is given; after the first 100 it waits at times until the file was read again."""
import itertools, os, pathlib, time

asked = itertools.count()

def ask(seen):
    time.sleep(float(os.environ.get("PACE", "0")))
    rounds, until = pathlib.Path("rounds"), time.monotonic() + 60
    awaited = next(asked) // 25 - 3 if "READ" in os.environ else 0
    while awaited > 0 and not (rounds.exists() and rounds.stat().st_size >= awaited) and time.monotonic() < until:
        time.sleep(0.01)
    return {symbol: (1 + (seen.t + i) % 5) / 40 for i, symbol in enumerate(seen.symbols)}
'''

MAIN = "from tradearena.cli import main; main()"
HASTY = "from tradearena.store import files; files.PATIENCE = 0.3; "
STEPS = 200
PROMISED = 2.0
"""Seconds. What is promised of a machine that does nothing else: here it is printed, and fails nothing."""

READER = """
import contextlib, io, json, pathlib, sys, time
import tradearena
from tradearena.cli import main
path, stop = sys.argv[1], pathlib.Path(sys.argv[2])

def typed(*arguments):
    sys.argv = ["tradearena", *arguments, "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{arguments}: exit {end.code}: {said.getvalue()}")
    return json.loads(said.getvalue())

verbs = {
    "list": lambda: typed("list")["experiments"][0]["episodes"],
    "show": lambda: typed("show", path)["episodes"][0]["steps"],
    "sql": lambda: typed("sql", path, "SELECT count(*) FROM steps")["rows"][0][0],
    "steps": lambda: len(tradearena.open(path).steps()),
}
last = False
while not last:
    last = stop.exists()
    for verb, ask in verbs.items():
        began = time.perf_counter()
        answer = ask()
        print(json.dumps([verb, answer, time.perf_counter() - began]), flush=True)
    with open("rounds", "a") as rounds:
        rounds.write(".")
"""


@pytest.fixture
def place(tmp_path):
    """A folder with the agent in it; runs go to replays/."""
    (tmp_path / "paced.py").write_text(AGENT)
    (tmp_path / "replays").mkdir()
    return tmp_path


@pytest.fixture
def run(place):
    """Begins a run in a process of its own; returns once its file has an episode. None is left behind."""
    begun = []

    def start(pace, code=MAIN, **variables):
        typed = [
            "run",
            "--agent",
            "python:paced:ask",
            "--steps",
            f"{STEPS}",
            "--json",
            "--out",
            "replays/x-mine.duckdb",
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PACE": str(pace), **variables}
        begun.append(subprocess.Popen([sys.executable, "-c", code, *typed], cwd=place, env=environment, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE))  # fmt: skip
        while begun[-1].poll() is None and not on_file(place):
            time.sleep(0.02)
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def on_file(place):
    """Steps on file, None where there is no episode yet."""
    path = place / "replays" / "x-mine.duckdb"
    if not path.exists():
        return None
    with Reader(path) as reader:
        rows = reader.episodes()
        return len(reader.recorded(rows[0].id).hashes) if rows else None


def root_of(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (episode,) = json.loads(out)["episodes"]
    assert (episode["status"], episode["steps"]) == ("complete", STEPS)
    return episode["root_hash"], err


def hold(place, seconds, *, read_only=True):
    """Another program of somebody's that opens the file for a while; returns once it has."""
    code = (
        "import duckdb, sys, time\nwhile True:\n    try:\n"
        f"        db = duckdb.connect('replays/x-mine.duckdb', read_only={read_only})\n        break\n"
        f"    except duckdb.IOException:\n        pass\nprint('open', flush=True)\ntime.sleep({seconds})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=place, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "open\n"
    return process


@pytest.fixture
def calm(arena, place):  # noqa: ARG001
    """The root hash of a run that nobody disturbed."""
    (found,) = arena("run", "--agent", "python:paced:ask", "--steps", STEPS, "--json", "--out", "calm.duckdb").json[
        "episodes"
    ]
    sys.modules.pop("paced", None)
    return found["root_hash"]


def test_list_show_sql_and_frames_answer_again_and_again_while_a_run_writes(place, run, calm):
    process, stop = run(0.006, READ="1"), place / "stop"
    reading = [sys.executable, "-c", READER, "x-mine.duckdb", str(stop)]
    reader = subprocess.Popen(reading, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    try:
        root, err = root_of(process)
    finally:
        stop.touch()
        out, complaint = reader.communicate(timeout=60)
    assert reader.returncode == 0, complaint
    assert root == calm
    assert "waiting" not in err
    answers, times = defaultdict(list), defaultdict(list)
    for verb, answer, seconds in map(json.loads, out.splitlines()):
        answers[verb].append(answer)
        times[verb].append(seconds)
    assert set(answers.pop("list")) == {1}
    assert set(answers) == {"show", "sql", "steps"}
    for verb, seen in answers.items():
        assert seen == sorted(seen), verb
        assert seen[0] < seen[-1] == STEPS, verb
        assert len(seen) >= STEPS // 25 - 4, verb
    worst = {verb: f"{max(each):.3f} s of {len(each)}" for verb, each in times.items()}
    print(f"\nworst answer during a run (promised: {PROMISED} s): {worst}")


@pytest.mark.slow
def test_a_run_outlasts_a_program_that_holds_its_file_longer_than_anybody_waits(place, run, calm):
    process = run(0.004, HASTY + MAIN)
    with Reader(place / "replays" / "x-mine.duckdb") as reader:  # one of ours holds nothing, however long it reads
        before = len(reader.recorded(reader.episodes()[0].id).hashes)
        holder = hold(place, 1.5)
        root, err = root_of(process)
        assert len(reader.recorded(reader.episodes()[0].id).hashes) == before
    assert holder.wait() == 0
    holder.stdout.close()
    assert root == calm
    assert err.count("waiting: another process holds the experiment file open; close it there") == 1
    assert on_file(place) == STEPS


@pytest.mark.slow
def test_who_will_not_wait_for_another_program_stops_at_once_and_goes_on_later(place, run, calm):
    process = run(0.004, HASTY + MAIN)
    holder = hold(place, 60, read_only=False)
    try:
        while "waiting: another process" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        while "once more to stop at once" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        holder.kill()
        holder.communicate()
    assert on_file(place) < STEPS
    assert root_of(run(0))[0] == calm
