"""What an episode on file did at each of its decisions, as the blind spot looks at it: a file comes in; weights in
coupled groups, risk and what was said go out, and which pairs of its market were coupled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradearena.analysis.metrics import validity
from tradearena.analysis.signatures.coupling import (
    Pair,
    coupling,
    in_force,
    pairs,
    refreshes,
    risks,
    tightest,
    trailing_correlation,
)
from tradearena.analysis.signatures.mentions import Mentions, mentions
from tradearena.panel import Array, Labels, Panel
from tradearena.policy import Limits, Policy
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import DONE
from tradearena.store.trajectories import trajectories
from tradearena.values import TOLERANCE, Trajectory

WEIGHTS = ("doubled", "chance", "share", "universe", "tightest", "intended", "approved")
SAID = Mentions._fields
METRICS = ("excess", *WEIGHTS, "clips", "risk", "bets", "bets_approved", *SAID)
"""Of each decision, NaN where not defined. `excess` is `doubled` less `chance`; what the weights are says
`coupling.Coupling`, what the risks are `coupling.Risks`. `clips` counts findings of the rule `cluster` that took
something, `bets_approved` is on record. What a rationale speaks of is 0 or 1, NaN where there is none."""


class Watched(NamedTuple):
    """The usable decisions of an episode at which groups are known.

    Attributes:
        group: agent, feedback mode, and the noise that was laid on the bars, if any; `path`: name of the market path,
            the same with noise and without.
        bars: [K] of the decisions; `values` [K] by metric; `intent` [K, N].
    """

    experiment: str
    episode: str
    group: str
    path: str
    bars: Array
    values: Mapping[str, Array]
    intent: Array


@dataclass
class MarketPath:
    """What is known of one market path, from all episodes on it.

    Attributes:
        block: the longest lookback that groups were found in.
        found: correlations [N, N] and groups [N] at each refresh, by bar and rule.
    """

    name: str
    symbols: tuple[str, ...]
    block: int = 0
    found: dict[tuple[int, int, float], tuple[Array, Labels]] = field(default_factory=dict)

    def pairs(self) -> list[Pair]:
        """Its pairs, the most coupled first; each refresh counts once, whichever episode it was made in."""
        rho, labels = [each for each, _ in self.found.values()], [each for _, each in self.found.values()]
        return pairs(self.symbols, rho, labels)

    @property
    def bars(self) -> list[int]:
        """Of its refreshes, in order."""
        return sorted({t for t, _, _ in self.found})


def watch(
    file: Path, known: Sequence[EpisodeRow], paths: dict[str, MarketPath], left_out: Counter[str]
) -> Iterator[Watched]:
    """The episodes of a file that are a result. Forks and open loops are none: their decisions are others' as well.

    Args:
        known: all episodes of the file, as they are to be named.
        paths: by name; what this file knows of them is added.
        left_out: counts the episodes that are left out, by why.

    Raises:
        StoreError: the file cannot be read.
    """
    with Reader(file) as reader:
        setup = reader.experiment()
        path = paths.setdefault(reader.market, MarketPath(setup.name, setup.symbols))
        rows = []
        for row in known:
            if why := _no_result(row):
                left_out[why] += 1
            else:
                rows.append(row)
        for row, walked in zip(rows, trajectories(reader, [row.id for row in rows]), strict=True):
            if validity(walked)["valid"]:
                yield _watched(reader, row, walked, path)
            else:
                left_out["INVALID"] += 1


def _no_result(row: EpisodeRow) -> str:
    if row.parent:
        return "made from others"
    return "" if row.status in DONE else "not ended"


def _watched(reader: Reader, row: EpisodeRow, walked: Trajectory, path: MarketPath) -> Watched:
    setup, panel = reader.experiment(), reader.panel()
    policy = Policy.model_validate(setup.policy)
    labels, tight, known = _groups(reader, row.id, walked, policy.limits, path)
    had = coupling(walked.intent, walked.approved, labels, tight, known)
    (reference,) = reader.vectors("step", "reference", episode=row.id)
    risk = risks(panel, walked.decided.tolist(), walked.intent, reference, policy.reference.lookback)
    query = "SELECT coalesce(rationale, ''), effective_bets FROM step WHERE episode = ? ORDER BY t"
    texts, bets = zip(*reader.db.execute(query, [row.id]).fetchall(), strict=True)
    values = {
        "excess": np.where(np.abs(had.doubled - had.chance) < TOLERANCE, 0.0, had.doubled - had.chance),
        **{name: getattr(had, name) for name in WEIGHTS},
        "clips": _clips(walked),
        "risk": risk.ratio,
        "bets": risk.bets,
        "bets_approved": np.array(bets, dtype=np.float64),
        **_said(texts),
    }
    usable = known & np.array([status in ("ok", "repaired") for status in walked.statuses])
    return Watched(
        setup.id,
        row.id,
        f"{row.agent}, {row.feedback}{setup.noise and f', {setup.noise}'}",
        reader.market,
        walked.decided[usable].astype(np.float64),
        {name: value[usable] for name, value in values.items()},
        walked.intent[usable],
    )


def _groups(
    reader: Reader, episode: str, walked: Trajectory, limits: Limits, path: MarketPath
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.bool_]]:
    """At each decision: the groups on record [K, N], the tightest of them [K], and whether groups were known [K]."""
    rows = reader.db.execute("SELECT t, labels FROM cluster WHERE episode = ?", [episode]).fetchall()
    decided, panel = walked.decided.tolist(), reader.panel()
    labels = in_force(decided, {t: np.asarray(each, dtype=np.int16) for t, each in rows}, len(panel.symbols))
    tight, known = np.full(len(decided), -1, dtype=np.int16), np.zeros(len(decided), dtype=bool)
    path.block = max(path.block, limits.cluster_lookback)
    for t in refreshes(decided, limits):
        k = decided.index(t)
        rho, _ = path.found.setdefault(
            (t, limits.cluster_lookback, limits.cluster_correlation), (_rho(panel, t, limits), labels[k])
        )
        tight[k:], known[k:] = tightest(rho, labels[k]), True
    return labels, tight, known


def _rho(panel: Panel, t: int, limits: Limits) -> Array:
    return trailing_correlation(panel, t, limits.cluster_lookback)


def _clips(walked: Trajectory) -> Array:
    """[K]: how often the rule on coupled groups took something."""
    took = Counter(
        t
        for t, finding in zip(walked.found_at.tolist(), walked.findings, strict=True)
        if finding.rule == "cluster" and finding.severity != "flag"
    )
    return np.array([float(took[t]) for t in walked.decided.tolist()])


def _said(texts: Sequence[str]) -> dict[str, Array]:
    """[K] by what is spoken of."""
    rows = [found or (np.nan,) * len(SAID) for found in map(mentions, texts)]
    return dict(zip(SAID, np.array(rows, dtype=np.float64).T, strict=True))
