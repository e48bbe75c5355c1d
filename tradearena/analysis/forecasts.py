"""Stated confidence as a forecast: probabilities and what came to pass come in; Brier score and reliability go out,
with what a forecaster without skill would have had."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradearena.panel import Array, Mask
from tradearena.values import Trajectory

BINS = 10
"""Bins of equal width in which stated and observed frequencies are compared."""


class Bin(NamedTuple):
    """Forecasts that say about the same: how many, their mean, and the share that came true."""

    n: int
    stated: float
    observed: float


class Forecasts(NamedTuple):
    """How good n stated probabilities were. All but `n` and `bins` are None where n is 0.

    Attributes:
        brier: mean of (stated - came true)^2, in [0, 1]; 0 is perfect, 0.25 is what saying 0.5 gets.
        base_rate: share that came true; `reference` = base_rate (1 - base_rate) is the Brier score of saying that
            share each time. It is known only afterwards, so it is a demanding one.
        skill: 1 - brier / reference, at most 1; below 0 is worse than saying the base rate. None where everything, or
            nothing, came true.
        reliability: mean over the forecasts of (stated - observed)^2 of their bin, in [0, 1]; 0 is calibrated. Of a
            calibrated forecaster it is about (bins in use) * reference / n, not 0.
        resolution: mean over the forecasts of (observed - base_rate)^2 of their bin. Where a bin holds one value only,
            brier = reliability - resolution + reference.
        bins: those in use, from low to high.
    """

    n: int
    brier: float | None
    base_rate: float | None
    reference: float | None
    skill: float | None
    reliability: float | None
    resolution: float | None
    bins: tuple[Bin, ...]


def scores(stated: Array, came: Mask) -> Forecasts:
    """Brier score, skill and reliability of probabilities.

    Args:
        stated: [n] in [0, 1].
        came: [n] whether it came true.

    Source: Brier, G. W. (1950), Monthly Weather Review 78, 1-3; Murphy, A. H. (1973), Journal of Applied Meteorology
    12, 595-600 (reliability, resolution, uncertainty).

    Raises:
        ValueError: a probability outside [0, 1], or not one outcome for each.
    """
    n = len(stated)
    if n != len(came) or not ((stated >= 0.0) & (stated <= 1.0)).all():
        raise ValueError("each forecast is a probability and has one outcome")
    if not n:
        return Forecasts(0, None, None, None, None, None, None, ())
    outcome = came.astype(np.float64)
    base = float(outcome.mean())
    place = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
    bins = [
        Bin(int(inside.sum()), float(stated[inside].mean()), float(outcome[inside].mean()))
        for inside in (place == b for b in np.unique(place))
    ]
    brier, reference = float(np.mean((stated - outcome) ** 2)), base * (1.0 - base)
    return Forecasts(
        n=n,
        brier=brier,
        base_rate=base,
        reference=reference,
        skill=1.0 - brier / reference if reference > 0 else None,
        reliability=sum(each.n * (each.stated - each.observed) ** 2 for each in bins) / n,
        resolution=sum(each.n * (each.observed - base) ** 2 for each in bins) / n,
        bins=tuple(bins),
    )


def foretold(path: Trajectory) -> tuple[Array, Mask]:
    """Stated confidences [n] of an episode, and whether what was wished gained [n].

    It is the return of the intent book, as wished and without friction, from a decision to the next, or to the end of
    the episode, close to close: the book takes what was wished at the next open, and what it earns until then is of the
    decision before. Left out are replies that are no decision or state no confidence, and books that did not move: of
    cash no sign comes true. A confidence is read as the probability of a gain, which is not what every agent means.
    """
    if not len(path.decided):
        return np.zeros(0), np.zeros(0, dtype=bool)
    begins = np.searchsorted(path.marked, path.decided)
    ends = np.append(begins[1:], len(path.marked) - 1)
    change = path.intent_nav[ends] - path.intent_nav[begins]
    stated = np.array([np.nan if value is None else value for value in path.confidence], dtype=np.float64)
    made = np.array([status in ("ok", "repaired") for status in path.statuses], dtype=bool)
    counts = made & np.isfinite(stated) & (change != 0.0)
    return stated[counts], change[counts] > 0.0
