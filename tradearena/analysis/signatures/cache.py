"""A probe that is dear and an experiment's file come in; the same probe, which computes no vector twice, goes out.

A file is untrusted, and no seal speaks of what was computed from it: of the vectors that are taken from it some are
computed again each time, and nobody who changed it could know which.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tradearena.analysis.signatures.probe import Corpus, Probe
from tradearena.analysis.signatures.trace import Said
from tradearena.errors import StoreError
from tradearena.panel import Array
from tradearena.store import embeddings

TRIED = 8
"""Vectors of those on file that are computed again. Where a share f was changed, (1 - f)^8 is the chance not to see."""

NEAR = 1e-3
"""Distance, as a share of its length, up to which a vector is the same: the other texts of a batch, the processor and
the versions of libraries change its last digits."""

TOGETHER = 1_024
"""Texts after which what was computed is put on file: what a run that is broken off loses."""


@runtime_checkable
class Dear(Probe, Protocol):
    """A probe whose vectors of a text depend on nothing but that, and on what its `identity` says: never on other texts
    or on the path. Where it computes in less than single precision it has a `near` of its own, in place of `NEAR`."""

    @property
    def identity(self) -> str: ...  # noqa: D102


def cached(
    probe: Probe, path: Path, *, fresh: bool = False, warn: Callable[[str], None] = lambda _sentence: None
) -> Probe:
    """The probe with its vectors in this file where they are dear, else the probe itself. See `Cached`."""
    return Cached(probe, path, fresh=fresh, warn=warn) if isinstance(probe, Dear) else probe


class Cached:
    """A dear probe that keeps its vectors in an experiment's file, and takes them from there.

    They come in single precision, whether they were kept or are new. While it works the file must not be open
    elsewhere in this process. Where it cannot be written, as during a run, nothing is kept, and `warn` is told so.
    """

    def __init__(
        self,
        probe: Dear,
        path: Path,
        *,
        fresh: bool = False,
        warn: Callable[[str], None] = lambda _sentence: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`fresh`: take nothing from the file, and put what is computed in the place of what is there."""
        self.probe, self.path, self._anew, self._warn, self._now = probe, path, fresh, warn, now
        self._near, self._keeps = float(getattr(probe, "near", NEAR)), True
        self.name, self.prompted, self.common = probe.name, probe.prompted, probe.common

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:
        """[K, d] for each trajectory.

        Raises:
            StoreError: the file cannot be read.
        """
        asked = {self._key(said): said for said in chain.from_iterable(corpora) if said.text.strip()}
        if not asked:
            return self.probe.embed(corpora, paths)
        known = {} if self._anew else self._known(asked)
        known |= self._computed({key: said for key, said in asked.items() if key not in known})
        nothing = np.zeros_like(next(iter(known.values())))
        rows = ([known.get(self._key(said), nothing) for said in corpus] for corpus in corpora)
        return [np.array(each, dtype=np.float64).reshape(len(each), len(nothing)) for each in rows]

    def _key(self, said: Said) -> bytes:
        text = hashlib.sha256(said.text.encode()).digest()
        if not self.prompted:
            return text
        return hashlib.sha256(hashlib.sha256(said.prompt.encode()).digest() + text).digest()

    def _known(self, asked: dict[bytes, Said]) -> dict[bytes, NDArray[np.float32]]:
        """What the file has of it, if it is what the probe gives; else all of it is to be computed anew."""
        found = embeddings.kept(self.path, self.probe.identity)
        held = {key: row for key, row in zip(*(found or ((), ())), strict=True) if key in asked}
        if found is not None and not held:
            return {}
        tried = random.SystemRandom().sample(sorted(held), min(TRIED, len(held)))
        again = self._embedded([asked[key] for key in tried]) if tried else ()
        differ = sum(not _same(held[key], row, self._near) for key, row in zip(tried, again, strict=True))
        if held and not differ:
            return held
        said = f"{differ} of {len(tried)} that were tried differ" if held else "they cannot be read"
        self._warn(f"{self.path}: vectors of {self.name} on file are not what it gives ({said}); all are made anew")
        self._anew = True
        return {}

    def _computed(self, asked: dict[bytes, Said]) -> dict[bytes, NDArray[np.float32]]:
        """Vectors of these texts, which are then on file."""
        made: dict[bytes, NDArray[np.float32]] = {}
        keys = list(asked)
        for begin in range(0, len(keys), TOGETHER):
            part = keys[begin : begin + TOGETHER]
            rows = self._embedded([asked[key] for key in part])
            made |= zip(part, rows, strict=True)
            if self._keeps:
                self._keep(part, rows)
        return made

    def _keep(self, keys: list[bytes], rows: NDArray[np.float32]) -> None:
        try:
            embeddings.keep(self.path, self.probe.identity, keys, rows, self._now(), anew=self._anew)
        except StoreError as error:
            self._keeps, (why, *_) = False, str(error).split(";")
            self._warn(f"vectors of {self.name} are not kept for the next time: {why}")
        else:
            self._anew = False

    def _embedded(self, said: list[Said]) -> NDArray[np.float32]:
        """[n, d]."""
        (rows,) = self.probe.embed([said], [None])
        if rows is None:
            raise ValueError(f"{self.name} depends on other texts, and cannot be cached")
        return rows.astype(np.float32)


def _same(kept: NDArray[np.float32], again: NDArray[np.float32], near: float) -> bool:
    return kept.shape == again.shape and bool(np.linalg.norm(kept - again) <= near * np.linalg.norm(again))
