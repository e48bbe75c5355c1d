"""Returns of the real files, as [T, N] arrays over the bars that all symbols share."""

from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pytest

FILES = ("ohlcv_hourly_50", "ohlcv_daily_51", "astock50_hourly", "crypto8_hourly_gappy", "stockbench_dow20_daily")


@pytest.fixture
def real_returns(real_data):
    return _returns(real_data)


@lru_cache
def _returns(folder: Path):
    return [_read(folder / f"{name}.parquet") for name in FILES]


def _read(path: Path):
    bars = f"select timestamp, symbol, close from read_parquet('{path}')"
    with duckdb.connect() as connection:
        columns = connection.sql(f"pivot ({bars}) on symbol using first(close) order by timestamp").fetchnumpy()
    closes = [np.ma.filled(column.astype(float), np.nan) for name, column in columns.items() if name != "timestamp"]
    close = np.stack(closes, axis=1)
    close = close[np.isfinite(close).all(axis=1)]
    return close[1:] / close[:-1] - 1.0


@pytest.fixture
def real_windows(real_returns):
    """Windows of 3 to 250 rows, spread over all files, a thousand or so in all."""
    return [
        returns[end - rows : end]
        for returns in real_returns
        for rows in (3, 10, 20, 60, 250)
        for end in np.linspace(rows, len(returns), 45).astype(int)
        if end >= rows and len(returns) >= rows
    ]
