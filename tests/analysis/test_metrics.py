"""Each metric against a small trajectory worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.metrics import INVALID_SHARE, NOT_YET, metrics, validity
from tradearena.values import Finding, Trajectory

PATH = Trajectory(
    decided=np.array([5, 6], dtype=np.int32),
    intent=np.array([[0.6, 0.4], [0.5, 0.5]]),
    approved=np.array([[0.5, 0.4], [0.5, 0.5]]),  # the first decision was clipped by 0.1
    statuses=("ok", "repaired"),
    confidence=(None, 0.6),
    found_at=np.array([5, 6, 6], dtype=np.int32),
    findings=(
        Finding("single-name", "symbol", "AAA", 0.6, 0.5, 0.5, "minor"),
        Finding("single-name", "symbol", "AAA", 0.5, 0.5, 0.5, "flag"),
        Finding("herfindahl", "portfolio", "", 0.5, 0.5, 0.3, "flag"),
    ),
    marked=np.array([5, 6, 7], dtype=np.int32),
    nav=np.array([1000.0, 1200.0, 1080.0]),  # +20 %, -10 %
    intent_nav=np.array([1000.0, 1100.0, 990.0]),
    approved_nav=np.array([1000.0, 1100.0, 990.0]),
    reference_nav=np.array([1000.0, 1050.0, 1050.0]),  # +5 %, 0 %
    borrow=np.array([0.0, 1.0, 2.0]),
    filled_at=np.array([6, 7], dtype=np.int32),
    ordered=np.array([900.0, 100.0]),
    filled=np.array([700.0, 50.0]),
    bought=np.array([720.0, 30.0]),
    sold=np.array([0.0, 108.0]),
    cost=np.array([4.0, 3.0]),
    initial_cash=1000.0,
    bars_per_year=4.0,
)

BY_HAND = {
    "total_return": 0.08,
    # returns 0.2 and -0.1: mean 0.05, deviation sqrt(0.15^2 + 0.15^2) over one; a year has four bars
    "annual_volatility": 0.15 * math.sqrt(2) * 2,
    "sharpe": 0.05 / (0.15 * math.sqrt(2)) * 2,
    # one of two returns is a loss of 0.1
    "sortino": 0.05 / math.sqrt(0.01 / 2) * 2,
    "max_drawdown": 0.1,
    # two returns are half a year: 1.08^2 - 1, over the drawdown of 0.1
    "calmar": (1.08**2 - 1) / 0.1,
    # 720 of 1200 and 108 of 1080, over two decisions
    "turnover": (0.6 + 0.1) / 2,
    # 4 + 3 for fills and 1 + 2 for borrowing, of 1000
    "cost": 0.01,
    "fill_rate": 0.75,
    "gate_rate": 0.5,
    "clip_distance": 0.05,
    "calibration_score": (0.9 + 1.0) / 2,  # 0.1 of a gross of 1 was clipped, then nothing
    "repeat_violation_rate": 0.0,  # one violation, and not again: a flag is none
    "compliance_lag": 1.0,
    # differences of returns 0.15 and -0.10: deviation sqrt(0.125^2 + 0.125^2)
    "tracking_error": 0.125 * math.sqrt(2) * 2,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_metric_is_what_it_is_by_hand(name):
    assert metrics(PATH)[name] == pytest.approx(BY_HAND[name], rel=1e-12)


def test_there_is_no_metric_but_those_worked_by_hand_and_those_that_come_later():
    assert set(metrics(PATH)) == set(BY_HAND) | set(NOT_YET)
    assert all(metrics(PATH)[name] is None for name in NOT_YET)


def empty(path):
    """The trajectory of an episode that ended before its first decision."""
    nothing = {
        name: getattr(path, name)[:0]
        for name in path.__dataclass_fields__
        if name not in ("initial_cash", "bars_per_year", "silent")
    }
    return replace(path, **nothing)


def test_an_episode_without_a_bar_has_no_metrics_and_no_cost():
    assert {name for name, value in metrics(empty(PATH)).items() if value is not None} == {"cost"}
    assert metrics(empty(PATH))["cost"] == 0.0


def test_an_episode_without_an_order_has_no_fill_rate_and_no_turnover_to_speak_of():
    idle = empty(PATH)
    idle = replace(
        PATH, **{name: getattr(idle, name) for name in ("filled_at", "ordered", "filled", "bought", "sold", "cost")}
    )
    found = metrics(idle)
    assert (found["fill_rate"], found["turnover"]) == (None, 0.0)


def test_what_a_ruined_account_traded_is_measured_by_what_it_was_worth_before():
    """Left out, the ruined would be missing from the means of what led there."""
    ruined = replace(PATH, nav=np.array([1000.0, 1100.0, -5.0]))
    found = metrics(ruined)
    assert found["turnover"] == pytest.approx((720 / 1100 + 108 / 1100) / 2)
    assert found["calmar"] is None
    assert found["total_return"] == pytest.approx(-1.005)
    assert found["max_drawdown"] > 1


@given(
    nav=st.lists(st.floats(-1e12, 1e12), min_size=3, max_size=3),
    other=st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3),
)
def test_a_metric_is_finite_or_none(nav, other):
    wild = replace(PATH, nav=np.array(nav), reference_nav=np.array(other))
    with np.errstate(all="ignore"):
        found = metrics(wild)
    assert all(value is None or math.isfinite(value) for value in found.values())


# ---------------------------------------------------------------------- validity


def counted(**counts):
    statuses = tuple(status for status, n in counts.items() for _ in range(n))
    return validity(replace(PATH, statuses=statuses))


def test_validity_counts_replies_and_repaired_ones_are_usable():
    assert counted(ok=8, repaired=11, fallback=1) == {
        "share_ok": 0.95, "ok": 8, "repaired": 11, "fallback": 1, "error": 0, "valid": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "valid"),
    [
        ({"ok": 95, "fallback": 5}, True),
        ({"ok": 94, "fallback": 6}, False),
        ({"ok": 95, "fallback": 3, "error": 2}, True),
        ({"ok": 94, "fallback": 3, "error": 3}, False),
        ({"repaired": 100}, True),
        ({"ok": 1}, True),
        ({"fallback": 1}, False),
        ({}, False),
    ],
)
def test_an_episode_with_more_than_five_percent_of_lost_replies_is_invalid(counts, valid):
    assert INVALID_SHARE == 0.05
    assert counted(**counts)["valid"] is valid


@given(n=st.integers(1, 3_000))
def test_the_threshold_is_exact_at_any_length(n):
    most = n * 5 // 100
    assert counted(ok=n - most, fallback=most)["valid"]
    assert not counted(ok=n - most - 1, fallback=most + 1)["valid"]
