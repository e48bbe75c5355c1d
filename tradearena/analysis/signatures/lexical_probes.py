"""Probes that count words: texts come in, vectors of length one go out; of a text without a word, zeros.

`hash` is the same for every text whatever else there is. `lsa` knows which words go together, and learns it from other
trajectories than the one it is asked about: fitted on that one too, its axes would bend towards what is to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.analysis.signatures.probe import Corpus
from tradearena.analysis.signatures.words import words
from tradearena.panel import Array

MOST = 2_000
"""Texts that a fit looks at, evenly taken from all that may be."""

_RANK = 1e-6
"""A singular value below this share of the largest is none: ARPACK finds them as roots of eigenvalues, so of a zero it
leaves 1e-8, with an axis that means nothing."""

_SEEN = 1e-9
"""Length of a projection below which it is rounding: the row that is projected has length one."""


@dataclass(frozen=True, slots=True)
class HashProbe:
    """Signed feature hashing (Weinberger, Dasgupta, Langford, Smola & Attenberg 2009, "Feature hashing for large scale
    multitask learning", ICML).

    Each occurrence of a word adds its sign to its bucket: h is MurmurHash3 (32 bits, signed, seed 0) of the word in
    UTF-8, the bucket |h| mod `size`, the sign that of h (+ at zero). Rows are divided by their Euclidean length.

    Attributes:
        size: dimension of the vectors.
    """

    size: int = 256
    prompted: ClassVar[bool] = False
    common: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """With its dimension: `hash256`."""
        return f"hash{self.size}"

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:  # noqa: ARG002
        """[K, size] for each trajectory; the paths make no difference."""
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(n_features=self.size, analyzer=words, norm="l2", alternate_sign=True)
        spoken = [said.text for said in chain.from_iterable(corpora)]
        rows: Array = hashing.transform(spoken).toarray() if spoken else np.zeros((0, self.size))
        ends = np.cumsum([len(corpus) for corpus in corpora])
        return [rows[end - len(corpus) : end] for end, corpus in zip(ends, corpora, strict=True)]


@dataclass(frozen=True, slots=True)
class LsaProbe:
    """Latent semantic analysis (Deerwester, Dumais, Furnas, Landauer & Harshman 1990, "Indexing by latent semantic
    analysis", JASIS 41): TF-IDF, and of that a truncated singular value decomposition, not centred.

    Of words that are in at least two of the texts fitted on: (1 + ln tf) * (1 + ln((1 + N) / (1 + df))), rows of length
    one, projected on the first `size` right singular vectors, rows of length one again. A vector's sign is that which
    makes its largest entry positive. Where the texts fitted on have fewer dimensions, the last columns are zeros.

    Attributes:
        size: dimension of the vectors.
    """

    size: int = 32
    prompted: ClassVar[bool] = False
    common: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its dimension: `lsa32`."""
        return f"lsa{self.size}"

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:
        """[K, size] for each trajectory, fitted on the trajectories of all other paths; where all are of one path, on
        the other ones of it. None where there are no others, or no more than `size` texts or words among them."""
        from sklearn.feature_extraction.text import CountVectorizer

        spoken = list(chain.from_iterable(corpora))
        try:
            counts = CountVectorizer(analyzer=words).fit_transform(said.text for said in spoken)
        except ValueError:  # not a word in all of them
            return [None] * len(corpora)
        owner = np.repeat(np.arange(len(corpora)), [len(corpus) for corpus in corpora])
        fits = _fits(paths)
        axes = {others: self._axes(counts[np.isin(owner, others)]) for others in dict.fromkeys(fits)}
        return [_placed(counts[owner == i], axes[others]) for i, others in enumerate(fits)]

    def _axes(self, counts: Any) -> tuple[Any, Array] | None:
        """Weights of the words, and [words, size] what each adds to a vector; None where there is too little."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = counts[counts.getnnz(axis=1) > 0]
        if counts.shape[0] > MOST:
            counts = counts[np.linspace(0, counts.shape[0] - 1, MOST).astype(int)]
        known = np.flatnonzero(counts.getnnz(axis=0) >= 2)
        if min(counts.shape[0], len(known)) <= self.size:
            return None
        weights = TfidfTransformer(sublinear_tf=True).fit(counts[:, known])
        svd = TruncatedSVD(self.size, algorithm="arpack", random_state=0)
        with threadpool_limits(limits=1, user_api="blas"):  # sums in one order
            svd.fit(weights.transform(counts[:, known]))
        sound = svd.singular_values_ > _RANK * svd.singular_values_[0]
        return (known, weights), (svd.components_ * sound[:, None]).T


def _fits(paths: Sequence[object]) -> list[tuple[int, ...]]:
    """For each trajectory, those it may be judged by."""
    several = any(path != paths[0] for path in paths)
    everyone = range(len(paths))
    return [tuple(j for j in everyone if (paths[j] != path if several else j != i)) for i, path in enumerate(paths)]


def _placed(counts: Any, axes: tuple[Any, Array] | None) -> Array | None:
    """[K, size]."""
    if axes is None:
        return None
    (known, weights), basis = axes
    if not counts.shape[0]:
        return np.zeros((0, basis.shape[1]))
    found: Array = weights.transform(counts[:, known]) @ basis
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    rows: Array = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > _SEEN)
    return rows
