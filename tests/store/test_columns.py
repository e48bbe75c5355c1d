"""Rows of several episodes are made at once, and cut into what each of them would have been by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradearena.store.columns import buffers, cut
from tradearena.store.schema import Column

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
def test_a_piece_is_what_its_rows_are_by_themselves(episodes):
    counts = [len(rows) for rows in episodes]
    pieces = cut(held([row for rows in episodes for row in rows]), counts)
    assert len(pieces) == len(episodes)
    for rows, piece in zip(episodes, pieces, strict=True):
        for column, (data, side) in held(rows).items() if rows else ():
            assert np.ascontiguousarray(piece[column].data).tobytes() == data.tobytes()
            assert (piece[column].side is None) == (side is None)
            assert side is None or np.array_equal(piece[column].side, side)
