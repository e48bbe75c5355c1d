"""The writer: commits that are durable and whole, a file that others can read meanwhile, and one that ends compact."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import duckdb
import pytest
from shelf import NOW, SYMBOLS, Clock, episode_row, experiment_row, hold
from stage import walk

from tradearena.errors import DivergedError, StoreError
from tradearena.store import files, writer
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.schema import DERIVED, KEYS, MIGRATIONS, TABLES
from tradearena.store.seal import seal_of
from tradearena.store.views import VIEWS
from tradearena.store.writer import GROUP, Writer

LOOK = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as db:
    print(db.execute("SELECT count(*) FROM step").fetchone()[0])
"""


def on_file(path):
    """Steps that another process finds."""
    done = subprocess.run([sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def counted(path, table="step"):
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def begun(path, clock, name="e1"):
    """A writer with one episode running in it."""
    made = Writer(path, clock)
    made.create(experiment_row(), walk(1, 30, 3), NOW)
    recorder = Recorder(name, Recorded([], []), made.commit_if_due)
    made.begin_episode(episode_row(name), recorder)
    return made, recorder


# ---------------------------------------------------------------------- schema


def test_a_file_holds_the_tables_and_views_of_the_schema_and_says_which_version_it_is(path, steps_of, write):
    write(path, steps_of(1))
    with duckdb.connect(str(path), read_only=True) as db:
        tables = {name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        views = {name for (name,) in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        versions = db.execute("SELECT version, name, epoch(applied_at)::INTEGER FROM migration").fetchall()
        types = dict(
            db.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'step'").fetchall()
        )
    assert tables == {*TABLES, *DERIVED, "migration"}
    assert views == set(VIEWS)
    names = ("create", "embedding", "states", "clips")
    assert versions == [(i, name, int(NOW.timestamp())) for i, name in enumerate(names, start=1)]
    assert len(MIGRATIONS) == len(names)
    assert {types[name] for name in ("intent", "approved", "reference", "shares")} == {f"DOUBLE[{len(SYMBOLS)}]"}
    assert set(KEYS) < set(TABLES)


def test_every_table_and_column_of_the_schema_is_said_what_it_is_or_speaks_for_itself():
    for table, columns in (TABLES | DERIVED).items():
        assert len({column.name for column in columns}) == len(columns), table
        assert all(column.type for column in columns)


def test_every_view_answers_in_plain_duckdb(path, steps_of, write):
    write(path, steps_of(1, paid=True))
    with duckdb.connect(str(path), read_only=True) as db:
        for view in VIEWS:
            assert db.execute(f"SELECT count(*) FROM {view}").fetchone()[0] > 0, view


# ---------------------------------------------------------------------- commits


def test_steps_are_committed_once_the_oldest_has_waited_half_a_second(path, steps_of):
    clock = Clock()
    _, recorder = begun(path, clock)
    found = []
    for step in steps_of(1, 12).steps:
        clock.now += 0.2
        recorder.keep(step)
        found.append(counted(path))
    assert found == [0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12]
    assert GROUP == 0.5


def test_a_commit_is_whole_in_all_tables(path, steps_of):
    clock = Clock()
    _, recorder = begun(path, clock)
    made = steps_of(4, 10)
    for i, step in enumerate(made.steps):
        clock.now += 1.0 if i in (2, 6) else 0.0
        recorder.keep(step)
        done = {-1: 0}.get(i, 3 if 2 <= i < 6 else 7 if i >= 6 else 0)
        kept = made.steps[:done]
        assert counted(path) == done
        assert counted(path, "mark") == sum(len(each.marks) for each in kept)
        assert counted(path, "finding") == sum(len(each.report.findings) for each in kept)
        assert counted(path, "fill") == sum(int((fill.ordered != 0).sum()) for each in kept for fill in each.fills)


def test_another_process_reads_the_file_between_commits(path, steps_of):
    clock = Clock()
    made, recorder = begun(path, clock)
    assert on_file(path) == 0
    for step in steps_of(1, 4).steps:
        clock.now += 1.0
        recorder.keep(step)
    assert on_file(path) == 4
    made.end_episode("e1", {"status": "interrupted"}, finished=False)
    assert on_file(path) == 4


def test_two_episodes_may_run_at_once_and_share_their_commits(path, steps_of):
    clock = Clock()
    made, first = begun(path, clock)
    second = Recorder("e2", Recorded([], []), made.commit_if_due)
    made.begin_episode(episode_row("e2"), second)
    both = steps_of(1), steps_of(2)
    for one, other in zip(both[0].steps, both[1].steps, strict=True):
        first.keep(one)
        second.keep(other)
    assert counted(path) == 0
    clock.now += 1.0
    made.commit_if_due()
    assert counted(path) == 16
    for name, recorder, each in (("e1", first, both[0]), ("e2", second, both[1])):
        root = recorder.close("complete", each.marks, each.fills)
        made.end_episode(name, {"status": "complete", "root_hash": root, "finished_at": NOW}, finished=True)
    with Reader(path) as reader:
        assert all(seal_of(reader.db, row.id) == row.seal for row in reader.episodes())


# ---------------------------------------------------------------------- taking it up again


@pytest.mark.parametrize("cut", [0, 5])
def test_an_episode_cut_anywhere_ends_with_the_root_and_the_seal_of_an_undisturbed_one(tmp_path, steps_of, write, cut):
    made = steps_of(7)
    whole, parts = tmp_path / "whole.duckdb", tmp_path / "parts.duckdb"
    root = write(whole, made)
    write(parts, made, tick=1.0, until=cut)
    with Reader(parts) as reader:
        recorded = reader.recorded("e1")
    assert len(recorded.hashes) == cut
    again = Writer(parts, Clock())
    recorder = Recorder("e1", recorded, again.commit_if_due)
    again.begin_episode(episode_row("e1"), recorder)
    for i, step in enumerate(made.steps):
        assert (recorder.recall(step.t) is None) == (i >= cut)
        recorder.keep(step)
    assert recorder.close("complete", made.marks, made.fills) == root
    again.end_episode("e1", {"status": "complete", "root_hash": root, "finished_at": NOW}, finished=True)
    again.compact()
    seals = []
    for path in (whole, parts):
        with Reader(path) as reader:
            seals.append(reader.episode("e1").seal)
            assert seals[-1] == seal_of(reader.db, "e1")
    assert seals[0] == seals[1]


def test_a_step_that_does_not_come_out_the_same_again_is_named(path, steps_of, write):
    write(path, steps_of(7), tick=1.0, until=5)
    with Reader(path) as reader:
        recorded = reader.recorded("e1")
    recorder = Recorder("e1", recorded, lambda: None)
    other = steps_of(8).steps
    recorder.keep(steps_of(7).steps[0])
    with pytest.raises(DivergedError, match="episode e1, bar 2: the recorded step does not come out the same again"):
        recorder.keep(other[1])


# ---------------------------------------------------------------------- the end of a run


def beside(path):
    return sorted(each.name for each in path.parent.iterdir() if not each.name.endswith(".lock"))


def test_a_finished_run_leaves_one_file_and_no_log(path, steps_of, write):
    write(path, steps_of(1), tick=0.3)
    assert beside(path) == ["mine.duckdb"]


@pytest.mark.parametrize("waste", [-1.0, 2.0])
def test_a_short_run_takes_little_room_whether_it_was_rewritten_or_not(path, steps_of, write, monkeypatch, waste):
    monkeypatch.setattr(writer, "WASTE", waste)
    write(path, steps_of(1))
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT block_size FROM pragma_database_size()").fetchone() == (writer.BLOCK,)
    assert path.stat().st_size < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("waste", [-1.0, 2.0])
def test_a_file_is_the_same_whether_it_was_rewritten_or_not(tmp_path, steps_of, write, monkeypatch, waste):
    monkeypatch.setattr(writer, "WASTE", waste)
    path = tmp_path / "mine.duckdb"
    write(path, steps_of(1), tick=0.3)
    inode = path.stat().st_ino
    write(path, steps_of(2), tick=0.3, name="e2")
    assert (path.stat().st_ino != inode) == (waste < 0)
    assert beside(path) == ["mine.duckdb"]
    with Reader(path) as reader:
        assert [seal_of(reader.db, row.id) == row.seal for row in reader.episodes()] == [True, True]
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM steps").fetchone() == (16,)
        info = "SELECT compression FROM pragma_storage_info('step') WHERE column_name = 'rationale'"
        assert ("ZSTD",) in db.execute(info).fetchall()


def test_what_a_killed_run_left_aside_is_cleared_away(path, steps_of, write, monkeypatch):
    for name in ("mine.duckdb.new", "mine.duckdb.new.wal"):
        (path.parent / name).write_bytes(b"half a file")
    write(path, steps_of(1))
    assert beside(path) == ["mine.duckdb"]
    monkeypatch.setattr(writer, "WASTE", -1.0)
    for name in ("mine.duckdb.new", "mine.duckdb.new.wal"):
        (path.parent / name).write_bytes(b"half a file")
    write(path, steps_of(2), name="e2")
    assert beside(path) == ["mine.duckdb"]


# ---------------------------------------------------------------------- others at the file


def test_a_commit_waits_for_a_reader(path, steps_of):
    clock = Clock()
    _, recorder = begun(path, clock)
    reader = hold(path, 0.5, read_only=True)
    clock.now += 1.0
    began = time.monotonic()
    recorder.keep(steps_of(1).steps[0])
    assert time.monotonic() - began > 0.2
    assert reader.wait() == 0
    reader.stdout.close()
    assert counted(path) == 1


def test_a_reader_waits_for_a_commit(path, steps_of, write):
    write(path, steps_of(1))
    holder = hold(path, 0.5, read_only=False)
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == 8
    assert holder.wait() == 0
    holder.stdout.close()


def test_a_reader_waits_for_a_commit_in_another_thread_of_its_process(path, steps_of, write):
    write(path, steps_of(1))
    db = files.confined(path)
    db.execute(f"ATTACH '{files.quoted(path)}' AS file")
    other = threading.Timer(0.3, lambda: db.execute("DETACH file"))
    other.start()
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == 8
    other.join()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_another_process_does_not_let_go_of_is_an_error_in_one_sentence(
    path, steps_of, write, monkeypatch, read_only
):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    made = steps_of(1)
    write(path, made)
    holder = hold(path, 60, read_only=read_only)
    try:
        with pytest.raises(StoreError, match=r"mine\.duckdb: another process holds this file open; close it there"):
            write(path, made, name="e2")
        if not read_only:
            with pytest.raises(StoreError, match="another process holds this file open"):
                Reader(path)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    write(path, made, name="e2")


def test_one_run_at_a_time_writes_a_file(path):
    with files.writing(path):
        refused = []

        def second():
            try:
                with files.writing(path):
                    pass
            except StoreError as error:
                refused.append(str(error))

        other = threading.Thread(target=second)
        other.start()
        other.join()
    assert len(refused) == 1
    assert "another run is writing this file" in refused[0]
    with files.writing(path):
        pass
