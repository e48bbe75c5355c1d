"""A small stage: markets, policies and agents to play on, and a record that keeps every step and link in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from strategies import panel_of

from tradearena.agents.agent import Agent, Seat
from tradearena.agents.callables import CallableAgent
from tradearena.agents.card import AgentCard, Candidate, open_agent
from tradearena.agents.conversation import Reply, Voice
from tradearena.agents.talker import Talker
from tradearena.arena.episode import Ending, Setting, play
from tradearena.arena.plan import Plan
from tradearena.market.card import DatasetCard
from tradearena.market.dataset import Dataset
from tradearena.market.window import Span, Window
from tradearena.panel import Array, Panel
from tradearena.policy import Execution, Limits, Policy, Reference
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store.chain import GENESIS, closing_link, digests, next_link
from tradearena.store.reader import Reader
from tradearena.store.schema import LATER
from tradearena.store.seal import seal_of
from tradearena.values import (
    Account,
    Call,
    Decision,
    Exchange,
    Fill,
    Mark,
    Observation,
    RiskReport,
    State,
    Step,
)

FREE = Policy(name="free", limits=Limits(allow_short=True))
"""Nothing is clipped and nothing costs."""

TIGHT = Policy(
    name="tight",
    limits=Limits(
        single_name=0.35, sector=0.6, cluster=0.5, gross=0.9, volatility=0.2, reference_risk=1.5, turnover=0.3,
        liquidity=0.2, liquidity_lookback=5, drawdown=0.15, cooldown=7, herfindahl=0.3, effective_bets=2.5,
        distance=0.8, cluster_lookback=15, cluster_refresh=3,
    ),
    execution=Execution(
        initial_cash=100_000, latency=1, participation=0.05, commission_bps=2, commission_minimum=0.5,
        half_spread_bps=3, impact_bps=80, lot=1,
    ),
    reference=Reference(lookback=20, cap=0.6),
)  # fmt: skip
"""Every limit there is, and every cost, at sizes that bind on a small market."""


def with_latency(policy: Policy, latency: int) -> Policy:
    """The same policy, its orders filled so many bars later."""
    return policy.model_copy(update={"execution": policy.execution.model_copy(update={"latency": latency})})


# ---------------------------------------------------------------------- markets


def walk(seed: int, bars: int = 70, n: int = 5, *, gaps: float = 0.0, size: float = 0.02) -> Panel:
    """Random walks in two sectors, the first two symbols almost alike; with `gaps` some bars are missing, some idle."""
    rng = np.random.default_rng(seed)
    steps = size * rng.standard_normal((bars, n))
    if n > 1:
        steps[:, 1] = steps[:, 0] + 0.1 * steps[:, 1]
    close = 50.0 * np.exp(np.cumsum(steps, axis=0))
    opened = close * np.exp(0.3 * size * rng.standard_normal((bars, n)))
    volume = 2_000.0 * rng.exponential(1.0, (bars, n)).round(3)
    missing = rng.random((bars, n)) < gaps
    opened[missing] = close[missing] = np.nan
    volume[rng.random((bars, n)) < gaps / 2] = 0.0
    return panel_of(opened, close, volume, sectors=tuple("AB"[i % 2] for i in range(n)))


def shaken(panel: Panel, t: int, seed: int = 1) -> Panel:
    """The same panel up to bar `t`; after it other prices, other volumes, other gaps."""
    rng = np.random.default_rng(seed)
    shape = panel.close.shape
    after = np.arange(len(panel))[:, None] > t
    factor = np.where(after, np.exp(0.2 * rng.standard_normal(shape)), 1.0)
    lost = after & (rng.random(shape) < 0.1)
    opened, close = (np.where(lost, np.nan, price * factor) for price in (panel.open, panel.close))
    volume = np.where(after, panel.volume * rng.exponential(1.0, shape), panel.volume)
    prices = (opened, np.fmax(opened, close), np.fmin(opened, close), close)
    return rebuilt(panel, prices, volume)


def rebuilt(panel: Panel, prices: tuple[Array, ...], volume: Array, bars: int | None = None) -> Panel:
    """A panel of the same symbols and times with other bars, or only the first of them."""
    s = slice(bars)
    return Panel.of(
        panel.symbols,
        panel.start[s],
        panel.end[s],
        tuple(price[s] for price in prices),  # type: ignore[arg-type]
        volume[s],
        sectors=panel.sectors,
        bars_per_year=panel.bars_per_year,
    )


def first_bars(panel: Panel, bars: int) -> Panel:
    """A market that ends after so many bars."""
    return rebuilt(panel, (panel.open, panel.high, panel.low, panel.close), panel.volume, bars)


# ---------------------------------------------------------------------- agents


def seat(agent: str | Path, reference: Callable[[int], Array] | None = None, seed: int = 0) -> Agent:
    """A shipped agent (or a card) in its seat."""
    return open_agent(str(agent)).seat(Seat(seed, reference or (lambda _t: np.zeros(0))))


def asked(ask: Callable[[Observation], Any], name: str = "asked") -> Candidate:
    """A function as a candidate."""
    card = AgentCard(name=name, kind="python")
    return Candidate(card, 0, None, lambda _seat: CallableAgent(ask))


class Musing:
    """A voice, and of each reply what a model in this process would put on record: here, numbers of what was said."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:
        reply = await self.voice.answer(system, prompt, before)
        places = [(layer, pool) for layer in (4, 2) for pool in ("mean", "last")]
        dice = (hashlib.sha256(f"{place} {prompt} {reply.text}".encode()).digest() for place in places)
        vectors = (np.frombuffer(each, dtype=np.int8).astype("<f4").tobytes() for each in dice)
        return replace(reply, states=tuple(State(*place, each) for place, each in zip(places, vectors, strict=True)))


def musing(name: str) -> Candidate:
    """An organism that records states of its own."""
    candidate = open_agent(name)

    def seat(taken: Seat) -> Talker:
        talker = candidate.seat(taken)
        assert isinstance(talker, Talker)
        talker.manager.voice = Musing(talker.manager.voice)
        return talker

    return replace(candidate, seat=seat)


def observe(
    panel: Panel, t: int | None = None, *, first: int = 0, previous: int | None = None, committed: Array | None = None
) -> Observation:
    """What an agent sees at the close of bar `t` (the last), holding `committed` (nothing)."""
    t = len(panel) - 1 if t is None else t
    nothing = np.zeros(len(panel.symbols))
    held = nothing if committed is None else committed
    account = Account(1e6, 1e6, 0.0, nothing, nothing, held, held.copy(), None)
    return Observation(t, first, previous, panel.until(t), account)


def answer(agent: Agent, observation: Observation) -> Decision:
    """One decision."""
    return asyncio.run(agent.decide(observation))  # type: ignore[arg-type]


# ---------------------------------------------------------------------- episodes


class Links:
    """A record in memory: every step as it came, and the hash chain over them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.links: list[bytes] = []
        self.marks: list[Mark] = []
        self.fills: list[Fill] = []
        self.ending: Ending | None = None
        self.root = ""

    def recall(self, t: int) -> Decision | None:  # noqa: ARG002
        return None

    def keep(self, step: Step) -> RiskReport:
        self.links.append(
            next_link(
                self.links[-1] if self.links else GENESIS, step, [digests(each) for each in step.decision.exchanges]
            )
        )
        self.steps.append(step)
        self._happened(step.marks, step.fills)
        return step.report

    async def settled(self) -> None:
        pass

    def lose(self, t: int, calls: tuple[Call, ...]) -> None:
        self.lost = (t, calls)

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:
        self._happened(marks, fills)
        return closing_link(self.links[-1] if self.links else GENESIS, marks, fills, status).hex()

    def _happened(self, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> None:
        self.marks.extend(marks)
        self.fills.extend(fills)


def episode(
    agent: str | Path | Candidate | Callable[[Observation], Any],
    panel: Panel,
    policy: Policy = FREE,
    *,
    first: int = 20,
    every: int = 1,
    seed: int = 0,
    record: Links | None = None,
) -> Links:
    """Play one episode to the end of the panel."""
    span = Span(first, len(panel) - 1, every, policy.execution.latency)
    setting = Setting(panel, policy, span, RollingMarkowitz(panel, policy.reference))
    record = record or Links()
    player = _candidate(agent).seat(Seat(seed, lambda t: setting.reference.at(t).weights))
    record.ending, record.root = asyncio.run(play(player, setting, record))
    return record


def _candidate(agent: str | Path | Candidate | Callable[[Observation], Any]) -> Candidate:
    if isinstance(agent, Candidate):
        return agent
    return asked(agent) if callable(agent) else open_agent(str(agent))


def dataset(panel: Panel, name: str = "stage") -> Dataset:
    """A panel as a dataset."""
    return Dataset(DatasetCard(name=name), panel, Path(name))


def plan(
    panel: Panel,
    *candidates: Candidate,
    policy: Policy = FREE,
    seeds: tuple[int, ...] = (0,),
    modes: tuple[str, ...] = ("true",),
    **window: Any,
) -> Plan:
    """A plan for an experiment on a panel."""
    return Plan(dataset(panel), policy, Window(**window), candidates, seeds, modes)


def warm(candidate: Candidate, bars: int) -> Candidate:
    """A candidate that wants to see so many bars."""
    return replace(candidate, warmup=bars)


def first_schema(path: Path) -> None:
    """Make a file what the first version of the schema had made of it."""
    with duckdb.connect(str(path)) as db:
        for name, *_ in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            db.execute(f'DROP VIEW "{name}"')
        for table in LATER:
            db.execute(f'DROP TABLE "{table}"')
        db.execute("DELETE FROM migration WHERE version > 1")
        db.execute("UPDATE episode SET manifest = json_merge_patch(manifest, '{\"schema\": null}')")
    with Reader(path) as reader:
        seals = [(seal_of(reader.db, row.id), row.id) for row in reader.episodes()]
    with duckdb.connect(str(path)) as db:
        db.executemany("UPDATE episode SET seal = ? WHERE id = ?", seals)
