"""Named stretches of days in which markets were under stress: a card, a room or an invented tape comes in; the first
and last day of each scene go out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import Field

from tradearena import cards, rooms
from tradearena.market.card import DatasetCard, Scene, Scenes
from tradearena.market.synthetic import Tape

FILE = "scenes.toml"
"""In the room `market_data`: scenes of real markets, by their days."""

FALLS, SHORTEST = 3, 10
"""So many falls of an invented market are named, each of so many bars at least."""


class SceneFile(cards.Card):
    """`[scenes]` of a room, as in a dataset's card."""

    scenes: Scenes = Field(default_factory=dict)


def scenes_of(card: DatasetCard, home: Path | None = None) -> dict[str, Scene]:
    """Scenes that can be asked for by name: those of the dataset's card, or where it has no table of them those of the
    rooms, of which the nearest wins.

    Raises:
        CardError: a file of scenes that cannot be read.
    """
    if card.scenes is not None:
        return card.scenes
    found: dict[str, Scene] = {}
    for room in rooms.places("market_data", home):
        if (room / FILE).is_file():
            found = {**cards.read(room / FILE, SceneFile).scenes, **found}
    return found


def invented_scenes(tape: Tape) -> dict[str, Scene]:
    """Scenes of an invented market, on the exchange's clock, each from the last bar before a fall to its last bar.

    Planted ones are `stress-1` and so on, in the order of time. Where none is planted the deepest falls of the
    equal-weighted market, from peak to trough, are `fall-1` and so on, the deepest first: chosen after the fact, as
    those of real markets are.
    """
    design = tape.design
    planted = [(first - 1, first + design.scene - 1) for first in design.stress]
    kind, found = ("stress", planted) if planted else ("fall", _falls(tape)[:FALLS])
    days = np.datetime_as_string(tape.start, unit="D").tolist()
    return {f"{kind}-{k}": (days[first], days[last]) for k, (first, last) in enumerate(found, start=1)}


def _falls(tape: Tape) -> list[tuple[int, int]]:
    """Peaks of the equal-weighted market, bought once and held, and the lowest bar before each is reached again; the
    deepest first."""
    level = (tape.close / tape.close[0]).mean(axis=1)
    depth = level / np.maximum.accumulate(level) - 1
    peaks = [*np.flatnonzero(depth == 0).tolist(), len(level)]
    troughs = (first + int(depth[first:after].argmin()) for first, after in pairwise(peaks))
    falls = [(first, last) for first, last in zip(peaks, troughs, strict=False) if last - first + 1 >= SHORTEST]
    return sorted(falls, key=lambda fall: depth[fall[1]])
