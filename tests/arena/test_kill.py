"""Whatever stops a run, the same command takes it up and ends with the root hash of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import duckdb
import pytest
from warm import Warm

from tradearena.cli import main
from tradearena.errors import StoreError
from tradearena.store.reader import Reader
from tradearena.store.seal import seal_of

SLOW = '''"""Four milliseconds a step: long enough for several commits."""
import time

def ask(seen):
    time.sleep(0.004)
    return {symbol: (1 + (seen.t + i) % 5) / 40 for i, symbol in enumerate(seen.symbols)}
'''

pytestmark = pytest.mark.xdist_group("killed")  # whose parent and undisturbed run are made once

MAIN = "from tradearena.cli import main; main()"
STEPS = 200


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    (folder / "slow_agent.py").write_text(SLOW)
    return folder


def command(out="mine.duckdb"):
    run = ["run", "--agent", "python:slow_agent:ask", "--steps", str(STEPS), "--json", "--out", out]
    return [sys.executable, "-c", MAIN, *run]


def start(folder, **variables):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    return subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def warm(workplace):
    """Children that have imported everything."""
    with Warm(workplace) as parent:
        yield parent


def begin(warm, folder, out="mine.duckdb", before=""):
    """The same command in such a child, in a folder."""
    warm.start(*command(out)[3:], before=f"os.chdir({str(folder)!r})\n{before}")


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def root_of(out):
    (episode,) = json.loads(out)["episodes"]
    return episode["root_hash"]


@pytest.fixture(scope="module")
def calm(workplace, warm):
    """An undisturbed run: its root hash, its links, and everything that its seal is of but the clock."""
    begin(warm, workplace, out="calm.duckdb")
    code, out, err = warm.end()
    assert code == 0, err
    path = workplace / "calm.duckdb"
    return root_of(out), on_file(path), content(path)


def on_file(path):
    """Links of the steps on file; none where there is no file yet."""
    if not path.exists():
        return []
    with Reader(path) as reader:
        rows = reader.episodes()
        return reader.recorded(rows[0].id).hashes if rows else []


def content(path):
    """Every row of every table, without times of day and seals."""
    left_out = {
        "episode": "manifest, started_at, finished_at, seal", "experiment": "created_at", "step": "latency",
        "migration": "applied_at", "bars": 'start, "end"',
    }  # fmt: skip
    found = {}
    with duckdb.connect(str(path), read_only=True) as db:
        for (table,) in db.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall():
            columns = f"* EXCLUDE ({left_out[table]})" if table in left_out else "*"
            found[table] = db.execute(f'SELECT {columns} FROM "{table}" ORDER BY ALL').fetchall()
    return found


def sealed(path):
    with Reader(path) as reader:
        (row,) = reader.episodes()
        return row.status == "complete" and row.seal == seal_of(reader.db, row.id)


@pytest.fixture
def here(fresh, monkeypatch, capsys):
    """The same command in this process, which saves its start."""

    def run():
        monkeypatch.chdir(fresh)
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(sys, "argv", ["tradearena", *command()[3:]])
        try:
            main()
        except SystemExit as end:
            assert end.code == 0  # noqa: PT017
        sys.modules.pop("slow_agent", None)
        return root_of(capsys.readouterr().out)

    return run


def disturbed(warm, folder, calm, kills, seed):
    """Kill a run at random moments and start it again each time, until one comes through."""
    path, dice = folder / "mine.duckdb", random.Random(seed)
    had = 0
    for _ in range(kills):
        begin(warm, folder)
        time.sleep(dice.uniform(0.0, 1.4))
        warm.kill()
        code, out, _ = warm.end()
        kept = on_file(path)
        assert kept == calm[1][: len(kept)]  # a beginning of it, and no step twice
        assert len(kept) >= had  # nothing that was there is lost
        had = len(kept)
        if code == 0:  # it was faster than the killer
            assert root_of(out) == calm[0]
    begin(warm, folder)
    code, out, err = warm.end()
    assert code == 0, err
    assert root_of(out) == calm[0]
    assert content(path) == calm[2]
    assert sealed(path)
    assert not path.with_name("mine.duckdb.wal").exists()
    assert not path.with_name("mine.duckdb.new").exists()


@pytest.fixture
def fresh(workplace, tmp_path):
    (tmp_path / "slow_agent.py").write_text((workplace / "slow_agent.py").read_text())
    return tmp_path


def test_a_run_killed_three_times_ends_as_if_nothing_had_happened(warm, fresh, calm):
    disturbed(warm, fresh, calm, 3, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_ten_times_ends_as_if_nothing_had_happened(warm, fresh, calm, seed):
    disturbed(warm, fresh, calm, 10, seed)


KILLING = """
import os, signal
replace, calls = os.replace, []
def killing(*paths):
    calls.append(paths)
    if len(calls) == {call} and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = killing
import tradearena.store.writer as writer
writer.WASTE = -1.0  # rewrite the file whatever it looks like
"""


@pytest.mark.parametrize(("call", "after"), [(1, False), (2, False), (2, True)], ids=["begun", "rewritten", "replaced"])
def test_a_kill_while_one_file_takes_the_place_of_another_costs_nothing(warm, fresh, calm, here, call, after):
    begin(warm, fresh, before=KILLING.format(call=call, after=after))
    code, _, err = warm.end()
    assert code == -signal.SIGKILL, err
    path = fresh / "mine.duckdb"
    assert path.exists() == (call == 2 or after)
    assert on_file(path) == (calm[1] if call == 2 else [])
    assert here() == calm[0]
    assert sealed(path)
    assert sorted(each.name for each in fresh.glob("mine.duckdb*")) == ["mine.duckdb"]


def test_ctrl_c_ends_in_order_and_the_same_command_goes_on(warm, fresh, calm, here):
    path = fresh / "mine.duckdb"
    begin(warm, fresh)
    while not on_file_while_running(path):
        time.sleep(0.05)
    os.kill(warm.child, signal.SIGINT)
    code, out, err = warm.end()
    assert code == 130, err
    said = json.loads(out)
    assert said["error"].startswith("stopped before the decision of bar ")
    (episode,) = said["episodes"]
    assert (episode["status"], episode["root_hash"]) == ("interrupted", None)
    assert 0 < episode["steps"] < STEPS
    assert "stopping after this step" in err
    assert "Traceback" not in err
    assert on_file(path) == calm[1][: episode["steps"]]
    assert here() == calm[0]


def on_file_while_running(path):
    """Steps on file of a run that may be writing just now."""
    try:
        return on_file(path)
    except StoreError:
        return []


SMALL_FILES = """
import resource  # no file beyond eight hundred kilobytes, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, 800_000))
"""


def test_a_run_that_finds_the_disk_full_says_so_and_the_same_command_goes_on(warm, fresh, calm, here):
    begin(warm, fresh, before=SMALL_FILES)
    code, out, err = warm.end()
    assert code == 1
    said = "error: mine.duckdb: the disk is full; make room and run the same command again: what was committed is kept"
    assert err.splitlines()[-1] == said
    assert json.loads(out) == {"error": said.removeprefix("error: ")}
    kept = on_file(fresh / "mine.duckdb")
    assert kept == calm[1][: len(kept)]
    assert here() == calm[0]


def test_other_processes_read_along_and_the_run_does_not_mind(fresh, calm):
    path, process, seen = fresh / "mine.duckdb", start(fresh), []
    while process.poll() is None:
        if path.exists():
            seen.append(len(on_file(path)))
        time.sleep(0.1)
    code, out, err = finish(process)
    assert (code, root_of(out)) == (0, calm[0]), err
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


def test_two_runs_of_one_file_do_not_mix_and_the_root_hash_depends_on_no_environment(warm, fresh, calm):
    first = start(fresh, PYTHONHASHSEED="4711", TZ="Asia/Tokyo", LC_ALL="C")
    while not (fresh / "mine.duckdb").exists():
        time.sleep(0.05)
    first.send_signal(signal.SIGSTOP)  # else it may be through before the other has begun
    begin(warm, fresh)
    code, out, _ = warm.end()
    first.send_signal(signal.SIGCONT)
    assert code == 1
    assert "another run is writing this file" in json.loads(out)["error"]
    code, out, err = finish(first)
    assert (code, root_of(out)) == (0, calm[0]), err
