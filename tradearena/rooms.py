"""Finds what users edit: a room and a name come in, a path goes out.

The four rooms are `agents`, `risk`, `market_data` and `replays`. They are looked up, in this order, under `--home`,
`$TRADEARENA_HOME`, the working directory, and (but for `replays`) what the package ships; the first hit wins. Nothing
is ever written into the package: new files go to the first of the first three that applies.
"""

from __future__ import annotations

import os
from pathlib import Path

from tradearena.errors import UsageError

ROOMS = ("agents", "risk", "market_data", "replays")

_PACKAGE = Path(__file__).resolve().parent


def shipped() -> Path:
    """Folder that holds the rooms the package came with: inside the wheel, or the checkout of an editable install."""
    content = _PACKAGE / "content"
    return content if content.is_dir() else _PACKAGE.parent


def home(chosen: Path | None = None) -> Path:
    """Folder that new files are written under.

    Raises:
        UsageError: the chosen folder does not exist.
    """
    if chosen is None and (named := os.environ.get("TRADEARENA_HOME")):
        chosen = Path(named)
    if chosen is None:
        return Path.cwd()
    if not chosen.is_dir():
        raise UsageError(f"home folder {chosen} does not exist; create it or run `tradearena init {chosen}`")
    return chosen


def places(room: str, chosen: Path | None = None) -> list[Path]:
    """Existing folders in which a room's files are looked up, nearest first."""
    candidates = [home(chosen), Path.cwd()]
    if room != "replays":  # the package ships no runs; those of the checkout it stands in are somebody's own
        candidates.append(shipped())
    folders = [base / room for base in dict.fromkeys(path.resolve() for path in candidates)]
    return [folder for folder in folders if folder.is_dir()]


def cards(room: str, chosen: Path | None = None, ending: str = ".toml") -> dict[str, Path]:
    """All TOML files (or those of another ending) of a room by name; the nearest folder wins where a name occurs
    twice."""
    found: dict[str, Path] = {}
    for folder in places(room, chosen):
        for path in sorted(folder.glob(f"*{ending}")):
            found.setdefault(path.stem, path)
    return found
