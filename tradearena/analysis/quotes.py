"""What a rationale quotes of its account: texts and the true account come in; the share of quotes that are right goes
out.

A quote is one amount in one clause about one thing: the NAV or the cash in money, or, where the clause speaks of what
is (`NOW`), the cash or one symbol as a part of NAV, or a number of shares. Everything else is a plan, a price or
a return, and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tradearena.analysis.claims import Rate, clauses, names_in, rate_of
from tradearena.panel import Array

NOW = r"currently|current|presently|at present|existing|already|sitting"
"""Words of which one must stand in a clause that quotes a part of NAV: targets are said in the same words ("20 % of the
account goes to AAA"), and are no quotes."""

EXACT, ABOUT = 0.005, 0.05
"""Relative error that is allowed: to an amount as such, and to one that is said to be rough."""

_AMOUNT = re.compile(
    r"(?P<money>[$€£¥]\s?)?(?<![\w.+−-])(?P<number>\d[\d,]*(?:\.\d+)?)\s?(?P<unit>%|percent\b|[kKmM]\b|million\b|shares\b|units\b)?"
)
_NAV = re.compile(r"\bNAV\b|\bnet asset value\b|\b(?:portfolio|account) (?:value|equity)\b", re.IGNORECASE)
_CASH = re.compile(r"\bcash\b", re.IGNORECASE)
_NOW = re.compile(rf"\b(?:{NOW})\b", re.IGNORECASE)
_RETURN = re.compile(
    r"\b(?:(?<!makes )(?<!make )up|down|rose|rise\w*|fell|falls?|gain\w*|lost|los\w+|return\w*|higher|lower)\b",
    re.IGNORECASE,
)
_ROUGH = re.compile(r"\b(?:about|around|roughly|approximately|nearly|almost|some)\b|~", re.IGNORECASE)
_SCALE = {"k": 1e3, "m": 1e6, "million": 1e6}


class Quote(NamedTuple):
    """One amount as quoted: of `nav`, `cash` (money), `cash share`, `weight` or `shares` (of `symbol`), and how far off
    it may be and still be right."""

    of: str
    symbol: str
    amount: float
    slack: float


def quotes(text: str, symbols: Sequence[str]) -> Iterator[Quote]:
    """The quotes in a text."""
    names = names_in(tuple(symbols))
    for clause in clauses(text, symbols):
        amounts = list(_AMOUNT.finditer(clause))
        if len(amounts) != 1:
            continue
        held = set(names.findall(clause))
        subjects = [bool(_NAV.search(clause)), bool(_CASH.search(clause)), *[True for _ in held]]
        if sum(subjects) != 1 or _RETURN.search(clause):
            continue
        amount = _read(amounts[0], rough=bool(_ROUGH.search(clause)))
        of = _thing(amounts[0], nav=subjects[0], cash=subjects[1], now=bool(_NOW.search(clause)))
        if of:
            yield Quote(of, next(iter(held), ""), *amount)


def _thing(found: re.Match[str], *, nav: bool, cash: bool, now: bool) -> str:
    """What an amount is of, or "" where that is not clear."""
    unit = (found["unit"] or "").lower()
    if unit in ("%", "percent"):
        return "" if nav or not now else "cash share" if cash else "weight"
    if unit in ("shares", "units"):
        return "" if nav or cash or not now else "shares"
    money = bool(found["money"] or unit or "," in found["number"])
    return ("nav" if nav else "cash" if cash else "") if money else ""


def _read(found: re.Match[str], *, rough: bool) -> tuple[float, float]:
    """The amount, and its slack: half a unit of its last digit, or a relative error, whichever is more."""
    number, unit = found["number"].replace(",", ""), (found["unit"] or "").lower()
    scale = 0.01 if unit in ("%", "percent") else _SCALE.get(unit, 1.0)
    amount = float(number) * scale
    digits = len(number.partition(".")[2])
    return amount, max(0.5 * 10.0**-digits * scale, (ABOUT if rough else EXACT) * abs(amount)) + 1e-9 * scale


def ledger_consistency(
    texts: Sequence[str], symbols: Sequence[str], nav: Array, cash: Array, shares: Array, weights: Array
) -> Rate:
    """Does the text quote its account right?

    Args:
        texts: K rationales.
        symbols: the N symbols.
        nav, cash: [K] at the close of each decision, money.
        shares, weights: [K, N] held then; weights as fractions of NAV.
    """
    place = {symbol: i for i, symbol in enumerate(symbols)}
    truth = {"nav": nav, "cash": cash, "cash share": cash / nav}
    judged = []
    for k, text in enumerate(texts):
        for of, symbol, amount, slack in quotes(text, symbols):
            held = truth[of] if of in truth else (shares if of == "shares" else weights)[:, place[symbol]]
            judged.append((k, abs(held - amount) <= slack))
    return rate_of(judged, len(texts))
