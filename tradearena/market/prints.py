"""Finds bad prints: bars come in, a mend of prices that cannot have been traded goes out.

What is asked of a price is whether everything around it denies it, on the scale of the symbol: the median true range,
in logs (Wilder 1978: from the highest of high and last close to the lowest of low and last close). The thresholds stand
far beyond what markets do: in 81,000 bars of stocks and coins, 2021 to 2026, with the banks of March 2023 among them,
no low or high reached further than 6.1 ranges, or by 21 %.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tradearena.market.bars import Bars
from tradearena.market.corrections import Mend
from tradearena.panel import Array

RULE = "bad print"

RANGES = 15.0
"""A price is a bad print only if it is further out than this many median true ranges of its symbol ..."""

REACH = 1.2
"""... and, if a low or high, by more than this factor ..."""

SPIKE = 1.5
"""... or, if an open or close, by more than this one; real moves of 15 to 20 % never are."""

REVERTS = 0.1
"""The close before a spike and the open after it differ by less than this part of the spike, in logs."""

AROUND = 3
"""A low or high is held against the opens and closes of this many bars before it and after it, and of its own."""

FEWEST = 5
"""Fewer bars of a symbol have no range to go by."""


def wicks(bars: Bars, _: np.timedelta64) -> Mend:
    """Lows and highs far beyond every open and close around them: they become the lower or higher of the bar's own.

    A crash is none, since closes go with it.
    """
    values = bars.values.copy()
    for run in bars.runs:
        opened, high, low, close = values[run, :4].T
        if len(close) < FEWEST:
            continue
        far = np.exp(max(np.log(REACH), RANGES * np.median(true_range(values[run]))))
        floor, roof = np.minimum(opened, close), np.maximum(opened, close)
        bad = _around(floor, np.min, np.inf) / low > far
        low[bad] = floor[bad]
        bad = high / _around(roof, np.max, -np.inf) > far
        high[bad] = roof[bad]
    at = np.flatnonzero((values != bars.values).any(axis=1))
    why = f"beyond every open and close of {AROUND} bars on either side by over {REACH - 1:.0%} and {RANGES:g} times "
    return Mend(RULE, f"{why}the median true range; set to the bar's own open or close", at, values[at])


def spikes(bars: Bars, _: np.timedelta64) -> Mend:
    """Bars whose open or close is far from both the close before and the open after, which agree: they are dropped."""
    bad = np.zeros(len(bars), dtype=np.bool_)
    for run in bars.runs:
        logs = np.log(bars.values[run, :4])
        if len(logs) < FEWEST:
            continue
        before, after = logs[:-2, 3], logs[2:, 0]
        middle = (before + after)[:, None] / 2
        size = np.abs(logs[1:-1, [0, 3]] - middle).max(axis=1)
        far = max(np.log(SPIKE), RANGES * np.median(true_range(bars.values[run])))
        bad[run][1:-1] = (size > far) & (np.abs(after - before) < REVERTS * size)
    why = f"open or close off by a factor over {SPIKE} and {RANGES:g} times the median true range; the next bar is back"
    return Mend(RULE, why, np.flatnonzero(bad))


def true_range(values: Array) -> Array:
    """[n]: the true range of each bar [n, 5] of one symbol, in logs; the first bar has no close before it."""
    _, high, low, close = values[:, :4].T
    before = np.concatenate((close[:1], close[:-1]))
    return np.asarray(np.log(np.maximum(high, before) / np.minimum(low, before)))


def _around(level: Array, extreme: Callable[..., Any], nothing: float) -> Array:
    """Extreme of [n] over each bar and its neighbours."""
    padded = np.pad(level, AROUND, constant_values=nothing)
    return np.asarray(extreme(sliding_window_view(padded, 2 * AROUND + 1), axis=1))
