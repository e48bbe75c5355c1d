"""A trajectory as signatures see it: a recorded path and its texts come in; one `Trace` goes out, decision by decision.

Nothing in it knows what comes later. `nav` and `market` are there to find anchors with, and are in no view: the outcome
whose signature is looked for is never a feature.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tradearena.analysis.pairs import Window
from tradearena.panel import Array, Panel
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.trajectories import trajectories
from tradearena.values import State, Trajectory

TRAILING = 20
"""Bars over which return and volatility of the market trail."""

RISK = ("gross", "net", "largest", "herfindahl", "turnover", "clipped")
"""Structured risk features of a decision, all of what was wished: sums of |w| and of w, the largest |w|, the sum of
squares, one-way change since the decision before, and L1 distance to what was approved."""


class Said(NamedTuple):
    """What was said at one decision, and to what: `prompt` is "" where it was not read. `states` are what went on in
    the one who said it, where that is a model that ran in the process of the run."""

    text: str
    prompt: str = ""
    states: tuple[State, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One trajectory of K decisions over N symbols.

    Attributes:
        episode: its id.
        group: whose trajectories are looked at together: agent and feedback mode.
        window: bars of a market path; traces of one path are no independent evidence.
        decided: [K] bars of the decisions.
        plan: [K] the rationale of each; `reflect` [K] its reflection, and what came of the decision before.
        intent: [K, N] weights as wished; `risk` [K, 6] structured features, in the order of `RISK`.
        nav: [K] own net asset value; `market` [K] the equal-weight book of the same path.
        volatility, momentum: [K] of the equal-weight book over the last `TRAILING` bars: standard deviation of a bar's
            return, and mean return of a bar.
    """

    episode: str
    group: str
    window: Window
    decided: Array
    plan: tuple[Said, ...]
    reflect: tuple[Said, ...]
    intent: Array
    risk: Array
    nav: Array
    market: Array
    volatility: Array
    momentum: Array

    def __len__(self) -> int:
        return len(self.decided)


class Texts(NamedTuple):
    """[K] rationales, reflections, prompts and hidden states of the decisions of an episode; the last two may be left
    out: ()."""

    rationale: Sequence[str]
    reflection: Sequence[str]
    prompt: Sequence[str] = ()
    states: Sequence[tuple[State, ...]] = ()


def read(reader: Reader, chosen: Sequence[EpisodeRow], *, prompts: bool = False) -> Iterator[Trace]:
    """The traces of episodes of one file, in their order.

    Args:
        prompts: read the prompts as well, for probes that look at them.
    """
    setup, panel = reader.experiment(), reader.panel()
    noisy = setup.noise and f", {setup.noise}"
    query = "SELECT rationale, reflection FROM step WHERE episode = ? ORDER BY t"
    for row, path in zip(chosen, trajectories(reader, [row.id for row in chosen]), strict=True):
        rows = reader.db.execute(query, [row.id]).fetchall()
        asked = reader.exchanges(row.id) if prompts else {}
        own = {t: states for (t, _), states in reader.states(row.id).items()}  # those of the last reply: it decides
        texts = Texts(
            [text or "" for text, _ in rows],
            [text or "" for _, text in rows],
            [asked[t][-1].prompt if t in asked else "" for t in path.decided.tolist()] if prompts else (),
            [own.get(t, ()) for t in path.decided.tolist()] if own else (),
        )
        window = Window(reader.market, row.first, row.last)
        yield trace_of(row.id, f"{row.agent}, {row.feedback}{noisy}", window, path, panel, texts)


def trace_of(episode: str, group: str, window: Window, path: Trajectory, panel: Panel, texts: Texts) -> Trace:
    """The trace of one path.

    Args:
        panel: the bars of the dataset; what is used of them ends at each decision.
        texts: one of each for every decision of the path.
    """
    prompts = texts.prompt or [""] * len(path.decided)
    states = texts.states or [()] * len(path.decided)
    reflect = [f"{own} {came}".strip() for own, came in zip(texts.reflection, _happened(path), strict=True)]
    level, volatility, momentum = _market(panel)
    return Trace(
        episode=episode,
        group=group,
        window=window,
        decided=path.decided.astype(np.float64),
        plan=tuple(map(Said, texts.rationale, prompts, states)),
        reflect=tuple(map(Said, reflect, prompts)),
        intent=path.intent,
        risk=_risk(path),
        nav=path.nav[np.searchsorted(path.marked, path.decided)],
        market=level[path.decided],
        volatility=volatility[path.decided],
        momentum=momentum[path.decided],
    )


def _risk(path: Trajectory) -> Array:
    """[K, 6]."""
    sizes = np.abs(path.intent)
    before = np.vstack((path.intent[:1], path.intent[:-1]))
    return np.column_stack(
        (
            sizes.sum(axis=1),
            path.intent.sum(axis=1),
            sizes.max(axis=1, initial=0.0),
            (sizes**2).sum(axis=1),
            np.abs(path.intent - before).sum(axis=1) / 2,
            np.abs(path.intent - path.approved).sum(axis=1),
        )
    )


def _market(panel: Panel) -> tuple[Array, Array, Array]:
    """[T] each: level of the equal-weight book, trailing volatility, trailing mean return."""
    returns = panel.returns.mean(axis=1)
    bars = np.arange(1, len(returns) + 1)
    n = np.minimum(bars, TRAILING)
    first, second = (_trailing(values, n) for values in (returns, returns**2))
    return np.cumprod(1.0 + returns), np.sqrt(np.maximum(second - first**2, 0.0)), first


def _trailing(values: Array, n: Array) -> Array:
    """[T] mean of the last n[t] values up to each."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    bars = np.arange(1, len(values) + 1)
    means: Array = (sums[bars] - sums[bars - n]) / n
    return means


def _happened(path: Trajectory) -> Iterator[str]:
    """[K] in a few words, what came of the decision before each: which rules cut it, and whether all was filled. Not
    what it earned: that is the outcome."""
    cut: defaultdict[int, list[str]] = defaultdict(list)
    for t, finding in zip(path.found_at.tolist(), path.findings, strict=True):
        if finding.severity != "flag":
            cut[t].append(f"{finding.rule} cut {finding.name}")
    for k, t in enumerate(path.decided.tolist()):
        before = path.decided[k - 1] if k else t
        since = (path.filled_at > before) & (path.filled_at <= t)
        yield ". ".join([*(cut[before] if k else ()), *_filled(path.ordered[since].sum(), path.filled[since].sum())])


def _filled(ordered: float, filled: float) -> Iterable[str]:
    if ordered > 0.0:
        yield "orders filled" if filled >= ordered * (1 - 1e-9) else "orders filled in part"
