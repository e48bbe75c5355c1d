"""Says what market to invent: numbers and a seed come in, a frozen `Design` goes out, from which all bars follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from tradearena.errors import UsageError
from tradearena.market.card import DAY, step_of
from tradearena.panel import Array

SECTORS = {
    "Technology": "TECH",
    "Financials": "FINA",
    "Energy": "ENER",
    "Health Care": "HLTH",
    "Industrials": "INDU",
    "Utilities": "UTIL",
    "Materials": "MATR",
    "Consumer Staples": "STPL",
}
"""Sectors and the stems of their invented tickers; a digit follows, which no listed US ticker has."""

STREAMS = (
    "market", "sectors", "residuals", "betas", "levels", "overnight", "extremes", "turnover", "stress", "dispersion",
)  # fmt: skip
"""Purposes that draw random numbers. New ones are added at the end."""

DAYS = 365.25 / 7 * 5
"""Sessions a year: every weekday is one."""

OPENS, MINUTES = np.timedelta64(570, "m"), 390
"""A session begins at 09:30 and lasts six and a half hours, as in New York."""

YEARS = 1800, 2199
"""That a dataset may have bars in."""

STRONGEST = 10.0
"""Largest precursor: 22,000 times the volume. Far beyond it volumes are no whole numbers any more."""

OPENING, CLOSING = 0.115, 0.04
"""Decay of what is special about the opening and the close, as fractions of a session: 45 and 15 minutes."""

VARIANCE, VOLUME = (14.5, 1.8), (3.2, 6.3)
"""How much more variance and volume the first and the last moment of a session have than its middle, in its units."""


@dataclass(frozen=True, slots=True)
class Design:
    """What to invent. Volatilities and the drift (of the simple return of a symbol) are per year.

    `frequency`: `"1d"`, or the length of a bar within the session, such as `"1h"`; `dispersion`: standard deviation of
    the log of the symbols' own volatilities; `alpha`, `beta`: GARCH weights of the last day's squared return and
    variance; `tail`: degrees of freedom of the innovations; `overnight`: share of a day's variance between close and
    open; `coupled`: pairs of symbols of one sector whose residuals correlate by `coupling`; `turnover`: range of the
    symbols' mean daily volumes, in money.

    `edge`: Sharpe ratio per year, close to close, of the portfolio that follows the sign of each symbol's own residual
    (before pairs are coupled) over the last `lookback` bars and hedges everything else (below 0: that goes against it);
    at 0 the past tells nothing. With the drift at 0 as well, and without scenes, no strategy has an edge.

    `scenes` stress scenes of `scene` bars take the market down by `depth` each (a fall of its log), and volume is
    exp(`strength`) times as high in the `lead` bars before each: a precursor, planted where strength is above 0.
    """

    symbols: int = 12
    sectors: int = 4
    bars: int = 756
    frequency: str = "1d"
    start: date = date(2015, 1, 5)
    seed: int = 1
    drift: float = 0.08
    market: float = 0.17
    sector: float = 0.11
    residual: float = 0.26
    dispersion: float = 0.4
    alpha: float = 0.09
    beta: float = 0.89
    tail: float = 4.5
    overnight: float = 0.35
    coupled: int = 0
    coupling: float = 0.98
    turnover: tuple[float, float] = (80e6, 400e6)
    edge: float = 0.0
    lookback: int = 5
    scenes: int = 0
    scene: int = 10
    depth: float = 0.15
    lead: int = 6
    strength: float = 0.0

    def __post_init__(self) -> None:
        for rule, holds in self._rules().items():
            if not holds:
                raise UsageError(f"synthetic data: {rule}")

    def _rules(self) -> dict[str, bool]:
        most = self.symbols // self.sectors // 2 * self.sectors if self.sectors > 0 else 0
        shortest = max(self.scene, 1) + max(self.lead, 1)
        return {
            f"--sectors must be between 1 and {len(SECTORS)}": 1 <= self.sectors <= len(SECTORS),
            "--symbols must be at least the number of sectors, and at most 500": self.sectors <= self.symbols <= 500,
            "--bars must be between 3 and 100000": 3 <= self.bars <= 100_000,
            f"--frequency must be 1d, or 1m to {MINUTES}m within the session": self._known_frequency(),
            f"--start and --bars must keep the bars between {YEARS[0]} and {YEARS[1]}": self._in_the_calendar(),
            "--seed must not be negative": self.seed >= 0,
            f"--coupled must be between 0 and {most}: a pair stays within its sector": 0 <= self.coupled <= most,
            "alpha and beta must not be negative and sum to less than 1": (
                min(self.alpha, self.beta) >= 0 and self.alpha + self.beta < 1
            ),
            "tail must exceed 2, or there is no variance": self.tail > 2,
            "--drift must be between -0.9 and 10": -0.9 <= self.drift <= 10,
            "--edge must be between -10 and 10, --lookback at least 1": abs(self.edge) <= 10 and self.lookback >= 1,
            f"--depth must not be negative, --strength be between 0 and {STRONGEST:g}, --lead and --scene at least 1": (
                self.depth >= 0 and 0 <= self.strength <= STRONGEST and min(self.lead, self.scene) >= 1
            ),
            f"--scenes must be between 0 and {self.bars // (3 * shortest)}: each takes its third of a stretch": (
                0 <= self.scenes * 3 * shortest <= self.bars
            ),
            "overnight and coupling must be between 0 and 1, volatilities and dispersion not negative": (
                0 < self.overnight < 1
                and 0 <= self.coupling <= 1
                and min(self.market, self.sector, self.residual, self.dispersion) >= 0
            ),
        }

    def _known_frequency(self) -> bool:
        try:
            step = step_of(self.frequency)
        except ValueError:
            return False
        minute = np.timedelta64(1, "m")
        return bool(step == DAY or (step % minute == np.timedelta64(0, "m") and minute <= step <= MINUTES * minute))

    def _in_the_calendar(self) -> bool:
        """Of five days a week; a frequency that is none is another complaint."""
        weeks = self.bars / (5 * self.session) if self._known_frequency() else 0
        return YEARS[0] <= self.start.year and self.start.year + (weeks + 2) / 52 <= YEARS[1]

    @property
    def daily(self) -> bool:
        """A bar is a day, not a part of one."""
        return bool(step_of(self.frequency) == DAY)

    @property
    def edges(self) -> Array:
        """Where the bars of a session begin and end, as fractions of it; the last may be shorter than the others."""
        minutes = MINUTES if self.daily else int(step_of(self.frequency) / np.timedelta64(1, "m"))
        return np.append(np.arange(0, MINUTES, minutes), MINUTES) / MINUTES

    @property
    def session(self) -> int:
        """Bars in a session."""
        return len(self.edges) - 1

    @property
    def spread(self) -> tuple[Array, Array]:
        """Share [session] of a day's variance that falls to each bar, its night included, and of that the night's."""
        within = (1 - self.overnight) * profile(self.edges, *VARIANCE)
        whole = within + self.overnight * (np.arange(len(within)) == 0)
        return whole, 1 - within / whole

    @property
    def stress(self) -> tuple[int, ...]:
        """First bars of the stress scenes: one in each of equal stretches, somewhere in its middle third."""
        stretch = self.bars // max(self.scenes, 1)
        where = self.uniforms("stress", self.scenes)
        return tuple(int(stretch * (k + (1 + u) / 3)) for k, u in enumerate(where.tolist()))

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Ticker and sector of each symbol; symbols are dealt to the sectors in turn."""
        stems = list(SECTORS.items())[: self.sectors]
        dealt = ((stems[i % self.sectors], i // self.sectors + 1) for i in range(self.symbols))
        return tuple((f"{stem}{number}", sector) for (sector, stem), number in dealt)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Coupled symbols: the first and second of a sector, sector by sector, then the third and fourth, and so on."""
        K = self.sectors
        return [(i // K * 2 * K + i % K, i // K * 2 * K + K + i % K) for i in range(self.coupled)]

    def uniforms(self, stream: str, *shape: int) -> Array:
        """Uniform doubles in (0, 1] for one purpose."""
        return 1.0 - np.random.default_rng([self.seed, STREAMS.index(stream)]).random(shape)


def profile(edges: Array, opening: float, closing: float) -> Array:
    """Share of each bar [n] in what happens in a session, for bars between `edges` [n + 1], fractions of it.

    The intensity at u is 1 + opening exp(-u / 0.115) + closing exp(-(1 - u) / 0.04), integrated over each bar: the U
    of volume and the steeper opening of volatility (Wood, McInish and Ord 1985, J. Finance 40; Admati and Pfleiderer
    1988, Rev. Fin. Stud. 1). Multiplying a day's variance by a fixed pattern is Andersen and Bollerslev (1997),
    J. Empirical Finance 4.
    """
    start = -opening * OPENING * np.exp(-edges / OPENING)
    end = closing * CLOSING * np.exp(-(1 - edges) / CLOSING)
    share = np.diff(edges + start + end)
    return np.asarray(share / share.sum())
