from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.errors import UsageError
from tradearena.market.window import Span, Window
from tradearena.panel import Panel

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def _panel(bars):
    start = np.datetime64("2024-01-01T00:00", "us") + np.arange(bars) * np.timedelta64(1, "D")
    ones = np.ones((bars, 1))
    return Panel.of(["A"], start, start + np.timedelta64(1, "D"), (ones,) * 4, ones, bars_per_year=365.25)


def _day(n):
    return FIRST + timedelta(days=n)


def _only(window, bars, **needs):
    (span,) = window.resolve(_panel(bars), **needs)
    return span


def test_without_wishes_decisions_run_from_the_warm_up_to_the_last_bar_that_can_still_be_filled():
    span = _only(Window(), 30, warmup=20, latency=1)
    assert span == Span(first=20, last=29, every=1, latency=1)
    assert span.decisions == range(20, 29)


def test_the_first_decision_is_made_at_the_first_bar_that_ends_at_the_start_or_later():
    assert _only(Window(start=_day(10)), 30, warmup=5, latency=1).first == 9
    assert _only(Window(start=_day(10) + timedelta(seconds=1)), 30, warmup=5, latency=1).first == 10


def test_a_start_before_the_warm_up_waits_for_it():
    assert _only(Window(start=_day(3)), 30, warmup=20, latency=1).first == 20


def test_recorded_decisions_may_begin_later_than_the_window():
    begins = np.datetime64("2024-01-16T00:00")
    assert _only(Window(start=_day(8)), 30, warmup=5, latency=1, begins=begins).first == 14
    assert _only(Window(start=_day(20)), 30, warmup=5, latency=1, begins=begins).first == 19


def test_no_bar_ends_after_the_end():
    span = _only(Window(end=_day(25)), 30, warmup=20, latency=1)
    assert (span.last, span.decisions) == (24, range(20, 24))
    assert _only(Window(end=_day(25) - timedelta(seconds=1)), 30, warmup=20, latency=1).last == 23


def test_naive_times_are_utc():
    naive = Window(start=_day(10).replace(tzinfo=None), end=_day(20).replace(tzinfo=None))
    assert naive.rule == Window(start=_day(10), end=_day(20)).rule


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 20), st.integers(1, 40))
def test_steps_cap_the_decisions_and_the_last_orders_are_still_filled(steps, every, latency, warmup, extra):
    bars = warmup + latency + extra
    span = _only(Window(steps=steps, every=every), bars, warmup=warmup, latency=latency)
    decisions = span.decisions
    assert 1 <= len(decisions) <= steps
    assert decisions[0] == warmup
    assert decisions[-1] + latency <= span.last <= bars - 1
    if len(decisions) < steps:
        assert decisions[-1] + every + latency > span.last


@pytest.mark.parametrize(
    ("window", "bars", "complaint"),
    [
        (
            Window(),
            21,
            "there are 21 bars from .*, and a decision needs 20 bars before it and 1 after it, so at least 22",
        ),
        (Window(start=_day(99)), 30, "the window has 0 of 30 bars .* move --start or --end"),
        (Window(end=_day(10)), 30, "the window has 10 of 30 bars"),
        (Window(start=_day(30)), 30, "the window has 1 of 30 bars .*, 29 of them before it"),
        (Window(end=_day(-5)), 30, "the window has 0 of 30 bars"),
    ],
)
def test_a_window_in_which_no_decision_fits_says_what_there_is_and_what_it_takes(window, bars, complaint):
    with pytest.raises(UsageError, match=complaint):
        window.resolve(_panel(bars), warmup=20, latency=1)


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"steps": 0}, "--steps is 0"),
        ({"every": 0}, "--every is 0"),
        ({"count": 0}, "--windows is 0"),
        ({"start": _day(2), "end": _day(2)}, "the window ends at 2024-01-03T00:00:00Z, but it starts at"),
    ],
)
def test_a_window_that_cannot_be_meant_is_a_usage_error(wish, complaint):
    with pytest.raises(UsageError, match=complaint):
        Window(**wish)


def test_the_rule_is_one_canonical_line():
    assert Window().rule == "start=- end=- steps=- every=1"
    window = Window(start=_day(0), end=_day(1), steps=5, every=2)
    assert window.rule == "start=2024-01-01T00:00:00Z end=2024-01-02T00:00:00Z steps=5 every=2"


# ---------------------------------------------------------------------- several windows


def test_several_windows_follow_each_other_without_a_bar_in_common():
    panel = _panel(31)
    assert Window(count=2).resolve(panel, warmup=20, latency=1) == (Span(20, 24, 1, 1), Span(25, 30, 1, 1))
    assert Window(count=3, steps=2).resolve(panel, warmup=20, latency=1) == (
        Span(20, 22, 1, 1), Span(23, 25, 1, 1), Span(26, 28, 1, 1),
    )  # fmt: skip


@given(
    st.integers(1, 9), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 4), st.integers(1, 3),
    st.integers(0, 20), st.integers(0, 60),
)  # fmt: skip
def test_windows_are_disjoint_in_their_bars_and_even_in_their_decisions(count, steps, every, latency, warmup, extra):
    bars = warmup + count * (latency + 1) + extra
    spans = Window(count=count, steps=steps, every=every).resolve(_panel(bars), warmup=warmup, latency=latency)
    assert len(spans) == count
    assert spans[0].first == warmup
    assert all(after.first == before.last + 1 for before, after in pairwise(spans))
    assert spans[-1].last <= bars - 1
    decisions = [len(span.decisions) for span in spans]
    assert min(decisions) >= 1
    assert max(decisions) - min(decisions) <= 1
    if steps is None:
        assert spans[-1].last == bars - 1  # no bar is given away
    else:
        assert max(decisions) <= steps
        if bars - warmup >= count * ((steps - 1) * every + latency + 1):
            assert decisions == [steps] * count


def test_more_windows_than_bars_make_are_refused_with_the_number_that_fits():
    said = "--windows is 6, but a window takes 2 bars, and .* there are 10; ask for at most 5 windows"
    with pytest.raises(UsageError, match=said):
        Window(count=6).resolve(_panel(30), warmup=20, latency=1)


def test_several_windows_are_another_rule_and_one_is_the_rule_it_was():
    assert Window(count=1).rule == Window().rule
    assert Window(count=3).rule == "start=- end=- steps=- every=1 windows=3"
