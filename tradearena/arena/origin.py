"""What an episode was made from: what is on record of it is read and written here.

A *fork* shares the first steps of another episode and goes on by itself; until then the rules are those of its trunk.
An *open loop* asks nobody: it plays the decisions of another episode again under other rules. Each has its origin on
record, so that a stranger can check it from its own file alone.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast, get_args

from tradearena.agents.card import AgentCard
from tradearena.cards import Card
from tradearena.errors import UsageError
from tradearena.policy import Policy

Carry: TypeAlias = Literal["trunk", "rewritten"]
"""What a fork remembers of having been told before: what was told, or what it would have been told in its own mode."""


def carry_named(name: str) -> Carry:
    """What is to be remembered, by name.

    Raises:
        UsageError: neither is called that.
    """
    for carry in get_args(Carry):
        if name == carry:
            return cast(Carry, carry)
    said = "write trunk, what was told, or rewritten, what its own mode would have told"
    raise UsageError(f"--carry {name}: {said}")


class Prefix(Card):
    """The steps that a fork shares with its trunk, and the rules they were made under.

    Attributes:
        at: bar of the first decision that is the fork's own.
        link: of the last step before it, in hexadecimal; where there is none, of no step at all.
        policy, card, feedback, wording, seed: the trunk's.
        carry: what it remembers of having been told before.
        before: where the trunk is a fork itself, what it shares with its own trunk; the rules above hold from there on.
    """

    at: int
    link: str
    policy: Policy
    card: AgentCard
    feedback: str
    wording: str
    seed: int
    carry: Carry = "trunk"
    before: Prefix | None = None

    def in_force(self, t: int) -> Prefix:
        """Whose rules the shared step at bar t was made under."""
        return self if self.before is None or t >= self.before.at else self.before.in_force(t)


class Origin(Card):
    """Where an episode comes from: experiment, episode and its root hash ("" where it had not come to its end). One
    with a prefix is a fork, one without an open loop."""

    experiment: str
    episode: str
    root_hash: str = ""
    prefix: Prefix | None = None

    def __str__(self) -> str:
        """In a few words."""
        if self.prefix is None:
            return f"open loop of {self.experiment}/{self.episode}"
        return f"fork of {self.experiment}/{self.episode} at bar {self.prefix.at}"
