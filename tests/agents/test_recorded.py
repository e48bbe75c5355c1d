"""Recorded decisions: a row applies at the first bar that ends at or after its stamp, and nothing in it is made up."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import FREE, TIGHT, episode, plan, walk

from tradearena.agents.card import open_agent
from tradearena.agents.recorded import read_recording
from tradearena.errors import DataError, UsageError
from tradearena.market.clock import to_utc
from tradearena.stamps import Clock

# Bar t of these panels ends on the second of January 2024 plus t days, at midnight UTC.
SYMBOLS = ("S0", "S1", "S2", "S3", "S4")
DAYS = Clock("UTC", daily=True)


def ends(t, hours=0.0):
    """A stamp that many hours from the end of bar t."""
    return (pd.Timestamp("2024-01-02", tz="UTC") + pd.Timedelta(days=t, hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def csv(tmp_path):
    """Writes a CSV file from lines."""

    def write(*lines, name="mine.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    """Writes a Parquet file from a query."""

    def write(query, name="mine.parquet"):
        path = tmp_path / name
        duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return path

    return write


def play(path, *, bars=40, first=20, every=1, clock=DAYS, policy=FREE):
    """The steps of an episode of recorded decisions, by bar."""
    candidate = open_agent(f"decisions:{path}", clock=clock)
    return {step.t: step for step in episode(candidate, walk(1, bars), policy, first=first, every=every).steps}


def asked(steps):
    """Bar -> target of the steps that do not keep."""
    return {t: step.decision.target.tolist() for t, step in steps.items() if step.decision.target is not None}


# ---------------------------------------------------------------------- when a row applies


def test_a_row_applies_at_the_first_bar_that_ends_at_or_after_its_stamp(csv):
    path = csv(
        "timestamp,symbol,weight",
        f"{ends(21)},S0,0.1",  # to the second
        f"{ends(23, 1)},S1,0.2",  # an hour late for 23
        f"{ends(26, -1)},S2,0.3",  # an hour early for 26
    )
    assert asked(play(path)) == {21: [0.1, 0, 0, 0, 0], 24: [0, 0.2, 0, 0, 0], 26: [0, 0, 0.3, 0, 0]}


def test_bars_without_a_row_keep_the_position_and_that_is_no_fault(csv):
    steps = play(csv("timestamp,S0", f"{ends(21)},0.5"))
    assert {t: step.decision.status for t, step in steps.items()} == dict.fromkeys(range(20, 39), "ok")
    kept = steps[30]
    assert kept.decision.target is None
    assert kept.decision.rationale == ""
    assert kept.report.intent is kept.account.committed or (kept.report.intent == kept.account.committed).all()
    assert not kept.report.findings


@pytest.mark.parametrize("every", [1, 2, 3, 5, 7])
def test_of_several_rows_between_two_decisions_the_latest_wins(csv, every):
    rows = [f"{ends(t, -2)},{t / 100}" for t in range(15, 38)]
    steps = play(csv("timestamp,S0", *rows), every=every)
    assert asked(steps) == {t: [min(t, 37) / 100, 0, 0, 0, 0] for t in range(20, 39, every) if t - every < 37}


def test_a_row_that_no_decision_falls_on_is_acted_on_at_the_next_decision_only(csv):
    steps = play(csv("timestamp,S0", f"{ends(22)},0.5"), every=5)
    assert asked(steps) == {25: [0.5, 0, 0, 0, 0]}


@settings(max_examples=25)
@given(
    stamps=st.lists(st.integers(15 * 24, 45 * 24), min_size=1, max_size=15, unique=True),
    every=st.integers(1, 6),
)
def test_every_decision_repeats_the_last_row_since_the_decision_before(tmp_path_factory, stamps, every):
    path = tmp_path_factory.mktemp("rows") / "mine.csv"
    path.write_text("timestamp,S0\n" + "".join(f"{ends(0, hours)},{hours}\n" for hours in stamps))
    expected, before = {}, -1
    for t in range(20, 39, every):
        due = [hours for hours in stamps if before * 24 < hours <= t * 24]
        if due:
            expected[t] = [max(due), 0, 0, 0, 0]
        before = t
    assert asked(play(path, every=every)) == expected


def test_the_first_row_decides_where_the_episode_starts(csv):
    early, late = csv("timestamp,S0", f"{ends(3)},0.5"), csv("timestamp,S0", f"{ends(31, -3)},0.5", name="late.csv")
    panel = walk(1, 60)
    assert plan(panel, open_agent(f"decisions:{early}")).span.first == 3  # a recorded agent needs no warm-up
    assert plan(panel, open_agent(f"decisions:{late}")).span.first == 31
    with pytest.raises(UsageError, match="no decision fits: the first on record was made by 2024-02-01T21:00:00Z, and"):
        plan(first := walk(1, 30), open_agent(f"decisions:{late}")).span  # noqa: B018
    assert len(first) == 30


def test_an_episode_may_start_at_the_first_bar_there_is(csv):
    steps = play(csv("timestamp,S0", "2023-01-01,0.5"), first=0, policy=TIGHT)
    assert list(steps) == list(range(39))
    assert list(asked(steps)) == [0]
    assert steps[0].short


def test_rows_from_before_the_first_decision_are_in_force_at_it(csv):
    assert asked(play(csv("timestamp,S0", f"{ends(2)},0.1", f"{ends(9)},0.4"))) == {20: [0.4, 0, 0, 0, 0]}


# ---------------------------------------------------------------------- stamps


@pytest.mark.parametrize(
    ("stamp", "zone", "bar"),
    [
        ("2024-01-22", "UTC", 21),  # a date is its day
        ("2024-01-22", "America/New_York", 21),  # where the day's bar ends at 19:00
        ("2024-01-22", "Asia/Shanghai", 21),
        ("2024-01-22", "Pacific/Auckland", 20),  # where the bar before ends at 13:00
        ("2024-01-23 00:00:00", "UTC", 21),
        ("2024-01-23 00:00:01", "UTC", 22),
        ("2024-01-22 19:00:00", "America/New_York", 21),  # midnight UTC
        ("2024-01-22 19:00:01", "America/New_York", 22),
        ("2024-01-22T19:00", "America/New_York", 21),
        ("2024-01-23 08:00:00", "Asia/Shanghai", 21),
        ("2024-01-23T00:00:00Z", "America/New_York", 21),  # a stamp with a zone is never shifted
        ("2024-01-23T00:00:00+00:00", "Asia/Shanghai", 21),
        ("2024-01-23 08:00:00+08", "America/New_York", 21),
        ("2024-01-22 19:00:00-0500", "UTC", 21),
    ],
)
def test_stamps_without_a_zone_are_read_in_the_datasets_and_others_as_they_are(csv, stamp, zone, bar):
    assert list(asked(play(csv("timestamp,S0", f"{stamp},0.5"), clock=Clock(zone, daily=True)))) == [bar]


def test_summer_time_is_the_exchanges(csv):
    path = csv("timestamp,S0", "2024-03-08 16:00,1", "2024-03-11 16:00,2")  # the clock changed on the tenth
    times = read_recording(path, Clock("America/New_York")).times
    assert times.tolist() == [pd.Timestamp("2024-03-08 21:00"), pd.Timestamp("2024-03-11 20:00")]


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2024-11-03 01:30", "2024-11-03 05:30"),  # occurs twice: the first of the two
        ("2024-03-10 02:30", "2024-03-10 07:30"),  # never occurs: the offset before the change
    ],
)
def test_doubtful_stamps_are_read_as_those_of_bars_are(csv, stamp, utc):
    (time,) = read_recording(csv("timestamp,S0", f"{stamp},1"), Clock("America/New_York")).times.tolist()
    assert time == pd.Timestamp(utc)
    zone = ZoneInfo("America/New_York")
    assert to_utc(np.array([stamp.replace(" ", "T")], dtype="datetime64[us]"), zone)[0].tolist() == [time]


@pytest.mark.parametrize("stamp", ["infinity", "-infinity", "20240-01-01 10:00:00"])
def test_a_stamp_beyond_the_calendar_is_unreadable(csv, stamp):
    with pytest.raises(DataError, match="row 1: cannot read the timestamp"):
        read_recording(csv("timestamp,S0", f"{stamp},1"), DAYS)


@pytest.mark.parametrize("stamp", ["TIMESTAMPTZ '2024-01-23 00:00:00+00'", "TIMESTAMP '2024-01-22 19:00:00'"])
def test_parquet_stamps_mean_the_same_as_their_text(parquet, stamp):
    path = parquet(f"SELECT {stamp} AS timestamp, 'S0' AS symbol, 0.5::DOUBLE AS weight")
    assert list(asked(play(path, clock=Clock("America/New_York", daily=True)))) == [21]


@pytest.mark.parametrize(("daily", "time"), [(True, "2024-01-22 17:00"), (False, "2024-01-23 05:00")])
def test_a_date_is_its_noon_to_bars_of_a_day_and_its_end_to_shorter_ones(csv, parquet, daily, time):
    clock = Clock("America/New_York", daily)
    for path in (parquet("SELECT DATE '2024-01-22' AS date, 0.5 AS \"S0\""), csv("date,S0", "2024-01-22,0.5")):
        assert read_recording(path, clock).times.tolist() == [pd.Timestamp(time)]


def test_the_ending_of_a_file_may_be_in_capitals(parquet):
    path = parquet("SELECT DATE '2024-01-22' AS date, 0.5 AS \"S0\"", "MINE.PARQUET")
    assert list(asked(play(path))) == [21]


@pytest.mark.parametrize("name", ["timestamp", "Timestamp", "time", "date", "DateTime"])
def test_the_stamp_may_have_any_of_its_usual_names(csv, name):
    assert list(asked(play(csv(f"{name},S0", f"{ends(21)},0.5")))) == [21]


def test_a_stamp_that_cannot_be_read_is_named_by_row(csv):
    with pytest.raises(DataError, match=r"mine\.csv, row 2: cannot read the timestamp 'yesterday'"):
        read_recording(csv("timestamp,S0", f"{ends(21)},0.5", "yesterday,0.5"), DAYS)


def test_a_symbol_may_be_called_like_a_stamp_and_a_second_stamp_is_refused(csv):
    path = csv("timestamp,TIME,DATE", f"{ends(21)},0.5,", f"{ends(24)},0.25,1e-1")
    assert read_recording(path, DAYS).weights == ((("TIME", "0.5"),), (("TIME", "0.25"), ("DATE", "1e-1")))
    with pytest.raises(DataError, match=r"mine\.csv: the columns date and time both say when; write one stamp"):
        read_recording(csv("date,time,S0", "2024-01-22,09:30,0.5"), DAYS)


# ---------------------------------------------------------------------- what a row says


def test_long_and_wide_csv_and_parquet_files_say_the_same(csv, parquet):
    rows = [(ends(21), 0.25, 0.5, "up"), (ends(24), 0.0, 1.0, "down")]
    long = csv(
        "timestamp,symbol,weight,rationale,confidence",
        *(line for t, a, b, why in rows for line in (f"{t},S0,{a},{why},0.5", f"{t},S1,{b},{why},0.5")),
    )
    wide = csv("timestamp,S0,S1,rationale,confidence", *(f"{t},{a},{b},{w},0.5" for t, a, b, w in rows), name="w.csv")
    files = [
        long,
        wide,
        parquet(f"FROM read_csv('{long}')", "l.parquet"),
        parquet(f"FROM read_csv('{wide}')", "w.parquet"),
    ]
    steps = [play(path) for path in files]
    assert asked(steps[0]) == {21: [0.25, 0.5, 0, 0, 0], 24: [0, 1.0, 0, 0, 0]}
    for other in steps:
        assert asked(other) == asked(steps[0])
        assert [other[t].decision.rationale for t in (21, 24)] == ["up", "down"]
        assert [other[t].decision.confidence for t in (21, 24)] == [0.5, 0.5]


def test_rows_need_not_be_in_order(csv):
    path = csv("timestamp,symbol,weight", f"{ends(25)},S0,2", f"{ends(21)},S0,1", f"{ends(25)},S1,3")
    assert asked(play(path)) == {21: [1, 0, 0, 0, 0], 25: [2, 3, 0, 0, 0]}


def test_a_symbol_without_a_weight_means_nought(csv):
    steps = play(csv("timestamp,S0,S1", f"{ends(21)},0.5,0.5", f"{ends(24)},,0.5"))
    assert asked(steps)[24] == [0, 0.5, 0, 0, 0]


def test_a_row_that_states_no_weight_keeps_the_position_and_its_words(csv):
    steps = play(csv("timestamp,S0,S1,rationale", f"{ends(21)},0.5,0.5,buy", f"{ends(24)},,,wait and see"))
    assert list(asked(steps)) == [21]
    assert (steps[24].decision.status, steps[24].decision.rationale) == ("ok", "wait and see")
    assert steps[24].report.approved.sum() == pytest.approx(1.0, abs=0.05)


def test_an_unknown_symbol_is_set_aside_and_audited(csv):
    steps = play(csv("timestamp,S0,NVDA", f"{ends(21)},0.5,0.3"))
    decision, report = steps[21].decision, steps[21].report
    assert decision.target.tolist() == [0.5, 0, 0, 0, 0]
    assert decision.stray == (("NVDA", "0.3"),)
    assert [(f.rule, f.name, f.proposed) for f in report.findings] == [("validity", "NVDA", 0.3)]


@pytest.mark.parametrize("weight", ["nan", "NaN", "inf", "1e300", "lots", "0,5", "50%"])
def test_a_weight_that_is_no_number_keeps_the_position(csv, weight):
    steps = play(csv("timestamp,symbol,weight", f"{ends(21)},S0,0.5", f'{ends(24)},S0,"{weight}"'))
    decision = steps[24].decision
    assert (decision.status, decision.target) == ("fallback", None)
    assert weight in decision.reason
    assert "reply" in {finding.rule for finding in steps[24].report.findings}
    assert steps[24].report.approved[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("policy", [FREE, TIGHT], ids=["free", "tight"])
def test_weights_that_sum_to_forty_are_recorded_as_they_are_and_audited(csv, policy):
    steps = play(csv(f"timestamp,{','.join(SYMBOLS)}", f"{ends(21)},8,8,8,8,8"), policy=policy)
    step = steps[21]
    assert step.report.intent.tolist() == [8] * 5
    assert step.decision.status == "ok"
    if policy is TIGHT:
        assert step.report.approved.sum() <= 0.9 + 1e-9
        assert {"gross", "single-name"} <= {finding.rule for finding in step.report.findings}


@pytest.mark.parametrize("text", ["päng 涨", 'he said "buy, now"', "x" * 10_000, "'; DROP TABLE step; --"])
def test_a_rationale_is_kept_word_for_word(csv, text):
    quoted = text.replace('"', '""')
    steps = play(csv("timestamp,S0,rationale", f'{ends(21)},0.5,"{quoted}"'))
    assert steps[21].decision.rationale == text


# ---------------------------------------------------------------------- files that cannot be used


def test_one_symbol_stated_twice_at_one_time_must_agree_with_itself(csv):
    twice = csv("timestamp,symbol,weight", *[f"{ends(21)},S0,0.5"] * 2)
    assert asked(play(twice)) == {21: [0.5, 0, 0, 0, 0]}
    conflict = csv("timestamp,symbol,weight", f"{ends(21)},S0,0.5", f"{ends(21)},S0,0.6", name="c.csv")
    with pytest.raises(DataError, match=r"c\.csv: two weights for S0 at one time: 0\.5 and 0\.6"):
        read_recording(conflict, DAYS)


def test_two_stamps_that_are_one_moment_are_one_row(csv):
    path = csv("timestamp,symbol,weight", "2024-01-23T00:00:00Z,S0,0.5", "2024-01-22 19:00:00-05:00,S0,0.6")
    with pytest.raises(DataError, match="two weights for S0"):
        read_recording(path, DAYS)


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-01-23 05:30:00 UTC",
        "2024-01-23 05:30:00Z ",
        " 2024-01-23T05:30:00+00:00",
        "2024-01-23 00:30 America/New_York",
    ],
)
def test_a_zone_may_be_written_in_any_of_the_ways_that_bars_have(csv, stamp):
    (time,) = read_recording(csv("timestamp,symbol,weight", f"{stamp},S0,0.5"), Clock("Asia/Shanghai")).times
    assert time == np.datetime64("2024-01-23T05:30")


@pytest.mark.parametrize("stamp", ["2024-01-23 05:30:00 EST", "2024-01-23 05:30:00 GMT-05:00", "2024-01-23 05:30 PM"])
def test_a_word_beside_the_time_that_is_no_zone_we_know_is_not_passed_over(csv, stamp):
    with pytest.raises(DataError, match=f"row 1: cannot read the timestamp '{stamp}'"):
        read_recording(csv("timestamp,symbol,weight", f"{stamp},S0,0.5"), DAYS)


def test_a_date_with_space_around_it_is_a_date(csv):
    bare, spaced = (csv("timestamp,S0", f"{day},0.5", name=f"{len(day)}.csv") for day in ("2024-01-23", " 2024-01-23 "))
    assert read_recording(bare, DAYS).times == read_recording(spaced, DAYS).times


def test_a_name_with_the_signs_of_a_pattern_means_itself(csv):
    csv("timestamp,S0", "2024-01-23,0.9", name="dec1.csv")
    assert read_recording(csv("timestamp,S0", "2024-01-23,0.5", name="dec[1].csv"), DAYS).weights == ((("S0", "0.5"),),)


def test_nothing_of_a_file_is_guessed(csv):
    lines = ("timestamp,S0,rationale", "#2024-01-22,0.1,first", "2024-01-23,0.5,why #4")
    with pytest.raises(DataError, match="row 1: cannot read the timestamp '#2024-01-22'"):
        read_recording(csv(*lines), DAYS)
    assert read_recording(csv(lines[0], lines[2]), DAYS).rationales == ("why #4",)
    two = csv(
        "timestamp,S0,S1", "2024-01-22,0.1,0.1", "timestamp,S0,S1,S2,S3", "2024-01-23,0.2,0.2,0.2,0.2", name="2.csv"
    )
    with pytest.raises(DataError, match=r"2\.csv: cannot be read: .*Line: 3"):
        read_recording(two, DAYS)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file of decisions"):
        open_agent(f"decisions:{tmp_path / 'none.csv'}")
    with pytest.raises(DataError, match="no such file of decisions"):
        open_agent(f"decisions:{tmp_path}")


def test_decisions_without_a_file_say_what_to_write():
    with pytest.raises(UsageError, match="decisions:FILE"):
        open_agent("decisions:")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("when,S0", "2024-01-23,0.5"), "has no timestamp column; it has when, S0"),
        (("timestamp,symbol", "2024-01-23,S0"), "has no column 'weight'"),
        (("timestamp,weight", "2024-01-23,0.5"), "has no column 'symbol'"),
        (("timestamp,S0",), "holds no decisions"),
        (("",), "mine.csv: "),
    ],
)
def test_a_file_that_lacks_what_it_needs_is_refused_with_what_it_lacks(csv, lines, said):
    with pytest.raises(DataError) as caught:
        read_recording(csv(*lines), DAYS)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"PAR1nonsense"])
@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_a_file_that_is_no_table_is_refused_in_one_sentence(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_recording(path, DAYS)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- what names it


def test_another_file_is_another_agent_and_the_same_bytes_are_the_same(csv):
    one = open_agent(f"decisions:{csv('timestamp,S0', f'{ends(21)},0.5')}")
    same = open_agent(f"decisions:{csv('timestamp,S0', f'{ends(21)},0.5')}")
    other = open_agent(f"decisions:{csv('timestamp,S0', f'{ends(21)},0.6')}")
    assert one.digest == same.digest != other.digest
    assert one.card.name == "decisions:mine"


def test_a_recording_is_an_observation_of_nobodys_future(csv):
    whole = csv("timestamp,S0", *(f"{ends(t)},{t / 100}" for t in range(20, 39)))
    part = csv("timestamp,S0", *(f"{ends(t)},{t / 100}" for t in range(20, 30)), name="part.csv")
    assert {t: w for t, w in asked(play(whole)).items() if t < 30} == asked(play(part))


def test_what_never_applies_is_counted(csv):
    file = csv("timestamp,S0", "2024-01-22 12:00,1", "2024-01-22 13:00,1", "2024-01-23 12:00,1", "2031-01-01 00:00,1")
    ends = np.array(["2024-01-23", "2024-01-24"], dtype="datetime64[us]")
    said = read_recording(file, DAYS).unheard(ends)
    assert said == (
        "of 4 recorded decisions 1 were superseded by a later one before a bar ended and 1 come after the last decision"
    )


def test_nothing_is_said_where_every_decision_applies(csv):
    ends = np.array(["2024-01-23", "2024-01-24"], dtype="datetime64[us]")
    assert read_recording(csv("timestamp,S0", "2024-01-22,1", "2024-01-23,1"), DAYS).unheard(ends) == ""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("hour", [0, 16, 24])
def test_dates_on_daily_bars_all_apply_each_at_its_own_session(csv, zone, hour):
    """Monday the 8th to Friday the 12th and the Monday after: bars end at the close of their session, or at the
    midnight after it, of the exchange or of Greenwich."""
    days = ["2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12", "2024-01-15"]
    ends = np.array(days, dtype="datetime64[us]") + (np.timedelta64(hour, "h") if hour else np.timedelta64(1, "D"))
    if hour:
        ends = to_utc(ends, ZoneInfo(zone))[0]
    recording = read_recording(csv("timestamp,S0", *(f"{day},0.5" for day in days)), Clock(zone, daily=True))
    assert recording.unheard(ends) == ""
    np.testing.assert_array_equal(np.searchsorted(ends, recording.times), np.arange(len(days)))
