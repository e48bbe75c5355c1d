"""What a fill costs: quantities, prices and volumes come in; commission, half spread and impact go out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradearena.panel import Array, ratio
from tradearena.policy import Execution

_BPS = 1e-4


class Costs(NamedTuple):
    """Money paid per symbol [N]."""

    commission: Array
    spread: Array
    impact: Array

    @property
    def total(self) -> Array:
        """[N] sum of the three."""
        return self.commission + self.spread + self.impact


def costs(quantity: Array, price: Array, volume: Array, terms: Execution) -> Costs:
    """Cost of filling `quantity` [N] shares (signed) at `price` [N] in bars that traded `volume` [N].

    commission = max(minimum, bps * notional) for what is filled at all; half spread = bps * notional; impact =
    bps * notional * participation ** e with e = 1 (linear) or 1/2 (square root: Almgren, Thum, Hauptmann & Li 2005;
    Tóth et al. 2011), participation = |quantity| / volume. Prices and volumes may be 0 where nothing is filled.
    """
    size = np.abs(quantity)
    notional = size * price
    commission = notional * (terms.commission_bps * _BPS)
    if terms.commission_minimum > 0:
        commission = np.where(size > 0, np.maximum(commission, terms.commission_minimum), 0.0)
    spread = notional * (terms.half_spread_bps * _BPS)
    if terms.impact_bps == 0:
        return Costs(commission, spread, np.zeros_like(notional))
    part = ratio(size, volume)
    impact = notional * (np.sqrt(part) if terms.impact == "square-root" else part)
    impact *= terms.impact_bps * _BPS
    return Costs(commission, spread, impact)
