"""Real bars with real defects, which nobody here made; skipped where they are not at hand."""

import json
from collections import Counter

import duckdb
import numpy as np
import pandas as pd
import pytest

from tradearena.errors import DataError
from tradearena.market.dataset import open_dataset
from tradearena.market.describe import describe
from tradearena.market.importing import clean, write_import


def _remarks(dataset):
    return {remark.rule: remark.count for remark in dataset.warnings}


def _opened(folder, name, **options):
    return open_dataset(str(folder / name), **options)


@pytest.mark.parametrize(
    ("name", "bars", "symbols", "remarks"),
    [
        ("ohlcv_hourly_50.parquet", 414, 51, {"off grid": 51, "zero volume": 74, "mixed calendars": 47}),
        ("ohlcv_daily_51.parquet", 753, 63, {"zero volume": 1, "gaps": 20_557, "mixed calendars": 684}),
        ("astock50_hourly.parquet", 119, 50, {"unfinished": 50, "unadjusted": 50}),
        (
            "crypto8_hourly_gappy.parquet",
            262,
            8,
            {"unfinished": 8, "zero volume": 13, "gaps": 95, "mixed calendars": 696},
        ),
        ("stockbench_dow20_daily.parquet", 14, 21, {"gaps": 124, "holes": 6, "mixed calendars": 2704}),
    ],
)
def test_a_real_file_opens_and_its_defects_are_counted(real_data, name, bars, symbols, remarks):
    dataset = _opened(real_data, name)
    assert (len(dataset.panel), len(dataset.panel.symbols)) == (bars, symbols)
    assert {rule: _remarks(dataset).get(rule) for rule in remarks} == remarks
    assert "suspected splits" not in _remarks(dataset)
    assert dataset.panel.valid.all()


@pytest.mark.parametrize("name", ["ohlcv_hourly_50", "ohlcv_daily_51"])
def test_the_description_agrees_with_pandas(real_data, name):
    found = describe(_opened(real_data, f"{name}.parquet"))
    with duckdb.connect() as con:
        columns = con.execute(
            "SELECT epoch_us(timestamp) AS us, symbol, close FROM read_parquet(?)", [str(real_data / f"{name}.parquet")]
        ).fetchnumpy()
    close = pd.DataFrame(columns).pivot_table(index="us", columns="symbol", values="close")
    close = close[[(us // 1_000_000) % 1800 == 0 for us in close.index]].dropna()
    rho = close.pct_change().iloc[1:].corr().to_numpy()
    above = np.abs(rho[np.triu_indices(len(rho), 1)])
    assert found["bars"] == len(close)
    assert found["symbols"] == list(close.columns)
    assert found["mean_abs_correlation"] == pytest.approx(above.mean(), rel=1e-9)
    assert found["p90_abs_correlation"] == pytest.approx(np.percentile(above, 90), rel=1e-9)
    assert found["pc1_share"] == pytest.approx(np.linalg.svd(rho)[1][0] / len(rho), rel=1e-9)
    a, b, highest = found["top_pairs"][0]
    assert (a, b) == ("GOOG", "GOOGL")
    assert highest == pytest.approx(above.max(), rel=1e-9)


def test_volume_in_lots_of_a_hundred_is_read_in_shares(real_data):
    panel = _opened(real_data, "astock50_hourly.parquet").panel
    lots = _opened(real_data, "astock50_hourly.parquet", volume_unit="shares").panel
    np.testing.assert_array_equal(panel.volume, 100 * lots.volume)
    n = panel.symbols.index("600028.SH")
    assert panel.volume[:4, n].sum() == pytest.approx(146_386_033, rel=0.01)  # the vendor's daily file, in shares


def test_bars_labelled_at_their_end_start_an_hour_before_or_after_the_lunch_break(real_data):
    panel = _opened(real_data, "astock50_hourly.parquet").panel
    assert (panel.end - panel.start == np.timedelta64(1, "h")).all()
    assert panel.end[0] == np.datetime64("2025-10-09T02:30")


def test_hourly_bars_of_new_york_keep_their_grid_when_the_clock_changes(real_data):
    panel = _opened(real_data, "ohlcv_hourly_50.parquet").panel
    first = panel.start[
        np.flatnonzero(np.diff(panel.start.astype("datetime64[D]"), prepend=np.datetime64("1970")) > np.timedelta64(0))
    ]
    clock = {(str(stamp)[:10] >= "2026-03-09", str(stamp)[11:16]) for stamp in first}
    assert clock == {(False, "14:30"), (True, "13:30")}
    assert 1_700 < panel.bars_per_year < 1_900


def test_a_crypto_year_has_all_its_days_in_a_union_only(real_data):
    union = _opened(real_data, "ohlcv_daily_51.parquet", calendar="union")
    assert union.panel.bars_per_year == pytest.approx(365.25)
    assert _opened(real_data, "ohlcv_daily_51.parquet").panel.bars_per_year == pytest.approx(252, abs=1)
    assert describe(union)["missing"] == 1095 * 63 - 48_123


def test_files_that_hold_no_bars_say_which_columns_they_have(real_data):
    for name in ("llm_trajectories_astock_hourly", "stockbench_corporate_actions"):
        with pytest.raises(DataError, match=r"no column named .*; the columns are: "):
            _opened(real_data, f"{name}.parquet")
    with pytest.raises(DataError, match="no column named timestamp"):
        _opened(real_data, "nasty/degenerate_effective_rank.csv")


def test_the_nasty_csv_files_open_with_their_defects_named(real_data):
    folder = real_data / "nasty"
    partial = _opened(folder, "partial_last_bar_AAPL_1h.csv")
    assert _remarks(partial)["off grid"] == 1
    assert "line 10" in str(partial.warnings[-1])
    assert _remarks(_opened(folder, "zero_volume_GSPC_daily.csv"))["zero volume"] == 1
    assert list(_remarks(_opened(folder, "dst_shift_AAPL_1h.csv"))) == ["no card"]
    assert len(_opened(folder, "dst_shift_AAPL_1h.csv").panel) == 28


def test_a_stock_and_a_coin_are_aligned_by_date(real_data, tmp_path):
    for name in ("BTC-USD", "KRE"):
        text = (real_data / "nasty" / f"calendar_mismatch_{name}_daily.csv").read_text()
        (tmp_path / f"{name}.csv").write_text(text)
    dataset = open_dataset(str(tmp_path))
    assert dataset.panel.symbols == ("BTC-USD", "KRE")
    assert (len(dataset.panel), _remarks(dataset)["mixed calendars"]) == (12, 6)


KEYS = {"open": ("1. buy price", "1. open"), "high": ("2. high",), "low": ("3. low",),
        "close": ("4. sell price", "4. close"), "volume": ("5. volume",)}  # fmt: skip


def _as_csv(source, target):
    """A vendor's JSON, cell by cell as it stands, as a CSV file."""
    record = json.loads(source.read_text().splitlines()[0] if source.suffix == ".jsonl" else source.read_text())
    series = next(value for key, value in record.items() if key.startswith("Time Series"))
    lines = ["timestamp," + ",".join(KEYS)]
    for stamp, cells in series.items():
        found = [next((str(cells[key]) for key in keys if key in cells), "") for keys in KEYS.values()]
        lines.append(",".join([stamp, *(f'"{cell}"' for cell in found)]))
    target.write_text("\n".join(lines))
    return str(target)


def test_a_thousands_separator_is_named_by_its_line(real_data, tmp_path):
    path = _as_csv(real_data / "nasty" / "price_thousands_separator_600519.json", tmp_path / "600519.csv")
    with pytest.raises(DataError, match=r"600519\.csv, line \d+, column '.*': '1,43\d.\d+' has a thousands separator"):
        open_dataset(path)


def test_a_split_that_nobody_adjusted_for_is_suspected(real_data, tmp_path):
    raw = _as_csv(real_data / "nasty" / "split_unadjusted_ORLY_daily.jsonl", tmp_path / "raw.csv")
    adjusted = _as_csv(real_data / "nasty" / "split_adjusted_ORLY_daily.jsonl", tmp_path / "adjusted.csv")
    assert _remarks(open_dataset(raw))["suspected splits"] == 1
    assert "suspected splits" not in _remarks(open_dataset(adjusted))


def test_a_last_bar_with_an_open_only_is_dropped(real_data, tmp_path):
    path = _as_csv(real_data / "nasty" / "bar_last_open_only_AAPL_daily.jsonl", tmp_path / "AAPL.csv")
    dataset = open_dataset(path)
    assert _remarks(dataset)["unfinished"] == 1
    assert dataset.panel.start[-1] == np.datetime64("2025-10-24")


def test_hours_that_a_coin_did_not_trade_are_holes(real_data, tmp_path):
    path = _as_csv(real_data / "nasty" / "gaps_DOT_1h_gappy.jsonl", tmp_path / "DOT.csv")
    assert _remarks(open_dataset(path))["holes"] > 10


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("ohlcv_hourly_50", {"off grid": 51}),
        ("ohlcv_daily_51", {}),
        ("astock50_hourly", {"unfinished": 50}),
        ("crypto8_hourly_gappy", {"unfinished": 8}),
        ("stockbench_dow20_daily", {}),
    ],
)
def test_import_changes_no_value_of_a_real_bar_and_drops_what_an_opened_dataset_drops(
    real_data, tmp_path, name, dropped
):
    found = clean(real_data / f"{name}.parquet", name, {})
    assert Counter(one.rule for one in found.corrections) == dropped
    assert all(one.dropped for one in found.corrections)
    opened = _opened(real_data, f"{name}.parquet")
    assert found.panel.digest == opened.panel.digest
    read = open_dataset(str(write_import(found, tmp_path / name)))
    assert read.panel.digest == opened.panel.digest
    assert read.card.sectors == opened.card.sectors
    assert not {remark.rule for remark in read.warnings} & set(dropped)


def test_the_week_the_banks_fell_is_left_as_it_was(real_data):
    for name in ("KRE", "BTC-USD"):
        found = clean(real_data / "nasty" / f"calendar_mismatch_{name}_daily.csv", name, {})
        assert found.corrections == ()
