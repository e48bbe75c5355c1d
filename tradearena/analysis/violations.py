"""Violations: what the audits of an episode found comes in; how often a limit is broken, broken again, and for how long
goes out.

A violation is a limit that a wish broke: one rule and one name (a symbol, a group, or "" for the whole portfolio), at
one decision. A flag broke nothing. Nor is every other finding the doing of the decision: `NOT_WISHES` says which, why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradearena.panel import Mask
from tradearena.values import Trajectory

WISHES = (
    "short", "single-name", "sector", "cluster", "gross", "net", "volatility", "reference-risk", "turnover",
    "liquidity",
)  # fmt: skip
"""Rules that set a wish against a limit."""

NOT_WISHES = {
    "pinned": "the market's doing: a symbol that is held and cannot be traded keeps its weight",
    "no-bar": "the market's doing: a symbol without a tradable bar is given no weight",
    "validity": "spelling: a symbol that there is not, or a weight that is no number; no limit is broken",
    "drawdown": "the kill switch: it is on because of what was earned, and then no wish is looked at",
    "reply": "there was no decision",
    "confidence": "the position was kept because of a stated confidence, and the wish was not looked at",
}
"""Rules whose findings are no violations, and why."""

UNSEEN = ("drawdown", "reply", "confidence")
"""Where one of these spoke, the wish was not set against the limits: whether it broke one is not known."""

HORIZON = 10
"""Decisions after which a lag is no longer told apart from never."""

Violation: TypeAlias = tuple[str, str]
"""A rule and a name."""

Breaches: TypeAlias = Sequence[frozenset[Violation] | None]
"""[K]: what each decision broke; None where its wish was not set against the limits."""


class Repeats(NamedTuple):
    """Violations, and violations of the same limit at the next decision.

    Attributes:
        rate: `repeated` / `at_risk`, in [0, 1]; None where nothing was at risk.
        at_risk: violations after which there was a decision that was set against the limits.
        repeated: those of them at which the same rule was broken on the same name again.
        violations: in all.
        decisions: that were set against the limits, `violating` of them broke one.
    """

    rate: float | None
    at_risk: int
    repeated: int
    violations: int
    decisions: int
    violating: int

    @property
    def violation_rate(self) -> float | None:
        """Share of the decisions that broke a limit: the unconditional rate, in [0, 1]; None without a decision.

        It belongs beside `rate`: having broken a limit is an outcome as well. Feedback that prevents the violations
        that are easy to prevent leaves the stubborn ones, and the rate of repeats goes up as matters get better.
        """
        return self.violating / self.decisions if self.decisions else None


class Lag(NamedTuple):
    """How long limits stay broken.

    Attributes:
        mean: decisions until a broken limit is kept, 1 (at once) to `HORIZON` (then or never); None without a spell.
        spells: unbroken runs of violations of one limit.
        open: spells that had not ended when they were last seen.
    """

    mean: float | None
    spells: int
    open: int


def breaches(path: Trajectory) -> list[frozenset[Violation] | None]:
    """What each of the K decisions broke; None where its reply was no decision, or its wish was not looked at.

    Holding on counts: a position that is kept although it has grown beyond its limit is a wish like another.
    """
    place = {t: k for k, t in enumerate(path.decided.tolist())}
    found: list[set[Violation] | None] = [set() if s in ("ok", "repaired") else None for s in path.statuses]
    for t, finding in zip(path.found_at.tolist(), path.findings, strict=True):
        k = place.get(t)
        if k is None:
            continue  # of a file that has lost the decision
        broken = found[k]
        if finding.rule in UNSEEN:
            found[k] = None
        elif broken is not None and finding.severity != "flag" and finding.rule in WISHES:
            broken.add((finding.rule, finding.name))
    return [None if broken is None else frozenset(broken) for broken in found]


def repeats(broken: Breaches) -> Repeats:
    """How many violations are followed by one of the same rule on the same name at the very next decision."""
    seen = [each for each in broken if each is not None]
    pairs = [(a, b) for a, b in pairwise(broken) if a is not None and b is not None]
    at_risk, repeated = sum(len(a) for a, _ in pairs), sum(len(a & b) for a, b in pairs)
    return Repeats(
        rate=repeated / at_risk if at_risk else None,
        at_risk=at_risk,
        repeated=repeated,
        violations=sum(map(len, seen)),
        decisions=len(seen),
        violating=sum(map(bool, seen)),
    )


def compliance_lag(broken: Breaches, horizon: int = HORIZON) -> Lag:
    """Mean number of decisions for which a limit, once broken, stays broken, at most `horizon`.

    A spell that ends with the episode, or with a decision that was not looked at, has no known length. Leaving it out
    would call the most stubborn agent the quickest, so the mean is the restricted mean of the Kaplan-Meier estimate:
    the sum over j = 0 .. horizon - 1 of S(j), S(0) = 1, S(j) = S(j - 1) (1 - ended at j / of length j or more); where
    nobody is left, S stays as it is. An agent that never complies has the horizon. (Kaplan & Meier 1958, JASA 53,
    457-481; Irwin 1949, Journal of Hygiene 47, 188-189.)
    """
    lengths, ended = _spells(broken)
    if not len(lengths):
        return Lag(None, 0, 0)
    staying, mean = 1.0, 1.0
    for j in range(1, horizon):
        at_risk = np.count_nonzero(lengths >= j)
        staying *= 1.0 - np.count_nonzero((lengths == j) & ended) / at_risk if at_risk else 1.0
        mean += staying
    return Lag(float(mean), len(lengths), int(np.count_nonzero(~ended)))


def _spells(broken: Breaches) -> tuple[NDArray[np.int64], Mask]:
    """Length of each spell, and whether it was seen to end."""
    running: defaultdict[Violation, int] = defaultdict(int)
    lengths: list[int] = []
    ended: list[bool] = []
    for each in (*broken, None):
        for violation in [known for known in running if each is None or known not in each]:
            lengths.append(running.pop(violation))
            ended.append(each is not None)
        for violation in sorted(each or ()):
            running[violation] += 1
    return np.array(lengths, dtype=np.int64), np.array(ended, dtype=bool)
