"""What the words of a text say without their meaning: a text comes in; its length, and how rich its words are whatever
its length, go out. As a probe it runs through the same study: a signature that these four numbers have as well needs no
embedding.

Sources: McCarthy, P., Jarvis, S. (2007), "vocd: a theoretical and empirical evaluation", Language Testing 24, 459-488
(the type-token ratio expected of a sample of stated size); McCarthy, P., Jarvis, S. (2010), "MTLD, vocd-D, and HD-D",
Behavior Research Methods 42, 381-392; Miller, G. (1955), "Note on the bias of information estimates".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tradearena.analysis.signatures.probe import Corpus
from tradearena.analysis.signatures.views import standardised
from tradearena.analysis.signatures.words import words
from tradearena.panel import Array

NAMES = ("length", "type_token_ratio", "mtld", "entropy")
"""Of a text: log(1 + words); the rest in the order of the functions below, MTLD as its log."""

DRAWN = 20
"""Words of the sample that a type-token ratio is expected of."""

FACTOR = 0.72
"""Type-token ratio below which a stretch of MTLD ends."""


def type_token_ratio(found: Sequence[str], drawn: int = DRAWN) -> float:
    """Share of distinct words to be expected in a draw of `drawn` of them, without replacement; of all, where they are
    fewer: in [0, 1], 0 without a word.

        sum over distinct words of (1 - C(N - f, n) / C(N, n)) / n,    f how often a word is there
    """
    total = len(found)
    n = min(drawn, total)
    if not n:
        return 0.0
    missed = {f: _choose(total - f, n) - _choose(total, n) for f in set(Counter(found).values())}
    return sum(1.0 - math.exp(missed[f]) for f in Counter(found).values()) / n


def mtld(found: Sequence[str], factor: float = FACTOR) -> float:
    """Mean length of stretches in which the type-token ratio stays above `factor`, of both directions; what is left at
    the end counts in part. 0 without a word; a text that repeats none has all its words in one stretch."""
    return (_stretch(found, factor) + _stretch(found[::-1], factor)) / 2


def entropy(found: Sequence[str]) -> float:
    """Of the words, in bits, with Miller's correction for the number of them: H + (V - 1) / (2 N ln 2)."""
    total = len(found)
    if not total:
        return 0.0
    counts = Counter(found).values()
    plain = -sum(count / total * math.log2(count / total) for count in counts)
    return plain + (len(counts) - 1) / (2 * total * math.log(2))


def lexical(text: str) -> tuple[float, float, float, float]:
    """The four, in the order of `NAMES`; zeros without a word."""
    found = words(text)
    if not found:
        return 0.0, 0.0, 0.0, 0.0
    return math.log1p(len(found)), type_token_ratio(found), math.log1p(mtld(found)), entropy(found)


@dataclass(frozen=True, slots=True)
class LexicalProbe:
    """The four numbers of each text as a vector, each at mean 0 and standard deviation 1 over what a trajectory says;
    zeros where nothing was said."""

    name: ClassVar[str] = "lexical"
    prompted: ClassVar[bool] = False
    common: ClassVar[bool] = True

    def embed(self, corpora: Sequence[Corpus], paths: Sequence[object]) -> list[Array | None]:  # noqa: ARG002
        """[K, 4] for each trajectory; nothing is fitted."""
        return [_placed(corpus) for corpus in corpora]


def _placed(corpus: Corpus) -> Array:
    rows = np.array([lexical(said.text) for said in corpus]).reshape(-1, len(NAMES))
    spoken = rows.any(axis=1)
    if spoken.any():
        rows[spoken] = standardised(rows[spoken])
    return rows


def _choose(n: int, k: int) -> float:
    """Log of the binomial coefficient; -inf where there is none."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf


def _stretch(found: Sequence[str], factor: float) -> float:
    """MTLD in one direction."""
    stretches, seen, begin, ratio = 0.0, set[str](), 0, 1.0
    for place, word in enumerate(found):
        seen.add(word)
        ratio = len(seen) / (place - begin + 1)
        if ratio <= factor:
            stretches, seen, begin, ratio = stretches + 1.0, set(), place + 1, 1.0
    stretches += (1.0 - ratio) / (1.0 - factor)
    return len(found) / stretches if stretches else float(len(found))
