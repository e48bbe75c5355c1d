"""What an agent remembers: its decisions and what it was told of them come in one by one; the last few, and a tally of
all of them, go out.

Bounded, so that a step costs the same however long the run is; and made of what is on record alone, so that playing
the record again makes the same memory again.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from tradearena.agents.figures import first_words
from tradearena.values import Account, Decision, LongRun, Memo

MOST = 5
"""Decisions that are remembered."""

WORDS, LESSON = 100, 300
"""Characters that are remembered: of a rationale, of a reflection."""

UNCHANGED = "unchanged"
"""What is told of an audit that changed nothing."""


class Memory:
    """The memory of one agent in one episode. `so_far` is None before the first decision."""

    def __init__(self) -> None:
        self.so_far: LongRun | None = None
        self._memos: deque[Memo] = deque(maxlen=MOST)

    def add(self, t: int, decision: Decision, told: str | None, account: Account) -> None:
        """Remember the decision of bar t, made with this account, and in a few words what the agent is told of its
        audit."""
        lesson = first_words(decision.reflection, LESSON) if decision.reflection else ""
        rationale = first_words(decision.rationale, WORDS)
        self._memos.append(Memo(t, decision.target, rationale, decision.status, told, lesson))
        run = up_to(self.so_far, account)
        self.so_far = run._replace(
            decisions=run.decisions + 1,
            reviews=run.reviews + (told is not None),
            altered=run.altered + (told not in (None, UNCHANGED)),
        )

    @property
    def recent(self) -> tuple[Memo, ...]:
        """The last decisions, oldest first."""
        return tuple(self._memos)


def up_to(run: LongRun | None, account: Account) -> LongRun:
    """The tally as this account continues it: its NAV, and what was traded since the decision before.

    Traded is the larger of bought and sold, at the price of the fill, over the NAV at the close of the decision that
    follows it: with a decision at every bar, the mean of it is the metric `turnover`.
    """
    run = run or LongRun(account.nav, account.nav)
    fill, peak = account.fill, max(run.peak, account.nav)
    traded = 0.0
    if fill is not None:
        gross, net = float(np.abs(fill.quantity).dot(fill.price)), float(fill.quantity.dot(fill.price))
        traded = (gross + abs(net)) / 2.0 / account.nav
    return run._replace(peak=peak, fall=max(run.fall, 1.0 - account.nav / peak), traded=run.traded + traded)
