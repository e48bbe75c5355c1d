import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.errors import UsageError
from tradearena.market.scheme import Even, Rolling, scheme_of
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
        ({"steps": 2, "scheme": Rolling(2)}, "leave --steps out"),
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
    assert Window(scheme=Even(2)).resolve(panel, warmup=20, latency=1) == (Span(20, 24, 1, 1), Span(25, 30, 1, 1))
    assert Window(scheme=Even(3), steps=2).resolve(panel, warmup=20, latency=1) == (
        Span(20, 22, 1, 1), Span(23, 25, 1, 1), Span(26, 28, 1, 1),
    )  # fmt: skip


@given(
    st.integers(1, 9), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 4), st.integers(1, 3),
    st.integers(0, 20), st.integers(0, 60),
)  # fmt: skip
def test_windows_are_disjoint_in_their_bars_and_even_in_their_decisions(count, steps, every, latency, warmup, extra):
    bars = warmup + count * (latency + 1) + extra
    spans = Window(scheme=Even(count), steps=steps, every=every).resolve(_panel(bars), warmup=warmup, latency=latency)
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
        Window(scheme=Even(6)).resolve(_panel(30), warmup=20, latency=1)


def test_several_windows_are_another_rule_and_one_is_the_rule_it_was():
    assert Window(scheme=Even(1)).rule == Window().rule
    assert Window(scheme=Even(3)).rule == "start=- end=- steps=- every=1 windows=3"


# ---------------------------------------------------------------------- rolling, disjoint, dates

NEW_YORK = ZoneInfo("America/New_York")


def _resolved(text, panel, *, scenes=None, warmup=20, latency=1, **window):
    texts = [text] if isinstance(text, str) else text
    scheme = scheme_of(texts, scenes or {}, ZoneInfo("UTC"))
    return Window(scheme=scheme, **window).resolve(panel, warmup=warmup, latency=latency)


@given(
    st.integers(1, 9), st.one_of(st.none(), st.integers(1, 12)), st.integers(1, 3), st.integers(1, 3),
    st.integers(0, 20), st.integers(0, 60), st.integers(0, 30),
)  # fmt: skip
def test_rolling_windows_are_whole_ordered_and_the_same_on_a_longer_panel(
    length, stride, every, latency, warmup, extra, more
):
    size = (length - 1) * every + latency + 1
    window = Window(every=every, scheme=Rolling(length, stride))
    bars = warmup + size + extra
    spans = window.resolve(_panel(bars), warmup=warmup, latency=latency)
    assert spans[0].first == warmup
    assert all(len(span.decisions) == length for span in spans)
    assert {after.first - before.first for before, after in pairwise(spans)} <= {stride or size}
    assert all(span.decisions[-1] + latency == span.last <= bars - 1 for span in spans)
    assert spans[-1].last + (stride or size) > bars - 1  # no whole window is left out
    if stride is None:
        assert all(after.first == before.last + 1 for before, after in pairwise(spans))
    longer = window.resolve(_panel(bars + more), warmup=warmup, latency=latency)
    assert longer[: len(spans)] == spans


@given(st.integers(0, 40), st.integers(0, 25), st.one_of(st.none(), st.integers(1, 5)), st.integers(1, 3))
def test_a_window_between_dates_holds_all_its_days_and_is_the_same_on_a_longer_panel(begin, days, steps, latency):
    text = f"{_day(begin):%Y-%m-%d}..{_day(begin + days):%Y-%m-%d}"
    asked = {"steps": steps, "warmup": 20, "latency": latency}
    if begin < 20 or days < latency:
        with pytest.raises(UsageError, match=r"no decision fits|made at bar 20|one decision takes"):
            _resolved(text, _panel(begin + days + 1), **asked)
        return
    (span,) = _resolved(text, _panel(begin + days + 1), **asked)
    assert span.first == begin
    assert span.last == (begin + days if steps is None else min(begin + days, begin + steps - 1 + latency))
    assert _resolved(text, _panel(begin + days + 9), **asked) == (span,)


def test_days_are_those_of_the_exchange_and_both_are_inside():
    scheme = scheme_of(["2024-02-01..2024-03-10"], {}, NEW_YORK)
    assert scheme.rule == "windows=2024-02-01T05:00:00Z..2024-03-11T04:00:00Z"  # clocks go forward on 10 March
    assert Window(scheme=scheme).rule == f"start=- end=- steps=- every=1 {scheme.rule}"


@pytest.mark.parametrize(
    ("zone", "starts"),
    [
        *((zone, 0) for zone in ("UTC", "America/New_York", "Asia/Shanghai", "Asia/Tokyo")),  # midnight of Greenwich
        ("America/New_York", 5), ("Asia/Shanghai", -8),  # midnight of the exchange
        ("America/New_York", -3), ("Asia/Shanghai", -17),  # the close of the day before: labelled by their end
    ],
)  # fmt: skip
def test_a_bar_is_of_the_day_in_which_its_middle_lies(zone, starts):
    panel, shift = _panel(60), np.timedelta64(starts, "h")
    moved = Panel.of(["A"], panel.start + shift, panel.end + shift, (panel.close,) * 4, panel.volume, bars_per_year=365)
    window = Window(scheme=scheme_of(["2024-01-25..2024-02-05"], {}, ZoneInfo(zone)))
    assert window.resolve(moved, warmup=20, latency=1) == (Span(24, 35, 1, 1),)


def test_scenes_and_dates_are_one_rule_in_the_order_of_time_and_may_overlap():
    scenes = {"late": ("2024-02-10", "2024-02-20"), "early": ("2024-01-25", "2024-02-12")}
    dates = ["2024-02-10..2024-02-20", "2024-01-25..2024-02-12"]
    ways = [["calendar:late,early"], ["calendar:late", "calendar:early"], dates, ["calendar:late", dates[1]],
            [",".join(dates)]]  # fmt: skip
    assert len({Window(scheme=scheme_of(way, scenes, NEW_YORK)).rule for way in ways}) == 1
    assert _resolved(ways[0], _panel(60), scenes=scenes) == (Span(24, 42, 1, 1), Span(40, 50, 1, 1))


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["0"], "--windows is 0; at least one"),
        (["many"], "--windows many: write a number of windows, rolling:"),
        (["rolling:60"], "write rolling:LENGTH:STRIDE, in decisions and bars: rolling:60:5"),
        (["rolling:6.5:1"], "write rolling:LENGTH:STRIDE"),
        (["disjoint:60:5"], "write disjoint:LENGTH, in decisions: disjoint:60"),
        (["rolling:60:0"], "--windows rolling:60:0: length and stride are whole numbers from 1 on"),
        (["disjoint:-3"], "--windows disjoint:-3: length"),
        (["2", "calendar:early"], "--windows 2 and calendar:early: only scenes and dates can be named together"),
        (["calendar:erly"], "no scene named 'erly'; did you mean early"),
        (["calendar:"], "no scene named ''"),
        (["calendar:early,2024-01-25..2024-02-12"], "the window 2024-01-25..2024-02-12 is asked for twice"),
        (["2024-02-30..2024-03-01"], "'2024-02-30' is not a day"),
        (["9999-12-30..9999-12-31"], "'9999-12-30' is not a day"),
        (["2024-03-01..2024-02-01"], "it ends on 2024-02-01, but it begins on 2024-03-01"),
        (["2024-03-01..."], "'.' is not a day"),
    ],
)  # fmt: skip
def test_windows_that_cannot_be_meant_are_one_sentence(texts, complaint):
    with pytest.raises(UsageError, match=re.escape(complaint)):
        scheme_of(texts, {"early": ("2024-01-25", "2024-02-12")}, NEW_YORK)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rolling:30:5", "a window takes 31 bars, and from the first possible decision on there are 20"),
        ("2020-02-19..2020-04-07", "the window 2020-02-19..2020-04-07 does not lie within the bars, which go from"),
        ("2024-02-01..2024-02-20", "does not lie within the bars"),
        ("2023-12-20..2024-01-31", "does not lie within the bars"),
        ("2024-01-10..2024-01-31", "begins with bar 9, but the first decision can be made at bar 20"),
        ("2024-01-31..2024-01-31", "holds 1 bars, and one decision takes 2"),
        ("calendar:crash", "the scene crash (2020-02-19 to 2020-04-07) does not lie within the bars"),
    ],
)
def test_windows_that_do_not_fit_the_bars_are_one_sentence(text, complaint):
    with pytest.raises(UsageError, match=re.escape(complaint)):
        _resolved(text, _panel(40), scenes={"crash": ("2020-02-19", "2020-04-07")})


def test_recorded_decisions_that_begin_within_a_window_of_dates_do_not_shorten_it():
    window = Window(scheme=scheme_of(["2024-01-25..2024-02-05"], {}, NEW_YORK))
    with pytest.raises(UsageError, match="the first decision can be made at bar 30"):
        window.resolve(_panel(60), warmup=20, latency=1, begins=np.datetime64("2024-02-01T00:00"))


@pytest.mark.parametrize("more", [{"start": _day(1)}, {"end": _day(50)}])
def test_dates_leave_no_room_for_a_start_or_an_end(more):
    with pytest.raises(UsageError, match="leave --start and --end out"):
        Window(scheme=scheme_of(["2024-01-25..2024-02-05"], {}, NEW_YORK), **more)


def test_a_rolling_window_starts_and_ends_where_it_is_told():
    spans = _resolved("rolling:3:4", _panel(60), start=_day(30), end=_day(45))
    assert spans == (Span(29, 32, 1, 1), Span(33, 36, 1, 1), Span(37, 40, 1, 1), Span(41, 44, 1, 1))
