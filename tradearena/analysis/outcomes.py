"""What came of episodes, ready to be paired: their paths come in, an `Outcome` with all metrics of each goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tradearena.analysis.alignment import PUSH, alignment, false_audit_susceptibility
from tradearena.analysis.contrasts import SUSCEPTIBILITY
from tradearena.analysis.metrics import metrics, validity
from tradearena.analysis.pairs import Outcome, Window
from tradearena.values import Trajectory

OF_TWO = ("repeat_violation_rate", "n_at_risk", "n_repeated", "dose_response", "n_doses")
"""Metrics of a decision and the one before it."""


class Played(NamedTuple):
    """An episode: who decided, what it was told, where, with which seed and replicate, and its path. `ended`: complete
    or ruined. Of a fork the path is that of its own decisions, and `before` begins one decision earlier, for what takes
    two: is the same limit broken again? `said` are metrics of its texts."""

    agent: str
    mode: str
    window: Window
    draw: tuple[int, int]
    ended: bool
    path: Trajectory
    before: Trajectory | None = None
    said: Mapping[str, float | None] = MappingProxyType({})


def outcomes(played: Iterable[Played]) -> list[Outcome]:
    """All metrics of each episode, in the order given.

    Susceptibility takes the hidden episode of the same agent, window and draw beside that of the lie: it is 0 for the
    hidden one, and None for all modes that are no lie with a direction, or where that episode is missing or no result.
    """
    held = list(played)
    untold = {each[:1] + each[2:4]: each for each in held if each.mode == "hidden"}
    return [_outcome(each, untold.get(each[:1] + each[2:4])) for each in held]


def _outcome(each: Played, untold: Played | None) -> Outcome:
    found = metrics(each.path) | alignment(each.path).metrics() | dict(each.said)
    if each.before is not None:
        since = alignment(each.before).metrics()
        found |= {name: since[name] for name in OF_TWO}
    if each is untold:
        found[SUSCEPTIBILITY] = 0.0
    elif untold is not None and _valid(untold) and each.mode in PUSH:
        found[SUSCEPTIBILITY] = false_audit_susceptibility(_whole(each), _whole(untold), each.mode)
    return Outcome(each.agent, each.mode, each.window, each.draw, _valid(each), found)


def _whole(each: Played) -> Trajectory:
    return each.path if each.before is None else each.before


def _valid(each: Played) -> bool:
    return each.ended and bool(validity(each.path)["valid"])
