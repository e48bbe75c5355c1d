"""What an agent is told of its audits: a true report comes in, the text of the agent's feedback mode goes out.

The audit and the clipping are the same in all modes. What differs is which findings are told, and nothing else: layout,
wording and the rolling summary are made of the told findings by the same lines of code in every mode that tells
anything, and `hidden` tells nothing at all.

Modes: `true`, the findings as they are; `hidden`; `placebo`, findings from other portfolios in another market; and
three lies: `false-audit:alarm` (severe findings that did not happen), `false-audit:all-clear` (the real ones denied),
`false-audit:inverted` (each finding on a symbol is told of one that had none).
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any, NamedTuple, Protocol

import numpy as np

from tradearena import cards, rooms
from tradearena.errors import CardError, UnknownName
from tradearena.policy import Limits
from tradearena.risk.sources import Donors, Source, alarm, all_clear, inverted, placebo, truth
from tradearena.values import MODES, Finding, RiskReport, Severity

LISTED = 6
"""Findings that are told in full, the gravest first; the rest is counted."""

REVIEWS = 20
"""Decisions that the summary looks back on."""

_GRAVITY: dict[Severity, int] = {"critical": 0, "major": 1, "minor": 2, "flag": 3}


class Told(NamedTuple):
    """What is told of one audit: the text, and the gist of it in a few words, to be remembered. None: nothing is."""

    text: str | None
    gist: str | None


class Feedback(Protocol):
    """Tells one agent of its audits, in one episode."""

    def tell(self, report: RiskReport) -> Told:
        """What the agent is told of the audit of its last decision."""
        ...


class Untold:
    """The mode `hidden`."""

    def tell(self, report: RiskReport) -> Told:  # noqa: ARG002
        """Nothing."""
        return Told(None, None)


UNTOLD = Untold()


class Forked:
    """Tells an agent that goes on from the first steps of another episode, its trunk. What was told of these is on
    record; from the last of them on the branch tells. Either it remembers what the trunk told, or (`rewritten`) the
    branch has told of every step, so that its memory is what it would be had its own mode always held."""

    def __init__(self, trunk: Feedback, branch: Feedback, steps: int, *, rewritten: bool) -> None:
        self.trunk, self.branch, self.left, self.rewritten = trunk, branch, steps, rewritten
        if not steps:
            self._leave()

    def tell(self, report: RiskReport) -> Told:
        """What the agent is told, and what it remembers of it."""
        self.left -= 1
        if self.left > 0:
            told = self.trunk.tell(report)
            return Told(told.text, self.branch.tell(report).gist) if self.rewritten else told
        if self.left == 0:
            self._leave()
        return self.branch.tell(report)

    def _leave(self) -> None:
        """From here on the branch speaks for itself; it looks back on what was told before."""
        trunk = self.trunk
        while isinstance(trunk, Forked):  # which has left its own by now
            trunk = trunk.branch
        if not self.rewritten and isinstance(self.branch, Desk) and isinstance(trunk, Desk):
            self.branch.look_back_on(trunk)


class Desk:
    """Tells findings in the words of the house: one sentence and a block of JSON."""

    def __init__(self, source: Source, wording: Template) -> None:
        self.source, self.wording = source, wording
        self._reviews: deque[tuple[str, ...]] = deque()
        self._counts: Counter[str] = Counter()
        self._limits: dict[str, float] = {}

    def tell(self, report: RiskReport) -> Told:
        """The findings that this mode tells, and the summary of those told before."""
        findings = sorted(self.source(report), key=lambda finding: _GRAVITY[finding.severity])
        changing = [finding for finding in findings if finding.severity != "flag"]
        self._look_back({finding.rule: finding.limit for finding in reversed(changing)})
        recent = self._summary()
        block = {"findings": [_told(f) for f in findings[:LISTED]], "more": max(len(findings) - LISTED, 0)} | recent
        sentence = _sentence(self.wording, len(changing), len(findings), recent["altered"], recent["reviews"])
        return Told(f"{sentence}\n{json.dumps(block, ensure_ascii=False)}", _gist(changing))

    def look_back_on(self, other: Desk) -> None:
        """Go on with the summary of another one."""
        self._reviews, self._counts, self._limits = other._reviews.copy(), other._counts.copy(), dict(other._limits)

    def _look_back(self, limits: dict[str, float]) -> None:
        """Count the rules of one more review, and those of the oldest no longer."""
        if len(self._reviews) == REVIEWS:
            for rule in self._reviews.popleft():
                self._counts[rule] -= 1
        self._reviews.append(tuple(limits))
        for rule in limits:
            self._counts[rule] += 1
        self._limits |= limits

    def _summary(self) -> dict[str, Any]:
        """Reviews so far, how many altered the weights, and for each rule that did how often, and its last limit."""
        counts = sorted([(rule, count) for rule, count in self._counts.items() if count])
        rules = {rule: {"count": count, "limit": _rounded(self._limits[rule])} for rule, count in counts}
        return {"reviews": len(self._reviews), "altered": sum(map(bool, self._reviews)), "rules": rules}


def desk(
    mode: str,
    wording: Template,
    *,
    symbols: Sequence[str],
    limits: Limits,
    decisions: int,
    dice: bytes,
    donors: Callable[[], Donors],
) -> Feedback:
    """The feedback of one episode.

    Args:
        mode: one of `MODES`.
        wording: the sentence, with $changed, $count, $altered and $reviews in it.
        symbols: the N symbols, in the order of every vector.
        limits: those of the policy: lies quote them.
        decisions: how many there will be to tell of.
        dice: all that chance decides; the same bytes tell the same.
        donors: made only where a placebo is asked for.
    """
    rng = np.random.default_rng(np.frombuffer(dice, dtype=np.uint32))
    sources: dict[str, Callable[[], Source]] = {
        "true": lambda: truth,
        "placebo": lambda: placebo(donors(), rng, decisions),
        "false-audit:alarm": lambda: lambda report: alarm(report, symbols, limits, rng),
        "false-audit:all-clear": lambda: all_clear,
        "false-audit:inverted": lambda: lambda report: inverted(report, symbols),
    }
    return UNTOLD if mode == "hidden" else Desk(sources[mode](), wording)


def mode_named(name: str) -> str:
    """A mode by its name; `false-audit` alone means `false-audit:alarm`.

    Raises:
        UnknownName: there is no such mode.
    """
    full = "false-audit:alarm" if name == "false-audit" else name
    if full not in MODES:
        raise UnknownName("feedback mode", name, (*MODES, "false-audit"))
    return full


def open_wording(home: Path | None = None) -> Template:
    """The sentence of `feedback.txt` in the room `risk`.

    Raises:
        CardError: it cannot be read or filled in.
    """
    path = rooms.cards("risk", home, ".txt")["feedback"]  # one comes with the package
    return wording_in(cards.text_of(path), path)


def wording_in(text: str, path: object) -> Template:
    """The sentence of a wording file.

    Raises:
        CardError: it is empty, or names something that is not known.
    """
    wording = Template(" ".join(text.split()))
    try:
        said = wording.substitute(changed=1, count=2, altered=3, reviews=4)
    except (KeyError, ValueError) as error:
        known = "$changed, $count, $altered and $reviews"
        raise CardError(f"{path}: cannot fill in {error}; the wording may use {known}, and $$ for a dollar") from None
    if not said:
        raise CardError(f"{path}: the wording is empty; write one sentence")
    return wording


@lru_cache(maxsize=1024)
def _sentence(wording: Template, changed: int, count: int, altered: int, reviews: int) -> str:
    """The wording, filled in. The same few numbers come again and again."""
    return wording.substitute(changed=changed, count=count, altered=altered, reviews=reviews)


def _told(finding: Finding) -> dict[str, Any]:
    """A finding in stable field names and three digits."""
    rule, scope, name, proposed, approved, limit, severity = finding
    return {
        "rule": rule,
        "scope": scope,
        "name": name,
        "proposed": _rounded(proposed),
        "approved": _rounded(approved),
        "limit": _rounded(limit),
        "severity": severity,
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _gist(changing: list[Finding]) -> str:
    """The gravest three, in a few words."""
    said = [f"{f.rule} {f.name} {f.proposed:.3g} to {f.approved:.3g}".replace("  ", " ") for f in changing[:3]]
    return ", ".join(said) or "unchanged"
