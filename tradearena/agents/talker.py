"""An agent that is asked in words: an observation becomes a prompt, whoever stands behind the voice answers, and the
reply is read. Models and organisms differ in their voice and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tradearena.agents.agent import UNKEPT, Minutes
from tradearena.agents.conversation import Conversation, Speaker, Voice
from tradearena.agents.figures import in_one_line
from tradearena.agents.format import DEFAULT, Mode, without_words
from tradearena.agents.prompt import REPORTS, Pages
from tradearena.agents.reply import decision_in
from tradearena.values import Decision, Exchange, Observation

UNREAD = "Your answer could not be used: {}. Answer again, in the form you were asked for."
"""Said to an agent that may be asked again."""

CUT, NOTHING = "(the report was cut off here)", "(there is no report)"
"""What a manager reads where a report is not whole."""

Member = tuple[Speaker, Pages]
"""Somebody who is asked, and the pages its system text is from."""


class Talker:
    """Who decides, in the seat: its pages, the form in which it is to answer, how often it is asked again after an
    answer that cannot be used, and a team that reports to it first, one after the other."""

    def __init__(
        self,
        manager: Speaker | Voice,
        pages: Pages,
        mode: Mode = DEFAULT,
        *,
        team: Sequence[Member] = (),
        again: int = 0,
        minutes: Minutes = UNKEPT,
    ) -> None:
        self.manager = manager if isinstance(manager, Speaker) else Speaker(manager)
        self.pages, self.mode, self.team, self.again, self.minutes = pages, mode, team, again, minutes

    @property
    def speakers(self) -> list[Speaker]:
        """All who are asked, in order."""
        return [*(speaker for speaker, _ in self.team), self.manager]

    async def decide(self, observation: Observation) -> Decision:
        """Hear the team, ask, and read the reply."""
        talk = Conversation(observation, self.minutes)
        prompt = self.pages.prompt(observation)
        reports = {
            analyst.name: _report(await talk.ask(analyst, pages.system(observation), prompt))
            for analyst, pages in self.team
        }
        if reports:
            prompt = f"{prompt}\n\n{REPORTS}\n{in_one_line(reports)}"
        reply = await talk.ask(self.manager, self.pages.system(observation), prompt)
        decision = read(reply, self.mode, observation.symbols)
        for _ in range(self.again):
            if decision.status in ("ok", "repaired"):
                break
            reply = await talk.go_on(self.manager, UNREAD.format(decision.reason))
            decision = read(reply, self.mode, observation.symbols)
        return replace(decision, exchanges=tuple(talk.exchanges))


def _report(said: Exchange) -> str:
    """What an analyst said, and that it is not whole where it is not."""
    return f"{said.reply} {CUT}" if said.cut else said.reply.strip() or NOTHING


def read(reply: Exchange, mode: Mode, symbols: tuple[str, ...]) -> Decision:
    """The decision in a reply, and nothing else of it where no words are asked for."""
    decision = decision_in(reply.reply, symbols, cut=reply.cut)
    return without_words(decision) if mode == "weights-only" else decision
