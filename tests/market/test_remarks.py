import pytest

from tradearena.market.dataset import open_dataset

WEEKDAYS = [f"2024-{day}" for day in (
    "01-02", "01-03", "01-04", "01-05", "01-08", "01-09", "01-10", "01-11", "01-12", "01-15", "01-16", "01-17", "01-18",
    "01-19", "01-22", "01-23", "01-24", "01-25", "01-26", "01-29", "01-30", "01-31", "02-01", "02-02", "02-05", "02-06",
)]  # fmt: skip


def _remarks(path, **options):
    return {remark.rule: remark for remark in open_dataset(path, **options).warnings}


def test_clean_bars_with_a_card_have_no_remark(long_csv, bar):
    lines = [bar(day, symbol) for symbol in ("AAA", "BBB") for day in WEEKDAYS]
    assert _remarks(long_csv(lines, 'source = "us"')) == {}


def test_without_a_card_what_is_assumed_is_said(long_csv, bar, days):
    said = _remarks(long_csv([bar(day) for day in days]))
    assert list(said) == ["no card"]
    assert "stamps are read as UTC and as the start of a bar, volume as shares" in str(said["no card"])


def test_an_unadjusted_card_is_remarked(long_csv, bar, days):
    assert "unadjusted" in _remarks(long_csv([bar(day) for day in days], "adjusted = false"))


def test_daily_dates_labelled_at_their_end_are_doubtful(long_csv, bar, days):
    assert "midnight" in _remarks(long_csv([bar(day) for day in days], 'label = "end"'))
    assert "midnight" not in _remarks(long_csv([bar(f"{day} 16:00") for day in days], 'label = "end"'))


def test_a_card_of_another_frequency_is_remarked(long_csv, bar, days):
    said = _remarks(long_csv([bar(day) for day in days], 'frequency = "1w"'))
    assert "the card says 1w, but the most common step is 1d" in str(said["frequency"])


def test_symbols_the_card_does_not_sort_are_counted(long_csv, bar, days):
    lines = [bar(day, f"S{i}") for i in range(8) for day in days]
    said = _remarks(long_csv(lines, '[sectors]\nS0 = "Energy"'))
    assert said["sectors"].count == 7
    assert "(S1, S2, S3, S4, S5, ...)" in str(said["sectors"])


@pytest.mark.parametrize(("close", "count"), [(10.2, 0), (10.20001, 0), (10.21, 1), (9.79, 1)])
def test_a_close_outside_low_and_high_is_counted_beyond_rounding(long_csv, bar, days, close, count):
    lines = [bar(day) for day in days]
    lines[2] = bar(days[2], close=close)
    said = _remarks(long_csv(lines))
    assert said["outside range"].count == count if count else "outside range" not in said


def test_bars_without_volume_are_counted_and_the_first_is_named(long_csv, bar, days):
    lines = [bar(day, volume=0 if i in (1, 3) else 7) for i, day in enumerate(days)]
    said = _remarks(long_csv(lines))
    assert said["zero volume"].count == 2
    assert "prices.csv, line 3, AAA at 2024-01-03" in str(said["zero volume"])
    assert "zero volume" not in _remarks(long_csv(lines), volume_unit="none")


@pytest.mark.parametrize("ratio", [2, 3, 10, 15, 50, 0.5, 1 / 15, 1.5, 2 / 3, 2 * 1.015])
def test_an_overnight_price_of_n_to_one_looks_like_a_split(long_csv, bar, ratio):
    lines = [bar(day, price=100 * (ratio if i >= 9 else 1)) for i, day in enumerate(WEEKDAYS)]
    said = _remarks(long_csv(lines))
    assert said["suspected splits"].count == 1
    assert "2024-01-15" in str(said["suspected splits"])


@pytest.mark.parametrize("ratio", [1, 1.2, 0.8, 1.3, 2.5, 0.72])
def test_an_ordinary_jump_is_no_split(long_csv, bar, ratio):
    lines = [bar(day, price=100 * (ratio if i >= 9 else 1)) for i, day in enumerate(WEEKDAYS)]
    assert "suspected splits" not in _remarks(long_csv(lines))


def test_a_price_that_halves_within_a_session_is_no_split(long_csv, bar):
    stamps = [f"2024-01-0{day}T{hour}:00:00Z" for day in (2, 3, 4) for hour in range(10, 16)]
    inside = [bar(stamp, price=50 if i >= 8 else 100) for i, stamp in enumerate(stamps)]
    overnight = [bar(stamp, price=50 if i >= 6 else 100) for i, stamp in enumerate(stamps)]
    assert "suspected splits" not in _remarks(long_csv(inside))
    assert _remarks(long_csv(overnight))["suspected splits"].count == 1


def test_bars_missing_within_a_symbols_life_are_counted(long_csv, bar):
    lines = [bar(day) for day in WEEKDAYS] + [bar(day, "BBB") for day in WEEKDAYS[3:20] if day != WEEKDAYS[8]]
    said = _remarks(long_csv(lines))
    assert said["gaps"].count == 1
    assert "most in BBB (1)" in str(said["gaps"])


def test_a_day_that_no_symbol_has_is_a_hole_and_a_weekend_is_none(long_csv, bar):
    said = _remarks(long_csv([bar(day) for day in WEEKDAYS if day != "2024-01-17"]))
    assert said["holes"].count == 1
    assert "first after 2024-01-16" in str(said["holes"])


def test_an_hour_that_no_symbol_has_is_a_hole_and_a_night_is_none(long_csv, bar):
    stamps = [f"{day} {hour:02}:30" for day in WEEKDAYS[:12] for hour in range(9, 16)]
    stamps.remove(f"{WEEKDAYS[5]} 12:30")
    said = _remarks(long_csv([bar(stamp) for stamp in stamps]), timezone="America/New_York")
    assert said["holes"].count == 1


def test_daylight_saving_makes_no_hole(long_csv, bar):
    days = [f"2024-03-{day:02}" for day in range(1, 29)]
    for label in (days, [f"{day}T00:00:00Z" for day in days]):
        assert "holes" not in _remarks(long_csv([bar(stamp) for stamp in label], 'timezone = "America/New_York"'))


def test_weekly_bars_have_holes_too(long_csv, bar):
    mondays = [f"2024-01-{day:02}" for day in (1, 8, 15, 22, 29)] + [f"2024-02-{day:02}" for day in (5, 19, 26)]
    mondays += [f"2024-03-{day:02}" for day in (4, 11, 18)]
    said = _remarks(long_csv([bar(day) for day in mondays]))
    assert (said["holes"].count, said["holes"].text[:21]) == (1, "steps longer than 1w ")
