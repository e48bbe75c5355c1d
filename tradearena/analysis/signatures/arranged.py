"""Where the anchors are: traces and a design come in; the market paths that the traces are on, and the anchors of each,
as observed and as they could have been, go out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tradearena.analysis.pairs import Window, clusters
from tradearena.analysis.signatures.anchors import independent, onsets, usual_depth
from tradearena.analysis.signatures.design import KINDS, Design, Kind
from tradearena.analysis.signatures.measures import Seen
from tradearena.analysis.signatures.rotation import Circle, Places, arrangements
from tradearena.analysis.signatures.trace import Trace
from tradearena.panel import Array


class Anchored(NamedTuple):
    """The anchors of one kind on one market path.

    Attributes:
        episodes: its trajectories; `depths` of each, the fall, as a fraction, that makes an anchor; `bars` of each, the
            anchors.
        independent: how many of all of them have windows with nothing in common.
    """

    group: str
    kind: Kind
    window: Window
    episodes: tuple[str, ...]
    depths: tuple[float, ...]
    bars: tuple[tuple[int, ...], ...]
    independent: int


class OnPath(NamedTuple):
    """One market path: its traces (places in the group), and where their decisions are on its clock."""

    window: Window
    members: list[int]
    clock: Array
    places: list[Places]


class Arranged(NamedTuple):
    """The anchors of one path: for each of its traces [B, n] places in that trace; how many are independent."""

    places: list[Places]
    independent: int


def paths_of(traces: Sequence[Trace]) -> Iterator[OnPath]:
    """Traces that share bars, directly or through others, are of one path."""
    for windows in clusters(trace.window for trace in traces):
        members = [i for i, trace in enumerate(traces) if trace.window in windows]
        clock = np.unique(np.concatenate([traces[i].decided for i in members]))
        whole = windows[0]._replace(last=max(window.last for window in windows))
        yield OnPath(whole, members, clock, [np.searchsorted(clock, traces[i].decided) for i in members])


def arranged(path: OnPath, traces: Sequence[Trace], kind: Kind, design: Design, rng: np.random.Generator) -> Arranged:
    """The anchors of a path, observed first, then as they could have been."""
    w, steps = design.before, len(path.clock)
    circle = Circle(w, steps - 1, design.apart)
    anchors = [own for own, _ in _observed(path, traces, kind, design)]
    moved = arrangements(anchors, circle, design.draws, rng)
    made = []
    for places, rows in zip(path.places, moved, strict=True):
        back = np.full(steps, -1, dtype=np.intp)
        back[places] = np.arange(len(places))
        made.append(back[rows])
    return Arranged(made, independent([a for own in anchors for a in own], 2 * w))


def _observed(path: OnPath, traces: Sequence[Trace], kind: Kind, design: Design) -> Iterator[tuple[list[int], float]]:
    """For each trace of a path its anchors, as steps of the path's clock, and the depth of a fall that makes one."""
    for trace, places in zip(traces, path.places, strict=True):
        level = trace.nav if kind == "own" else trace.market
        depth = design.depth if design.depth is not None else usual_depth(level)
        own = onsets(level, depth, design.apart) if 0.0 < depth < 1.0 else []
        yield [int(places[a]) for a in own if design.before <= a < len(places)], depth


def anchored(traces: Sequence[Trace], design: Design) -> Iterator[Anchored]:
    """The anchors that `study` goes by: of each group and kind, path by path."""
    for group in dict.fromkeys(trace.group for trace in traces):
        own = [trace for trace in traces if trace.group == group]
        paths = list(paths_of(own))
        for kind in KINDS:
            for path in paths:
                members = [own[i] for i in path.members]
                found = list(_observed(path, members, kind, design))
                yield Anchored(
                    group, kind, path.window, tuple(trace.episode for trace in members),
                    tuple(depth for _, depth in found),
                    tuple(tuple(int(path.clock[a]) for a in places) for places, _ in found),
                    independent([a for places, _ in found for a in places], 2 * design.before),
                )  # fmt: skip


def measured(path: OnPath, drawn: Arranged, held: Sequence[Seen | None], design: Design) -> int:
    """How many independent anchors of a path have a window before them in which this view is measured; where nothing is
    seen at all, how many there are."""
    if not any(held):
        return drawn.independent
    known: list[int] = []
    for member, own, places in zip(path.members, drawn.places, path.places, strict=True):
        view, observed = held[member], own[0]
        if view is not None:
            observed = observed[observed >= design.before]
            known += places[observed[np.isfinite(view.series[observed - 1, 0])]].tolist()
    return independent(known, 2 * design.before)


def speaks(path: OnPath, drawn: Arranged, held: Sequence[Seen | None]) -> bool:
    """Has any trace of it something to see, and an anchor?"""
    return any(
        held[member] is not None and places.shape[1] > 0
        for member, places in zip(path.members, drawn.places, strict=True)
    )
