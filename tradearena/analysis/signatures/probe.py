"""What turns texts into vectors: a `Probe` is given the texts of all trajectories of an experiment, and gives one
matrix for each. The name of one comes in, as users type it, and the probe goes out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from tradearena.analysis.signatures.trace import Said
from tradearena.errors import UsageError
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


PROBES = (
    "hash[SIZE]",
    "lsa[SIZE]",
    "lexical",
    "transformer:MODEL",
    "hidden:PATH[@LAYER][:mean|last]",
    "states[@LAYER][:mean|last]",
)
"""The names of probes. SIZE is a dimension, 256 and 32 where none is stated; MODEL a folder, or a name on the hub."""

SIZES = range(2, 65_537)
"""Dimensions that may be asked for."""


def probe_of(name: str) -> Probe:
    """The probe of this name: `hash`, `hash512`, `lsa`, `lsa64`, `lexical`, `transformer:MODEL`,
    `hidden:PATH@LAYER:last`, `states@LAYER`.

    Raises:
        UsageError: there is no such probe, or what it takes is not there: a library, a model.
    """
    if name == "lexical":
        from tradearena.analysis.signatures.lexical import LexicalProbe

        return LexicalProbe()
    kind, _, model = name.partition(":")
    if own := re.fullmatch(r"states(?:@(-?[0-9]{1,4}))?(?::(mean|last))?", name):
        from tradearena.analysis.signatures.hidden import StatesProbe

        return StatesProbe(int(own[1] or -1), "last" if own[2] == "last" else "mean")
    if model and kind == "transformer":
        from tradearena.analysis.signatures.transformer import TransformerProbe

        return TransformerProbe(model)
    if model and kind == "hidden":
        return _hidden(model)
    counted = re.fullmatch(r"(hash|lsa)([1-9][0-9]{0,5})?", name)
    if counted is None:
        raise UsageError(f"no probe named '{name}'; there are {', '.join(PROBES)}")
    return _counting(*counted.groups())


def _counting(kind: str, stated: str | None) -> Probe:
    from tradearena.analysis.signatures.lexical_probes import HashProbe, LsaProbe

    if stated is not None and int(stated) not in SIZES:
        raise UsageError(f"probe '{kind}{stated}': a dimension is from {SIZES[0]} to {SIZES[-1]}")
    probe = HashProbe if kind == "hash" else LsaProbe
    return probe(int(stated)) if stated else probe()


def _hidden(said: str) -> Probe:
    from tradearena.analysis.signatures.hidden import HiddenProbe

    return HiddenProbe(*layer_of(said))


def layer_of(said: str) -> tuple[str, int | None, Literal["mean", "last"]]:
    """Path, layer and pooling of `PATH[@LAYER][:mean|last]`; a path may hold both signs itself."""
    path, _, pool = said.rpartition(":")
    if not path or pool not in ("mean", "last"):
        path, pool = said, "mean"
    before, at, layer = path.rpartition("@")
    stated = before and at and re.fullmatch(r"-?[0-9]{1,4}", layer)
    return before if stated else path, int(layer) if stated else None, "last" if pool == "last" else "mean"
