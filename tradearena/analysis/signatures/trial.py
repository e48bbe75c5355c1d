"""The signatures, tried on agents whose truth is known: what is planted and the seeds of markets come in; what the
study says of each goes out. Everything is in memory, nothing is recorded.

**Nulls**, one market path each, on which nothing may be found:
`shuffled`: texts and wishes of a path, permuted over its steps; `elsewhere`: those of the same agent on another market,
autocorrelated as they are, and independent of this one; `reactive`: an organism whose words follow past returns and
volatility, and never contract.

**Planted**: contraction of words (`collapsing`) or wishes (`narrowing`) by so much, so many steps ahead of a losing
position (anchors of one's own NAV), or of a fall of the market that volume announces (market anchors); and `steady`,
who trades as `collapsing` does and says what it always says.

The bars of a seed are a `batch` of paths: what has to be fitted on other paths is fitted on the others of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tradearena.agents.card import AgentCard
from tradearena.analysis.asked import Market
from tradearena.analysis.pairs import Window as Path
from tradearena.analysis.signatures.asked import asked
from tradearena.analysis.signatures.design import Design
from tradearena.analysis.signatures.lexical_probes import HashProbe, LsaProbe
from tradearena.analysis.signatures.measures import PRIMARY
from tradearena.analysis.signatures.probe import Probe
from tradearena.analysis.signatures.published import published, speaks
from tradearena.analysis.signatures.study import study
from tradearena.analysis.signatures.trace import Trace
from tradearena.market.design import Design as Bars
from tradearena.market.synthetic import panel_of
from tradearena.market.window import Window
from tradearena.policy import Policy

Null: TypeAlias = Literal["shuffled", "elsewhere", "reactive"]

NULLS: tuple[Null, ...] = ("shuffled", "elsewhere", "reactive")

Planting: TypeAlias = Literal["collapsing", "narrowing", "steady"]

QUIET: dict[str, Any] = {"market": 0.08, "sector": 0.05, "residual": 0.12}
"""Volatilities of a market that costs less than a losing position does."""

COMMISSION = 60.0
"""Basis points of a fill, so that to buy the weakest anew at every bar is dear: some 1 % of NAV each time."""

DELIBERATE: dict[str, Any] = {"signal": "calm", "lookback": 60, "noise": 0.1, "cycle": 40, "hold": 8}
"""Of an organism that trades little until it takes a losing position on purpose."""

WATCHFUL: dict[str, Any] = {"signal": "momentum", "alert": 0.7}
"""Of one that knows a precursor when it sees it."""


class Planted(NamedTuple):
    """What an organism does, how strongly, how many steps ahead, and of which trouble."""

    what: Planting
    strength: float
    lead: int
    ahead_of: Literal["own", "market"]

    @property
    def card(self) -> AgentCard:
        """Of it."""
        contracts = {"collapsing": "words", "narrowing": "wishes", "steady": "nothing"}[self.what]
        base = {**DELIBERATE, "lead": self.lead} if self.ahead_of == "own" else WATCHFUL
        return _card(self.what, {**base, "contracts": contracts, "strength": self.strength})


class Spoken(NamedTuple):
    """One primary statistic of one experiment: who it was of (a null, or what was planted), how many `paths` it is of,
    and what came of it. p is None where there was not enough to go by. The published definitions have no test: of
    theirs p is that of the sign test a reader would do."""

    seed: int
    of: Null | Planted
    by: Literal["ours", "published"]
    view: str
    probe: str
    anchors: str
    paths: int
    n_anchors: int
    value: float | None
    p: float | None


@dataclass(frozen=True)
class SignatureTrial:
    """What is tried.

    Attributes:
        nulls: which; each path of a batch is an experiment of its own.
        planted: which; all paths of a batch are one experiment.
        batch: paths of a seed.
        steps: decisions of a path.
        scenes: falls of the market on a path where it is the market that is planted; by `depth` of its log each.
        design: of the study.
        published: try the published definitions on the nulls as well.
    """

    policy: Policy
    nulls: tuple[Null, ...] = NULLS
    planted: tuple[Planted, ...] = ()
    batch: int = 10
    steps: int = 500
    scenes: int = 8
    depth: float = 0.15
    design: Design = Design(draws=999, primary_only=True)  # noqa: RUF009 - frozen
    published: bool = True

    @cached_property
    def warmup(self) -> int:
        """Bars before the first decision."""
        return max(self.policy.reference.lookback, self.policy.limits.cluster_lookback, 60)

    @cached_property
    def dear(self) -> Policy:
        """The same policy where fills cost what makes a losing position lose."""
        execution = self.policy.execution.model_copy(update={"commission_bps": COMMISSION})
        return self.policy.model_copy(update={"execution": execution})

    def experiment(self, seed: int, halt: Callable[[int], bool] = lambda _t: False) -> list[Spoken]:
        """All of a seed.

        Raises:
            Interrupted: `halt` says to stop.
        """
        return [*self._nulls(seed, halt), *(said for each in self.planted for said in self._planted(seed, each, halt))]

    def _numbers(self, seed: int) -> range:
        """Seeds of the markets of a batch."""
        return range(seed * self.batch, (seed + 1) * self.batch)

    def _traces(
        self, card: AgentCard, numbers: Sequence[int], policy: Policy, halt: Callable[[int], bool], **bars: Any
    ) -> list[Trace]:
        made = []
        for number in numbers:
            panel = panel_of(Bars(bars=self.warmup + self.steps + policy.execution.latency, seed=number, **bars))
            span = Window(steps=self.steps).resolve(panel, warmup=self.warmup, latency=policy.execution.latency)[0]
            tally = Market(panel, policy).played(card, span, seed=number, halt=halt)
            made.append(asked(str(number), card.name, Path(f"path {number}", span.first, span.last), tally))
        return made

    def _nulls(self, seed: int, halt: Callable[[int], bool]) -> Iterator[Spoken]:
        numbers = self._numbers(seed)
        for null in self.nulls:
            who = _card(null, {"signal": "momentum", **({"words": "reactive"} if null == "reactive" else {})})
            traces = self.null(null, self._traces(who, numbers, self.policy, halt), seed)
            alone = [replace(trace, group=trace.episode) for trace in traces]
            yield from self._studied(seed, null, alone, self.design)
            if self.published:
                yield from _as_published(seed, null, alone)

    @staticmethod
    def null(null: Null, traces: Sequence[Trace], seed: int) -> list[Trace]:
        """The traces of a batch as the null has them."""
        if null == "shuffled":
            rng = np.random.default_rng(seed)
            return [_reordered(trace, trace, rng.permutation(len(trace))) for trace in traces]
        if null == "elsewhere":
            return [_reordered(trace, traces[i - 1], np.arange(len(trace))) for i, trace in enumerate(traces)]
        return list(traces)

    def _planted(self, seed: int, planted: Planted, halt: Callable[[int], bool]) -> Iterator[Spoken]:
        numbers = self._numbers(seed)
        if planted.ahead_of == "own":
            traces, design = self._traces(planted.card, numbers, self.dear, halt, **QUIET), self.design
        else:
            bars = {"scenes": self.scenes, "depth": self.depth, "lead": planted.lead, "strength": 1.5}
            traces = self._traces(planted.card, numbers, self.policy, halt, **bars)
            design = replace(self.design, depth=self.depth / 2)
        yield from self._studied(seed, planted, traces, design)

    def _studied(self, seed: int, of: Null | Planted, traces: Sequence[Trace], design: Design) -> Iterator[Spoken]:
        for row in study(traces, self._probes(), replace(design, seed=seed)):
            if row.statistic == PRIMARY:
                found = row.n_clusters, row.n_anchors, row.value, row.p
                yield Spoken(seed, of, "ours", row.view, row.probe, row.anchors, *found)

    @staticmethod
    def _probes() -> tuple[Probe, ...]:
        return HashProbe(), LsaProbe()


def _as_published(seed: int, null: Null, traces: Sequence[Trace]) -> Iterator[Spoken]:
    for row in published(traces, shuffles=0):
        if row.group == "all":
            continue
        found = row.n_trajectories, row.n_anchors, row.delta, 0.0 if speaks(row) else 1.0
        yield Spoken(seed, null, "published", row.view, row.probe, "own", *found)


def _card(name: str, parameters: dict[str, Any]) -> AgentCard:
    return AgentCard(name=name, kind="organism", reads_feedback=True, sampled=True, parameters=parameters)


def _reordered(trace: Trace, other: Trace, order: Any) -> Trace:
    """The market and NAV of one trace with what was said and wished in another, in another order."""
    return replace(
        trace,
        plan=tuple(other.plan[i] for i in order),
        reflect=tuple(other.reflect[i] for i in order),
        intent=other.intent[order],
        risk=other.risk[order],
    )
