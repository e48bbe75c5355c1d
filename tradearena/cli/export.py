"""`tradearena export`: what an experiment file holds, in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradearena.cli import options
from tradearena.cli.terminal import say
from tradearena.errors import UsageError

Parquet = Annotated[
    Path | None, typer.Option("--parquet", metavar="DIR", help="Frames as Parquet: DIR/steps/episode=ID/part.parquet.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="Frames as CSV: DIR/steps.csv.")]
Jsonl = Annotated[Path | None, typer.Option("--jsonl", metavar="FILE", help="One JSON object per step, all in it.")]
Otel = Annotated[
    Path | None, typer.Option("--otel", metavar="FILE", help="OpenTelemetry GenAI spans, OTLP/JSON lines.")
]
Sft = Annotated[Path | None, typer.Option("--sft", metavar="FILE", help="Prompts and replies as chats to train on.")]


def export(
    file: options.FileOrNewest = None,
    parquet: Parquet = None,
    csv: Csv = None,
    jsonl: Jsonl = None,
    otel: Otel = None,
    sft: Sft = None,
    all_replies: Annotated[
        bool, typer.Option("--all-replies", help="With --sft: replies that were not ok as well.")
    ] = False,
    episode: options.EpisodeName = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Export episodes as Parquet, CSV, JSON lines, OpenTelemetry spans or chats: docs/export.md.

    Nothing that is there is written over, and of an export that fails nothing is left.
    """
    wanted = {"parquet": parquet, "csv": csv, "jsonl": jsonl, "otel": otel, "sft": sft}
    targets = {name: path for name, path in wanted.items() if path is not None}
    if not targets:
        raise UsageError("say what to write: --parquet DIR, --csv DIR, --jsonl FILE, --otel FILE, --sft FILE")
    if all_replies and sft is None:
        raise UsageError("--all-replies is for --sft")
    from tradearena.cli import report
    from tradearena.store.export.writing import export as write
    from tradearena.store.files import resolve

    path = resolve(file, home)
    found = write(path, targets, episode=episode, every_reply=all_replies)
    if json:
        written = {name: {"path": str(targets[name]), "rows": rows} for name, rows in found.items()}
        report.print_json({"experiment": str(path), "exported": written})
        return
    for name, rows in found.items():
        left_out = rows.pop("left_out", 0)
        counts = ", ".join(f"{part} {count:,}" for part, count in rows.items())
        say(f"{targets[name]}: {counts}")
        if left_out:
            say(f"left out for a reply that was not ok: {left_out:,}; --all-replies takes them in")
