"""Agent cards: a name, a path, `decisions:FILE` or `python:MODULE:CALLABLE` comes in; something that can take a seat
in an episode goes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from tradearena import cards, rooms
from tradearena.agents.agent import Agent, Seat
from tradearena.agents.callables import import_callable
from tradearena.agents.classical import RULES, ClassicalAgent
from tradearena.agents.llm import LanguageModel, Model
from tradearena.agents.organism import Organism, OrganismVoice
from tradearena.agents.prompt import Pages, instructions_in
from tradearena.agents.recorded import RecordedAgent, read_recording
from tradearena.agents.talker import Talker, Voice
from tradearena.cards import Card
from tradearena.errors import CardError, UnknownName, UsageError
from tradearena.panel import Times


class Asking(Card):
    """How an agent is asked in words: the file of instructions in the room `agents` (without its ending), and how many
    bars a prompt shows."""

    instructions: str = "trader"
    bars: Annotated[int, Field(ge=21)] = 21


class AgentCard(Card):
    """One agent card.

    Attributes:
        kind: what builds the agent; the classical rules each are one.
        reads_feedback: does what it is told change what it does? Where not, one episode stands for every mode.
        sampled: does its seed change what it does? Where not, one episode stands for every seed. Both are true of what
            is asked in words, unless its card says otherwise.
        parameters: what the kind takes.
        prompt: how it is asked, where it is asked in words.
    """

    name: str
    kind: str
    description: str = ""
    reads_feedback: bool = False
    sampled: bool = False
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: Asking = Asking()


VOICES: dict[str, tuple[type[Card], Callable[[Any, int], Voice]]] = {
    "organism": (Organism, OrganismVoice),
    "llm": (Model, LanguageModel),
}
"""Kinds of agent that are asked in words: their parameters, and what speaks with them and a seed."""


@dataclass(frozen=True)
class Candidate:
    """An agent ready to take seats.

    Attributes:
        card: as read; for `decisions:` and `python:` made up from what was asked for.
        warmup: bars it wants to see before it decides.
        begins: time of its first decision, where it has one of its own.
        seat: builds the agent for one episode.
        source: digest of what the card points to (a file of decisions, a module), "" where the card says it all.
        settings: the parameters in force, defaults filled in.
        twin: an organism like it with another seed, where it is one.
        check: finds out, without a request, whether it can be asked at all; raises AgentError if not.
        unheard: told when the decisions fall due ([K] times), says what of a recording never applies.
    """

    card: AgentCard
    warmup: int
    begins: np.datetime64 | None
    seat: Callable[[Seat], Agent]
    source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    twin: Callable[[Seat], Talker] | None = None
    check: Callable[[], None] = lambda: None
    unheard: Callable[[Times], str] = lambda _ends: ""

    @property
    def digest(self) -> str:
        """SHA-256 of what decides: the card without its description, and what it points to. How long an answer is
        waited for decides nothing."""
        said = self.card.model_dump(exclude={"description", "parameters"})
        settings = {name: value for name, value in self.settings.items() if name != "timeout"}
        return hashlib.sha256(json.dumps([said, settings, self.source], sort_keys=True).encode()).hexdigest()


def open_agent(name: str, *, timezone: str = "UTC", home: Path | None = None, model: str | None = None) -> Candidate:
    """Open an agent by card name, card path, `decisions:FILE` or `python:MODULE:CALLABLE`; `model` overrides that of a
    card of kind `llm`.

    Raises:
        UnknownName: no such card.
        CardError: the card cannot be read; names the line.
        AgentError, DataError: what it points to cannot be used.
    """
    kind, _, target = name.partition(":")
    if kind == "decisions":
        return _recorded(Path(target), timezone)
    if kind == "python":
        seated, source = import_callable(target)
        card = AgentCard(name=name, kind="python", reads_feedback=True, sampled=True)  # nothing is known of it
        return Candidate(card, 20, None, lambda _seat: seated(), source)
    path = _path(name, home)
    text = cards.text_of(path)
    card = cards.fit(AgentCard, cards.parse(text, path), path=path, text=text)
    if card.kind not in (*RULES, *VOICES):
        line = cards.line_of(text, ("kind",))
        raise CardError(f"{path}, line {line}: no kind '{card.kind}'; there are {', '.join((*RULES, *VOICES))}")
    if not name.endswith(".toml") and card.name != name:
        raise CardError(f"{path}: the file is called '{name}' but names itself '{card.name}'; make them agree")
    if card.kind in VOICES:  # unless the card says otherwise
        heard = {flag: True for flag in ("reads_feedback", "sampled") if flag not in card.model_fields_set}
        card = card.model_copy(update=heard)
    if card.kind == "llm" and model is not None:
        card = card.model_copy(update={"parameters": {**card.parameters, "model": model}})
    if card.kind in VOICES:
        return _talker(card, path, text, home)
    rule = cards.fit(RULES[card.kind], card.parameters, path=path, text=text, under=("parameters",))
    return Candidate(card, rule.needs, None, lambda seat: ClassicalAgent(rule, seat), settings=rule.model_dump())


def _talker(card: AgentCard, path: Path, text: str, home: Path | None) -> Candidate:
    """An agent that is asked in words."""
    model, voice = VOICES[card.kind]
    parameters = cards.fit(model, card.parameters, path=path, text=text, under=("parameters",))
    files = rooms.cards("agents", home, ".txt")
    if card.prompt.instructions not in files:
        raise UnknownName("file of instructions", card.prompt.instructions, files)
    said = cards.text_of(files[card.prompt.instructions])
    instructions = instructions_in(said, files[card.prompt.instructions])
    bars = max(card.prompt.bars, getattr(parameters, "lookback", 0) + 1)

    def seat(taken: Seat) -> Talker:
        return Talker(voice(parameters, taken.seed), Pages(instructions, taken.limits, bars))

    candidate = Candidate(
        card, bars - 1, None, seat, hashlib.sha256(said.encode()).hexdigest(), parameters.model_dump()
    )
    if isinstance(parameters, Model):
        return replace(candidate, check=LanguageModel(parameters, 0).check)
    return replace(candidate, twin=seat)


def _path(name: str, home: Path | None) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    found = rooms.cards("agents", home)
    if name not in found:
        raise UnknownName("agent", name, found)
    return found[name]


def _recorded(path: Path, timezone: str) -> Candidate:
    if not str(path) or str(path) == ".":
        raise UsageError("write decisions:FILE with the path of a CSV or Parquet file")
    recording = read_recording(path, timezone)
    card = AgentCard(name=f"decisions:{path.stem}", kind="decisions")
    return Candidate(
        card,
        0,
        recording.begins,
        lambda _seat: RecordedAgent(recording),
        recording.digest,
        unheard=recording.unheard,
    )
