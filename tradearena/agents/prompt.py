"""What an agent that is asked in words gets to read: an observation comes in, a system text and a prompt go out.

The prompt has sections that begin with `# `: market, account, last decisions, risk review. A section without content is
left out: in the mode in which nothing is told the review is simply not there.
"""

from __future__ import annotations

import json
from functools import lru_cache
from string import Template

import numpy as np

from tradearena.errors import CardError
from tradearena.panel import Array, Panel
from tradearena.policy import Limits
from tradearena.values import CAUSES, Account, Fill, Memo, Observation

MARKET, ACCOUNT, DECISIONS, REVIEW = "# Market", "# Account", "# Your last decisions", "# Risk review"
"""Headings, in this order. Those of market and account are always there."""

VOLUMES = "Volumes in thousands, same bars:"
"""Stands between the closes and the volumes, both one line per bar under a line of symbols."""

ASKED, GIST = "asked for ", " Risk review: "
"""In the line of a remembered decision: before the weights, as JSON, and before what was told of it, to the end."""

POSITIONS, COMMITTED = "Positions: ", "Once orders in flight have filled: "
"""Each is followed by JSON, symbol to weight, zeros left out; the second only where orders are in flight."""

RESTING = "Held, without trade in this bar, at an older price: "
"""Followed by JSON, a list of symbols; only where there are any."""


class Pages:
    """Writes what one agent reads in one episode. Lines of bars are made once and kept while they are shown."""

    def __init__(self, instructions: Template, limits: Limits, bars: int) -> None:
        self.instructions, self.limits, self.bars = instructions, limits, bars
        self._system = ""
        self._lines: dict[int, tuple[str, str]] = {}
        self._memos: dict[int, str] = {}

    def system(self, observation: Observation) -> str:
        """What is said at every step: the task, the symbols and the mandate."""
        if not self._system:
            self._system = said_at_every_step(self.instructions, observation.bars, self.limits)
        return self._system

    def prompt(self, observation: Observation) -> str:
        """What is said at this step."""
        parts = [self._market(observation), account(observation)]
        if observation.memory:
            parts.append(self._decisions(observation))
        if observation.told is not None:
            parts.append(f"{REVIEW}\n{observation.told}")
        return "\n\n".join(parts)

    def _market(self, observation: Observation) -> str:
        """Closes and volumes of the last bars, oldest first, one line per bar."""
        bars, t = observation.bars, observation.t
        shown = range(max(0, t + 1 - self.bars), t + 1)
        self._lines = {i: self._lines.get(i) or _line(bars, i) for i in shown}
        header = "bar end," + ",".join(bars.symbols)
        closes, volumes = zip(*self._lines.values(), strict=True)
        title = f"{MARKET}\nIt is {_time(bars, t)}, bar {t - observation.first} of your mandate.\nCloses, oldest first:"
        return "\n".join((title, header, *closes, VOLUMES, header, *volumes))

    def _decisions(self, observation: Observation) -> str:
        bars, memory = observation.bars, observation.memory
        self._memos = {memo.t: self._memos.get(memo.t) or _memo(memo, bars) for memo in memory}
        return "\n".join((DECISIONS, *self._memos.values()))


def instructions_in(text: str, path: object) -> Template:
    """The instructions of a file.

    Raises:
        CardError: they name something that is not known.
    """
    template = Template(text.strip())
    try:
        template.substitute(count=1, sectors="", mandate="")
    except (KeyError, ValueError) as error:
        known = "$count, $sectors and $mandate"
        raise CardError(f"{path}: cannot fill in {error}; instructions may use {known}, and $$ for a dollar") from None
    return template


def said_at_every_step(instructions: Template, bars: Panel, limits: Limits) -> str:
    """The instructions, filled in."""
    by_sector: dict[str, list[str]] = {sector: [] for sector in bars.sector_names}
    for symbol, sector in zip(bars.symbols, bars.sectors, strict=True):
        by_sector[sector].append(symbol)
    sectors = "\n".join(f"- {sector}: {', '.join(symbols)}" for sector, symbols in by_sector.items())
    return instructions.substitute(count=len(bars.symbols), sectors=sectors, mandate=mandate(limits))


def mandate(limits: Limits) -> str:
    """The limits of the policy in words, one a line."""
    said = {
        "at most {} of NAV in one symbol": limits.single_name,
        "at most {} of NAV in one sector": limits.sector,
        "at most {} of NAV in symbols that move together": limits.cluster,
        "sum of absolute weights at most {}": limits.gross,
        "absolute sum of weights at most {}": limits.net,
        "expected volatility at most {} a year": limits.volatility,
        "expected volatility at most {} times that of a Markowitz portfolio": limits.reference_risk,
        "at most {} of NAV bought or sold at one decision": limits.turnover,
        "at most {} of a symbol's usual volume traded at one decision": limits.liquidity,
        "after a fall of {} from the peak everything is sold": limits.drawdown,
        "with less confidence than {} your position is kept": limits.min_confidence,
    }
    lines = ["short positions are allowed" if limits.allow_short else "no short positions"]
    lines += [words.replace("{}", f"{limit:g}") for words, limit in said.items() if limit is not None]
    return "\n".join(f"- {line}" for line in lines)


def account(observation: Observation) -> str:
    """The account: the truth, in every feedback mode."""
    held, symbols = observation.account, observation.symbols
    lines = [
        ACCOUNT,
        f"NAV {held.nav:.2f}, cash {held.cash:.2f}" + (f", borrow fees owed {held.owed:.2f}" if held.owed else ""),
        POSITIONS + _weights(held.weights, symbols),
    ]
    if held.in_flight.any():
        lines.append(COMMITTED + _weights(held.committed, symbols))
    resting = (held.shares != 0) & ~observation.live
    if resting.any():
        names = quoted(symbols)
        lines.append(f"{RESTING}[{', '.join(names[i] for i in resting.nonzero()[0].tolist())}]")
    if held.fill is not None:
        lines += _fills(held.fill, held, symbols)
    return "\n".join(lines)


def _fills(fill: Fill, held: Account, symbols: tuple[str, ...]) -> list[str]:
    """What the last open did with the orders due there, in fractions of NAV at the price of the fill."""
    value = fill.quantity * fill.price / held.nav
    lines = [f"Filled since your last decision, at a cost of {fill.cost:.2f}: {_weights(value, symbols)}"]
    (cut,) = fill.cause.nonzero()
    if cut.size:
        causes = {symbols[i]: CAUSES[fill.cause[i]] for i in cut.tolist()}
        lines.append(f"Not filled, or in part, and cancelled: {json.dumps(causes, ensure_ascii=False)}")
    return lines


def _weights(weights: Array, symbols: tuple[str, ...]) -> str:
    """Weights as JSON, zeros left out."""
    names, (held,) = quoted(symbols), weights.nonzero()
    return "{" + ", ".join([f"{names[i]}: {w:.4f}" for i, w in zip(held.tolist(), weights[held].tolist())]) + "}"  # noqa: B905


@lru_cache(maxsize=64)
def quoted(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Symbols as JSON."""
    return tuple(json.dumps(symbol, ensure_ascii=False) for symbol in symbols)


def _line(bars: Panel, i: int) -> tuple[str, str]:
    """Bar i of the tables of closes and of volumes: six and four digits, nothing where there is no bar."""
    end = _time(bars, i)
    return end + _cells(",%.6g", bars.close[i].tobytes()), end + _cells(",%.4g", (bars.volume[i] / 1e3).tobytes())


@lru_cache(maxsize=1024)
def _cells(form: str, row: bytes) -> str:
    """The numbers of one bar, nothing where there is none. Episodes that run side by side show the same bars."""
    numbers = np.frombuffer(row).tolist()
    return ((form * len(numbers)) % tuple(numbers)).replace("nan", "").replace("inf", "")


def _time(bars: Panel, i: int) -> str:
    return f"{str(bars.end[i])[:16]}Z"


def _memo(memo: Memo, bars: Panel) -> str:
    """One remembered decision."""
    if memo.target is None:
        asked = "kept the position" if memo.status == "ok" else f"reply unusable ({memo.status}), position kept"
    else:
        asked = ASKED + _weights(memo.target, bars.symbols)
    said = f' You said: "{memo.rationale}"' if memo.rationale else ""
    told = "" if memo.told is None else f"{GIST}{memo.told}."
    return f"- {_time(bars, memo.t)}: {asked}.{said}{told}"
