"""Takes out of a statistic what the market and the length of a text explain: values and what explains them come in, the
residuals go out, around the mean of the values.

An agent whose words follow volatility speaks otherwise before a fall if volatility does; that is no signature. So each
series of window statistics is regressed, trajectory by trajectory, on what its own window saw. The regression knows
nothing of anchors. It takes with it whatever part of a signature goes along with these: the adjusted statistic is the
cautious one, and the unadjusted stands beside it. Where the regression cannot be made there is no adjusted statistic.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tradearena.analysis.signatures.trace import Trace
from tradearena.analysis.signatures.views import standardised
from tradearena.panel import Array

ROWS = 3
"""Rows for each coefficient, below which no regression is made."""

COVARIATES = 3


def shortest(window: int) -> int:
    """Fewest decisions of a trajectory whose windows can be adjusted, and be before an anchor and away from it."""
    return max(2 * window + 1, window - 1 + ROWS * (1 + 3 * COVARIATES))


def covariates(trace: Trace) -> Array:
    """[K, 3] at each decision: log volatility and momentum (in units of volatility) of the market, length of the
    rationale in words, all standardised."""
    floor = max(float(np.median(trace.volatility)), 1e-12) * 1e-3
    volatility = np.maximum(trace.volatility, floor)
    lengths = np.array([len(said.text.split()) for said in trace.plan], dtype=np.float64)
    return standardised(np.column_stack((np.log(volatility), trace.momentum / volatility, lengths)))


def of_windows(rows: Array, window: int) -> Array:
    """[K, 3 c] of covariates [K, c]: mean over the window that ends at each step, its square, and the spread within;
    the first windows are those there are."""
    steps = len(rows)
    if steps < window:
        return np.zeros((steps, 3 * rows.shape[1]))
    inside = sliding_window_view(rows, window, axis=0)
    mean, spread = (np.vstack((np.repeat(each[:1], window - 1, 0), each)) for each in (inside.mean(-1), inside.std(-1)))
    return standardised(np.hstack((mean, mean**2, spread)))


def residuals(values: Array, explaining: Array) -> Array:
    """[K, q] values less what `explaining` [K, c] accounts for by least squares, each column around its own mean; NaN
    stays, and is in no regression. A column with fewer than `ROWS` known rows for each coefficient is all NaN: what is
    not adjusted must not pass for it."""
    found = np.full_like(values, np.nan)
    rows = np.hstack((np.ones((len(values), 1)), explaining))
    known = np.isfinite(values)
    patterns: dict[bytes, list[int]] = {}
    for column in range(values.shape[1]):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in patterns.values():  # most columns are known at the same steps: one factorisation for all of them
        at = np.flatnonzero(known[:, columns[0]])[:, None]
        if len(at) < ROWS * rows.shape[1]:
            continue
        held, X = values[at, columns], rows[at[:, 0]]
        coefficients = np.linalg.lstsq(X, held, rcond=1e-8)[0]
        found[at, columns] = held - X @ coefficients + held.mean(axis=0)
    return found
