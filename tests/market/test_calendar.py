from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import few

from tradearena.errors import DataError
from tradearena.market.dataset import open_dataset

HEADER = "timestamp,symbol,open,high,low,close,volume\n"
ORIGIN = np.datetime64("2024-03-08T00:00", "us")


def _remark(dataset, rule):
    return next((remark for remark in dataset.warnings if remark.rule == rule), None)


def _times(*texts):
    return np.array(texts, dtype="datetime64[us]").tolist()


def test_bars_labelled_at_their_start_end_where_the_next_one_starts(long_csv, bar):
    stamps = ("2024-01-02 14:30", "2024-01-02 15:30", "2024-01-02 16:00", "2024-01-03 14:30", "2024-01-03 16:00")
    panel = open_dataset(long_csv([bar(s) for s in stamps], 'frequency = "1h"\nlabel = "start"')).panel
    assert panel.start.tolist() == _times(*stamps)
    ends = ("2024-01-02 15:30", "2024-01-02 16:00", "2024-01-02 17:00", "2024-01-03 15:30", "2024-01-03 17:00")
    assert panel.end.tolist() == _times(*ends)


def test_bars_labelled_at_their_end_start_where_the_one_before_ended(long_csv, bar):
    stamps = ("2024-01-02 10:30", "2024-01-02 11:30", "2024-01-02 12:00", "2024-01-03 10:30", "2024-01-03 12:00")
    panel = open_dataset(long_csv([bar(s) for s in stamps], 'frequency = "1h"\nlabel = "end"')).panel
    assert panel.end.tolist() == _times(*stamps)
    starts = ("2024-01-02 09:30", "2024-01-02 10:30", "2024-01-02 11:30", "2024-01-03 09:30", "2024-01-03 11:00")
    assert panel.start.tolist() == _times(*starts)


def test_the_label_can_be_overridden(long_csv, bar, days):
    path = long_csv([bar(day) for day in days])
    assert open_dataset(path, label="end").panel.end[0] == np.datetime64(days[0])
    assert open_dataset(path, label="start").panel.start[0] == np.datetime64(days[0])


def test_daily_bars_of_new_york_do_not_overlap_when_the_clock_changes(long_csv, bar):
    days = [f"2024-{day}" for day in ("03-08", "03-09", "03-10", "03-11", "03-12")]
    panel = open_dataset(long_csv([bar(day) for day in days]), timezone="America/New_York").panel
    assert (panel.start[1:] == panel.end[:-1]).all()
    assert panel.end[2] - panel.start[2] == np.timedelta64(23, "h")


def test_the_intersection_drops_bars_and_counts_them(long_csv, bar, days):
    lines = [bar(day) for day in days] + [bar(day, "BBB") for day in days[1:]] + [bar("2024-01-06", "BTC", 1)]
    lines += [bar(day, "BTC") for day in days]
    dataset = open_dataset(long_csv(lines))
    assert dataset.card.calendar == "intersection"
    assert len(dataset.panel) == 4
    assert dataset.panel.valid.all()
    assert _remark(dataset, "mixed calendars").count == 3
    assert "keeps 4 of 6 bar times" in str(_remark(dataset, "mixed calendars"))


def test_the_union_has_no_bar_where_there_was_none(long_csv, bar, days):
    lines = [bar(day) for day in days] + [bar(day, "BBB") for day in days if day != days[2]]
    dataset = open_dataset(long_csv(lines), calendar="union")
    panel = dataset.panel
    assert panel.valid[:, 1].tolist() == [True, True, False, True, True]
    assert np.isnan(panel.open[2, 1])
    assert (panel.volume[2, 1], panel.mark[2, 1]) == (0, 10)
    assert "1 of 5 bar times of the union lack a symbol" in str(_remark(dataset, "mixed calendars"))


def test_symbols_that_share_no_three_bars_are_refused_with_a_way_out(long_csv, bar, days):
    lines = [bar(day) for day in days] + [bar(f"2024-02-0{d}", "BBB") for d in range(1, 5)]
    with pytest.raises(
        DataError, match=r"the 2 symbols share only 0 bar times.*the shortest is BBB with 4; use the union"
    ):
        open_dataset(long_csv(lines))


def test_fewer_than_three_bars_are_refused(long_csv, bar, days):
    with pytest.raises(DataError, match="only 2 bars of 1 symbols can be used; at least 3"):
        open_dataset(long_csv([bar(day) for day in days[:2]]))


@pytest.mark.parametrize("label", ["start", "end"])
def test_a_union_of_shifted_grids_would_show_closes_too_early_and_is_refused(long_csv, bar, label):
    lines = [bar(f"2024-01-0{d} {h}:30") for d in (2, 3) for h in range(10, 16)]
    lines += [bar(f"2024-01-0{d} {h}:00", "BTC") for d in (2, 3) for h in range(10, 16)]
    with pytest.raises(DataError, match=r"bars of different symbols overlap .*a union needs bars on one grid"):
        open_dataset(long_csv(lines), calendar="union", label=label)


def test_a_daily_union_may_overlap_by_the_hour_of_daylight_saving(long_csv, bar):
    lines = [bar(day) for day in ("2024-03-08", "2024-03-10", "2024-03-12")]
    lines += [bar(day, "BBB") for day in ("2024-03-08", "2024-03-09", "2024-03-11", "2024-03-12")]
    panel = open_dataset(long_csv(lines, 'frequency = "1d"\ntimezone = "America/New_York"'), calendar="union").panel
    assert len(panel) == 5
    assert (panel.start[1:] >= panel.end[:-1]).all()


def test_bars_per_year_are_counted_from_the_dataset_itself(long_csv, bar):
    stamps = [f"2024-01-{d:02} {h}:30" for d in range(1, 32) for h in range(10, 14)]
    panel = open_dataset(long_csv([bar(s) for s in stamps])).panel
    assert panel.bars_per_year == pytest.approx(123 / (30 + 3 / 24) * 365.25)


@pytest.mark.parametrize(
    ("unit", "volume"),
    [("shares", 100), ("units", 100), ("lots of 100", 10_000), ("notional", 12.5), ("none", np.inf)],
)
def test_volume_is_in_shares_whatever_the_file_says(long_csv, bar, days, unit, volume):
    path = long_csv([bar(day, price=8, volume=100) for day in days])
    assert (open_dataset(path, volume_unit=unit).panel.volume == volume).all()


def test_without_volume_a_missing_bar_still_cannot_be_traded(file):
    path = file("date,AAA,BBB\n2024-01-02,1,2\n2024-01-03,1,\n2024-01-04,1,2\n2024-01-05,1,2\n")
    assert open_dataset(path, calendar="union").panel.tradable[:, 1].tolist() == [True, False, True, True]


@st.composite
def series(draw):
    """Bar times of three symbols in quarters of an hour: the first has all, the others some of them."""
    ticks = sorted(draw(st.sets(st.integers(0, 60), min_size=5, max_size=16)))
    return [ticks, *(sorted(draw(st.sets(st.sampled_from(ticks), min_size=3))) for _ in range(2))]


@settings(max_examples=few(15, full=50))
@given(
    series=series(),
    label=st.sampled_from(["start", "end"]),
    frequency=st.sampled_from(["15m", "30m", "1h"]),
    calendar=st.sampled_from(["union", "intersection"]),
    cut=st.integers(20, 64),
)
def test_no_bar_is_visible_before_it_has_ended(series, label, frequency, calendar, cut):
    own = {}
    lines = []
    length = np.timedelta64(int(frequency[:-1]) * (60 if frequency.endswith("h") else 1), "m")
    for name, ticks in zip("ABC", series, strict=True):
        stamps = [ORIGIN + np.timedelta64(15 * tick, "m") for tick in ticks]
        for i, stamp in enumerate(stamps):
            after = min(stamp + length, stamps[i + 1]) if i + 1 < len(stamps) else stamp + length
            own[1 + len(lines)] = after if label == "start" else stamp
            lines.append(f"{stamp}Z,{name}," + ",".join(5 * [str(1 + len(lines))]))
    end = (ORIGIN + np.timedelta64(15 * cut, "m")).item().replace(tzinfo=UTC)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text(HEADER + "\n".join(lines))
        path.with_suffix(".toml").write_text(f'name = "x"\nlabel = "{label}"\nfrequency = "{frequency}"')
        try:
            panel = open_dataset(str(path), calendar=calendar, end=end).panel
        except DataError:
            assume(False)
    assert panel.end[-1] <= np.datetime64(end.replace(tzinfo=None), "us")
    assert (panel.start < panel.end).all()
    assert (panel.start[1:] >= panel.end[:-1]).all()
    for t, n in zip(*np.nonzero(panel.valid), strict=True):
        assert own[int(panel.close[t, n])] <= panel.end[t]


@pytest.mark.parametrize("calendar", ["union", "intersection"])
@pytest.mark.parametrize("label", ["start", "end"])
def test_a_dataset_cut_at_any_moment_is_what_was_visible_then(long_csv, bar, days, label, calendar):
    lines = [
        bar(f"{day} {hour}:00", s, 9 + i) for i, s in enumerate("ABC") for day in days for hour in range(9, 13 - i)
    ]
    path = long_csv(lines, 'frequency = "1h"')
    full = open_dataset(path, label=label, calendar=calendar).panel
    for t in range(2, len(full)):
        cut = open_dataset(path, label=label, calendar=calendar, end=full.end[t].item()).panel
        seen = full.until(t)
        for field in ("start", "end", "open", "high", "low", "close", "volume", "valid", "mark", "returns"):
            np.testing.assert_array_equal(getattr(cut, field), getattr(seen, field))


def test_nothing_is_left_of_a_dataset_cut_before_its_first_bar_ends(long_csv, bar, days):
    with pytest.raises(DataError, match="no bar ends by 2024-01-02T23:59:59Z; the first starts at 2024-01-02"):
        open_dataset(long_csv([bar(day) for day in days]), end=datetime(2024, 1, 2, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize("calendar", ["union", "intersection"])
def test_bars_of_several_lengths_in_one_dataset_are_refused(long_csv, bar, calendar):
    """A daily bar that was taken for one of an hour would show its close 23 hours early."""
    hours = [str(ORIGIN + np.timedelta64(i, "h")).replace("T", " ") for i in range(24 * 25)]
    rows = [bar(each, "HOUR") for each in hours] + [bar(each, "DAY") for each in hours[::24]]
    with pytest.raises(DataError, match=r"the bars of DAY are never closer together than 1440 minutes, .* lasts 60"):
        open_dataset(long_csv(rows, f'calendar = "{calendar}"\nlabel = "start"'))
    seldom = [bar(each, "HOUR") for each in hours] + [bar(each, "DAY") for each in (*hours[::24], hours[1])]
    assert len(open_dataset(long_csv(seldom, f'calendar = "{calendar}"\nlabel = "start"')).panel.symbols) == 2
    alone = [bar(each, "DAY") for each in hours[::24]]
    assert len(open_dataset(long_csv(alone, 'frequency = "1h"\nlabel = "start"')).panel) == 25


def test_a_mistake_in_a_file_with_a_very_long_cell_is_named_by_its_line(tmp_path):
    path = tmp_path / "noted.csv"
    rows = ["2024-01-02,A,1,1,1,1,5," + "x" * 140_000, "2024-01-03,A,1,1,1,-1,5,"]
    path.write_text("\n".join([HEADER.strip() + ",note", *rows]))
    with pytest.raises(DataError, match=r"noted\.csv, line 3, A at 2024-01-03"):
        open_dataset(str(path))
