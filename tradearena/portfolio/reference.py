"""A panel and the policy's reference rules come in; the rolling Markowitz portfolio of each bar goes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradearena.panel import Array, Panel
from tradearena.policy import Reference
from tradearena.portfolio.covariance import ledoit_wolf, row_mean
from tradearena.portfolio.mean import shrunk_mean
from tradearena.portfolio.optimiser import mean_variance

FEWEST = 3
"""Rows of returns below which nothing is estimated: the covariance of two rows has rank one whatever the shrinkage, and
a portfolio without any risk in it would make every limit that is relative to the reference absurd."""

UNKNOWN_VARIANCE = 1e-8
"""Per bar, of every symbol, where nothing is estimated: a volatility of one basis point. What cannot be measured is not
held against a portfolio: no limit on volatility that anyone sets binds at this size, yet ratios of risks are defined.
"""

KEPT = 16_000_000
"""Bytes of covariances that are kept: 768 bars of 51 symbols, 13,888 of 12."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the reference knows at the close of bar `t`. Arrays are read-only, returns are simple and per bar.

    `weights` [N] are the Markowitz portfolio; `covariance` [N, N] and `mean` [N] are what it was made from; `short`
    says that the dataset had fewer rows of returns than the lookback.
    """

    t: int
    weights: Array
    covariance: Array
    mean: Array
    short: bool


class RollingMarkowitz:
    """Ledoit-Wolf covariance, James-Stein mean and long-only Markowitz weights over the last `lookback` returns.

    The rows are the returns of bars max(1, t - lookback + 1) .. t (bar 0 has none). With fewer than three rows the
    covariance is `UNKNOWN_VARIANCE` times the identity, the mean is zero, and the weights are equal. Weight goes only
    to symbols that were listed for at least half of the rows and have traded within the newer half: without a bar a
    symbol's returns are zeros, so that a fresh listing, or one that is gone, looks almost free of risk. A symbol whose
    market is closed for less than that, on a calendar of several, keeps its weight. Whatever the cap leaves over stays
    in cash.

    Answers are kept, so that an agent that is the reference shares its solve with the audit, and episodes on the same
    bars share theirs: as many of the newest as fit into `KEPT` bytes, at least one.
    """

    def __init__(self, panel: Panel, rules: Reference) -> None:
        self.panel = panel
        self.rules = rules
        self._kept: dict[int, Estimate] = {}
        self._room = max(1, KEPT // (8 * len(panel.symbols) ** 2))

    def at(self, t: int) -> Estimate:
        """The reference at the close of bar t, from bars up to and including t.

        Raises:
            IndexError: there is no bar t.
            SolverError: the panel holds a return that is not finite.
        """
        if not 0 <= t < len(self.panel):
            raise IndexError(f"bar {t} is not among the {len(self.panel)} bars of the panel")
        kept = self._kept.get(t)
        if kept is None:
            if len(self._kept) >= self._room:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[t] = self._estimate(t)
        return kept

    def _estimate(self, t: int) -> Estimate:
        lookback, N = self.rules.lookback, len(self.panel.symbols)
        returns = self.panel.returns[max(1, t - lookback + 1) : t + 1]
        rows = len(returns)
        if rows < FEWEST:
            covariance = np.eye(N) * UNKNOWN_VARIANCE
            mean = np.zeros(N)
        else:
            means = row_mean(returns)
            covariance = ledoit_wolf(returns, means)
            mean = shrunk_mean(returns, covariance, means)
        weights = mean_variance(
            covariance,
            mean,
            risk_aversion=self.rules.risk_aversion,
            cap=self._caps(t, rows),
        )
        for array in (weights, covariance, mean):
            array.setflags(write=False)
        return Estimate(t, weights, covariance, mean, short=rows < lookback)

    def _caps(self, t: int, rows: int) -> Array:
        """[N]: the cap of what was listed half of the rows ago and has traded since, 0 for the rest."""
        middle = t - rows // 2
        caps: Array = ((self.panel.mark[middle] > 0) & (self.panel.traded[t] >= middle)) * self.rules.cap
        return caps
