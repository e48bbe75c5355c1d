"""Arrangements of anchors, and the masks they make, held against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.analysis.signatures.rotation import Circle, Masks, arrangements, weighted


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6))
def test_every_arrangement_keeps_number_blocks_and_gaps(seed, trajectories, anchors):
    circle = Circle(6, 99, 10)
    own = [
        sorted(rng(seed + r).choice(np.arange(6, 100), anchors, replace=False).tolist()) for r in range(trajectories)
    ]
    moved = arrangements(own, circle, 20, rng(seed))
    assert [rows[0].tolist() for rows in moved] == own
    whole = np.concatenate([np.array(each) for each in own])
    for b in range(21):
        places = np.concatenate([rows[b] for rows in moved])
        assert ((places >= 6) & (places <= 99)).all()
        assert gaps(places) == gaps(whole)


def gaps(places: np.ndarray) -> list[int]:
    """Between neighbours on the circle of 94 steps, sorted."""
    held = np.sort(places)
    return sorted(np.diff(np.append(held, held[0] + 94)).tolist())


def test_what_trajectories_share_they_share_wherever_it_is_moved():
    moved = arrangements([[20, 50, 80], [20, 50, 80], [21, 52, 80]], Circle(6, 99, 10), 50, rng())
    assert np.array_equal(moved[0], moved[1])
    apart = (moved[2] - moved[0]) % 94
    assert [sorted(row) for row in apart.tolist()] == [[0, 1, 2]] * 51


def test_an_anchor_is_moved_to_every_step_as_often():
    from scipy.stats import chisquare

    (moved,) = arrangements([[20, 50, 80]], Circle(6, 99, 10), 20_000, rng(3))
    counts = np.bincount(moved[1:].ravel() - 6, minlength=94)
    assert chisquare(counts).pvalue > 0.001


def test_without_an_anchor_nothing_is_moved():
    (moved,) = arrangements([[]], Circle(6, 99, 10), 5, rng())
    assert moved.shape == (6, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 5), st.integers(2, 7))
def test_masks_are_those_of_the_definitions(seed, anchors, window):
    steps = 40
    places = np.array([rng(seed + b).choice(steps, anchors, replace=False) for b in range(4)], dtype=np.intp)
    masks = Masks(places.reshape(4, anchors), steps, window)
    for b in range(4):
        own = [a for a in places[b].tolist() if a >= window]
        before = [any(a - window <= k < a for a in own) for k in range(steps)]
        away = [not any(a - window <= k < a + window for a in own) for k in range(steps)]
        ends = [sum(a - 1 == k for a in own) for k in range(steps)]
        calm = [k >= window - 1 and all(away[k - window + 1 : k + 1]) for k in range(steps)]
        assert masks.before[b].tolist() == before
        assert masks.away[b].tolist() == away
        for mask, chosen in ((masks.steps, before), (masks.normal, away), (masks.ends, ends), (masks.calm, calm)):
            whole = np.array(chosen, dtype=float)
            assert np.allclose(mask[b], whole / max(whole.sum(), 1.0))
        assert masks.whole[b] == (any(ends) and any(calm))


def test_an_anchor_that_a_trajectory_does_not_reach_is_none_of_its_own():
    masks = Masks(np.array([[-1, 20], [3, 20]], dtype=np.intp), 40, 5)
    assert np.flatnonzero(masks.ends[0]).tolist() == [19]
    assert np.flatnonzero(masks.ends[1]).tolist() == [19]


def test_what_is_not_known_is_in_no_mean():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    weights = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    found = weighted(weights, values)
    assert found[:, 0].tolist()[:2] == pytest.approx([2.0, 3.0])
    assert np.isnan(found[2, 0])
    assert np.isnan(found[:, 1]).all()
