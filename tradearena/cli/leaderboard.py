"""`tradearena leaderboard`: agents ranked on a frozen protocol, baselines always among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.session import (
    DEFAULT_CONCURRENCY,
    DEFAULT_CONNECTIONS,
    DEFAULT_DATA,
    Means,
    announce_keys,
    carry_out,
)
from tradearena.cli.terminal import say

if TYPE_CHECKING:
    from tradearena.analysis.leaderboard import Standing
    from tradearena.arena.plan import Plan

DEFAULT_AGENTS = ("organism-momentum", "momentum", "min-variance")


def leaderboard(
    protocol: Annotated[
        str, typer.Argument(metavar="[PROTOCOL]", help="Protocol file, or name of a dataset that has one.")
    ] = DEFAULT_DATA,
    agent: options.AgentNames = None,
    model: options.Model = None,
    out: options.Out = None,
    concurrency: options.Concurrency = DEFAULT_CONCURRENCY,
    max_connections: options.Connections = DEFAULT_CONNECTIONS,
    cost_limit: options.CostLimit = None,
    token_limit: options.TokenLimit = None,
    time_limit: options.TimeLimit = None,
    reuse: options.Reuse = None,
    sign: options.Sign = None,
    home: options.Home = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank agents on a frozen protocol: bars, windows, policy, seeds and modes stand in a file, and are checked.

    The baselines are always in it. Every place has the best and the worst that the data do not rule out. The same
    command with more agents adds theirs; two people with the same protocol get the same root hashes for scripted
    agents.
    """
    from tradearena.analysis.leaderboard import standings
    from tradearena.arena.protocol import plan_of, read
    from tradearena.cli import report
    from tradearena.store.reader import Reader

    frozen = read(protocol, home)

    def make() -> tuple[Plan, list[str]]:
        plan = plan_of(frozen, tuple(agent or DEFAULT_AGENTS), home, model)
        if any(candidate.card.kind == "llm" for candidate in plan.candidates):
            announce_keys()
        return plan, []

    means = Means(max_connections, cost_limit, token_limit, time_limit, reuse or ())
    _, outcome = carry_out(make, means, out, home, concurrency=concurrency, quiet=quiet, sign=sign)
    with Reader(outcome.path) as reader:
        found = standings(reader, outcome.episodes)
    if not json and not quiet:
        _print(found, frozen.name)
        report.print_next(outcome.path, complete=outcome.failure is None, commands=_NEXT)
    said = {"experiment": str(outcome.path), "protocol": frozen.model_dump(mode="json")}
    report.conclude({**said, "standings": [_as_json(each) for each in found]}, outcome.failure, json=json)


_NEXT = (("show {file}", "each episode by itself"), ("replay {file} --verify", "check all of it"))


def _print(found: list[Standing], name: str) -> None:
    from tradearena.cli import report

    rows = []
    for each in found:
        agent = each.agent.removeprefix("decisions:")
        if each.place is None:
            rows.append(["–", "", f"{agent} (no result)", each.mode, "–", "–", "–", "–", each.root[:12]])
            continue
        ratio = "–"
        if each.sharpe is not None and each.interval is not None:
            ratio = f"{each.sharpe:.2f} [{each.interval[0]:.2f}, {each.interval[1]:.2f}]"
        deflated = "–" if each.deflated is None else f"{each.deflated:.2f}"
        span = f"{each.place.best} to {each.place.worst}"
        gain = report.number(each.total_return)
        rows.append([str(each.place.place), span, agent, each.mode, f"{each.place.score:.2f}", gain, ratio, deflated,
                     each.root[:12]])  # fmt: skip
    heads = ["place", "could be", "agent", "feedback", "score", "return", "Sharpe, a year", "DSR", "root"]
    report.print_table(heads, rows, title=f"protocol {name}", cut=2)
    placed = [each.place for each in found if each.place is not None]
    if placed:
        n = placed[0].n
        say(report.wrapped(
            f"Places are by the mean Sharpe ratio of {n} windows (score); what they could be: paired sign-flip tests "
            "against all others, Holm, 5 %. A deflated Sharpe ratio (DSR) above 0.95 is more than the luck of the best "
            "of as many."
        ))  # fmt: skip
        if not placed[0].conclusive:
            say(f"With {n} windows no place can be settled; more windows would do.")


def _as_json(each: Standing) -> dict[str, Any]:
    place = each.place._asdict() if each.place else None
    return {**each._asdict(), "place": place, "interval": list(each.interval) if each.interval else None}
