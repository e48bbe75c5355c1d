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
from pydantic import Field, model_validator

from tradearena import cards, rooms
from tradearena.agents.agent import Agent, Seat
from tradearena.agents.callables import import_callable
from tradearena.agents.classical import RULES, ClassicalAgent
from tradearena.agents.format import DEFAULT, Mode, schema_of
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import PATIENCE, Model
from tradearena.agents.organism import Organism, OrganismVoice
from tradearena.agents.prompt import Pages, completed, instructions_in
from tradearena.agents.recorded import RecordedAgent, read_recording
from tradearena.agents.switchboard import Switchboard
from tradearena.agents.talker import Talker, Voice
from tradearena.cards import Card
from tradearena.errors import CardError, UnknownName, UsageError
from tradearena.panel import Times


class Asking(Card):
    """How an agent is asked in words: the `[prompt]` of its card.

    Attributes:
        instructions: the file of instructions in the room `agents`, without its ending.
        mode: the form in which it is to answer.
        bars: how many a prompt shows.
        mandate: whether the limits of the policy stand in the instructions.
        statistics: whether a prompt shows return and volatility of each symbol over these bars.
        summary: whether it shows the whole run so far, in one line.
        reflection: whether it shows what the agent noted with its last decision.
        notes: whether a reason and a confidence are asked for single symbols.
    """

    instructions: str = "trader"
    bars: Annotated[int, Field(ge=21)] = 21
    mode: Mode = DEFAULT
    mandate: bool = True
    statistics: bool = False
    summary: bool = False
    reflection: bool = False
    notes: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Asking:
        if self.mode == "weights-only" and (self.notes or self.reflection):
            raise ValueError("mode weights-only asks for no words; leave out notes and reflection")
        return self

    @property
    def decides(self) -> dict[str, Any]:
        """What of this decides, without keys that keep their usual value: a card from before there was such a key is
        the same card still."""
        asked = self.model_dump(exclude={"instructions", "bars"}, exclude_defaults=True)
        return {"instructions": self.instructions, "bars": self.bars, **asked}


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


VOICES: dict[str, tuple[type[Card], Callable[[Any, Seat, dict[str, Any]], Voice]]] = {
    "organism": (Organism, lambda organism, seat, _schema: OrganismVoice(organism, seat.seed)),
    "llm": (Model, lambda model, seat, schema: LanguageModel(model, seat.seed, seat.board, schema)),
}
"""Kinds of agent that are asked in words: their parameters, and what speaks with them in a seat, in answers of a JSON
schema."""


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
        check: finds out, without a request, whether it can be asked at all by way of a switchboard; raises AgentError
            if not.
        unheard: told when the decisions fall due ([K] times), says what of a recording never applies.
    """

    card: AgentCard
    warmup: int
    begins: np.datetime64 | None
    seat: Callable[[Seat], Agent]
    source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    twin: Callable[[Seat], Talker] | None = None
    check: Callable[[Switchboard], None] = lambda _board: None
    unheard: Callable[[Times], str] = lambda _ends: ""

    @property
    def digest(self) -> str:
        """SHA-256 of what decides: the card without its description, and what it points to. How long an answer is
        waited for, how often it is asked for and what is paid for it decides nothing."""
        said = self.card.model_dump(exclude={"description", "parameters"}) | {"prompt": self.card.prompt.decides}
        settings = {name: value for name, value in self.settings.items() if name not in PATIENCE}
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
    asking = card.prompt
    said, file = asked_in(asking, home)
    instructions = instructions_in(said, file)
    bars = max(asking.bars, getattr(parameters, "lookback", 0) + 1)
    shown = {"statistics": asking.statistics, "summary": asking.summary, "reflection": asking.reflection}

    def seat(taken: Seat) -> Talker:
        schema = schema_of(taken.symbols, asking.mode, notes=asking.notes)
        return Talker(voice(parameters, taken, schema), Pages(instructions, taken.limits, bars, **shown), asking.mode)

    candidate = Candidate(
        card, bars - 1, None, seat, hashlib.sha256(said.encode()).hexdigest(), parameters.model_dump()
    )
    if isinstance(parameters, Model):
        return replace(candidate, check=lambda board: LanguageModel(parameters, 0, board).check())
    return replace(candidate, twin=seat)


def asked_in(asking: Asking, home: Path | None = None) -> tuple[str, Path]:
    """The template of the system text in full, which is the file of instructions with the form of an answer in it; and
    that file.

    Raises:
        UnknownName: there is no such file.
        CardError: it cannot be read, or has no place for the form.
    """
    files = rooms.cards("agents", home, ".txt")
    if asking.instructions not in files:
        raise UnknownName("file of instructions", asking.instructions, files)
    path = files[asking.instructions]
    text = cards.text_of(path)
    return completed(text, path, mandate=asking.mandate, mode=asking.mode, notes=asking.notes), path


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
