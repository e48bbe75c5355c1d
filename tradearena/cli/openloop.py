"""`tradearena replay --policy`, `--latency`, `--cost-scale`: the decisions on record under other rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tradearena.cli.fork import conclude
from tradearena.cli.session import DEFAULT_CONNECTIONS, Means, carry_out
from tradearena.errors import UsageError

if TYPE_CHECKING:
    from tradearena.policy import Policy

COSTS = ("commission_bps", "commission_minimum", "half_spread_bps", "impact_bps", "borrow_rate")
"""Terms of execution that cost money."""

DEAREST = 1e6
"""Times the costs: what is dearer than that cannot be paid either."""


@dataclass(frozen=True)
class Otherwise:
    """Other rules, as typed: None leaves what is on record."""

    policy: str | None
    latency: int | None
    cost_scale: float | None

    @property
    def asked(self) -> bool:
        """Is any asked for?"""
        return any(each is not None for each in (self.policy, self.latency, self.cost_scale))

    def of(self, recorded: Policy, home: Path | None) -> Policy:
        """The policy on record, or the one named in its place, with these changes; its name says so."""
        from tradearena import policy as policies

        base = policies.load(self.policy, home) if self.policy is not None else recorded
        terms, said = base.execution, []
        if self.latency is not None:
            terms, said = terms.model_copy(update={"latency": self.latency}), [f"latency {self.latency}"]
        if self.cost_scale is not None:
            if not self.cost_scale <= DEAREST:
                how = f"write a number up to {DEAREST:,.0f}, 2 for twice the costs"
                raise UsageError(f"--cost-scale {self.cost_scale:g}: {how}")
            scaled = {name: getattr(terms, name) * self.cost_scale for name in COSTS}
            terms, said = terms.model_copy(update=scaled), [*said, f"costs times {self.cost_scale:g}"]
        name = f"{base.name} ({', '.join(said)})" if said else base.name
        return base.model_copy(update={"execution": terms, "name": name})


def play_again(
    path: Path, episode: str | None, otherwise: Otherwise, out: Path | None, home: Path | None, *, json: bool
) -> None:
    """Play the decisions of one episode, or of all of a file, under other rules, into an experiment of their own."""
    from tradearena.arena import branch

    def make() -> tuple[branch.Branches, list[str]]:
        found = branch.trunks(path, episode)
        return branch.open_loop(found, otherwise.of(found[0].policy, home)), []

    made, outcome = carry_out(make, Means(DEFAULT_CONNECTIONS, None, None, None, ()), out, home)
    conclude(made, outcome, path, json=json, quiet=False)
