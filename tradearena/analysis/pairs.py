"""Pairs episodes and makes clusters of them: outcomes of episodes come in; one difference per independent market window
goes out, and a count of everything that was left out.

A pair is two feedback modes of one agent with the same seed in the same window. Seeds share their bars, so they are
averaged within a window. Windows with a bar in common share part of their market, so they are merged, and whoever is
linked through a third is merged with it. What is left has no bar in common, and n counts that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from tradearena.panel import Array


class Window(NamedTuple):
    """Bars `first` to `last`, inclusive, of a market path: the digest of a dataset, or another name for one course of
    the market. Bars of one path are counted alike; two paths are taken to be independent."""

    path: str
    first: int
    last: int


class Outcome(NamedTuple):
    """What came of one episode. `draw` tells repetitions of one window apart: seed and replicate. `valid`: has it
    ended, and with few enough replies lost? `metrics` are None or NaN where not defined."""

    agent: str
    mode: str
    window: Window
    draw: tuple[int, int]
    valid: bool
    metrics: Mapping[str, float | None]


class Dropped(NamedTuple):
    """Pairs that are in no difference, each counted once, by the first reason that holds.

    Attributes:
        unpaired: one mode is there, the other is not.
        invalid: both are there, and one of them (or both) is no result. Where the feedback itself makes replies fail,
            leaving them out is a bias: so `invalid_treatment` and `invalid_control` count them by mode.
        undefined: both are results, and the metric of one (or both) is not defined; by mode as well.
    """

    unpaired: int = 0
    invalid: int = 0
    invalid_treatment: int = 0
    invalid_control: int = 0
    undefined: int = 0
    undefined_treatment: int = 0
    undefined_control: int = 0


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences, treatment minus control: [n], one for each cluster, in the order of `clusters`; `pairs` are in them.

    `level` is the mean of the control over the same clusters, None without one: what the difference is relative to.
    """

    differences: Array
    clusters: tuple[tuple[Window, ...], ...]
    pairs: int
    level: float | None
    dropped: Dropped


def clusters(windows: Iterable[Window]) -> list[tuple[Window, ...]]:
    """The windows, those together that overlap, directly or through others; in order of path and time.

    Two windows overlap where they have a bar in common. All agents on one window are in one cluster by that.
    """
    made: list[list[Window]] = []
    end = -1
    for window in sorted(set(windows)):
        if made and made[-1][0].path == window.path and window.first <= end:
            made[-1].append(window)
            end = max(end, window.last)
        else:
            made.append([window])
            end = window.last
    return [tuple(each) for each in made]


def paired(outcomes: Iterable[Outcome], metric: str, treatment: str, control: str) -> Paired:
    """Differences of one metric between two modes, of all agents that are in `outcomes`.

    Within a window the mean over draws for each agent, then over agents; within a cluster the mean over its windows;
    each cluster counts once. Of one agent's outcomes these are the differences of that agent.

    Raises:
        ValueError: treatment and control are the same, or two outcomes are of the same agent, mode, window and draw.
    """
    if treatment == control:
        raise ValueError(f"{treatment} cannot be compared with itself")
    sides = _sides(outcomes, treatment, control)
    found: defaultdict[Window, defaultdict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    dropped: dict[str, int] = dict.fromkeys(Dropped._fields, 0)
    pairs = 0
    for (agent, window, _), sided in sorted(sides.items(), key=itemgetter(0)):  # so that sums have one order
        if len(sided) < 2:
            dropped["unpaired"] += 1
            continue
        two = sided[treatment], sided[control]
        values = two[0].metrics.get(metric), two[1].metrics.get(metric)
        if _counted(dropped, "invalid", [each.valid for each in two]):
            continue
        if _counted(dropped, "undefined", [value is not None and not math.isnan(value) for value in values]):
            continue
        found[window][agent].append((float(values[0] or 0.0), float(values[1] or 0.0)))
        pairs += 1
    means = {
        window: np.mean([np.mean(each, axis=0) for each in agents.values()], axis=0) for window, agents in found.items()
    }
    merged = clusters(means)
    table = np.array([np.mean([means[window] for window in each], axis=0) for each in merged]).reshape(-1, 2)
    level = float(table[:, 1].mean()) if merged else None
    return Paired(table[:, 0] - table[:, 1], tuple(merged), pairs, level, Dropped(**dropped))


def _sides(
    outcomes: Iterable[Outcome], treatment: str, control: str
) -> dict[tuple[str, Window, tuple[int, int]], dict[str, Outcome]]:
    """What belongs together, by agent, window and draw, then by mode."""
    sides: defaultdict[tuple[str, Window, tuple[int, int]], dict[str, Outcome]] = defaultdict(dict)
    for outcome in outcomes:
        if outcome.mode not in (treatment, control):
            continue
        sided = sides[outcome.agent, outcome.window, outcome.draw]
        if outcome.mode in sided:
            raise ValueError(f"two outcomes of {outcome.agent}, {outcome.mode}, {outcome.window}, draw {outcome.draw}")
        sided[outcome.mode] = outcome
    return sides


def _counted(dropped: dict[str, int], why: str, fine: list[bool]) -> bool:
    """Is a pair dropped for this reason? Then count it, and which mode it was."""
    for mode, good in zip(("treatment", "control"), fine, strict=True):
        dropped[f"{why}_{mode}"] += not good
    dropped[why] += not all(fine)
    return not all(fine)
