"""Reads a prompt as a scripted agent does: the text comes in, the numbers that stand in it go out, and nothing else.

Lines are read once and remembered by their text: the same line says the same again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tradearena.agents.prompt import ACCOUNT, COMMITTED, DECISIONS, POSITIONS, REVIEW, VOLUMES
from tradearena.panel import Array

_AGE = re.compile(r"bar (\d+) of your mandate")
_ASKED = re.compile(r"asked for (\{.*?\})\.")
_DESK = re.compile(r" Risk desk: (.*)\.$")
_GIST = re.compile(r"(\S+) (?:(.+?) )?(-?[\d.e+-]+) to (-?[\d.e+-]+)$")


class Claim(NamedTuple):
    """One finding as it was told: so much was proposed, so much let through."""

    rule: str
    name: str
    proposed: float
    approved: float

    @property
    def kept(self) -> float:
        """The part that was let through, in [0, 1]."""
        return min(abs(self.approved / self.proposed), 1.0) if self.proposed else 1.0


class Past(NamedTuple):
    """One of the last decisions: what was asked for by symbol, and what the risk desk claimed to have found."""

    asked: dict[str, float]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Scene:
    """What a prompt shows. B bars, oldest first, N symbols.

    Attributes:
        age: bars since the first decision.
        prices, trades: [B] lines of the tables of closes and of volumes.
        held: [N] weights once orders in flight have filled.
        past: the last decisions, oldest first; the claims of the last one are those of the risk review.
        situation: market and account, as text.
        review: the risk review, as text; "" where there is none.
    """

    symbols: tuple[str, ...]
    age: int
    prices: tuple[str, ...]
    trades: tuple[str, ...]
    held: Array
    past: tuple[Past, ...]
    situation: str
    review: str

    @cached_property
    def closes(self) -> Array:
        """[B, N]: the last known close, NaN before the first."""
        closes = np.array([_numbers(line) for line in self.prices])
        if not np.isnan(closes).any():
            return closes
        seen = np.where(np.isnan(closes), -1, np.arange(len(closes))[:, None])
        last = np.maximum.accumulate(seen, axis=0)
        return np.where(last >= 0, np.take_along_axis(closes, np.maximum(last, 0), axis=0), np.nan)

    @cached_property
    def volumes(self) -> Array:
        """[B, N], in thousands; NaN where the prompt says none."""
        return np.array([_numbers(line) for line in self.trades])

    def trailing(self, lookback: int) -> Array:
        """[N]: simple returns over the last so many bars, or as many as are shown; NaN where a close is not known."""
        first, last = _numbers(self.prices[-min(lookback + 1, len(self.prices))]), _numbers(self.prices[-1])
        returns: Array = last / first - 1.0
        if np.isnan(returns).any():
            closes = self.closes[-lookback - 1 :]
            returns = closes[-1] / closes[0] - 1.0
        return returns

    @cached_property
    def moves(self) -> list[float]:
        """[B - 1]: mean absolute return of the symbols in each bar."""
        return [_move(before, line) for before, line in pairwise(self.prices)]


def read(prompt: str) -> Scene:
    """Read a prompt."""
    rest, _, review = prompt.partition(f"\n\n{REVIEW}\n")
    situation, _, decisions = rest.partition(f"\n\n{DECISIONS}\n")
    market, _, account = situation.partition(f"\n\n{ACCOUNT}\n")
    closes, _, volumes = market.partition(f"\n{VOLUMES}\n")
    _heading, time, _title, header, *prices = closes.split("\n")
    symbols, age = _header(header), _AGE.search(time)
    past = [_past(line) for line in decisions.split("\n")] if decisions else []
    if past and review:
        past[-1] = past[-1]._replace(claims=_claims(review))
    return Scene(
        symbols=symbols,
        age=int(age[1]) if age else 0,
        prices=tuple(prices),
        trades=tuple(volumes.split("\n")[1:]),
        held=_held(account, symbols),
        past=tuple(past),
        situation=situation,
        review=review,
    )


@lru_cache(maxsize=64)
def _header(line: str) -> tuple[str, ...]:
    return tuple(line.split(",")[1:])


@lru_cache(maxsize=8192)
def _numbers(line: str) -> Array:
    """The numbers of one bar [N], NaN where nothing stands."""
    numbers = np.array([float(cell) if cell else np.nan for cell in line.split(",")[1:]])
    numbers.flags.writeable = False
    return numbers


@lru_cache(maxsize=8192)
def _move(before: str, line: str) -> float:
    """Mean absolute return from one bar to the next, of the symbols in both."""
    returns = np.abs(_numbers(line) / _numbers(before) - 1.0)
    known = returns[~np.isnan(returns)]
    return float(known.mean()) if known.size else 0.0


def _held(account: str, symbols: tuple[str, ...]) -> Array:
    """Weights by symbol, of the account once orders in flight have filled."""
    lines = account.split("\n")
    found = next((line for line in lines if line.startswith(COMMITTED)), None)
    stated = found.removeprefix(COMMITTED) if found else lines[1].removeprefix(POSITIONS)
    weights, places = np.zeros(len(symbols)), _places(symbols)
    for symbol, weight in json.loads(stated).items():
        weights[places[symbol]] = weight
    return weights


@lru_cache(maxsize=64)
def _places(symbols: tuple[str, ...]) -> dict[str, int]:
    return {symbol: place for place, symbol in enumerate(symbols)}


@lru_cache(maxsize=1024)
def _past(line: str) -> Past:
    """One line of the last decisions."""
    asked, desk = _ASKED.search(line), _DESK.search(line)
    said = desk[1].split(", ") if desk else []
    matches = (_GIST.match(part) for part in said)
    claims = tuple(Claim(m[1], m[2] or "", float(m[3]), float(m[4])) for m in matches if m)
    return Past(json.loads(asked[1]) if asked else {}, claims)


def _claims(review: str) -> tuple[Claim, ...]:
    """The findings of the risk review that claim to have changed weights."""
    block: dict[str, Any] = json.loads(review[review.index("{") :])
    return tuple(
        Claim(told["rule"], told["name"], told["proposed"], told["approved"])
        for told in block["findings"]
        if told["severity"] != "flag" and told["proposed"] is not None and told["approved"] is not None
    )
