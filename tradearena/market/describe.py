"""Describes a dataset in numbers: a `Dataset` comes in, the JSON object of `data describe` goes out.

Correlations are Pearson's, of simple close-to-close returns over the common bars: the bar times at which every symbol
has one. A symbol whose close never moves has no correlation and is left out of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tradearena.errors import UsageError
from tradearena.market.card import iso
from tradearena.market.dataset import Dataset
from tradearena.market.scheme import Room, scheme_of
from tradearena.panel import Array, Panel

TOP_PAIRS = 10


def describe(dataset: Dataset) -> dict[str, Any]:
    """Symbols, range and dependence of a dataset.

    `missing` counts cells of the panel without a bar, `bars` its bar times; `mean_abs_correlation` and
    `p90_abs_correlation` (linear interpolation between order statistics) are over the N(N-1)/2 pairs; `pc1_share` is
    the largest eigenvalue of the correlation matrix over N; `top_pairs` are the ten highest correlations; `scenes` are
    the first and last day of those that can be named and lie within the bars. What is
    not defined (fewer than two symbols that move, or three common bars) is None.
    """
    panel = dataset.panel
    names, correlation = correlations(panel)
    above = np.triu_indices(len(names), k=1)
    pairs = correlation[above]
    order = np.argsort(-pairs, kind="stable")[:TOP_PAIRS]
    size = np.abs(pairs)
    return {
        "symbols": list(panel.symbols),
        "bars": len(panel),
        "start": iso(panel.start[0]),
        "end": iso(panel.end[-1]),
        "bars_per_year": _finite(panel.bars_per_year),
        "missing": int((~panel.valid).sum()),
        "mean_abs_correlation": _finite(size.mean() if len(size) else np.nan),
        "p90_abs_correlation": _finite(np.quantile(size, 0.9) if len(size) else np.nan),
        "pc1_share": _finite(np.linalg.eigvalsh(correlation)[-1] / len(names) if len(size) else np.nan),
        "top_pairs": [[names[above[0][k]], names[above[1][k]], _finite(pairs[k])] for k in order],
        "warnings": [str(remark) for remark in dataset.warnings],
        "scenes": {name: list(dataset.scenes[name]) for name in sorted(dataset.scenes) if _inside(dataset, name)},
    }


def _inside(dataset: Dataset, name: str) -> bool:
    """Are there bars from the first day of a scene to its last?"""
    room = Room(0, len(dataset.panel) - 1, 1, 0, None)
    try:
        scheme_of([f"calendar:{name}"], dataset.scenes, dataset.card.zone).cut(dataset.panel, room)
    except UsageError:
        return False
    return True


def correlations(panel: Panel) -> tuple[list[str], Array]:
    """Symbols that move, and their correlation matrix over the common bars; empty where it is not defined."""
    close = panel.close[panel.valid.all(axis=1)]
    if len(close) < 3:  # two returns
        return [], np.empty((0, 0))
    returns = close[1:] / close[:-1] - 1
    moves = np.ptp(returns, axis=0) > 0
    names = [name for name, moving in zip(panel.symbols, moves, strict=True) if moving]
    return names, np.corrcoef(returns[:, moves], rowvar=False).reshape(len(names), len(names))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
