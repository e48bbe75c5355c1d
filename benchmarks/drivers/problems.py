"""A way to solve one mean-variance problem comes in; the time for the whole sequence goes out, and the weights are kept
for `gaps.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from course import Lap, timed

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Solve: TypeAlias = Callable[[Array, Array], Array]
"""Covariance [N, N] and mean [N] of one bar in, weights [N] out."""


def solved(solve: Solve, count: int, folder: Path) -> Lap:
    """Solve the first `count` problems in order. The first is solved once before the clock starts, so that what a peer
    builds or compiles once is not counted. The weights are kept under the names of the driver and its task."""
    with np.load(folder / "problems.npz") as problems:
        covariances, means = problems["covariance"][:count], problems["mean"][:count]
    solve(covariances[0], means[0])
    weights = np.empty_like(means)

    def sequence() -> None:
        for k in range(count):
            weights[k] = solve(covariances[k], means[k])

    seconds = timed(sequence)
    np.save(folder / "weights" / f"{Path(sys.argv[0]).stem} {sys.argv[1]}.npy", weights)
    return Lap(seconds, count)
