"""The words of an organism: the facts behind one decision and a digest come in, a rationale in desk English goes out.

A small grammar (`phrases`) is expanded: a plan orders the topics, every topic has its sentences, every sentence its
choices. `compose` is a pure function, and the digest is its only source of chance.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_128
from itertools import cycle
from typing import NamedTuple

from tradearena.agents.facts import PROPER, RETURNS, SIGNALS, Facts
from tradearena.agents.grammar import Choice, Option, Tags, sentences
from tradearena.agents.phrases import PLANS

__all__ = ["RETURNS", "SIGNALS", "Facts", "compose"]


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
        known = sentences(topic, (*tags, "again") if dated else tags)
        sentence = known.options[chance.pick(known.spare)]
        _expand(sentence, facts, chance, said)
        if sentence[0] not in PROPER:
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
