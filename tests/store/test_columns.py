"""Rows of several episodes are made at once, and sealed as each of them would have been by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradearena.store.columns import buffers
from tradearena.store.schema import Column
from tradearena.store.seal import Seal, absorb

COLUMNS = {
    Column("text", "VARCHAR", ""): st.none() | st.text(st.characters(codec="utf-8"), max_size=4),
    Column("bytes", "BLOB", ""): st.binary(max_size=4),
    Column("whole", "INTEGER", "", nullable=True): st.none() | st.integers(-9, 9),
    Column("real", "DOUBLE", ""): st.floats(),
    Column("flag", "BOOLEAN", ""): st.booleans(),
    Column("vector", "DOUBLE[n]", ""): st.lists(st.floats(), min_size=2, max_size=2),
}


def held(rows):
    """The bytes of rows, each a value for every column."""
    columns = zip(COLUMNS, zip(*rows, strict=True), strict=True)
    return {column: buffers(column, values, len(rows)) for column, values in columns}


@given(st.lists(st.lists(st.tuples(*COLUMNS.values()), max_size=3), min_size=1, max_size=4).filter(any))
def test_each_seal_takes_in_what_its_rows_are_by_themselves(episodes):
    counts = [len(rows) for rows in episodes]
    together, alone = [Seal() for _ in episodes], [Seal() for _ in episodes]
    absorb(together, "table", held([row for rows in episodes for row in rows]), counts)
    for rows, seal in zip(episodes, alone, strict=True):
        if rows:
            seal.absorb("table", held(rows))
    assert [seal.digest() for seal in together] == [seal.digest() for seal in alone]


def test_a_seal_knows_which_row_a_value_is_of():
    rows = [("ab", b"c", 1, 1.0, True, [0.0, 1.0]), ("c", b"ab", None, 2.0, False, [1.0, 0.0])]
    one, other = Seal(), Seal()
    one.absorb("table", held(rows))
    other.absorb("table", held(rows[::-1]))
    assert one.digest() != other.digest()
