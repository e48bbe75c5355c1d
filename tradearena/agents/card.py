"""Agent cards: a name, a path, `decisions:FILE`, `python:MODULE:CALLABLE` or `local:PATH` comes in; something that can
take a seat in an episode goes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, cast

import numpy as np
from pydantic import Field, ValidationError, model_validator

from tradearena import cards, rooms
from tradearena.agents.agent import Agent, Seat
from tradearena.agents.asking import Analyst, Asking, asked_in, asked_of, parameters_for
from tradearena.agents.callables import import_callable
from tradearena.agents.causal import Causal, opened
from tradearena.agents.checkpoint import located
from tradearena.agents.classical import RULES, ClassicalAgent, Rule
from tradearena.agents.conversation import Speaker
from tradearena.agents.format import FORMS, Mode, schema_of
from tradearena.agents.gateway import quoted
from tradearena.agents.llm import LanguageModel
from tradearena.agents.local import Local, LocalVoice
from tradearena.agents.local import check as check_local
from tradearena.agents.model import PATIENCE, Model
from tradearena.agents.organism import Organism, OrganismVoice
from tradearena.agents.prompt import Pages, instructions_in
from tradearena.agents.recorded import RecordedAgent, read_recording
from tradearena.agents.switchboard import Switchboard
from tradearena.agents.talker import Member, Talker
from tradearena.cards import Card
from tradearena.errors import CardError, UnknownName, UsageError
from tradearena.panel import Times
from tradearena.stamps import GREENWICH, Clock


class AgentCard(Card):
    """One agent card.

    Attributes:
        kind: what builds the agent; the classical rules each are one.
        reads_feedback: does what it is told change what it does? Where not, one episode stands for every mode.
        sampled: does its seed change what it does? Where not, one episode stands for every seed. Both are true of what
            is asked in words, unless its card says otherwise.
        parameters: what the kind takes.
        prompt: how it is asked, where it is asked in words.
        team: models that report to it before it decides, one after the other.
    """

    name: str
    kind: str
    description: str = ""
    reads_feedback: bool = False
    sampled: bool = False
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: Asking = Asking()
    team: list[Analyst] = Field(default_factory=list)

    @model_validator(mode="after")
    def _told_apart(self) -> AgentCard:
        if len({analyst.name for analyst in self.team}) < len(self.team):
            raise ValueError("two analysts of the team have the same name")
        if self.team and self.prompt.mode == "weights-only":
            raise ValueError("mode weights-only asks for no words; leave out the team")
        return self

    @property
    def rehearses(self) -> bool:
        """May it, or one of its team, ask what the audit would say?"""
        return any("what_if_audit" in tools for tools in (self.prompt.tools, *(each.tools for each in self.team)))

    @property
    def decides(self) -> dict[str, Any]:
        """What of this decides; parameters beside it."""
        said = self.model_dump(exclude={"description", "parameters", "team"}) | {"prompt": self.prompt.decides}
        return said | ({"team": [analyst.decides for analyst in self.team]} if self.team else {})


VOICES: dict[str, type[Card]] = {"organism": Organism, "llm": Model, "local": Local}
"""Kinds of agent that are asked in words, and their parameters."""


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
        prices: the models it asks, who of its team asks them, and their prices in force; asks litellm, and nobody else.
        versions: of what computes its answers in this process, beside what computes everybody's.
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
    prices: Callable[[], list[dict[str, Any]]] = list
    versions: Callable[[], dict[str, str]] = dict
    unheard: Callable[[Times], str] = lambda _ends: ""

    @property
    def digest(self) -> str:
        """SHA-256 of what decides: the card without its description, and what it points to. How long an answer is
        waited for, how often it is asked for and what is paid for it decides nothing."""
        settings = {name: value for name, value in self.settings.items() if name not in PATIENCE}
        return hashlib.sha256(
            json.dumps([self.card.decides, settings, self.source], sort_keys=True).encode()
        ).hexdigest()


def open_agent(
    name: str,
    *,
    clock: Clock = GREENWICH,
    home: Path | None = None,
    model: str | None = None,
    output: Mode | None = None,
) -> Candidate:
    """Open an agent by card name, card path, `decisions:FILE`, `python:MODULE:CALLABLE` or `local:PATH`; `model`
    overrides that of a card of kind `llm`, `output` the form in which one that is asked in words is to answer. What
    answers in another form than its card says is another agent, named `CARD+FORM`; that name opens it as well. The
    stamps of recorded decisions are read by `clock`.

    Raises:
        UnknownName: no such card.
        CardError: the card cannot be read; names the line.
        UsageError: it cannot be asked in that form.
        AgentError, DataError: what it points to cannot be used.
    """
    kind, _, target = name.partition(":")
    if kind == "decisions":
        return _recorded(Path(target), clock)
    if kind == "python":
        seated, source = import_callable(target)
        card = AgentCard(name=name, kind="python", reads_feedback=True, sampled=True)  # nothing is known of it
        return Candidate(card, 20, None, lambda _seat: seated(), source)
    if kind == "local":
        made = AgentCard(name=name, kind="local", reads_feedback=True, sampled=True)
        said, file = asked_in(made.prompt, home)
        source = hashlib.sha256(said.encode()).hexdigest()
        return _local(made, Local.model_construct(model=target), instructions_in(said, file), source)
    stem, _, form = name.rpartition("+")
    if stem and form in FORMS and name not in rooms.cards("agents", home):
        name, output = stem, form
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
        card = card if output is None else in_form(card, output)
    if card.kind == "llm" and model is not None:
        card = card.model_copy(update={"parameters": {**card.parameters, "model": model}})
    if card.kind in VOICES:
        return _talker(card, path, text, home)
    rule = cards.fit(RULES[card.kind], card.parameters, path=path, text=text, under=("parameters",))
    return _classical(card, rule)


def in_form(card: AgentCard, output: Mode) -> AgentCard:
    """The card of the agent that answers in this form, and not in its own. Without a word there are none of its own to
    be shown, and none on single symbols.

    Raises:
        UsageError: it has tools or a team, whose words it would read.
    """
    if output == card.prompt.mode:
        return card
    unsaid = {"notes": False, "reflection": False} if output == "weights-only" else {}
    asking = {**card.prompt.model_dump(), "mode": output, **unsaid}
    try:
        return AgentCard.model_validate({**card.model_dump(), "name": f"{card.name}+{output}", "prompt": asking})
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"--output {output}: {card.name}: {said}") from None


def _talker(card: AgentCard, path: Path, text: str, home: Path | None) -> Candidate:
    """An agent that is asked in words."""
    parameters = cards.fit(VOICES[card.kind], card.parameters, path=path, text=text, under=("parameters",))
    asking = card.prompt
    only = [*asking.only_for_models, *(["team"] if card.team else [])]
    if isinstance(parameters, Local):
        only = [each for each in only if each != "again"]
    if only and not isinstance(parameters, Model):
        raise CardError(f"{path}: an agent of kind {card.kind} takes no {' and no '.join(only)}; only a model does")
    said, file = asked_in(asking, home)
    instructions = instructions_in(said, file)
    members = [_member(analyst, card, path, text, home) for analyst in card.team]
    source = hashlib.sha256("\0".join([said, *(words for _, words in members)]).encode()).hexdigest()
    if isinstance(parameters, Organism):
        return _organism(card, parameters, instructions, source)
    if isinstance(parameters, Local):
        return _local(card, parameters, instructions, source)
    return _asker(card, cast(Model, parameters), instructions, [member for member, _ in members], source)


def _asker(
    card: AgentCard, parameters: Model, instructions: Template, seats: list[Callable[[Seat], Member]], source: str
) -> Candidate:
    """A model, and its team."""
    asking = card.prompt

    def seat(taken: Seat) -> Talker:
        schema, offered = schema_of(taken.symbols, asking.mode, notes=asking.notes), tuple(asking.tools)
        voice = LanguageModel(parameters, taken.seed, taken.board, schema, tools=offered, rounds=asking.rounds)
        pages = Pages(instructions, taken.limits, asking.bars, **asking.shown)
        team = [member(taken) for member in seats]
        manager = Speaker(voice, tools=offered)
        return Talker(manager, pages, asking.mode, team=team, again=asking.again, minutes=taken.minutes)

    return Candidate(
        card,
        asking.bars - 1,
        None,
        seat,
        source,
        parameters.model_dump(),
        check=lambda board: _check(seat(Seat(0, lambda _t: np.zeros(0), board=board))),
        prices=lambda: _prices(seat(Seat(0, lambda _t: np.zeros(0)))),
    )


def _organism(card: AgentCard, planted: Organism, instructions: Template, source: str = "") -> Candidate:
    bars = max(card.prompt.bars, planted.lookback + 1)

    def seat(taken: Seat) -> Talker:
        pages = Pages(instructions, taken.limits, bars, **card.prompt.shown)
        return Talker(OrganismVoice(planted, taken.seed), pages, card.prompt.mode)

    return Candidate(card, bars - 1, None, seat, source, planted.model_dump(), twin=seat)


def _local(card: AgentCard, parameters: Local, instructions: Template, source: str) -> Candidate:
    """A model that runs in this process. It is named and known by what its files hold, wherever they lie."""
    checkpoint = located(parameters.model)
    if parameters.sha256 not in ("", checkpoint.sha256):
        said = f"its files have the SHA-256 {checkpoint.sha256}; mend the card, or find the model it means"
        raise UsageError(f"{parameters.model}: is not the model of the card {card.name}: {said}")
    known = parameters.model_copy(update={"model": checkpoint.name, "sha256": checkpoint.sha256})
    asking, device = card.prompt, parameters.device
    name = f"local:{checkpoint.name}" if card.name.startswith("local:") else card.name
    sampled = card.sampled and parameters.temperature > 0
    card = card.model_copy(update={"name": name, "sampled": sampled, "parameters": known.model_dump()})

    @cache
    def load() -> Causal:
        return opened(checkpoint, device, parameters.precision)

    def seat(taken: Seat) -> Talker:
        pages = Pages(instructions, taken.limits, asking.bars, **asking.shown)
        voice = LocalVoice(load, known, taken.seed, taken.board, taken.symbols)
        return Talker(voice, pages, asking.mode, again=asking.again, minutes=taken.minutes)

    return Candidate(
        card,
        asking.bars - 1,
        None,
        seat,
        source,
        known.model_dump(exclude={"model", "device"}),
        check=lambda _board: check_local(load(), known),
        versions=lambda: load().versions,
    )


def resembling(card: AgentCard) -> Candidate | None:
    """The organism of a card, whose instructions are not at hand: it does not read them. None for any other agent."""
    return _organism(card, Organism.model_validate(card.parameters), Template("")) if card.kind == "organism" else None


def scripted(card: AgentCard) -> Candidate | None:
    """The organism or the classical agent of a card, which can be asked again at any time and at no cost; None for any
    other. Nothing but the parameters of the card is looked at.

    Raises:
        ValueError: these are none of its kind.
    """
    if card.kind in RULES:
        return _classical(card, RULES[card.kind].model_validate(card.parameters))
    return resembling(card)


def _classical(card: AgentCard, rule: Rule) -> Candidate:
    return Candidate(card, rule.needs, None, lambda seat: ClassicalAgent(rule, seat), settings=rule.model_dump())


def _member(
    analyst: Analyst, card: AgentCard, path: Path, text: str, home: Path | None
) -> tuple[Callable[[Seat], Member], str]:
    """What seats one of a team, and the template of what it is told at every step."""
    own = parameters_for(card.model_dump(), analyst.name)
    model = cards.fit(Model, own, path=path, text=text, under=("team", "parameters"))
    said, file = asked_of(analyst, card.prompt, home)
    instructions = instructions_in(said, file)

    def seat(taken: Seat) -> Member:
        tools = tuple(analyst.tools)
        voice = LanguageModel(model, taken.seed, taken.board, tools=tools, rounds=analyst.rounds, analyst=analyst.name)
        return Speaker(voice, analyst.name, tools), Pages(instructions, taken.limits, card.prompt.bars)

    return seat, said


def _check(agent: Talker) -> None:
    """Find out whether all who are asked can be."""
    for speaker in agent.speakers:
        if isinstance(speaker.voice, LanguageModel):
            speaker.voice.check()


def _prices(agent: Talker) -> list[dict[str, Any]]:
    """The models that are asked, each once, with the names of who speaks by it; "" is who decides."""
    found: list[dict[str, Any]] = []
    for speaker in agent.speakers:
        if isinstance(speaker.voice, LanguageModel):
            price = quoted(speaker.voice.model)
            known = next((each for each in found if {**each, "speakers": None} == {**price, "speakers": None}), None)
            if known:
                known["speakers"].append(speaker.name)
            else:
                found.append({**price, "speakers": [speaker.name]})
    return found


def _path(name: str, home: Path | None) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    found = rooms.cards("agents", home)
    if name not in found:
        raise UnknownName("agent", name, found)
    return found[name]


def _recorded(path: Path, clock: Clock) -> Candidate:
    if not str(path) or str(path) == ".":
        raise UsageError("write decisions:FILE with the path of a CSV or Parquet file")
    recording = read_recording(path, clock)
    card = AgentCard(name=f"decisions:{path.stem}", kind="decisions")
    return Candidate(
        card,
        0,
        recording.begins,
        lambda _seat: RecordedAgent(recording),
        recording.digest,
        unheard=recording.unheard,
    )
