"""The paper books: weights come in, frictionless NAVs of intent, approved and reference portfolios go out.

Each book takes its new weights at the open of the bar after the decision, whatever the latency, at no cost and in any
size; between decisions it drifts. What the executed book lacks against `approved` is therefore latency, partial fills
and cost, and nothing else. A book that falls to zero stays there.
"""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array, Panel, ratio

INTENT, APPROVED, REFERENCE = range(3)


class PaperBooks:
    """The three books of one episode, side by side: arrays are [3] or [3, N]."""

    def __init__(self, panel: Panel, cash: float) -> None:
        self.panel = panel
        self.cash: Array = np.full(3, cash)
        self.shares: Array = np.zeros((3, len(panel.symbols)))
        self._wanted: Array | None = None

    def rebalance(self, intent: Array, approved: Array, reference: Array) -> None:
        """Take these weights [N] at the next open."""
        self._wanted = np.array((intent, approved, reference))

    def advance(self, t: int) -> tuple[float, float, float]:
        """Live through bar t; NAVs of the three books at its close."""
        if self._wanted is not None:
            self._open(t, self._wanted)
            self._wanted = None
        nav = self.cash + np.add.reduce(self.shares * self.panel.mark[t], axis=1)
        intent, approved, reference = nav.tolist()
        if min(intent, approved, reference) <= 0.0:
            bust = nav <= 0.0
            self.cash[bust], self.shares[bust], nav[bust] = 0.0, 0.0, 0.0
            intent, approved, reference = nav.tolist()
        return intent, approved, reference

    def _open(self, t: int, weights: Array) -> None:
        """Trade to the weights at the open of bar t, or at the last mark of a symbol without a bar."""
        price = self.panel.opening[t]
        value = np.maximum(self.cash + np.add.reduce(self.shares * price, axis=1), 0.0)
        self.shares = ratio(weights * value[:, None], price)
        self.cash = value - np.add.reduce(self.shares * price, axis=1)
