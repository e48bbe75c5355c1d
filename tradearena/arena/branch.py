"""What can be made of episodes on file: a file comes in; forks, which go on live from one of its steps, and open loops,
which play its decisions again under other rules, go out as a programme to run. The file they come from is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tradearena.agents.agent import Agent
from tradearena.agents.card import AgentCard, Candidate
from tradearena.arena.episode import Setting
from tradearena.arena.origin import Carry, Origin, Prefix
from tradearena.arena.plan import Planned
from tradearena.arena.setting import Hearing, setting_of
from tradearena.errors import StoreError, UsageError
from tradearena.market.bars import Remark
from tradearena.market.card import DatasetCard
from tradearena.market.dataset import Dataset
from tradearena.market.window import Span
from tradearena.policy import Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.store.chain import GENESIS, next_link
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.schema import ENGINE
from tradearena.store.steps import UNREADABLE, Held, story_of
from tradearena.values import Decision, Observation


class Trunk(NamedTuple):
    """An episode on file: its experiment's id, its row, its steps, and the bars and policy they were made on."""

    experiment: str
    row: EpisodeRow
    steps: tuple[Held, ...]
    dataset: Dataset
    policy: Policy

    @property
    def card(self) -> AgentCard:
        """The card of its agent."""
        return AgentCard.model_validate_json(json.dumps(self.row.card))

    @property
    def prefix(self) -> Prefix | None:
        """What it shares with a trunk of its own, if it is a fork."""
        return Origin.model_validate_json(json.dumps(self.row.parent)).prefix if self.row.parent else None


@dataclass(frozen=True, eq=False)
class Branches:
    """Episodes that are made from others; `rule` names these."""

    dataset: Dataset
    policy: Policy
    rule: str
    episodes: tuple[Planned, ...]

    def stage(self, planned: Planned, halt: Callable[[int], bool]) -> Setting:
        """Where one of its episodes plays."""
        card, prefix = planned.candidate.card, planned.origin.prefix if planned.origin else None
        hearing = Hearing(planned.mode, planned.wording, planned.seed, card)
        return setting_of(
            self.dataset.panel, self.policy, planned.span, hearing, prefix, self._reference, halt,
            rehearse=card.rehearses,
        )  # fmt: skip

    @cached_property
    def _reference(self) -> RollingMarkowitz:
        """It depends on the bars alone: all share it."""
        return RollingMarkowitz(self.dataset.panel, self.policy.reference)


def trunks(path: Path, episode: str | None = None) -> list[Trunk]:
    """The episodes of a file that have steps; or one, by id (or its beginning) or agent.

    Raises:
        UnknownName: there is no such episode.
        StoreError: the file cannot be read, holds no step, or its steps do not follow from each other.
    """
    try:
        held = [trunk for trunk in _on_file(path, episode) if trunk.steps]
        for trunk in held:
            _sound(path, trunk)
    except UNREADABLE as error:  # cards and rows are whatever a file has there
        said = str(error).splitlines()[0]
        raise StoreError(f"{path}: cannot be understood ({said}); see `tradearena replay --verify`") from None
    if not held:
        raise StoreError(f"{path}: holds no step to go on from")
    return held


def _on_file(path: Path, episode: str | None) -> list[Trunk]:
    """The episodes, as they stand there."""
    with Reader(path) as reader:
        setup, panel = reader.experiment(), reader.panel()
        if setup.engine != ENGINE:
            raise StoreError(
                f"{path}: made under the rules of engine {setup.engine}, and this program has those of {ENGINE}; "
                "go on from it with the version that its manifest names (episode.manifest)"
            )
        if panel.digest != setup.dataset_digest:
            raise StoreError(f"{path}: its bars were changed; see `tradearena replay --verify`")
        card = DatasetCard.model_validate_json(json.dumps(setup.dataset))
        dataset = Dataset(card, panel, path, tuple(Remark("recorded", said, 1) for said in setup.warnings))
        policy = Policy.model_validate_json(json.dumps(setup.policy))
        rows = reader.episodes() if episode is None else [reader.episode(episode)]
        found = [Trunk(setup.id, row, story_of(reader, row.id).steps, dataset, policy) for row in rows]
    for trunk in found:
        _ = trunk.card  # a card that is none is found here, and not in the middle of a run
    return found


def _sound(path: Path, trunk: Trunk) -> None:
    """Does every link follow from the step before?"""
    link = GENESIS
    for held in trunk.steps:
        link = next_link(link, held.step)
        if link != held.link:
            raise StoreError(
                f"{path}: step {held.step.t} of episode {trunk.row.id} is not what its hash says; it was changed, "
                "see `tradearena replay --verify`"
            )


def fork(
    trunk: Trunk,
    at: int,
    candidate: Candidate,
    *,
    modes: Sequence[str],
    seeds: Sequence[int],
    policy: Policy,
    wording: str,
    steps: int | None = None,
    carry: Carry = "trunk",
) -> Branches:
    """Episodes that share the steps of a trunk before bar `at`, and go on from there: in each mode, with each seed.

    Args:
        candidate: who decides from there on.
        policy: the limits and terms from there on; initial cash and latency must be the trunk's, since money was paid
            and orders are in flight, and shorts may not be forbidden that may be held.
        wording: the sentence audits are told in.
        steps: at most so many decisions of its own; else to the end of the trunk's window.
        carry: what is remembered of having been told before.

    Raises:
        UsageError: the trunk has no decision at that bar, or the policy does not go on from its own.
    """
    row = trunk.row
    before = tuple(held for held in trunk.steps if held.step.t < at)
    _reachable(trunk, at, candidate)
    _continues(trunk.policy, policy)
    last = row.last if steps is None else min(row.last, at + (steps - 1) * row.every + policy.execution.latency)
    span = Span(row.first, last, row.every, policy.execution.latency)
    link = (before[-1].link if before else GENESIS).hex()
    own = Prefix(
        at=at, link=link, policy=trunk.policy, card=trunk.card, feedback=row.feedback, wording=row.wording,
        seed=row.seed, carry=carry, before=trunk.prefix,
    )  # fmt: skip
    last_shared = before[-1].step.t if before else row.first
    prefix = own.in_force(last_shared).model_copy(update={"at": at, "link": link, "carry": carry})
    origin = Origin(experiment=trunk.experiment, episode=row.id, root_hash=row.root_hash or "", prefix=prefix)
    card, episodes = candidate.card, []
    for seed in dict.fromkeys(seeds if card.sampled else (0,)):
        for mode in dict.fromkeys(modes if card.reads_feedback else ("hidden",)):
            said = "" if mode == "hidden" else wording
            episodes.append(Planned(candidate, mode, seed, span, said, origin, before))
    rule = (
        f"{origin}, link {link[:12]}"
        + (f" steps={steps}" if steps else "")
        + (f" carry={carry}" if carry != "trunk" else "")
    )
    return Branches(trunk.dataset, policy, rule, tuple(episodes))


def _reachable(trunk: Trunk, at: int, candidate: Candidate) -> None:
    """Is there a decision to be made at this bar, with all before it on record?"""
    row, made = trunk.row, trunk.steps[-1].step.t
    latest = min(made + row.every, row.last - trunk.policy.execution.latency)
    if at not in range(row.first, latest + 1, row.every):
        said = f"a decision every {row.every} bars" if row.every > 1 else "a decision at every bar"
        raise UsageError(
            f"episode {row.id} cannot be forked at bar {at}: it has {said} from {row.first} to {made}; name one of "
            f"these, or the next ({latest})"
            if latest > made
            else f"episode {row.id} cannot be forked at bar {at}: it has {said} from {row.first} to {made}; name one"
        )
    if candidate.warmup > at:
        raise UsageError(f"{candidate.card.name} wants {candidate.warmup} bars before it decides; fork later than {at}")


def _continues(before: Policy, after: Policy) -> None:
    """Can an episode that began under one policy go on under another?"""
    for name in ("initial_cash", "latency"):
        one, other = (getattr(policy.execution, name) for policy in (before, after))
        if one != other:
            raise UsageError(
                f"a fork keeps the {name} of its trunk, {one:g}, and the policy {after.name} has {other:g}; change the "
                "policy, or see what it would have made of the same decisions with `tradearena replay --policy`"
            )
    if before.limits.allow_short and not after.limits.allow_short:
        raise UsageError(f"the trunk may be short, and the policy {after.name} forbids it; fork with one that does not")


def open_loop(found: Sequence[Trunk], policy: Policy) -> Branches:
    """The decisions of episodes of one file, played again under another policy. Nobody is asked, and nobody is told:
    what an agent would have done under the other policy is not what this says.

    Raises:
        UsageError: no decision of an episode could be filled within its window.
    """
    episodes = tuple(_replayed(trunk, policy.execution.latency) for trunk in found)
    return Branches(found[0].dataset, policy, f"open loop of {found[0].experiment}", episodes)


def _replayed(trunk: Trunk, latency: int) -> Planned:
    """The decisions of one trunk as an episode on the same bars. It ends before them where the next decision would be
    due and none is on record: the trunk was ruined or stopped, or had to wait longer for its fills."""
    row = trunk.row
    origin = Origin(experiment=trunk.experiment, episode=row.id, root_hash=row.root_hash or "")
    made = {held.step.t: held.step.decision for held in trunk.steps}
    span = Span(row.first, min(row.last, max(made) + row.every - 1 + latency), row.every, latency)
    if not span.decisions:
        raise UsageError(
            f"no decision of episode {row.id} would be filled within its bars, {row.first} to {row.last}: orders wait "
            f"{latency} bars; choose a smaller --latency"
        )
    candidate = Candidate(
        trunk.card,
        0,
        None,
        lambda _seat: _Recalling(made),
        source=f"{origin} {row.root_hash or trunk.steps[-1].link.hex()}",
    )
    return Planned(candidate, "hidden", row.seed, span, "", origin)


class _Recalling(Agent):
    """Answers what was answered; of what was said to it then, nothing: its prompts were of another account."""

    def __init__(self, made: dict[int, Decision]) -> None:
        self.made = made

    async def decide(self, observation: Observation) -> Decision:
        """The decision on record for this bar."""
        return replace(self.made[observation.t], exchanges=())
