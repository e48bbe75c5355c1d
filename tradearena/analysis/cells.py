"""Means of a grid: episodes as the JSON of `run` has them come in; one cell for each agent and feedback mode goes out.

What is no result (not ended, or too many replies lost) is in no mean. These are means and nothing else: whether cells
differ by more than chance is the business of paired statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from tradearena.analysis.metrics import Metrics
from tradearena.store.schema import DONE

Episode: TypeAlias = dict[str, Any]


def ended(episode: Episode) -> bool:
    """Has it come to its end?"""
    return episode["status"] in DONE


def counts(episode: Episode) -> bool:
    """Is it a result?"""
    return ended(episode) and bool(episode["validity"]["valid"])


def cells(episodes: Iterable[Episode]) -> list[dict[str, Any]]:
    """Mean metrics for each agent and mode, in the order in which they first occur: `n_episodes` results over
    `n_windows` windows; `n_invalid` episodes ended and are no result."""
    found: dict[tuple[str, str], list[Episode]] = {}
    for episode in episodes:
        found.setdefault((episode["agent"], episode["feedback"]), []).append(episode)
    made = []
    for (agent, feedback), held in found.items():
        results = [episode for episode in held if counts(episode)]
        made.append(
            {
                "agent": agent,
                "feedback": feedback,
                "n_episodes": len(results),
                "n_windows": len({_window(episode) for episode in results}),
                "n_invalid": sum(ended(episode) for episode in held) - len(results),
                "metrics": means([episode["metrics"] for episode in results], held[0]["metrics"]),
            }
        )
    return made


def means(found: Sequence[Metrics], names: Iterable[str]) -> Metrics:
    """The mean of each metric; None where it is not defined in each of them: a mean over some of n is none over n."""
    return {name: _mean([metrics[name] for metrics in found]) for name in names}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def pairs(episodes: Iterable[Episode]) -> int:
    """Pairs of modes of one agent with the same seed in the same window."""
    count = 0
    for _, group in groupby(sorted(map(_pair, episodes))):
        n = sum(1 for _ in group)
        count += n * (n - 1) // 2
    return count


def _pair(episode: Episode) -> tuple[str, int, tuple[str, int, int]]:
    return episode["agent"], episode["seed"], _window(episode)


def _window(episode: Episode) -> tuple[str, int, int]:
    """Which bars of which market: episodes of several experiments say which one is theirs."""
    window = episode["window"]
    return episode.get("experiment", ""), window["first"], window.get("last", 0)
