"""Invents a market: a `Design` and its seed come in, a `Tape` of daily bars with known structure goes out.

The log return of symbol i, in sector k(i), on bar t is

    r[t,i] = mu + beta[i] m[t] + s[t,k(i)] + e[t,i]

where market m, sectors s and residuals e are independent and each follows a GARCH(1,1) with Student t innovations
(Bollerslev 1987): volatility clusters and tails are fat. Both members of a coupled pair share most of their residual.

A stress scene takes the market down by its depth, spread over its bars; a precursor of stated lead and strength is
volume, in all symbols, `exp(strength)` times what it would be in each of the `lead` bars before the scene.

Only uniform doubles are drawn and everything else is computed from them, one stream per purpose: the same seed gives
the same bars under every version of numpy, and a new purpose disturbs none that is there. Prices are rounded to cents,
far above the last bits in which processors differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from tradearena.errors import UsageError
from tradearena.panel import Array, Times

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

STREAMS = ("market", "sectors", "residuals", "betas", "levels", "overnight", "extremes", "turnover", "stress")
"""Purposes that draw random numbers. New ones are added at the end."""

DAYS = 252


@dataclass(frozen=True, slots=True)
class Design:
    """What to invent. Volatilities and the drift (of the simple return of a symbol) are per year.

    `alpha`, `beta`: GARCH weights of the last squared return and the last variance; `tail`: degrees of freedom of the
    innovations; `overnight`: share of a day's variance between close and open; `coupled`: pairs of symbols of one
    sector whose residuals correlate by `coupling`; `turnover`: range of the symbols' mean daily volumes, in money;
    `scenes` stress scenes of `scene` bars take the market down by `depth` each (a fall of its log), and volume is
    exp(`strength`) times as high in the `lead` bars before each: a precursor, planted where strength is above 0.
    """

    symbols: int = 12
    sectors: int = 4
    bars: int = 756
    start: date = date(2015, 1, 5)
    seed: int = 1
    drift: float = 0.08
    market: float = 0.13
    sector: float = 0.10
    residual: float = 0.20
    alpha: float = 0.09
    beta: float = 0.89
    tail: float = 5.0
    overnight: float = 0.3
    coupled: int = 0
    coupling: float = 0.95
    turnover: tuple[float, float] = (80e6, 400e6)
    scenes: int = 0
    scene: int = 10
    depth: float = 0.15
    lead: int = 6
    strength: float = 0.0

    def __post_init__(self) -> None:
        most = self.symbols // self.sectors // 2 * self.sectors if self.sectors > 0 else 0
        rules = {
            f"--sectors must be between 1 and {len(SECTORS)}": 1 <= self.sectors <= len(SECTORS),
            "--symbols must be at least the number of sectors, and at most 500": self.sectors <= self.symbols <= 500,
            "--bars must be between 3 and 100000": 3 <= self.bars <= 100_000,
            "--seed must not be negative": self.seed >= 0,
            f"--coupled must be between 0 and {most}: a pair stays within its sector": 0 <= self.coupled <= most,
            "alpha and beta must not be negative and sum to less than 1": (
                min(self.alpha, self.beta) >= 0 and self.alpha + self.beta < 1
            ),
            "tail must exceed 2, or there is no variance": self.tail > 2,
            f"--scenes must be between 0 and {self.bars // (3 * (self.scene + self.lead))}: each takes its third of a "
            "stretch of bars": 0 <= self.scenes * 3 * (self.scene + self.lead) <= self.bars,
            "--depth and --strength must not be negative, --lead and scene at least 1": (
                min(self.depth, self.strength) >= 0 and min(self.lead, self.scene) >= 1
            ),
            "overnight and coupling must be between 0 and 1": 0 < self.overnight < 1 and 0 <= self.coupling <= 1,
        }
        for rule, holds in rules.items():
            if not holds:
                raise UsageError(f"synthetic data: {rule}")

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

    def uniforms(self, stream: str, *shape: int) -> Array:
        """Uniform doubles in (0, 1] for one purpose."""
        return 1.0 - np.random.default_rng([self.seed, STREAMS.index(stream)]).random(shape)


@dataclass(frozen=True, slots=True)
class Tape:
    """Invented bars: `dates` [T] (datetime64[D], sessions of the exchange), prices and volume [T, N]."""

    design: Design
    dates: Times
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


def synthesise(design: Design) -> Tape:
    """Draw the bars of a design; a pure function of it."""
    returns, sigma = log_returns(design)
    opened, high, low, close = _prices(design, returns, sigma)
    dates = np.busday_offset(np.datetime64(design.start, "D"), np.arange(design.bars), roll="forward")
    return Tape(design, dates, opened, high, low, close, _volume(design, returns, sigma, close))


def log_returns(design: Design) -> tuple[Array, Array]:
    """Close-to-close log returns [T, N] and their conditional volatility per bar [T, N]."""
    T, N, K = design.bars, design.symbols, design.sectors
    own = np.arange(N) % K
    beta = 0.6 + 0.8 * design.uniforms("betas", N)
    market, market_sigma = garch(design, design.uniforms("market", T, 1, 2), design.market)
    sectors, sector_sigma = garch(design, design.uniforms("sectors", T, K, 2), design.sector)
    for first in design.stress:
        market[first : first + design.scene] -= design.depth / design.scene
    residuals, residual_sigma = garch(design, design.uniforms("residuals", T, N, 2), design.residual)
    for first, second in _pairs(design):
        rest = np.sqrt(1 - design.coupling**2)
        residuals[:, second] = design.coupling * residuals[:, first] + rest * residuals[:, second]
        beta[second] = beta[first]
    variance = (beta * design.market) ** 2 + design.sector**2 + design.residual**2
    drift = np.log1p(design.drift) / DAYS - variance / DAYS / 2  # of the log, so that the mean of the price grows
    returns = drift + beta * market + sectors[:, own] + residuals
    sigma = np.sqrt((beta * market_sigma) ** 2 + sector_sigma[:, own] ** 2 + residual_sigma**2)
    return returns, sigma


def garch(design: Design, uniforms: Array, volatility: float) -> tuple[Array, Array]:
    """Returns [T, K] and conditional volatility [T, K] of K independent GARCH(1,1) processes with t innovations.

        x[t] = sigma[t] z[t],  sigma[t+1]^2 = (1 - alpha - beta) v + alpha x[t]^2 + beta sigma[t]^2

    with v the variance per bar. Bollerslev (1986), J. Econometrics 31; with Student t, (1987), Rev. Econ. Stat. 69.
    `uniforms` is [T, K, 2]; `volatility` is per year.
    """
    innovations = student(uniforms, design.tail)
    level = volatility**2 / DAYS
    variance = np.full(innovations.shape[1], level)
    returns, sigma = np.empty_like(innovations), np.empty_like(innovations)
    for t, z in enumerate(innovations):
        sigma[t] = np.sqrt(variance)
        returns[t] = sigma[t] * z
        variance = (1 - design.alpha - design.beta) * level + design.alpha * returns[t] ** 2 + design.beta * variance
    return returns, sigma


def student(uniforms: Array, tail: float) -> Array:
    """Student t variables of unit variance from pairs of uniforms [..., 2].

    Bailey (1994), Math. Comp. 62: t = sqrt(n (u^(-2/n) - 1)) cos(2 pi v) has n degrees of freedom; its variance is
    n / (n - 2).
    """
    u, v = uniforms[..., 0], uniforms[..., 1]
    return np.asarray(np.sqrt((tail - 2) * (u ** (-2 / tail) - 1)) * np.cos(2 * np.pi * v))


def normal(uniforms: Array) -> Array:
    """Standard normal variables from pairs of uniforms [..., 2]: Box and Muller (1958)."""
    return np.asarray(np.sqrt(-2 * np.log(uniforms[..., 0])) * np.cos(2 * np.pi * uniforms[..., 1]))


def _pairs(design: Design) -> list[tuple[int, int]]:
    """Coupled symbols: the first and second of a sector, sector by sector, then the third and fourth, and so on."""
    K = design.sectors
    return [(i // K * 2 * K + i % K, i // K * 2 * K + K + i % K) for i in range(design.coupled)]


def _prices(design: Design, returns: Array, sigma: Array) -> tuple[Array, Array, Array, Array]:
    """Open, high, low and close [T, N], in cents.

    A day's path is a Brownian bridge from close to close. The open stands on it after the share q of its variance,
    so that given the day's return r it is normal with mean q r and variance q (1 - q) sigma^2. High and low are the
    exact extremes of the bridge from open to close (a to b, variance s^2), each by itself:
    max = (a + b + sqrt((b - a)^2 - 2 s^2 ln u)) / 2 (Glasserman 2004, Monte Carlo Methods in Fin. Eng., 6.4).
    """
    T, N, q = design.bars, design.symbols, design.overnight
    after = np.log(20 + 160 * design.uniforms("levels", N, 2)[:, 0]) + np.cumsum(returns, axis=0)
    a = after - returns + q * returns + np.sqrt(q * (1 - q)) * sigma * normal(design.uniforms("overnight", T, N, 2))
    u = -2 * (1 - q) * sigma[..., None] ** 2 * np.log(design.uniforms("extremes", T, N, 2))
    high = (a + after + np.sqrt((after - a) ** 2 + u[..., 0])) / 2
    low = (a + after - np.sqrt((after - a) ** 2 + u[..., 1])) / 2
    opened, high, low, close = (np.maximum(np.round(np.exp(x), 2), 0.01) for x in (a, high, low, after))
    return opened, high, low, close


def _volume(design: Design, returns: Array, sigma: Array, close: Array) -> Array:
    """Whole shares [T, N]: money traded rises with volatility and with the size of the return, since both follow the
    arrival of news (Clark 1973, Econometrica 41), and is lognormal around it."""
    uniforms = design.uniforms("turnover", design.bars + 1, design.symbols, 2)
    least, most = np.log(design.turnover)
    mean = np.exp(least + (most - least) * uniforms[0, :, 0])
    usual = np.sqrt(np.mean(sigma**2, axis=0))
    surprise = np.abs(returns) / sigma
    money = mean * (sigma / usual) * np.exp(0.25 * (surprise - 0.75) + 0.25 * normal(uniforms[1:]))
    for first in design.stress:
        money[max(first - design.lead, 0) : first] *= np.exp(design.strength)
    return np.asarray(np.round(money / close))
