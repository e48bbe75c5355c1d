"""Many trajectories read at once are those of the episodes one by one, as the loop made them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from stage import TIGHT, asked, plan, walk

from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import rehearse
from tradearena.store.reader import Reader
from tradearena.store.trajectories import TOGETHER, trajectories

MADE = plan(
    walk(5, 70, gaps=0.05), open_agent("markowitz"), open_agent("cash"), open_agent("random"),
    asked(lambda _seen: 1 / 0, "broken"), policy=TIGHT, seeds=(0, 1), count=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("paths") / "mine.duckdb"
    experiment.run(MADE, path)
    with Reader(path) as opened:
        yield opened


def same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert np.array_equal(np.asarray(a), np.asarray(b)), field.name


def test_each_comes_as_if_it_were_read_alone_in_the_order_asked_for(reader):
    names = [row.id for row in reader.episodes()]
    assert len(names) == 10
    for order in (names, names[::-1]):
        together = list(trajectories(reader, order))
        for name, path in zip(order, together, strict=True):
            same(path, next(trajectories(reader, [name])))


def test_there_may_be_more_than_are_read_at_once_and_one_may_be_asked_for_twice(reader):
    names = [row.id for row in reader.episodes()] * (TOGETHER // 4)
    assert len(names) > 2 * TOGETHER
    found = list(trajectories(reader, names))
    assert len(found) == len(names)
    same(found[3], found[-7])


def test_what_is_read_is_what_the_loop_made(reader):
    rows = [row for row in reader.episodes() if row.agent == "markowitz"]
    for row, path, span in zip(rows, trajectories(reader, [row.id for row in rows]), MADE.spans, strict=True):
        assert row.first == span.first
        played = rehearse(MADE, "markowitz", span)
        for field in fields(played):
            read, made = getattr(path, field.name), getattr(played, field.name)
            if field.name in ("ordered", "filled", "bought", "sold", "cost"):
                np.testing.assert_allclose(read, made, rtol=1e-12)  # added up in another order
            else:
                assert np.array_equal(np.asarray(read), np.asarray(made)), field.name


def test_an_episode_without_a_step_has_empty_arrays(reader):
    rows = [row.id for row in reader.episodes() if row.agent == "broken"]
    for path in trajectories(reader, rows):
        assert path.statuses == ()
        assert path.intent.shape == (0, 5)
        assert len(path.nav) == len(path.ordered) == 0
    assert list(trajectories(reader, [])) == []
