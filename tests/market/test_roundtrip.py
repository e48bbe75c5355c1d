"""A random panel, written the ways users write bars, is the same panel when it is read."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import few

from tradearena.market.dataset import open_dataset
from tradearena.panel import Panel

FIELDS = ("open", "high", "low", "close", "volume")
PRICE = st.floats(1e-3, 1e6)


@st.composite
def panels(draw):
    """A panel on a daily or hourly grid, with missing bars; every row and every symbol has at least one bar."""
    T, N = draw(st.integers(3, 7)), draw(st.integers(1, 4))
    step = draw(st.sampled_from([np.timedelta64(1, "h"), np.timedelta64(1, "D")])).astype("timedelta64[us]")
    start = np.datetime64("2024-03-08T00:00", "us") + np.arange(T) * step
    absent = np.array(draw(st.lists(st.booleans(), min_size=T * N, max_size=T * N))).reshape(T, N)
    absent[:, 0] = False
    absent[0] = False
    body = np.array(draw(st.lists(PRICE, min_size=4 * T * N, max_size=4 * T * N))).reshape(T, N, 4)
    high, low = body.max(axis=2), body.min(axis=2)
    volume = np.array(draw(st.lists(st.floats(0, 1e12), min_size=T * N, max_size=T * N))).reshape(T, N)
    prices = tuple(np.where(absent, np.nan, x) for x in (body[..., 0], high, low, body[..., 3]))
    end = start + step
    per_year = (T - 1) / ((end[-1] - end[0]) / np.timedelta64(31_557_600, "s"))
    return Panel.of([f"S-{i}" for i in range(N)], start, end, prices, volume, bars_per_year=per_year)


def _rows(panel, shape):
    """Header and rows of a long or a wide table; a missing bar has no row, or empty cells."""
    values = np.stack([getattr(panel, field) for field in FIELDS], axis=2)
    if shape == "long":
        yield ["Timestamp", "Ticker", *(field.title() for field in FIELDS)]
        for n in range(len(panel.symbols)):
            for t in np.flatnonzero(panel.valid[:, n]):
                yield [f"{panel.start[t]}Z", panel.symbols[n], *map(repr, values[t, n].tolist())]
        return
    yield ["datetime", *(f"{symbol}_{field}" for symbol in panel.symbols for field in FIELDS)]
    for t in range(len(panel)):
        cells = [
            [repr(x) for x in row.tolist()] if ok else [""] * 5
            for row, ok in zip(values[t], panel.valid[t], strict=True)
        ]
        yield [str(panel.start[t]), *(cell for symbol in cells for cell in symbol)]


def _write(panel, shape, suffix, folder):
    path = folder / "bars.csv"
    with path.open("w", newline="") as text:
        csv.writer(text).writerows(_rows(panel, shape))
    if suffix == "parquet":
        target = path.with_suffix(".parquet")
        with duckdb.connect() as con:
            con.read_csv(str(path), header=True, sample_size=-1).write_parquet(str(target))
        path = target
    step = (panel.start[1] - panel.start[0]) / np.timedelta64(1, "h")
    path.with_suffix(".toml").write_text(f'name = "x"\ncalendar = "union"\nfrequency = "{step:.0f}h"')
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("shape", ["long", "wide"])
@settings(max_examples=few(5, full=15))
@given(panel=panels())
def test_a_panel_that_is_written_and_read_is_the_same_to_the_last_bit(panel, shape, suffix):
    with TemporaryDirectory() as folder:
        read = open_dataset(str(_write(panel, shape, suffix, Path(folder)))).panel
    assert read.symbols == panel.symbols
    assert read.digest == panel.digest


@settings(max_examples=few(5, full=15))
@given(panel=panels(), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(panel, order):
    header, *rows = _rows(panel, "long")
    order.shuffle(rows)
    with TemporaryDirectory() as folder:
        path = _write(panel, "long", "csv", Path(folder))
        with path.open("w", newline="") as text:
            csv.writer(text).writerows([header, *rows])
        assert open_dataset(str(path)).panel.digest == panel.digest
