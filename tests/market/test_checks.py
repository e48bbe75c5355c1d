import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tradearena.errors import DataError
from tradearena.market.checks import sift
from tradearena.market.dataset import open_dataset
from tradearena.market.reading import read_bars


def _remark(dataset, rule):
    found = [remark for remark in dataset.warnings if remark.rule == rule]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"high": 9.0}, "the high is below the low"),
        ({"low": -1}, "a price is not positive"),
        ({"open": "0.0"}, "a price is not positive"),
        ({"volume": -5}, "the volume is negative"),
        ({"volume": ""}, "a value is missing or not finite"),
        ({"volume": "inf"}, "a value is missing or not finite"),
        ({"volume": "-inf"}, "a value is missing or not finite"),
        ({"close": "inf"}, "a value is missing or not finite"),
    ],
)
def test_a_bar_that_breaks_a_hard_rule_is_named_by_line_symbol_and_values(long_csv, bar, days, change, rule):
    lines = [bar(day, symbol) for symbol in ("AAA", "BBB") for day in days]
    lines[6] = bar(days[1], "BBB", **change)
    with pytest.raises(DataError) as caught:
        open_dataset(long_csv(lines))
    message = str(caught.value)
    assert "prices.csv, line 8, BBB at 2024-01-03T00:00:00Z" in message
    assert rule in message
    assert re.search(r"\(open .*, high .*, low .*, close .*, volume .*\)", message)


def test_every_further_bar_that_breaks_the_rule_is_counted(long_csv, bar, days):
    with pytest.raises(DataError, match="so do 4 more"):
        open_dataset(long_csv([bar(day, volume=-1) for day in days]))


def test_two_different_bars_of_one_moment_contradict_each_other(long_csv, bar, days):
    lines = [*(bar(day) for day in days), bar(days[1], price=11)]
    with pytest.raises(DataError, match=r"line 7, AAA at 2024-01-03.*contradicts another bar"):
        open_dataset(long_csv(lines))


def test_bars_of_two_files_may_contradict_each_other(file, bar, days):
    header = "timestamp,symbol,open,high,low,close,volume\n"
    file(header + "\n".join(bar(day) for day in days), "set/a.csv")
    path = file(header + bar(days[0], price=12), "set/b.csv")
    with pytest.raises(DataError, match=r"b\.csv, line 2"):
        open_dataset(str(Path(path).parent))


def test_exact_copies_are_dropped_and_counted(long_csv, bar, days):
    dataset = open_dataset(long_csv([bar(day) for day in (*days, days[0], days[0])]))
    assert len(dataset.panel) == len(days)
    assert _remark(dataset, "duplicates").count == 2


def _hours(bar, *, days=4, symbols=("AAA", "BBB"), minute=30):
    return [
        bar(f"2024-01-0{d}T{h}:{minute:02}:00Z", s) for s in symbols for d in range(2, 2 + days) for h in range(14, 21)
    ]


def test_live_quotes_off_the_grid_are_dropped_and_counted(long_csv, bar):
    quotes = [bar(f"2024-01-08T14:3{i}:28Z", symbol, volume=0) for i, symbol in enumerate(("AAA", "BBB"))]
    dataset = open_dataset(long_csv(_hours(bar) + quotes))
    assert dataset.card.frequency == "1h"
    assert len(dataset.panel) == 28
    assert _remark(dataset, "off grid").count == 2
    assert _remark(dataset, "zero volume") is None


def test_two_offsets_that_both_come_back_are_both_on_the_grid(long_csv, bar):
    stamps = [f"2024-01-0{day} {hour}" for day in range(2, 6) for hour in ("10:30", "11:30", "14:00", "15:00")]
    dataset = open_dataset(long_csv([bar(stamp) for stamp in stamps], 'label = "end"\ntimezone = "Asia/Shanghai"'))
    assert (dataset.card.frequency, len(dataset.panel)) == ("1h", 16)


def test_a_symbol_with_a_grid_of_its_own_is_kept(long_csv, bar):
    odd = [bar(f"2024-01-02T{hour}:45:00Z", "ODD") for hour in (14, 15)]
    path = Path(long_csv(_hours(bar, symbols=[f"S{i}" for i in range(20)]) + odd))
    bars, _ = read_bars([path], ZoneInfo("UTC"))
    kept, remarks = sift(bars, np.timedelta64(3600, "s"))
    assert len(kept) == len(bars)
    assert remarks == []


@pytest.mark.parametrize("stamp", ["{} 00:00:00", "{}", "{}T00:00:00{z}"])
def test_daylight_saving_moves_no_daily_bar_off_the_grid(long_csv, bar, stamp):
    days = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11")
    stamps = [stamp.format(day, z="-04:00" if day == "2024-03-11" else "-05:00") for day in days]
    dataset = open_dataset(long_csv([bar(s) for s in stamps], 'timezone = "America/New_York"'))
    assert len(dataset.panel) == 6
    assert dataset.panel.start[-1] == np.datetime64("2024-03-11T04:00")


def test_a_last_bar_with_an_open_only_is_dropped_and_counted(long_csv, bar, days):
    lines = [bar(day, symbol) for symbol in ("AAA", "BBB") for day in days]
    dataset = open_dataset(long_csv([*lines, "2024-01-09,AAA,10,,,,"]))
    assert len(dataset.panel) == len(days)
    assert _remark(dataset, "unfinished").count == 1


def test_an_open_without_a_close_is_refused_anywhere_else(long_csv, bar, days):
    lines = [bar(day) for day in days]
    lines[2] = f"{days[2]},AAA,10,,,,"
    with pytest.raises(DataError, match=r"line 4, AAA .*missing"):
        open_dataset(long_csv(lines))


def test_one_bar_per_symbol_has_no_frequency(long_csv, bar, days):
    with pytest.raises(DataError, match="no symbol has two bars; at least 3 are needed"):
        open_dataset(long_csv([bar(days[0]), bar(days[1], "BBB")]))


def test_steps_below_a_second_are_no_bars(long_csv, bar):
    with pytest.raises(DataError, match="most common step between bars is no bar length"):
        open_dataset(long_csv([bar(f"2024-01-02T14:30:00.{i}00Z") for i in range(5)]))


def test_the_frequency_is_the_most_common_step_within_a_symbol(long_csv, bar):
    stamps = [f"2024-01-02T14:{minute:02}:00Z" for minute in (0, 5, 10, 15, 35, 40)]
    assert open_dataset(long_csv([bar(stamp) for stamp in stamps])).card.frequency == "5m"


@pytest.mark.parametrize("symbol", ["A,B", "A + B", "A\tB", "A\u200bB"])
def test_a_symbol_that_could_stand_in_no_table_is_refused(long_csv, bar, days, symbol):
    with pytest.raises(
        DataError, match=r"prices\.csv: the symbol .* has a comma, ' \+ ' or a control character; rename it"
    ):
        open_dataset(long_csv([bar(day, f'"{symbol}"') for day in days]))
