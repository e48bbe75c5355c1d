"""Small trajectories: what a test does not speak of is as quiet as can be."""

from __future__ import annotations

import numpy as np

from tradearena.values import Finding, Trajectory


def finding(rule, name="", *, severity="major"):
    return Finding(rule, "symbol" if name else "portfolio", name, 0.5, 0.2, 0.2, severity)


def path_of(findings=None, *, intent=None, approved=None, statuses=None, confidence=None, nav=None, first=5):
    """K decisions at bars `first`, `first` + 1, ..., and one bar more; the intent book is worth `nav` [K + 1]."""
    n = next(len(each) for each in (findings, intent, statuses) if each is not None)
    findings = findings or [[] for _ in range(n)]
    intent = np.zeros((n, 2)) if intent is None else np.array(intent, dtype=float)
    value = np.ones(n + 1) if nav is None else np.array(nav, dtype=float)
    bars = np.arange(first, first + n + 1, dtype=np.int32)
    none = np.zeros(0)
    return Trajectory(
        decided=bars[:-1],
        intent=intent,
        approved=intent if approved is None else np.array(approved, dtype=float),
        statuses=statuses or ("ok",) * n,
        confidence=confidence or (None,) * n,
        found_at=np.array([first + k for k, each in enumerate(findings) for _ in each], dtype=np.int32),
        findings=tuple(found for each in findings for found in each),
        marked=bars,
        nav=value,
        intent_nav=value,
        approved_nav=value,
        reference_nav=value,
        borrow=np.zeros(n + 1),
        filled_at=np.zeros(0, dtype=np.int32),
        ordered=none,
        filled=none,
        bought=none,
        sold=none,
        cost=none,
        initial_cash=1.0,
        bars_per_year=252.0,
    )
