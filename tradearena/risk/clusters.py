"""Coupled clusters: a correlation matrix comes in, one label per symbol goes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradearena.values import Array, Labels


def coupled_clusters(correlation: Array, rho: float) -> Labels:
    """Group symbols that move together.

    Average linkage (Sokal & Michener 1958) on the distance 1 - correlation, cut where the mean correlation between
    two groups falls below `rho`. Average, because single linkage chains 21 of 51 real stocks into one cluster.

    Only symbols with a partner at or above `rho` enter the tree: two groups whose mean correlation reaches `rho` hold
    a pair that does, so the others could join nobody before the cut.

    Args:
        correlation: [N, N].
        rho: mean correlation at and above which two groups are one.

    Returns:
        [N] labels, numbered by first member; a symbol coupled to none has a label of its own.
    """
    n = len(correlation)
    labels = np.arange(n)
    coupled = np.flatnonzero((correlation >= rho).sum(axis=1) > 1)
    if len(coupled) < 2:
        return labels.astype(np.int16)
    from scipy.cluster.hierarchy import fcluster, linkage

    distance = 1.0 - correlation[np.ix_(coupled, coupled)]
    tree = linkage(np.maximum(distance[np.triu_indices(len(coupled), k=1)], 0.0), method="average")
    for group in np.split(*_by_label(fcluster(tree, t=1.0 - rho, criterion="distance"))):
        labels[coupled[group]] = coupled[group].min()
    return np.unique(labels, return_inverse=True)[1].astype(np.int16)


def _by_label(labels: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places ordered by label, and where each new label begins."""
    order = np.argsort(labels, kind="stable")
    return order, np.flatnonzero(np.diff(labels[order])) + 1
