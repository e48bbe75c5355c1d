"""Whether a file is what it says: nothing can be changed in it without being found and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stage import dataset, first_schema, musing, walk, with_latency

from tradearena.agents.card import Candidate, open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.arena.verify import Divergence, verify
from tradearena.errors import AgentError, StoreError
from tradearena.market.window import Window
from tradearena.policy import load
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES, MIGRATIONS, TABLES
from tradearena.store.seal import seal_of
from tradearena.store.signature import Signer
from tradearena.testing import ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

MODES = ("true", "hidden", "placebo", "false-audit:alarm", "false-audit:all-clear", "false-audit:inverted")


def made(
    path: Path, *agents: str | Candidate, steps: int = 6, latency: int = 1, gaps: float = 0.0, signer=None, **more
) -> Path:
    """A file that holds a run of these agents."""
    policy = with_latency(load("strict"), latency)
    candidates = tuple(open_agent(agent) if isinstance(agent, str) else agent for agent in agents)
    bars = dataset(walk(4, bars=40, n=4, gaps=gaps))
    outcome = experiment.run(Plan(bars, policy, Window(steps=steps), candidates, **more), path, signer=signer)
    assert outcome.failure is None
    return path


def wrong(path: Path, *, fast: bool = False) -> list[Divergence]:
    whole, verdicts = verify(path, fast=fast)
    return [*whole, *(verdict.wrong for verdict in verdicts if verdict.wrong)]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Three episodes, with something in every table."""
    folder = tmp_path_factory.mktemp("verify")
    reply = '{"target_weights": {"S0": 0.9}, "rationale": "All in.", "confidence": 0.5, "reflection": "Hm."}'
    with ChatServer(lambda _: reply) as server:
        card = f'name = "asked"\nkind = "llm"\n[parameters]\nmodel = "hosted_vllm/m"\napi_base = "{server.url}"\n'
        (folder / "asked.toml").write_text(card)
        agents = (musing("organism-coupled"), "equal-weight", str(folder / "asked.toml"))
        signer = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
        return made(folder / "run.duckdb", *agents, modes=("placebo",), signer=signer)


@pytest.fixture
def changed(file, tmp_path):
    """Changes a copy by SQL, and says what is found wrong with it."""

    def change(*statements: str, fast: bool = False) -> list[Divergence]:
        copy = tmp_path / "copy.duckdb"
        shutil.copy(file, copy)
        with duckdb.connect(str(copy)) as db:
            for statement in statements:
                db.execute(statement)
        return wrong(copy, fast=fast)

    return change


@pytest.mark.parametrize(
    ("latency", "gaps"),
    [(3, 0.2), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((1, 0.0), (1, 0.2), (3, 0.0)))],
)
def test_what_nobody_changed_is_as_it_must_be(tmp_path, latency, gaps):
    path = made(
        tmp_path / "run.duckdb", "organism-momentum", "organism-garbled", "markowitz", "random",
        steps=12, latency=latency, gaps=gaps, modes=MODES,
    )  # fmt: skip
    for fast in (False, True):
        whole, verdicts = verify(path, fast=fast)
        assert whole == []
        assert [verdict.wrong for verdict in verdicts] == [None] * 14
        assert {(verdict.steps, verdict.sealed, verdict.recomputed) for verdict in verdicts} == {(12, True, not fast)}


@pytest.mark.parametrize("latency", [1, 3])
def test_an_episode_that_did_not_end_is_checked_as_far_as_it_goes(tmp_path, latency):
    """With a latency of three it ends with orders in flight, which no row is of."""

    def progress(standing):
        return standing.done == 4

    path, bars = tmp_path / "run.duckdb", dataset(walk(4, bars=40, n=4))
    policy = with_latency(load("standard"), latency)
    plan = Plan(bars, policy, Window(steps=9), (open_agent("organism-momentum"),))
    assert experiment.run(plan, path, progress=progress).failure is not None
    whole, (verdict,) = verify(path)
    assert (whole, verdict.wrong, verdict.steps, verdict.sealed) == ([], None, 4, False)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE step SET confidence = 0.123 WHERE t = 22")
    assert [(each.table, each.t, each.field) for each in wrong(path)] == [("step", 22, "confidence")]
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE episode SET status = 'complete'")
    assert wrong(path)


def other(kind: str, column: str) -> str:
    """Another value of a column, in SQL."""
    if kind.startswith("DOUBLE["):
        return f"list_transform({column}::DOUBLE[], lambda x: x + 0.001)::{kind}"
    if kind.startswith("SMALLINT["):
        return f"list_transform({column}::SMALLINT[], lambda x: x + 1)::{kind}"
    if kind.startswith("VARCHAR["):
        return f"list_transform({column}, lambda x: x || 'x')"
    values = {
        "VARCHAR": f"coalesce({column}, '') || 'x'",
        "BLOB": "'\\x01\\x02'::BLOB",
        "BOOLEAN": f"NOT {column}",
        "TIMESTAMPTZ": f"coalesce({column}, now()) + INTERVAL 1 MICROSECOND",
        "DOUBLE": f"coalesce({column}, 0) + 0.001",
    }
    return values.get(kind, f"coalesce({column}, 0) + 1")


NAMED = {
    *(("step", name) for name in ("observation", "status", "rationale", "confidence", "told", "shares", "hash", "t")),
    *(("step", name) for name in ("intent", "approved", "reference", "short", "gross", "volatility", "distance")),
    *(("mark", name) for name in ("nav", "cash", "intent", "approved", "reference", "borrow")),
    *(("fill", name) for name in ("quantity", "price", "commission", "spread", "impact", "cause", "ordered")),
    *(("finding", name) for name in ("rule", "scope", "name", "proposed", "approved", "limit", "severity")),
    ("clip", "rule"), ("clip", "moved"), ("cluster", "labels"), ("episode", "root_hash"), ("episode", "seal"),
    ("experiment", "dataset_digest"),
    ("experiment", "policy_digest"), ("experiment", "id"),
}  # fmt: skip
"""Columns whose change is named as such; that of any other shows in what follows from it, or in the seal."""


UNREADABLE = {("experiment", name) for name in ("dataset", "warnings", "policy")} | {
    ("episode", name) for name in ("card", "parent", "manifest")
}
"""JSON, to which the test adds a letter."""

DAILY = ("cluster",)


@pytest.mark.parametrize(
    "table",
    [*DAILY, *(pytest.param(t, marks=pytest.mark.slow) for t in TABLES if t not in (*DAILY, "text", "line"))],
)
def test_a_change_of_any_column_of_any_table_is_found(changed, file, table):
    with duckdb.connect(str(file), read_only=True) as db:
        kinds = dict(
            db.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [table]).fetchall()
        )
        (rows,) = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    assert rows > 0
    for column, kind in kinds.items():
        kind = "TIMESTAMPTZ" if kind == "TIMESTAMP WITH TIME ZONE" else kind
        row = f'(SELECT max(rowid) FROM "{table}")'
        statement = f'UPDATE "{table}" SET "{column}" = {other(kind, chr(34) + column + chr(34))} WHERE rowid = {row}'
        if (table, column) == ("experiment", "engine"):
            continue  # below
        try:
            found = changed(statement)
        except StoreError:  # where it does not say what it has to there is nothing to go by
            assert (table, column) in UNREADABLE
            continue
        assert found, f"{table}.{column}"
        assert str(found[0])
        if (table, column) in NAMED and column != "t":
            assert (table, column) in {(each.table, each.field) for each in found}, f"{table}.{column}: {found[0]}"


def test_chain_and_seal_alone_find_all_of_it_too(changed):
    for statement in (
        "UPDATE step SET latency = latency + 1 WHERE t = 22", "UPDATE mark SET nav = nav + 0.01 WHERE t = 23",
        "UPDATE fill SET commission = commission + 0.01 WHERE t = 22", "UPDATE bars SET close = open WHERE t = 30",
        "UPDATE episode SET manifest = '{}'", "UPDATE line SET text = text || ' ' WHERE id = 3",
    ):  # fmt: skip
        assert changed(statement, fast=True), statement


@pytest.mark.parametrize(
    "table", [pytest.param(t, marks=() if t == "cluster" else pytest.mark.slow) for t in EPISODE_TABLES]
)
def test_rows_that_are_deleted_doubled_or_swapped_are_found(changed, file, table):
    with duckdb.connect(str(file), read_only=True) as db:
        (rows,) = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    assert rows > 0
    for row in ("min", "max"):
        where = f'WHERE rowid = (SELECT {row}(rowid) FROM "{table}")'
        assert changed(f'DELETE FROM "{table}" {where}'), row
        assert changed(f'INSERT INTO "{table}" SELECT * FROM "{table}" {where}'), row
    with duckdb.connect(str(file), read_only=True) as db:
        (bars,) = db.execute(f'SELECT count(DISTINCT t) FROM "{table}"').fetchone()
    times = f'(SELECT min(t) FROM "{table}"), (SELECT max(t) FROM "{table}")'
    low, high = times[1:-1].split("), (")
    assert bars == 1 or changed(
        f'UPDATE "{table}" SET t = CASE t WHEN ({low}) THEN ({high}) ELSE ({low}) END WHERE t IN {f"({times})"}'
    )
    stranger = ", ".join("'x'" if column.name == "episode" else f'"{column.name}"' for column in TABLES[table])
    (found, *_) = changed(f'INSERT INTO "{table}" SELECT {stranger} FROM "{table}" LIMIT 1')
    assert (found.table, found.field, found.recorded) == (table, "episode", "x")


def test_an_episode_that_is_deleted_or_doubled_is_found(changed):
    assert [each.field for each in changed("DELETE FROM episode WHERE agent = 'equal-weight'")] == ["episode"] * 7
    assert changed("INSERT INTO episode SELECT * FROM episode WHERE agent = 'equal-weight'")


def test_bars_and_texts_that_are_replaced_are_found(changed):
    assert changed("UPDATE bars SET volume = list_transform(volume::DOUBLE[], lambda v: v * 2)::DOUBLE[4]")
    assert changed("DELETE FROM bars WHERE t = 39")
    prompts = changed("UPDATE line SET text = replace(text, 'NAV', 'nav')")
    assert prompts[0].field in ("hash", "seal")
    assert changed("DELETE FROM text")


def test_what_a_reply_says_and_what_is_on_record_as_said_must_agree(changed):
    asked = "episode IN (SELECT id FROM episode WHERE agent = 'organism-coupled')"
    (found,) = changed(f"UPDATE step SET rationale = 'All is well.' WHERE t = 22 AND {asked}")
    assert (found.table, found.t, found.field, found.recorded) == ("step", 22, "rationale", "All is well.")


def test_what_is_planted_in_a_file_is_named_and_not_run(changed, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    for planted, place in (
        (f"CREATE OR REPLACE VIEW steps AS SELECT * FROM read_csv('{secret}')", ("view", "steps")),
        (f"CREATE MACRO count(x) AS (SELECT max(a) FROM read_csv('{secret}'))", ("macro", "count")),
        (f"CREATE VIEW spy AS SELECT * FROM read_text('{secret}')", ("view", "spy")),
    ):
        (found,) = changed(planted)
        assert (found.table, found.field) == place
    replaced = (
        "ALTER TABLE step RENAME TO hidden",
        f"CREATE VIEW step AS SELECT * FROM hidden WHERE (SELECT count(*) FROM read_csv('{secret}')) > 0",
    )
    with pytest.raises(StoreError, match="not an experiment file of TradeArena"):
        changed(*replaced)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE step ADD COLUMN note VARCHAR", "table.step is "),
        ("ALTER TABLE step ALTER status SET DEFAULT 'ok'", "table.step is "),
        ("COMMENT ON TABLE step IS 'audited'", "table.step is "),
        ("CREATE TABLE leaderboard (agent VARCHAR)", "table.leaderboard is "),
        ("CREATE SCHEMA real; CREATE TABLE real.step (t INTEGER)", "table.real.step is "),
        ("CREATE TYPE mood AS ENUM ('calm')", "type.mood is "),
        ("CREATE SEQUENCE places", "sequence.places is "),
        ("CREATE INDEX quick ON step (t)", "index.quick is "),
        ("CREATE MACRO sum(x) AS max(x)", "macro.sum is 'max(x)', and should be None"),
        ("CREATE MACRO rows() AS TABLE FROM step", "table_macro.rows is "),
        ("CREATE OR REPLACE VIEW steps AS FROM step WHERE t > 3", "view.steps is "),
        ("DROP VIEW attribution", "view.attribution is None, and should be 'CREATE VIEW attribution"),
    ],
)
def test_what_would_mislead_whoever_opens_a_file_in_plain_duckdb_is_named(changed, change, said):
    for fast in (False, True):
        (found,) = changed(change, fast=fast)
        assert str(found).startswith(said)


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM bars", "UPDATE experiment SET symbols = symbols[1:2]", "UPDATE experiment SET policy = '{}'",
     "DELETE FROM experiment", "UPDATE text SET lines = 'a,b'", "UPDATE experiment SET symbols = NULL",
     "ALTER TABLE bars ALTER volume TYPE DOUBLE[]"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_at_all_is_one_sentence(changed, change):
    with pytest.raises(StoreError) as raised:
        changed(change)
    assert str(raised.value).count("\n") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    ["first = 9999", "first = -5", "every = 0", "last = 1000000", "feedback = 'nonsense'", "wording = '$x'",
     "card = '{}'", "card = '[]'", "seed = -1"],
)  # fmt: skip
def test_a_set_up_that_cannot_be_meant_is_found_and_named(changed, change):
    found = changed(f"UPDATE episode SET {change} WHERE agent = 'organism-coupled'")
    assert len(found) == 1
    assert str(found[0]).count("\n") == 0


@pytest.mark.slow
def test_values_that_cannot_be_are_found(changed):
    for change in (
        "UPDATE fill SET symbol = 77", "UPDATE fill SET symbol = -1", "UPDATE step SET hash = NULL",
        "UPDATE step SET intent = NULL", "UPDATE cluster SET labels = NULL", "UPDATE exchange SET reply = NULL",
    ):  # fmt: skip
        found = changed(change)
        assert found, change
        assert not any("\n" in str(each) for each in found)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("mark", "owed"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("fill", "impact"), ("step", "gross"))),
    ],
)
def test_nothing_in_place_of_zero_is_found_and_named(changed, table, column):
    (found, *_) = changed(f"UPDATE {table} SET {column} = NULL")
    assert (found.table, found.field) == (table, column)
    assert not changed(f"UPDATE {table} SET {column} = {column}")


def test_texts_of_which_nothing_is_left_are_found(changed):
    assert changed("UPDATE line SET text = NULL", fast=True)[0].field == "hash"


def test_a_file_of_another_engine_is_refused_in_a_sentence(changed):
    with pytest.raises(StoreError, match=r"made under the rules of engine 2, and this program has those of engine"):
        changed("UPDATE experiment SET engine = 2")


@pytest.mark.parametrize(("seed", "flips"), [(1, 15), pytest.param(2, 400, marks=pytest.mark.slow)])
def test_a_byte_that_flips_is_found_or_was_in_free_space(file, tmp_path, seed, flips):
    """Free space, and what says how the rest is laid out but not what it says: then every row still reads as before."""
    rng, whole = np.random.default_rng(seed), file.read_bytes()
    found = free = 0
    for _ in range(flips):
        place, bit = int(rng.integers(len(whole))), 1 << int(rng.integers(8))
        copy = tmp_path / "flipped.duckdb"
        copy.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        if checked(copy):
            found += 1
        else:
            free += 1
            assert rows_of_all(copy) == rows_of_all(file), f"byte {place}"
    print(f"seed {seed}: of {flips} flips {found} were found, {free} were in free space")
    assert found > 0


def checked(path: Path) -> list[str]:
    """What is found wrong with a file, by chain and seals, or by opening it at all."""
    try:
        return [str(each) for each in wrong(path, fast=True)]
    except StoreError as error:
        return [str(error)]


def rows_of_all(path: Path) -> list[str]:
    """Every row of every table, as text: NaN is NaN here."""
    with duckdb.connect(str(path), read_only=True) as db:
        return [repr(db.execute(f'SELECT COLUMNS(*)::VARCHAR FROM "{table}"').fetchall()) for table in TABLES]


def test_an_agent_that_failed_is_verified_up_to_there(tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text(
        "def decide(observation):\n    if observation.t > 24: raise ValueError('no')\n    return None\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = Plan(
        dataset(walk(4, bars=40, n=4)), load("standard"), Window(steps=9), (open_agent("python:failing:decide"),)
    )
    assert isinstance(experiment.run(plan, tmp_path / "run.duckdb").failure, AgentError)
    (verdict,) = verify(tmp_path / "run.duckdb")[1]
    assert (verdict.wrong, verdict.steps) == (None, 5)


def sealed_again(path: Path, *statements: str) -> list[Divergence]:
    """What is found wrong with a file that was changed by somebody who knows how seals are made."""
    with duckdb.connect(str(path)) as db:
        for statement in statements:
            db.execute(statement)
    with Reader(path) as reader:
        seals = [(seal_of(reader.db, row.id), row.id) for row in reader.episodes()]
    with duckdb.connect(str(path)) as db:
        db.executemany("UPDATE episode SET seal = ? WHERE id = ?", seals)
    return wrong(path)


def test_what_each_rule_took_is_recomputed(file, tmp_path):
    """It is in no link of the chain, and whoever changes it can make the seal again."""
    copy, last = tmp_path / "copy.duckdb", "rowid = (SELECT max(rowid) FROM clip)"
    little = "list_transform(moved::DOUBLE[], lambda x: x * 1.0001)::DOUBLE[4]"
    for change, field in (
        ("DELETE FROM clip", "rule"),
        (f"DELETE FROM clip WHERE {last}", "rule"),
        (f"UPDATE clip SET rule = 'gross' WHERE {last}", "rule"),
        (f"UPDATE clip SET moved = {little} WHERE {last}", "moved"),
        (f"INSERT INTO clip SELECT * FROM clip WHERE {last}", "rule"),
        ("UPDATE clip SET seq = 9 - seq", "rule"),
    ):
        shutil.copy(file, copy)
        (found, *_) = sealed_again(copy, change)
        assert (found.table, found.field) == ("clip", field), change


def test_a_view_does_not_pass_for_a_table_that_an_earlier_version_has_not(file, tmp_path):
    shutil.copy(file, tmp_path / "copy.duckdb")
    planted = "ALTER TABLE clip RENAME TO hidden", "CREATE VIEW clip AS FROM hidden"
    planted, stray, found, *_ = sealed_again(tmp_path / "copy.duckdb", *planted)
    assert [(each.table, each.field) for each in (planted, stray)] == [("table", "hidden"), ("view", "clip")]
    assert found.table == "clip"


def test_a_file_of_the_first_schema_is_as_it_must_be_and_goes_on_under_this_one(tmp_path):
    """What its episodes lack is not missed; those that begin from then on have it."""
    path = made(tmp_path / "run.duckdb", "organism-coupled", steps=4)
    first_schema(path)
    assert wrong(path) == []
    as_it_was = path.read_bytes()
    assert wrong(made(path, "organism-coupled", steps=4)) == []
    assert path.read_bytes() == as_it_was
    assert wrong(made(path, "organism-coupled", "organism-stubborn", steps=4)) == []
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT max(version), count(*) FROM migration").fetchone() == (len(MIGRATIONS),) * 2
        clipped = db.execute("SELECT DISTINCT agent FROM clip JOIN episode ON id = episode").fetchall()
    assert clipped == [("organism-stubborn",)]


def test_an_episode_that_one_version_began_and_another_ended_is_as_it_must_be(tmp_path):
    path, bars = tmp_path / "run.duckdb", dataset(walk(4, bars=40, n=4))
    plan = Plan(bars, load("strict"), Window(steps=8), (open_agent("organism-coupled"),))
    assert experiment.run(plan, path, progress=lambda standing: standing.done == 3).failure is not None
    first_schema(path)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE episode SET seal = NULL")
    assert experiment.run(plan, path).failure is None
    assert wrong(path) == []
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT min(t) = (SELECT min(t) + 3 FROM step) FROM clip").fetchone() == (True,)


def test_a_divergence_reads_like_a_sentence():
    said = Divergence("e1", "mark", 25, "nav", 1.0, 2.0)
    assert str(said) == "episode e1: mark.nav at bar 25 is 1.0, and should be 2.0"
    assert str(said._replace(recorded=b"\x01" * 32)).startswith("episode e1: mark.nav at bar 25 is 0101010101010101…")
