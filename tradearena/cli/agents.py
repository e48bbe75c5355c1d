"""`tradearena agents list` and `show`: which agents there are, and what one is made of."""

from __future__ import annotations

from typing import Annotated

import typer

from tradearena.cli import options

app = typer.Typer(help="Which agents there are, and what one is made of.", no_args_is_help=True)


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
        except CardError as error:  # one broken card must not hide the others
            typer.echo(f"warning: {error}", err=True)
    if json:
        report.print_json({"agents": [{**agent.card.model_dump(), "warmup": agent.warmup} for agent in found]})
        return
    rows = [[agent.card.name, f"{agent.warmup} bars", agent.card.description] for agent in found]
    report.print_table(["agent", "warm-up", "description"], rows)
    typer.echo("Also: --agent decisions:FILE audits recorded decisions, --agent python:MODULE:CALLABLE asks your code.")


@app.command("show")
def show_agent(
    name: Annotated[str, typer.Argument(help="Card name or path.")],
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Show one agent card, defaults filled in."""
    from tradearena.agents.card import VOICES, open_agent
    from tradearena.cli import report

    agent = open_agent(name, home=home)
    card = {**agent.card.model_dump(), "parameters": agent.settings}
    if json:
        report.print_json({**card, "warmup": agent.warmup, "digest": agent.digest})
        return
    asking = card.pop("prompt") if agent.card.kind in VOICES else {}
    for key, value in {**card, **asking}.items():
        if key not in ("parameters", "prompt"):
            typer.echo(f"{key:<16}{value}")
    typer.echo(f"{'warm-up':<16}{agent.warmup} bars")
    for key, value in card["parameters"].items():
        typer.echo(f"  {key:<14}{value}")
