from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.market.clock import instant, to_local, to_utc
from tradearena.market.dataset import open_dataset
from tradearena.market.reading import read_bars

NEW_YORK = ZoneInfo("America/New_York")
ZONES = ("America/New_York", "Asia/Shanghai", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")


def _times(*texts):
    return np.array(texts, dtype="datetime64[us]")


@given(
    st.lists(st.integers(-(10**9), 2 * 10**9), min_size=1, max_size=20),
    st.sampled_from(ZONES),
)
def test_a_local_stamp_that_is_not_doubtful_comes_back_from_utc(stamps, name):
    local = np.array(stamps).astype("datetime64[s]").astype("datetime64[us]")
    utc, doubtful = to_utc(local, ZoneInfo(name))
    assert (to_local(utc, ZoneInfo(name))[~doubtful] == local[~doubtful]).all()


def test_a_stamp_that_occurs_twice_is_the_first_and_one_that_never_occurs_is_moved_on():
    utc, doubtful = to_utc(_times("2024-11-03T01:30", "2024-03-10T02:30", "2024-03-10T03:30"), NEW_YORK)
    assert utc.tolist() == _times("2024-11-03T05:30", "2024-03-10T07:30", "2024-03-10T07:30").tolist()
    assert doubtful.tolist() == [True, True, False]


def test_doubtful_stamps_are_remarked(file):
    rows = "".join(f"2024-03-{day} 02:30,{day}\n" for day in ("08", "09", "10", "11"))
    path = file("date,AAA\n" + rows)
    remarks = {r.rule: r for r in open_dataset(path, timezone="America/New_York").warnings}
    assert remarks["daylight saving"].count == 1
    assert "America/New_York: 1" in str(remarks["daylight saving"])


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2024-07-01 09:30:00", "2024-07-01T13:30"),
        ("2024-01-02 09:30", "2024-01-02T14:30"),
        ("2024-01-02T09:30:00Z", "2024-01-02T09:30"),
        ("2024-01-02T09:30:00.000000Z", "2024-01-02T09:30"),
        ("2024-01-02 09:30:00+00:00", "2024-01-02T09:30"),
        ("2024-01-02 09:30:00-0500", "2024-01-02T14:30"),
        ("2024-01-02 09:30:00+05:30", "2024-01-02T04:00"),
        ("2024-01-02 09:30:00+08", "2024-01-02T01:30"),
        ("2024-01-02 09:30:00 UTC", "2024-01-02T09:30"),
        ("2024-01-02 09:30:00 Asia/Tokyo", "2024-01-02T00:30"),
        ("2024-01-02", "2024-01-02T05:00"),
    ],
)
def test_only_stamps_without_a_zone_are_read_on_the_exchanges_clock(file, stamp, utc):
    bars, _ = read_bars([Path(file(f"date,AAA\n{stamp},1\n"))], NEW_YORK)
    assert bars.stamp[0] == np.datetime64(utc)


def test_an_instant_without_a_zone_is_utc():
    assert instant(datetime.fromisoformat("2024-01-02")) == instant(datetime(2024, 1, 2, tzinfo=UTC))
    assert instant(datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))) == np.datetime64("2024-01-02T01:00")
