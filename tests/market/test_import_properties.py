"""Clean bars pass; a defect of any kind, planted anywhere, is found and undone, and nothing else is touched."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import few

from tradearena.market.clock import to_local
from tradearena.market.corrections import number
from tradearena.market.dataset import open_dataset
from tradearena.market.importing import clean, write_import

NEW_YORK = ZoneInfo("America/New_York")
HOUR = np.timedelta64(3_600_000_000, "us")


class Tape:
    """Rows of a long CSV file, one for each bar: symbol, stamp, five values; and what import should say of them."""

    def __init__(self, seed, *, hourly=False, session=6):
        self.dice = np.random.default_rng(seed)
        self.step = HOUR if hourly else 24 * HOUR
        self.session = session if hourly else 1  # bars a day
        self.rows = [row for n in range(self.dice.integers(1, 4)) for row in self._walk(f"S{n}", self.length)]
        self.texts = {}

    @property
    def length(self):
        return 24 + int(self.dice.integers(0, 20))

    def _walk(self, symbol, bars):
        start = np.datetime64("2024-10-25T00:00", "us")
        price = np.exp(self.dice.normal(0, 0.01, (bars, 2)).cumsum().reshape(bars, 2)) * self.dice.uniform(1_500, 4_000)
        wick = np.exp(self.dice.uniform(0, 0.01, (bars, 2)))
        volume = (self.dice.uniform(1, 1.5, bars) * self.dice.uniform(1e5, 1e6)).astype(int)
        for t, (opened, close) in enumerate(price.round(2)):
            high, low = (max(opened, close) * wick[t, 0]).round(2), (min(opened, close) / wick[t, 1]).round(2)
            day, hour = divmod(t, self.session)
            yield [symbol, start + day * 24 * HOUR + hour * HOUR, opened, high, low, close, float(volume[t])]

    def place(self, first=0, last=0):
        """A random bar that has so many of its symbol before and after it."""
        of = [k for k, row in enumerate(self.rows) if row[0] == self.symbol]
        return int(self.dice.integers(of[first], of[-1] - last + 1))

    @property
    def symbol(self):
        return self.rows[0][0]

    def before(self, k):
        return [row for row in self.rows[:k] if row[0] == self.symbol]

    def write(self, folder, stamp=lambda time: f"{time}Z", rows=None):
        path = Path(folder) / "bars.csv"
        lines = ["timestamp,symbol,open,high,low,close,volume"]
        for k, (symbol, time, *values) in enumerate(rows if rows is not None else self.rows):
            cells = (self.texts.get((k, c), number(float(x)) if np.isfinite(x) else "") for c, x in enumerate(values))
            lines.append(f"{stamp(time)},{symbol}," + ",".join(cells))
        path.write_text("\n".join(lines) + "\n")
        return path


def _digest(rows, tape):
    with TemporaryDirectory() as folder:
        return open_dataset(str(tape.write(folder, rows=rows)), calendar="union").panel.digest


def _imported(tape, **options):
    with TemporaryDirectory() as folder:
        return clean(tape.write(folder), "x", {"calendar": "union"} | options)


def separators(tape):
    k, c = tape.place(), int(tape.dice.integers(0, 5))
    tape.texts[k, c] = f'"{tape.rows[k][2 + c]:,.2f}"'
    return tape.rows, [("thousands separator", k)]


def copies(tape):
    k = tape.place()
    expected = list(tape.rows)
    tape.rows = [*tape.rows, list(tape.rows[k])]
    return expected, [("duplicates", len(tape.rows) - 1)]


def unfinished(tape):
    expected, last = list(tape.rows), tape.rows[-1]
    tape.rows = [*tape.rows, [last[0], last[1] + tape.step, last[5], *[np.nan] * 4]]
    return expected, [("unfinished", len(tape.rows) - 1)]


def live_quotes(tape):
    expected, last = list(tape.rows), tape.rows[-1]
    tape.rows = [*tape.rows, [last[0], last[1] + 31 * HOUR / 60, *[last[5]] * 4, 0.0]]
    return expected, [("off grid", len(tape.rows) - 1)]


def lows(tape):
    k = tape.place()
    expected = [list(row) for row in tape.rows]
    expected[k][4] = min(expected[k][2], expected[k][5])
    tape.rows[k][4] = round(tape.rows[k][4] / 1.6, 2)
    return expected, [("bad print", k)]


def highs(tape):
    k = tape.place()
    expected = [list(row) for row in tape.rows]
    expected[k][3] = max(expected[k][2], expected[k][5])
    tape.rows[k][3] = round(tape.rows[k][3] * 1.6, 2)
    return expected, [("bad print", k)]


def spikes(tape):
    k, factor = tape.place(1, 1), float(tape.dice.choice([0.4, 2.5, 7.0]))
    expected = [row for i, row in enumerate(tape.rows) if i != k]
    tape.rows[k] = [*tape.rows[k][:2], *(round(x * factor, 2) for x in tape.rows[k][2:6]), tape.rows[k][6]]
    return expected, [("bad print", k)]


def pence(tape):
    k, factor = tape.place(1, 4), float(tape.dice.choice([0.01, 100]))
    expected = [list(row) for row in tape.rows]
    for row in tape.before(k):
        row[2:6] = [round(x * factor, 4) for x in row[2:6]]
    return expected, [("unit jump", i) for i in range(k) for _ in range(4)]


def lots(tape):
    k, factor = tape.place(4, 4), float(tape.dice.choice([0.01, 100, 0.001, 1000]))
    expected = [list(row) for row in tape.rows]
    for row in tape.before(k):
        row[6] = round(row[6] * factor, 3)
    return expected, [("unit jump", i) for i in range(k)]


PLANTS = (pence, lots, spikes, lows, highs, live_quotes, unfinished, separators, copies)
"""In an order in which several can be planted: what is copied is not changed any more."""


@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32), hourly=st.booleans())
def test_clean_bars_pass_unchanged(seed, hourly):
    tape = Tape(seed, hourly=hourly)
    found = _imported(tape)
    assert found.corrections == ()
    assert found.panel.digest == _digest(tape.rows, tape)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32), hourly=st.booleans())
def test_a_planted_defect_is_found_and_undone_and_nothing_else_is_touched(plant, seed, hourly):
    tape = Tape(seed, hourly=hourly)
    expected, told = plant(tape)
    found = _imported(tape)
    assert [(one.rule, one.row) for one in found.corrections] == told
    tape.texts = {}
    assert found.panel.digest == _digest(expected, tape)


@settings(max_examples=few(3, full=6))
@given(
    seed=st.integers(0, 2**32), hourly=st.booleans(), plants=st.lists(st.sampled_from(PLANTS), max_size=3, unique=True)
)
def test_an_import_reads_back_as_the_same_panel_and_importing_it_again_changes_nothing(seed, hourly, plants):
    tape = Tape(seed, hourly=hourly)
    for plant in sorted(plants, key=PLANTS.index):
        plant(tape)
    with TemporaryDirectory() as folder:
        found = clean(tape.write(folder), "x", {"calendar": "union"})
        made = write_import(found, Path(folder) / "made")
        read = open_dataset(str(made))
        again = clean(made, "x", {})
    assert read.panel.digest == found.panel.digest
    assert not {remark.rule for remark in read.warnings} & {"unfinished", "duplicates", "off grid", "daylight saving"}
    assert again.corrections == ()
    assert again.panel.digest == found.panel.digest
    assert (
        replace(again, corrections=found.corrections).card.model_copy(update={"description": found.card.description})
        == found.card
    )


@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32), newest_first=st.booleans(), begin=st.integers(0, 20))
def test_hours_that_a_clock_shows_twice_are_told_apart_by_the_order_of_the_file(seed, newest_first, begin):
    tape = Tape(seed, hourly=True, session=24)
    moment = np.datetime64("2024-11-03T06:00", "us")  # 01:00 in New York, for the second time
    shift = moment - (tape.rows[0][1] + (begin + 1) * HOUR)
    tape.rows = [[symbol, time + shift, *values] for symbol, time, *values in tape.rows]
    expected = list(tape.rows)
    if newest_first:
        tape.rows = tape.rows[::-1]
    with TemporaryDirectory() as folder:
        path = tape.write(folder, stamp=lambda time: to_local(np.array([time]), NEW_YORK)[0])
        found = clean(path, "x", {"calendar": "union", "timezone": "America/New_York"})
    symbols = len(found.panel.symbols)
    assert [one.rule for one in found.corrections] == ["daylight saving"] * 2 * symbols
    assert sum("second" in one.why for one in found.corrections) == symbols
    assert found.panel.digest == _digest(expected, tape)


@settings(max_examples=few(3, full=6))
@given(seed=st.integers(0, 2**32), share=st.floats(0.1, 0.9))
def test_stamps_without_a_zone_among_others_are_read_on_the_stated_clock(seed, share):
    tape = Tape(seed, hourly=True)
    bare = {k: bool(tape.dice.random() < share) for k in range(len(tape.rows))} | {0: True, 1: False}
    turn = iter(range(len(tape.rows)))

    def stamp(time):
        return to_local(np.array([time]), NEW_YORK)[0] if bare[next(turn)] else f"{time}Z"

    with TemporaryDirectory() as folder:
        found = clean(tape.write(folder, stamp), "x", {"calendar": "union", "timezone": "America/New_York"})
    assert sorted(one.row for one in found.corrections) == [k for k, naive in bare.items() if naive]
    assert {one.rule for one in found.corrections} == {"mixed zones"}
    assert found.panel.digest == _digest(tape.rows, tape)
