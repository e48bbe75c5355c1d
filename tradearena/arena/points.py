"""The design of forked steps: episodes on file come in; at steps drawn in advance the same state is put to the agent in
every mode, and a programme of these single steps goes out.

Two runs in two modes drift apart: after a few decisions they differ in what they hold, and not only in what they were
told. Here they do not: all modes share every step before the one that is measured, and differ in the told text alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from tradearena.agents.card import Candidate
from tradearena.arena.branch import Branches, Trunk, fork
from tradearena.arena.origin import Carry
from tradearena.arena.plan import Planned
from tradearena.errors import UsageError


def drawn(trunk: Trunk, count: int, gap: int, seed: int) -> list[int]:
    """Bars of at most `count` decisions of a trunk, in order: each right after a decision that a rule changed, at least
    `gap` bars from the others. They are drawn by seed and by the trunk's name, before anybody is asked there."""
    steps = [held.step for held in trunk.steps]
    found = [step.t for before, step in pairwise(steps) if before.report.gated]
    name = f"points {seed} {trunk.experiment} {trunk.row.id}"
    dice = np.random.default_rng(np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint32))
    chosen: list[int] = []
    for t in dice.permutation(found).tolist():
        if len(chosen) < count and all(abs(t - other) >= gap for other in chosen):
            chosen.append(t)
    return sorted(chosen)


def forked_steps(
    trunks: Sequence[Trunk],
    candidate_of: Callable[[Trunk], Candidate],
    *,
    modes: Sequence[str],
    wording: str,
    points: int,
    seed: int = 0,
    carry: Carry = "rewritten",
) -> Branches:
    """One step in each mode at each point of each trunk; all trunks are of one file.

    Args:
        candidate_of: who decides; the one the trunk was made with.
        modes: all that are compared.
        wording: the sentence audits are told in.
        points: at most so many of each trunk, a lookback apart.
        seed: of the draw.
        carry: what of earlier feedback is remembered: by default as if the mode had always held.

    Raises:
        UsageError: no trunk has a decision that follows one that a rule changed.
    """
    episodes: list[Planned] = []
    for trunk in trunks:
        candidate = candidate_of(trunk)
        for at in drawn(trunk, points, candidate.warmup + 1, seed):
            made = fork(
                trunk, at, candidate, modes=modes, seeds=(trunk.row.seed,), policy=trunk.policy, wording=wording,
                steps=1, carry=carry,
            )  # fmt: skip
            episodes += made.episodes
    if not episodes:
        raise UsageError(
            "no rule changed a decision of these trunks, so there is no step at which telling could matter"
        )
    first = trunks[0]
    rule = f"forked steps of {first.experiment} points={points} seed={seed} carry={carry}"
    return Branches(first.dataset, first.policy, rule, tuple(episodes))
