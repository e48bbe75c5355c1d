"""Where the money of an episode came from: an episode on file comes in; what each decision earned or lost in each
symbol goes out, part by part, from what was wished to what was had.

For a decision in force from the close of bar d to the close of the bar of the next one, with V the NAV of the executed
book at the close before each bar and c(w) the contribution of a symbol to the return of a frictionless book that takes
the weights w at the open of bar d + 1 (as the paper books do):

    intent       V c(intent)
    risk: rule   V (c(after the rule) - c(before it)), for each rule of the audit in the order they work
    execution    what the position held earned, less V c(approved): latency, partial fills, drift
    commission, spread, impact, borrow    as paid, negative

They add up to what the executed book earned in that symbol, and over the symbols to the change of its NAV. The chain is
that of Brinson-type attributions (Brinson, Hood & Beebower 1986), with rules in the place of managers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from tradearena.arena.verify import replayed, sound
from tradearena.arena.witness import Differs
from tradearena.errors import StoreError
from tradearena.panel import Array, Panel, ratio
from tradearena.risk.trail import RULES
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.steps import UNREADABLE, Story, story_of
from tradearena.values import Clip, Fill, Mark, Step

RISK = "risk: "
PAID = ("commission", "spread", "impact", "borrow")


class Waterfall(NamedTuple):
    """Money by decision, part and symbol.

    Attributes:
        decided: bars of the D decisions.
        parts: names of the P parts, from intent to the last cost.
        money: [D, P, N]; costs are negative.
        nav: of the executed book at the first close; with all money added it is that at the last.
    """

    decided: tuple[int, ...]
    parts: tuple[str, ...]
    money: Array
    nav: float

    @property
    def totals(self) -> dict[str, float]:
        """Money by part."""
        return dict(zip(self.parts, self.money.sum(axis=(0, 2)).tolist(), strict=True))


def waterfall_of(reader: Reader, row: EpisodeRow) -> Waterfall:
    """The waterfall of an episode on file, whose chain and seal must hold. One without a seal, or of an earlier
    version, which did not put on record what each rule took, is played again for it.

    Raises:
        StoreError: it holds no step, or does not come out the same again.
    """
    try:
        story = story_of(reader, row.id)
        if not story.steps:
            raise StoreError(f"{reader.path}: episode {row.id} holds no step yet")
        return attribute(reader.panel(), story, _trails(reader, row, story))
    except (Differs, *UNREADABLE):
        raise StoreError(
            f"{reader.path}: episode {row.id} does not come out the same again; see `tradearena replay --verify`"
        ) from None


def _trails(reader: Reader, row: EpisodeRow, story: Story) -> list[tuple[Clip, ...]]:
    """What the rules took at each step."""
    if row.clipped and row.seal is not None:
        sound(reader, row, story)
        return [held.step.report.trail for held in story.steps]
    with threadpool_limits(limits=1, user_api="blas"):
        return replayed(reader, row, story).trails


def attribute(panel: Panel, story: Story, trails: Sequence[tuple[Clip, ...]]) -> Waterfall:
    """The waterfall of an episode; `trails` are what the rules took at each of its steps."""
    steps = [held.step for held in story.steps]
    marks = [mark for step in steps for mark in step.marks] + list(story.marks)
    decided, nav = tuple(step.t for step in steps), np.array([mark.nav for mark in marks])
    took = {clip.rule for trail in trails for clip in trail}
    rules = sorted(took, key=RULES.index)
    weights = np.stack([_after_each(step, trail, rules) for step, trail in zip(steps, trails, strict=True)])
    earned = _paper(panel, marks[0].t, len(marks) - 1, decided, weights) * nav[:-1, None, None]
    gross, paid = _executed(panel, marks, [fill for step in steps for fill in step.fills] + list(story.fills))
    bars = np.concatenate((earned[:, :1], np.diff(earned, axis=1), (gross - earned[:, -1])[:, None], -paid), axis=1)
    in_force = np.searchsorted(decided, np.arange(marks[0].t + 1, marks[-1].t + 1)) - 1
    money = np.zeros((len(decided), *bars.shape[1:]))
    np.add.at(money, in_force, bars)
    return Waterfall(
        decided, ("intent", *(f"{RISK}{rule}" for rule in rules), "execution", *PAID), money, float(nav[0])
    )


def _after_each(step: Step, trail: tuple[Clip, ...], rules: Sequence[str]) -> Array:
    """[1 + rules, N]: the weights as wished, and after each rule; the last are those approved."""
    moved = {clip.rule: clip.moved for clip in trail}
    weights = [step.report.intent]
    for rule in rules:
        weights.append(weights[-1] + moved[rule] if rule in moved else weights[-1])
    weights[-1] = step.report.approved if rules else weights[-1]  # the sum of the clips, but for rounding
    return np.array(weights)


def _paper(panel: Panel, first: int, bars: int, decided: Sequence[int], weights: Array) -> Array:
    """[bars, B, N]: what each symbol contributes to the return of B frictionless books, at each bar after the first.
    Each takes the weights [D, B, N] of a decision at the open of the bar after it, and drifts until the next."""
    taken = {t + 1: weights[d] for d, t in enumerate(decided)}
    shape = weights.shape[1:]
    cash, shares, found = np.ones(shape[0]), np.zeros(shape), np.zeros((bars, *shape))
    for k, t in enumerate(range(first + 1, first + bars + 1)):
        value = cash + (shares * panel.mark[t - 1]).sum(axis=1)
        if t in taken:
            price = panel.opening[t]
            earned = shares * (price - panel.mark[t - 1])
            opened = np.maximum(value + earned.sum(axis=1), 0.0)
            shares = ratio(taken[t] * opened[:, None], price)
            cash = opened - (shares * price).sum(axis=1)
            earned = earned + shares * (panel.mark[t] - price)
        else:
            earned = shares * (panel.mark[t] - panel.mark[t - 1])
        found[k] = np.divide(earned, value[:, None], out=np.zeros(shape), where=value[:, None] > 0.0)
        lost = cash + (shares * panel.mark[t]).sum(axis=1) <= 0.0
        cash[lost], shares[lost] = 0.0, 0.0
    return found


def _executed(panel: Panel, marks: Sequence[Mark], fills: Sequence[Fill]) -> tuple[Array, Array]:
    """What the position earned, [bars, N], and what was paid for it, [bars, costs, N], at each bar after the first."""
    n, done = len(panel.symbols), {fill.t: fill for fill in fills}
    shares, gross, paid = np.zeros(n), np.zeros((len(marks) - 1, n)), np.zeros((len(marks) - 1, len(PAID), n))
    for k, mark in enumerate(marks[1:]):
        t, price, fill = mark.t, panel.opening[mark.t], done.get(mark.t)
        gross[k] = shares * (price - panel.mark[t - 1])
        if fill is not None:
            shares = shares + fill.quantity
            paid[k, :3] = fill.commission, fill.spread, fill.impact
        gross[k] += shares * (panel.mark[t] - price)
        short = np.maximum(-shares, 0.0) * panel.mark[t]
        if mark.borrow > 0.0:
            paid[k, 3] = mark.borrow * short / short.sum()
    return gross, paid
