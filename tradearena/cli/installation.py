"""Is everything there? A home comes in, one line on each part of the installation goes out; nothing is written but a
file that is gone at once, and nobody outside is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple


class Part(NamedTuple):
    """One part, whether it works, and what was found."""

    part: str
    ok: bool
    said: str


def parts(home: Path | None) -> list[Part]:
    """All parts, in order."""
    looked: dict[str, Callable[[Path | None], str]] = {
        "versions": _versions, "solver": _solver, "DuckDB": _duckdb, "litellm": _litellm, "agents": _agents,
        "risk": _policies, "market_data": _datasets, "replays": _replays, "keys": _keys,
    }  # fmt: skip
    found = []
    for name, look in looked.items():
        try:
            found.append(Part(name, True, look(home)))
        except Exception as error:  # whatever is broken is what is looked for
            found.append(Part(name, False, " ".join(str(error).split()) or type(error).__name__))
    return found


def _versions(_home: Path | None) -> str:
    from tradearena.arena.manifest import versions

    said = ("tradearena", "python", "numpy", "pydantic", "machine", "system")
    return ", ".join(f"{name} {versions()[name]}" for name in said)


def _solver(_home: Path | None) -> str:
    """Two equal, independent assets: half of each is the one optimum."""
    import numpy as np

    from tradearena.portfolio.optimiser import mean_variance

    weights = mean_variance(np.eye(2) * 0.01, np.full(2, 0.1), risk_aversion=5.0, cap=np.ones(2))
    if np.abs(weights - 0.5).max() > 1e-6:
        raise ArithmeticError(f"daqp {version('daqp')} finds {weights.tolist()} where [0.5, 0.5] is right")
    return f"daqp {version('daqp')} finds the optimum of a portfolio of two"


def _duckdb(_home: Path | None) -> str:
    import duckdb

    with duckdb.connect(config={"threads": 1}) as db:
        db.execute("SELECT 1").fetchall()
    return f"duckdb {version('duckdb')}"


def _litellm(_home: Path | None) -> str:
    try:
        return f"{version('litellm')}, for agents of kind llm"
    except PackageNotFoundError:
        raise ModuleNotFoundError("not installed: agents of kind llm cannot be asked; pip install litellm") from None


def _agents(home: Path | None) -> str:
    from tradearena import rooms

    return _in_room("agents", len(rooms.cards("agents", home)), home)


def _policies(home: Path | None) -> str:
    from tradearena import rooms

    return _in_room("risk", len(rooms.cards("risk", home)), home)


def _datasets(home: Path | None) -> str:
    from tradearena.market.dataset import ROOM, datasets

    return _in_room(ROOM, len(datasets(home)), home)


def _in_room(room: str, count: int, home: Path | None) -> str:
    from tradearena import rooms

    if not count:
        raise FileNotFoundError("there is nothing in it, not even what comes with the package; install again")
    return f"{count} in {', '.join(map(str, rooms.places(room, home)))}"


def _replays(home: Path | None) -> str:
    """Where runs are recorded: the folder, or the nearest above it that is there."""
    from tradearena import rooms

    folder = rooms.home(home) / "replays"
    there = folder if folder.is_dir() else rooms.home(home)
    try:
        with TemporaryFile(dir=there):
            return f"{folder} can be written"
    except OSError as error:
        raise PermissionError(f"{there} cannot be written ({error.strerror}); give another with --home") from None


def _keys(_home: Path | None) -> str:
    """The names of keys, and never what they are."""
    from tradearena.agents.keys import read_dotenv

    read_dotenv(Path.cwd())
    names = sorted(name for name, value in os.environ.items() if name.endswith("_API_KEY") and value.strip())
    return ", ".join(names) or "none; only agents of kind llm need one"
