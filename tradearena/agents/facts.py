"""What there is to say of one decision: the facts behind it come in, each goes out as it is said, rounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tradearena.agents.phrases import LIMITS

RETURNS = ("momentum", "reversal", "loser")
"""Signals whose score is a trailing return."""

SIGNALS = (*RETURNS, "calm", "coupled", "noise")
"""What can drive the weights."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What drove the weights of one decision. Numbers are finite, weights not negative.

    Attributes:
        signal: one of `SIGNALS`; "loser" buys what has fallen most, on purpose.
        lookback: bars the signal looked back.
        names: symbols wanted, largest weight first, at most 5; empty if nothing is wanted.
        weights: their target weights, fractions of NAV.
        scores: their signal values, as fractions. For "momentum" and "loser" the trailing return, for "reversal" its
            negative; for "calm" the volatility per bar, its sign not read; for "coupled" the correlation with the
            symbol that the group is built around; for "noise" the number drawn.
        dropped: symbols held so far that are given up, at most 3; may be empty.
        cash: fraction of NAV that is not invested.
        market: mean trailing return of all symbols over the lookback.
        breadth: share of symbols that rose over the lookback.
        volatility: mean absolute return per bar, recent bars.
        calm: recent volatility over that of the whole visible window; 1 is the usual.
        obeyed: rules of a risk report that are obeyed this time; may be empty.
        suspected: was something told that the account contradicts, and not believed?
        size: number of positions wanted.
    """

    signal: str
    lookback: int
    names: tuple[str, ...]
    weights: tuple[float, ...]
    scores: tuple[float, ...]
    dropped: tuple[str, ...]
    cash: float
    market: float
    breadth: float
    volatility: float
    calm: float
    obeyed: tuple[str, ...]
    suspected: bool
    size: int


Say: TypeAlias = Callable[[Facts], str]
"""How a fact is said."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _score(facts: Facts, place: int) -> str:
    """A score, rounded: a return with its sign, a volatility, or a plain number."""
    score = facts.scores[place]
    if facts.signal == "calm":
        return f"{abs(score):.2%}"
    if facts.signal not in RETURNS:
        return f"{score:z.2f}"
    return f"{-score if facts.signal == 'reversal' else score:+z.1%}"


def _a_bar(facts: Facts) -> str:
    bar = f"{facts.lookback}-bar"
    return f"an {bar}" if bar[0] == "8" or bar in ("11-bar", "18-bar") else f"a {bar}"


def _rest(facts: Facts) -> str:
    return _listed([f"{name} ({_score(facts, place)})" for place, name in enumerate(facts.names) if place])


def _listed(items: Sequence[str]) -> str:
    """A, B and C."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


_SYMBOLS: dict[str, Say] = {
    "{first}": lambda facts: facts.names[0],
    "{second}": lambda facts: facts.names[1],
    "{last}": lambda facts: facts.names[-1],
    "{rest}": _rest,
    "{company}": lambda facts: _listed(facts.names[1:]),
    "{gone}": lambda facts: _listed(facts.dropped),
}
PROPER = frozenset(_SYMBOLS.values())
"""What stays as it is when it begins a sentence."""

SAID: dict[str, Say] = _SYMBOLS | {
    "{span}": lambda facts: f"{facts.lookback} bars" if facts.lookback != 1 else "1 bar",
    "{bar}": lambda facts: f"{facts.lookback}-bar",
    "{a_bar}": _a_bar,
    "{score}": lambda facts: _score(facts, 0) + (" a bar" if facts.signal == "calm" else ""),
    "{score2}": lambda facts: _score(facts, 1),
    "{scored}": lambda facts: _listed([_score(facts, place) for place in range(1, len(facts.scores))]),
    "{move}": lambda facts: f"{abs(facts.scores[0]):.1%}",
    "{w1}": lambda facts: f"{facts.weights[0]:.1%}",
    "{w2}": lambda facts: f"{facts.weights[1]:.1%}",
    "{wlast}": lambda facts: f"{facts.weights[-1]:.1%}",
    "{pair}": lambda facts: f"{facts.weights[0] + facts.weights[1]:.1%}",
    "{positions}": lambda facts: f"{_NUMBERS[facts.size] if facts.size < len(_NUMBERS) else facts.size} names",
    "{cash}": lambda facts: f"{facts.cash:z.0%}",
    "{invested}": lambda facts: f"{1.0 - facts.cash:z.0%}",
    "{market}": lambda facts: f"{abs(facts.market):.1%}",
    "{signed}": lambda facts: f"{facts.market:+z.1%}",
    "{breadth}": lambda facts: f"{facts.breadth:.0%}",
    "{volatility}": lambda facts: f"{facts.volatility:.2%}",
    "{calm}": lambda facts: f"{facts.calm:.1f}",
    "{rules}": lambda facts: _listed([LIMITS.get(rule, f"the {rule} limit") for rule in facts.obeyed]),
}
