"""Texts that are like the recorded ones in what is stated and in nothing else: a trace comes in, the same trace with
other texts goes out. All but the texts stays: weights, NAV, the market.

| control | keeps | destroys |
|---|---|---|
| `words-only` | the words, in their order | capitals, punctuation, the form of numbers |
| `shuffled-words` | the words of each text | their order |
| `length-matched` | each text's own words, at their frequencies in it | its length: all have the median's |
| `renamed` | which words of a trajectory are the same, and about how frequent | which words they are |
| `synonyms` | length, how many words of each band of frequency a text has, how often a word is in all | which of them |
| `redrawn` | length, how often a word is in all texts | which words go together, and when |
| `shuffled-steps` | the texts | when each was said |

All but the last are of words, so that what they leave of a statistic they leave beside `words-only`. A band are words
that a trajectory has between 2^b and 2^(b + 1) - 1 times. `renamed` puts one word of the band for another throughout;
whatever counts words and cannot read sees no difference. `synonyms` deals the occurrences of a band to its places
anew, as if each word had been replaced by any other that is about as usual: a text keeps its share of usual and rare
words, not its topic, nor what it shares with the text before; a contraction onto a few stock phrases, which are the
usual words, stays. `redrawn` is the same with all words in one band. No thesaurus is asked: the meaning is lost.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tradearena.analysis.signatures.trace import Said, Trace
from tradearena.analysis.signatures.words import words

Worded = list[list[str]]
"""[K] the words of each text of a trajectory."""

Dice = np.random.Generator


def controlled(trace: Trace, name: str, seed: int = 0) -> Trace:
    """The trace with the texts of a control, rationales and reflections each by themselves; the same seed gives the
    same texts.

    Raises:
        KeyError: there is no such control.
    """
    made = CONTROLS[name]

    def told(said: Sequence[Said], part: str) -> tuple[Said, ...]:
        drawn = hashlib.sha256(f"{name} {part} {seed} {trace.episode}".encode()).digest()
        texts = made([each.text for each in said], np.random.default_rng(np.frombuffer(drawn, dtype=np.uint32)))
        return tuple(each._replace(text=text) for each, text in zip(said, texts, strict=True))

    return replace(trace, plan=told(trace.plan, "plan"), reflect=told(trace.reflect, "reflect"))


def of_words(made: Callable[[Worded, Dice], Worded]) -> Callable[[Sequence[str], Dice], list[str]]:
    """A control of words as one of texts."""
    return lambda texts, dice: [" ".join(each) for each in made([words(text) for text in texts], dice)]


def length_matched(found: Worded, dice: Dice) -> Worded:
    """Texts of the median's length (of those that say anything): of longer ones so many of their words, in order; to
    shorter ones words of their own are added."""
    lengths = [len(each) for each in found if each]
    wanted = int(np.median(lengths)) if lengths else 0
    return [_resized(each, wanted, dice) if each else each for each in found]


def _resized(found: list[str], wanted: int, dice: Dice) -> list[str]:
    if len(found) >= wanted:
        return [found[i] for i in np.sort(dice.permutation(len(found))[:wanted])]
    return found + [found[i] for i in dice.integers(0, len(found), wanted - len(found))]


def shuffled_words(found: Worded, dice: Dice) -> Worded:
    """Each text's words in another order."""
    return [[each[i] for i in dice.permutation(len(each))] for each in found]


def renamed(found: Worded, dice: Dice) -> Worded:
    """One word of a band for another, throughout."""
    names: dict[str, str] = {}
    for band in _bands(found):
        names |= zip(band, [band[i] for i in dice.permutation(len(band))], strict=True)
    return [[names[word] for word in each] for each in found]


def synonyms(found: Worded, dice: Dice) -> Worded:
    """The occurrences of each band, dealt to its places anew."""
    return _dealt(found, {word: number for number, band in enumerate(_bands(found)) for word in band}, dice)


def redrawn(found: Worded, dice: Dice) -> Worded:
    """All occurrences of all words, dealt to all places anew."""
    return _dealt(found, {word: 0 for each in found for word in each}, dice)


def _dealt(found: Worded, place: dict[str, int], dice: Dice) -> Worded:
    """The occurrences of words that have the same number, dealt to their places anew."""
    dealt: dict[int, list[str]] = {}
    for each in found:
        for word in each:
            dealt.setdefault(place[word], []).append(word)
    decks = {number: iter([deck[i] for i in dice.permutation(len(deck))]) for number, deck in sorted(dealt.items())}
    return [[next(decks[place[word]]) for word in each] for each in found]


def _bands(found: Worded) -> list[list[str]]:
    """Words that are about as frequent, rarest first."""
    bands: dict[int, list[str]] = {}
    for word, count in sorted(Counter(word for each in found for word in each).items()):
        bands.setdefault(count.bit_length(), []).append(word)
    return [bands[level] for level in sorted(bands)]


def shuffled_steps(texts: Sequence[str], dice: Dice) -> list[str]:
    """The texts in another order."""
    return [texts[i] for i in dice.permutation(len(texts))]


CONTROLS: dict[str, Callable[[Sequence[str], Dice], list[str]]] = {
    "words-only": of_words(lambda found, _dice: found),
    "shuffled-words": of_words(shuffled_words),
    "length-matched": of_words(length_matched),
    "renamed": of_words(renamed),
    "synonyms": of_words(synonyms),
    "redrawn": of_words(redrawn),
    "shuffled-steps": shuffled_steps,
}
