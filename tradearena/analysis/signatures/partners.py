"""Who can be asked again, and who was: experiment files come in; the trajectories that are stressed go out, and of
each, under a stress, the trajectory of the same agent with the same dice in the same window of the same market.

What is on file is taken from there: a run of `compare --noise`, of `--output weights-only`, or a lie among the feedback
modes. A scripted agent that was not asked is asked now, in memory, after it has been found to answer as it did on
record. Nobody else is: a model would have to be paid, a module of somebody's would have to be run, and of a list of
decisions there is nobody to ask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from tradearena.agents.card import VOICES, AgentCard, in_form, scripted
from tradearena.analysis.asked import Market
from tradearena.analysis.names import RECORDED
from tradearena.analysis.signatures.asked import asked
from tradearena.analysis.signatures.recorded import LeftOut, in_words, results
from tradearena.analysis.signatures.trace import Trace, read
from tradearena.errors import InvalidRun, StoreError, UsageError
from tradearena.market.noise import Noise, noise_named, noised_panel
from tradearena.market.window import Span
from tradearena.panel import Panel
from tradearena.policy import Policy
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow

WORDLESS: Final = "weights-only"

LIVE = "needs a live agent"
DEAF = "reads no feedback"
WORDS = "not asked in words"
OTHERWISE = "answers otherwise than on record"


class Stress(NamedTuple):
    """One of: another feedback mode, another form of answer, noise on the bars. `name` is as people call it."""

    name: str
    mode: str = ""
    form: str = ""
    noise: Noise | None = None


def noise_stress(noise: Noise) -> Stress:
    """That of noise."""
    return Stress(f"noise {noise}", noise=noise)


LIES = tuple(Stress(mode, mode=mode) for mode in ("false-audit:alarm", "false-audit:all-clear"))
MUTE = Stress(WORDLESS, form=WORDLESS)
NOISES = (Noise(0.1), Noise(0.5))


class Held(NamedTuple):
    """A trajectory on file: whose it is without the form of its answers, told how, in which form, on bars with which
    noise, drawn how; and the bars and the policy that it was made with."""

    trace: Trace
    agent: str
    mode: str
    form: str
    noise: str
    row: EpisodeRow
    panel: Panel
    policy: Policy

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from all others."""
        return self.agent, self.mode, self.form, self.noise, self.trace.window, self.row.seed, self.row.replicate


Found: TypeAlias = Trace | str
"""A trajectory, or why there is none."""


class Partners:
    """The trajectories of these files, and whoever can be asked again; what is no result is `left_out`.

    Args:
        fewest: decisions; a trajectory of fewer is left out.
        halt: asked before every decision of those who are asked again; True stops.

    Raises:
        UsageError: there is nothing to stress, an episode stands in two files, or two agents bear one name.
        InvalidRun: no episode is a result.
        StoreError: a file cannot be read, or is not what it says.
    """

    def __init__(
        self, paths: Iterable[Path], *, fewest: int = 0, halt: Callable[[int], bool] = lambda _t: False
    ) -> None:
        self.held: dict[tuple[object, ...], Held] = {}
        self.left_out: list[LeftOut] = []
        self._halt = halt
        self._markets: dict[tuple[int, str, str], Market] = {}
        self._same: dict[tuple[str, str], bool] = {}
        for path in paths:
            for each in _on_file(path, fewest, self.left_out):
                if each.key in self.held:
                    raise UsageError(f"{path}: episode {each.row.id} stands in another file as well; name each once")
                self.held[each.key] = each
        if self.left_out and not self.held:
            raise InvalidRun(f"no episode of these files can be stressed: {in_words(self.left_out, fewest)}")
        _refuse_namesakes(self.held.values())
        _sound(self.held.values())
        self.bases = list(_bases(self.held.values()))
        if not self.bases:
            raise UsageError("there is nothing to stress: no run without noise in its own form, told true or nothing")

    @property
    def noises(self) -> list[Noise]:
        """Those on file, in their order."""
        names = dict.fromkeys(each.noise for each in self.held.values() if each.noise)
        return [noise_named(name.removeprefix("noise ")) for name in names]

    def of(self, base: Held, stress: Stress) -> Found:
        """The trajectory of a base under a stress, under the name and on the market path of the base."""
        mode = stress.mode or base.mode
        at = base._replace(mode=mode, form=stress.form, noise=stress.name if stress.noise else "")
        found: Found = self.held[at.key].trace if at.key in self.held else self._again(base, stress, mode)
        if isinstance(found, str):
            return found
        own = base.trace
        return replace(found, episode=own.episode, group=own.group, window=own.window)

    def _again(self, base: Held, stress: Stress, mode: str) -> Found:
        """Ask again, in memory."""
        card = _card(base)
        if card.kind not in VOICES and stress.form:
            return WORDS
        if _script(base) is None:
            return LIVE
        if stress.mode and not card.reads_feedback:
            return DEAF
        if not self._reproduced(base, card):
            return OTHERWISE
        return self._played(base, in_form(card, WORDLESS) if stress.form else card, mode, stress.noise)

    def _reproduced(self, base: Held, card: AgentCard) -> bool:
        """Does it decide, on the bars on record, as it did? Once for each agent of a file."""
        who = base.row.agent_digest, base.trace.window.path
        if who not in self._same:
            again = self._played(base, card, base.mode, None)
            self._same[who] = np.array_equal(again.intent, base.trace.intent)
        return self._same[who]

    def _played(self, base: Held, card: AgentCard, mode: str, noise: Noise | None) -> Trace:
        """An episode of a script where and as the base was played, but for what is said here."""
        row, key = base.row, (id(base.panel), str(noise), base.row.wording)
        if key not in self._markets:
            panel = base.panel if noise is None else noised_panel(base.panel, noise)
            self._markets[key] = Market(panel, base.policy, row.wording or None)
        span = Span(row.first, row.last, row.every, base.policy.execution.latency)
        tally = self._markets[key].played(card, span, mode=mode, seed=row.seed, halt=self._halt)
        return asked(row.id, base.trace.group, base.trace.window, tally)


def _bases(held: Iterable[Held]) -> Iterator[Held]:
    """Of each agent the runs without stress: told the truth, or nothing where it never was."""
    plain = [each for each in held if not each.noise and not each.form]
    told = {each.agent for each in plain if each.mode == "true"}
    for each in plain:
        if each.mode == ("true" if each.agent in told else "hidden"):
            yield each


def _refuse_namesakes(held: Iterable[Held]) -> None:
    """The partner of one would be taken from the other."""
    known: dict[str, tuple[str, str, int]] = {}
    for each in held:
        card = "" if each.agent.startswith(RECORDED) else each.row.agent_digest
        who = card, each.policy.digest, each.row.every
        if not each.form and known.setdefault(each.agent, who) != who:
            raise UsageError(
                f"more than one agent is called {each.agent} in these files: their cards, policies or rhythms differ; "
                "name files of one at a time"
            )


def _on_file(path: Path, fewest: int, left_out: list[LeftOut]) -> Iterator[Held]:
    """Episodes that are results, and are no forks and no open loops; the others are listed."""
    with Reader(path) as reader:
        setup, panel = reader.experiment(), reader.panel()
        if panel.digest != setup.dataset_digest:
            raise StoreError(f"{path}: its bars were changed; see `tradearena replay --verify`")
        rows, others = results(reader, reader.episodes(), fewest)
        left_out += others
        policy = Policy.model_validate_json(json.dumps(setup.policy))
        for row, trace in zip(rows, read(reader, rows), strict=True):
            name, _, form = row.agent.rpartition("+")
            wordless = form == WORDLESS and bool(name)
            agent = name if wordless else row.agent
            own = replace(trace, group=f"{agent}, {row.feedback}")
            yield Held(own, agent, row.feedback, WORDLESS * wordless, setup.noise, row, panel, policy)


def _sound(held: Iterable[Held]) -> None:
    """Are bars with noise what that noise makes of the bars without, where these are there?"""
    below = {each.trace.window.path: each.panel for each in held if not each.noise}
    checked: set[int] = set()
    for each in held:
        bars = below.get(each.trace.window.path)
        if not each.noise or bars is None or id(each.panel) in checked:
            continue
        checked.add(id(each.panel))
        if noised_panel(bars, noise_named(each.noise.removeprefix("noise "))).digest != each.panel.digest:
            raise StoreError(f"episode {each.row.id}: its bars are not those that {each.noise} makes of the bars below")


def _card(base: Held) -> AgentCard:
    try:
        return AgentCard.model_validate_json(json.dumps(base.row.card))
    except ValueError as error:
        raise _unclear(base, error) from None


def _script(base: Held) -> object:
    """What plays by the card, if that is a script."""
    try:
        return scripted(_card(base))
    except ValueError as error:
        raise _unclear(base, error) from None


def _unclear(base: Held, error: Exception) -> StoreError:
    said = str(error).splitlines()[0]
    return StoreError(f"episode {base.row.id}: its card cannot be understood ({said})")
