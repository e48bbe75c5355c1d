"""What an experiment could have seen: a number of clusters and their spread come in; the smallest effect that would
have been found, or the clusters it would take, go out."""

from __future__ import annotations

import math

from tradearena.analysis.signflip import ALPHA, fewest

POWER = 0.8
MOST = 10**6
"""Clusters beyond which nobody will go."""


def detectable(n: int, sd: float, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Minimum detectable effect: (t(1 - alpha/2, n - 1) + t(power, n - 1)) sd / sqrt(n), in the unit of sd.

    The mean that a two-sided test at `alpha` finds with probability `power`, where the n cluster differences spread by
    `sd`. That is the normal approximation with quantiles of Student's t (Bloom 1995, Evaluation Review 19, 547-556);
    the sign-flip test is as powerful as the t-test in the limit (Hoeffding 1952, Annals of Mathematical Statistics 23,
    169-192). How close it is for few clusters is in `docs/statistics.md`.

    None with fewer clusters than `fewest(alpha)`: nothing can be detected, however large. 0 where sd is 0.

    Raises:
        ValueError: sd is negative or not finite; power is below 0.5 or not below 1; alpha is not in (0, 1).
    """
    if not (math.isfinite(sd) and sd >= 0.0 and 0.5 <= power < 1.0 and 0.0 < alpha < 1.0):
        raise ValueError(f"no effect is detectable with sd {sd}, alpha {alpha} and power {power}")
    return None if n < max(fewest(alpha), 2) else _quantiles(n, alpha, power) * sd / math.sqrt(n)


def clusters_needed(effect: float, sd: float, *, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Fewest clusters whose detectable effect is `effect` or less; None beyond a million, and where effect is 0.

    From an observed mean and spread it says how large the next experiment should be. It says nothing about this one:
    "power" at the observed effect is the p-value again, in other words (Hoenig & Heisey 2001).
    """
    low, high = max(fewest(alpha), 2), MOST
    if not _found(high, effect, sd, alpha, power):
        return None
    while low < high:  # what is detectable only falls with n
        middle = (low + high) // 2
        low, high = (low, middle) if _found(middle, effect, sd, alpha, power) else (middle + 1, high)
    return low


def _found(n: int, effect: float, sd: float, alpha: float, power: float) -> bool:
    least = detectable(n, sd, alpha=alpha, power=power)
    return least is not None and least <= abs(effect) and effect != 0.0


def _quantiles(n: int, alpha: float, power: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 1.0 - alpha / 2.0) + stdtrit(n - 1, power))
