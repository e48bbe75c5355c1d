"""What goes into the store comes out of it, bit for bit, and the chain and the seal are of exactly that."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import Links, walk
from strategies import few, panel_of

from tradearena.errors import StoreError
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES, TABLES
from tradearena.store.seal import Seal, read, seal_of
from tradearena.values import Exposures, Mark


def same(a, b):
    """Equal to the bit, with one NaN as good as another."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and (np.array_equal(a, b, equal_nan=True) and (np.signbit(a) == np.signbit(b)).all())


def rows(path, table, order):
    with duckdb.connect(str(path), read_only=True) as db:
        names = [column.name for column in TABLES[table]]
        found = db.execute(f'SELECT {", ".join(chr(34) + n + chr(34) for n in names)} FROM "{table}" ORDER BY {order}')
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def replayed(made):
    """The chain over the steps, made outside the store."""
    record = Links()
    for step in made.steps:
        record.keep(step)
    return record.links, record.close("complete", made.marks, made.fills)


@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32 - 1), every=st.integers(1, 3), tick=st.sampled_from((0.0, 0.2, 1.0)))
def test_every_column_of_every_table_is_what_the_loop_produced(tmp_path_factory, steps_of, write, seed, every, tick):
    path, made = tmp_path_factory.mktemp("trip") / "mine.duckdb", steps_of(seed, every=every, paid=True)
    root = write(path, made, tick=tick)
    links, expected = replayed(made)
    assert root == expected

    for row, step, link in zip(rows(path, "step", "t"), made.steps, links, strict=True):
        decision, report = step.decision, step.report
        assert (row["episode"], row["t"], row["observation"], row["hash"]) == ("e1", step.t, step.observation, link)
        for name in ("status", "reason", "rationale", "reflection", "confidence"):
            assert row[name] == getattr(decision, name), name
        assert row["kept"] == (decision.target is None)
        assert tuple(map(tuple, json.loads(row["stray"]))) == decision.stray
        assert (row["told"], row["short"], row["latency"]) == (step.told, step.short, step.latency)
        vectors = {"intent": report.intent, "approved": report.approved, "reference": step.reference}
        for name, vector in {**vectors, "shares": step.account.shares}.items():
            assert same(row[name], vector), name
        assert all(same(row[name], getattr(report.exposures, name)) for name in Exposures._fields)

    marks = [mark for step in made.steps for mark in step.marks] + list(made.marks)
    for row, mark in zip(rows(path, "mark", "t"), marks, strict=True):
        assert same([row[name] for name in Mark._fields], mark)

    findings = [(step.t, seq, *f) for step in made.steps for seq, f in enumerate(step.report.findings)]
    for row, (t, seq, rule, scope, name, proposed, approved, limit, severity) in zip(
        rows(path, "finding", "t, seq"), findings, strict=True
    ):
        assert (row["t"], row["seq"], row["rule"], row["scope"], row["name"], row["severity"]) == (
            t, seq, rule, scope, name, severity,
        )  # fmt: skip
        assert same([row["proposed"], row["approved"], row["limit"]], [proposed, approved, limit])

    clips = [(step.t, seq, *clip) for step in made.steps for seq, clip in enumerate(step.report.trail)]
    for row, (t, seq, rule, moved) in zip(rows(path, "clip", "t, seq"), clips, strict=True):
        assert (row["t"], row["seq"], row["rule"]) == (t, seq, rule)
        assert same(row["moved"], moved)

    fills = [fill for step in made.steps for fill in step.fills] + list(made.fills)
    expected = [(fill, i) for fill in fills for i in np.flatnonzero(fill.ordered)]
    for row, (fill, i) in zip(rows(path, "fill", "t, symbol"), expected, strict=True):
        assert (row["t"], row["decided"], row["symbol"], row["cause"]) == (fill.t, fill.decided, i, fill.cause[i])
        for name in ("ordered", "quantity", "price", "commission", "spread", "impact"):
            assert same(row[name], getattr(fill, name)[i]), name

    expected = {
        (step.t, seq, state.layer, state.pool): state.vector
        for step in made.steps
        for seq, exchange in enumerate(step.decision.exchanges)
        for state in exchange.states
    }
    found = rows(path, "state", "t, exchange, layer, pool")
    assert [(row["t"], row["exchange"], row["layer"], row["pool"]) for row in found] == sorted(expected)
    assert {(row["t"], row["exchange"], row["layer"], row["pool"]): row["vector"] for row in found} == expected

    clusters = [(step.t, step.clusters.tolist()) for step in made.steps if step.clusters is not None]
    assert [(row["t"], list(row["labels"])) for row in rows(path, "cluster", "t")] == clusters


@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32 - 1))
def test_decisions_come_back_as_they_were_made(tmp_path_factory, steps_of, write, seed):
    path, made = tmp_path_factory.mktemp("back") / "mine.duckdb", steps_of(seed)
    write(path, made)
    with Reader(path) as reader:
        recorded = reader.recorded("e1")
    assert recorded.hashes == replayed(made)[0]
    for found, step in zip(recorded.decisions, made.steps, strict=True):
        made_of = step.decision
        assert (found.target is None) == (made_of.target is None)
        assert found.target is None or same(found.target, made_of.target)
        for name in ("status", "reason", "rationale", "reflection", "confidence", "stray"):
            assert getattr(found, name) == getattr(made_of, name), name


def test_the_bars_of_the_window_are_on_file_once_and_come_back_as_the_panel(path, steps_of, write):
    write(path, steps_of(1))
    write(path, steps_of(2), name="e2")
    panel = walk(1, 30, 3)
    with Reader(path) as reader:
        again = reader.panel()
    assert again.digest == panel.digest
    assert (again.symbols, again.sectors, again.bars_per_year) == (panel.symbols, ("A", "B", "A"), 252.0)
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT count(*), min(t), max(t) FROM bars").fetchone() == (30, 0, 29)


def test_missing_bars_and_unknown_volumes_come_back(path, steps_of, write):
    closes = [(1.0, np.nan, 3.0), (1.0, 2.0, np.nan)]
    panel = panel_of(closes, closes, np.inf, sectors=("A", "B", "A"))
    write(path, steps_of(1), panel=panel)
    with Reader(path) as reader:
        again = reader.panel()
    assert again.digest == panel.digest
    assert np.array_equal(again.volume, panel.volume)


# ---------------------------------------------------------------------- seals


def seals(path):
    with Reader(path) as reader:
        return {row.id: (row.seal, seal_of(reader.db, row.id)) for row in reader.episodes()}


@pytest.mark.slow
@settings(max_examples=few(3, full=5))
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 12), tick=st.sampled_from((0.07, 0.26, 0.5, 9.0)))
def test_a_seal_is_the_same_however_the_rows_were_cut_into_commits(
    tmp_path_factory, steps_of, write, seed, count, tick
):  # fmt: skip
    folder, made = tmp_path_factory.mktemp("seal"), steps_of(seed, count)
    write(folder / "one.duckdb", made)
    write(folder / "many.duckdb", made, tick=tick)
    one, many = (seals(folder / name)["e1"] for name in ("one.duckdb", "many.duckdb"))
    assert one[0] == one[1] == many[0] == many[1]


def test_each_episode_of_a_file_has_a_seal_of_its_own(path, steps_of, write):
    write(path, steps_of(1), name="e1")
    before = seals(path)
    write(path, steps_of(2), name="e2")
    after = seals(path)
    assert after["e1"] == before["e1"]
    assert after["e2"][0] == after["e2"][1] != after["e1"][0]


CHANGES = {
    "BOOLEAN": "NOT {c}", "VARCHAR": "coalesce({c}, '') || '.'", "BLOB": "{c} || 'x'::BLOB",
    "INTEGER": "coalesce({c}, -1) + 1", "BIGINT": "{c} + 1", "SMALLINT": "{c} + 1", "TINYINT": "{c} + 1",
    "DOUBLE": "CASE WHEN {c} = 1 THEN 2 ELSE 1 END", "TIMESTAMPTZ": "{c} + INTERVAL 1 SECOND",
    "DOUBLE[n]": "list_transform({c}::DOUBLE[], lambda x: CASE WHEN x = 1 THEN 2 ELSE 1 END)::DOUBLE[3]",
    "SMALLINT[n]": "list_transform({c}::SMALLINT[], lambda x: x + 1)::SMALLINT[3]",
    "VARCHAR[]": "list_append({c}, 'more')",
}  # fmt: skip
"""A change to a value of each type that leaves none as it was."""

COLUMNS = [
    (table, column)
    for table in ("experiment", "bars", "episode", *EPISODE_TABLES)
    for column in TABLES[table]
    if (table, column.name) != ("episode", "seal")
]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory, steps_of, write):
    path = tmp_path_factory.mktemp("sealed") / "mine.duckdb"
    write(path, steps_of(11, 12, paid=True))
    return path


def part(db, table):
    """The part of a seal that is one table's."""
    seal, key = Seal(), {"experiment": "", "bars": "", "episode": "WHERE id = 'e1'"}
    seal.absorb(table, read(db, table, key.get(table, "WHERE episode = 'e1'")))
    return seal.digest()


def test_no_value_of_any_column_can_change_unnoticed(sealed, tmp_path):
    """One value at a time, in every column of every table, in one session that is rolled back each time."""
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        intact = {table: part(db, table) for table, _ in COLUMNS}
        for table, column in COLUMNS:
            name = f'"{column.name}"'
            db.execute("BEGIN")
            one = f'rowid = (SELECT max(rowid) FROM "{table}")'
            db.execute(f'UPDATE "{table}" SET {name} = {CHANGES[column.type].format(c=name)} WHERE {one}')
            assert part(db, table) != intact[table], f"{table}.{column.name}"
            db.execute("ROLLBACK")
            assert part(db, table) == intact[table]


ZERO = {
    "BOOLEAN": "false", "TIMESTAMPTZ": "make_timestamptz(0)", "DOUBLE[n]": "[0, 0, 0]::DOUBLE[3]",
    "SMALLINT[n]": "[0, 0, 0]::SMALLINT[3]", "INTEGER": "0", "BIGINT": "0", "SMALLINT": "0", "TINYINT": "0",
    "DOUBLE": "0",
}  # fmt: skip


def test_nothing_is_not_zero(sealed, tmp_path):
    """Where there may be no NULL one is found, for a value or in a vector: whatever DuckDB leaves in its place."""
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        for table, column in COLUMNS:
            if column.type not in ZERO:
                continue
            db.execute("BEGIN")
            zero, found = ZERO[column.type], []
            for value in (zero, "NULL", *([zero.replace("[0, ", "[NULL, ")] if "[n]" in column.type else [])):
                where = f'rowid = (SELECT max(rowid) FROM "{table}")'
                db.execute(f'UPDATE "{table}" SET "{column.name}" = {value} WHERE {where}')
                found.append(part(db, table))
            assert len({*found}) == len(found), f"{table}.{column.name}"
            db.execute("ROLLBACK")


def test_a_column_of_another_type_is_one_sentence(sealed, tmp_path):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    with duckdb.connect(str(copy)) as db:
        db.execute("ALTER TABLE mark ALTER nav TYPE VARCHAR")
    with Reader(copy) as reader, pytest.raises(StoreError, match='"nav" is of type string, and should be DOUBLE'):
        seal_of(reader.db, "e1")


@pytest.mark.parametrize("table", ["experiment", "bars", "episode", *EPISODE_TABLES])
def test_every_table_is_under_the_seal(sealed, tmp_path, table):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    column = next(column for column in TABLES[table] if column.type in ("INTEGER", "SMALLINT[n]"))
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        intact = seal_of(db, "e1")
        db.execute(f'UPDATE "{table}" SET "{column.name}" = {CHANGES[column.type].format(c=column.name)}')
        assert seal_of(db, "e1") != intact


@pytest.mark.parametrize("table", EPISODE_TABLES)
def test_no_row_can_go_or_come_unnoticed(sealed, tmp_path, table):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        intact = seal_of(db, "e1")
        for change in (
            f'DELETE FROM "{table}" WHERE rowid = (SELECT max(rowid) FROM "{table}")',
            f'INSERT INTO "{table}" SELECT * FROM "{table}" WHERE rowid = (SELECT max(rowid) FROM "{table}")',
        ):
            db.execute("BEGIN")
            db.execute(change)
            assert seal_of(db, "e1") != intact
            db.execute("ROLLBACK")


@pytest.mark.parametrize("column", ["system", "prompt", "reply"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE line SET text = text || '.' WHERE id IN ({lines})",
        "DELETE FROM line WHERE id IN ({lines})",
        "INSERT INTO line SELECT * FROM line WHERE id IN ({lines})",
        "UPDATE text SET lines = lines || ',0' WHERE sha256 = ?",
        "UPDATE text SET sha256 = 'x'::BLOB WHERE sha256 = ?",
        "DELETE FROM text WHERE sha256 = ?",
        "INSERT INTO text SELECT * FROM text WHERE sha256 = ?",
    ],
)
def test_no_text_that_was_said_can_change_unnoticed(sealed, tmp_path, column, change):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        intact = seal_of(db, "e1")
        (digest,) = db.execute(f"SELECT max({column}) FROM exchange WHERE episode = 'e1'").fetchone()
        (lines,) = db.execute("SELECT lines FROM text WHERE sha256 = ?", [digest]).fetchone()
        db.execute(change.format(lines=lines.split(",")[0]), [digest] if "?" in change else [])
        assert seal_of(db, "e1") != intact


def test_a_text_and_each_of_its_lines_is_kept_once_however_often_it_is_said(sealed):
    said = "SELECT count(DISTINCT x) FROM (SELECT unnest([system, prompt, reply]) AS x FROM exchange)"
    with duckdb.connect(str(sealed), read_only=True, config={"threads": 1}) as db:
        (texts,) = db.execute(said).fetchone()
        assert db.execute("SELECT count(*), count(DISTINCT sha256) FROM text").fetchone() == (texts, texts)
        lines, distinct, numbers = db.execute(
            "SELECT count(*), count(DISTINCT text), count(DISTINCT id) FROM line"
        ).fetchone()
        assert lines == distinct == numbers > 0
        assert db.execute("SELECT bool_and(sha256 = unhex(sha256(text))) FROM texts").fetchone() == (True,)
        assert db.execute("SELECT count(*) FROM call").fetchone()[0] > 0


@pytest.mark.parametrize("table", ["step", "episode"])
def test_a_null_is_not_an_empty_text(sealed, tmp_path, table):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(sealed.read_bytes())
    column = {"step": "reflection", "episode": "error"}[table]
    with duckdb.connect(str(copy), config={"threads": 1}) as db:
        db.execute(f"UPDATE {table} SET {column} = ''")
        empty = seal_of(db, "e1")
        db.execute(f"UPDATE {table} SET {column} = NULL")
        assert seal_of(db, "e1") != empty
