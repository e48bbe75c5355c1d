"""The command line: arguments come in; results go to stdout, everything else to stderr, and an exit code out.

One thin file per verb. At the top of each only typer and the standard library are imported: `--help` loads none of
numpy, pandas, duckdb or litellm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tradearena import __version__
from tradearena.cli import agents, check, compare, data, export, files, fork, init, leaderboard, replay, run, signatures
from tradearena.cli.terminal import say
from tradearena.errors import Interrupted, TradeArenaError


class _Verbs(TyperGroup):
    """The verbs. Whoever is stopped amid one says so, as whoever fails does: typer would end without a word."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("stopped by Ctrl-C") from None
        except RuntimeError as error:
            if str(error) != "Query interrupted":  # so DuckDB says it
                raise
            raise Interrupted("stopped by Ctrl-C") from None


app = typer.Typer(
    cls=_Verbs,
    name="tradearena",
    help="A testbed for LLM trading agents with a risk audit layer.\n\nStart with `tradearena run`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("replay")(replay.replay)
app.command("fork")(fork.fork)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("signatures")(signatures.signatures)
app.command("list")(files.list_files)
app.command("show")(files.show)
app.command("sql")(files.sql)
app.command("export")(export.export)
app.command("check")(check.check)
app.command("init")(init.init)
app.add_typer(agents.app, name="agents")
app.add_typer(data.app, name="data")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tradearena {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    del version  # dealt with before any verb is looked for


@cache
def _program() -> Callable[[], object]:
    """Verbs and options, read off the functions: 20 ms, paid once where one process types many commands."""
    return get_command(app)


def main() -> None:
    """Run the command line. A user's mistake prints one sentence, never a traceback.

    A closed pipe (exit 1) ends it quietly: typer sees to that. A sign that the terminal does not have is printed as a
    question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _program()()
    except TradeArenaError as error:
        _end(str(error), error.exit_code)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)


def _end(said: str, code: int) -> NoReturn:
    """Say why it ends, and end."""
    if "--json" in sys.argv:
        import json

        typer.echo(json.dumps({"error": said}))
    say(f"error: {said}", err=True)
    sys.exit(code)
