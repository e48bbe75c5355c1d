"""Vectors on file: what was kept comes back, and neither the record nor who writes it is disturbed."""

from __future__ import annotations

import shutil

import duckdb
import numpy as np
import pytest
from shelf import NOW

from tradearena.errors import StoreError
from tradearena.store import embeddings, files
from tradearena.store.reader import Reader

KEYS = [bytes([i]) * 32 for i in range(5)]
ROWS = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def written(tmp_path_factory, steps_of, write):
    path = tmp_path_factory.mktemp("good") / "good.duckdb"
    write(path, steps_of(3))
    return path


@pytest.fixture
def path(written, tmp_path):
    copy = tmp_path / "mine.duckdb"
    shutil.copyfile(written, copy)
    return copy


def change(path, *statements):
    with duckdb.connect(str(path)) as db:
        for statement in statements:
            db.execute(statement)


def found(path, probe="p"):
    """What is kept, as a map."""
    keys, rows = embeddings.kept(path, probe)
    return {key: row.tolist() for key, row in zip(keys, rows, strict=True)}


def test_what_is_kept_comes_back_to_the_last_bit_and_by_probe(path):
    assert found(path) == {}
    embeddings.keep(path, "p", KEYS, ROWS, NOW)
    embeddings.keep(path, "q", KEYS[:2], ROWS[:2, :3], NOW)  # of another length
    assert found(path) == dict(zip(KEYS, ROWS.tolist(), strict=True))
    assert found(path, "q") == dict(zip(KEYS[:2], ROWS[:2, :3].tolist(), strict=True))
    assert found(path, "r") == {}
    assert not path.with_name("mine.duckdb.wal").exists()


def test_what_is_there_stays_unless_it_is_made_anew(path):
    embeddings.keep(path, "p", KEYS[:3], ROWS[:3], NOW)
    embeddings.keep(path, "q", KEYS, ROWS, NOW)
    embeddings.keep(path, "p", KEYS[2:], ROWS[2:] + 1.0, NOW)
    assert found(path)[KEYS[2]] == ROWS[2].tolist()
    assert len(found(path)) == 5
    embeddings.keep(path, "p", KEYS[:1], ROWS[:1, :2], NOW, anew=True)
    assert found(path) == {KEYS[0]: ROWS[0, :2].tolist()}
    assert len(found(path, "q")) == 5


def test_a_file_of_before_is_read_as_it_is_and_gets_the_table_with_the_first_vectors(path):
    change(
        path, "DROP TABLE embedding", "DROP TABLE state", "DROP TABLE clip", "DELETE FROM migration WHERE version > 1"
    )
    with Reader(path) as reader:
        before = reader.query("SELECT * FROM step")[1]
        with pytest.raises(StoreError, match="embedding"):
            reader.query("FROM embedding")
    assert found(path) == {}
    embeddings.keep(path, "p", KEYS, ROWS, NOW)
    assert len(found(path)) == 5
    with Reader(path) as reader:
        assert repr(reader.query("SELECT * FROM step")[1]) == repr(before)
        assert reader.query("SELECT probe, len(vector) FROM embedding LIMIT 1")[1] == [("p", 7)]
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT version, name FROM migration ORDER BY 1").fetchall()[1] == (2, "embedding")


def test_a_file_that_is_being_written_is_left_alone(path):
    whole = path.read_bytes()
    with files.writing(path), pytest.raises(StoreError, match="another run is writing this file"):
        embeddings.keep(path, "p", KEYS, ROWS, NOW)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE embedding SET vector = [1.0] WHERE rowid = 2",
        "UPDATE embedding SET vector = NULL WHERE rowid = 2",
        "UPDATE embedding SET vector = []",
        "UPDATE embedding SET vector = list_transform(vector, lambda x: 'nan'::FLOAT) WHERE rowid = 1",
        "UPDATE embedding SET vector = list_transform(vector, lambda x: 'inf'::FLOAT) WHERE rowid = 1",
        "UPDATE embedding SET vector = list_transform(vector, lambda x: NULL) WHERE rowid = 1",
        "UPDATE embedding SET text = NULL WHERE rowid = 0",
        "INSERT INTO embedding SELECT * FROM embedding LIMIT 1",
        "ALTER TABLE embedding ALTER vector TYPE DOUBLE[]",
        "ALTER TABLE embedding ALTER vector TYPE VARCHAR",
        "ALTER TABLE embedding DROP COLUMN vector",
        "ALTER TABLE embedding DROP COLUMN probe",
    ],
)
def test_what_cannot_be_vectors_of_a_probe_is_none(path, statement):
    embeddings.keep(path, "p", KEYS, ROWS, NOW)
    change(path, statement)
    assert embeddings.kept(path, "p") is None


def test_a_view_in_place_of_the_table_is_not_looked_into_nor_written_to(path):
    change(
        path, "DROP TABLE embedding", "CREATE VIEW embedding AS SELECT ''::BLOB AS text, 'p' AS probe, [1.0] AS vector"
    )
    assert found(path) == {}
    with pytest.raises(StoreError, match=r"mine\.duckdb: .*"):
        embeddings.keep(path, "p", KEYS, ROWS, NOW)
    with Reader(path) as reader:
        assert len(reader.episodes()) == 1
