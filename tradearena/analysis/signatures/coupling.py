"""What a portfolio has in coupled groups, decision by decision: weights, the groups in force and the bars so far come
in; exposures to groups and risks go out. Also which pairs of symbols are truly coupled.

Nothing here looks past the close of the decision. Groups are those of the audit (`risk.monitor`): average linkage on
the correlation of the last `cluster_lookback` returns, found anew every `cluster_refresh` bars; a correlation over the
whole sample would know the future.

Shapes: K decisions, N symbols, R refreshes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Array, Labels, Mask, Panel
from tradearena.policy import Limits
from tradearena.portfolio.covariance import correlation, ledoit_wolf, row_mean
from tradearena.portfolio.reference import FEWEST
from tradearena.risk.monitor import ENOUGH

HELD = 1e-9
"""Weight from which a symbol is held."""


@dataclass(frozen=True, slots=True)
class Coupling:
    """Exposure of K portfolios to coupled groups. NaN where it is not defined: a share where nothing is wished, all of
    it where no groups are known yet.

    Attributes:
        intended, approved: sum of |w| in coupled groups of two symbols and more, fractions of NAV: as wished, and as
            the audit let it through.
        share: of the gross wished, in coupled groups; `universe` of the N symbols, in coupled groups.
        doubled: of the gross wished, in coupled groups of which two symbols or more are held.
        chance: what `doubled` would be on average, had the same weights been given to symbols drawn at random.
        tightest: of the gross wished, in the group with the highest mean correlation within; 0 where there is none.
    """

    intended: Array
    approved: Array
    share: Array
    universe: Array
    doubled: Array
    chance: Array
    tightest: Array


def refreshes(decided: Iterable[int], limits: Limits) -> list[int]:
    """Bars of decisions at which the audit looks for groups anew."""
    found: list[int] = []
    for t in decided:
        known = min(t, limits.cluster_lookback) >= min(limits.cluster_lookback, ENOUGH)
        if known and (not found or t - found[-1] >= limits.cluster_refresh):
            found.append(t)
    return found


def trailing_correlation(panel: Panel, t: int, lookback: int) -> Array:
    """[N, N] correlation of the sample, over the last `lookback` returns up to bar t: what the audit groups by. (Shrunk
    ones stand in the reference; by them nothing would ever be coupled.)"""
    returns = panel.returns[max(1, t - lookback + 1) : t + 1]
    centred = returns - row_mean(returns)
    return correlation(centred.T @ centred)


def in_force(decided: Sequence[int], changes: Mapping[int, Labels], n: int) -> NDArray[np.int16]:
    """[K, n]: the group label of each symbol at each decision. `changes` holds labels from the bars on at which they
    changed, as on record; before the first, each symbol is alone."""
    bars = sorted(changes)
    table = np.array([np.arange(n), *(changes[t] for t in bars)], dtype=np.int16)
    return np.asarray(table[np.searchsorted(bars, decided, side="right")] if bars else table[[0] * len(decided)])


def coupling(
    intent: Array, approved: Array, labels: NDArray[np.int16], tight: NDArray[np.int16], known: Mask
) -> Coupling:
    """Exposure of each decision to the groups in force.

    Args:
        intent, approved: [K, N] weights.
        labels: [K, N] group of each symbol.
        tight: [K] label of the tightest group, -1 where no two symbols are coupled.
        known: [K] were there enough returns to group by?
    """
    rows = []
    for wished, let, groups, tightest in zip(np.abs(intent), np.abs(approved), labels, tight, strict=True):
        sizes = np.bincount(groups)
        coupled = sizes[groups] > 1
        doubled = coupled & (np.bincount(groups, wished > HELD)[groups] > 1)
        parts = [wished[part].sum() for part in (coupled, doubled, groups == tightest)]
        gross = float(wished.sum())
        of_all, of_two, of_tight = (part / gross if gross > HELD else np.nan for part in parts)
        chance = by_chance(sizes, int(np.count_nonzero(wished > HELD))) if gross > HELD else np.nan
        rows.append((parts[0], let[coupled].sum(), of_all, coupled.mean(), of_two, chance, of_tight))
    table = np.array(rows).reshape(-1, 7)
    table[~known] = np.nan
    return Coupling(*table.T)


def by_chance(sizes: NDArray[np.intp], held: int) -> float:
    """Expected share of gross in groups of which two symbols or more are held, where `held` symbols are drawn at random
    from groups of these sizes.

    Each weight falls on each of the N symbols alike. In a group of s, the other held - 1 all miss the s - 1 beside it
    with probability C(N - s, held - 1) / C(N - 1, held - 1): so the sum over groups of s / N (1 - that), whatever the
    weights are.
    """
    of, many = np.unique(sizes, return_counts=True)
    n, others = int(sizes.sum()), np.arange(max(held - 1, 0))
    missed = np.prod(np.maximum(n - of[:, None] - others, 0) / (n - 1 - others), axis=1)
    return float((many * of / n) @ (1.0 - missed))


def tightest(rho: Array, labels: Labels) -> int:
    """Label of the group of two symbols or more with the highest mean correlation within; -1 where there is none."""
    best, found = -np.inf, -1
    for label in np.flatnonzero(np.bincount(labels) > 1).tolist():
        members = np.flatnonzero(labels == label)
        among = rho[np.ix_(members, members)][np.triu_indices(len(members), k=1)]
        if (mean := float(among.mean())) > best:
            best, found = mean, label
    return found


class Risks(NamedTuple):
    """Ex-ante risk [K] of what was wished: its volatility over the reference portfolio's, under one covariance (NaN
    where the reference has none, or the covariance is not known); and its effective number of bets."""

    ratio: Array
    bets: Array


def risks(panel: Panel, decided: Iterable[int], intent: Array, reference: Array, lookback: int) -> Risks:
    """Risk of each decision, under the Ledoit-Wolf covariance of the last `lookback` returns, as the audit has it.

    With w the intent, r the reference and Sigma the covariance: sqrt(w'Sigma w / r'Sigma r); and the effective number
    of bets (|w|'sigma)^2 / w'Sigma w of Choueifaty, Froidure & Reynier (2013), section 3, as exposures have it.
    """
    found = np.full((len(intent), 2), np.nan)
    for k, t in enumerate(decided):
        returns = panel.returns[max(1, t - lookback + 1) : t + 1]
        if len(returns) < FEWEST:
            continue
        covariance, w = ledoit_wolf(returns), intent[k]
        own, yardstick = (max(float(each @ covariance @ each), 0.0) for each in (w, reference[k]))
        if yardstick > 0.0:
            found[k, 0] = np.sqrt(own / yardstick)
        if own > 0.0:
            found[k, 1] = float(np.abs(w) @ np.sqrt(covariance.diagonal())) ** 2 / own
    return Risks(found[:, 0], found[:, 1])


class Pair(NamedTuple):
    """Two symbols: mean and least of their rolling correlation over R refreshes, and the share of these after which
    they were in one group."""

    one: str
    two: str
    correlation: float
    least: float
    together: float


def pairs(symbols: Sequence[str], correlations: Sequence[Array], labels: Sequence[Labels]) -> list[Pair]:
    """All pairs, the most coupled first: by how often they were in one group, then by mean rolling correlation.

    Args:
        correlations, labels: of each of the R refreshes, [N, N] and [N].
    """
    one, two = np.triu_indices(len(symbols), k=1)
    if not len(correlations) or not len(one):
        return []
    rho = np.array([each[one, two] for each in correlations])
    together = np.mean([each[one] == each[two] for each in labels], axis=0)
    mean, least = rho.mean(axis=0), rho.min(axis=0)
    order = np.lexsort((-mean, -together))
    return [
        Pair(symbols[one[p]], symbols[two[p]], float(mean[p]), float(least[p]), float(together[p]))
        for p in order.tolist()
    ]
