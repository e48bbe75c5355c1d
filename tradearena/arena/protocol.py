"""A frozen protocol: a TOML file that says on which bars, in which windows, under which policy, with which seeds and in
which feedback modes agents are ranked comes in; the plan of a leaderboard goes out."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tradearena import cards, policy
from tradearena.agents.card import open_agent
from tradearena.arena.plan import BASELINES, Plan
from tradearena.cards import Card
from tradearena.errors import CardError, UsageError
from tradearena.market.dataset import locate, open_dataset
from tradearena.market.scheme import scheme_of
from tradearena.market.window import Window
from tradearena.risk.feedback import mode_named, open_wording

NAME = "protocol.toml"
"""In the folder of a dataset: how agents are ranked on it."""


class Protocol(Card):
    """One protocol file.

    Attributes:
        data: name of the dataset; `bars` is the digest its bars must have, so that all rank on the same.
        policy: name of the policy; `rules` is the digest it must have.
        windows, steps, every, start, end: as the options of `compare`.
        seeds, modes: as well; an agent that reads no feedback plays once, one without dice once.
    """

    name: str
    description: str = ""
    data: str
    bars: str
    policy: str
    rules: str
    windows: str = "1"
    steps: Annotated[int, Field(ge=1)] | None = None
    every: Annotated[int, Field(ge=1)] = 1
    start: datetime | None = None
    end: datetime | None = None
    seeds: Annotated[list[int], Field(min_length=1)]
    modes: Annotated[list[str], Field(min_length=1)]


def read(name: str, home: Path | None = None) -> Protocol:
    """A protocol by path, or that of a dataset by the dataset's name.

    Raises:
        UsageError: the dataset has none.
        CardError: it cannot be read; names the line.
    """
    if name.endswith(".toml"):
        return cards.read(Path(name), Protocol)
    path = locate(name, home) / NAME
    if not path.is_file():
        raise UsageError(f"{path}: the dataset {name} has no protocol; name a protocol file")
    return cards.read(path, Protocol)


def plan_of(protocol: Protocol, agents: tuple[str, ...], home: Path | None = None, model: str | None = None) -> Plan:
    """The plan of a leaderboard: these agents and the baselines.

    Raises:
        CardError: bars or policy here are not those of the protocol, or its windows have bars in common.
    """
    dataset, rules = open_dataset(protocol.data, home=home, end=protocol.end), policy.load(protocol.policy, home)
    for what, name, stands, asked in (
        ("bars", protocol.data, dataset.panel.digest, protocol.bars),
        ("policy", protocol.policy, rules.digest, protocol.rules),
    ):
        if stands != asked:
            raise CardError(
                f"the protocol {protocol.name} is for {what} {name} with the digest {asked[:12]}, and those here have "
                f"{stands[:12]}: places on other {what} are no places in this ranking"
            )
    scheme = scheme_of((protocol.windows,), dataset.scenes, dataset.card.zone)
    named = dict.fromkeys((*agents, *BASELINES))
    plan = Plan(
        dataset=dataset,
        policy=rules,
        window=Window(protocol.start, protocol.end, protocol.steps, protocol.every, scheme),
        candidates=tuple(open_agent(name, clock=dataset.card.clock, home=home, model=model) for name in named),
        seeds=tuple(protocol.seeds),
        modes=tuple(mode_named(mode) for mode in protocol.modes),
        wording=open_wording(home),
    )
    for before, after in pairwise(sorted(plan.spans, key=lambda span: span.first)):
        if after.first <= before.last:
            raise CardError(
                f"the protocol {protocol.name}: its windows ({protocol.windows}) have bars in common, and a ranking "
                "takes each for a market of its own; write windows that follow one another, such as disjoint:60"
            )
    return plan
