"""Watches an episode bar by bar: NAVs and estimates come in, the `RiskState` of each decision goes out.

What it remembers (peak, kill switch, clusters) follows from the bars and the NAV path alone.
"""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array, Labels, Panel
from tradearena.policy import Limits
from tradearena.portfolio.covariance import correlation, row_mean
from tradearena.portfolio.reference import Estimate
from tradearena.risk.clusters import coupled_clusters
from tradearena.risk.state import RiskState
from tradearena.values import TOLERANCE, Account

ENOUGH = 20
"""Rows of returns below which each symbol stays alone: of fewer, one correlation of 0.6 in twenty looks like 0.8."""


class RiskMonitor:
    """Kill switch, coupled clusters and liquidity of one episode."""

    def __init__(self, panel: Panel, limits: Limits) -> None:
        self.panel, self.limits = panel, limits
        self.peak = self.drawdown = 0.0
        self.halted = False
        self.halted_at: int | None = None
        self.clusters: Labels = np.arange(len(panel.symbols), dtype=np.int16)
        self.clustered_at: int | None = None

    def turn(self, limits: Limits) -> None:
        """From now on watch under these limits. Where they know no kill switch, it is off."""
        self.limits = limits
        if limits.drawdown is None:
            self.halted, self.halted_at = False, None

    def mark(self, t: int, nav: float) -> None:
        """Take note of the NAV at the close of bar t. The kill switch goes on when the fall from the peak reaches the
        limit, and off again when the cooldown has passed since the first decision it was on for; the peak then starts
        anew at the NAV of that bar."""
        if self.halted_at is not None and t - self.halted_at >= self.limits.cooldown:
            self.halted, self.halted_at, self.peak = False, None, nav
        self.peak = max(self.peak, nav)
        self.drawdown = 1.0 - nav / self.peak
        limit = self.limits.drawdown
        if limit is not None and self.drawdown >= limit - TOLERANCE:
            self.halted = True

    def state(self, t: int, account: Account, estimate: Estimate) -> tuple[RiskState, Labels | None]:
        """The state that a decision at the close of bar t is audited in, and the clusters where they changed."""
        panel = self.panel
        changed = self._refresh(t)
        if self.halted and self.halted_at is None:
            self.halted_at = t
        state = RiskState(
            symbols=panel.symbols,
            current=account.committed,
            tradable=panel.tradable[t],
            covariance=estimate.covariance,
            reference=estimate.weights,
            sectors=panel.sector_of,
            sector_names=panel.sector_names,
            clusters=self.clusters,
            liquidity=self._liquidity(t, account.nav),
            drawdown=self.drawdown,
            halted=self.halted,
            bars_per_year=panel.bars_per_year,
        )
        return state, self.clusters if changed else None

    def _refresh(self, t: int) -> bool:
        """Find the coupled clusters anew, every few bars. Have they changed?

        From the correlation of the sample: shrunk to the identity, that of two share classes of one firm falls from
        0.99 to 0.47 (60 real hourly bars of 51 stocks), and nothing would ever be coupled.
        """
        if self.clustered_at is not None and t - self.clustered_at < self.limits.cluster_refresh:
            return False
        returns = self.panel.returns[max(1, t - self.limits.cluster_lookback + 1) : t + 1]
        if len(returns) < min(self.limits.cluster_lookback, ENOUGH):
            return False
        centred = returns - row_mean(returns)
        before, self.clustered_at = self.clusters, t
        self.clusters = coupled_clusters(correlation(centred.T @ centred), self.limits.cluster_correlation)
        return not np.array_equal(before, self.clusters)

    def _liquidity(self, t: int, nav: float) -> Array | None:
        """Largest trade per symbol in weight units: a fraction of its trailing mean volume, at the close."""
        limits, panel = self.limits, self.panel
        if limits.liquidity is None:
            return None
        window = panel.volume[max(0, t - limits.liquidity_lookback + 1) : t + 1]
        room: Array = np.add.reduce(window, axis=0)
        room *= limits.liquidity / nav / len(window)
        room *= panel.mark[t]
        return room
