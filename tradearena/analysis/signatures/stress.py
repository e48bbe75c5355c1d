"""What becomes of each statistic when the agent is asked again, or its texts are replaced: trajectories with and
without a stress come in; one row for each stress, group, view, probe, kind of anchor and statistic goes out.

A change is of one market path: its value under the stress less its value without, both of the same episodes (window,
dice, feedback mode), each at the anchors of its own NAV or market. Over paths the mean, with the interval of the
sign-flip test. A statistic whose change is about as large as itself, with the other sign, was carried by what the
stress took away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.controls import CONTROLS, controlled
from tradearena.analysis.signatures.design import Design, without_draws
from tradearena.analysis.signatures.partners import LIES, MUTE, NOISES, Found, Held, Partners, Stress, noise_stress
from tradearena.analysis.signatures.probe import Probe
from tradearena.analysis.signatures.study import Row, study
from tradearena.analysis.signatures.trace import Trace
from tradearena.analysis.signflip import fewest, sign_flip
from tradearena.market.noise import Noise

OF_WORDS = ("plan", "reflect", "fused")
"""Views that a control of texts can change."""

TOO_FEW = f"too few paths: {fewest()} would do"
SAME = "no change"
"""To the last bit, in all paths."""


class Change(NamedTuple):
    """One statistic under one stress.

    Attributes:
        stress: its name; `group`, `view`, `probe`, `anchors`, `statistic`, `primary`: as in `study.Row`.
        base, stressed: means over the paths that have both; None where there are none.
        change: their difference, with its interval; None where it cannot be had.
        n: paths that have both.
        verdict: in words.
    """

    stress: str
    group: str
    view: str
    probe: str
    anchors: str
    statistic: str
    primary: bool
    base: float | None
    stressed: float | None
    change: float | None
    interval: tuple[float, float] | None
    n: int
    verdict: str


def changes(
    partners: Partners, probes: Sequence[Probe], design: Design, noises: Sequence[Noise] = NOISES, *, seed: int = 0
) -> Iterator[Change]:
    """Every stress in turn: noise of these sizes and of those on file, lies, answers without words, controls of texts.

    Args:
        noises: sizes that scripted agents are asked again under.
        seed: of the controls.
    """
    bases, values = partners.bases, _Values(probes, without_draws(design))
    sized = {str(noise): noise for noise in (*noises, *partners.noises)}
    for stress in (*map(noise_stress, sized.values()), *LIES, MUTE):
        yield from _compared(stress.name, bases, _asked(partners, stress), values)
    for name in CONTROLS:
        made: list[Found] = [controlled(base.trace, name, seed) for base in bases]
        for change in _compared(name, bases, made, values):
            if change.view in OF_WORDS:
                yield change


def _asked(partners: Partners, stress: Stress) -> list[Found]:
    return [partners.of(base, stress) for base in partners.bases]


class _Values:
    """The rows of a study by what they are of; of the same traces they are worked out once."""

    def __init__(self, probes: Sequence[Probe], design: Design) -> None:
        self.probes, self.design = probes, design
        self._known: dict[tuple[int, ...], Mapping[tuple[str, ...], Row]] = {}

    def of(self, traces: Sequence[Trace]) -> Mapping[tuple[str, ...], Row]:
        """By group, view, probe, anchors, statistic."""
        key = tuple(map(id, traces))
        if key not in self._known:
            self._known[key] = self.fresh(traces)
        return self._known[key]

    def fresh(self, traces: Sequence[Trace]) -> Mapping[tuple[str, ...], Row]:
        """The same, not kept."""
        return {tuple(map(str, row[:5])): row for row in study(traces, self.probes, self.design)}


def _compared(stress: str, bases: Sequence[Held], made: Sequence[Found], values: _Values) -> Iterator[Change]:
    """Of the groups in which somebody was stressed those episodes take part that were; whoever was not stays as he is,
    since probes are fitted on others."""
    groups: dict[str, list[Found]] = {}
    for base, found in zip(bases, made, strict=True):
        groups.setdefault(base.trace.group, []).append(found)
    reached = {group for group, found in groups.items() if any(isinstance(each, Trace) for each in found)}
    kept = [
        (base.trace, found if isinstance(found, Trace) else base.trace)
        for base, found in zip(bases, made, strict=True)
        if isinstance(found, Trace) or base.trace.group not in reached
    ]
    before = values.of([base for base, _ in kept])
    after = values.fresh([found for _, found in kept]) if reached else before
    for key, row in before.items():
        if row.group in reached:
            yield _change(stress, row, after[key])
        else:
            why = next(each for each in groups[row.group] if isinstance(each, str))
            yield Change(stress, *row[:6], row.value, None, None, None, 0, row.verdict if row.value is None else why)


def _change(stress: str, before: Row, after: Row) -> Change:
    one, other = dict(before.by_cluster), dict(after.by_cluster)
    both: list[Window] = sorted(one.keys() & other.keys())
    if not both:
        silent = before if not one else after
        return Change(stress, *before[:6], before.value, after.value, None, None, 0, silent.verdict)
    effect = sign_flip([other[path] - one[path] for path in both])
    base, stressed = (sum(side[path] for path in both) / len(both) for side in (one, other))
    verdict = {"too small": TOO_FEW, "degenerate": SAME}.get(effect.verdict, "estimated")
    return Change(stress, *before[:6], base, stressed, effect.mean, effect.interval, len(both), verdict)
