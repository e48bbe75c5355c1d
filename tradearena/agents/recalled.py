"""What an agent remembers comes in; the sections of a prompt that say so go out, within a bound.

The bound is in characters, of which there are at least 1.8 to a token of such text (`docs/examples/tokens.py`; where
it is Chinese, about one): `BOUND` is some 6,000 tokens. It holds whatever the number of symbols and the length of what
was said; an episode of some fifty symbols stays far below it.
"""

from __future__ import annotations

import numpy as np

from tradearena.agents.figures import first_words, time_said, weights_said
from tradearena.agents.memory import LESSON, MOST, up_to
from tradearena.panel import Array, Panel
from tradearena.values import LongRun, Memo, Observation

SO_FAR, DECISIONS = "# So far", "# Your last decisions"
"""Headings, in this order, of the tally of the whole run and of the last few decisions."""

ASKED, GIST = "asked for ", " Risk review: "
"""In the line of a remembered decision: before the weights, as JSON, and before what was told of it, to the end."""

LINE, TOLD = 2_000, 600
"""Characters of the line of one remembered decision, and in it of what was told of its audit."""

BOUND = MOST * (LINE + 1) + LESSON + 400
"""Characters of both sections together."""


def line_of(memo: Memo, bars: Panel) -> str:
    """One remembered decision. Where there are more weights than it has room for, the largest are said."""
    begin = f"- {time_said(bars, memo.t)}: "
    said = f' You said: "{memo.rationale}"' if memo.rationale else ""
    told = "" if memo.told is None else f"{GIST}{memo.told}."
    if len(told) > TOLD:
        told = f"{GIST}{first_words(memo.told or '', TOLD - len(GIST) - 2)}."
    if memo.target is None:
        asked = "kept the position" if memo.status == "ok" else f"reply unusable ({memo.status}), position kept"
    else:
        asked = ASKED + _asked(memo.target, bars.symbols, LINE - len(begin + ASKED + said + told))
    return f"{begin}{asked}.{said}{told}"


def so_far(observation: Observation, *, summary: bool, reflection: bool) -> str:
    """The tally of the whole run up to now, and what the agent noted with its last decision; "" where there is neither.

    Its audits are in it as far as it was told of them: where it is told nothing, nothing of them is counted.
    """
    lines = []
    if summary and observation.so_far is not None:
        lines.append(_tally(up_to(observation.so_far, observation.account), observation.account.nav))
    if reflection and observation.memory and observation.memory[-1].reflection:
        lines.append(f'You noted: "{observation.memory[-1].reflection}"')
    return "\n".join((SO_FAR, *lines)) if lines else ""


def _tally(run: LongRun, nav: float) -> str:
    """The whole run in one line, in fractions."""
    count = run.decisions
    earned = f"return {nav / run.start - 1.0:.3g}, deepest fall {run.fall:.3g}"
    said = f"{count} decision{'s' * (count != 1)}: {earned}, turnover {run.traded / count:.3g} a decision."
    return f"{said} Risk reviews: {run.reviews}, of which {run.altered} changed your targets." if run.reviews else said


def _asked(target: Array, symbols: tuple[str, ...], room: int) -> str:
    """Weights as JSON: all of them, or the largest there is room for."""
    said = weights_said(target, symbols)
    if len(said) < room:
        return said
    stated = kept = int(np.count_nonzero(target))
    largest = (-np.abs(target)).argsort(kind="stable")
    room -= len(f" and {stated} smaller.")
    while kept and len(said) > room:
        kept = min(kept - 1, kept * room // len(said))
        part = np.zeros_like(target)
        part[largest[:kept]] = target[largest[:kept]]
        said = weights_said(part, symbols)
    return f"{said} and {stated - kept} smaller"
