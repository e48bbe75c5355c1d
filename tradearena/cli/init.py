"""`tradearena init`: copies the rooms out, so that cards, policies and datasets can be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Where to put agents/, risk/, market_data/ and replays/.")] = Path(),
) -> None:
    """Copy the shipped agents, policies and datasets to a folder of yours. What is there already is left alone."""
    import shutil

    from tradearena import rooms
    from tradearena.errors import TradeArenaError

    source, copied, kept = rooms.shipped(), 0, 0
    try:
        for room in rooms.ROOMS:
            (folder / room).mkdir(parents=True, exist_ok=True)
            if room == "replays":
                continue
            for path in sorted((source / room).rglob("*")):
                target = folder / path.relative_to(source)
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                elif target.exists():
                    kept += 1
                else:
                    shutil.copyfile(path, target)
                    copied += 1
    except OSError as error:
        raise TradeArenaError(f"{folder}: cannot be written: {error.strerror or error}") from None
    typer.echo(f"{copied} files copied to {folder.resolve()}" + (f", {kept} left as they were" if kept else ""))
    typer.echo("Edit a card in agents/ or a policy in risk/, then `tradearena run` in that folder.")
