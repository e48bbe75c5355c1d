"""Is there a signature before trouble? Traces, probes and a design come in; one row for each group, view, probe, kind
of anchor and statistic goes out, with its value, its null and how much there is to go by.

For every trajectory the steps and windows just before an anchor are compared with those far from any: windows of the
same size, of the same trajectory. The value of a market path is the mean over its trajectories, the value of a group
the mean over its paths. The null moves the anchors of each path, those of all its trajectories together (`rotation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.analysis.contrasts import holm
from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.arranged import Arranged, OnPath, arranged, measured, paths_of, speaks
from tradearena.analysis.signatures.design import KINDS, Design, Kind, profile_steps
from tradearena.analysis.signatures.measures import BLOCKWISE, PRIMARY, Seen, blockwise, differences, profile
from tradearena.analysis.signatures.probe import Probe
from tradearena.analysis.signatures.rotation import Masks
from tradearena.analysis.signatures.trace import Trace
from tradearena.analysis.signatures.views import MECHANICAL, Cloud, clouds
from tradearena.analysis.signflip import ALPHA
from tradearena.panel import Array

MINIMUM = 6
"""Independent anchors below which nothing is said."""

TOGETHER = 2_000_000
"""Entries of a mask of steps by arrangements that stand in memory together."""


class Row(NamedTuple):
    """One statistic of one view through one probe, before anchors less away from them.

    Attributes:
        primary: declared beforehand, and in the Holm family of its group.
        value: None where there is nothing to measure, or not enough; `null_mean` of the arrangements.
        interval: of the value: those that would not be rejected, were the null of the same shape around them.
        p: two-sided, (1 + as far out) / (1 + draws).
        n_anchors: that are independent and have a window before them in which the view is measured, over all paths;
            `n_clusters` paths that have any.
        verdict: in words.
        by_cluster: value of each path.
        lead: value by steps to the anchor, with a simultaneous band; None where not primary.
    """

    group: str
    view: str
    probe: str
    anchors: Kind
    statistic: str
    primary: bool
    value: float | None
    null_mean: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    n_anchors: int
    n_clusters: int
    verdict: str
    by_cluster: tuple[tuple[Window, float], ...] = ()
    lead: Lead | None = None


class Lead(NamedTuple):
    """The primary statistic of windows that end so many steps after the last one before an anchor (negative: sooner),
    less that of windows away from all anchors: [L] value and mean of the null, and half the width of a band that holds
    the whole profile in 95 % of the arrangements."""

    steps: tuple[int, ...]
    value: tuple[float, ...]
    null_mean: tuple[float, ...]
    half: tuple[float, ...]


def study(traces: Sequence[Trace], probes: Sequence[Probe], design: Design) -> list[Row]:
    """All rows of all groups; Holm within a group over its primary ones."""
    with threadpool_limits(1, user_api="blas"):  # the same bits whatever the machine; and threads only wait here
        return _study(traces, probes, design)


def _study(traces: Sequence[Trace], probes: Sequence[Probe], design: Design) -> list[Row]:
    seen = list(clouds(traces, probes, design.views))
    found: list[Row] = []
    for group in dict.fromkeys(trace.group for trace in traces):
        at = [i for i, trace in enumerate(traces) if trace.group == group]
        own = [cloud._replace(vectors=[cloud.vectors[i] for i in at]) for cloud in seen]
        found += _adjusted([*_of_group(group, [traces[i] for i in at], own, design)])
    return found


def _of_group(group: str, traces: Sequence[Trace], seen: Sequence[Cloud], design: Design) -> Iterator[Row]:
    paths = list(paths_of(traces))
    views = [
        [None if v is None else _seen(v, trace, design) for v, trace in zip(cloud.vectors, traces, strict=True)]
        for cloud in seen
    ]
    for kind in KINDS:
        rng = np.random.default_rng([design.seed, KINDS.index(kind)])
        drawn = [arranged(path, [traces[i] for i in path.members], kind, design, rng) for path in paths]
        for cloud, held in zip(seen, views, strict=True):
            counts = [measured(path, each, held, design) for path, each in zip(paths, drawn, strict=True)]
            n = sum(counts)
            if n < MINIMUM or not any(held):
                said = "not enough" if any(held) else _unseen(cloud, traces)
                yield from _unsaid(group, cloud, kind, n, sum(map(bool, counts)), said, design)
                continue
            values, leads, kept = _values(paths, drawn, held, cloud, design)
            yield from _rows(group, cloud, kind, n, [paths[i] for i in kept], values, leads, design)


def _unseen(cloud: Cloud, traces: Sequence[Trace]) -> str:
    """Why there are no vectors of any trace."""
    if cloud.view == "intent":
        return "nothing to see"
    texts = (said.text for trace in traces for said in (trace.reflect if cloud.view == "reflect" else trace.plan))
    return "nothing to fit on" if not cloud.common and any(texts) else "no text"


def _seen(vectors: Array, trace: Trace, design: Design) -> Seen:
    return Seen.of(vectors, trace, design.before, primary_only=design.primary_only)


def _values(
    paths: Sequence[OnPath], drawn: Sequence[Arranged], held: Sequence[Seen | None], cloud: Cloud, design: Design
) -> tuple[Array, Array, list[int]]:
    """[P, B, S] statistics of each path with anchors, [P, B, L] its profile, and which paths they are."""
    kept = [i for i, (path, each) in enumerate(zip(paths, drawn, strict=True)) if speaks(path, each, held)]
    shape = len(kept), design.draws + 1
    own = len(design.measures)
    values = np.full((*shape, own + len(design.trained)), np.nan)
    leads = np.full((*shape, len(profile_steps(design))), np.nan)
    for row, i in enumerate(kept):
        path, each = paths[i], drawn[i]
        chosen = max(1, TOGETHER // max(len(path.clock), 1))
        for begin in range(0, design.draws + 1, chosen):
            some = slice(begin, begin + chosen)
            single, led = [], []
            for member, places in zip(path.members, each.places, strict=True):
                view = held[member]
                if view is None or not places.shape[1]:
                    continue
                masks = Masks(places[some], len(view), design.before)
                single.append(differences(view, masks))
                led.append(profile(view, masks, profile_steps(design)))
            values[row, some, :own] = _mean(np.array(single))
            leads[row, some] = _mean(np.array(led))
    if not design.trained:
        return values, leads, kept
    few = slice(0, min(design.blockwise, design.draws) + 1)
    apart = blockwise(_trained(kept, paths, drawn, held, few, design), design.before, common=cloud.common)
    for row, found in enumerate(apart):
        values[row, few, own:] = found
    return values, leads, kept


def _trained(
    kept: Sequence[int],
    paths: Sequence[OnPath],
    drawn: Sequence[Arranged],
    held: Sequence[Seen | None],
    few: slice,
    design: Design,
) -> Iterator[tuple[int, Seen, Masks]]:
    """Number of the path, view and masks of every trace that has anchors."""
    for row, i in enumerate(kept):
        for member, places in zip(paths[i].members, drawn[i].places, strict=True):
            view = held[member]
            if view is not None and places.shape[1]:
                yield row, view, Masks(places[few], len(view), design.before)


def _mean(values: Array) -> Array:
    """Over the first axis, what is NaN left out."""
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    means: Array = np.full(counts.shape, np.nan)
    np.divide(np.where(known, values, 0.0).sum(axis=0), counts, out=means, where=np.greater(counts, 0))
    return means


def _rows(
    group: str,
    cloud: Cloud,
    kind: Kind,
    n: int,
    paths: Sequence[OnPath],
    values: Array,
    leads: Array,
    design: Design,
) -> Iterator[Row]:
    means = _mean(values)
    lead = _lead(_mean(leads), profile_steps(design))
    for place, name in enumerate((*design.measures, *design.trained)):
        draws = means[: design.blockwise + 1 if name in BLOCKWISE else None, place]
        value, null_mean, interval, p = judged(draws)
        primary = name == PRIMARY and not _mechanical(kind, cloud.view)
        yield Row(
            group, cloud.view, cloud.probe, kind, name, primary, value, null_mean, interval, p, None, n, len(paths),
            _unadjusted(name, kind, cloud.view, p),
            tuple((path.window, float(v)) for path, v in zip(paths, values[:, 0, place], strict=True) if v == v),
            lead if primary else None,
        )  # fmt: skip


def judged(draws: Array) -> tuple[float | None, float | None, tuple[float, float] | None, float | None]:
    """Value, mean of the null, interval and p of [B] draws, the observed one first.

    p is the share of all B, the observed one included, that are as far from their mean as it is. The interval holds
    every value around which the null, moved there as it is, would not reject the one observed.
    """
    value, known = float(draws[0]), draws[np.isfinite(draws)]
    if value != value or len(known) < 2:
        return (None if value != value else value), None, None, None
    mean = float(known.mean())
    off = np.abs(known - mean)
    slack = 1e-12 * max(1.0, abs(mean))
    p = float(np.count_nonzero(off >= abs(value - mean) - slack) / len(known))
    half = float(np.quantile(off, 1.0 - ALPHA))
    return value, mean, (value - half, value + half), p


def _lead(draws: Array, steps: range) -> Lead | None:
    """The band is as wide, in standard deviations of each step, as the widest excursion of 95 % of the arrangements."""
    known = draws[np.isfinite(draws).all(axis=1)]
    if len(known) < 2 or not np.isfinite(draws[0]).all():
        return None
    mean, spread = known.mean(axis=0), known.std(axis=0)
    far = (np.abs(known - mean) / np.maximum(spread, 1e-300)).max(axis=1)
    half = float(np.quantile(far, 1.0 - ALPHA)) * spread
    return Lead(tuple(steps), *(tuple(each.tolist()) for each in (draws[0], mean, half)))


def _unsaid(group: str, cloud: Cloud, kind: Kind, n: int, paths: int, said: str, design: Design) -> Iterator[Row]:
    for name in (*design.measures, *design.trained):
        primary = name == PRIMARY and not _mechanical(kind, cloud.view)
        yield Row(group, cloud.view, cloud.probe, kind, name, primary, None, None, None, None, None, n, paths, said)


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    """Holm over the primary rows of a group, those without a p among them, and what may be said of each."""
    primary = [i for i, row in enumerate(rows) if row.primary]
    made = list(rows)
    for i, p in zip(primary, holm([rows[i].p for i in primary]), strict=True):
        made[i] = rows[i]._replace(p_adjusted=p, verdict=_verdict(rows[i], p))
    return made


def _verdict(row: Row, p: float | None) -> str:
    if p is None or row.value is None or row.null_mean is None:
        return row.verdict
    if p > ALPHA:
        return "none found"
    way = "contraction" if row.value < row.null_mean else "expansion"
    return f"{way} before trouble"


def _mechanical(kind: Kind, view: str) -> bool:
    """Would a difference be arithmetic? What is wished moves one's own NAV, so that there is no effect is false by
    construction: there is nothing to test, and nothing to call a signature."""
    return kind == "own" and view in MECHANICAL


def _unadjusted(name: str, kind: Kind, view: str, p: float | None) -> str:
    if p is None:
        return "nothing to see"
    return "mechanical" if name == PRIMARY and _mechanical(kind, view) else "exploratory"
