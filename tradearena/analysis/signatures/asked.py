"""The trace of an agent that was asked in memory: what came of its episode comes in, a `Trace` goes out."""

from __future__ import annotations

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.trace import Texts, Trace, trace_of
from tradearena.arena.tally import Tally


def asked(episode: str, group: str, window: Window, tally: Tally) -> Trace:
    """The trace of an episode that was not recorded.

    Args:
        episode: its name.
        group: whose it is looked at with.
        window: bars of its market path.
        tally: what came of it.
    """
    said = [step.decision for step in tally.steps]
    texts = Texts([each.rationale for each in said], [each.reflection or "" for each in said])
    return trace_of(episode, group, window, tally.trajectory(), tally.panel, texts)
