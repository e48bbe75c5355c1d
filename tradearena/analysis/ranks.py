"""Places of a ranking, and how far down and up each could be: scores per market window come in; places with intervals
go out.

Who is first of many is mostly luck. So each entry has, beside its place, the best and the worst place that the data do
not rule out: as many entries are ahead of it for certain as are better than it in a paired test, Holm over all its
opponents. With a probability of at least 1 - alpha the true place of that entry is between the two (Mogstad, Romano,
Shaikh & Wilhelm 2024, "Inference for ranks", Review of Economic Studies 91, 476-518, the marginal confidence sets).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tradearena.analysis.contrasts import holm
from tradearena.analysis.signflip import ALPHA, fewest, sign_flip
from tradearena.panel import Array


class Place(NamedTuple):
    """The place of one entry, 1 the best; the best and the worst that the data do not rule out; its mean score over n
    windows. `conclusive`: could any difference, however clear, have passed with so many windows and opponents?"""

    entry: str
    place: int
    best: int
    worst: int
    score: float
    n: int
    conclusive: bool


def places(scores: Mapping[str, Array], *, alpha: float = ALPHA) -> list[Place]:
    """The entries in order of their mean score, the highest first; ties in order of name.

    Args:
        scores: of each entry [n], one for each market window, the same windows for all.
        alpha: of each entry's interval.

    Raises:
        ValueError: scores are not of the same windows, or not finite.
    """
    table = {entry: np.asarray(held, dtype=np.float64) for entry, held in scores.items()}
    if len({held.shape for held in table.values()}) > 1 or not all(np.isfinite(held).all() for held in table.values()):
        raise ValueError("each entry has one finite score for each window, and all have the same windows")
    order = sorted(table, key=lambda entry: (-_mean(table[entry]), entry))
    return [_place(entry, number, table, alpha) for number, entry in enumerate(order, start=1)]


def _place(entry: str, number: int, table: Mapping[str, Array], alpha: float) -> Place:
    own, others = table[entry], [held for name, held in table.items() if name != entry]
    effects = [sign_flip(own - held, alpha=alpha) for held in others]
    adjusted = holm([effect.p for effect in effects])
    clear = [effect.mean for effect, p in zip(effects, adjusted, strict=True) if p is not None and p <= alpha]
    ahead, behind = (
        sum(mean is not None and mean < 0 for mean in clear),
        sum(mean is not None and mean > 0 for mean in clear),
    )
    conclusive = len(own) >= fewest(alpha, max(len(others), 1))
    return Place(entry, number, 1 + ahead, len(table) - behind, _mean(own), len(own), conclusive)


def _mean(scores: Array) -> float:
    return float(scores.mean()) if len(scores) else 0.0
