"""Which findings an agent is told of: a true report comes in; the findings of a placebo or of a lie go out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tradearena.policy import Limits
from tradearena.values import TOGETHER, Finding, RiskReport

Findings: TypeAlias = tuple[Finding, ...]
Source: TypeAlias = Callable[[RiskReport], Findings]
"""Which findings are told of a true report."""

BLOCK, LONGEST = 250, 1000
"""Mean length, in decisions, of the stretches a placebo is drawn in, and the greatest: well above what a summary looks
back on, or the seams would show in it."""

BEGINNING = 20
"""First decisions of a donor, in which it builds its portfolio: they are told at the beginning of an episode only."""

ANY_CAP = 0.1
"""A limit to lie about where the policy has none."""


@dataclass(frozen=True, slots=True)
class Donors:
    """Whom placebos are drawn from. `reports` takes the number of a donor and a count of decisions, and gives the
    findings of each: on the same symbols and sectors, under the same policy, on bars of a market of its own."""

    symbols: tuple[str, ...]
    sectors: tuple[str, ...]
    reports: Callable[[int, int], Sequence[Findings]]


def truth(report: RiskReport) -> Findings:
    """The findings as they are."""
    return report.findings


def placebo(donors: Donors, rng: np.random.Generator, decisions: int) -> Source:
    """Findings of donors, in stretches of random length (Politis & Romano 1994), each of another donor, its symbols
    permuted within sectors. The true report is not looked at."""
    drawn = _stretches(donors, rng, decisions)
    return lambda _report: next(drawn)


def _stretches(donors: Donors, rng: np.random.Generator, decisions: int) -> Iterator[Findings]:
    skipped = 0
    while decisions > 0:
        number, length = int(rng.integers(2**31)), min(int(rng.geometric(1 / BLOCK)), LONGEST, decisions)
        names = _permuted(donors, rng)
        reports, skipped = donors.reports(number, skipped + length)[skipped:], BEGINNING
        decisions -= len(reports)  # a donor that is ruined has fewer than it was asked for
        for report in reports:
            yield tuple(_renamed(finding, names) for finding in report)


def _permuted(donors: Donors, rng: np.random.Generator) -> dict[str, str]:
    """Another symbol of the same sector for each symbol."""
    sector = np.array(donors.sectors)
    names = np.array(donors.symbols)
    new = names.copy()
    for each in sorted(set(donors.sectors)):
        places = np.flatnonzero(sector == each)
        new[places] = names[rng.permutation(places)]
    return dict(zip(names.tolist(), new.tolist(), strict=True))


def _renamed(finding: Finding, names: Mapping[str, str]) -> Finding:
    """A finding told of other symbols: its own, or each of the group that it names, in the order of the symbols."""
    if finding.rule == "cluster":
        members = {names[name] for name in finding.name.split(TOGETHER)}
        return finding._replace(name=TOGETHER.join(name for name in names if name in members))
    return finding._replace(name=names.get(finding.name, finding.name)) if finding.scope == "symbol" else finding


def alarm(report: RiskReport, symbols: Sequence[str], limits: Limits, rng: np.random.Generator) -> Findings:
    """Two to four severe findings that did not happen, or not with these numbers, in the order of the audit, among the
    flags that did: limits of the policy, exceeded by a third to twice as much again."""
    real = {(finding.rule, finding.name) for finding in report.findings}
    held = np.flatnonzero(np.abs(report.intent) > 0)
    pool = rng.permutation(held if held.size else np.arange(len(symbols)))[:3]
    names = [symbols[i] for i in sorted(pool.tolist())]
    lies = [("single-name", name, limits.single_name) for name in names]
    lies += [("gross", "", limits.gross), ("volatility", "", limits.volatility), ("turnover", "", limits.turnover)]
    known = [(rule, name, limit) for rule, name, limit in lies if limit is not None]
    known = known or [("single-name", name, ANY_CAP) for name in names]
    possible = [lie for lie in known if lie[:2] not in real] or known  # where all did happen, otherwise than they did
    chosen = rng.permutation(len(possible))[: rng.integers(2, 5)]
    told = []
    for rule, name, limit in (possible[i] for i in sorted(chosen.tolist())):
        asked = limit * float(rng.uniform(1.3, 3.0 if name else 1.8))
        told.append(Finding(rule, "symbol" if name else "portfolio", name, asked, limit, limit, "major"))
    return (*told, *all_clear(report))


def all_clear(report: RiskReport) -> Findings:
    """What changed nothing, and no word of what did."""
    return tuple(finding for finding in report.findings if finding.severity == "flag")


def inverted(report: RiskReport, symbols: Sequence[str]) -> Findings:
    """What was found on symbols is told of others: the finding on the k-th symbol moves to the k-th largest weight that
    had none, by what was wished. Findings on groups and the portfolio stay."""
    guilty = {finding.name for finding in report.findings if finding.scope == "symbol"}
    ranked = [symbols[i] for i in np.argsort(-np.abs(report.intent), kind="stable").tolist()]
    innocent = [name for name in ranked if name not in guilty]
    swap = dict(zip((name for name in ranked if name in guilty), innocent, strict=False))
    moved = (
        finding._replace(name=swap[finding.name]) if finding.name in swap else finding
        for finding in report.findings
        if finding.scope != "symbol" or finding.name in swap
    )
    return tuple(moved)
