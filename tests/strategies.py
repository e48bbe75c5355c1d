"""What property tests draw from: audit cases and small markets, made to sit on the edges of the limits.

Hypothesis draws a few integers and flags; the numbers follow from them through a seeded generator, which keeps an
example under a millisecond and a failure reproducible from what Hypothesis prints.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np
from hypothesis import strategies as st

from tradearena.panel import Array, Panel
from tradearena.policy import Execution, Limits, Method
from tradearena.portfolio.reference import Estimate
from tradearena.risk.state import RiskState
from tradearena.values import TOLERANCE, Account, Decision

EXAMPLES = int(os.environ.get("TRADEARENA_EXAMPLES", "100"))
"""Examples of each property of audit, ledger and reference: some in the daily suite, 2,000 in `.ci/run`."""


def few(daily: int, full: int) -> int:
    """Examples of a property whose every example plays episodes or writes files: some daily, all in `.ci/run`."""
    return full if EXAMPLES > 100 else daily


METHODS: tuple[Method, ...] = get_args(Method)

seeds = st.integers(0, 2**32 - 1)

LEVELS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.5, 0.75, 1.0, 1.5)
YEARS = (252.0, 252.0 * 7, 8760.0, 1.0)


# ---------------------------------------------------------------------- audits


class Case(NamedTuple):
    """One audit."""

    decision: Decision
    state: RiskState
    limits: Limits


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    method: Method | None = None,
    pins: bool | None = None,
    most: int = 12,
    trade_limits: bool = True,
) -> Case:
    """An audit of an ok reply, the kill switch off: N is 1 to `most`, one time in fifty 200. `method` says how state
    limits are met (None: either), `pins` whether some symbols are untradable (None: sometimes)."""
    large = draw(st.integers(0, 49)) == 49 and most >= 12
    n = 200 if large else draw(st.integers(1, most))
    shorts = draw(st.booleans())
    stuck = draw(st.booleans()) if pins is None else pins
    method = draw(st.sampled_from(METHODS)) if method is None else method
    rng = np.random.default_rng(draw(seeds))
    return case(rng, n, shorts=shorts, stuck=stuck, trade_limits=trade_limits, method=method)


def case(
    rng: np.random.Generator,
    n: int,
    *,
    shorts: bool,
    stuck: bool,
    trade_limits: bool = True,
    method: Method = "sequential",
) -> Case:
    """An audit from a generator."""
    limits = limits_of(rng, shorts=shorts, trade_limits=trade_limits).model_copy(update={"method": method})
    year = float(rng.choice(YEARS))
    covariance = covariance_of(rng, n) / year
    sectors = rng.integers(0, rng.integers(1, n + 1), n).astype(np.int16)
    clusters = rng.integers(0, rng.integers(1, n + 1), n).astype(np.int16)
    tradable = rng.random(n) > rng.choice((0.1, 0.5, 0.9)) if stuck else np.ones(n, dtype=bool)
    signed = shorts or rng.random() < 0.3
    current = weights_of(rng, n, limits, sectors, clusters, signed=shorts)
    intent = weights_of(rng, n, limits, sectors, clusters, signed=signed)
    if rng.random() < 0.1:
        intent = current.copy()
    reference = rng.dirichlet(np.ones(n)) if rng.random() < 0.9 else np.zeros(n)
    room = None
    if limits.liquidity is not None:
        room = rng.exponential(rng.choice((0.01, 0.1, 1.0)), n) * rng.choice((0.0, 1.0, np.inf), n, p=(0.1, 0.8, 0.1))
        room = np.where(np.isnan(room), 0.0, room)
    state = RiskState(
        symbols=tuple(f"S{i}" for i in range(n)),
        current=current,
        tradable=tradable,
        covariance=covariance,
        reference=reference,
        sectors=sectors,
        sector_names=tuple(f"sector {g}" for g in range(int(sectors.max()) + 1)),
        clusters=clusters,
        liquidity=room,
        drawdown=0.0,
        halted=False,
        bars_per_year=year,
    )
    return Case(Decision(intent), state, limits)


def limits_of(rng: np.random.Generator, *, shorts: bool, trade_limits: bool = True) -> Limits:
    """Each limit is there or not, as a coin falls."""

    def maybe(names: tuple[str, ...]) -> dict[str, float]:
        return {name: float(rng.choice(LEVELS)) for name in names if rng.random() < 0.5}

    state = maybe(("single_name", "sector", "cluster", "gross", "net", "volatility", "reference_risk"))
    trade = maybe(("turnover", "liquidity")) if trade_limits else {}
    flags = {name: value for name, value in maybe(("herfindahl", "distance")).items() if value <= 1}
    return Limits(allow_short=shorts, **state, **trade, **flags)


def covariance_of(rng: np.random.Generator, n: int) -> Array:
    """Positive semidefinite, a year; often singular: nothing moves, one factor, twins, fewer factors than symbols."""
    kind = rng.integers(6)
    size = rng.choice((0.01, 0.1, 1.0))
    if kind == 0:
        return np.zeros((n, n))
    if kind == 1:
        return np.eye(n) * size
    factors = rng.standard_normal((n, {2: 1, 3: n, 4: 2 * n, 5: max(n // 2, 1)}[int(kind)]))
    if kind == 3:
        factors = factors[rng.integers(0, n, n)]
    return factors @ factors.T * (size / factors.shape[1])


def weights_of(
    rng: np.random.Generator, n: int, limits: Limits, sectors: Array, clusters: Array, *, signed: bool
) -> Array:
    """Weights: empty, even, concentrated, drifted, far beyond every limit, vanishing, or on the edge of a limit."""
    weights = rng.dirichlet(np.full(n, rng.choice((0.3, 1.0, 30.0))))
    weights *= rng.choice((0.3, 1.0, 1.0 + 1e-9, 1.7, 4.0))
    kind = rng.integers(9)
    if kind == 0:
        weights = np.zeros(n)
    elif kind == 1:
        weights = np.full(n, 1 / n)
    elif kind == 2:
        weights = np.zeros(n)
        weights[rng.integers(n)] = 1.0
    elif kind == 3:
        weights *= rng.random(n) < 0.5
    elif kind == 4:
        weights *= rng.choice((1e-200, 1e-160, 5e-324, 1e-18, 1e-9, 1e-8))
    if signed:
        weights = weights * rng.choice((-1.0, 1.0), n)
    if kind >= 6:
        weights = _on_the_edge(rng, weights, limits, sectors, clusters)
    return weights


def _on_the_edge(rng: np.random.Generator, weights: Array, limits: Limits, sectors: Array, clusters: Array) -> Array:
    """Scale (or cap) so that one limit is met exactly, by a hair, within the tolerance, or just not.

    The tolerance itself is missed by a thousandth: what lies on a line between two points that meet a limit to the
    last bit may break it by that bit. `test_audit` stands on it.
    """
    hair = rng.choice((-1e-15, 0.0, 2e-16, TOLERANCE / 2, 0.999 * TOLERANCE, 1.001 * TOLERANCE, 2 * TOLERANCE, 1e-6))
    there = [name for name in ("single_name", "sector", "cluster", "gross", "net") if getattr(limits, name)]
    if not there:
        return weights
    name = str(rng.choice(there))
    bound = getattr(limits, name) + hair
    if name == "single_name":
        return np.clip(weights, -bound, bound) if rng.random() < 0.5 else np.copysign(bound, weights)
    if name in ("sector", "cluster"):
        labels = sectors if name == "sector" else clusters
        gross = np.bincount(labels, np.abs(weights))
        return weights * (bound / np.where(gross > 1e-6, gross, np.inf))[labels]
    measured = np.abs(weights).sum() if name == "gross" else abs(weights.sum())
    return weights * (bound / measured) if measured > 1e-6 else weights


# ---------------------------------------------------------------------- markets


@st.composite
def panels(draw: st.DrawFn, *, bars: int = 10, most: int = 4, gaps: bool = True) -> Panel:
    """A small market: rough prices, and where `gaps` bars that are missing, or in which nothing changed hands."""
    return market(np.random.default_rng(draw(seeds)), bars, draw(st.integers(1, most)), gaps=gaps)


def market(rng: np.random.Generator, bars: int, n: int, *, gaps: bool = True) -> Panel:
    """A panel from a generator. Prices start between 1 and 1000 and move by some 5 % a bar, volumes by a factor."""
    size = rng.choice((0.002, 0.05, 0.3))
    close = 10 ** rng.uniform(0, 3, n) * np.exp(np.cumsum(size * rng.standard_normal((bars, n)), axis=0))
    opened = close * np.exp(size / 2 * rng.standard_normal((bars, n)))
    volume = 10 ** rng.uniform(2, 6, n) * rng.exponential(1.0, (bars, n))
    if gaps:
        missing = rng.random((bars, n)) < rng.choice((0.0, 0.2))
        opened[missing] = close[missing] = np.nan
        volume[rng.random((bars, n)) < rng.choice((0.0, 0.2))] = 0.0
    if rng.random() < 0.1:
        volume[:] = np.inf
    return panel_of(opened, close, volume)


def panel_of(
    opened: Array,
    close: Array,
    volume: Array | float = np.inf,
    *,
    symbols: Sequence[str] | None = None,
    sectors: Sequence[str] | None = None,
    bars_per_year: float = 252.0,
) -> Panel:
    """A panel from [T, N] opens and closes; the bars are daily, highs and lows are what opens and closes span."""
    opened, close = np.array(opened, dtype=float), np.array(close, dtype=float)
    bars, n = close.shape
    start = np.datetime64("2024-01-01", "us") + np.arange(bars) * np.timedelta64(1, "D")
    span = (opened, np.maximum(opened, close), np.minimum(opened, close), close)
    return Panel.of(
        symbols or [f"S{i}" for i in range(n)],
        start,
        start + np.timedelta64(1, "D"),
        span,
        np.broadcast_to(np.asarray(volume, dtype=float), (bars, n)).copy(),
        sectors=sectors,
        bars_per_year=bars_per_year,
    )


def account_of(weights: Array, *, nav: float = 1_000_000.0) -> Account:
    """An account that holds these weights, nothing in flight."""
    cash = nav * (1 - float(weights.sum()))
    return Account(nav, cash, 0.0, weights * nav, np.zeros_like(weights), weights, weights, None)


def estimate_of(covariance: Array) -> Estimate:
    """What the reference knows, with equal weights."""
    n = len(covariance)
    return Estimate(0, np.full(n, 1 / n), covariance, np.zeros(n), short=False)


def terms_of(rng: np.random.Generator) -> Execution:
    """Terms of execution from a generator: each cost and each constraint is there or not."""
    menu = {
        "initial_cash": (1_000_000.0, 12_345.67, 100.0),
        "latency": (1, 2, 3),
        "participation": (None, 0.1, 0.01, 1.0),
        "commission_bps": (0.0, 1.0, 50.0),
        "commission_minimum": (0.0, 1.0, 7.5),
        "half_spread_bps": (0.0, 2.0, 30.0),
        "impact_bps": (0.0, 50.0, 1000.0),
        "impact": ("linear", "square-root"),
        "lot": (0.0, 1.0, 0.1, 100.0),
        "borrow_rate": (0.0, 0.05, 2.0),
    }
    pick = rng.random(len(menu)).tolist()
    return Execution(**{name: menu[name][int(p * len(menu[name]))] for name, p in zip(menu, pick, strict=True)})
