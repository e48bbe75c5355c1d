"""Where runs are forked: drawn in advance, after a decision that a rule changed, and far from each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import TIGHT, dataset, walk

from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.branch import trunks
from tradearena.arena.plan import Plan
from tradearena.arena.points import drawn, forked_steps
from tradearena.errors import UsageError
from tradearena.market.window import Window
from tradearena.policy import Policy


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "trunk.duckdb"
    plan = Plan(dataset(walk(4, bars=70, n=4)), TIGHT, Window(steps=40), (open_agent("organism-obedient"),))
    experiment.run(plan, path)
    return trunks(path)[0]


@given(count=st.integers(1, 12), gap=st.integers(1, 15), seed=st.integers(0, 99))
def test_points_follow_a_decision_that_was_changed_and_keep_their_distance(trunk, count, gap, seed):
    found = drawn(trunk, count, gap, seed)
    assert found == sorted({*found})
    assert len(found) <= count
    assert all(b - a >= gap for a, b in pairwise(found))
    changed = {held.step.t + 1 for held in trunk.steps if held.step.report.gated}
    assert {*found} <= changed
    assert found == drawn(trunk, count, gap, seed)
    if count >= len(changed) and gap == 1:
        assert {*found} == changed & {held.step.t for held in trunk.steps}


def test_points_depend_on_the_seed_and_on_the_trunk(trunk):
    other = trunk._replace(experiment="another")
    assert len({tuple(drawn(each, 3, 2, seed)) for each in (trunk, other) for seed in range(5)}) > 5


def test_where_nothing_was_ever_changed_there_is_nothing_to_fork(tmp_path):
    plan = Plan(
        dataset(walk(4, bars=40, n=4)), Policy(name="free"), Window(steps=5), (open_agent("organism-obedient"),)
    )
    path = tmp_path / "trunk.duckdb"
    experiment.run(plan, path)
    with pytest.raises(UsageError, match="no rule changed a decision of these trunks"):
        forked_steps(
            trunks(path), lambda _: open_agent("organism-obedient"), modes=("true",), wording="$changed", points=3
        )


def test_no_two_forked_steps_of_a_run_are_within_a_lookback(trunk):
    made = forked_steps(
        [trunk], lambda _: open_agent("organism-obedient"), modes=("true",), wording="$changed", points=9
    )
    at = [planned.origin.prefix.at for planned in made.episodes]
    assert len(at) > 1
    assert all(b - a >= 21 for a, b in pairwise(sorted(at)))  # an organism is shown 21 bars
