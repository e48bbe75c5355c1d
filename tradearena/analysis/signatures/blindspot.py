"""The correlation blind spot: experiment files come in; for each agent and feedback mode, what it had in coupled groups
and what it said of that go out, with intervals over blocks of time.

One statistic is declared beforehand, `excess`: the share of the gross wished that is in coupled groups of which two
symbols or more are held, less what it would be on average had the same weights fallen on symbols at random. An agent
that picks without regard to how symbols move has an excess of 0 on average, however concentrated it is. All else is
exploratory.

The unit is a block of time on one market path: bars are cut into blocks of at least the lookback that groups are found
in, since closer groupings share returns. All trajectories on a path are in the same blocks, and repetitions are
averaged in them. Intervals invert the sign-flip test over the means of blocks; with fewer than six there is none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from tradearena.analysis.names import told_apart
from tradearena.analysis.signatures.watched import METRICS, MarketPath, Watched, watch
from tradearena.analysis.signflip import Effect, sign_flip
from tradearena.errors import UsageError
from tradearena.panel import Array
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow, Experiment

Verdict: TypeAlias = Literal["praised", "silent", "named", "wordless", "not found", "not enough"]

FOUND: tuple[Verdict, ...] = ("praised", "silent")
"""Verdicts by which there is a blind spot."""

MOST = 0.5
"""Share of the loaded decisions from which a verdict goes by what was said in them."""

SELDOM = 0.5
"""Books turned over in a block, below which an agent has made one choice and kept it."""

Block: TypeAlias = tuple[str, int]
"""A market path, and which of its blocks."""


@dataclass(frozen=True, slots=True)
class Model:
    """One agent in one feedback mode.

    Attributes:
        episodes, decisions: how many were looked at.
        effects: by metric, the mean over blocks with its interval and n. Of `excess` alone p is a test.
        worded: decisions with a rationale. `loaded`: those of them with an excess above 0; of these `praised` speak of
            diversification, and `silent` name neither coupling nor concentration.
        turned: mean over blocks of how often the book as wished was turned over within one: the sum of half of
            |w - w before|, over the mean gross. None where nothing was wished.
        verdict: `not enough` blocks, or, however many, choices too rare for them (`SELDOM`); `not found` where the
            excess is 0 in all blocks, or its interval is not above 0; `wordless` where no loaded decision has a
            rationale. Else, by what most loaded decisions say, `praised` or `silent`: a blind spot; or `named`: it is
            loaded, and says so.
    """

    group: str
    episodes: int
    decisions: int
    effects: Mapping[str, Effect]
    worded: int
    loaded: int
    praised: int
    silent: int
    turned: float | None
    verdict: Verdict


class Difference(NamedTuple):
    """Excess of one model less that of another, paired by block."""

    one: str
    other: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """What was found. `block`: bars that a block has at least; `left_out`: episodes that are in nothing, by why."""

    models: list[Model]
    differences: list[Difference]
    paths: list[MarketPath]
    watched: list[Watched]
    block: int
    left_out: Mapping[str, int]


def _held(file: Path) -> tuple[Experiment, list[EpisodeRow]]:
    with Reader(file) as reader:
        return reader.experiment(), reader.episodes()


def blind_spot(files: Sequence[Path]) -> BlindSpot:
    """Look for the blind spot in all episodes of these files that are a result.

    Raises:
        UsageError: two files hold the same episode.
        StoreError: a file cannot be read.
    """
    paths: dict[str, MarketPath] = {}
    left_out: Counter[str] = Counter()
    watched: list[Watched] = []
    seen: set[tuple[str, str]] = set()
    for file, rows in zip(files, told_apart([_held(file) for file in files]), strict=True):
        for each in watch(file, rows, paths, left_out):
            if (each.experiment, each.episode) in seen:
                raise UsageError(f"{file}: episode {each.episode} stands in another of these files; name each once")
            seen.add((each.experiment, each.episode))
            watched.append(each)
    block = max((path.block for path in paths.values()), default=0)
    starts = {
        digest: blocks((t for each in watched if each.path == digest for t in each.bars.tolist()), block)
        for digest in paths
    }
    groups: defaultdict[str, list[Watched]] = defaultdict(list)
    for each in watched:
        groups[each.group].append(each)
    means = {group: _means(held, starts) for group, held in groups.items()}
    return BlindSpot(
        [_model(group, held, means[group], _turned(held, starts)) for group, held in groups.items()],
        [Difference(one, other, _paired(means[one], means[other])) for one, other in combinations(groups, 2)],
        list(paths.values()),
        watched,
        block,
        left_out,
    )


# ---------------------------------------------------------------------- blocks of time


def blocks(bars: Iterable[float], length: int) -> Array:
    """Bars at which the blocks of a path begin, at least `length` apart. What is left over at the end of a run belongs
    to the block before it."""
    ordered = np.unique(np.fromiter(bars, dtype=np.float64))
    starts: list[float] = []
    for t in ordered.tolist():
        if not starts or t - starts[-1] >= length:
            starts.append(t)
    if len(starts) > 1:
        step = float(np.diff(ordered).min())
        before, last = ordered[ordered < starts[-1]][-1], ordered[-1]
        if last - starts[-1] + step < length and starts[-1] - before < length:
            starts.pop()
    return np.array(starts)


def _block(each: Watched, starts: Mapping[str, Array]) -> list[int]:
    """[K]: which block of its path a decision is in."""
    found: list[int] = (np.searchsorted(starts[each.path], each.bars, side="right") - 1).tolist()
    return found


def _means(held: Sequence[Watched], starts: Mapping[str, Array]) -> dict[str, dict[Block, float]]:
    """By metric and block: the mean over its bars of the mean over repetitions."""
    found: dict[str, dict[Block, float]] = {}
    places = [_block(each, starts) for each in held]
    for name in METRICS:
        at: defaultdict[tuple[str, int, float], list[float]] = defaultdict(list)
        for each, blocks_of in zip(held, places, strict=True):
            for block, t, value in zip(blocks_of, each.bars.tolist(), each.values[name].tolist(), strict=True):
                if value == value:  # not NaN
                    at[each.path, block, t].append(value)
        within: defaultdict[Block, list[float]] = defaultdict(list)
        for (path, block, _), values in sorted(at.items()):
            within[path, block].append(float(np.mean(values)))
        found[name] = {block: float(np.mean(values)) for block, values in within.items()}
    return found


def _turned(held: Sequence[Watched], starts: Mapping[str, Array]) -> float | None:
    found = []
    for each in held:
        place = np.array(_block(each, starts))
        for block in np.unique(place):
            wished = each.intent[place == block]
            if gross := float(np.abs(wished).sum(axis=1).mean()):
                found.append(float(np.abs(np.diff(wished, axis=0)).sum()) / 2 / gross)
    return float(np.mean(found)) if found else None


# ---------------------------------------------------------------------- what is said of a model


def _model(
    group: str, held: Sequence[Watched], means: Mapping[str, Mapping[Block, float]], turned: float | None
) -> Model:
    effects = {name: sign_flip(list(means[name].values())) for name in METRICS}
    values = {name: np.concatenate([each.values[name] for each in held]) for name in METRICS}
    spoke = ~np.isnan(values["coupling"])
    heavy = spoke & (values["excess"] > 0.0)
    loaded = int(np.count_nonzero(heavy))
    praised = int(np.count_nonzero(heavy & (values["diversification"] > 0)))
    silent = int(np.count_nonzero(heavy & (values["coupling"] + values["concentration"] == 0)))
    verdict = _verdict(effects["excess"], turned, loaded, praised, silent)
    worded = int(np.count_nonzero(spoke))
    return Model(group, len(held), len(spoke), effects, worded, loaded, praised, silent, turned, verdict)


def _verdict(excess: Effect, turned: float | None, loaded: int, praised: int, silent: int) -> Verdict:
    if excess.verdict == "degenerate":
        return "not found"
    if excess.interval is None or (turned is not None and turned < SELDOM):
        return "not enough"
    if excess.interval[0] <= 0.0:
        return "not found"
    if not loaded:
        return "wordless"
    return "praised" if praised >= MOST * loaded else "silent" if silent >= MOST * loaded else "named"


def _paired(one: Mapping[str, Mapping[Block, float]], other: Mapping[str, Mapping[Block, float]]) -> Effect:
    return sign_flip(
        [value - other["excess"][block] for block, value in one["excess"].items() if block in other["excess"]]
    )
