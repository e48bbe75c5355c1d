"""Coupled clusters: a correlation matrix comes in, one label per symbol goes out."""

from __future__ import annotations

import numpy as np

from tradearena.values import Array, Labels


def coupled_clusters(correlation: Array, rho: float) -> Labels:
    """Group symbols that move together.

    Average linkage (Sokal & Michener 1958) on the distance 1 - correlation, cut where the mean correlation between
    two groups falls below `rho`. Average, because single linkage chains 21 of 51 real stocks into one cluster.

    Args:
        correlation: [N, N].
        rho: mean correlation at and above which two groups are one.

    Returns:
        [N] labels, numbered by first member; a symbol coupled to none has a label of its own.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(correlation)
    if n < 2:
        return np.zeros(n, dtype=np.int16)
    distance = (1.0 - correlation)[np.triu_indices(n, k=1)]
    tree = linkage(np.maximum(distance, 0.0), method="average")
    raw = fcluster(tree, t=1.0 - rho, criterion="distance")
    _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int16)
