"""Drawdown onsets, by hand and as properties."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradearena.analysis.signatures.anchors import independent, onsets, usual_depth


def path(*levels: float) -> np.ndarray:
    return np.array(levels, dtype=float)


def test_one_fall_has_one_onset_the_step_after_its_peak():
    assert onsets(path(1, 1.1, 1.2, 1.0, 0.9, 1.3), 0.1, 1) == [3]


def test_of_equal_peaks_the_first_counts():
    assert onsets(path(1, 1.2, 1.2, 1.0, 0.9), 0.1, 1) == [2]


def test_a_second_fall_counts_once_the_path_has_risen():
    assert onsets(path(1.0, 0.8, 0.9, 1.0, 0.8, 0.7), 0.1, 1) == [1, 4]


def test_a_fall_that_goes_on_has_no_second_onset():
    assert onsets(path(1.0, 0.9, 0.89, 0.8, 0.79, 0.7), 0.1, 1) == [1]


def test_nothing_falls_on_a_path_that_rises_or_stands():
    assert onsets(path(1, 2, 3, 4), 0.1, 1) == []
    assert onsets(path(1, 1, 1, 1), 0.1, 1) == []
    assert onsets(path(1, 0.95, 1, 0.95), 0.1, 1) == []


def test_of_two_onsets_too_near_each_other_the_first_stays():
    falls = path(1.0, 0.8, 1.0, 0.8, 1.0, 0.8)
    assert onsets(falls, 0.1, 1) == [1, 3, 5]
    assert onsets(falls, 0.1, 3) == [1, 5]


@pytest.mark.parametrize(("depth", "spacing"), [(0.0, 1), (1.0, 1), (0.1, 0)])
def test_a_depth_or_spacing_that_makes_no_sense_is_refused(depth, spacing):
    with pytest.raises(ValueError, match="make no anchors"):
        onsets(path(1, 2), depth, spacing)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 0.2), st.integers(1, 12), st.floats(0.01, 100.0))
def test_every_onset_follows_a_peak_and_precedes_a_fall_and_scale_does_not_matter(seed, depth, spacing, scale):
    level = np.exp(np.cumsum(np.random.default_rng(seed).standard_normal(120) * 0.02))
    found = onsets(level, depth, spacing)
    assert found == onsets(level * scale, depth, spacing)
    assert all(b - a >= spacing for a, b in pairwise(found))
    for at in found:
        later = level[at:]
        fallen = np.flatnonzero(later <= level[at - 1] * (1 - depth))
        assert len(fallen)
        assert (later[: fallen[0]] <= level[at - 1]).all()


def test_the_usual_depth_is_three_standard_deviations_of_a_step():
    level = np.exp(np.cumsum([0.01, -0.01] * 50))
    assert usual_depth(level) == pytest.approx(1 - np.exp(-0.03), rel=1e-3)
    assert usual_depth(path(1, 1, 1)) == 0.0
    assert usual_depth(path(1)) == 0.0


def test_independent_counts_how_many_can_be_chosen_far_enough_apart():
    assert independent([], 5) == 0
    assert independent([30, 10, 12, 15, 20], 5) == 4
    assert independent([10, 10, 10], 5) == 1
