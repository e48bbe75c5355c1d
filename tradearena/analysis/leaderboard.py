"""A ranking of agents on one protocol: the episodes of a file come in; a standing of each agent and feedback mode goes
out, with how far its place is settled and how much of its Sharpe ratio luck would explain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tradearena.analysis import sharpe
from tradearena.analysis.metrics import validity
from tradearena.analysis.names import told_apart
from tradearena.analysis.ranks import Place, places
from tradearena.panel import Array
from tradearena.portfolio import performance
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import DONE
from tradearena.store.trajectories import trajectories
from tradearena.values import Trajectory


class Standing(NamedTuple):
    """One agent in one feedback mode.

    Attributes:
        place: in the ranking; None where an episode is no result.
        sharpe, interval: a year, of all bars of all windows (seeds averaged bar by bar); None where returns do not
            vary.
        deflated: Bailey & López de Prado (2014), with all entries as the trials.
        total_return: mean over windows and seeds.
        root: SHA-256 over the root hashes of its episodes: two who ran the same have the same.
    """

    agent: str
    mode: str
    place: Place | None
    sharpe: float | None
    interval: tuple[float, float] | None
    deflated: float | None
    total_return: float | None
    root: str


class _Entry(NamedTuple):
    """Per window, in order: the mean score and return over seeds, and the mean return of each bar, a ruined seed's
    being 0 from then on."""

    scores: Array
    gains: Array
    returns: Array
    root: str
    valid: bool


def standings(reader: Reader, episodes: Sequence[str]) -> list[Standing]:
    """The ranking, the first place first; those that are no result at the end.

    The score is the Sharpe ratio of a window, 0 where nothing moved (cash), averaged over seeds; places are by its mean
    over windows, which is what their intervals are of too.
    """
    rows = {row.id: row for row in reader.episodes()}
    (chosen,) = told_apart([(reader.experiment(), [rows[name] for name in episodes if name in rows])])
    held: dict[tuple[str, str], dict[int, list[tuple[EpisodeRow, Trajectory]]]] = {}
    for row, path in zip(chosen, trajectories(reader, [row.id for row in chosen]), strict=True):
        held.setdefault((row.agent, row.feedback), {}).setdefault(row.first, []).append((row, path))
    found = {name: _entry(windows) for name, windows in held.items()}
    whole = max((len(entry.scores) for entry in found.values()), default=0)
    ranked = {name: entry for name, entry in found.items() if entry.valid and len(entry.scores) == whole}
    by_label = {" ".join(name): name for name in ranked}
    year = reader.experiment().bars_per_year
    measured = {name: sharpe.measured(entry.returns) for name, entry in ranked.items()}
    tried = [each.ratio for each in measured.values() if each is not None]
    made = [
        _standing(
            by_label[place.entry], place, found[by_label[place.entry]], measured[by_label[place.entry]], tried, year
        )
        for place in places({label: ranked[name].scores for label, name in by_label.items()})
    ]
    lost = [name for name in found if name not in ranked]
    return made + [Standing(*name, None, None, None, None, None, found[name].root) for name in lost]


def _returns(path: Trajectory, bars: int) -> Array:
    """Return of each bar after the first; 0 after a ruin, which leaves nothing that could earn or lose."""
    return np.pad(path.nav[1:] / path.nav[:-1] - 1.0, (0, bars - len(path.nav)))


def _standing(
    name: tuple[str, str], place: Place, entry: _Entry, found: sharpe.Sharpe | None, tried: list[float], year: float
) -> Standing:
    gain = float(entry.gains.mean())
    if found is None:
        return Standing(*name, place, None, None, None, gain, entry.root)
    low, high = (end * year**0.5 for end in sharpe.interval(found))
    return Standing(*name, place, found.ratio * year**0.5, (low, high), sharpe.deflated(found, tried), gain, entry.root)


def _entry(windows: dict[int, list[tuple[EpisodeRow, Trajectory]]]) -> _Entry:
    """One agent in one mode: its episodes by window."""
    scores, gains, returns, link, valid = [], [], [], hashlib.sha256(), True
    for _, each in sorted(windows.items()):
        valid &= all(row.status in DONE and bool(validity(path)["valid"]) for row, path in each)
        scores.append(np.mean([performance.sharpe(path.nav, path.bars_per_year) or 0.0 for _, path in each]))
        gains.append(np.mean([performance.total_return(path.nav) or 0.0 for _, path in each]))
        longest = max(len(path.nav) for _, path in each)
        returns.append(np.mean([_returns(path, longest) for _, path in each], axis=0))
        for row, _ in each:
            link.update((row.root_hash or "none").encode())
    flat = np.concatenate(returns) if returns else np.zeros(0)
    return _Entry(np.array(scores), np.array(gains), flat, link.hexdigest(), valid)
