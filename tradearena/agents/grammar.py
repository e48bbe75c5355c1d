"""The grammar of an organism's words, compiled when a topic is first spoken of: the notation of `phrases` comes in,
choices of choices go out."""

from __future__ import annotations

import re
from collections import deque
from functools import cache
from typing import NamedTuple, TypeAlias

from tradearena.agents.facts import SAID, Say
from tradearena.agents.phrases import PARTS, TOPICS

Tags: TypeAlias = tuple[str, ...]
Part: TypeAlias = "str | Choice | Say"
"""Literal text, a choice, or how a fact is said."""
Option: TypeAlias = str | tuple[Part, ...]
"""One alternative; most are literal text."""


class Choice(NamedTuple):
    """Alternatives of which one is said; `spare` is how many there are beside the first."""

    spare: int
    options: tuple[Option, ...]


_BULLET = re.compile(r"^ *- ", re.MULTILINE)
_PIECES = re.compile(r"([\[\]|]|<\w+>|\{\w+\})")


@cache
def sentences(topic: str, tags: Tags) -> Choice:
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
            parts.append(SAID.get(piece, piece))
    match parts:
        case []:
            return ""
        case [str(literal)]:
            return literal
        case _:
            return tuple(parts)
