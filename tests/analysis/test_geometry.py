"""The geometry of a trajectory, held against the definitions one window at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.analysis.signatures.geometry import (
    effective_rank,
    local_rank,
    participation,
    step_length,
    turn_rate,
    unit,
)


def cloud(seed: int, steps: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((steps, d))


def rank_of(rows: np.ndarray) -> float:
    """Roy & Vetterli, as they write it."""
    values = np.linalg.svd(unit(rows), compute_uv=False)
    p = values / values.sum()
    p = p[p > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize(("steps", "d", "window"), [(30, 20, 6), (12, 3, 6), (9, 5, 2), (6, 4, 6)])
def test_the_effective_rank_of_each_window_is_that_of_its_singular_values(steps, d, window):
    rows = cloud(1, steps, d)
    found = effective_rank(rows, window)
    assert np.isnan(found[: window - 1]).all()
    expected = [rank_of(rows[k - window + 1 : k + 1]) / min(window, d) for k in range(window - 1, steps)]
    assert np.allclose(found[window - 1 :], expected, rtol=1e-7)


def test_one_thing_said_over_and_over_has_rank_one_and_all_different_things_the_highest():
    same = np.tile(cloud(1, 1, 9), (8, 1))
    assert np.allclose(effective_rank(same, 4)[3:], 1 / 4)
    assert np.allclose(effective_rank(np.eye(8), 4)[3:], 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_ranks_and_steps_do_not_depend_on_axes_or_lengths(seed, scale):
    rows = cloud(seed, 14, 6)
    turned = np.linalg.qr(cloud(seed + 1, 6, 6))[0]
    lengths = np.random.default_rng(seed).uniform(0.1, 3.0, (14, 1))
    for statistic in (effective_rank, participation, step_length, turn_rate, local_rank):
        assert np.allclose(statistic(rows, 5), statistic(scale * lengths * rows @ turned, 5), equal_nan=True, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 10))
def test_a_rank_over_its_bound_lies_between_nothing_and_one(seed, window, d):
    for statistic in (effective_rank, participation, local_rank):
        found = statistic(cloud(seed, 20, d), window)
        known = found[np.isfinite(found)]
        assert ((known > 0.0) & (known <= 1.0 + 1e-9)).all()


def test_participation_is_that_of_the_eigenvalues_of_the_covariance():
    rows = cloud(2, 20, 7)
    for k in range(5, 20):
        values = np.linalg.eigvalsh(np.cov(unit(rows)[k - 5 : k + 1].T))
        assert participation(rows, 6)[k] == pytest.approx(values.sum() ** 2 / (values**2).sum() / 5)


def test_a_window_in_which_nothing_was_said_once_has_no_rank():
    rows = cloud(3, 12, 5)
    rows[5] = 0.0
    known = np.isfinite(effective_rank(rows, 3))
    assert known.tolist() == [k >= 2 and not 5 <= k <= 7 for k in range(12)]
    assert np.isnan(participation(np.tile(rows[:1], (5, 1)), 3)).all()


def test_steps_and_turns_by_hand():
    east, north = [1.0, 0.0], [0.0, 1.0]
    to_and_fro = np.array([east, north, east, north])
    assert step_length(to_and_fro, 3)[2:].tolist() == pytest.approx([1.0, 1.0])
    assert turn_rate(to_and_fro, 3)[2:].tolist() == pytest.approx([2.0, 2.0])
    still = np.array([east, east, east, north])
    assert step_length(still, 3)[2:].tolist() == pytest.approx([0.0, 0.5])
    assert np.isnan(turn_rate(still, 3)).all()


def test_the_local_rank_is_that_of_the_nearest_steps():
    rows, window = cloud(4, 25, 6), 4
    likeness = unit(rows) @ unit(rows).T
    own = [rank_of(rows[np.argsort(-likeness[k])[:window]]) / window for k in range(25)]
    expected = [np.mean(own[k - window + 1 : k + 1]) for k in range(window - 1, 25)]
    assert np.allclose(local_rank(rows, window)[window - 1 :], expected)


def test_a_trajectory_shorter_than_a_window_has_no_statistic():
    for statistic in (effective_rank, participation, step_length, turn_rate, local_rank):
        found = statistic(cloud(1, 3, 4), 6)
        assert np.isnan(found).all()
        assert len(found) == 3
