"""What turns texts into vectors: a `Probe` is given the texts of all trajectories of an experiment, and gives one
matrix for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from tradearena.analysis.signatures.trace import Said
from tradearena.panel import Array

Corpus: TypeAlias = Sequence[Said]
"""[K] what was said at the decisions of one trajectory."""


class Probe(Protocol):
    """Maps texts to vectors.

    Attributes:
        name: unique, with what it depends on: `hash256`, `lsa32`, `transformer:NAME`, `hidden:NAME@LAYER:mean`.
        prompted: does it read the prompts as well?
        common: are the vectors of all trajectories in one space? Not so where it is fitted for each.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def prompted(self) -> bool: ...  # noqa: D102

    @property
    def common(self) -> bool: ...  # noqa: D102

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:
        """[K, d] for each trajectory, float64, a row of zeros where nothing was said; None where it cannot be had (a
        probe that is fitted on others has no others).

        Args:
            corpora: one for each trajectory.
            paths: the market path of each; what is fitted for a trajectory is fitted on other paths, or where there is
                one path only, on the other trajectories of it.
        """
        ...
