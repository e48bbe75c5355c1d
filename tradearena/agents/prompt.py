"""What an agent that is asked in words gets to read: an observation comes in, a system text and a prompt go out.

The prompt has sections that begin with `# `: market, statistics, account, the run so far, last decisions, risk review.
The second and the fourth are there where the card asks for them. A section without content is left out: in the mode in
which nothing is told the review is simply not there.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from string import Template

import numpy as np

from tradearena.agents.figures import quoted, time_said, weights_said
from tradearena.agents.format import DEFAULT, Mode, answer_wanted
from tradearena.agents.recalled import DECISIONS, line_of, so_far
from tradearena.errors import CardError
from tradearena.panel import Panel
from tradearena.policy import Limits
from tradearena.values import CAUSES, Account, Fill, Observation

MARKET, STATISTICS, ACCOUNT, REVIEW = "# Market", "# Statistics", "# Account", "# Risk review"
"""Headings, in this order. Those of market and account are always there."""

REPORTS = "# Reports of your analysts"
"""Heading of what a team says, after all else: a line of JSON, name to report. Nothing in it can pass for a section."""

VOLUMES = "Volumes in thousands, same bars:"
"""Stands between the closes and the volumes, both one line per bar under a line of symbols."""

POSITIONS, COMMITTED = "Positions: ", "Once orders in flight have filled: "
"""Each is followed by JSON, symbol to weight, zeros left out; the second only where orders are in flight."""

RESTING = "Held, without trade in this bar, at an older price: "
"""Followed by JSON, a list of symbols; only where there are any."""


class Pages:
    """Writes what one agent reads in one episode. Lines of bars are made once and kept while they are shown.

    Args:
        bars: how many are shown.
        statistics: whether return and volatility of each symbol are.
        summary: whether the whole run is, in one line.
        reflection: whether what the agent noted with its last decision is.
    """

    def __init__(
        self,
        instructions: Template,
        limits: Limits,
        bars: int,
        *,
        statistics: bool = False,
        summary: bool = False,
        reflection: bool = False,
    ) -> None:
        self.instructions, self.limits, self.bars = instructions, limits, bars
        self.statistics, self.summary, self.reflection = statistics, summary, reflection
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
        parts = [self._market(observation)]
        if self.statistics:
            parts.append(statistics(observation.bars, self.bars))
        parts.append(account(observation))
        if run := so_far(observation, summary=self.summary, reflection=self.reflection):
            parts.append(run)
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
        title = (
            f"{MARKET}\nIt is {time_said(bars, t)}, bar {t - observation.first} of your mandate.\nCloses, oldest first:"
        )
        return "\n".join((title, header, *closes, VOLUMES, header, *volumes))

    def _decisions(self, observation: Observation) -> str:
        bars, memory = observation.bars, observation.memory
        self._memos = {memo.t: self._memos.get(memo.t) or line_of(memo, bars) for memo in memory}
        return "\n".join((DECISIONS, *self._memos.values()))


def completed(text: str, path: object, *, mandate: bool = True, mode: Mode = DEFAULT, notes: bool = False) -> str:
    """The text of a file of instructions with the form of an answer in it; without a mandate also without the paragraph
    that `$mandate` stands in.

    Raises:
        CardError: it leaves no place for the form, and the card asks for another than the usual one.
    """
    if not mandate:
        paragraphs = re.split(r"\n\s*\n", text)
        text = "\n\n".join(part for part in paragraphs if not re.search(_placeholder("mandate"), part))
    wanted = answer_wanted(mode, notes=notes)
    if not asks_for_an_answer(text) and (mode, notes) != (DEFAULT, False):
        raise CardError(f"{path}: has no $answer, so that an answer cannot be asked for in another form; put it in")
    return re.sub(_placeholder("answer"), lambda _: wanted, text)


def asks_for_an_answer(text: str) -> bool:
    """Is there a place for the form of an answer in these instructions?"""
    return re.search(_placeholder("answer"), text) is not None


def _placeholder(name: str) -> str:
    """What stands for a text in instructions: `$name` or `${name}`, but not where the dollar itself is meant."""
    return rf"(?<!\$)\$(?:{name}\b|\{{{name}\}})"


def instructions_in(text: str, path: object) -> Template:
    """The instructions of a file.

    Raises:
        CardError: they name something that is not known.
    """
    template = Template(text.strip())
    try:
        template.substitute(count=1, sectors="", mandate="")
    except (KeyError, ValueError) as error:
        known = "$count, $sectors, $mandate and $answer"
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


def statistics(bars: Panel, shown: int) -> str:
    """Of each symbol over the last so many bars: return from the first known close to the last, and volatility a year
    of the returns from bar to bar. Fractions, nothing where there are too few closes."""
    closes, returns = bars.mark[-shown:], bars.returns[-shown:][1:]
    known = closes[:-1] > 0
    count, first = known.sum(axis=0), (closes > 0).argmax(axis=0)
    begin = closes[first, np.arange(len(first))]
    total = np.divide(closes[-1], begin, out=np.full(len(first), np.nan), where=count > 0) - 1.0
    mean = np.divide(returns.sum(axis=0), count, out=np.zeros(len(first)), where=count > 0)
    squares = np.where(known, (returns - mean) ** 2, 0.0).sum(axis=0)
    variance = np.divide(squares, count - 1, out=np.full(len(first), np.nan), where=count > 1)
    volatility = np.sqrt(variance * bars.bars_per_year)
    rows = zip(bars.symbols, total.tolist(), volatility.tolist(), strict=True)
    lines = [f"{symbol},{earned:.3g},{spread:.3g}".replace("nan", "") for symbol, earned, spread in rows]
    return "\n".join((STATISTICS, "Over the same bars: return, volatility a year.", "symbol,return,volatility", *lines))


def account(observation: Observation) -> str:
    """The account: the truth, in every feedback mode."""
    held, symbols = observation.account, observation.symbols
    lines = [
        ACCOUNT,
        f"NAV {held.nav:.2f}, cash {held.cash:.2f}" + (f", borrow fees owed {held.owed:.2f}" if held.owed else ""),
        POSITIONS + weights_said(held.weights, symbols),
    ]
    if held.in_flight.any():
        lines.append(COMMITTED + weights_said(held.committed, symbols))
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
    lines = [f"Filled since your last decision, at a cost of {fill.cost:.2f}: {weights_said(value, symbols)}"]
    (cut,) = fill.cause.nonzero()
    if cut.size:
        causes = {symbols[i]: CAUSES[fill.cause[i]] for i in cut.tolist()}
        lines.append(f"Not filled, or in part, and cancelled: {json.dumps(causes, ensure_ascii=False)}")
    return lines


def _line(bars: Panel, i: int) -> tuple[str, str]:
    """Bar i of the tables of closes and of volumes: six and four digits, nothing where there is no bar."""
    end = time_said(bars, i)
    return end + _cells(",%.6g", bars.close[i].tobytes()), end + _cells(",%.4g", (bars.volume[i] / 1e3).tobytes())


@lru_cache(maxsize=1024)
def _cells(form: str, row: bytes) -> str:
    """The numbers of one bar, nothing where there is none. Episodes that run side by side show the same bars."""
    numbers = np.frombuffer(row).tolist()
    return ((form * len(numbers)) % tuple(numbers)).replace("nan", "").replace("inf", "")
