"""Many trajectories read at once are those of the episodes one by one, as the loop made them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from stage import TIGHT, asked, plan, walk

from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import rehearse
from tradearena.market.scheme import Even
from tradearena.store.reader import Reader
from tradearena.store.trajectories import TOGETHER, trajectories
from tradearena.values import Finding

MADE = plan(
    walk(5, 70, gaps=0.05), open_agent("markowitz"), open_agent("cash"), open_agent("random"),
    asked(lambda _seen: 1 / 0, "broken"), policy=TIGHT, seeds=(0, 1), scheme=Even(2),
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


def test_confidences_and_findings_come_as_they_were_stated_and_made(tmp_path):
    def bold(seen):
        sure = {} if seen.t % 3 == 0 else {"confidence": 0.25 * (seen.t % 4)}
        return {"target_weights": {"S0": 0.9, "ZZ": 0.1}, **sure}

    path = tmp_path / "bold.duckdb"
    experiment.run(plan(walk(5, 40), asked(bold), policy=TIGHT), path)
    with Reader(path) as opened:
        (row,) = opened.episodes()
        found = opened.trajectory(row.id)
        columns = ", ".join(f'"{name}"' for name in ("t", *Finding._fields))
        rows = opened.db.execute(f"SELECT {columns} FROM finding ORDER BY t, seq").fetchall()
    assert found.confidence == tuple(None if t % 3 == 0 else 0.25 * (t % 4) for t in found.decided.tolist())
    assert len(rows) > 2 * len(found.decided)
    assert [(t, *finding) for t, finding in zip(found.found_at.tolist(), found.findings, strict=True)] == rows
    assert {type(value) for finding in found.findings for value in finding} == {str, float}
