"""Hidden states on file: they are chained and sealed with what was said, and a file from before they were kept is read,
and goes on, as if there had been none."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest
from shelf import NOW, Clock
from stage import first_schema

from tradearena.errors import StoreError
from tradearena.store.chain import GENESIS, next_link
from tradearena.store.frames import Frames
from tradearena.store.reader import Reader
from tradearena.store.schema import MIGRATIONS
from tradearena.store.seal import seal_of
from tradearena.store.writer import Writer
from tradearena.values import Exchange, State

MEAN, LAST = State(3, "mean", b"\0\0\x80\x3f"), State(3, "last", b"\0\0\0\x40")


def older(path, *more: str) -> None:
    """The file as it would have been made before states were kept."""
    with duckdb.connect(str(path)) as db:
        for statement in ("DROP TABLE state", "DELETE FROM migration WHERE version > 1", *more):
            db.execute(statement)


def versions(path) -> list[int]:
    with duckdb.connect(str(path), read_only=True) as db:
        return [version for (version,) in db.execute("SELECT version FROM migration ORDER BY 1").fetchall()]


def link(steps_of, *states: tuple[State, ...]) -> bytes:
    step = steps_of(3).steps[0]
    said = tuple(Exchange("s", "p", "r", states=each) for each in states)
    return next_link(GENESIS, replace(step, decision=replace(step.decision, exchanges=said)))


def test_the_chain_holds_every_state_whatever_their_order(steps_of):
    links = [
        link(steps_of, *states)
        for states in (
            ((), ()), ((MEAN,), ()), ((), (MEAN,)), ((LAST,), ()), ((MEAN, LAST), ()), ((MEAN,), (LAST,)),
            ((MEAN._replace(layer=4),), ()), ((MEAN._replace(vector=LAST.vector),), ()),
        )
    ]  # fmt: skip
    assert len(set(links)) == len(links)
    assert link(steps_of, (LAST, MEAN), ()) == links[4]


def test_a_step_without_states_has_the_link_it_always_had(steps_of):
    """As computed before there were any: files of then verify."""
    said = (Exchange("you trade", "at 1", "{}"),)
    step = steps_of(3).steps[0]
    step = replace(step, observation=bytes(32), decision=replace(step.decision, exchanges=said))
    assert next_link(GENESIS, step).hex() == "70128f2bdc8632e6238fbee0fc9b78d112b7fbd7fc38463acd9b8e54d9a3e7ff"


def test_states_come_back_with_the_reply_they_belong_to(path, steps_of, write):
    made = steps_of(5, 12, paid=True)
    write(path, made)
    kept = {step.t: [tuple(sorted(each.states)) for each in step.decision.exchanges] for step in made.steps}
    with Reader(path) as reader:
        found = reader.exchanges("e1", states=True)
        assert {t: [each.states for each in said] for t, said in found.items()} == {t: s for t, s in kept.items() if s}
        assert not any(each.states for said in reader.exchanges("e1").values() for each in said)
        assert reader.states("nobody") == {}
    assert sum(bool(states) for said in kept.values() for states in said) > 3


def test_a_vector_is_the_numbers_of_its_bytes():
    assert (MEAN.array.tolist(), LAST.array.tolist(), MEAN.array.dtype) == ([1.0], [2.0], "float64")


@pytest.mark.parametrize("instead", ["", "CREATE VIEW state AS SELECT 'e1' AS episode, 1 AS t"])
def test_a_file_of_before_reads_as_if_nothing_had_been_recorded(path, steps_of, write, instead):
    write(path, steps_of(1))
    with Reader(path) as reader:
        sealed, now = reader.episodes()[0].seal, seal_of(reader.db, "e1")
    assert sealed == now
    older(path, *([instead] if instead else []))
    with Reader(path) as reader:
        assert seal_of(reader.db, "e1") == sealed
        assert reader.states("e1") == {}
        assert reader.query("SELECT count(*) FROM state") == (["count_star()"], [(0,)])
        assert reader.recorded("e1").hashes
    assert len(Frames(path).states()) == 0


def test_states_that_are_gone_with_their_table_are_missed(path, steps_of, write):
    write(path, steps_of(5, 12, paid=True))
    older(path)
    with Reader(path) as reader:
        assert seal_of(reader.db, "e1") != reader.episodes()[0].seal


def test_a_file_of_before_goes_on_with_the_schema_of_now(path, steps_of, write):
    write(path, steps_of(1))
    first_schema(path)
    Writer(path, Clock()).update(NOW)
    assert versions(path) == list(range(1, len(MIGRATIONS) + 1))
    write(path, steps_of(5, 12, paid=True), name="e2")
    with Reader(path) as reader:
        assert reader.states("e2")
        for row in reader.episodes():
            assert seal_of(reader.db, row.id) == row.seal


def test_a_file_that_is_up_to_date_is_left_alone(path, steps_of, write):
    write(path, steps_of(1))
    before = path.read_bytes()
    Writer(path, Clock()).update(NOW)
    assert path.read_bytes() == before
    assert not path.with_name(f"{path.name}.wal").exists()


def test_an_upgrade_that_cannot_be_written_says_so_and_nothing_more_is(path, steps_of, write):
    write(path, steps_of(1))
    older(path, "CREATE TABLE state (mine INTEGER)")
    made = Writer(path, Clock())
    with pytest.raises(StoreError, match="state"):
        made.update(NOW)
    made.wait()
    with pytest.raises(StoreError, match="the last commit failed"):
        made.commit()
