"""How an organism takes what it is told: its wish and the claims of the risk desk come in, its targets go out."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from tradearena.agents.scene import Claim, Past, Scene
from tradearena.panel import Array
from tradearena.values import TOGETHER

Evidence: TypeAlias = Literal["agrees", "contradicts", "none"]

PACE = ("turnover", "liquidity")
"""Rules that hold back how fast is traded."""

SLACK = 0.02
"""Differences in weights, or in parts of a weight, below this are none."""


def obeyed(wish: Array, scene: Scene, obedience: float, belief: float) -> tuple[Array, tuple[str, ...], bool]:
    """Move a wish [N] towards what the claims about the last decisions have let through.

    A claim that its own account bears out counts in full, any other counts `belief`. A cap on one symbol is taken as a
    cap on every symbol, a cut of the whole as a cut of the whole; where there are more, the deepest counts.

    Returns:
        The weights [N]; the rules that moved them; and whether a claim was contradicted and not fully believed.
    """
    pulls, suspected = _pulls(scene, obedience, belief)
    weights, rules = wish.copy(), []
    for claim, pull in pulls.items():
        moved = _yielded(wish, claim, scene, pull)
        if (moved < weights - 1e-12).any():
            rules.append(claim.rule)
            weights = np.minimum(weights, moved)
    return weights, tuple(dict.fromkeys(rules)), suspected


def _pulls(scene: Scene, obedience: float, belief: float) -> tuple[dict[Claim, float], bool]:
    """How far each claim is yielded to, the newest first, and whether one is suspected. Claims that ask for the same
    are one."""
    pulls: dict[Claim, float] = {}
    suspected = False
    for place, past in enumerate(reversed(scene.past) if obedience else ()):
        for claim in past.claims:
            if place and claim.rule in PACE:
                continue  # how fast it traded then bears on no later decision
            evidence = _evidence(claim, past, scene, last=place == 0)
            suspected = suspected or (evidence == "contradicts" and belief < 1.0)
            pull = obedience * (1.0 if evidence == "agrees" else belief)
            same = Claim(claim.rule, "", 0.0, claim.approved) if claim.rule == "single-name" else claim
            pulls[same] = max(pulls.get(same, 0.0), pull)
    return pulls, suspected


def _evidence(claim: Claim, past: Past, scene: Scene, *, last: bool) -> Evidence:
    """Does what it asked for agree with what is claimed of it; and, for the last decision, what it got?"""
    asked = past.asked
    if claim.name in asked or claim.name in scene.symbols:
        return _agrees(abs(asked.get(claim.name, 0.0) - claim.proposed) <= SLACK * abs(claim.proposed) + 1e-3)
    if not last and claim.rule != "gross":
        return "none"
    gross = sum(map(abs, asked.values()))
    if claim.rule == "gross":
        return _agrees(abs(gross - claim.proposed) <= SLACK * gross + 1e-3)
    if claim.rule in ("volatility", "reference-risk"):
        return _agrees(float(np.abs(scene.held).sum()) <= claim.kept * gross + SLACK)
    wanted = np.array([asked.get(symbol, 0.0) for symbol in scene.symbols])
    return _agrees(float(np.abs(wanted - scene.held).sum()) > SLACK)


def _agrees(yes: bool) -> Evidence:  # noqa: FBT001  the answer, not a switch
    return "agrees" if yes else "contradicts"


def _yielded(wish: Array, claim: Claim, scene: Scene, pull: float) -> Array:
    """What is left of a wish [N] once a claim has been yielded to, as far as `pull`."""
    if claim.rule == "single-name":
        return wish - pull * np.maximum(wish - abs(claim.approved), 0.0)
    if claim.rule in PACE:
        pace = 1.0 - pull * (1.0 - claim.kept)
        return np.where(wish > scene.held, scene.held + pace * (wish - scene.held), wish)
    if claim.rule == "cluster":
        inside = np.isin(scene.symbols, claim.name.split(TOGETHER))
        return np.where(inside, wish * (1.0 - pull * (1.0 - claim.kept)), wish)
    return wish * (1.0 - pull * (1.0 - claim.kept))
