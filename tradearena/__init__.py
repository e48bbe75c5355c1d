"""TradeArena: a testbed for LLM trading agents with a risk audit layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradearena.store.frames import Frames

__version__ = "0.1.0"


def open(file: str | Path, *, episode: str | None = None, home: Path | None = None) -> Frames:  # noqa: A001
    """Open an experiment file for reading, as pandas frames: `tradearena.open("x.duckdb").steps()`.

    Args:
        file: a path, or a name or id as the command line takes it.
        episode: the id of one episode (or its beginning), or the newest of an agent; all of them by default.
        home: the folder that holds `replays/`, where it is not the working folder.

    Raises:
        UnknownName: no such file or episode.
        StoreError: the file cannot be read, or is no experiment of ours.
    """
    from tradearena.store.frames import Frames

    return Frames(file, episode=episode, home=home)
