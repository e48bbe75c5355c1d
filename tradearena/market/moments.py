"""Says how a market moves in the numbers by which markets are told apart: a panel comes in, its moments go out.

These are the stylised facts of Cont (2001), Quantitative Finance 1: fat tails, no memory in returns, memory in their
size, common factors; and the U of volume over the session. All are of simple close-to-close returns over the common
bars, so that a night is part of the first bar of its session.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from tradearena.market.clock import to_local
from tradearena.market.describe import correlations
from tradearena.panel import Array, Panel

LAGS = (1, 5, 20)


def moments(panel: Panel) -> dict[str, float]:
    """The moments of a panel by name; NaN where there are too few bars or symbols.

    Of each symbol, then the median over symbols: `annual_volatility`, `excess_kurtosis`, `symbol_drawdown` (the
    deepest, as a fraction). Of each symbol, then the mean: `autocorrelation_L` of returns and `clustering_L` of their
    absolute values at L bars. Over pairs of symbols: `mean_abs_correlation`, `p90_abs_correlation`, `tightest_pair`;
    `pc1_share` is the largest eigenvalue of the correlation matrix over N. `drawdown`: the deepest of the book that
    holds all symbols at equal weights.
    """
    close = panel.close[panel.valid.all(axis=1)]
    returns = close[1:] / close[:-1] - 1
    returns = returns[:, np.ptp(returns, axis=0) > 0] if len(returns) else returns
    if len(returns) <= max(LAGS) or not returns.shape[1]:
        return dict.fromkeys(NAMES, np.nan)
    _, correlation = correlations(panel)
    pairs = correlation[np.triu_indices(len(correlation), k=1)]
    size = np.abs(pairs) if len(pairs) else np.array([np.nan])
    z = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    book = np.cumprod(np.append(1.0, 1 + returns.mean(axis=1)))
    values = (
        np.median(returns.std(axis=0)) * np.sqrt(panel.bars_per_year),
        np.median((z**4).mean(axis=0)) - 3,
        *(autocorrelation(returns, lag).mean() for lag in LAGS),
        *(autocorrelation(np.abs(returns), lag).mean() for lag in LAGS),
        size.mean(),
        np.quantile(size, 0.9),
        np.linalg.eigvalsh(correlation)[-1] / len(correlation),
        pairs.max() if len(pairs) else np.nan,
        deepest(book[:, None])[0],
        np.median(deepest(close)),
    )
    return dict(zip(NAMES, map(float, values), strict=True))


NAMES = (
    "annual_volatility",
    "excess_kurtosis",
    *(f"autocorrelation_{lag}" for lag in LAGS),
    *(f"clustering_{lag}" for lag in LAGS),
    "mean_abs_correlation",
    "p90_abs_correlation",
    "pc1_share",
    "tightest_pair",
    "drawdown",
    "symbol_drawdown",
)


def autocorrelation(series: Array, lag: int) -> Array:
    """Sample autocorrelation [N] of T observations of N series [T, N] at a lag, with the mean and variance of all T."""
    centred = series - series.mean(axis=0)
    return np.asarray((centred[lag:] * centred[:-lag]).sum(axis=0) / (centred**2).sum(axis=0))


def deepest(value: Array) -> Array:
    """Deepest drawdown [N] of N values [T, N], as a fraction of the highest before; the start is the first of them."""
    highest = np.maximum.accumulate(value, axis=0)
    return np.asarray((1 - value / highest).max(axis=0))


def volume_profile(panel: Panel, zone: ZoneInfo) -> Array:
    """Mean share [n] of each of a session's n bars in its volume, over symbols and full sessions.

    A session is a day of the exchange's clock, full with the most common number of bars. Empty where that is one, or
    where volumes are unknown.
    """
    shared = panel.valid.all(axis=1) & np.isfinite(panel.volume).all(axis=1)
    days = to_local(panel.start[shared], zone).astype("datetime64[D]")
    volume = panel.volume[shared]
    _, first, bars = np.unique(days, return_index=True, return_counts=True)
    usual = int(np.argmax(np.bincount(bars))) if len(bars) else 0
    sessions = volume[first[bars == usual][:, None] + np.arange(usual)]  # [sessions, n, N]
    whole = sessions.sum(axis=1, keepdims=True)
    traded = (whole > 0).all(axis=(1, 2))
    if usual < 2 or not traded.any():
        return np.empty(0)
    return np.asarray((sessions[traded] / whole[traded]).mean(axis=(0, 2)))
