"""How sure a Sharpe ratio is: returns come in; its interval goes out, and how likely it is to be more than luck, of as
many as were looked at.

Ratios are per bar here, not a year: times sqrt(bars_per_year) they are those of `portfolio.performance`. Returns are
taken to be independent and alike; they need not be normal. Where they are not independent (a book of few changes, a
stale mark) the true interval is another, mostly a wider one (Lo 2002, table 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from tradearena.panel import Array

STILL = 1e-14
"""A deviation per bar up to this is rounding, not risk."""

_NORMAL = NormalDist()


class Sharpe(NamedTuple):
    """A Sharpe ratio per bar of n returns, with the moments its error depends on.

    Attributes:
        ratio: mean over standard deviation (n - 1 in the denominator).
        skew, kurtosis: third and fourth standardised moment (n in the denominator); 0 and 3 of a normal.
    """

    n: int
    ratio: float
    skew: float
    kurtosis: float

    @property
    def spread(self) -> float:
        """Variance of the estimator, times n: 1 - skew SR + (kurtosis - 1) / 4 SR^2.

        Mertens (2002), "Comments on variance of the IID estimator in Lo (2002)"; Opdyke (2007, Journal of Asset
        Management 8, 308-336) shows that it holds wherever returns are stationary and ergodic. Of normal returns it is
        1 + SR^2 / 2: Lo (2002), Financial Analysts Journal 58(4), 36-52, equation 9.
        """
        return max(1.0 - self.skew * self.ratio + (self.kurtosis - 1.0) / 4.0 * self.ratio**2, 0.0)


def measured(returns: Array) -> Sharpe | None:
    """The Sharpe ratio of returns [n], per bar. None with fewer than two, where they do not vary, or are not finite."""
    if len(returns) < 2 or not np.isfinite(returns).all():
        return None
    deviation = float(returns.std(ddof=1))
    if deviation <= STILL:
        return None
    z = (returns - returns.mean()) / returns.std()
    return Sharpe(len(returns), float(returns.mean()) / deviation, float(np.mean(z**3)), float(np.mean(z**4)))


def interval(found: Sharpe, alpha: float = 0.05) -> tuple[float, float]:
    """SR -+ z(1 - alpha/2) sqrt(spread / n): an approximation for many returns."""
    half = _NORMAL.inv_cdf(1.0 - alpha / 2.0) * math.sqrt(found.spread / found.n)
    return found.ratio - half, found.ratio + half


def probabilistic(found: Sharpe, benchmark: float = 0.0) -> float:
    """Probabilistic Sharpe ratio, in [0, 1]: Phi((SR - benchmark) sqrt(n - 1) / sqrt(spread)), `benchmark` per bar.

    It is one minus the p-value of "the true ratio is at most `benchmark`", and no probability that it is more.

    Source: Bailey, D. H., López de Prado, M. (2012), "The Sharpe ratio efficient frontier", Journal of Risk 15(2),
    equation 11.
    """
    distance = (found.ratio - benchmark) * math.sqrt(found.n - 1)
    return _NORMAL.cdf(distance / math.sqrt(found.spread)) if found.spread > 0 else float(distance > 0)


def expected_maximum(variance: float, trials: int) -> float:
    """The highest of `trials` Sharpe ratios that are expected where none has any skill: their variance is all luck.

    sqrt(variance) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))), g Euler's constant, Z the normal quantile; 0 of one trial.

    Source: Bailey & López de Prado (2014), equation 1.

    Raises:
        ValueError: no trial, or a negative variance.
    """
    if trials < 1 or not variance >= 0.0:
        raise ValueError(f"there is no highest of {trials} trials whose ratios have the variance {variance}")
    if trials == 1:
        return 0.0
    quantiles = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - np.euler_gamma) * quantiles[0] + np.euler_gamma * quantiles[1])


def deflated(found: Sharpe, tried: Sequence[float], trials: int | None = None) -> float:
    """Deflated Sharpe ratio, in [0, 1]: PSR(expected_maximum(variance of the ratios, N)).

    The benchmark is what the best of all that were tried is expected to have by luck alone. Above 0.95 the first place
    of a ranking is more than that, at 5 %.

    Args:
        found: the ratio in question.
        tried: all ratios that were looked at, per bar: agents, settings, and what was thrown away.
        trials: how many of them were independent; by default all, which is the strictest.

    Source: Bailey, D. H., López de Prado, M. (2014), "The deflated Sharpe ratio", Journal of Portfolio Management
    40(5), 94-107, equation 2.
    """
    variance = float(np.var(tried, ddof=1)) if len(tried) > 1 else 0.0
    return probabilistic(found, expected_maximum(variance, trials or len(tried)))


def track_record(found: Sharpe, benchmark: float = 0.0, alpha: float = 0.05) -> float | None:
    """Minimum track record length: returns it takes until PSR(benchmark) reaches 1 - alpha; None where the ratio is not
    above the benchmark.

    1 + spread (Z(1 - alpha) / (SR - benchmark))^2: Bailey & López de Prado (2012), equation 13.
    """
    if found.ratio <= benchmark:
        return None
    distance = _NORMAL.inv_cdf(1.0 - alpha) / (found.ratio - benchmark)
    return 1.0 + found.spread * (distance * distance)
