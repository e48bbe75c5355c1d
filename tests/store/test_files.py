"""Files that cannot be opened, written or trusted say so in one sentence; files that can are found by any of their
names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelf import Clock, episode_row, experiment_row
from stage import walk

from tradearena.errors import StoreError, UnknownName
from tradearena.store import files
from tradearena.store.reader import Reader
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.writer import Writer

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def written(tmp_path_factory, steps_of, write):
    """A file in good order."""
    path = tmp_path_factory.mktemp("good") / "good.duckdb"
    write(path, steps_of(3))
    return path


@pytest.fixture
def copy(written, tmp_path):
    path = tmp_path / "mine.duckdb"
    shutil.copyfile(written, path)
    return path


def read_all(path):
    """Everything a file holds."""
    with Reader(path) as reader:
        reader.experiment()
        for row in reader.episodes():
            reader.trajectory(row.id)
            reader.recorded(row.id)
        reader.panel()


def complaint(path):
    """What reading a file says, which must be one sentence."""
    with pytest.raises(StoreError) as caught:
        read_all(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


# ---------------------------------------------------------------------- names


@given(st.text(max_size=30))
def test_a_new_file_is_named_by_time_dataset_and_id_whatever_the_dataset_is_called(name):
    path = files.new_path("0123456789", name, NOW, Path("/tmp"))
    assert path.parent == Path("/tmp/replays")
    assert path.name.startswith("20240506T070809Z-")
    assert path.name.endswith("-0123456789.duckdb")
    assert path.name.isascii()
    assert not set(path.name) & set(" /\\'\":*?")


def test_the_newest_file_of_an_id_is_the_one_that_is_found(tmp_path):
    room = tmp_path / "replays"
    assert files.find("abc", tmp_path) is None
    room.mkdir()
    for name in ("20240101T000000Z-x-abc", "20250101T000000Z-a-abc", "20260101T000000Z-a-def"):
        (room / f"{name}.duckdb").touch()
    assert files.find("abc", tmp_path).name == "20250101T000000Z-a-abc.duckdb"


def test_a_file_is_meant_by_its_path_its_name_its_stem_or_its_id(tmp_path):
    (tmp_path / "replays").mkdir()
    path = tmp_path / "replays" / "20240101T000000Z-x-abc.duckdb"
    path.touch()
    for name in (str(path), path.name, path.stem, "abc"):
        assert files.resolve(name, tmp_path) == path
    with pytest.raises(UnknownName, match="no experiment file named 'abd'"):
        files.resolve("abd", tmp_path)


# ---------------------------------------------------------------------- files that are not what they should be


def test_a_file_that_is_not_there(tmp_path):
    assert complaint(tmp_path / "none.duckdb").endswith("no such file")
    assert complaint(tmp_path).endswith("no such file")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"name,price\n" * 2_000])
def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "mine.duckdb"
    path.write_bytes(content)
    assert complaint(path).endswith("not a DuckDB file")


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE cluster CASCADE",
        "ALTER TABLE experiment RENAME TO other",
        "DELETE FROM experiment",
        "INSERT INTO experiment FROM experiment",
        "ALTER TABLE experiment DROP COLUMN engine",
        "UPDATE experiment SET policy = 'not json'",
        "UPDATE experiment SET dataset = '{'",
        "UPDATE experiment SET policy = '{}'",
        """UPDATE experiment SET policy = '{"name": "x", "limits": {"gross": -1}}'""",
        "UPDATE episode SET card = '{'",
        "UPDATE step SET stray = '['",
    ],
)
def test_a_database_that_is_none_of_ours(copy, change):
    with duckdb.connect(str(copy)) as db:
        for view in ("steps", "weights", "fills", "bar"):
            db.execute(f"DROP VIEW {view}")
        db.execute(change.replace(" CASCADE", ""))
    assert complaint(copy).endswith("not an experiment file of TradeArena")


def test_any_other_database(tmp_path):
    path = tmp_path / "other.duckdb"
    duckdb.connect(str(path)).execute("CREATE TABLE prices (x INT)").close()
    assert complaint(path).endswith("not an experiment file of TradeArena")


def test_a_damaged_file_says_that_it_is(copy):
    whole, said = copy.read_bytes(), set()
    for place in range(20, len(whole), len(whole) // 12):
        damaged = bytearray(whole)
        damaged[place : place + 64] = bytes(byte ^ 0xFF for byte in damaged[place : place + 64])
        copy.write_bytes(damaged)
        with suppress(StoreError):  # not every block is in use
            read_all(copy)
            continue
        said.add(complaint(copy))
    assert said
    assert all("the file is damaged (" in each for each in said)


def test_half_a_file_says_that_it_is_damaged(copy):
    os.truncate(copy, copy.stat().st_size // 2)
    assert "the file is damaged (" in complaint(copy)


# ---------------------------------------------------------------------- places that cannot be written


@pytest.mark.parametrize("place", ["/proc/nowhere/mine.duckdb", "{file}/mine.duckdb", "{folder}", "/proc/mine.duckdb"])
def test_a_place_that_cannot_be_written_says_so(tmp_path, place):
    (tmp_path / "file").touch()
    path = Path(place.format(file=tmp_path / "file", folder=tmp_path))
    with pytest.raises(StoreError) as caught, files.writing(path):
        pytest.fail("it was written")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.fixture
def tiny():
    """A disk of four megabytes."""
    folder = Path("/tmp") / f"tradearena-tiny-{os.getpid()}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if not mounted:
            pytest.skip("no right to mount a small disk")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
    finally:
        folder.rmdir()


def test_a_full_disk_is_told_from_other_troubles_and_leaves_no_half_file(tiny, steps_of, write):
    path = tiny / "mine.duckdb"
    (tiny / "ballast").write_bytes(b"x" * 4_000_000)
    with pytest.raises(StoreError, match=r"mine\.duckdb: the disk is full; make room and run the same command again"):
        write(path, steps_of(1))
    assert not [each for each in tiny.iterdir() if "duckdb" in each.name]
    (tiny / "ballast").unlink()


def test_a_disk_that_fills_up_during_a_run_keeps_what_was_committed(tiny, steps_of, write):
    path, made = tiny / "mine.duckdb", steps_of(1, 400)
    write(path, made, name="e0", until=0)
    (tiny / "ballast").write_bytes(b"x" * (shutil.disk_usage(tiny).free - 500_000))
    with pytest.raises(StoreError, match="the disk is full"):
        write(path, made, tick=0.02)
    with Reader(path) as reader:
        kept = len(reader.recorded("e1").hashes)
    assert 0 < kept < 400
    assert kept % 25 == 0  # a whole number of commits
    (tiny / "ballast").unlink()
    write(path, steps_of(2), name="e2")
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == kept
        assert len(reader.recorded("e2").hashes) == 8


ROOM_FOR_THE_LOG = 700_000
"""What stands on the small disk already, so that a log of 400 steps (2.7 MB) has room there, and their tables have
not."""


def test_a_disk_too_full_for_the_last_checkpoint_keeps_every_step(tiny, steps_of, write):
    path, made = tiny / "mine.duckdb", steps_of(1, 400)
    (tiny / "ballast").write_bytes(b"x" * ROOM_FOR_THE_LOG)
    with pytest.raises(StoreError, match="the disk is full"):
        write(path, made, tick=0.02)
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == 400
        assert reader.episode("e1").status == "complete"


def test_a_disk_too_full_for_a_commit_and_the_checkpoint_after_it_keeps_the_commit(tiny, steps_of):
    """And the file is let go of, though the writer is still there."""
    path, made, clock = tiny / "mine.duckdb", steps_of(1, 400), Clock()
    (tiny / "ballast").write_bytes(b"x" * ROOM_FOR_THE_LOG)
    writer = Writer(path, clock)
    writer.create(experiment_row(), walk(1, 30, 3), NOW)
    recorder = Recorder("e1", Recorded([], []), writer.wait)
    writer.begin_episode(episode_row("e1"), recorder)
    for step in made.steps:
        recorder.keep(step)
    with pytest.raises(StoreError, match="the disk is full"):
        writer.compact()
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == 400
    with pytest.raises(StoreError, match="the last commit failed"):
        writer.commit()


# ---------------------------------------------------------------------- names that DuckDB would read as something else


@pytest.mark.parametrize("name", ["a:b.duckdb", "it's.duckdb", "ümläut 涨.duckdb", "no ending", "md:x", ":memory:"])
def test_a_file_may_have_any_name(tmp_path, monkeypatch, steps_of, write, name):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    write(path, steps_of(1), tick=0.3)
    assert (tmp_path / name).is_file()
    with Reader(path) as reader:
        assert len(reader.recorded("e1").hashes) == 8


def test_a_path_may_be_roundabout(tmp_path, monkeypatch, steps_of, write):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    monkeypatch.chdir(tmp_path / "sub")
    write(Path("../link/../sub/./mine.duckdb"), steps_of(1), tick=0.3)
    with Reader(tmp_path / "sub" / "mine.duckdb") as reader:
        assert len(reader.recorded("e1").hashes) == 8


# ---------------------------------------------------------------------- files that are not trusted


def answer(path, query):
    with Reader(path) as reader:
        return reader.query(query)[1]


def test_views_that_stand_in_a_file_are_not_ours(copy):
    honest = answer(copy, "SELECT count(*), sum(t) FROM steps")
    with duckdb.connect(str(copy)) as db:
        for view in ("steps", "weights", "fills", "bar"):
            db.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT 'planted' AS t")
    assert answer(copy, "SELECT count(*), sum(t) FROM steps") == honest
    for view in ("weights", "fills", "bar"):
        assert answer(copy, f"SELECT count(*) FROM {view} WHERE t::VARCHAR = 'planted'") == [(0,)]


def test_functions_that_stand_in_a_file_are_not_used(copy):
    with Reader(copy) as reader:
        row = reader.episode(None)
        honest = (row, reader.trajectory("e1").nav.tobytes(), reader.window(row))
    with duckdb.connect(str(copy)) as db:
        for macro in ("epoch_us(x) AS 0", "abs(x) AS 7", "sum(x) AS 9", "greatest(a, b) AS 1", "count() AS 3"):
            db.execute(f"CREATE MACRO {macro}")
    with Reader(copy) as reader:
        row = reader.episode(None)
        assert (row, reader.trajectory("e1").nav.tobytes(), reader.window(row)) == honest
    assert answer(copy, "SELECT abs(-2), count(*) FROM step") == [(2, 8)]


def test_a_view_in_the_place_of_a_table_is_refused(copy):
    with duckdb.connect(str(copy)) as db:
        for view in ("steps", "weights", "fills", "bar"):
            db.execute(f"DROP VIEW {view}")
        db.execute("ALTER TABLE step RENAME TO true_step")
        db.execute("CREATE VIEW step AS SELECT * REPLACE ('all is well' AS rationale) FROM true_step")
    assert complaint(copy).endswith("not an experiment file of TradeArena")


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_csv('{secret}')",
        "FROM '{secret}'",
        "FROM read_text('{secret}')",
        "FROM glob('/*')",
        "FROM file.planted",
        "SELECT file.main.planted_macro()",
        "COPY steps TO '{secret}.out'",
        "EXPORT DATABASE '{secret}.out'",
        "ATTACH '{secret}.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM read_parquet('https://127.0.0.1:9/x.parquet')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/']",
        "DELETE FROM file.step",
        "UPDATE file.step SET t = 0",
        "DROP TABLE file.step",
        "CREATE TABLE file.more (x INT)",
        "INSERT INTO step FROM step",
    ],
)
def test_a_query_reaches_nothing_outside_the_file_and_changes_nothing_in_it(copy, tmp_path, query):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    with duckdb.connect(str(copy)) as db:
        db.execute(f"CREATE VIEW planted AS FROM read_csv('{secret}')")
        db.execute(f"CREATE MACRO planted_macro() AS (SELECT content FROM read_text('{secret}'))")
    before = copy.read_bytes()
    with pytest.raises(StoreError, match="the query failed: "):
        answer(copy, query.format(secret=secret))
    assert copy.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.duckdb", "secret.csv"]


def test_the_hardening_holds_in_a_process_of_its_own(copy):
    code = """
import sys
from pathlib import Path
from tradearena.store.reader import Reader
with Reader(Path(sys.argv[1])) as reader:
    print(reader.query("SELECT current_setting('enable_external_access'), current_setting('lock_configuration')")[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(False, True)]"


# ---------------------------------------------------------------------- answers

TWO_DAYS = "['2024-01-02 00:00:00+00', '2024-01-03 00:00:00+00']"


@pytest.mark.parametrize(
    ("query", "columns", "rows"),
    [
        ("SELECT 1 AS a, 2 AS a", ["a", "a"], [(1, 2)]),
        ("SELECT t FROM step ORDER BY t LIMIT 2;", ["t"], [(1,), (2,)]),
        ('SELECT "end", 1 FROM bars WHERE t = 0', ["end", "1"], [("2024-01-02T00:00:00Z", 1)]),
        (
            'SELECT list("end") AS l FROM bars WHERE t < 2',
            ["l"],
            [("['2024-01-02 00:00:00+00', '2024-01-03 00:00:00+00']",)],
        ),
        ("SELECT NULL::TIMESTAMPTZ AS a", ["a"], [(None,)]),
        ("SELECT 1 AS a WHERE false", ["a"], []),
        ("SELECT hash = unhex('00') AS h FROM step LIMIT 1", ["h"], [(False,)]),
        ("", [], []),
        ("SELECT 1; SELECT 2 AS b", ["b"], [(2,)]),
    ],
)
def test_any_question_has_its_answer(copy, query, columns, rows):
    with Reader(copy) as reader:
        assert reader.query(query) == (columns, rows)


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT x FROM step", "FROM nowhere", "SELECT 'x'::INT"])
def test_a_question_that_is_none_is_refused_in_duckdbs_words(copy, query):
    with pytest.raises(StoreError, match=r"mine\.duckdb: the query failed: \w+ Error: "):
        answer(copy, query)


# ---------------------------------------------------------------------- one database, several times


def test_a_file_that_took_the_place_of_another_is_read_as_it_is(copy, tmp_path, steps_of, write):
    with Reader(copy) as reader:
        before = reader.recorded("e1").hashes
    write(tmp_path / "other.duckdb", steps_of(4))
    os.replace(tmp_path / "other.duckdb", copy)
    with Reader(copy) as reader:
        assert reader.recorded("e1").hashes != before


@pytest.mark.parametrize(
    "statements",
    [
        "DETACH file; ATTACH '{path}' AS g; DELETE FROM g.main.step; SELECT 1",
        "SELECT 1; DETACH file",
        "ATTACH '{path}.new' AS g",
        "COPY (SELECT 1) TO '{path}.new'",
        "PREPARE it AS COPY (SELECT 1) TO '{path}.new'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{path}.new'",
        "EXPORT DATABASE '{path}.new'",
    ],
)
def test_a_question_changes_nothing_on_disk(copy, statements):
    before = copy.read_bytes()
    with pytest.raises(StoreError, match=r"the query failed: .* reaches beyond reading this file"):
        answer(copy, statements.format(path=copy))
    assert copy.read_bytes() == before
    assert [each.name for each in copy.parent.iterdir() if each.name.startswith(copy.name)] == [copy.name]


def test_what_a_query_left_behind_is_not_there_for_the_next_reader(copy):
    with Reader(copy) as reader:
        reader.query("CREATE TABLE memory.main.left_behind AS SELECT 1 AS one")
        assert reader.query("FROM left_behind")[1] == [(1,)]
    with Reader(copy) as reader, pytest.raises(StoreError, match="left_behind"):
        reader.query("FROM memory.main.left_behind")


def test_two_readers_of_one_file_stay_out_of_each_others_way(copy):
    with Reader(copy) as first:
        first.panel()
    with Reader(copy) as first:
        with pytest.raises(ValueError, match="mine"), Reader(copy):
            raise ValueError("mine")
        assert len(first.recorded("e1").hashes) == 8
    read_all(copy)


def test_a_process_that_was_forked_reads_as_well(copy):
    """The threads of a database stay behind: whoever used it would wait for ever."""
    code = (
        "import os, sys, pathlib\nfrom tradearena.store.reader import Reader\n"
        "def steps():\n    with Reader(pathlib.Path(sys.argv[1])) as reader:\n"
        "        return len(reader.trajectory('e1').decided)\n"
        "assert steps() == 8\nchild = os.fork()\nif not child:\n    os._exit(steps())\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8\n"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, str(copy)], env=paths, timeout=60, check=False).returncode == 0
