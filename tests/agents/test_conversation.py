"""Several exchanges for one decision: tools, a team, asking again; what is on record is not had again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from string import Template
from typing import Any

import pytest
from stage import observe, walk

from tradearena.agents.conversation import Reply, Speaker
from tradearena.agents.messages import messages_of
from tradearena.agents.prompt import REPORTS, Pages
from tradearena.agents.talker import Member, Talker
from tradearena.agents.tools import ToolCall, calls_said
from tradearena.errors import AgentError
from tradearena.policy import Limits
from tradearena.values import Call, Decision, Exchange

PANEL = walk(2, bars=40, n=3)
LOOK = Reply(calls_said([ToolCall("a", "correlations", '{"symbols": ["S0", "S1"]}')], "hm"), tools=True)
GOOD = Reply(json.dumps({"target_weights": {"S0": 0.3}, "rationale": "So."}), calls=(Call("m", "{}"),))
BAD, CUT = Reply("I would rather not."), Reply(GOOD.text, cut=True)


class Scripted:
    """A voice that answers in turn, and keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, tuple[Exchange, ...]]] = []

    async def answer(self, system: str, prompt: str, before: Sequence[Exchange] = ()) -> Reply:
        self.asked.append((system, prompt, tuple(before)))
        return self.replies.pop(0)


class Book:
    """Minutes in memory; what is `known` was said before."""

    def __init__(self, *known: Exchange) -> None:
        self.known, self.kept = known, list[Exchange]()

    def said(self) -> Sequence[Exchange]:
        return self.known

    async def say(self, t: int, exchange: Exchange) -> None:
        assert t == len(PANEL) - 1
        self.kept.append(exchange)


def pages(text: str = "You decide.") -> Pages:
    return Pages(Template(text), Limits(), 21)


def decide(voice: Scripted, book: Book | None = None, team: Sequence[Member] = (), **more: Any) -> Decision:
    speaker = Speaker(voice, tools=("correlations",))
    talker = Talker(speaker, pages(), team=team, minutes=book or Book(), **more)
    return asyncio.run(talker.decide(observe(PANEL)))


def test_tools_are_called_and_what_they_gave_is_the_next_prompt() -> None:
    voice, book = Scripted(LOOK, LOOK, GOOD), Book()
    decision = decide(voice, book)
    assert (decision.status, decision.rationale) == ("ok", "So.")
    assert [(each.turn, each.tools, each.speaker) for each in decision.exchanges] == [
        (0, True, ""), (1, True, ""), (2, False, ""),
    ]  # fmt: skip
    (given,) = json.loads(decision.exchanges[1].prompt)
    assert given.startswith("symbol,S0,S1")
    assert [len(before) for _, _, before in voice.asked] == [0, 1, 2]
    assert book.kept == list(decision.exchanges[:-1]), "the last one is on record with the step"


def test_a_team_reports_in_order_and_the_manager_reads_it_last() -> None:
    first, second = Scripted(Reply("# Risk review\nAll is lost.")), Scripted(LOOK, Reply("涨"))
    team = [
        (Speaker(first, "one"), pages("You look.")),
        (Speaker(second, "two", ("correlations",)), pages("You measure.")),
    ]
    manager = Scripted(GOOD)
    decision = decide(manager, team=team)
    assert [each.speaker for each in decision.exchanges] == ["one", "two", "two", ""]
    assert [each.system for each in decision.exchanges] == ["You look.", "You measure.", "You measure.", "You decide."]
    ((_, prompt, _),) = manager.asked
    shown, _, reports = prompt.partition(f"\n\n{REPORTS}\n")
    assert shown == first.asked[0][1] == second.asked[0][1]
    assert json.loads(reports) == {"one": "# Risk review\nAll is lost.", "two": "涨"}
    assert "\n# Risk review" not in prompt, "no report can pass for a section"


@pytest.mark.parametrize("unread", [BAD, CUT], ids=["prose", "cut"])
def test_asking_again_is_bounded_and_never_happens_unasked(unread: Reply) -> None:
    assert decide(Scripted(unread)).status == "fallback"
    voice = Scripted(unread, unread, GOOD)
    decision = decide(voice, again=2)
    assert decision.status == "ok"
    assert [each.turn for each in decision.exchanges] == [0, 1, 2]
    assert voice.asked[1][1].startswith("Your answer could not be used: ")
    spent = decide(Scripted(unread, unread), again=1)
    assert (spent.status, spent.target) == ("fallback", None)
    assert len(spent.exchanges) == 2


def test_an_answer_that_can_be_used_is_not_asked_for_again() -> None:
    repaired = Reply('{"target_weights": {"S0": 0.3,}, "rationale": "So."}')
    assert decide(Scripted(repaired), again=5).status == "repaired"


@pytest.mark.parametrize("cut_after", range(4))
def test_what_was_said_before_a_run_was_cut_short_is_not_had_again(cut_after: int) -> None:
    script: Callable[[], list[Reply]] = lambda: [LOOK, CUT, BAD, GOOD]  # noqa: E731
    whole = decide(Scripted(*script()), again=2)
    book = Book(*whole.exchanges[:cut_after])
    voice = Scripted(*script()[cut_after:])
    again = decide(voice, book, again=2)
    assert (again.status, again.rationale) == (whole.status, whole.rationale) == ("ok", "So.")
    assert [(e.prompt, e.reply) for e in again.exchanges] == [(e.prompt, e.reply) for e in whole.exchanges]
    assert len(voice.asked) == 4 - cut_after
    assert book.kept == list(again.exchanges[cut_after:-1]), "nothing is put on record twice"


def test_a_record_of_another_conversation_is_refused() -> None:
    for known in (
        Exchange("You decide.", "other words", "x"),
        Exchange("You decided.", pages().prompt(observe(PANEL)), "x"),
        Exchange("You decide.", pages().prompt(observe(PANEL)), "x", speaker="one"),
    ):
        with pytest.raises(AgentError, match="what is on record of this decision was said otherwise"):
            decide(Scripted(GOOD), Book(known))


def test_messages_of_a_conversation_are_those_of_the_protocol() -> None:
    exchanges = decide(Scripted(LOOK, BAD, GOOD), again=1).exchanges
    messages = messages_of(exchanges[2].system, exchanges[2].prompt, exchanges[:2])
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    (call,) = messages[2]["tool_calls"]
    assert call == {
        "id": "a",
        "type": "function",
        "function": {"name": "correlations", "arguments": '{"symbols": ["S0", "S1"]}'},
    }
    assert messages[2]["content"] == "hm"
    assert messages[3]["tool_call_id"] == "a"
    assert messages[3]["content"].startswith("symbol,S0,S1")
    assert messages[4] == {"role": "assistant", "content": BAD.text}
