"""Hidden states through a run: written with their step, taken up where it was cut, copied by a fork, and seen again by
signatures. The agents here are organisms that record numbers of what they said: what is tested needs no model."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from stage import dataset, first_schema, musing, walk

from tradearena.agents.card import Candidate, open_agent
from tradearena.analysis.signatures.hidden import StatesProbe
from tradearena.analysis.signatures.trace import read
from tradearena.arena import experiment
from tradearena.arena.branch import fork, open_loop, trunks
from tradearena.arena.plan import Plan
from tradearena.arena.verify import verify
from tradearena.errors import DivergedError, StoreError
from tradearena.market.window import Window
from tradearena.policy import load
from tradearena.risk.feedback import open_wording
from tradearena.store.export.writing import export
from tradearena.store.reader import Reader

STEPS = 9


def plan(*candidates: Candidate, seeds: tuple[int, ...] = (0,)) -> Plan:
    return Plan(dataset(walk(4, bars=40, n=4)), load("standard"), Window(steps=STEPS), candidates, seeds=seeds)


def run(programme, path: Path, **more) -> Path:
    outcome = experiment.run(programme, path, **more)
    assert outcome.failure is None, outcome.failure
    return path


def cut(path: Path, at: int = 4) -> Path:
    """A run that was stopped before so many decisions were made."""
    outcome = experiment.run(plan(musing("organism-coupled")), path, progress=lambda standing: standing.done == at)
    assert outcome.failure is not None
    return path


def states(path: Path) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as db:
        query = "SELECT t, exchange, layer, pool, vector FROM state ORDER BY episode, t, exchange, layer, pool"
        return db.execute(query).fetchall()


def roots(path: Path) -> list[str | None]:
    with Reader(path) as reader:
        return [row.root_hash for row in reader.episodes()]


def wrong(path: Path) -> list[str]:
    whole, verdicts = verify(path)
    return [*map(str, whole), *(str(verdict.wrong) for verdict in verdicts if verdict.wrong)]


def change(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as db:
        db.execute(statement)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    return run(plan(musing("organism-coupled")), tmp_path_factory.mktemp("states") / "whole.duckdb")


def test_each_step_has_its_states_and_other_agents_have_none(whole, tmp_path):
    found = states(whole)
    assert [row[:4] for row in found] == [
        (20 + k, 0, layer, pool) for k in range(STEPS) for layer in (2, 4) for pool in ("last", "mean")
    ]
    assert len({row[4] for row in found}) == len(found)
    assert wrong(whole) == []
    other = run(plan(open_agent("organism-coupled"), open_agent("momentum")), tmp_path / "other.duckdb")
    assert states(other) == []


def test_a_run_that_was_cut_short_ends_with_the_states_of_one_that_was_not(whole, tmp_path):
    path = cut(tmp_path / "cut.duckdb")
    assert states(path) == states(whole)[: 4 * 4]
    run(plan(musing("organism-coupled")), path)
    assert states(path) == states(whole)
    assert roots(path) == roots(whole)
    assert wrong(path) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE state SET vector = '\\x00\\x01'::BLOB WHERE t = 22", "DELETE FROM state WHERE t = 21",
     "UPDATE state SET layer = layer + 1 WHERE t = 20",
     "INSERT INTO state SELECT episode, t, exchange, 9, pool, vector FROM state WHERE t = 23"],
)  # fmt: skip
def test_what_was_changed_before_a_run_goes_on_is_found(tmp_path, statement):
    """No seal speaks of an episode that has not ended: the chain does."""
    path = cut(tmp_path / "cut.duckdb")
    change(path, statement)
    assert wrong(path)
    outcome = experiment.run(plan(musing("organism-coupled")), path)
    assert isinstance(outcome.failure, DivergedError)


def test_a_table_that_is_gone_is_missed_and_nothing_is_written_in_its_absence(tmp_path):
    path = cut(tmp_path / "cut.duckdb")
    change(path, "DROP TABLE state")
    assert "step.hash" in wrong(path)[0]
    with pytest.raises(StoreError, match="Table with name state does not exist"):
        experiment.run(plan(musing("organism-coupled")), path)


def test_states_of_a_decision_that_was_not_reached_are_missed(whole, tmp_path):
    path = tmp_path / "copy.duckdb"
    path.write_bytes(whole.read_bytes())
    change(path, "INSERT INTO state SELECT episode, 99, exchange, layer, pool, vector FROM state WHERE t = 23")
    assert "seal" in wrong(path)[0]


def test_a_fork_takes_the_states_of_its_trunk_along_and_goes_on_with_its_own(whole, tmp_path):
    (trunk,) = trunks(whole)
    usual = {"modes": ("true",), "seeds": (0,), "policy": trunk.policy, "wording": open_wording().template}
    same = run(fork(trunk, 24, musing("organism-coupled"), **usual), tmp_path / "same.duckdb")
    assert (states(same), roots(same), wrong(same)) == (states(whole), roots(whole), [])
    other = run(fork(trunk, 24, open_agent("organism-momentum"), **usual), tmp_path / "other.duckdb")
    assert (states(other), wrong(other)) == (states(whole)[: 4 * 4], [])
    loop = run(open_loop([trunk], load("strict")), tmp_path / "loop.duckdb")
    assert (states(loop), wrong(loop)) == ([], [])


def test_a_file_of_before_goes_on_and_what_it_held_is_as_it_was(tmp_path):
    path = run(plan(open_agent("organism-coupled")), tmp_path / "old.duckdb")
    before = roots(path)
    first_schema(path)
    assert wrong(path) == []
    assert run(plan(open_agent("organism-coupled")), path)
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT max(version) FROM migration").fetchone() == (1,), "nothing was to be done"
    run(plan(open_agent("organism-coupled"), musing("organism-steady")), path)
    assert len(states(path)) == 4 * STEPS
    assert (roots(path)[0], wrong(path)) == (before[0], [])


def test_an_export_holds_the_states_as_numbers(whole, tmp_path):
    export(whole, {"csv": tmp_path / "csv", "parquet": tmp_path / "parquet"})
    expected = [np.frombuffer(vector, "<f4").tolist() for *_, vector in states(whole)]
    for files in ("csv/states.csv", "parquet/states/*/part.parquet"):
        query = f"SELECT vector FROM '{tmp_path / files}' ORDER BY t, exchange, layer, pool"
        assert [json.loads(vector) for (vector,) in duckdb.sql(query).fetchall()] == expected


def test_signatures_see_the_states_of_each_decision(tmp_path):
    both = run(plan(musing("organism-steady"), open_agent("organism-coupled")), tmp_path / "both.duckdb")
    with Reader(both) as reader:
        own, other = read(reader, reader.episodes())
        held = reader.states(own.episode)
    found, none = StatesProbe(2).embed([own.plan, other.plan], [own.window, other.window])
    assert none is None
    expected = [
        next(state.array for state in held[int(t), 0] if (state.layer, state.pool) == (2, "mean")) for t in own.decided
    ]
    assert np.array_equal(found, expected)
    assert found.shape == (STEPS, 32)
    assert StatesProbe().embed([own.reflect], [own.window]) == [None]
