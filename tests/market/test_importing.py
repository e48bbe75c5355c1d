import csv
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tradearena.errors import DataError, UsageError
from tradearena.market.dataset import open_dataset
from tradearena.market.importing import clean, refuse_corrections, write_import

HEADER = "timestamp,open,high,low,close,volume\n"
LONG = "timestamp,symbol,open,high,low,close,volume\n"


@pytest.fixture
def imported(file):
    """Cleans the text of one CSV file."""

    def run(text, name="AAA.csv", **options):
        return clean(Path(file(text, name)), "x", options)

    return run


def _day(k):
    return str(np.datetime64("2024-01-01") + k)


def _rows(closes, *, volumes=None, low=0.99, high=1.01, stamps=None):
    """One symbol: each bar opens at the close before."""
    lines = []
    for k, close in enumerate(closes):
        opened = closes[max(0, k - 1)]
        wick = (max(opened, close) * high, min(opened, close) * low)
        stamp = stamps[k] if stamps else _day(k)
        lines.append(f"{stamp},{opened},{wick[0]},{wick[1]},{close},{volumes[k] if volumes else 1000 + 7 * k}\n")
    return HEADER + "".join(lines)


def _flat(bars=12, *, low1=None, **changes):
    """Bars around 100, some of them, by number, at another price; the second may have a low of its own."""
    prices = [changes.get(f"at{k}", 100 + 0.1 * (k % 3)) for k in range(bars)]
    lows = [low1 if low1 and k == 1 else x * 0.99 for k, x in enumerate(prices)]
    lines = (f"{_day(k)},{x},{x * 1.01},{lows[k]},{x},{1000 + 7 * k}\n" for k, x in enumerate(prices))
    return HEADER + "".join(lines)


def _said(found):
    return {remark.rule: str(remark) for remark in found.warnings}


def _rules(found):
    return [one.rule for one in found.corrections]


# ---------------------------------------------------------------------- thousands separators


def _cells(cell, volume="100", other="1435.5"):
    return HEADER + "".join(f'2024-01-0{d},{other},{other},{other},"{cell}","{volume}"\n' for d in (2, 3, 4))


@pytest.mark.parametrize(
    ("text", "count", "value"),
    [
        (_cells("1,435.1100"), 3, 1435.11),
        (_cells(" +1,435.1 "), 3, 1435.1),
        (_cells("1,435"), 3, 1435),
        (_cells("1,234,567", other="1234567"), 3, 1234567),
        (_cells("1435", "12,345", other="1435"), 3, 1435),
    ],
)
def test_commas_between_groups_of_three_are_thousands_separators(imported, text, count, value):
    found = imported(text)
    assert _rules(found) == ["thousands separator"] * count
    assert found.panel.close[0, 0] == value


def test_the_cell_is_told_as_it_stood_and_as_it_was_read(imported):
    found = imported(_cells("1,435.1100"), "600519.csv")
    first = found.corrections[0]
    assert (first.symbol, first.time, first.field) == ("600519", "2024-01-02T00:00:00Z", "close")
    assert (first.before, first.after) == ("1,435.1100", "1435.11")


def test_a_single_comma_is_ambiguous_where_no_number_of_the_file_tells_what_it_is(imported):
    with pytest.raises(DataError, match=r"line 2, column 'close': '1,435' may mean 1435 or 1\.435; write which"):
        imported(_cells("1,435", other="1435"))


@pytest.mark.parametrize("cell", ["1,5", "1.435,11", "12,34,567", "0,435", "1,4355"])
def test_a_comma_that_separates_no_thousands_is_refused(imported, cell):
    with pytest.raises(DataError, match=r"line 2, column 'close': '.*' has a comma that separates no thousands"):
        imported(_cells(cell))


def test_what_is_no_number_is_refused_as_ever(imported):
    with pytest.raises(DataError, match=r"line 2, column 'close': '\$5' is not a number"):
        imported(_cells("$5"))


def test_an_opened_dataset_still_refuses_separators_and_says_who_takes_them_out(file):
    with pytest.raises(DataError, match=r"write 1435\.11, or have `tradearena data import` take it out"):
        open_dataset(file(_cells("1,435.11")))


def test_separators_in_a_wide_table_are_told_by_symbol_and_field(imported):
    rows = "".join(f'2024-01-0{d},"1,001.5",7\n' for d in (2, 3, 4))
    found = imported("date,AAA,BBB\n" + rows)
    assert [(one.symbol, one.field) for one in found.corrections] == [("AAA", "close")] * 3
    rows = "".join(f'2024-01-0{d},AAA,"1,001.5",7.5\n' for d in (2, 3, 4))
    found = imported("date,symbol,close,volume\n" + rows)
    assert [(one.symbol, one.field) for one in found.corrections] == [("AAA", "close")] * 3


# ---------------------------------------------------------------------- stamps


def _hours(stamps):
    return _rows([100 + 0.1 * (k % 3) for k in range(len(stamps))], stamps=stamps)


FALL = ["2024-11-03 00:00", "2024-11-03 01:00", "2024-11-03 01:00", "2024-11-03 02:00", "2024-11-03 03:00"]


def test_mixed_stamps_are_refused_unless_somebody_says_which_clock_the_bare_ones_are_on(imported, file):
    text = _hours(["2024-01-02T14:30:00Z", "2024-01-02 15:30", "2024-01-02T16:30:00Z", "2024-01-02T17:30:00Z"])
    with pytest.raises(DataError, match=r"AAA\.csv, line 3, .*has no zone; 1 of 4 stamps .* with --timezone"):
        imported(text)
    assert _rules(imported(text, timezone="UTC")) == ["mixed zones"]
    file('name = "x"\ntimezone = "UTC"', "AAA.toml")
    assert _rules(imported(text)) == ["mixed zones"]
    file('name = "x"', "AAA.toml")
    with pytest.raises(DataError, match="--timezone"):
        imported(text)


def test_offsets_of_several_zones_are_remarked_and_those_of_daylight_saving_are_not(imported):
    day = ["2024-03-08 09:30:00-05:00", "2024-03-11 09:30:00-04:00", "2024-03-12 09:30:00-04:00"]
    assert "mixed zones" not in _said(imported(_hours(day), timezone="America/New_York"))
    said = _said(imported(_hours([*day, "2024-03-13T22:30:00+09:00", "2024-03-14T22:30:00+09:00"])))
    assert "offsets from -05:00 to +09:00, further apart than daylight saving" in said["mixed zones"]


def test_an_hour_that_comes_twice_is_the_first_then_the_second(imported):
    found = imported(_hours(FALL), timezone="America/New_York")
    assert len(found.panel) == 5
    assert [(one.before, one.after) for one in found.corrections] == [
        ("2024-11-03 01:00:00", "2024-11-03T05:00:00Z"),
        ("2024-11-03 01:00:00", "2024-11-03T06:00:00Z"),
    ]


def test_an_hour_that_should_come_twice_and_comes_once_is_the_first(imported):
    found = imported(_hours(FALL[:2] + FALL[3:]), timezone="America/New_York")
    assert found.corrections[0].after == "2024-11-03T05:00:00Z"
    assert "the first of the two" in found.corrections[0].why


def test_an_hour_that_comes_twice_in_a_file_without_order_is_a_contradiction(imported):
    shuffled = [FALL[k] for k in (1, 3, 0, 2, 4)]
    with pytest.raises(DataError, match="contradicts another bar"):
        imported(_hours(shuffled), timezone="America/New_York")


def test_an_hour_that_never_was_is_moved_on(imported):
    stamps = ["2024-03-10 00:30", "2024-03-10 01:30", "2024-03-10 02:30", "2024-03-10 04:30", "2024-03-10 05:30"]
    found = imported(_hours(stamps), timezone="America/New_York")
    (only,) = found.corrections
    assert (only.rule, only.before, only.after) == ("daylight saving", "2024-03-10 02:30:00", "2024-03-10T07:30:00Z")
    assert "skipped by the clock" in only.why


def test_a_date_alone_is_a_day_whatever_the_clock_does_at_midnight(imported):
    days = [f"2018-11-{day:02}" for day in range(1, 9)]
    assert imported(_hours(days), timezone="America/Sao_Paulo").corrections == ()


def test_bare_stamps_that_look_like_utc_of_an_exchange_are_remarked(imported):
    days = ("2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-03-13")
    stamps = [f"{day} {h - (day > '2024-03-10'):02}:30" for day in days for h in range(14, 21)]
    text = _hours(stamps)
    said = _said(imported(text))["daylight saving"]
    assert "sessions of America/New_York: the first bar is at 14:30, and at 13:30 with daylight saving" in said
    assert "which is how they are read" in said
    said = _said(imported(text, timezone="America/New_York"))["daylight saving"]
    assert "but are read on the clock of America/New_York; give --timezone UTC" in said
    local = [f"{day} {h:02}:30" for day in days for h in range(9, 16)]
    assert "daylight saving" not in _said(imported(_hours(local), timezone="America/New_York"))


# ---------------------------------------------------------------------- bad prints


def test_a_low_out_of_the_world_becomes_the_bars_own_body(imported):
    found = imported(_flat(low1=60))
    (only,) = found.corrections
    assert (only.rule, only.field, only.before, only.after) == ("bad print", "low", "60", "100.1")
    assert found.panel.low[1, 0] == 100.1


@pytest.mark.parametrize("low", [95, 85])
def test_a_low_that_markets_have_seen_is_left(imported, low):
    assert imported(_flat(low1=low)).corrections == ()


def test_a_crash_is_no_bad_print(imported):
    prices = [100, 101, 100, 99, 100, 101, 100, 60, 61, 60, 59, 60]
    assert imported(_rows(prices)).corrections == ()


def test_a_spike_that_is_gone_in_the_next_bar_is_dropped(imported):
    found = imported(_flat(at5=210))
    (only,) = found.corrections
    assert (only.rule, only.field, only.after, only.dropped) == ("bad print", "bar", "dropped", True)
    assert only.before == "open 210, high 212.1, low 207.9, close 210, volume 1035"
    assert len(found.panel) == 11


@pytest.mark.parametrize(
    "prices",
    [{"at5": 120}, {"at5": 82}, {"at5": 210, "at6": 210}, {"at0": 210}, {"at11": 210}],
    ids=["up 20 %", "down 18 %", "two bars", "the first", "the last"],
)
def test_a_spike_that_may_be_real_is_left(imported, prices):
    assert imported(_flat(**prices)).corrections == ()


def test_four_bars_are_too_few_to_tell(imported):
    assert imported(_flat(4, at2=210, low1=50)).corrections == ()


# ---------------------------------------------------------------------- units


def _priced(levels, volumes=None):
    """Bars around 12.34 in the unit of each; every bar opens and closes at it."""
    lines = []
    for k, level in enumerate(levels):
        x = round((12.34 + 0.01 * (k % 4)) * level, 4)
        volume = volumes[k] if volumes else 1000 + 7 * k
        lines.append(f"{_day(k)},{x},{x},{x},{x},{volume}\n")
    return HEADER + "".join(lines)


ONE_UNIT = [round(12.34 + 0.01 * (k % 4), 2) for k in range(12)]


@pytest.mark.parametrize(
    "levels",
    [[100] * 5 + [1] * 7, [0.01] * 5 + [1] * 7, [1] * 3 + [100] * 2 + [1] * 7, [1] * 10 + [100] * 2],
    ids=["pence, then pounds", "pounds, then pence", "pence in between", "the last two in pence"],
)
def test_prices_by_a_hundred_come_to_one_unit(imported, levels):
    found = imported(_priced(levels))
    assert found.panel.close[:, 0].tolist() == ONE_UNIT
    assert set(_rules(found)) == {"unit jump"}
    assert len(found.corrections) == 4 * sum(level != 1 for level in levels)


def test_the_last_unit_is_the_standard_if_four_bars_have_it(imported):
    found = imported(_priced([1] * 8 + [100] * 4))
    assert found.panel.close[:, 0].tolist() == [round(100 * x, 2) for x in ONE_UNIT]


@pytest.mark.parametrize("volumes", [[100] * 5 + [10_000] * 7, [0] * 12], ids=["volume against it", "no volume known"])
def test_a_jump_by_a_hundred_that_may_be_a_split_is_said_and_left(imported, volumes):
    found = imported(_priced([100] * 5 + [1] * 7, volumes))
    assert found.corrections == ()
    assert "100 or 1/100 times the close before, which may be splits" in _said(found)["suspected splits"]
    assert "the card says adjusted = false" in _said(found)["unadjusted"]
    assert not found.card.adjusted


def test_more_than_two_units_are_left_and_said(imported):
    found = imported(_priced([10_000] * 4 + [100] * 4 + [1] * 4))
    assert found.corrections == ()
    assert "suspected splits" in _said(found)


def test_an_ordinary_split_is_said_and_left(imported):
    found = imported(_priced([15] * 5 + [1] * 7, [100] * 5 + [1500] * 7))
    assert found.corrections == ()
    assert "suspected splits" in _said(found)
    assert not found.card.adjusted


@pytest.mark.parametrize("factor", [100, 1000, 0.01, 0.001])
def test_volumes_before_a_lasting_jump_come_to_the_unit_after_it(imported, factor):
    units = [round(3000 + 200 * (k % 5), 1) for k in range(12)]
    found = imported(_priced([1] * 12, [round(x * factor, 1) if k < 5 else x for k, x in enumerate(units)]))
    assert found.panel.volume[:, 0].tolist() == units
    assert _rules(found) == ["unit jump"] * 5


@pytest.mark.parametrize(
    ("levels", "volumes"),
    [
        ([1] * 12, [10] * 5 + [300] * 7),
        ([1] * 12, [10] * 3 + [1000] * 9),
        ([1] * 12, [10] * 5 + [1000] * 3 + [10] * 4),
        ([1] * 12, [10, 11, 10, 500, 12, 1000, 1100, 20, 1000, 900, 1000, 1000]),
        ([80] * 5 + [1] * 7, [10] * 5 + [1000] * 7),
        ([1] * 7, [10] * 3 + [1000] * 4),
    ],
    ids=["by 30", "three bars", "it goes back", "bars in doubt", "the price against it", "too few"],
)
def test_another_jump_of_the_volume_is_left(imported, levels, volumes):
    found = imported(_priced(levels, volumes))
    assert [one.field for one in found.corrections if one.field == "volume"] == []


def test_news_that_move_price_and_volume_are_no_change_of_unit(imported):
    calm = [100 + 0.1 * (k % 3) for k in range(16)]
    volumes = [10 + k % 3 for k in range(16)] + [1000, 1100, 900, 1000]
    assert imported(_rows([*calm, 130, 115, 150, 120], volumes=volumes, low=1, high=1)).corrections == ()
    quiet = imported(_rows([*calm, *calm[1:5]], volumes=volumes, low=1, high=1))
    assert _rules(quiet) == ["unit jump"] * 16


def test_quiet_hours_after_the_session_are_no_change_of_unit(imported):
    hours = {14: 2_000_000, 15: 3_000_000, 16: 2_500_000, 17: 9_000_000, 21: 25_000, 22: 30_000, 23: 20_000, 24: 90_000}
    stamps = [f"2024-01-0{d + h // 24} {h % 24:02}:00" for d in (2, 3) for h in hours]
    volumes = list(hours.values()) * 2
    assert imported(_rows([100.0] * 8, stamps=stamps[:8], volumes=volumes[:8])).corrections == ()
    assert imported(_rows([100.0] * 16, stamps=stamps, volumes=volumes)).corrections == ()


# ---------------------------------------------------------------------- what is written


def _listed(folder):
    with (folder / "corrections.csv").open(newline="") as text:
        return list(csv.DictReader(text))


def test_the_list_says_where_what_and_why(imported, tmp_path):
    text = _flat(at5=210) + "2024-01-13,100,,,,\n" + "\n" + "2024-01-06,210,212.1,207.9,210,1035\n"
    folder = write_import(imported(text), tmp_path / "made")
    rows = _listed(folder)
    assert [(row["rule"], row["file"], row["line"], row["after"]) for row in rows] == [
        ("unfinished", "AAA.csv", "14", "dropped"),
        ("duplicates", "AAA.csv", "16", "dropped"),
        ("bad print", "AAA.csv", "7", "dropped"),
    ]
    assert rows[0] | {"why": ""} == {
        "rule": "unfinished", "file": "AAA.csv", "line": "14", "symbol": "AAA", "time": "2024-01-13T00:00:00Z",
        "field": "bar", "before": "open 100", "after": "dropped", "why": "",
    }  # fmt: skip
    assert all(row["why"] for row in rows)


def test_clean_bars_have_an_empty_list_with_a_header(imported, tmp_path):
    folder = write_import(imported(_flat()), tmp_path / "made")
    assert (folder / "corrections.csv").read_text() == "rule,file,line,symbol,time,field,before,after,why\n"


def test_the_card_carries_what_was_stated_and_what_was_inferred(file, tmp_path):
    file('name = "theirs"\nsource = "us"\ndescription = "Old bars"\n[sectors]\nAAA = "Energy"\n', "AAA.toml")
    path = Path(file(_flat(), "AAA.csv"))
    found = clean(path, "mine", {"timezone": "Asia/Tokyo", "licence": "CC0-1.0"})
    card = open_dataset(str(write_import(found, tmp_path / "made"))).card
    assert (card.name, card.source, card.licence, card.timezone) == ("mine", "us", "CC0-1.0", "Asia/Tokyo")
    assert (card.frequency, card.calendar, card.adjusted, card.sectors) == (
        "1d",
        "intersection",
        True,
        {"AAA": "Energy"},
    )
    digest = sha256(path.read_bytes()).hexdigest()
    assert card.description == f"Old bars; imported from AAA.csv (sha256 {digest}), 0 corrections"
    assert str(tmp_path) not in (tmp_path / "made" / "card.toml").read_text()


def test_many_files_are_named_by_the_digest_of_their_list(file):
    for k in range(9):
        path = Path(file(_flat(), f"set/S{k}.csv"))
    listed = "".join(f"{sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in sorted(path.parent.iterdir()))
    text = clean(path.parent, "x", {}).card.description
    assert text is not None
    assert f"9 files (sha256 of their sha256sum list {sha256(listed.encode()).hexdigest()})" in text


@pytest.mark.parametrize("unit", ["shares", "lots of 100", "notional", "none"])
def test_volumes_read_back_in_their_unit(imported, tmp_path, unit):
    found = imported(_flat(), volume_unit=unit)
    read = open_dataset(str(write_import(found, tmp_path / "made")))
    assert (read.panel.digest, read.card.volume_unit) == (found.panel.digest, unit)


def test_symbols_without_a_volume_beside_others_read_back_alike(file, tmp_path):
    file(_flat(), "set/AAA.csv")
    path = Path(file("".join(f"{line.rpartition(',')[0]}\n" for line in _flat().splitlines()), "set/BBB.csv"))
    found = clean(path.parent, "x", {})
    read = open_dataset(str(write_import(found, tmp_path / "made")))
    assert read.panel.digest == found.panel.digest
    assert np.isinf(read.panel.volume).any(axis=0).tolist() == [False, True]


def test_closes_alone_read_back_without_a_volume(imported, tmp_path):
    found = imported("date,AAA,BBB\n" + "".join(f"{_day(k)},{k + 1},2\n" for k in range(5)))
    assert {"closes only", "no volume"} <= set(_said(found))
    folder = write_import(found, tmp_path / "made")
    assert sorted(path.name for path in folder.iterdir()) == ["bars.parquet", "card.toml", "corrections.csv"]
    assert open_dataset(str(folder)).panel.digest == found.panel.digest


def test_an_import_opens_without_remarks_on_what_was_corrected(imported, tmp_path):
    found = imported(_flat(at5=210) + "2024-01-13,100,,,,\n", timezone="America/New_York")
    read = open_dataset(str(write_import(found, tmp_path / "made")))
    assert read.warnings == ()


# ---------------------------------------------------------------------- what is refused


def test_strict_names_the_first_correction_and_counts_all(imported):
    found = imported(_flat(at5=210) + "2024-01-13,100,,,,\n")
    with pytest.raises(DataError) as caught:
        refuse_corrections(found)
    said = str(caught.value)
    assert "AAA.csv, line 14, AAA at 2024-01-13T00:00:00Z: unfinished: the bar would be dropped" in said
    assert "it is the first of 2; correct the source, or leave out --strict" in said
    with pytest.raises(DataError, match=r"low 60 would become 100\.1 \(beyond every open and close.*\); correct the"):
        refuse_corrections(imported(_flat(low1=60)))


def test_strict_lets_clean_bars_pass(imported):
    refuse_corrections(imported(_flat()))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("2024-01-02,0,1,1,1,5", "a price is not positive"),
        ("2024-01-02,100,101,0,100,5", "a price is not positive"),
        ("2024-01-02,1,,1,1,5", "missing or not finite"),
        ("2024-01-02,1,1,2,1,5", "the high is below the low"),
        ("2024-01-02,1,1,1,1,-5", "the volume is negative"),
        ("2024-01-01,1,1,1,1,5", "it contradicts another bar"),
    ],
)
def test_bars_that_break_a_hard_rule_are_refused_as_ever(imported, row, rule):
    lines = _flat().splitlines()
    lines[2] = row
    with pytest.raises(DataError, match=rf"AAA\.csv, line 3, AAA at .*{rule}"):
        imported("\n".join(lines))


def test_a_file_without_bars_and_an_option_that_no_card_could_hold_are_refused(imported):
    with pytest.raises(DataError, match="there are no bars in it"):
        imported(HEADER)
    with pytest.raises(UsageError, match="--label: "):
        imported(_flat(), label="middle")


def test_nothing_is_overwritten_and_nothing_half_is_left(imported, tmp_path):
    found = imported(_flat())
    room = tmp_path / "room"
    folder = write_import(found, room / "made")
    with pytest.raises(UsageError, match="made is there already; choose another name, or remove it first"):
        write_import(found, folder)
    with pytest.raises(AttributeError):
        write_import(replace(found, corrections=(None,)), room / "broken")
    assert [path.name for path in room.iterdir()] == ["made"]


def test_a_place_that_cannot_be_written_is_a_usage_error(imported, file):
    with pytest.raises(UsageError, match=r"cannot be written: .*; choose another place"):
        write_import(imported(_flat()), Path(file("", "plain.txt")) / "made")


def _bars(tmp_path, rows, head="date,open,high,low,close,volume"):
    path = tmp_path / "A.csv"
    path.write_text("\n".join([head, *rows]))
    return path


def _calm(n=40):
    days = np.datetime64("2024-01-01") + np.arange(n)
    return [[str(day), 100.0, 101.0, 99.0, 100.5, 5000 + 10 * i] for i, day in enumerate(days)]


@pytest.mark.parametrize("wrong", [{4: 10_050.0}, {4: 10_050.0, 2: 10_100.0}, {1: 1.0, 3: 0.99}])
def test_one_mistyped_price_moves_no_other_bar(tmp_path, wrong):
    rows = _calm()
    for column, value in wrong.items():
        rows[20][column] = value
    found = clean(_bars(tmp_path, [",".join(map(str, row)) for row in rows]), "x", {"timezone": "UTC"})
    assert len({one.row for one in found.corrections}) <= 1
    assert not any(one.rule == "unit jump" for one in found.corrections)


def test_points_before_three_digits_are_no_proof_of_decimals(tmp_path):
    rows = [f"2024-01-{d:02d};99,920;99,990;99,810;99,870;9.804" for d in range(1, 9)]
    with pytest.raises(DataError, match=r"'99,920' may mean 99920 or 99\.920; write which"):
        clean(_bars(tmp_path, rows, "date;open;high;low;close;volume"), "x", {})


def test_a_volume_beside_no_price_is_no_bar(tmp_path):
    rows = [f"2024-01-{d:02d},10,11,9,10,500" for d in range(1, 9)]
    rows[4] = '2024-01-05,,,,,"1,200"'
    found = clean(_bars(tmp_path, rows, "date,A_open,A_high,A_low,A_close,A_volume"), "x", {"timezone": "UTC"})
    assert len(found.bars) == 7
