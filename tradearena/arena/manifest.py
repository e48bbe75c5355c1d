"""What made an episode: a candidate comes in; versions, processor, git revision and the prices of its models come out,
for the record. No host name, no path."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from typing import Any

from tradearena import __version__, rooms
from tradearena.agents.card import Candidate
from tradearena.store.schema import MIGRATIONS

_LIBRARIES = ("numpy", "daqp", "duckdb", "pydantic")


def manifest(candidate: Candidate) -> dict[str, Any]:
    """What `versions` says; for an agent that asks models the version of litellm and each model's prices, and for one
    that runs in this process what computes it."""
    models = candidate.prices()
    asked = {"litellm": version("litellm"), "models": models} if models else {}
    return {**versions(), **candidate.versions(), **asked}


@cache
def versions() -> dict[str, Any]:
    """Versions of this program, of the schema of its files and of what computes, the processor family, and the git
    revision with its dirty flag (None outside a checkout)."""
    return {
        "tradearena": __version__,
        "schema": len(MIGRATIONS),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "machine": platform.machine(),
        "processor": _processor(),
        "system": sys.platform,
        **_revision(),
    }


def _processor() -> str:
    """Model name of the processor: BLAS picks its kernels, and so the last bits, by it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()


def _revision() -> dict[str, Any]:
    root = rooms.shipped()
    if not (root / ".git").exists():
        return {"revision": None, "dirty": None}
    revision = _git("rev-parse", "HEAD")
    return {"revision": revision, "dirty": bool(_git("status", "--porcelain")) if revision else None}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(rooms.shipped()), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
