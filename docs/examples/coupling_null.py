"""How often the blind spot is found where there is none: a file with coupled groups on record comes in; portfolios that
know nothing of them are drawn, and the share of those with an interval above 0 and below 0 goes out.

    python docs/examples/coupling_null.py FILE [DRAWS]

Each portfolio holds five symbols, drawn at random and drawn again after so many decisions. The groups are those on
record of the first episode of the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tradearena.analysis.signatures.blindspot import blocks
from tradearena.analysis.signatures.coupling import coupling, in_force, refreshes
from tradearena.analysis.signflip import sign_flip
from tradearena.panel import Array
from tradearena.policy import Policy
from tradearena.store.reader import Reader

HELD = 5
KEPT = (1, 5, 20, 60)
"""Decisions for which a draw is kept; also drawn once for the whole run."""


def drawn(dice: np.random.Generator, decisions: int, symbols: int, kept: int) -> Array:
    """[K, N] weights of one agent: five symbols, each with four fifths of the weight of the one before."""
    weights = np.zeros((decisions, symbols))
    phase = int(dice.integers(kept)) if kept < decisions else 0
    for begin in range(-phase, decisions, kept):
        chosen = dice.choice(symbols, HELD, replace=False)
        weights[max(begin, 0) : begin + kept, chosen] = 0.8 ** np.arange(HELD)
    return weights


def main() -> None:
    """Draw and print."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: python coupling_null.py FILE [DRAWS]")
    draws = int(sys.argv[2]) if len(sys.argv) == 3 else 1_000
    with Reader(Path(sys.argv[1])) as reader:
        row, n = reader.episodes()[0], len(reader.experiment().symbols)
        limits = Policy.model_validate(reader.experiment().policy).limits
        decided = reader.trajectory(row.id).decided.tolist()
        rows = reader.db.execute("SELECT t, labels FROM cluster WHERE episode = ?", [row.id]).fetchall()
    known = [t for t in decided if t >= refreshes(decided, limits)[0]]
    labels = in_force(known, {t: np.array(each, dtype=np.int16) for t, each in rows}, n)
    nowhere, true = np.full(len(known), -1, dtype=np.int16), np.ones(len(known), dtype=bool)
    lengths = (limits.cluster_lookback // 3, limits.cluster_lookback)
    places = [np.searchsorted(blocks(known, length), known, side="right") - 1 for length in lengths]
    heads = [f"{max(place) + 1} blocks of {length}" for place, length in zip(places, lengths, strict=True)]
    print(f"| kept for | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for kept in (*KEPT, len(known)):
        dice, found = np.random.default_rng(kept), np.zeros((len(places), 2))
        for _ in range(draws):
            weights = drawn(dice, len(known), n, kept)
            had = coupling(weights, weights, labels, nowhere, true)
            excess = had.doubled - had.chance
            for side, place in zip(found, places, strict=True):
                means = np.bincount(place, excess) / np.bincount(place)
                low, high = sign_flip(means, resamples=2_000).interval or (0.0, 0.0)
                side += low > 0.0, high < 0.0
        cells = " | ".join(f"{above:.3f} above, {below:.3f} below" for above, below in found / draws)
        print(f"| {kept} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
