"""Whom placebos are drawn from: the symbols of a dataset, its bars before the first decision and a policy come in, the
audits of other portfolios in an invented market go out.

The donors are organisms. They trade invented bars that have the same symbols and sectors, per bar the volatility and
the money volume that the dataset showed before the first decision, and its gaps of the last bars before it; later bars
are not looked at. Nothing in their audits can know of the episode they are told in.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from string import Template
from typing import Any, get_args

import numpy as np

from tradearena.agents.agent import Seat
from tradearena.agents.card import Candidate
from tradearena.agents.organism import Organism, OrganismVoice, Signal
from tradearena.agents.prompt import Pages, instructions_in
from tradearena.agents.talker import Talker
from tradearena.arena.episode import Setting, play
from tradearena.arena.tally import Tally
from tradearena.market.design import DAYS, SECTORS, Design
from tradearena.market.synthetic import synthesise
from tradearena.market.window import Span
from tradearena.panel import Panel
from tradearena.policy import Policy
from tradearena.portfolio.covariance import correlation
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.clusters import coupled_clusters
from tradearena.risk.feedback import Desk
from tradearena.risk.monitor import ENOUGH
from tradearena.risk.sources import Donors, Findings, truth

SEED = 28_850
"""Sets the organisms that donate apart from others with the same number."""

COUPLED = 0.8
"""Correlation of a pair."""

PATTERN = 60
"""Last bars before the first decision, whose gaps are those of an invented market, over and over."""

BARS = 21
"""Bars that donors are shown, one more than their lookback."""


def donors(
    panel: Panel, policy: Policy, first: int, wording: Template, like: Candidate | None = None, every: int = 1
) -> Donors:
    """Donors for episodes whose first decision is at bar `first`, and which decide at one bar in `every`, as their
    donors do: what drifts for longer breaks other limits. There are as many as there are numbers, and one plays when it
    is asked for its audits, of which it is told the truth.

    Where the agent that is to be told a placebo is an organism, its donors are like it but for their seed: they break
    limits, and learn, as it does. Of a model or of somebody's code there is no second one to ask: its donors are
    organisms of many kinds.
    """
    latency = policy.execution.latency
    warmup = max(policy.reference.lookback, BARS, like.warmup if like else 0)

    def reports(number: int, length: int) -> tuple[Findings, ...]:
        bars = invented(panel, first, number, warmup + (length - 1) * every + 1 + latency)
        reference = RollingMarkowitz(bars, policy.reference)
        seat = Seat(SEED + number, lambda t: reference.at(t).weights, policy.limits)
        agent = like.twin(seat) if like and like.twin else _any(number, seat)
        span = Span(warmup, len(bars) - 1, every, latency)
        setting = Setting(bars, policy, span, reference, feedback=lambda: Desk(truth, wording))
        tally = Tally(bars, policy.execution.initial_cash)
        at_once(play(agent, setting, tally))
        return tuple(step.report.findings for step in tally.steps)

    return Donors(panel.symbols, panel.sectors, reports)


def _any(number: int, seat: Seat) -> Talker:
    """The donor behind a number, where nobody is to be resembled."""
    return Talker(OrganismVoice(planted(number), seat.seed), Pages(instructions_in("", "donors"), seat.limits, BARS))


def at_once(episode: Coroutine[Any, Any, object]) -> None:
    """Play an episode whose agent never waits, whether or not an event loop is running."""
    try:
        episode.send(None)
    except StopIteration:
        return
    raise AssertionError("an organism waited")


def planted(number: int) -> Organism:
    """The organism behind a number: everything is drawn from it."""
    rng = np.random.default_rng([SEED, number])
    signals = get_args(Signal)
    return Organism(
        signal=signals[int(rng.integers(len(signals)))],
        names=int(rng.integers(3, 9)),
        concentration=float(rng.uniform(0.0, 0.6)),
        noise=float(rng.uniform(0.1, 0.6)),
        obedience=float(rng.choice([0.0, 0.5, 1.0])),
    )


def invented(panel: Panel, first: int, seed: int, bars: int) -> Panel:
    """Bars of another market for the symbols of this one, as volatile and as liquid as it was before bar `first`. Its
    symbols are alike: which of them are the volatile ones would be another thing that a placebo says wrongly."""
    names, labels = panel.sector_names, panel.sector_of
    K = min(len(names), len(SECTORS))
    place = [0] * K
    columns = []
    for label in labels.tolist():  # each symbol takes the next column of its sector, so that sectors move together
        columns.append(place[label % K] * K + label % K)
        place[label % K] += 1
    wide = min(max(place) * K, 500)
    coupled = min(_pairs(panel, first), wide // K // 2 * K)
    plain = Design(symbols=wide, sectors=K, bars=bars, seed=seed, coupled=coupled, dispersion=0.0)
    tape = synthesise(_scaled(panel, first, plain))
    pick = np.array(columns) % wide
    seen = slice(max(0, first + 1 - PATTERN), first + 1)
    again = np.arange(bars) % (seen.stop - seen.start)
    there, traded = panel.valid[seen][again], panel.tradable[seen][again]
    prices = tuple(np.where(there, field[:, pick], np.nan) for field in (tape.open, tape.high, tape.low, tape.close))
    times = np.datetime64(0, "D") + np.arange(bars)
    volume = (
        tape.volume[:, pick] if np.isfinite(panel.volume[: first + 1]).all() else np.full((bars, len(pick)), np.inf)
    )
    return Panel.of(
        panel.symbols,
        times,
        times + np.timedelta64(1, "h"),
        prices,  # type: ignore[arg-type]
        np.where(traded, volume, 0.0),
        sectors=panel.sectors,
        bars_per_year=panel.bars_per_year,
    )


def _pairs(panel: Panel, first: int) -> int:
    """Coupled pairs of symbols in the bars before the first decision, as the audit would have found them."""
    returns = panel.returns[1 : first + 1]
    if len(returns) < ENOUGH:
        return 0
    centred = returns - returns.mean(axis=0)
    return int((np.bincount(coupled_clusters(correlation(centred.T @ centred), COUPLED)) > 1).sum())


def _scaled(panel: Panel, first: int, design: Design) -> Design:
    """A design scaled to the bars before the first decision."""
    returns = panel.returns[1 : first + 1]
    seen = float(np.median(returns.std(axis=0))) if len(returns) > 1 else 0.0
    usual = np.sqrt((design.market**2 + design.sector**2 + design.residual**2) / DAYS)
    scale = seen / usual if seen > 0 else 1.0
    money = panel.volume[: first + 1] * panel.mark[: first + 1]
    middle = float(np.median(money[money > 0])) if np.isfinite(money).all() and (money > 0).any() else 2e8
    return replace(
        design,
        market=design.market * scale,
        sector=design.sector * scale,
        residual=design.residual * scale,
        turnover=(middle / 5**0.5, middle * 5**0.5),  # with the same in the middle
    )
