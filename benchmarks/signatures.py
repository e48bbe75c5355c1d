"""What the signatures cost: 10,000 steps of 384 dimensions, every statistic, 1,000 arrangements of the anchors; and the
rolling effective rank beside one singular value decomposition for each step.

    python benchmarks/signatures.py [STEPS [DIMENSIONS [ARRANGEMENTS]]]
"""

from __future__ import annotations

import os
import resource
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.design import Design
from tradearena.analysis.signatures.geometry import effective_rank, unit
from tradearena.analysis.signatures.study import study
from tradearena.analysis.signatures.trace import RISK, Said, Trace
from tradearena.panel import Array

WINDOWS, ROUNDS = (6, 12, 24), 5


def trace(steps: int, dimensions: int) -> Trace:
    """Weights that wander, on a market that does as well."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((steps, dimensions))
    for k in range(1, steps):
        noise[k] += 0.9 * noise[k - 1]
    level = np.exp(np.cumsum(rng.normal(0.0, 0.01, steps)))
    return Trace(
        episode="e",
        group="wandering",
        window=Window("p", 0, steps),
        decided=np.arange(float(steps)),
        plan=(Said("so"),) * steps,
        reflect=(Said(""),) * steps,
        intent=noise,
        risk=np.zeros((steps, len(RISK))),
        nav=level,
        market=level[::-1].copy(),
        volatility=np.exp(rng.standard_normal(steps)) * 0.01,
        momentum=rng.normal(0.0, 0.01, steps),
    )


def decomposed(vectors: Array, window: int) -> Array:
    """The effective rank of each window from its own singular values."""
    rows = unit(vectors)
    found = np.full(len(rows), np.nan)
    for k in range(window - 1, len(rows)):
        values = np.linalg.svd(rows[k - window + 1 : k + 1], compute_uv=False)
        shares = values / values.sum()
        shares = shares[shares > 0.0]
        found[k] = np.exp(-(shares * np.log(shares)).sum()) / min(window, rows.shape[1])
    return found


def best(run: object, rounds: int) -> float:
    """CPU seconds of the best of so many rounds."""
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        run()  # type: ignore[operator]
        seconds.append(time.process_time() - began)
    return min(seconds)


def main(steps: int = 10_000, dimensions: int = 384, draws: int = 1_000) -> None:
    """Print both."""
    one = trace(steps, dimensions)
    print(f"load {os.getloadavg()[0]:.1f}, numpy {np.__version__}, {os.cpu_count()} cores, BLAS in one thread")
    began, cpu = time.perf_counter(), time.process_time()
    rows = study([one], (), Design(draws=draws, blockwise=draws, views=("intent",)))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    tested = sum(row.p is not None for row in rows)
    print(
        f"{steps} steps x {dimensions}, {draws} arrangements, two kinds of anchors ({rows[0].n_anchors} and "
        f"{rows[-1].n_anchors}), {tested} statistics: {wall:.1f} s, {cpu:.1f} s of CPU, {peak:.1f} GiB at most"
    )
    with threadpool_limits(1, user_api="blas"):
        for window in WINDOWS:
            rolling = best(lambda w=window: effective_rank(one.intent, w), ROUNDS)
            each = best(lambda w=window: decomposed(one.intent, w), 2)
            same = np.nanmax(np.abs(effective_rank(one.intent, window) - decomposed(one.intent, window)))
            print(
                f"effective rank, window {window}: {rolling:.2f} s, a decomposition for each step {each:.2f} s, "
                f"ratio {each / rolling:.1f}, largest difference {same:.0e}"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
