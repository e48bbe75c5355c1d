"""`tradearena agents list`, `show` and `check`: which agents there are, what one is made of and would be sent, and
whether its model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradearena.cli import options
from tradearena.cli.session import DEFAULT_DATA, DEFAULT_POLICY, announce_keys
from tradearena.cli.terminal import say
from tradearena.errors import AgentError, UsageError

app = typer.Typer(help="Which agents there are, what one is made of, and whether it answers.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Card name or path.")]


@app.command("list")
def list_agents(home: options.Home = None, json: options.Json = False) -> None:
    """List the agent cards."""
    from tradearena import rooms
    from tradearena.agents.card import open_agent
    from tradearena.cli import report
    from tradearena.errors import CardError

    found = []
    for _, path in sorted(rooms.cards("agents", home).items()):
        try:
            found.append(open_agent(str(path), home=home))
        except (CardError, UsageError) as error:  # one broken card must not hide the others
            typer.echo(f"warning: {error}", err=True)
    if json:
        report.print_json({"agents": [{**agent.card.model_dump(), "warmup": agent.warmup} for agent in found]})
        return
    rows = [[agent.card.name, f"{agent.warmup} bars", agent.card.description] for agent in found]
    report.print_table(["agent", "warm-up", "description"], rows)
    typer.echo("Also: --agent decisions:FILE audits recorded decisions, --agent python:MODULE:CALLABLE asks your code,")
    typer.echo("--agent local:PATH runs a language model in this process and records its hidden states.")


@app.command("show")
def show_agent(
    name: Name,
    prompt: Annotated[bool, typer.Option("--prompt", help="What it would be sent at its first step.")] = False,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help=f"With --prompt: the dataset; default {DEFAULT_DATA}.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help=f"With --prompt: the policy; default {DEFAULT_POLICY}.")
    ] = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Show one agent card, defaults filled in; or, with --prompt, exactly what `run` would send first."""
    if prompt:
        _show_prompt(name, data or DEFAULT_DATA, policy or DEFAULT_POLICY, home, json=json)
    elif data is not None or policy is not None:
        raise UsageError("--data and --policy are for --prompt: the card is the same on all of them")
    else:
        _show_card(name, home, json=json)


def _show_card(name: str, home: Path | None, *, json: bool) -> None:
    from tradearena.agents.card import VOICES, open_agent
    from tradearena.cli import report

    agent = open_agent(name, home=home)
    card = {**agent.card.model_dump(), "parameters": agent.settings}
    if json:
        report.print_json({**card, "warmup": agent.warmup, "digest": agent.digest})
        return
    asking = card.pop("prompt") if agent.card.kind in VOICES else {}
    team = card.pop("team")
    for key, value in {**card, **asking}.items():
        if key not in ("parameters", "prompt"):
            typer.echo(f"{key:<16}{', '.join(value) or 'none' if isinstance(value, list) else value}")
    typer.echo(f"{'warm-up':<16}{agent.warmup} bars")
    for key, value in card["parameters"].items():
        typer.echo(f"  {key:<14}{value}")
    for analyst in team:
        typer.echo(f"analyst         {analyst['name']}")
        typer.echo(f"  instructions  {analyst['instructions']}")
        typer.echo(f"  tools         {', '.join(analyst['tools']) or 'none'}, {analyst['rounds']} rounds")
        for key, value in analyst["parameters"].items():
            typer.echo(f"  {key:<14}{value}")


def _show_prompt(name: str, data: str, policy: str, home: Path | None, *, json: bool) -> None:
    from tradearena import policy as policies
    from tradearena.agents.card import open_agent
    from tradearena.arena.plan import Plan
    from tradearena.arena.preview import first_requests
    from tradearena.cli import report
    from tradearena.market.dataset import open_dataset
    from tradearena.market.window import Window

    dataset = open_dataset(data, home=home)
    agent = open_agent(name, clock=dataset.card.clock, home=home)
    sent = first_requests(Plan(dataset, policies.load(policy, home), Window(), (agent,)))
    *team, last = ({part: text for part, text in each._asdict().items() if text} for each in sent)
    if json:
        report.print_json({**last, **({"team": team} if team else {})})
        return
    for request in (*team, last):
        of = f" of {request.pop('speaker')}" if "speaker" in request else ""
        for part, text in request.items():
            say(f"--- {part}{of}\n{text}\n--- end of {part}{of}\n")


@app.command("check")
def check_agent(name: Name, model: options.Model = None, home: options.Home = None, json: options.Json = False) -> None:
    """Send one tiny request to the model of an agent, and say what works and what it costs.

    Where analysts of a team have models of their own, to each of these as well. The key is read from the environment,
    or from a file .env in the working directory. A model that runs in this process is loaded.
    """
    import asyncio
    from dataclasses import asdict

    from tradearena.agents.asking import parameters_for
    from tradearena.agents.card import open_agent
    from tradearena.agents.model import Model
    from tradearena.agents.probe import probe
    from tradearena.agents.switchboard import Switchboard
    from tradearena.cli import report

    agent = open_agent(name, home=home, model=model)
    if agent.card.kind == "local":
        agent.check(Switchboard())
        found_here = {"model": agent.card.parameters["model"], **agent.versions()}
        if json:
            report.print_json(found_here)
        else:
            say(", ".join(f"{key} {value}" for key, value in found_here.items()))
        return
    if agent.card.kind != "llm":
        raise UsageError(f"{agent.card.name} asks no model: there is nothing to check")
    announce_keys()
    card = agent.card.model_dump()
    asked = [
        Model.model_validate(parameters_for(card, name)) for name in ("", *(each.name for each in agent.card.team))
    ]
    models = {(model.model, model.api_base, model.key): model for model in reversed(asked)}
    found, failures = [], []
    for each in reversed(models.values()):
        try:
            found.append(asyncio.run(probe(each)))
        except AgentError as error:
            failures.append(error)
        else:
            if not json:
                say(str(found[-1]))
    if failures:
        raise AgentError("; ".join(map(str, failures)))
    if json:
        listed = [{**asdict(good), "prices": good.prices and good.prices.model_dump()} for good in found]
        first, *others = listed
        report.print_json({**first, **({"team": others} if others else {})})
