"""Reads a prompt as a scripted agent does: the text comes in, the numbers that stand in it go out, and nothing else.

Lines are read once and remembered by their text: the same line says the same again.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tradearena.agents.prompt import ACCOUNT, COMMITTED, POSITIONS, REVIEW, STATISTICS, VOLUMES
from tradearena.agents.recalled import ASKED, DECISIONS, GIST, SO_FAR
from tradearena.panel import Array

_AGE = re.compile(r"bar (\d+) of your mandate")
_OBJECT = json.JSONDecoder()
_CLAIM = re.compile(r"(\S+) (?:(.+?) )?(-?[\d.e+-]+) to (-?[\d.e+-]+)$")


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
        returns = _returns(self.prices[-min(lookback + 1, len(self.prices))], self.prices[-1])
        if len(finite(returns)[0]) < len(returns):
            closes = self.closes[-lookback - 1 :]
            returns = closes[-1] / closes[0] - 1.0
        return returns

    @cached_property
    def moves(self) -> list[float]:
        """[B - 1]: mean absolute return of the symbols in each bar."""
        return [_move(before, line) for before, line in pairwise(self.prices)]


def finite(values: Array) -> tuple[Array, float]:
    """Those of the values that are finite, and their sum. Mostly all are, and only then is the sum of all."""
    total = float(np.add.reduce(values))
    if math.isfinite(total):
        return values, total
    known = values[np.isfinite(values)]
    return known, float(np.add.reduce(known))


def read(prompt: str) -> Scene:
    """Read a prompt. Statistics and the run so far are not looked at: what they say an organism works out itself."""
    market, heading, rest = prompt.partition(f"\n\n{ACCOUNT}\n")  # first: the market is nearly all there is
    rest, _, review = rest.partition(f"\n\n{REVIEW}\n")
    account, _, decisions = rest.partition(f"\n\n{DECISIONS}\n")
    account = account.partition(f"\n\n{SO_FAR}\n")[0]
    closes, _, volumes = market.partition(f"\n{VOLUMES}\n")
    volumes = volumes.partition(f"\n\n{STATISTICS}\n")[0]
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
        situation=market + heading + account,
        review=review,
    )


@lru_cache(maxsize=64)
def _header(line: str) -> tuple[str, ...]:
    return tuple(line.split(",")[1:])


@lru_cache(maxsize=8192)
def _numbers(line: str) -> Array:
    """The numbers of one bar [N], NaN where nothing stands."""
    numbers = np.array([float(cell or "nan") for cell in line.split(",")[1:]])
    numbers.flags.writeable = False
    return numbers


@lru_cache(maxsize=8192)
def _returns(before: str, line: str) -> Array:
    """Simple returns [N] from one bar to another, NaN where a close is missing."""
    returns: Array = _numbers(line) / _numbers(before) - 1.0
    returns.flags.writeable = False
    return returns


@lru_cache(maxsize=8192)
def _move(before: str, line: str) -> float:
    """Mean absolute return from one bar to the next, of the symbols in both."""
    known, total = finite(np.abs(_numbers(line) / _numbers(before) - 1.0))
    return total / len(known) if len(known) else 0.0


def _held(account: str, symbols: tuple[str, ...]) -> Array:
    """Weights by symbol, of the account once orders in flight have filled."""
    stated = account.partition(f"\n{COMMITTED}")[2] or account.partition(f"\n{POSITIONS}")[2]
    weights, places = np.zeros(len(symbols)), _places(symbols)
    for symbol, weight in json.loads(stated.partition("\n")[0]).items():
        weights[places[symbol]] = weight
    return weights


@lru_cache(maxsize=64)
def _places(symbols: tuple[str, ...]) -> dict[str, int]:
    return {symbol: place for place, symbol in enumerate(symbols)}


@lru_cache(maxsize=1024)
def _past(line: str) -> Past:
    """One line of the last decisions."""
    _, asked, rest = line.partition(ASKED)
    weights = _OBJECT.raw_decode(rest)[0] if asked else {}
    _, reviewed, told = line.rpartition(GIST)
    matches = (_CLAIM.match(part) for part in told.removesuffix(".").split(", ")) if reviewed else ()
    return Past(weights, tuple(Claim(m[1], m[2] or "", float(m[3]), float(m[4])) for m in matches if m))


def _claims(review: str) -> tuple[Claim, ...]:
    """The findings of the risk review that claim to have changed weights."""
    block: dict[str, Any] = json.loads(review.rpartition("\n")[2])
    return tuple(
        Claim(told["rule"], told["name"], told["proposed"], told["approved"])
        for told in block["findings"]
        if told["severity"] != "flag" and told["proposed"] is not None and told["approved"] is not None
    )
