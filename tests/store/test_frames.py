"""`tradearena.open`: frames hold what the tables hold, of kinds that pandas users expect, and keep no run waiting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import duckdb
import numpy as np
import pandas as pd
import pytest
from shelf import NOW, SYMBOLS, episode_row, experiment_row
from stage import walk

import tradearena
from tradearena.errors import StoreError, UnknownName
from tradearena.store import files
from tradearena.store.fields import FRAMES, KEY, columns_of
from tradearena.store.frames import Frames
from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.schema import EPISODE_TABLES
from tradearena.store.views import SAID
from tradearena.store.writer import Writer

pytestmark = pytest.mark.xdist_group("frames")  # whose file is made once

DTYPES = {
    "VARCHAR": "str", "HEX": "str", "BIGINT": "int64", "DOUBLE": "float64", "BOOLEAN": "bool", "JSON": "object",
    "TIMESTAMP": "datetime64[us, UTC]",
}  # fmt: skip
TABLE_OF = {name: name.removesuffix("s") for name in FRAMES}


@pytest.fixture(scope="module")
def written(tmp_path_factory, steps_of, write):
    """Two episodes whose steps hold every kind of value, of which requests were made."""
    path = tmp_path_factory.mktemp("frames") / "mine.duckdb"
    for name, seed in (("e1", 4), ("e2", 2)):
        write(path, steps_of(seed, 12, paid=True), name=name)
    return path


@pytest.fixture(scope="module")
def found(written):
    """All its frames."""
    return frames(written)


@pytest.fixture
def copy(written, tmp_path):
    path = tmp_path / "mine.duckdb"
    shutil.copyfile(written, path)
    return path


def table(path, query, *values):
    """Rows as DuckDB's own client gives them."""
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query, list(values)).fetchall()


def same(value, held):
    """Equal, with one NaN as good as another, and what is missing None."""
    if held is None:
        return value is None or value is pd.NA or value is pd.NaT or value != value
    if isinstance(held, float) and np.isnan(held):
        return value != value
    return value == held


def frames(path, **options):
    found = tradearena.open(path, **options)
    return {name: getattr(found, name)() for name in FRAMES}


# ---------------------------------------------------------------------- what is in them


@pytest.mark.parametrize("name", ["steps", "marks", "findings", "fills", "calls", "exchanges"])
def test_a_frame_holds_value_by_value_what_its_table_holds(written, found, name):
    found = found[name]
    plain = [f for f in FRAMES[name].fields if f.source.startswith("x.") and f.type not in ("TIMESTAMP", "JSON")]
    read = ", ".join(f'lower(hex("{f.name}"))' if f.type == "HEX" else f'"{f.name}"' for f in plain)
    order = FRAMES[name].order.replace("x.", "")
    rows = table(written, f'SELECT episode, {read} FROM "{TABLE_OF[name]}" ORDER BY episode, {order}')
    assert len(plain) >= 5
    assert len(found) == len(rows) > 0
    columns = ["episode", *(f.name for f in plain)]
    for got, expected in zip(found[columns].itertuples(index=False), rows, strict=True):
        assert all(same(value, held) for value, held in zip(got, expected, strict=True)), (got, expected)


def test_what_is_joined_to_a_table_is_of_the_same_bar_episode_and_symbol(written, found):
    ends = dict(table(written, 'SELECT t, epoch_us("end") FROM bars'))
    for name in ("steps", "marks", "findings", "exchanges", "calls", "weights", "clusters", "clips"):
        assert [time.value // 1000 for time in found[name]["time"]] == [ends[t] for t in found[name]["t"]], name
    booked = table(written, "SELECT nav, cash, owed FROM mark JOIN step USING (episode, t) ORDER BY episode, t")
    for step, (nav, cash, owed) in zip(found["steps"].itertuples(), booked, strict=True):
        assert same(step.nav, nav)
        assert same(step.cash, cash)
        assert same(step.owed, owed)
    named = table(written, "SELECT symbol, cause FROM fills ORDER BY episode, t, symbol")
    assert list(zip(found["fills"]["symbol"], found["fills"]["cause"], strict=True)) == named
    statuses = table(written, "SELECT status FROM exchange JOIN step USING (episode, t) ORDER BY episode, t, seq")
    assert found["exchanges"]["status"].tolist() == [status for (status,) in statuses]


def test_what_each_rule_took_is_there_symbol_by_symbol(written, found):
    rows = table(written, "SELECT episode, t, seq, rule, symbol, moved FROM clips ORDER BY episode, t, seq, symbol")
    got = found["clips"][["episode", "t", "seq", "rule", "symbol", "moved"]]
    assert len(got) == len(rows) > 0
    for values, held in zip(got.itertuples(index=False), rows, strict=True):
        assert all(same(value, each) for value, each in zip(values, held, strict=True))


def test_what_was_said_is_there_word_for_word(written, found):
    found = found["exchanges"]
    for column in ("system", "prompt", "reply"):
        query = f"SELECT s.text FROM exchange x JOIN ({SAID}) s ON s.sha256 = x.{column} ORDER BY episode, t, seq"
        assert found[column].tolist() == [text for (text,) in table(written, query)]
    assert any("\n" in text for text in found["reply"])


def test_hidden_states_are_lists_of_the_numbers_on_file(written, found):
    rows = table(written, "SELECT layer, pool, vector FROM state ORDER BY episode, t, exchange, layer, pool")
    got = found["states"]
    assert list(zip(got["layer"], got["pool"], strict=True)) == [row[:2] for row in rows]
    for vector, (_, _, blob) in zip(got["vector"], rows, strict=True):
        assert np.array_equal(np.array(vector, dtype="<f4"), np.frombuffer(blob, "<f4"), equal_nan=True)


def test_weights_and_clusters_are_the_vectors_symbol_by_symbol(written, found):
    for name, source, columns in (
        ("weights", "step", ("intent", "approved", "reference", "shares")),
        ("clusters", "cluster", ("labels",)),
    ):
        rows = table(written, f"SELECT episode, t, {', '.join(columns)} FROM {source} ORDER BY episode, t")
        long = [(row[0], row[1], symbol, *(vector[i] for vector in row[2:]))
                for row in rows for i, symbol in enumerate(SYMBOLS)]  # fmt: skip
        own = ["label" if column == "labels" else column for column in columns]
        got = found[name][["episode", "t", "symbol", *own]].itertuples(index=False)
        assert long
        for one, other in zip(got, long, strict=True):
            assert all(map(same, one, other))


def test_bars_are_the_bars(written, found):
    found = found["bars"]
    rows = table(
        written, 'SELECT t, epoch_us(start), epoch_us("end"), open, high, low, close, volume FROM bars ORDER BY t'
    )
    long = [(t, start, end, symbol, *(vector[i] for vector in vectors))
            for t, start, end, *vectors in rows for i, symbol in enumerate(SYMBOLS)]  # fmt: skip
    for got, (t, start, end, *rest) in zip(found.itertuples(index=False), long, strict=True):
        assert (got.t, got.start.value // 1000, got.end.value // 1000) == (t, start, end)
        assert all(map(same, got[3:], rest))


def test_episodes_have_their_card_and_manifest_as_dicts_and_what_is_json_is_parsed(written, found):
    assert found["episodes"]["episode"].tolist() == ["e1", "e2"]
    assert found["episodes"]["steps"].tolist() == [12, 12]
    assert found["episodes"]["card"].tolist() == [{}, {}]
    assert found["episodes"]["finished_at"].tolist() == [pd.Timestamp(NOW)] * 2
    rows = table(written, "SELECT notes, stray FROM step ORDER BY episode, t")
    assert found["steps"][["notes", "stray"]].to_numpy().tolist() == [list(map(json.loads, row)) for row in rows]
    assert found["calls"]["parameters"].tolist() == [{}] * len(found["calls"])
    setup = tradearena.open(written).experiment()
    assert (setup["symbols"], setup["policy"]["name"]) == (SYMBOLS, "free")


@pytest.mark.parametrize("episodes", [2, 0])
def test_columns_are_those_of_the_page_and_of_one_kind_whatever_stands_in_them(found, path, episodes):
    if not episodes:
        Writer(path, lambda: 0.0).create(experiment_row(), walk(1, 30, 3), NOW)
    for name, each in (found if episodes else frames(path)).items():
        expected = {f.name: "Int64" if f.type == "BIGINT" and f.nullable else DTYPES[f.type] for f in columns_of(name)}
        assert {column: str(kind) for column, kind in each.dtypes.items()} == expected, name
        assert bool(len(each)) == (episodes > 0 or name == "bars"), name


def test_there_is_a_frame_for_every_table_of_an_episode_and_a_method_for_every_frame():
    assert set(EPISODE_TABLES) < set(TABLE_OF.values())
    public = {name for name in vars(Frames) if not name.startswith("_")}
    assert public == {*FRAMES, "experiment"}
    assert [field.name for field in KEY] == ["episode", "agent", "feedback", "seed"]


# ---------------------------------------------------------------------- which file, which episode


@pytest.mark.parametrize("name", ["e2", "mine"])
def test_an_episode_is_named_by_its_id_or_the_newest_of_an_agent(written, name):
    found = tradearena.open(written, episode=name)
    for each in (found.steps(), found.weights(), found.exchanges()):
        assert set(each["episode"]) == {"e2"}


def test_a_file_is_named_as_on_the_command_line(written, tmp_path):
    (tmp_path / "replays").mkdir()
    path = tmp_path / "replays" / "20240101T000000Z-x-abc.duckdb"
    shutil.copyfile(written, path)
    assert tradearena.open("abc", home=tmp_path).path == path
    assert repr(tradearena.open(str(path))) == f"tradearena.open('{path}')"
    with pytest.raises(UnknownName, match="no experiment file named 'abd'"):
        tradearena.open("abd", home=tmp_path)
    with pytest.raises(UnknownName, match="no episode named 'nobody'"):
        tradearena.open(path, episode="nobody")


def test_the_package_is_imported_without_what_reads_files():
    code = "import tradearena, sys; tradearena.open; print({'pandas', 'numpy', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ---------------------------------------------------------------------- files that were changed


@pytest.mark.parametrize(
    ("change", "frame", "said"),
    [
        ("UPDATE step SET status = NULL", "steps", "its steps do not fit together"),
        (f"UPDATE step SET notes = '{'[' * 100_000}'", "steps", "its steps do not fit together"),
        ("UPDATE step SET t = 4000", "weights", "its weights do not fit together"),
        ("ALTER TABLE call ALTER latency TYPE VARCHAR; UPDATE call SET latency = 'x'", "calls", "do not fit together"),
        ("ALTER TABLE mark DROP COLUMN cash", "marks", "its marks do not fit together"),
        ("DELETE FROM bars WHERE t = 3", "bars", "do not fit"),
        ("UPDATE episode SET card = '{'", "episodes", "not an experiment file of TradeArena"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(copy, change, frame, said):
    with duckdb.connect(str(copy)) as db:
        for (view,) in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            db.execute(f'DROP VIEW "{view}"')
        db.execute(change)
    with pytest.raises(StoreError) as caught:
        getattr(tradearena.open(copy), frame)()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_a_damaged_file_lacks_is_empty(copy):
    with duckdb.connect(str(copy)) as db:
        db.execute("DELETE FROM text")
    assert set(tradearena.open(copy).exchanges()["prompt"]) == {""}


# ---------------------------------------------------------------------- while a run goes on


@pytest.fixture
def running(path, clock, steps_of):
    """An episode of which one step is on file, and a writer that waits for nobody."""
    writer = Writer(path, clock)
    writer.create(experiment_row(), walk(1, 30, 3), NOW)
    recorder = Recorder("e1", Recorded([], []), writer.wait)
    writer.begin_episode(episode_row("e1"), recorder)
    made = steps_of(1)

    def step(number):
        recorder.keep(made.steps[number])
        writer.commit()

    step(0)
    return step


def test_frames_of_a_running_episode_are_of_one_moment_in_a_block_and_keep_no_commit_waiting(
    running, path, monkeypatch
):
    monkeypatch.setattr(files, "PATIENCE", 0.0)
    with tradearena.open(path) as found:
        assert len(found.steps()) == 1
        running(1)
        assert len(found.steps()) == len(found.weights()) / len(SYMBOLS) == 1
        assert len(tradearena.open(path).steps()) == 2
    assert len(found.steps()) == 2
    running(2)
    assert len(found.steps()) == 3


def test_between_two_frames_of_a_finished_file_nobody_holds_it(copy, steps_of, write, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.0)
    found = tradearena.open(copy)
    assert len(found.episodes()) == 2
    write(copy, steps_of(3), name="e3")
    assert len(found.episodes()) == 3


def test_where_there_is_no_room_for_a_copy_the_file_itself_is_read(running, path, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with tradearena.open(path) as found:
        assert list(tmp_path.glob("tradearena-*")) == [], "a copy is gone as soon as it is open"
        assert len(found.steps()) == 1

    def full(*_paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with tradearena.open(path) as found:
        assert len(found.steps()) == 1
        monkeypatch.setattr(files, "PATIENCE", 0.0)
        with pytest.raises(StoreError, match="another process holds this file open"):
            running(1)
