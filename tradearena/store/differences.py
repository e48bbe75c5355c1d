"""What differs between the set-ups of two episodes: both as recorded come in, paths and pairs of values go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tradearena.store.rows import EpisodeRow, Experiment

_OUTCOME = ("id", "created_at", "started_at", "finished_at", "status", "error", "root_hash", "seal")
"""What comes of a set-up, or only names it."""


def setup_of(experiment: Experiment, row: EpisodeRow) -> dict[str, Any]:
    """Everything that an episode was set up with, by path: `policy.limits.gross`."""
    whole = {"experiment": asdict(experiment), "episode": asdict(row)}
    kept = {part: {key: value for key, value in said.items() if key not in _OUTCOME} for part, said in whole.items()}
    return _flat({**kept["experiment"], **kept["episode"]})


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two set-ups do not share; None where one of them has no such thing."""
    paths = [*one, *(path for path in other if path not in one)]
    return {path: (one.get(path), other.get(path)) for path in paths if one.get(path) != other.get(path)}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {
        each: leaf for key, inner in value.items() for each, leaf in _flat(inner, f"{path}.{key}".strip(".")).items()
    }
