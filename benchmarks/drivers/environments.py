"""Names of peers come in; a virtual environment of each, and what a script prints in it, go out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

OURS = "TradeArena"

REQUIREMENTS = {
    OURS: ("--editable", str(CHECKOUT)),
    "tradearena-benchmark": ("tradearena-benchmark==0.2.0",),
    "bt": ("bt==1.4.1",),
    "backtrader": ("backtrader==1.9.78.123", "pandas"),  # pandas for its feed of that name
    "vectorbt": ("vectorbt==1.2.0",),
    "cvxpy": ("cvxpy==1.9.3",),
    "PyPortfolioOpt": ("PyPortfolioOpt==1.6.0", "packaging"),  # which it imports, and does not ask for
    "skfolio": ("skfolio==1.12.2",),
}
"""What pip is asked for. Our own environment holds this checkout."""

SHOWN = {
    OURS: ("daqp", "numpy", "duckdb", "pandas"),
    "tradearena-benchmark": (),
    "bt": ("ffn", "numpy", "pandas", "scipy", "scikit-learn"),
    "backtrader": ("numpy", "pandas"),
    "vectorbt": ("numba", "numpy", "pandas"),
    "cvxpy": ("osqp", "clarabel", "numpy", "scipy"),
    "PyPortfolioOpt": ("cvxpy", "osqp", "clarabel", "numpy"),
    "skfolio": ("cvxpy-base", "clarabel", "scikit-learn", "numpy"),
}
"""Libraries beneath each whose versions are printed: those that do its work."""

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")


class Failed(Exception):
    """A peer could not be installed or did not finish; says why in one line."""


def install(name: str, folder: Path) -> Path:
    """Make the environment of a peer, unless it is there, and have pip see to its requirements; its interpreter.

    Raises:
        Failed: pip did not succeed.
    """
    place = folder / name
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        spoken([sys.executable, "-m", "venv", str(place)], folder)
    spoken([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[name]], folder)
    return python


def versions(name: str, python: Path) -> str:
    """A peer's own version and those of the libraries beneath it, in one line."""
    asked = (name, *SHOWN[name])
    code = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
    return spoken([str(python), "-c", code, *asked], python.parent).strip()


def spoken(command: list[str], folder: Path, patience: float = 1800.0) -> str:
    """What a command prints, run in a folder on one thread, without what the caller's own Python is told.

    Raises:
        Failed: it could not be run, ended with an error, or took longer than `patience` seconds.
    """
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRADEARENA"))}
    environment = outside | dict.fromkeys(THREADS, "1")
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {patience:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("[notice]")]
        errors = [line for line in said if line.startswith("ERROR")] or said or [f"exit {done.returncode}"]
        raise Failed(errors[-1].strip())
    return done.stdout
