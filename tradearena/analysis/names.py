"""Tells agents apart that bear one name: rows of episodes come in, file by file; the same rows go out, in which whoever
decided by another card or in another rhythm, or was audited under another policy, has another name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tradearena.store.rows import EpisodeRow, Experiment

RECORDED = "decisions:"
"""Begins the names of agents whose decisions were recorded elsewhere."""

SHOWN = 6
"""Characters of a digest that are put behind a name."""


def told_apart(files: Sequence[tuple[Experiment, Sequence[EpisodeRow]]]) -> list[list[EpisodeRow]]:
    """The rows of each file.

    An agent keeps its name where no other bears it. Else its model is put behind it, or the beginning of its digest;
    the name of the policy where it played under several, and its rhythm where it decided in several. So a card that was
    edited between two runs is two agents, as is one that `--model` was put on. Whose decisions were recorded elsewhere
    has a file of them for each market: those of one name are one agent.
    """
    cards: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    policies: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    rhythms: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for setup, rows in files:
        for row in rows:
            cards[row.agent][_card(row)] = _model(row)
            policies[row.agent][setup.policy_digest] = setup.policy.get("name")
            rhythms[row.agent][str(row.every)] = f"every {row.every}"

    def named(setup: Experiment, row: EpisodeRow) -> str:
        parts = (
            _told(cards[row.agent], _card(row)),
            _told(policies[row.agent], setup.policy_digest),
            _told(rhythms[row.agent], str(row.every)),
        )
        behind = ", ".join(part for part in parts if part)
        return f"{row.agent} ({behind})" if behind else row.agent

    return [[replace(row, agent=named(setup, row)) for row in rows] for setup, rows in files]


def _told(known: dict[str, Any], digest: str) -> str:
    """What tells this one from the others: what it is called, where all are called otherwise, or its digest."""
    if len(known) < 2:
        return ""
    called = {each for each in known.values() if isinstance(each, str)}
    return str(known[digest]) if len(called) == len(known) else digest[:SHOWN]


def _card(row: EpisodeRow) -> str:
    """What decides."""
    return "" if row.agent.startswith(RECORDED) else row.agent_digest


def _model(row: EpisodeRow) -> Any:
    """The model of a card, whatever a file has there."""
    match row.card:
        case {"parameters": {"model": str(model)}}:
            return model
    return None
