"""What is looked at, and through what: traces and probes come in; one cloud of vectors for every view and probe goes
out.

`plan` is the rationale; `reflect` the reflection and what came of the decision before; `intent` the weights as wished,
which needs no text; `fused` is plan and reflect through one probe beside the structured risk features. Drawdown and NAV
are in none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tradearena.analysis.pairs import clusters
from tradearena.analysis.signatures.geometry import unit
from tradearena.analysis.signatures.probe import Probe
from tradearena.analysis.signatures.trace import Trace
from tradearena.panel import Array

VIEWS = ("plan", "reflect", "intent", "fused")

MECHANICAL = ("intent", "reflect", "fused")
"""Made of weights, or of what became of them, as `reflect` is of cuts and fills: what is wished moves one's own NAV, so
at anchors of one's own they differ by arithmetic."""

WEIGHTS = "weights"
"""The probe of `intent`: the vector itself."""


class Cloud(NamedTuple):
    """One view through one probe: for each trace [K, d], or None where there is nothing to see. `common`: are the
    vectors of all traces that have the same width in one space?"""

    view: str
    probe: str
    vectors: Sequence[Array | None]
    common: bool


def clouds(traces: Sequence[Trace], probes: Sequence[Probe], views: Sequence[str] = VIEWS) -> Iterator[Cloud]:
    """Every view through every probe; `intent` once."""
    if "intent" in views:
        yield Cloud("intent", WEIGHTS, [trace.intent for trace in traces], common=True)
    path_of = {window: path for path, windows in enumerate(clusters(t.window for t in traces)) for window in windows}
    paths = [path_of[trace.window] for trace in traces]
    for probe in probes:
        plan, reflect = (
            [_spoken(vectors) for vectors in probe.embed(corpora, paths)]
            for corpora in ([trace.plan for trace in traces], [trace.reflect for trace in traces])
        )
        if "plan" in views:
            yield Cloud("plan", probe.name, plan, probe.common)
        if "reflect" in views:
            yield Cloud("reflect", probe.name, reflect, probe.common)
        if "fused" in views:
            fused = [_fused(*each) for each in zip(plan, reflect, traces, strict=True)]
            yield Cloud("fused", probe.name, fused, probe.common)


def _spoken(vectors: Array | None) -> Array | None:
    """None where nothing was ever said."""
    return vectors if vectors is not None and vectors.any() else None


def _fused(plan: Array | None, reflect: Array | None, trace: Trace) -> Array | None:
    """[K, d + d + 6]: each of the three at length 1, so that none outweighs another."""
    if plan is None:
        return None
    parts = [unit(plan), unit(standardised(trace.risk))]
    if reflect is not None:
        parts.insert(1, unit(reflect))
    return np.hstack(parts)


def standardised(features: Array) -> Array:
    """[K, f] columns at mean 0 and standard deviation 1; a column that never changes is 0."""
    centred = features - features.mean(axis=0)
    spread = centred.std(axis=0)
    made: Array = np.zeros_like(centred)
    np.divide(centred, spread, out=made, where=np.greater(spread, 1e-12 * (1.0 + np.abs(features).max(axis=0))))
    return made
