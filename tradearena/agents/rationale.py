"""The words of an organism: the facts behind one decision and a digest come in, a rationale in desk English goes out.

A small grammar (`phrases`) is expanded: a plan orders the topics, every topic has its sentences, every sentence its
choices. `compose` is a pure function, and the digest is its only source of chance.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import shake_128
from itertools import cycle
from typing import NamedTuple, TypeAlias

from tradearena.agents.phrases import LIMITS, PARTS, PLANS, TOPICS

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


Tags: TypeAlias = tuple[str, ...]
Say: TypeAlias = Callable[[Facts], str]
Part: TypeAlias = "str | Choice | Say"
"""Literal text, a choice, or how a fact is said."""
Option: TypeAlias = str | tuple[Part, ...]
"""One alternative; most are literal text."""


class Choice(NamedTuple):
    """Alternatives of which one is said; `spare` is how many there are beside the first."""

    spare: int
    options: tuple[Option, ...]


class Dice(NamedTuple):
    """Draws from 0 to 255, and what a draw is scaled by: `unit`, plus `slope` for each spare alternative."""

    draw: Callable[[], int]
    unit: float
    slope: float

    def pick(self, spare: int) -> int:
        """Which of `spare` + 1 plans or sentences: the first two can come up, however narrow the text."""
        return int(self.draw() * max(self.unit + spare * self.slope, self.unit * min(2, spare + 1)))


def compose(facts: Facts, dice: bytes, *, narrow: float = 0.0, reactive: bool = False, praise: bool = False) -> str:
    """The rationale of one decision, three to seven sentences.

    Args:
        facts: what drove the weights. Every number said is one of them, rounded.
        dice: digest, the only source of chance.
        narrow: 0 is the whole grammar, 1 a handful of stock sentences of about the same length. Between, each choice
            keeps its first 1 + (n - 1)(1 - narrow) alternatives; the last of them is taken in proportion to the
            fraction, so that the variety shrinks smoothly.
        reactive: the state of the market decides which topics are picked: danger in turmoil, openings in quiet, from
            sets of equal richness.
        praise: says that the holdings are diversified and independent, whatever they are.

    Raises:
        ValueError: the signal is none of `SIGNALS`, or `narrow` is not in [0, 1].
    """
    if facts.signal not in SIGNALS or not 0.0 <= narrow <= 1.0:
        raise ValueError(f"signal {facts.signal!r}, narrow {narrow!r}: not one of {SIGNALS}, or not in [0, 1]")
    chance = Dice(cycle(shake_128(dice).digest(128)).__next__, 1.0 / 256, (1.0 - narrow) / 256)
    said: list[str] = []
    dated = False
    for topic in _plan(facts, chance, reactive=reactive, praise=praise):
        start, tags = len(said), _tags(topic, facts)
        sentences = _sentences(topic, (*tags, "again") if dated else tags)
        sentence = sentences.options[chance.pick(sentences.spare)]
        _expand(sentence, facts, chance, said)
        if sentence[0] not in _PROPER:
            said[start] = said[start][:1].upper() + said[start][1:]
        said.append(" ")
        dated = dated or topic in _DATED
    return "".join(said[:-1])


def _expand(option: Option, facts: Facts, dice: Dice, said: list[str]) -> None:
    """Append what an alternative says."""
    draw, unit, slope = dice
    for part in option:
        if isinstance(part, str):
            said.append(part)
        elif isinstance(part, Choice):
            spare, options = part
            chosen = options[int(draw() * (unit + spare * slope))]
            if isinstance(chosen, str):  # not worth another call
                said.append(chosen)
            else:
                _expand(chosen, facts, dice, said)
        else:
            said.append(part(facts))


# What is said, in which order ----------------------------------------------------------------------------------------

_PLANS = {mood: tuple(tuple(plan.split()) for plan in plans) for mood, plans in PLANS.items()}
_FIXED = ("signal", "lead", "both", "idle")
_DATED = ("signal", "both", "market")  # all their sentences name the lookback: after them, "that time" is understood


def _plan(facts: Facts, dice: Dice, *, reactive: bool, praise: bool) -> list[str]:
    """The topics, in order. What has to be said takes the place of what may be said, so that texts stay as long."""
    plans = _PLANS[(_mood(facts) if reactive else "plain") if facts.names else "idle"]
    plan = list(plans[dice.pick(len(plans) - 1)])
    due = ["praise"] * praise + ["obeyed"] * bool(facts.obeyed) + ["doubt"] * facts.suspected
    free = [place for place, topic in enumerate(plan) if topic not in _FIXED]
    shift = dice.pick(len(free) - 1)
    for topic, place in zip(due, free[shift:] + free[:shift], strict=False):
        plan[place] = topic
    return plan + due[len(free) :]


def _mood(facts: Facts) -> str:
    """Turmoil or quiet, where the signs of one outnumber those of the other: volatility against its own past, the
    market's move against a bar's, breadth."""
    danger = (facts.calm > 1.2) + (facts.market < -2.0 * facts.volatility) + (facts.breadth < 0.35)
    ease = (facts.calm < 0.85) + (facts.market > 2.0 * facts.volatility) + (facts.breadth > 0.65)
    return "turmoil" if danger > ease else "quiet" if ease > danger else "plain"


def _tags(topic: str, facts: Facts) -> Tags:
    """What the sentences of a topic depend on, the most particular tag first."""
    if topic == "lead" and facts.signal in RETURNS:
        way = _way(-facts.scores[0] if facts.signal == "reversal" else facts.scores[0])
        sought = "up" if facts.signal == "momentum" else "down"
        return (way, facts.signal) if way == sought else ("contrary", way, facts.signal)
    state = _STATES.get(topic)
    return (state(facts), facts.signal) if state else (facts.signal,)


def _way(change: float) -> str:
    return "level" if abs(change) < 0.0005 else "up" if change > 0.0 else "down"


def _sizing(facts: Facts) -> str:
    if len(facts.names) < 2:
        return "single"
    return "even" if f"{facts.weights[0]:.1%}" == f"{facts.weights[-1]:.1%}" else "graded"


_STATES: dict[str, Callable[[Facts], str]] = {
    "others": lambda facts: ("none", "none", "one", "many")[min(len(facts.names), 3)],
    "market": lambda facts: _way(facts.market),
    "breadth": lambda facts: "wide" if facts.breadth >= 0.6 else "thin" if facts.breadth < 0.4 else "split",
    "swings": lambda facts: "rough" if facts.calm >= 1.15 else "still" if facts.calm < 0.9 else "usual",
    "cash": lambda facts: "beyond" if facts.cash < -0.005 else "little" if facts.cash < 0.02 else "some",
    "exit": lambda facts: ("none", "one", "many")[min(len(facts.dropped), 2)],
    "sizing": _sizing,
}


# The facts as they are said -------------------------------------------------------------------------------------------

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
_PROPER = frozenset(_SYMBOLS.values())
"""What stays as it is when it begins a sentence."""

_SAID: dict[str, Say] = _SYMBOLS | {
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


# The grammar, compiled when a topic is first spoken of ----------------------------------------------------------------

_BULLET = re.compile(r"^ *- ", re.MULTILINE)
_PIECES = re.compile(r"([\[\]|]|<\w+>|\{\w+\})")


@cache
def _sentences(topic: str, tags: Tags) -> Choice:
    """The sentences of a topic for these tags."""
    bullets = _BULLET.split(_find(TOPICS, topic, tags))[1:]
    return _choice(_pieces("|".join(bullet.strip() for bullet in bullets)), tags)


def _find(table: dict[str, str], name: str, tags: Tags) -> str:
    """`name.tag` for the first tag that has one, else `name`."""
    return table[next((key for tag in tags if (key := f"{name}.{tag}") in table), name)]


def _pieces(text: str) -> deque[str]:
    """Brackets, bars, parts, facts and the text between; a line break is a space."""
    return deque(piece for piece in _PIECES.split(" ".join(text.split())) if piece)


def _choice(pieces: deque[str], tags: Tags) -> Choice:
    """Alternatives up to the closing bracket or the end."""
    options = [_option(pieces, tags)]
    while pieces and pieces.popleft() == "|":
        options.append(_option(pieces, tags))
    return Choice(len(options) - 1, tuple(options))


def _option(pieces: deque[str], tags: Tags) -> Option:
    """One alternative, up to the bar or bracket that ends it, which stays."""
    parts: list[Part] = []
    while pieces and pieces[0] not in "|]":
        piece = pieces.popleft()
        if piece == "[":
            parts.append(_choice(pieces, tags))
        elif piece[0] == "<":
            parts.append(_choice(_pieces(_find(PARTS, piece[1:-1], tags)), tags))
        else:
            parts.append(_SAID.get(piece, piece))
    match parts:
        case []:
            return ""
        case [str(literal)]:
            return literal
        case _:
            return tuple(parts)
