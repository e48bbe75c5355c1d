"""The trail of an audit: what its rules say and take comes in, one after the other; findings and clips go out."""

from __future__ import annotations

import numpy as np

from tradearena.panel import Array
from tradearena.values import Clip, Finding, Scope, Severity

RULES = (
    "reply", "confidence", "pinned", "drawdown", "no-bar", "short", "single-name", "sector", "cluster", "gross", "net",
    "volatility", "reference-risk", "turnover", "liquidity",
)  # fmt: skip
"""Those that take something from the weights, in the order they work."""


class Trail:
    """What the rules said of one decision, and what each took from its weights, in the order they worked."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.clips: list[Clip] = []

    def say(self, finding: Finding) -> None:
        """Keep a finding."""
        self.findings.append(finding)

    def clip(self, rule: str, before: Array, after: Array) -> Array:
        """Keep what a rule took, and hand back what it left [N]. What it left as it was, to the bit, is no clip; what
        it took within the tolerance is one without a finding, so that clips always sum to the whole way."""
        self.take(rule, after - before)
        return after

    def take(self, rule: str, moved: Array) -> None:
        """Keep what a rule moved [N], if it moved anything."""
        if np.count_nonzero(moved):
            self.clips.append(Clip(rule, moved))


class _Silent(Trail):
    """Keeps nothing."""

    def say(self, finding: Finding) -> None:
        """Nothing."""

    def clip(self, rule: str, before: Array, after: Array) -> Array:  # noqa: ARG002
        """What the rule left [N]."""
        return after

    def take(self, rule: str, moved: Array) -> None:
        """Nothing."""


SILENT = _Silent()
"""The trail of the forced reductions: there is none, they are not the decision's doing."""


def changed(rule: str, scope: Scope, name: str, proposed: float, approved: float, limit: float) -> Finding:
    """A finding that changed weights: minor up to a quarter beyond its limit, major above."""
    excess = abs(proposed) - abs(limit)
    severity: Severity = "minor" if excess <= 0.25 * abs(limit) else "major"
    return Finding(rule, scope, name, proposed, approved, limit, severity)
