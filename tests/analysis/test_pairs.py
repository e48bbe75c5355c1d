"""Pairs and clusters: what is averaged, what is merged, and what is left out and counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.pairs import Dropped, Outcome, Window, clusters, paired
from tradearena.analysis.signflip import sign_flip


def window(first, last, path="a"):
    return Window(path, first, last)


def outcome(mode, value, where=(0, 9), seed=0, *, agent="x", valid=True, path="a"):
    return Outcome(agent, mode, Window(path, *where), (seed, 0), valid, {"m": value})


# ---------------------------------------------------------------------- clusters


def test_windows_that_share_a_bar_are_one_cluster_and_so_are_those_linked_through_a_third():
    assert clusters([window(0, 9), window(10, 19)]) == [(window(0, 9),), (window(10, 19),)]
    assert clusters([window(0, 9), window(9, 19)]) == [(window(0, 9), window(9, 19))]
    chain = [window(16, 25), window(0, 9), window(8, 17), window(30, 31)]
    assert clusters(chain) == [(window(0, 9), window(8, 17), window(16, 25)), (window(30, 31),)]


def test_a_window_inside_another_does_not_end_it():
    assert len(clusters([window(0, 99), window(3, 4), window(50, 60), window(99, 120)])) == 1


def test_the_same_bars_of_two_paths_are_two_clusters():
    assert clusters([window(0, 9, "b"), window(0, 9, "a"), window(0, 9, "b")]) == [
        (window(0, 9, "a"),),
        (window(0, 9, "b"),),
    ]


windows = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 8)).map(
        lambda drawn: Window(drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
    max_size=12,
)


@given(windows, st.randoms())
def test_clusters_have_no_bar_in_common_and_cannot_be_taken_apart(found, rng):
    made = clusters(found)
    assert sorted(each for cluster in made for each in cluster) == sorted(set(found))
    bars = [{(w.path, t) for w in cluster for t in range(w.first, w.last + 1)} for cluster in made]
    assert sum(map(len, bars)) == len(set().union(*bars))
    for cluster in made:
        for cut in range(1, len(cluster)):  # whatever stands before shares a bar with something after
            assert any(a.last >= b.first for a in cluster[:cut] for b in cluster[cut:])
    rng.shuffle(found)
    assert clusters(found) == made


# ---------------------------------------------------------------------- pairs


def test_seeds_are_averaged_within_a_window_and_each_cluster_counts_once():
    found = paired(
        [
            outcome("true", 1.0, (0, 9), 0), outcome("hidden", 0.0, (0, 9), 0),  # 1
            outcome("true", 4.0, (0, 9), 1), outcome("hidden", 1.0, (0, 9), 1),  # 3: the window is 2
            outcome("true", 9.0, (5, 14), 0), outcome("hidden", 1.0, (5, 14), 0),  # 8, overlaps: the cluster is 5
            outcome("true", 2.0, (20, 29), 0), outcome("hidden", 3.0, (20, 29), 0),  # -1
        ],
        "m", "true", "hidden",
    )  # fmt: skip
    assert found.differences.tolist() == [5.0, -1.0]
    assert found.pairs == 4
    assert found.level == pytest.approx(((0.5 + 1.0) / 2 + 3.0) / 2)
    assert found.clusters == ((window(0, 9), window(5, 14)), (window(20, 29),))
    assert found.dropped == Dropped()


def test_all_agents_on_one_window_are_one_cluster_and_count_alike_however_many_seeds_they_have():
    found = paired(
        [
            *(outcome("true", 1.0, seed=seed, agent="many") for seed in range(9)),
            *(outcome("hidden", 0.0, seed=seed, agent="many") for seed in range(9)),
            outcome("true", 5.0, agent="one"), outcome("hidden", 0.0, agent="one"),
        ],
        "m", "true", "hidden",
    )  # fmt: skip
    assert (found.differences.tolist(), found.pairs) == ([3.0], 10)


def test_the_same_seed_run_again_is_a_pair_of_its_own():
    twice = [
        Outcome("x", mode, window(0, 9), (0, replicate), True, {"m": value})
        for mode, value in (("true", 2.0), ("hidden", 1.0))
        for replicate in (0, 1)
    ]
    assert paired(twice, "m", "true", "hidden").pairs == 2


def test_what_is_left_out_is_counted_once_by_its_first_reason():
    found = paired(
        [
            outcome("true", 1.0, seed=0),  # alone
            outcome("hidden", 1.0, seed=1), outcome("true", 1.0, seed=1, valid=False),
            outcome("hidden", None, seed=2, valid=False), outcome("true", None, seed=2, valid=False),
            outcome("hidden", math.nan, seed=3), outcome("true", 1.0, seed=3),
            outcome("hidden", 1.0, seed=4), outcome("true", None, seed=4),
            outcome("hidden", 1.0, seed=5), outcome("true", 3.0, seed=5),
            outcome("placebo", 1.0, seed=6),  # was not asked for
        ],
        "m", "true", "hidden",
    )  # fmt: skip
    assert found.dropped == Dropped(1, 2, 2, 1, 2, 1, 1)
    assert (found.pairs, found.differences.tolist()) == (1, [2.0])


def test_without_a_pair_there_is_no_difference_and_no_level():
    found = paired([outcome("true", 1.0)], "m", "true", "hidden")
    assert (found.differences.shape, found.clusters, found.level, found.pairs) == ((0,), (), None, 0)
    assert paired([outcome("true", 1.0), outcome("hidden", 1.0)], "nobody", "true", "hidden").dropped.undefined == 1


def test_episodes_that_do_the_same_differ_by_nothing_at_all():
    """Means of equal numbers in equal order are equal to the last bit: so degenerate is told from small."""
    rng = np.random.default_rng(0)
    values = rng.random(30)
    grid = [
        outcome(mode, float(value), (10 * (k % 6), 10 * (k % 6) + 12), k)
        for mode in ("true", "hidden")
        for k, value in enumerate(values)
    ]
    assert not paired(grid, "m", "true", "hidden").differences.any()


@given(st.permutations(range(12)))
def test_the_order_of_the_outcomes_does_not_matter(order):
    grid = [outcome(mode, float(k * k), (10 * k, 10 * k + 5)) for k in range(6) for mode in ("true", "hidden")]
    assert paired([grid[k] for k in order], "m", "true", "hidden").differences.tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("grid", "modes", "said"),
    [
        ([], ("true", "true"), "with itself"),
        ([outcome("true", 1.0), outcome("true", 2.0)], ("true", "hidden"), "two outcomes of x, true"),
    ],
)
def test_what_cannot_be_paired_is_said(grid, modes, said):
    with pytest.raises(ValueError, match=said):
        paired(grid, "m", *modes)


@pytest.mark.slow
def test_overlapping_windows_taken_as_independent_find_effects_that_are_not_there_and_clusters_do_not():
    """Two arms that differ by noise of each bar alone, measured as means over windows of 60 bars. Begun every 5 bars,
    windows share most of their noise; begun every 60, none."""
    rng = np.random.default_rng(3)
    naive = apart = 0
    for _ in range(400):
        noise = rng.normal(size=720)
        close = [outcome(m, v, (t, t + 59)) for t in range(0, 60, 5) for m, v in _arms(noise, t)]
        single = [
            paired([each for each in close if each.window.first == t], "m", "true", "hidden") for t in range(0, 60, 5)
        ]
        naive += sign_flip([float(one.differences[0]) for one in single]).p <= 0.05
        assert len(paired(close, "m", "true", "hidden").differences) == 1
        disjoint = paired(
            [outcome(m, v, (t, t + 59)) for t in range(0, 720, 60) for m, v in _arms(noise, t)], "m", "true", "hidden"
        )
        apart += sign_flip(disjoint.differences).p <= 0.05
    assert naive / 400 > 0.6  # 0.70
    assert apart / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def _arms(noise, t):
    return ("true", float(noise[t : t + 60].mean())), ("hidden", 0.0)
