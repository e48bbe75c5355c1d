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
    str,
    typer.Option("--agent", "-a", help="Card name or path, decisions:FILE, python:MODULE:CALLABLE or local:PATH."),
]
AgentNames = Annotated[
    list[str] | None, typer.Option("--agent", "-a", help="As in `run`; may be repeated.", metavar="AGENT")
]
Feedback = Annotated[
    str | None,
    typer.Option(
        "--feedback",
        "-f",
        metavar="MODE",
        help="What the agent is told of its audits: true, hidden, placebo, or false-audit (:alarm, :all-clear or "
        ":inverted). An agent that reads no feedback runs as hidden.",
    ),
]
Feedbacks = Annotated[
    list[str] | None,
    typer.Option("--feedback", "-f", metavar="MODE", help="As in `run`; may be repeated. Default: all four."),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Any litellm name, for agents of kind llm; overrides the card's.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="FORM",
        help="Ask for answers in this form, whatever the card says: rationale (reasons first), rationale-last, or "
        "weights-only (no word). For agents that are asked in words.",
    ),
]
NoiseSize = Annotated[
    str | None,
    typer.Option(
        "--noise",
        metavar="SIZE",
        help="Lay noise on the bars: 0.1 (of each symbol's volatility per bar) or 5bp; 0.1:3 is that of seed 3. The "
        "bars are others then, and so is the experiment file.",
    ),
]
Datas = Annotated[
    list[str] | None,
    typer.Option("--data", "-d", metavar="DATA", help="As in `run`; may be repeated: an experiment file for each."),
]
Paths = Annotated[
    int | None,
    typer.Option("--paths", min=1, max=1000, metavar="N", help="N invented market paths, an experiment file for each."),
]
PathSeed = Annotated[
    int | None,
    typer.Option("--path-seed", min=0, max=2**62, metavar="SEED", help="Seed of the first path. Default: 1."),
]
Data = Annotated[str, typer.Option("--data", "-d", help="Dataset name, folder, or CSV or Parquet file.")]
PolicyName = Annotated[str, typer.Option("--policy", "-p", help="Policy name or path.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the agent's dice.", min=0, max=2**63 - 1)]
Seeds = Annotated[int | None, typer.Option("--seeds", help="Seeds 0 to N-1. Default: 1.", min=1, metavar="N")]
SeedList = Annotated[
    list[int] | None, typer.Option("--seed", help="One seed; may be repeated.", min=0, max=2**63 - 1, metavar="SEED")
]
Start = Annotated[
    datetime | None, typer.Option("--start", formats=_DATES, help="No decision before this time (UTC).", metavar="DATE")
]
End = Annotated[
    datetime | None, typer.Option("--end", formats=_DATES, help="No bar that ends after this (UTC).", metavar="DATE")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="At most this many decisions (in each window).")]
Every = Annotated[int, typer.Option("--every", min=1, help="Bars between decisions.")]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--windows",
        metavar="N",
        help="N windows with no bar in common; or disjoint:LENGTH, rolling:LENGTH:STRIDE (in decisions and bars), "
        "calendar:NAME (a scene that `data describe` lists), FROM..TO (days); these two may be repeated.",
    ),
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Episodes that wait for answers side by side.")]
Connections = Annotated[
    int, typer.Option("--max-connections", min=1, help="Most requests to one model at a time; it begins with few.")
]
CostLimit = Annotated[
    float | None, typer.Option("--cost-limit", min=0, metavar="USD", help="Spend at most so much in this run.")
]
TokenLimit = Annotated[
    int | None, typer.Option("--token-limit", min=0, metavar="N", help="Read and write at most so many tokens.")
]
TimeLimit = Annotated[
    str | None, typer.Option("--time-limit", metavar="TIME", help="Last at most so long: 90s, 30m, 2h.")
]
Reuse = Annotated[
    list[Path] | None,
    typer.Option("--reuse", metavar="FILE", help="Take replies to the same requests from this file; may be repeated."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask nobody: say what the requests would take and cost.")]
CarryMode = Annotated[
    str,
    typer.Option(
        "--carry",
        help="What a fork remembers of having been told before: trunk, as it was, or rewritten, as if its own mode had "
        "always held.",
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Run a new replicate, even if the file holds these episodes.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Experiment file; default: one under replays/.")]
Label = Annotated[str | None, typer.Option("--label", help="Override: bars are stamped at their start or end.")]
VolumeUnit = Annotated[str | None, typer.Option("--volume-unit", help="Override: shares, units, lots of N, …")]
Calendar = Annotated[str | None, typer.Option("--calendar", help="Override: intersection or union.")]
Sign = Annotated[
    Path | None,
    typer.Option("--sign", metavar="KEY", help="Sign what has ended with this private Ed25519 key, PEM or OpenSSH."),
]
File = Annotated[str, typer.Argument(metavar="FILE", help="Experiment file: path, name under replays/, or id.")]
FileOrNewest = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="Experiment file: path, name under replays/, or id; or newest.")
]
EpisodeName = Annotated[str | None, typer.Option("--episode", "-e", help="Episode id (or its beginning), or agent.")]
