"""Invents a market: a `Design` and its seed come in, a `Tape` of bars with known structure goes out.

The log return of symbol i, in sector k(i), in a bar that has the share w of its day's variance, is

    r[t,i] = mu - sigma[t,i]^2 / 2 + beta[i] m[t] + s[t,k(i)] + e[t,i],    e[t,i] = v[t,i] (z[t,i] + kappa S[t-1,i])

where market m, sectors s and residuals e are independent and each follows a daily GARCH(1,1), its bars sqrt(w) times
Student t innovations (Bollerslev 1987): volatility clusters and tails are fat. Both members of a coupled pair share
most of their residual. S is the sign of the residual's sum over the last bars, kappa the edge that it has. sigma is the
volatility of the whole and v that of the residual, both known at the open: without an edge and scenes the expected
simple return of every bar is mu, to second order, whatever went before.

A stress scene takes the market down by its depth, spread over its bars; a precursor of stated lead and strength is
volume, in all symbols, `exp(strength)` times what it would be in each of the `lead` bars before the scene.

Only uniform doubles are drawn and everything else is computed from them, one stream per purpose: the same seed gives
the same bars under every version of numpy, and a new purpose disturbs none that is there. Prices are rounded to cents,
far above the last bits in which processors differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradearena.errors import UsageError
from tradearena.market.card import step_of
from tradearena.market.design import DAYS, OPENS, VOLUME, Design, profile
from tradearena.panel import Array, Panel, Times

HIGHEST = 1e9
"""Higher prices are not written: cents would be lost."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Invented bars: when each starts on the exchange's clock [T], prices and volume [T, N]."""

    design: Design
    start: Times
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


@dataclass(frozen=True, slots=True)
class Returns:
    """Close-to-close log returns [T, N] and what they are made of: their conditional volatility per bar, noise of that
    volatility with the same factors (for what happens within a bar), the residuals and their volatility (before pairs
    are coupled), and the sign S that the edge of a bar follows, known at its open."""

    total: Array
    sigma: Array
    noise: Array
    residual: Array
    residual_sigma: Array
    signal: Array


def synthesise(design: Design) -> Tape:
    """Draw the bars of a design; a pure function of it."""
    returns = draw_returns(design)
    opened, high, low, close = _prices(design, returns)
    return Tape(design, _starts(design), opened, high, low, close, _volume(design, returns, close))


def panel_of(design: Design) -> Panel:
    """The bars of a design as episodes see them, without the detour over a file."""
    tape = synthesise(design)
    symbols, sectors = zip(*design.names, strict=True)
    prices = (tape.open, tape.high, tape.low, tape.close)
    ends = tape.start + np.timedelta64(1, "m")
    return Panel.of(
        symbols, tape.start, ends, prices, tape.volume, sectors=sectors, bars_per_year=DAYS * design.session
    )


def draw_returns(design: Design) -> Returns:
    """Market, sectors and residuals, put together."""
    T, N, K = design.bars, design.symbols, design.sectors
    beta = 0.6 + 0.8 * design.uniforms("betas", N)
    unlike = normal(design.uniforms("dispersion", N, 2)) - design.dispersion  # so that the mean variance stays
    level = design.residual * np.exp(design.dispersion * unlike)
    for first, second in design.pairs:
        level[second], beta[second] = level[first], beta[first]
    market, market_sigma = garch(design, design.uniforms("market", T, 1, 2), design.market)
    sectors, sector_sigma = garch(design, design.uniforms("sectors", T, K, 2), design.sector)
    plain, residual_sigma = garch(design, design.uniforms("residuals", T, N, 2), level)
    for first in design.stress:
        market[first : first + design.scene] -= design.depth / design.scene
    residual, signal = _with_edge(design, plain, residual_sigma)
    sigma = np.sqrt(_loaded(design, beta**2, market_sigma**2, sector_sigma**2, residual_sigma**2, power=2))
    drift = np.log1p(design.drift) / (DAYS * design.session) - sigma**2 / 2
    shocks = normal(design.uniforms("overnight", T, 1 + K + N, 2))
    scaled = (market_sigma * shocks[:, :1], sector_sigma * shocks[:, 1 : 1 + K], residual_sigma * shocks[:, 1 + K :])
    total = drift + _loaded(design, beta, market, sectors, residual)
    return Returns(total, sigma, _loaded(design, beta, *scaled), residual, residual_sigma, signal)


def _loaded(design: Design, beta: Array, market: Array, sectors: Array, residual: Array, *, power: int = 1) -> Array:
    """Factors on the symbols [T, N]: betas of the market [T, 1], their own of the sectors [T, K], and the residuals
    [T, N], of which the second of a pair shares most with the first. With `power` 2, the variance of that from the
    squares of beta and volatilities."""
    shared, rest = design.coupling**power, np.sqrt(1 - design.coupling**2) ** power
    own = residual.copy()
    for first, second in design.pairs:
        own[:, second] = shared * residual[:, first] + rest * residual[:, second]
    return np.asarray(beta * market + sectors[:, np.arange(design.symbols) % design.sectors] + own)


def _with_edge(design: Design, residual: Array, sigma: Array) -> tuple[Array, Array]:
    """Residuals whose bars follow the sign of what went before, and that sign.

    The portfolio S[t-1,i] / v[t,i] of N independent residuals has mean N kappa and variance N in every bar, so its
    Sharpe ratio per year is kappa sqrt(N bars-per-year), which the design states. At kappa 0 they stay as they are.
    """
    kappa = design.edge / np.sqrt(design.symbols * DAYS * design.session)
    earned, signal = residual.copy(), np.zeros_like(residual)
    for t in range(design.lookback, len(earned)):
        signal[t] = np.sign(earned[t - design.lookback : t].sum(axis=0))
        earned[t] += kappa * sigma[t] * signal[t]
    return earned, signal


def garch(design: Design, uniforms: Array, volatility: float | Array) -> tuple[Array, Array]:
    """Returns [T, K] and conditional volatility [T, K] of K independent GARCH(1,1) processes with t innovations.

        x[d] = sum over its bars of sigma[d] sqrt(w) z
        sigma[d+1]^2 = (1 - alpha - beta) v + alpha x[d]^2 + beta sigma[d]^2

    with d counting days, w the share of a bar in its day's variance and v the variance per day. Bollerslev (1986), J.
    Econometrics 31; with Student t, (1987), Rev. Econ. Stat. 69. `uniforms` is [T, K, 2]; `volatility` is per year.
    """
    innovations = student(uniforms, design.tail)
    level = np.square(volatility) / DAYS
    variance = np.full(innovations.shape[1], level)
    share = np.sqrt(np.resize(design.spread[0], len(innovations)))[:, None]
    returns, sigma = np.empty_like(innovations), np.empty_like(innovations)
    for t in range(0, len(innovations), design.session):
        day = slice(t, t + design.session)
        sigma[day] = np.sqrt(variance) * share[day]
        returns[day] = sigma[day] * innovations[day]
        seen = returns[day].sum(axis=0) ** 2
        variance = (1 - design.alpha - design.beta) * level + design.alpha * seen + design.beta * variance
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


def _by_bar(design: Design, pattern: Array) -> Array:
    """A pattern over the session [session], for every bar [T]."""
    return np.resize(pattern, design.bars)


def _starts(design: Design) -> Times:
    """When bars start [T] on the exchange's clock: each weekday, or each step of its session."""
    sessions = np.arange(design.bars) // design.session
    days = np.busday_offset(np.datetime64(design.start, "D"), sessions, roll="forward").astype("datetime64[us]")
    if design.daily:
        return days
    return np.asarray(days + OPENS + np.arange(design.bars) % design.session * step_of(design.frequency))


def _prices(design: Design, returns: Returns) -> tuple[Array, Array, Array, Array]:
    """Open, high, low and close [T, N], in cents.

    A bar's path is a Brownian bridge from close to close. The open stands on it after the share q of its variance
    that the night has, so that given the bar's return r it is normal with mean q r and variance q (1 - q) sigma^2; what
    moves it has the factors of the return, so that a night moves the market, and a pair together.
    High and low are the exact extremes of the bridge from open to close (a to b, variance s^2), each by itself:
    max = (a + b + sqrt((b - a)^2 - 2 s^2 ln u)) / 2 (Glasserman 2004, Monte Carlo Methods in Fin. Eng., 6.4).
    """
    T, N = design.bars, design.symbols
    q, sigma = _by_bar(design, design.spread[1])[:, None], returns.sigma
    after = np.log(20 + 160 * design.uniforms("levels", N, 2)[:, 0]) + np.cumsum(returns.total, axis=0)
    a = after - (1 - q) * returns.total + np.sqrt(q * (1 - q)) * returns.noise
    u = -2 * ((1 - q) * sigma**2)[..., None] * np.log(design.uniforms("extremes", T, N, 2))
    high = (a + after + np.sqrt((after - a) ** 2 + u[..., 0])) / 2
    low = (a + after - np.sqrt((after - a) ** 2 + u[..., 1])) / 2
    if high.max() > np.log(HIGHEST):
        raise UsageError(f"synthetic data: prices rise above {HIGHEST:.0e}; take a lower --drift, or fewer --bars")
    opened, high, low, close = (np.maximum(np.round(np.exp(x), 2), 0.01) for x in (a, high, low, after))
    return opened, high, low, close


def _volume(design: Design, returns: Returns, close: Array) -> Array:
    """Whole shares [T, N]: money traded has a pattern over the session, rises with volatility and with the size of the
    return, since all follow the arrival of news (Clark 1973, Econometrica 41), and is lognormal around that."""
    uniforms = design.uniforms("turnover", design.bars + 1, design.symbols, 2)
    least, most = np.log(design.turnover)
    mean = np.exp(least + (most - least) * uniforms[0, :, 0])
    calm = returns.sigma / np.sqrt(_by_bar(design, design.spread[0]))[:, None]
    usual = np.sqrt(np.mean(calm**2, axis=0))
    surprise = np.abs(returns.total) / returns.sigma
    usually = mean * _by_bar(design, profile(design.edges, *VOLUME))[:, None]
    money = usually * (calm / usual) * np.exp(0.25 * (surprise - 0.75) + 0.25 * normal(uniforms[1:]))
    for first in design.stress:
        money[max(first - design.lead, 0) : first] *= np.exp(design.strength)
    return np.asarray(np.round(money / close))
