"""What an agent remembers: its decisions and what it was told of them come in one by one, the last few go out.

Bounded, so that a step costs the same however long the run is; and made of what is on record alone, so that playing
the record again makes the same memory again.
"""

from __future__ import annotations

from collections import deque

from tradearena.values import Decision, Memo

MOST = 5
"""Decisions that are remembered."""

WORDS = 100
"""Characters of a rationale that are remembered."""


class Memory:
    """The memory of one agent in one episode."""

    def __init__(self) -> None:
        self._memos: deque[Memo] = deque(maxlen=MOST)

    def add(self, t: int, decision: Decision, told: str | None) -> None:
        """Remember the decision of bar t, and in a few words what the agent is told of its audit."""
        self._memos.append(Memo(t, decision.target, _first_words(decision.rationale), decision.status, told))

    @property
    def recent(self) -> tuple[Memo, ...]:
        """The last decisions, oldest first."""
        return tuple(self._memos)


def _first_words(text: str) -> str:
    """The beginning of a text, in one line: nothing in it can pass for a section of a prompt."""
    line = " ".join(text[: 2 * WORDS].split())
    return line if len(line) <= WORDS else line[: WORDS + 1].rsplit(" ", 1)[0][:WORDS] + "…"
