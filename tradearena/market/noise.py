"""Noise of stated size: a dataset comes in, the same market with other last digits goes out, to ask an agent again.

It is laid on the bars, so that everything that is made from them (prompts, audits, fills, the reference) sees the same
noisy market. Noise that is added to vectors says how stable a statistic is; this says how stable an agent is.

Open and close of a bar are multiplied by exp(SIZE s[t,i] z / sqrt 2) each, z independent and standard normal, and s the
volatility of a bar of symbol i: the root mean square of its last `TRAILING` log returns up to t. A return has the noise
of two closes in it, so SIZE is the noise of a return over the return itself. Levels stay where they were: noise does
not add up over time, and its returns are correlated at lag 1 by -1/2 as bid-ask bounce is (Roll 1984, J. Finance 39).
High and low keep their distance, in logs, from the outer and the inner of open and close. Volume has noise of the same
size, measured by the symbol's own changes of log volume. In basis points s is 1e-4, for prices and volumes alike.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from tradearena.errors import UsageError
from tradearena.market.bars import Remark
from tradearena.market.card import Noisy
from tradearena.market.dataset import Dataset
from tradearena.market.synthetic import normal
from tradearena.panel import Array, Mask, Panel

Unit: TypeAlias = Literal["volatility", "bp"]

TRAILING = 20
"""Bars over which volatility trails."""

MOST: dict[Unit, float] = {"volatility": 10.0, "bp": 5_000.0}
"""What is larger is no noise any more."""

_PURPOSE = 28_851
"""Sets these draws apart from all others of the same seed."""

_WRITTEN = re.compile(r"(?P<size>\d+\.?\d*|\.\d+)(?P<bp>bp)?(?::(?P<seed>\d+))?")


@dataclass(frozen=True, slots=True)
class Noise:
    """How much, in units of each symbol's own volatility per bar or in basis points, and which.

    Raises:
        UsageError: a size that is negative, not finite, or larger than the market itself; a negative seed.
    """

    size: float
    unit: Unit = "volatility"
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.size) and 0 <= self.size <= MOST[self.unit] and 0 <= self.seed < 2**63):
            raise UsageError(
                f"--noise {self}: write 0.1 (of each symbol's own volatility per bar, at most {MOST['volatility']:g}) "
                f"or 5bp (basis points, at most {MOST['bp']:g}), and 0.1:3 for the noise of seed 3"
            )

    def __str__(self) -> str:
        return f"{self.size:g}{'bp' * (self.unit == 'bp')}" + (f":{self.seed}" if self.seed else "")


def noise_named(written: str) -> Noise:
    """The noise of a text: `0.1`, `5bp`, `0.1:3`.

    Raises:
        UsageError: it is none.
    """
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise UsageError(f"--noise {written}: write a size, such as 0.1 (of volatility) or 5bp, and 0.1:3 for seed 3")
    return Noise(float(match["size"]), "bp" if match["bp"] else "volatility", int(match["seed"] or 0))


def noised(dataset: Dataset, noise: Noise) -> Dataset:
    """The dataset with noise, by a name that says so. Its card names the digest of the bars that the noise is on, so
    that what is found on both can be paired. Of size 0 it is the dataset itself.

    Raises:
        UsageError: there is noise on it already.
    """
    card = dataset.card
    if card.noise is not None:
        raise UsageError(f"{card.name} carries noise already; name the bars that it was laid on")
    if noise.size == 0.0:
        return dataset
    of = "bp" if noise.unit == "bp" else " of a bar's volatility"
    said = f"noise of {noise.size:g}{of} is on prices and volumes, seed {noise.seed}"
    stated = Noisy(
        size=noise.size, unit=noise.unit, seed=noise.seed, of=dataset.panel.digest, market=dataset.panel.market
    )
    named = {"name": f"{card.name}+noise {noise.size:g}{'bp' * (noise.unit == 'bp')} {noise.seed}", "noise": stated}
    warnings = (*dataset.warnings, Remark("noise", said, int(dataset.panel.valid.sum())))
    return replace(
        dataset, card=card.model_copy(update=named), panel=noised_panel(dataset.panel, noise), warnings=warnings
    )


def noised_panel(panel: Panel, noise: Noise) -> Panel:
    """The panel with noise: a pure function of both, in which no bar depends on a later one. Missing bars stay missing,
    idle ones idle, unknown volumes unknown."""
    market = int.from_bytes(panel.digests[0][:8], "little")  # two markets have other noise
    draws = normal(1.0 - np.random.default_rng([noise.seed, _PURPOSE, market]).random((*panel.close.shape, 3, 2)))
    part = noise.size / math.sqrt(2.0) * draws
    traded = panel.tradable & np.isfinite(panel.volume)
    usual = 1e-4 if noise.unit == "bp" else _usual(panel.close, panel.valid)
    usually = 1e-4 if noise.unit == "bp" else _usual(panel.volume, traded)
    opened, close = (price * np.exp(usual * part[..., i]) for i, price in enumerate((panel.open, panel.close)))
    volume = panel.volume * np.where(traded, np.exp(usually * part[..., 2]), 1.0)
    outer, inner = np.fmax(opened, close), np.fmin(opened, close)
    high = _carried(panel.high, np.fmax(panel.open, panel.close), outer, np.fmax)
    low = _carried(panel.low, np.fmin(panel.open, panel.close), inner, np.fmin)
    return Panel.of(
        panel.symbols, panel.start, panel.end, (opened, np.fmax(high, low), low, close), volume,
        sectors=panel.sectors, bars_per_year=panel.bars_per_year,
    )  # fmt: skip


def _usual(values: Array, there: Mask) -> Array:
    """[T, N] root mean square of the last `TRAILING` log changes of each symbol from one value that is there to the
    next, up to each bar; 0 before the first."""
    changes = np.zeros_like(values)
    for i in range(values.shape[1]):
        (bars,) = there[:, i].nonzero()
        squares = np.append(0.0, np.cumsum(np.diff(np.log(values[bars, i])) ** 2))
        last = np.maximum(np.arange(len(squares)) - TRAILING, 0)
        n = np.maximum(np.arange(len(squares)) - last, 1)
        changes[bars, i] = np.sqrt((squares - squares[last]) / n)[: len(bars)]
    return changes


def _carried(edge: Array, body: Array, moved: Array, outermost: np.ufunc) -> Array:
    """High or low at its distance, in logs, from the body of its bar as that has moved; never within the body, where it
    was not before."""
    carried = edge * (moved / body)
    outside = outermost(edge, body) == edge
    return np.where(outside, outermost(carried, moved), carried)
