"""Small traces: texts and a NAV come in; what a test does not speak of is as quiet as can be."""

from __future__ import annotations

import numpy as np

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.trace import RISK, Said, Trace

WORDS = np.array(
    [a + b + c for a in ("ba", "ko", "ri", "tem") for b in ("lu", "sha", "ne", "or") for c in ("x", "da", "m")]
)


def trace(
    texts, nav=None, *, group="a, hidden", episode="e", path="p", reflect=None, intent=None, risk=None, market=None
):
    """K decisions, one bar apart from bar 20 on; without a NAV nothing is lost or won."""
    n = len(texts)
    given = [np.ones(n) if each is None else np.array(each, dtype=float) for each in (nav, market)]
    return Trace(
        episode=episode,
        group=group,
        window=Window(path, 20, 20 + n),
        decided=np.arange(20.0, 20.0 + n),
        plan=tuple(map(Said, texts)),
        reflect=tuple(map(Said, reflect or [""] * n)),
        intent=np.zeros((n, 2)) if intent is None else np.array(intent, dtype=float),
        risk=np.zeros((n, len(RISK))) if risk is None else np.array(risk, dtype=float),
        nav=given[0],
        market=given[1],
        volatility=np.full(n, 0.01),
        momentum=np.zeros(n),
    )


def prattle(rng, n, words=30):
    """n texts of words drawn at random: nothing in them knows of the market or of each other."""
    return [" ".join(rng.choice(WORDS, words)) for _ in range(n)]


def walk(rng, n, scale=0.01):
    """[n] NAV of a random walk."""
    return np.exp(np.cumsum(rng.normal(0.0, scale, n)))
