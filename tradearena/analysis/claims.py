"""What a rationale says that can be checked: texts, weights and accounts come in; the share that is true goes out, and
the share of the texts that say anything checkable.

The rules are lexical, English, and few enough to be read here. They would rather find nothing than guess: a clause that
denies, supposes or remembers is passed over, and so is one that says two things at once. What they find is meant to be
right; how much they find is `coverage`, and a rate without it means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from tradearena.panel import Array, Mask
from tradearena.values import TOLERANCE

ACTIONS = {
    "up": r"buy(?:ing)?|add(?:ing)?|increas(?:e|ing)|rais(?:e|ing)|accumulat(?:e|ing)|initiat(?:e|ing)|top(?:ping)? up"
    r"|(?:is|are|being) (?:bought|added)",
    "down": r"sell(?:ing)?|trim(?:ming)?|reduc(?:e|ing)|exit(?:ing)?|liquidat(?:e|ing)|unwind(?:ing)?|cut(?:ting)?"
    r"|clos(?:e|ing) out|(?:is|are|being) (?:sold|trimmed|liquidated)",
    "same": r"maintain(?:ing)?|unchanged|no changes?|leav(?:e|ing) alone",
    "held": r"hold(?:ing)?|keep(?:ing)?",
    "over": r"overweight(?:ing)?",
    "under": r"underweight(?:ing)?",
}
"""What is said of a symbol. Only forms that speak of now: "increased" and "dropped" are as often said of prices."""

CLASHES = (("up", "down"), ("up", "same"), ("down", "same"), ("over", "under"))
"""What cannot both be meant of one symbol: then neither counts."""

SAME = 0.01
"""A weight that is meant to stay may move by this much: it has drifted since."""

_NOUNS = (
    r"(?:\s+(?:signals?|lists?|orders?|pressure|interest|side|zone|opportunit\w+)|-?offs?\b"
    r"|\s+in\s+(?:the\s+)?(?:price|vol))"
)
_WORDS = {kind: re.compile(rf"\b(?:{words})\b(?!{_NOUNS})", re.IGNORECASE) for kind, words in ACTIONS.items()}
_VERB = "|".join(ACTIONS.values())
_UNSURE = re.compile(
    r"\b(?:not?|never|without|avoid\w*|instead of|rather than|refrain\w*|if|unless|would|could|should|might|may|had|was"
    r"|were|previous\w*|earlier|yesterday|last (?:time|step|decision|bar)|target\w* (?:was|were)|cannot)\b|n't\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
_LINK = (
    r"\b(?:because|since|as|given|after|while|whereas|but|although|though)\b"
    rf"|\b(?:and|to|then)\b(?=\s+(?:{_VERB}|(?:the |my )?(?:cash|NAV))\b)"
)


class Rate(NamedTuple):
    """Claims that could be checked, and how many were true.

    Attributes:
        rate: `right` / `checked`, in [0, 1]; None where nothing could be checked.
        chance: the rate, had each claim been made at another decision of the same episode: what a text that knows the
            agent's habits and nothing of this decision would get; None where nothing could be checked, or with one
            decision.
        coverage: share of the texts with something to check, in [0, 1]; None without a text.
    """

    rate: float | None
    chance: float | None
    coverage: float | None
    right: int
    checked: int
    texts: int


Claims: TypeAlias = dict[str, frozenset[str]]


def clauses(text: str, symbols: Sequence[str]) -> tuple[str, ...]:
    """The parts of a text that say one thing each: sentences, cut at linking words and at commas that end no list of
    symbols; those that deny, suppose or remember left out."""
    return _clauses(text, tuple(symbols))


@lru_cache(maxsize=1024)
def _clauses(text: str, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Every text is asked of twice: what it claims, and what it quotes."""
    cuts = _cuts(symbols)
    found = (clause for sentence in _SENTENCE.split(text) for clause in cuts.split(sentence))
    return tuple(clause for clause in found if clause and not _UNSURE.search(clause))


@lru_cache(maxsize=16)
def _cuts(symbols: tuple[str, ...]) -> re.Pattern[str]:
    listed = rf",\s+(?!(?:and\s+|or\s+)?(?:{symbol_pattern(symbols)}))"
    return re.compile(rf"(?:{listed})|(?:{_LINK})", re.IGNORECASE)


@lru_cache(maxsize=16)
def names_in(symbols: tuple[str, ...]) -> re.Pattern[str]:
    """Finds symbols in a text."""
    return re.compile(symbol_pattern(symbols))


def actions(text: str, symbols: Sequence[str]) -> Claims:
    """What a text says to do with which symbol: kinds of `ACTIONS`. A clause with one kind says it of every symbol in
    it, one with several says nothing. Symbols are whole words as they are spelt, of two characters or more."""
    if not any(symbol in text for symbol in symbols):
        return {}
    said: dict[str, set[str]] = {}
    names = names_in(tuple(symbols))
    for clause in clauses(text, symbols):
        if not (named := names.findall(clause)):
            continue
        kinds = {kind for kind, words in _WORDS.items() if words.search(clause)}
        if "same" in kinds:
            kinds.discard("held")  # "keep unchanged"
        for symbol in named if len(kinds) == 1 else ():
            said.setdefault(symbol, set()).update(kinds)
    for kinds_of in said.values():
        for clash in CLASHES:
            if kinds_of.issuperset(clash):
                kinds_of.difference_update(clash)
    return {symbol: frozenset(kinds_of) for symbol, kinds_of in said.items() if kinds_of}


def symbol_pattern(symbols: Sequence[str]) -> str:
    """A regular expression for any of the symbols, as a whole word; of one character none."""
    ranked = sorted((re.escape(symbol) for symbol in symbols if len(symbol) > 1), key=len, reverse=True)
    return rf"(?<![\w.^-])(?:{'|'.join(ranked) or '(?!)'})(?![\w^-])"


def consistency(texts: Sequence[str], symbols: Sequence[str], before: Array, after: Array) -> Rate:
    """Does the text say what the weights do?

    `up` and `down` are right where the weight rises or falls; `same` where it moves by no more than `SAME`; `held`
    where there is a position afterwards; `over` and `under` where it is then above or below the mean size of all N.

    Args:
        texts: K rationales.
        symbols: the N symbols.
        before: [K, N] weights held at the decision.
        after: [K, N] weights wished.
    """
    change, size = after - before, np.abs(after)
    mean = size.mean(axis=1, keepdims=True)
    fits = {
        "up": change > TOLERANCE,
        "down": change < -TOLERANCE,
        "same": np.abs(change) <= SAME,
        "held": size > TOLERANCE,
        "over": size > mean + TOLERANCE,
        "under": size < mean - TOLERANCE,
    }
    place = {symbol: i for i, symbol in enumerate(symbols)}
    judged = [
        (k, fits[kind][:, place[symbol]])
        for k, text in enumerate(texts)
        for symbol, kinds in actions(text, symbols).items()
        for kind in sorted(kinds)
    ]
    return rate_of(judged, len(texts))


def rate_of(judged: Sequence[tuple[int, Mask]], texts: int) -> Rate:
    """The rate of claims, each made at a decision k, with the decisions [K] at which it would have been true."""
    covered = len({k for k, _ in judged}) / texts if texts else None
    if not judged:
        return Rate(None, None, covered, 0, 0, texts)
    right = sum(bool(fits[k]) for k, fits in judged)
    elsewhere = sum(int(fits.sum()) for _, fits in judged) - right
    chance = elsewhere / (len(judged) * (texts - 1)) if texts > 1 else None
    return Rate(right / len(judged), chance, covered, right, len(judged), texts)
