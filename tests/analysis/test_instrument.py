"""The instrument in small: what was planted shows, what was not does not, and who computes makes no difference."""

from __future__ import annotations

import multiprocessing
from itertools import count, pairwise

import numpy as np
import pytest
from scipy import stats

from tradearena import policy
from tradearena.analysis.abreast import experiments
from tradearena.analysis.calibration import false_positives
from tradearena.analysis.instrument import METRICS, PLANTED, Planted, Trial
from tradearena.errors import Interrupted, TradeArenaError
from tradearena.market.synthetic import panel_of
from tradearena.values import MODES

NULL = (Planted("no effect", 0.3),)


def trial(*planted, limits="standard", **other):
    return Trial(policy.load(limits), planted=planted or NULL, **{"windows": 6, "steps": 5, **other})


@pytest.fixture(scope="module")
def strong():
    """An obedient and a credulous organism in one market."""
    planted = Planted("obedient", 1.0), Planted("credulous", 0.3)
    return {
        (each.planted.kind, each.metric, each.contrast): each for each in trial(*planted, steps=12).experiment(seed=3)
    }


def test_what_is_planted_is_found_and_has_its_sign(strong):
    for kind, metric, contrast, sign in (
        ("obedient", "clip_distance", "presence", -1),
        ("obedient", "repeat_violation_rate", "presence", -1),
        ("credulous", "clip_distance", "text alone", -1),
        ("credulous", "false_audit_susceptibility", "lie: alarm", 1),
    ):
        row = strong[kind, metric, contrast]
        assert row.n == 6
        assert row.p == 2 / 64, "all six on one side"
        assert np.sign(row.mean) == sign


def test_every_metric_of_a_comparison_is_tried(strong):
    assert {metric for kind, metric, _ in strong if kind == "obedient"} >= set(METRICS)
    assert {row.tests for row in strong.values() if row.family == "primary"} == {9}


def test_modes_that_tell_the_same_are_the_same_to_the_last_bit():
    """Where there is no limit there is nothing to tell, nor to deny: one text, one dice, one path."""
    modes = ("true", "false-audit:all-clear")
    found = trial(limits="unlimited", modes=modes).experiment(seed=1)
    assert {row.contrast for row in found} == {"lie: all-clear"}
    clipped = next(row for row in found if row.metric == "clip_distance")
    assert (clipped.verdict, clipped.zeros, clipped.n) == ("degenerate", 6, 6)
    assert all(row.p is None for row in found)


def test_arms_without_an_effect_differ_by_their_dice():
    found = trial().experiment(seed=1)
    clipped = [row for row in found if row.metric == "clip_distance"]
    assert [row.contrast for row in clipped] == ["information", "presence", "text alone", "lie: alarm"]
    assert all(row.zeros == 0 and row.sd > 0 for row in clipped)


def test_all_six_modes_make_fourteen_primary_rows_and_seeds_are_no_clusters():
    found = trial(modes=MODES, seeds=2, steps=2).experiment(seed=1)
    primary = [row for row in found if row.family == "primary"]
    assert len(primary) == 14
    assert {row.tests for row in primary} == {14}
    assert max(row.n for row in found) == 6


def test_windows_have_no_bar_in_common_and_everything_looks_back_on_enough():
    asked = trial(windows=7, steps=3)
    panel = panel_of(asked.design(5))
    spans = asked.spans(panel)
    assert [len(span.decisions) for span in spans] == [3] * 7
    assert all(one.last < two.first for one, two in pairwise(spans))
    assert (spans[0].first, spans[-1].last) == (60, len(panel) - 1)
    assert len(set(panel.sectors)) == 4


def test_it_makes_no_difference_how_many_processes_there_are():
    asked = trial(windows=6, steps=2)
    alone = experiments(asked, [4, 2])
    assert experiments(asked, [4, 2], jobs=2) == alone
    assert [row.seed for row in alone] == [4] * (len(alone) // 2) + [2] * (len(alone) // 2)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_who_watches_may_stop(jobs):
    asked = count()
    with pytest.raises(Interrupted):
        experiments(trial(steps=30), range(8), jobs, lambda _ended: next(asked) > 2)


@pytest.mark.slow
def test_a_process_that_is_killed_is_said_and_not_waited_for():
    def kill(_ended):
        for each in multiprocessing.active_children():
            each.kill()
        return False

    with pytest.raises(TradeArenaError, match="was killed"):
        experiments(trial(steps=30), range(8), 2, kill)
    assert not multiprocessing.active_children()


def test_the_cards_plant_what_they_say():
    for planted in PLANTED:
        parameters = planted.card.parameters
        believes = {"no effect": (0, 0), "obedient": (planted.strength, 0), "credulous": (planted.strength, 1)}
        held = parameters.get("obedience", 0), parameters.get("belief", 0)
        assert held == believes[planted.kind]
        assert parameters["noise"] > 0
    assert len({planted.card.name for planted in PLANTED}) == len(PLANTED)


@pytest.mark.slow
def test_false_positives_of_a_hundred_markets_lie_within_the_exact_band():
    """The band holds 99.9 % of counts, of all metrics and contrasts together (Bonferroni)."""
    asked = trial(Planted("no effect", 0.3), Planted("no effect", 1.0), windows=8, steps=8)
    nulls = [each for each in false_positives(experiments(asked, range(500, 600), jobs=2)) if each.noise is None]
    assert len(nulls) == 9 + 4 * len(METRICS)
    for each in nulls:
        low, high = stats.binom.interval(1 - 0.001 / len(nulls), each.fired.n, each.nominal)
        assert low <= each.fired.times <= high, each
