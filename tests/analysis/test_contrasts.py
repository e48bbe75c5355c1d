"""The declared questions: Holm by hand and by its properties, families, and rows that say when they can say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.contrasts import CONTRASTS, PRIMARY, SUSCEPTIBILITY, holm, rows
from tradearena.analysis.pairs import Outcome, Window
from tradearena.values import MODES

ps = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


# ---------------------------------------------------------------------- Holm


def test_holm_by_hand():
    # sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, and none below the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_a_test_without_a_p_was_asked_too():
    assert holm([0.01, None, 0.02, None]) == pytest.approx([0.04, None, 0.06, None])


@given(ps)
def test_holm_is_between_the_raw_p_and_bonferroni_and_keeps_the_order(found):
    adjusted = holm(found)
    both = sorted((p, a) for p, a in zip(found, adjusted, strict=True) if p is not None)
    assert all(p <= a <= min(1.0, len(found) * p) + 1e-15 for p, a in both)
    assert [a for _, a in both] == sorted(a for _, a in both)
    assert [a is None for a in adjusted] == [p is None for p in found]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects(found, alpha):
    """A hypothesis falls if each set that it is in has a p that passes Bonferroni for that set: all sets are tried."""
    n = len(found)
    sets = [[k for k in range(n) if bits >> k & 1] for bits in range(1, 2**n)]
    passed = [len(each) * min(found[k] for k in each) <= alpha for each in sets]
    closed = [all(fine for each, fine in zip(sets, passed, strict=True) if k in each) for k in range(n)]
    assert [a <= alpha for a in holm(found)] == closed


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_p_outside_its_range_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, wrong])


# ---------------------------------------------------------------------- rows


def grid(effects, windows=8, seed=0, agent="x", metrics=PRIMARY):
    """Outcomes of an agent in each mode: a level of the window, noise, and the effect of the mode."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=windows)
    return [
        Outcome(agent, mode, Window("a", 10 * k, 10 * k + 9), (0, 0), True,
                {name: float(level[k] + 0.1 * rng.normal() + effect) for name in metrics})
        for mode, effect in effects.items()
        for k in range(windows)
    ]  # fmt: skip


def test_contrasts_name_modes_that_there_are_and_the_presence_is_the_sum_of_its_parts():
    assert {mode for each in CONTRASTS for mode in each[1:]} == set(MODES)
    found = rows(grid({"true": -1.0, "placebo": -0.4, "hidden": 0.0}), ())
    means = {row.contrast.of: row.effect.mean for row in found if row.metric == "clip_distance"}
    assert means["presence"] == pytest.approx(means["information"] + means["text alone"])
    assert means == pytest.approx({"information": -0.6, "presence": -1.0, "text alone": -0.4}, abs=0.15)


def test_the_family_is_each_primary_metric_in_each_contrast_that_was_run():
    found = rows(grid(dict.fromkeys(MODES, 0.0)), ["sharpe", "clip_distance"])
    primary = [row for row in found if row.family == "primary"]
    # two metrics in six contrasts, susceptibility in the two lies that have a direction
    assert len(primary) == 2 * 6 + 2
    assert [row.contrast[1:] for row in primary if row.metric == SUSCEPTIBILITY] == [
        ("false-audit:alarm", "hidden"),
        ("false-audit:all-clear", "hidden"),
    ]
    assert {row.tests for row in primary} == {14}
    assert sorted(row.p_adjusted for row in primary) == sorted(holm([row.effect.p for row in primary]))
    rest = [row for row in found if row.family == "exploratory"]
    assert {row.metric for row in rest} == {"sharpe"}
    assert {(row.p_adjusted, row.tests) for row in rest} == {(None, 1)}


def test_each_agent_has_a_family_of_its_own():
    two = grid({"true": 0.0, "hidden": 0.0}) + grid({"true": 0.0, "placebo": 0.0}, agent="y")
    found = rows(two, ())
    assert [(row.agent, row.contrast.of, row.metric, row.tests) for row in found] == [
        ("x", "presence", "repeat_violation_rate", 2),
        ("x", "presence", "clip_distance", 2),
        ("y", "information", "repeat_violation_rate", 2),
        ("y", "information", "clip_distance", 2),
    ]


def test_leaving_a_primary_metric_out_or_a_metric_that_is_nowhere_defined_makes_no_family_smaller():
    found = rows(grid({"true": -9.0, "hidden": 0.0}, metrics=("clip_distance",)), ["clip_distance"])
    by = {row.metric: row for row in found}
    assert by["repeat_violation_rate"].effect.verdict == "too small"
    assert by["repeat_violation_rate"].paired.dropped.undefined == 8
    assert by["clip_distance"].tests == 2
    assert by["clip_distance"].p_adjusted == 2 * by["clip_distance"].effect.p == 2 * 2 / 2**8


def test_too_few_clusters_say_how_many_would_do_and_degenerate_ones_say_nothing():
    few = rows(grid({"true": -9.0, "hidden": 0.0}, windows=4), ())[0]
    assert (few.effect.verdict, few.effect.interval, few.mde, few.needed) == (
        "too small",
        None,
        None,
        7,
    )  # of two tests
    same = [out._replace(mode=mode) for out in grid({"true": 0.0}) for mode in ("true", "hidden")]
    row = rows(same, ())[0]
    assert (row.effect.verdict, row.effect.p, row.p_adjusted, row.mde, row.needed) == ("degenerate", *[None] * 4)


def test_a_row_knows_whether_any_p_could_pass_in_its_family():
    modes = dict.fromkeys(MODES, 0.0)
    for windows, enough in ((9, False), (10, True)):  # 14 tests: 14 * 2 / 2^9 = 0.055, 14 * 2 / 2^10 = 0.027
        found = rows(grid(modes, windows=windows), ["sharpe"])
        assert {row.conclusive for row in found if row.family == "primary"} == {enough}


def test_what_would_do_is_read_from_mean_and_spread():
    row = rows(grid({"true": -0.15, "hidden": 0.0}, windows=12), ())[1]
    assert row.effect.verdict == "estimated"
    assert row.tests == 2
    assert row.mde == pytest.approx((2.593 + 0.876) * row.effect.sd / np.sqrt(12), rel=1e-3)  # t(1 - .05 / 2 / 2)
    assert 6 <= row.needed < 100
    low, high = row.effect.interval
    assert low < -0.15 < high


def test_the_same_outcomes_in_another_order_give_the_same_numbers():
    outcomes = grid({"true": -0.1, "hidden": 0.0}, windows=20)
    one, other = rows(outcomes, (), seed=3), rows(outcomes[::-1], (), seed=3)
    assert [row.effect for row in one] == [row.effect for row in other]


@pytest.mark.slow
def test_without_any_effect_a_family_speaks_up_in_one_of_twenty_experiments_at_most():
    """Twelve windows, six modes, metrics that share their noise: any adjusted p below 5 %."""
    modes = dict.fromkeys(MODES, 0.0)
    spoke = raw = 0
    for seed in range(400):
        found = [row for row in rows(grid(modes, windows=12, seed=seed), ()) if row.family == "primary"]
        spoke += any(row.p_adjusted <= 0.05 for row in found)
        raw += any(row.effect.p <= 0.05 for row in found)
    assert spoke / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert raw / 400 > 0.25  # what Holm is for
