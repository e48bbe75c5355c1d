import json

import pytest

from tradearena.market.dataset import open_dataset
from tradearena.market.describe import describe

KEYS = (
    "symbols", "bars", "start", "end", "bars_per_year", "missing", "mean_abs_correlation", "p90_abs_correlation",
    "pc1_share", "top_pairs", "warnings", "scenes",
)  # fmt: skip


def _described(long_csv, bar, days, prices, **options):
    lines = [
        bar(day, symbol, p) for symbol, series in prices.items() for day, p in zip(days, series, strict=False) if p
    ]
    return describe(open_dataset(long_csv(lines), **options))


def test_the_keys_are_those_of_the_design_and_times_carry_a_z(long_csv, bar, days):
    found = _described(long_csv, bar, days, {"A": (1, 2, 3, 4, 5), "B": (2, 3, 2, 3, 2)})
    assert tuple(found) == KEYS
    assert (found["start"], found["end"]) == ("2024-01-02T00:00:00Z", "2024-01-09T00:00:00Z")
    assert all(isinstance(warning, str) for warning in found["warnings"])
    json.dumps(found, allow_nan=False)


def test_symbols_that_move_as_one_correlate_by_one(long_csv, bar, days):
    found = _described(long_csv, bar, days, {"A": (1, 2, 3, 5, 4), "B": (2, 4, 6, 10, 8)})
    assert found["mean_abs_correlation"] == pytest.approx(1)
    assert found["pc1_share"] == pytest.approx(1)
    assert found["top_pairs"] == [["A", "B", pytest.approx(1)]]


def test_the_ten_highest_correlations_are_listed_in_order(long_csv, bar, days):
    prices = {f"S{i}": [10 + (i * k * k) % 7 for k in range(1, 6)] for i in range(1, 7)}
    rhos = [rho for _, _, rho in _described(long_csv, bar, days, prices)["top_pairs"]]
    assert len(rhos) == 10
    assert rhos == sorted(rhos, reverse=True)


@pytest.mark.parametrize("prices", [{"A": (1, 2, 3, 4, 5)}, {"A": (1, 2, 3, 4, 5), "B": (1, 1, 1, 1, 1)}])
def test_what_is_not_defined_is_null(long_csv, bar, days, prices):
    found = _described(long_csv, bar, days, prices)
    assert [found[key] for key in ("mean_abs_correlation", "p90_abs_correlation", "pc1_share")] == [None] * 3
    assert found["top_pairs"] == []


def test_missing_counts_the_cells_of_the_panel_and_correlations_use_common_bars(long_csv, bar, days):
    prices = {"A": (1, 2, 3, 5, 4), "B": (2, 4, None, 10, 8)}
    found = _described(long_csv, bar, days, prices, calendar="union")
    assert (found["bars"], found["missing"]) == (5, 1)
    assert found["mean_abs_correlation"] == pytest.approx(1)


def test_too_few_common_bars_have_no_correlation(long_csv, bar, days):
    prices = {"A": (1, 2, 3, 5, None), "B": (None, None, 2, 3, 2)}
    assert _described(long_csv, bar, days, prices, calendar="union")["pc1_share"] is None
