"""The instrument, tried on agents whose truth is known: what is planted and the seed of a market come in; what the
statistics of `compare` say of an experiment with them goes out. Everything is in memory, nothing is recorded.

An experiment is one invented market, cut into windows that are its clusters, and in it one organism that plays every
window in every mode. The chance in its trades is drawn from its seed and from what it reads, the report included, so
that the arms of an organism that heeds no report differ by their dice and by nothing else. All organisms play on the
same market, and share its reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tradearena.agents.card import AgentCard
from tradearena.analysis import pairs
from tradearena.analysis.asked import Market
from tradearena.analysis.comparison import ALIGNMENT, PERFORMANCE
from tradearena.analysis.contrasts import Family, Row, rows
from tradearena.analysis.outcomes import Played, outcomes
from tradearena.analysis.signflip import level
from tradearena.market.design import Design
from tradearena.market.scheme import Even
from tradearena.market.synthetic import panel_of
from tradearena.market.window import Span, Window
from tradearena.panel import Panel
from tradearena.policy import Policy
from tradearena.risk.feedback import open_wording

Kind: TypeAlias = Literal["no effect", "obedient", "credulous"]

FOUR = ("true", "hidden", "placebo", "false-audit:alarm")
"""The modes of `compare`, where none are named."""

OF_TEXTS = ("rationale_consistency", "ledger_consistency")
"""Not tried: all that an organism says is true, so the first is 1 in every mode; it quotes no account."""

METRICS = tuple(name for name in (*PERFORMANCE, *ALIGNMENT) if name not in OF_TEXTS)
"""Exploratory metrics of `compare` that are tried, beside the primary ones."""

MILD: dict[str, Any] = {"signal": "momentum", "names": 6, "concentration": 0.1}
"""Wishes that keep all limits at some decisions and not at others, so that every metric can differ."""

BOLD: dict[str, Any] = {"signal": "momentum", "concentration": 0.45, "noise": 0.3}
"""Those of the cards `organism-obedient` and `organism-credulous`: there is always something to obey."""


class Planted(NamedTuple):
    """One organism. `no effect`: it heeds no report, and `strength` is the noise in its trades. Else it is how far it
    goes towards what it believes: what its own account bears out (`obedient`), or all it is told (`credulous`)."""

    kind: Kind
    strength: float

    @property
    def card(self) -> AgentCard:
        """Of it."""
        if self.kind == "no effect":
            parameters = {**MILD, "noise": self.strength}
        else:
            parameters = {**BOLD, "obedience": self.strength, "belief": float(self.kind == "credulous")}
        name = f"{self.kind} {self.strength:g}"
        return AgentCard(name=name, kind="organism", reads_feedback=True, sampled=True, parameters=parameters)


PLANTED = (
    *(Planted("no effect", noise) for noise in (0.1, 0.3, 1.0)),
    *(Planted("obedient", strength) for strength in (0.02, 0.05, 0.3, 1.0)),
    *(Planted("credulous", strength) for strength in (0.01, 0.03, 0.3)),
)
"""What is tried, unless something else is asked for."""


class Seen(NamedTuple):
    """One row of a comparison, with what is known of it: who was planted, in the market of which seed.

    `n` clusters, of which in `zeros` the difference is 0 to the last bit; p and mean are None where there are none.
    `level`: how often p would be at most 5 %, were the signs of these differences thrown.
    """

    seed: int
    planted: Planted
    metric: str
    family: Family
    contrast: str
    n: int
    zeros: int
    mean: float | None
    sd: float | None
    p: float | None
    level: float
    p_adjusted: float | None
    tests: int
    verdict: str


@dataclass(frozen=True)
class Trial:
    """What each experiment is made of: organisms, modes, so many windows of so many decisions, so many seeds of each
    organism, and the policy that audits it."""

    policy: Policy
    planted: tuple[Planted, ...] = PLANTED
    modes: tuple[str, ...] = FOUR
    windows: int = 10
    steps: int = 40
    seeds: int = 1
    wording: str = field(default_factory=lambda: open_wording().template)

    @cached_property
    def warmup(self) -> int:
        """Bars before the first decision: the reference, clusters and signals have all they look back on."""
        limits = self.policy.limits
        return max(self.policy.reference.lookback, limits.cluster_lookback, limits.liquidity_lookback, 20)

    def design(self, seed: int) -> Design:
        """The market of an experiment: 12 symbols in 4 sectors, a bar a day, one coupled pair, as long as it takes."""
        latency = self.policy.execution.latency
        return Design(bars=self.warmup + self.windows * (self.steps + latency), seed=seed, coupled=1)

    def spans(self, panel: Panel) -> tuple[Span, ...]:
        """The windows: no two have a bar in common."""
        asked = Window(steps=self.steps, scheme=Even(self.windows))
        return asked.resolve(panel, warmup=self.warmup, latency=self.policy.execution.latency)

    def experiment(self, seed: int, halt: Callable[[int], bool] = lambda _t: False) -> list[Seen]:
        """One experiment for each organism, all in the market of one seed; a pure function of it and the seed.

        Raises:
            Interrupted: `halt`, asked before every decision, says to stop.
        """
        market = Market(panel_of(self.design(seed)), self.policy, self.wording)
        found: list[Seen] = []
        for planted in self.planted:
            held = list(self._played(market, seed, planted.card, halt))
            found += [_seen(seed, planted, row) for row in rows(outcomes(held), METRICS)]
        return found

    def _played(self, market: Market, seed: int, card: AgentCard, halt: Callable[[int], bool]) -> Iterator[Played]:
        """The episodes of one organism. Its own seeds are other ones in every market, and with them the dice of
        placebos and lies."""
        for span in self.spans(market.panel):
            window = pairs.Window(f"market {seed}", span.first, span.last)
            for number in range(self.seeds):
                own = seed * self.seeds + number
                for mode in self.modes:
                    path = market.played(card, span, mode=mode, seed=own, halt=halt).trajectory()
                    yield Played(card.name, mode, window, (own, 0), ended=True, path=path)


def _seen(seed: int, planted: Planted, row: Row) -> Seen:
    effect = row.effect
    return Seen(
        seed=seed,
        planted=planted,
        metric=row.metric,
        family=row.family,
        contrast=row.contrast.of,
        n=effect.n,
        zeros=int(np.count_nonzero(row.paired.differences == 0.0)),
        mean=effect.mean,
        sd=effect.sd,
        p=effect.p,
        level=level(row.paired.differences),
        p_adjusted=row.p_adjusted,
        tests=row.tests,
        verdict=effect.verdict,
    )
