"""Options that several verbs share, each defined once."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]

Home = Annotated[Path | None, typer.Option("--home", help="Folder that holds agents/, risk/, market_data/, replays/.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table, no advice.")]
AgentName = Annotated[
    str, typer.Option("--agent", "-a", help="Card name, card path, decisions:FILE or python:MODULE:CALLABLE.")
]
Data = Annotated[str, typer.Option("--data", "-d", help="Dataset name, folder, or CSV or Parquet file.")]
PolicyName = Annotated[str, typer.Option("--policy", "-p", help="Policy name or path.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the agent's dice.", min=0)]
Start = Annotated[
    datetime | None, typer.Option("--start", formats=_DATES, help="No decision before this time (UTC).", metavar="DATE")
]
End = Annotated[
    datetime | None, typer.Option("--end", formats=_DATES, help="No bar that ends after this (UTC).", metavar="DATE")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="At most this many decisions.")]
Every = Annotated[int, typer.Option("--every", min=1, help="Bars between decisions.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Experiment file; default: one under replays/.")]
Label = Annotated[str | None, typer.Option("--label", help="Override: bars are stamped at their start or end.")]
VolumeUnit = Annotated[str | None, typer.Option("--volume-unit", help="Override: shares, units, lots of N, …")]
Calendar = Annotated[str | None, typer.Option("--calendar", help="Override: intersection or union.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Experiment file: path, name under replays/, or id.")]
FileOrNewest = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="Experiment file: path, name under replays/, or id; or newest.")
]
EpisodeName = Annotated[str | None, typer.Option("--episode", "-e", help="Episode id (or its beginning), or agent.")]
