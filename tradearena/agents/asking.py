"""How an agent is asked in words, and who is asked before it: the tables `[prompt]` and `[[team]]` of a card come in,
the texts of their instructions go out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from tradearena import cards, rooms
from tradearena.agents.format import DEFAULT, Mode
from tradearena.agents.model import PATIENCE
from tradearena.agents.prompt import asks_for_an_answer, completed
from tradearena.agents.tools import ToolName
from tradearena.cards import Card
from tradearena.errors import CardError, UnknownName

_WHOSE = ("api_base", "key", "prices")
"""Parameters that belong to a model, and not to how it is asked."""


def _each_once(names: list[ToolName]) -> list[ToolName]:
    if len(set(names)) < len(names):
        raise ValueError("names a tool twice")
    return names


Tools = Annotated[list[ToolName], AfterValidator(_each_once)]
Rounds = Annotated[int, Field(ge=1, le=10)]


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
        tools: what a model may look up before it answers, and in how many `rounds` of calls.
        again: how often a model is asked again after an answer that cannot be used. Never, by default: asking again
            helps most in the arm that answers worst.
    """

    instructions: str = "trader"
    bars: Annotated[int, Field(ge=21)] = 21
    mode: Mode = DEFAULT
    mandate: bool = True
    statistics: bool = False
    summary: bool = False
    reflection: bool = False
    notes: bool = False
    tools: Tools = Field(default_factory=list)
    rounds: Rounds = 3
    again: Annotated[int, Field(ge=0, le=5)] = 0

    @model_validator(mode="after")
    def _fits(self) -> Asking:
        if self.mode == "weights-only" and (self.notes or self.reflection or self.tools):
            raise ValueError("mode weights-only asks for no words; leave out notes, reflection and tools")
        return self

    @property
    def shown(self) -> dict[str, bool]:
        """What its pages show beside the usual."""
        return {name: getattr(self, name) for name in ("statistics", "summary", "reflection")}

    @property
    def only_for_models(self) -> list[str]:
        """What of this only a model can do."""
        return [name for name in ("tools", "again") if getattr(self, name)]

    @property
    def decides(self) -> dict[str, Any]:
        """What of this decides, without keys that keep their usual value: a card from before there was such a key is
        the same card still."""
        asked = self.model_dump(exclude={"instructions", "bars"}, exclude_defaults=True)
        return {"instructions": self.instructions, "bars": self.bars, **asked}


class Analyst(Card):
    """One of a team: reads what the manager reads, in the same prompt, and reports to it in words of its own.

    Attributes:
        name: under which the manager reads its report.
        instructions: the file of instructions in the room `agents`, without its ending. It asks for no decision.
        tools, rounds: what it may look up.
        parameters: of its model, where they are not the manager's. One with a `model` of its own has `api_base`, `key`
            and `prices` of its own as well, if any.
    """

    name: Annotated[str, Field(pattern=r"^\w[\w .-]*$", max_length=40)]
    instructions: str
    tools: Tools = Field(default_factory=list)
    rounds: Rounds = 3
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def decides(self) -> dict[str, Any]:
        """What of this decides."""
        said = self.model_dump()
        return said | {"parameters": {key: value for key, value in self.parameters.items() if key not in PATIENCE}}


def parameters_for(card: Mapping[str, Any], speaker: str) -> dict[str, Any]:
    """The parameters of the model that a speaker of a card is: those of the card, and over them its own. Where it has
    a model of its own, the address, the key and the prices of the card's are not its."""
    own: dict[str, Any] = next((each["parameters"] for each in card.get("team", ()) if each["name"] == speaker), {})
    usual = {key: value for key, value in card["parameters"].items() if "model" not in own or key not in _WHOSE}
    return {**usual, **own}


def asked_in(asking: Asking, home: Path | None = None) -> tuple[str, Path]:
    """The template of the system text in full, which is the file of instructions with the form of an answer in it; and
    that file.

    Raises:
        UnknownName: there is no such file.
        CardError: it cannot be read, or has no place for the form.
    """
    text, path = _instructions(asking.instructions, home)
    return completed(text, path, mandate=asking.mandate, mode=asking.mode, notes=asking.notes), path


def asked_of(analyst: Analyst, asking: Asking, home: Path | None = None) -> tuple[str, Path]:
    """The same of one of a team, which sees the mandate where the manager does.

    Raises:
        UnknownName: there is no such file.
        CardError: it cannot be read, or asks for a decision.
    """
    text, path = _instructions(analyst.instructions, home)
    if asks_for_an_answer(text):
        raise CardError(f"{path}: an analyst decides nothing; take $answer out, and ask for a report in words")
    return completed(text, path, mandate=asking.mandate), path


def _instructions(name: str, home: Path | None) -> tuple[str, Path]:
    files = rooms.cards("agents", home, ".txt")
    if name not in files:
        raise UnknownName("file of instructions", name, files)
    return cards.text_of(files[name]), files[name]
