"""Rows of an experiment file as values: the set-up, an episode, the decisions to resume from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tradearena.store.schema import CLIPS
from tradearena.values import Decision, Exchange


class Recorded(NamedTuple):
    """The decisions on file of one episode, in order, and the hash of each step. Of the decision after them, which was
    not reached: how many requests were `made` for it, and the exchanges that were `open`."""

    decisions: list[Decision]
    hashes: list[bytes]
    made: int = 0
    open: tuple[Exchange, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """The set-up of a file, as recorded."""

    id: str
    name: str
    created_at: str
    engine: int
    dataset: dict[str, Any]
    dataset_digest: str
    warnings: list[str]
    policy: dict[str, Any]
    policy_digest: str
    window: str
    symbols: tuple[str, ...]
    sectors: tuple[str, ...]
    bars_per_year: float

    @property
    def noise(self) -> str:
        """What noise is on the bars, in two words; "" where there is none."""
        match self.dataset:
            case {"noise": {"size": float(size), "unit": unit, "seed": int(seed)}}:
                return f"noise {size:g}{'bp' * (unit == 'bp')}" + f":{seed}" * bool(seed)
        return ""


@dataclass(frozen=True)
class EpisodeRow:
    """One episode, as recorded; `parent` is whatever JSON a file has there."""

    id: str
    agent: str
    card: dict[str, Any]
    agent_digest: str
    feedback: str
    wording: str
    seed: int
    replicate: int
    first: int
    last: int
    every: int
    parent: Any
    manifest: dict[str, Any]
    started_at: str
    finished_at: str | None
    status: str
    error: str | None
    root_hash: str | None
    seal: str | None

    @property
    def clipped(self) -> bool:
        """Was what each rule took put on record from its first step on? Of one that was begun by an earlier version it
        was not."""
        return int(self.manifest.get("schema", 1)) >= CLIPS
