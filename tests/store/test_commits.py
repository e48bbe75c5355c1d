"""What waits for a commit, and what a commit that failed leaves behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import duckdb
import numpy as np
import pytest
from shelf import NOW, Clock, episode_row, experiment_row
from stage import walk

from tradearena.errors import StoreError
from tradearena.store import files
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.schema import EPISODE_TABLES
from tradearena.store.seal import seal_of
from tradearena.store.writer import GROUP, LOGGED, Writer


@pytest.fixture
def writer(path, clock):
    made = Writer(path, clock)
    made.create(experiment_row(), walk(1, 30, 3), NOW)
    return made


def begun(writer, name, **options):
    recorder = Recorder(name, Recorded([], []), writer.commit_if_due)
    writer.begin_episode(episode_row(name), recorder, **options)
    return recorder


def ended(writer, name, recorder, made):
    root = recorder.close("complete", made.marks, made.fills)
    ending = {"status": "complete", "root_hash": root, "finished_at": NOW}
    writer.end_episode(name, ending, finished=True, at_once=False)


def on_file(path):
    """Status of each episode on file, and the number of its steps."""
    with duckdb.connect(str(path), read_only=True) as db:
        query = "SELECT id, any_value(e.status), count(t) FROM episode e LEFT JOIN step ON id = episode GROUP BY id"
        return {name: (status, steps) for name, status, steps in db.execute(query).fetchall()}


def test_episodes_may_begin_and_end_with_the_next_commit_and_share_it(writer, path, clock, steps_of):
    for name, seed in (("e1", 1), ("e2", 2)):
        made = steps_of(seed, 3)
        recorder = begun(writer, name, at_once=False)
        for step in made.steps:
            recorder.keep(step)
        if name == "e1":
            ended(writer, name, recorder, made)
    assert on_file(path) == {}
    clock.now += GROUP
    writer.tend()
    assert on_file(path) == {"e1": ("complete", 3), "e2": ("running", 3)}
    before = path.with_name(f"{path.name}.wal").stat().st_size
    clock.now += GROUP
    writer.tend()  # nothing waits
    assert path.with_name(f"{path.name}.wal").stat().st_size == before


def rows_of(path, name):
    with duckdb.connect(str(path), read_only=True) as db:
        tables = {
            table: db.execute(f'SELECT * FROM "{table}" WHERE episode = ? ORDER BY ALL', [name]).fetchall()
            for table in EPISODE_TABLES
        }
        return repr(tables), db.execute("SELECT seal, root_hash FROM episode WHERE id = ?", [name]).fetchone()


def test_an_episode_is_the_same_on_file_whoever_shares_its_commits(tmp_path, steps_of):
    """Sealed alike, and row for row: with another between its steps, in one commit or in many."""
    found = []
    for number, (others, pause) in enumerate([((), 0.0), (("e2", "e3"), 0.0), (("e2",), GROUP)]):
        path, clock = tmp_path / f"{number}.duckdb", Clock()
        writer = Writer(path, clock)
        writer.create(experiment_row(), walk(1, 30, 3), NOW)
        made = {name: steps_of(seed, 6) for seed, name in enumerate(("e1", *others))}
        recorders = {name: begun(writer, name, at_once=False) for name in made}
        for i in range(6):
            for name, recorder in recorders.items():
                recorder.keep(made[name].steps[i])
                clock.now += pause
        for name, recorder in recorders.items():
            ended(writer, name, recorder, made[name])
        writer.commit()
        found.append(rows_of(path, "e1"))
    assert found[0] == found[1] == found[2]


def test_an_episode_that_is_forgotten_leaves_nothing_more(writer, path, steps_of):
    lost, other = begun(writer, "e1"), begun(writer, "e2", at_once=False)
    for recorder in (lost, other):
        recorder.keep(steps_of(1).steps[0])
    writer.forget_episode("e1")
    writer.commit()
    assert on_file(path) == {"e1": ("running", 0), "e2": ("running", 1)}


def test_nothing_is_written_after_a_commit_that_failed(writer, path, steps_of):
    """What it held is gone from memory: later steps would stand on file without those before them."""
    recorder, made = begun(writer, "e1"), steps_of(1)
    recorder.keep(made.steps[0])
    with duckdb.connect(str(path)) as db:
        db.execute("ALTER TABLE mark RENAME TO elsewhere")
    with pytest.raises(StoreError, match="mark"):
        writer.commit()
    with duckdb.connect(str(path)) as db:
        db.execute("ALTER TABLE elsewhere RENAME TO mark")
    recorder.keep(made.steps[1])
    with pytest.raises(StoreError, match="the last commit failed; run the same command again"):
        writer.commit()
    assert on_file(path) == {"e1": ("running", 0)}


def test_what_could_not_be_written_while_another_process_held_the_file_is_written_by_the_next_commit(
    writer, path, steps_of, monkeypatch
):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    recorder, made = begun(writer, "e1", at_once=False), steps_of(1)
    recorder.keep(made.steps[0])
    code = f"import duckdb\ndb = duckdb.connect({str(path)!r}, read_only=True)\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"\n"
        with pytest.raises(StoreError, match="another process holds this file open"):
            writer.commit()
        for step in made.steps[1:]:
            recorder.keep(step)
        holder.communicate(b"\n")
    ended(writer, "e1", recorder, made)
    writer.commit()
    assert on_file(path) == {"e1": ("complete", 8)}
    with Reader(path) as reader:
        assert reader.episode("e1").seal == seal_of(reader.db, "e1")


@pytest.mark.parametrize("broken", ["drain", "drain_texts"])
def test_nothing_is_written_after_steps_were_taken_out_and_lost(writer, path, steps_of, broken):
    """As by Ctrl-C in the middle of it: those after them would stand on file without them."""
    recorder, made = begun(writer, "e1"), steps_of(1)
    recorder.keep(made.steps[0])

    class Hurried(Recorder):
        pass

    def hurry(_self):
        raise KeyboardInterrupt

    setattr(Hurried, broken, hurry)
    begun_too = Hurried("e2", Recorded([], []), writer.commit_if_due)
    writer.begin_episode(episode_row("e2"), begun_too, at_once=False)
    with pytest.raises(KeyboardInterrupt):
        writer.commit()
    recorder.keep(made.steps[1])
    with pytest.raises(StoreError, match="the last commit failed"):
        writer.commit()
    assert on_file(path) == {"e1": ("running", 0)}


def test_what_waits_is_committed_when_the_file_is_compacted(writer, path, steps_of):
    recorder, made = begun(writer, "e1", at_once=False), steps_of(1)
    for step in made.steps:
        recorder.keep(step)
    ended(writer, "e1", recorder, made)
    writer.compact()
    assert on_file(path) == {"e1": ("complete", 8)}
    assert not writer.logged


def test_the_log_is_folded_in_before_reading_it_takes_long(writer, path, steps_of):
    log = path.with_name(f"{path.name}.wal")
    made, recorder = steps_of(1, 3 * LOGGED), begun(writer, "e1")
    there = []
    for step in made.steps:
        recorder.keep(step)
        writer.commit()
        there.append(log.exists())
    gaps = [i for i, exists in enumerate(there) if not exists]
    assert gaps == [LOGGED - 2, 2 * LOGGED - 2, 3 * LOGGED - 2]
    assert on_file(path) == {"e1": ("running", 3 * LOGGED)}


def test_a_long_log_is_folded_in_after_those_who_wait_for_a_commit_were_told(writer, path, steps_of):
    """DuckDB by itself would do it amid the first commit that finds 16 MB in the log."""
    log = path.with_name(f"{path.name}.wal")
    first, second = steps_of(1, 2).steps
    recorder, lengths = begun(writer, "e1"), []
    incompressible = np.random.default_rng(1).integers(32, 127, 20_000_000, dtype=np.uint8).tobytes().decode()
    for step in (replace(first, decision=replace(first.decision, rationale=incompressible)), second):
        recorder.keep(step)
        writer.write(writer.collect(), lambda: lengths.append(log.stat().st_size), logged=3)
    assert 20_000_000 < lengths[0] < lengths[1]
    assert not log.exists()
    assert on_file(path) == {"e1": ("running", 2)}
