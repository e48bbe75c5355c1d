"""`tradearena fork`: go on live from a step on record; and the table that shows branches beside what they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.session import DEFAULT_CONCURRENCY, DEFAULT_CONNECTIONS, Means, announce_keys, carry_out
from tradearena.cli.terminal import say
from tradearena.errors import UsageError

if TYPE_CHECKING:
    from tradearena.agents.card import Candidate
    from tradearena.arena.branch import Branches, Trunk
    from tradearena.arena.experiment import Outcome
    from tradearena.policy import Policy


def fork(
    file: options.File,
    at: Annotated[int, typer.Option("--at", min=0, metavar="BAR", help="First bar that is decided anew, by number.")],
    episode: options.EpisodeName = None,
    feedback: options.Feedbacks = None,
    policy: Annotated[str | None, typer.Option("--policy", "-p", help="Policy name or path; default: its own.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="As in `run`, another prompt say; default: its own card.")
    ] = None,
    model: options.Model = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", min=0, max=2**63 - 1, metavar="SEED", help="May be repeated; default: its own."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="At most so many decisions of its own.")] = None,
    carry: options.CarryMode = "trunk",
    out: options.Out = None,
    again: options.Again = False,
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
    """Go on live from a step on record, with another feedback mode, policy, prompt, model or seed.

    The steps before it are taken from the record, at no cost; what follows is decided anew. The fork is an experiment
    of its own, and names what it comes from. The same command again takes up a fork that was cut short.
    """
    from tradearena.arena import branch
    from tradearena.arena.origin import carry_named
    from tradearena.risk.feedback import mode_named, open_wording
    from tradearena.store.files import resolve

    carried = carry_named(carry)
    path = resolve(file, home)

    def make() -> tuple[Branches, list[str]]:
        (trunk,) = branch.trunks(path, episode or _only(path))
        row = trunk.row
        candidate, warnings = _decider(trunk, agent, model, home)
        wording = row.wording or open_wording(home).template
        made = branch.fork(
            trunk,
            at,
            candidate,
            modes=[mode_named(name) for name in feedback or (row.feedback,)],
            seeds=seed or (row.seed,),
            policy=_policy(policy, home) or trunk.policy,
            wording=wording,
            steps=steps,
            carry=carried,
        )
        return made, warnings

    means = Means(max_connections, cost_limit, token_limit, time_limit, reuse or ())
    made, outcome = carry_out(make, means, out, home, again=again, concurrency=concurrency, quiet=quiet, sign=sign)
    conclude(made, outcome, path, json=json, quiet=quiet)


def _only(path: Path) -> str | None:
    """The one episode of a file.

    Raises:
        UsageError: there are several.
    """
    from tradearena.store.reader import Reader

    with Reader(path) as reader:
        rows = reader.episodes()
    if len(rows) > 1:
        names = ", ".join(f"{row.id} ({row.agent}, {row.feedback})" for row in rows[:4])
        raise UsageError(
            f"{path} holds {len(rows)} episodes; choose one with --episode: {names}{', …'[: 3 * (len(rows) > 4)]}"
        )
    return rows[0].id if rows else None


def _policy(name: str | None, home: Path | None) -> Policy | None:
    from tradearena import policy as policies

    return None if name is None else policies.load(name, home)


def _decider(trunk: Trunk, agent: str | None, model: str | None, home: Path | None) -> tuple[Candidate, list[str]]:
    """Who decides from the fork on. Of the agent on record no more than its name is taken: where it is asked, with what
    key, and what code it runs, come from the user's own card.

    Raises:
        UsageError: the agent on record is no card.
    """
    from tradearena.agents.card import open_agent

    card = trunk.card
    if agent is None and (card.kind in ("decisions", "python") or card.name.startswith("local:")):
        raise UsageError(f"the agent on record is {card.name}, which is no card; say with --agent who is to decide")
    if model is not None and agent is None and card.kind != "llm":
        raise UsageError(f"--model is for agents of kind llm; {card.name} asks no model")
    named = card.parameters.get("model") if card.kind == "llm" and agent is None else None
    candidate = open_agent(agent or card.name, clock=trunk.dataset.card.clock, home=home, model=model or named)
    if candidate.card.kind == "llm":
        announce_keys()
    changed = agent is None and model is None and candidate.digest != trunk.row.agent_digest
    said = f"the card {card.name} here is not the one on record: the fork decides by the one here"
    return candidate, [said] if changed else []


def conclude(made: Branches, outcome: Outcome, path: Path, *, json: bool, quiet: bool) -> None:
    """Show branches beside what they come from."""
    from tradearena.cli import report

    found = {**report.results(outcome), "parent": str(path)}
    if not json and not quiet:
        _table(made, outcome, path, found["episodes"])
    report.conclude(found, outcome.failure or report.invalid(found), json=json)


def _table(made: Branches, outcome: Outcome, path: Path, episodes: list[dict[str, Any]]) -> None:
    from tradearena.cli import report
    from tradearena.store.reader import Reader

    origins = {planned.origin.episode: planned for planned in made.episodes if planned.origin}
    with Reader(path) as reader:
        rows = [row for row in reader.episodes() if row.id in origins]
        trunks = dict(zip((row.id for row in rows), report.summaries(reader, rows), strict=True))
    entries = []
    for name, trunk in trunks.items():
        entries.append(_entry(trunk, ""))
        for planned, episode in zip(made.episodes, episodes, strict=True):
            if planned.origin and planned.origin.episode == name:
                at = planned.origin.prefix.at if planned.origin.prefix else None
                entries.append(_entry(episode, "  open loop" if at is None else f"  from {at}"))
    report.print_metrics(
        entries, title=f"{made.rule}; policy {made.policy.name}", heads=("", "agent", "feedback", "seed")
    )
    if any(planned.prefix for planned in made.episodes):
        say("Metrics are of whole episodes, the shared steps among them.")
    else:
        say("Open loop: the decisions on record under other rules; nobody was asked, and nobody was told.")
    report.print_next(outcome.path, complete=outcome.failure is None, commands=_NEXT)


_NEXT = (("show {file}", "the family it belongs to"), ("replay {file} --verify", "check all of it"))


def _entry(episode: dict[str, Any], label: str) -> tuple[tuple[str, ...], Any]:
    from tradearena.cli import report

    (agent,), metrics = report.entry(episode)
    return (label or episode["id"], agent, episode["feedback"], str(episode["seed"])), metrics
