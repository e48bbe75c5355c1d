"""Means of a grid: over the episodes that are results, defined only where every one of them is, and nothing more."""

import pytest

from tradearena.analysis.cells import cells, counts, means, pairs


def episode(agent="a", feedback="true", seed=0, first=20, *, status="complete", valid=True, **metrics):
    return {
        "agent": agent, "feedback": feedback, "seed": seed, "window": {"first": first}, "status": status,
        "validity": {"valid": valid}, "metrics": {"total_return": 0.1, "sharpe": None, **metrics},
    }  # fmt: skip


def test_a_cell_is_the_mean_over_seeds_and_windows_of_one_agent_in_one_mode():
    grid = [
        episode(agent, mode, seed, first, total_return=value)
        for value, (first, seed, agent, mode) in enumerate(
            (first, seed, agent, mode) for first in (20, 60) for seed in (0, 1) for agent in "ab" for mode in "xy"
        )
    ]
    found = cells(grid)
    assert [(cell["agent"], cell["feedback"]) for cell in found] == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert [cell["metrics"]["total_return"] for cell in found] == [6.0, 7.0, 8.0, 9.0]  # 0, 4, 8, 12 and so on
    assert {(cell["n_episodes"], cell["n_windows"], cell["n_invalid"]) for cell in found} == {(4, 2, 0)}


def test_what_is_no_result_is_in_no_mean_and_what_is_invalid_is_counted():
    grid = [
        episode(total_return=1.0),
        episode(seed=1, total_return=50.0, valid=False),
        episode(seed=2, total_return=70.0, status="interrupted"),
        episode(seed=3, total_return=90.0, status="error", valid=False),
        episode(seed=4, first=60, total_return=3.0, status="ruined"),
    ]
    (cell,) = cells(grid)
    assert (cell["n_episodes"], cell["n_windows"], cell["n_invalid"]) == (2, 2, 1)
    assert cell["metrics"]["total_return"] == 2.0
    assert [counts(each) for each in grid] == [True, False, False, False, True]


def test_a_cell_without_a_result_has_every_metric_and_none_is_defined():
    (cell,) = cells([episode(valid=False)])
    assert cell["metrics"] == {"total_return": None, "sharpe": None}
    assert (cell["n_episodes"], cell["n_windows"], cell["n_invalid"]) == (0, 0, 1)


def test_a_mean_over_some_of_n_is_none_over_n():
    found = [{"a": 1.0, "b": 1.0}, {"a": 2.0, "b": None}]
    assert means(found, ["a", "b"]) == {"a": 1.5, "b": None}


@pytest.mark.parametrize(
    ("grid", "count"),
    [
        ([], 0),
        ([episode()], 0),
        ([episode(), episode(feedback="hidden")], 1),
        ([episode(feedback=mode) for mode in "wxyz"], 6),
        ([episode(), episode(feedback="hidden", seed=1)], 0),
        ([episode(), episode(feedback="hidden", first=60)], 0),
        ([episode(), episode(agent="b", feedback="hidden")], 0),
    ],
)
def test_a_pair_is_two_modes_of_one_agent_with_one_seed_in_one_window(grid, count):
    assert pairs(grid) == count
