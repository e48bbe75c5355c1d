"""A path of net asset values comes in; the figures by which portfolios are compared go out, or None where undefined.

Throughout, V is the path [T], one value per bar, and r_t = V_t / V_{t-1} - 1 its T - 1 simple returns. Returns exist
where every value but the last is positive: a path may end in ruin, but nothing can be earned on nothing. Figures are
fractions, never percent; the risk-free rate is 0; "a year" means `bars_per_year` bars of the dataset's own calendar.
"""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array

STILL = 1e-14
"""A deviation per bar up to this is the rounding of a path with constant returns, not risk."""


def total_return(nav: Array) -> float | None:
    """V_T / V_0 - 1. Below -1 if the path ends in debt. None without a return."""
    if _returns(nav) is None:
        return None
    return float(nav[-1] / nav[0] - 1.0)


def annual_return(nav: Array, bars_per_year: float) -> float | None:
    """Geometric: (V_T / V_0)^(bars_per_year / (T - 1)) - 1. None without a return or where V_T < 0."""
    if _returns(nav) is None or nav[-1] < 0:
        return None
    with np.errstate(over="ignore"):
        growth = np.float64(nav[-1] / nav[0]) ** (bars_per_year / (len(nav) - 1))
    return _finite(growth - 1.0)


def annual_volatility(nav: Array, bars_per_year: float) -> float | None:
    """Standard deviation of r (divided by T - 2) times sqrt(bars_per_year). None with fewer than two returns."""
    returns = _returns(nav, 2)
    return None if returns is None else float(returns.std(ddof=1) * np.sqrt(bars_per_year))


def sharpe(nav: Array, bars_per_year: float) -> float | None:
    """Mean of r over its standard deviation (divided by T - 2), times sqrt(bars_per_year).

    None with fewer than two returns, and where they do not vary.

    Source: Sharpe, W. F. (1994), "The Sharpe ratio", Journal of Portfolio Management 21(1), 49-58.
    """
    returns = _returns(nav, 2)
    return None if returns is None else _ratio(returns.mean(), returns.std(ddof=1), bars_per_year)


def sortino(nav: Array, bars_per_year: float) -> float | None:
    """Mean of r over the downside deviation sqrt(mean of min(r, 0)^2 over all bars), times sqrt(bars_per_year).

    None with fewer than two returns, and where none is negative.

    Source: Sortino, F., Price, L. (1994), "Performance measurement in a downside risk framework", Journal of
    Investing 3(3), 59-64, with a target of 0.
    """
    returns = _returns(nav, 2)
    if returns is None:
        return None
    return _ratio(returns.mean(), np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)), bars_per_year)


def drawdowns(nav: Array) -> Array:
    """Fall from the running peak at each bar, [T]: 1 - V_t / max(V_0 .. V_t); above 1 where V_t < 0.

    NaN where the peak is not positive.
    """
    peak = np.maximum.accumulate(nav)
    left = np.full(len(nav), np.nan)
    np.divide(nav, peak, out=left, where=peak > 0)
    return 1.0 - left


def max_drawdown(nav: Array) -> float | None:
    """The deepest fall from a peak, as a positive fraction; 0 where the path never falls. None without a return."""
    return None if _returns(nav) is None else float(drawdowns(nav).max())


def calmar(nav: Array, bars_per_year: float) -> float | None:
    """Annual return over the deepest drawdown. None where either is undefined, and where nothing was ever lost.

    Source: Young, T. W. (1991), "Calmar ratio: a smoother tool", Futures 20(1), over the whole path.
    """
    growth, depth = annual_return(nav, bars_per_year), max_drawdown(nav)
    if growth is None or depth is None or depth <= STILL:
        return None
    return _finite(growth / depth)


def tracking_error(nav: Array, other: Array, bars_per_year: float) -> float | None:
    """Standard deviation of the difference of two paths' returns (divided by T - 2), times sqrt(bars_per_year).

    None where either path has fewer than two returns.

    Raises:
        ValueError: the paths differ in length, so that their bars cannot be paired.
    """
    if len(nav) != len(other):
        raise ValueError(f"paths of {len(nav)} and {len(other)} bars cannot be paired")
    mine, theirs = _returns(nav, 2), _returns(other, 2)
    if mine is None or theirs is None:
        return None
    return float((mine - theirs).std(ddof=1) * np.sqrt(bars_per_year))


def _returns(nav: Array, fewest: int = 1) -> Array | None:
    """Simple returns [T - 1], or None where they are undefined or fewer than asked for."""
    if len(nav) <= fewest or not (nav[:-1] > 0).all() or not np.isfinite(nav).all():
        return None
    returns: Array = nav[1:] / nav[:-1] - 1.0
    return returns


def _ratio(mean: np.floating, deviation: np.floating, bars_per_year: float) -> float | None:
    """Reward per unit of risk a year, or None where there is no risk."""
    return None if deviation <= STILL else float(mean / deviation * np.sqrt(bars_per_year))


def _finite(value: np.floating | float) -> float | None:
    return float(value) if np.isfinite(value) else None
