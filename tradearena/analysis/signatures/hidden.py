"""Texts come in, what goes on in a language model while it reads them goes out: the white box.

`HiddenProbe` has any causal model read what an agent was asked and what it said; `StatesProbe` takes what an agent
that ran in this process (`--agent local:PATH`) put on record of itself while it wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tradearena.agents.causal import Causal, Pool, Precision, opened
from tradearena.agents.checkpoint import depth_of, located
from tradearena.agents.layers import layer_of
from tradearena.analysis.signatures.probe import Corpus
from tradearena.errors import UsageError
from tradearena.panel import Array


class HiddenProbe:
    """A causal model reads prompt and text; its states in one layer are pooled over the tokens of the text.

    Attributes:
        name: `hidden:MODEL@LAYER:POOL`, the layer counted from 0.
        identity: what a vector depends on beside prompt and text: a SHA-256 of the model's files, layer, pool and
            precision.
        seen, cut: how many texts were read so far, and how many of them without their beginning: they did not fit into
            the model's context.
    """

    prompted = True
    common = True

    def __init__(
        self,
        path: str,
        layer: int | None = None,
        pool: Pool = "mean",
        device: str | None = None,
        precision: Precision = "float32",
    ) -> None:
        """`path` of a folder, or `organisation/name` on the hub; `layer` as in `agents.layers`, by default the middle;
        `device` as torch has it, by default a GPU if there is one.

        Raises:
            UsageError: there is no such model or layer, the model lacks something, or the extra is not installed.
        """
        self._checkpoint, self._device, self._precision, self.pool = located(path), device, precision, pool
        self.layer = layer_of(layer, depth_of(self._checkpoint), self._checkpoint.name)
        self.name = f"hidden:{self._checkpoint.name}@{self.layer}:{pool}"
        whole = (self._checkpoint.sha256, str(self.layer), pool, precision)
        self.identity = f"hidden {hashlib.sha256(chr(0).join(whole).encode()).hexdigest()}"
        self.seen = self.cut = 0

    @cached_property
    def model(self) -> Causal:
        """The model in memory."""
        return opened(self._checkpoint, self._device, self._precision)

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:  # noqa: ARG002
        """[K, H] for each trajectory; it is fitted on none of them."""
        said = [(each.prompt, each.text) for corpus in corpora for each in corpus]
        found = self.model.read(said, self.layer, self.pool)
        self.seen, self.cut = self.seen + len(said), self.cut + found.cut
        ends = np.cumsum([len(corpus) for corpus in corpora])
        return list(np.split(found.vectors, ends[:-1])) if corpora else []


class StatesProbe:
    """What an agent that ran in the process of the run put on record of itself: no text is read, and nothing need be
    kept beside the record.

    Attributes:
        name: `states@LAYER:POOL`; -1 is the deepest layer on record.
    """

    prompted = False
    common = True

    def __init__(self, layer: int = -1, pool: Pool = "mean") -> None:
        self.layer, self.pool = layer, pool
        self.name = f"states@{layer}:{pool}"

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:  # noqa: ARG002
        """[K, H] for each trajectory, a row of zeros where nothing was written; None where nothing is on record: its
        agent ran elsewhere, or these are not the words it wrote itself.

        Raises:
            UsageError: other layers are on record.
        """
        return [self._own(corpus) for corpus in corpora]

    def _own(self, corpus: Corpus) -> Array | None:
        known = sorted({(state.layer, state.pool) for said in corpus for state in said.states})
        if not known:
            return None
        layer = known[-1][0] if self.layer == -1 else self.layer
        if (layer, self.pool) not in known:
            there = ", ".join(f"states@{layer}:{pool}" for layer, pool in known)
            raise UsageError(f"{self.name}: is not on record; there are {there}")
        found = [
            next((state.array for state in said.states if (state.layer, state.pool) == (layer, self.pool)), None)
            for said in corpus
        ]
        width = next(len(each) for each in found if each is not None)
        return np.array([np.zeros(width) if each is None else each for each in found])
