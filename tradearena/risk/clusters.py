"""Coupled clusters: a correlation matrix comes in, one label per symbol goes out."""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array, Labels


def coupled_clusters(correlation: Array, rho: float) -> Labels:
    """Group symbols that move together.

    Average linkage (Sokal & Michener 1958) on the distance 1 - correlation, cut at 1 - `rho`: the two groups with the
    highest mean correlation become one, as long as it reaches `rho`; of equals the first. Average, because single
    linkage chains 21 of 51 real stocks into one cluster.

    Args:
        correlation: [N, N], symmetric.
        rho: mean correlation at and above which two groups are one.

    Returns:
        [N] labels, numbered by first member; a symbol coupled to none has a label of its own.
    """
    n = len(correlation)
    leader, size = np.arange(n), np.ones(n)
    mean = correlation.copy()
    mean.reshape(-1)[:: n + 1] = -np.inf
    for _ in range(n - 1):
        i, j = divmod(int(mean.argmax()), n)  # i < j, for the matrix is symmetric
        if mean[i, j] < rho:
            break
        merged = (size[i] * mean[i] + size[j] * mean[j]) / (size[i] + size[j])
        mean[i], mean[:, i] = merged, merged
        mean[j], mean[:, j] = -np.inf, -np.inf
        mean[i, i] = -np.inf
        size[i] += size[j]
        leader[leader == j] = i
    first = (leader == np.arange(n)).cumsum() - 1  # how many groups begin up to here; each begins with its leader
    labels: Labels = first[leader].astype(np.int16)
    return labels
