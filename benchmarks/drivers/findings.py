"""What was measured: laps, failures and gaps come in; medians, ratios and raw figures go out."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One thing to measure: a task of a driver in an environment, on so many bars or problems."""

    environment: str
    driver: str
    task: str
    size: int

    def __str__(self) -> str:
        return f"{self.environment}, {self.task}, {self.size}"

    @property
    def kept(self) -> str:
        """What its weights are kept under, where it is a solver."""
        return f"{self.driver} {self.task}"


@dataclass(frozen=True)
class Pair:
    """Ours beside a peer's, and how many times as fast ours is to be, if that is a goal."""

    ours: Contender
    peer: Contender
    goal: float | None = None


@dataclass
class Found:
    """Everything that is known at the end."""

    loops: list[Pair]
    solvers: list[Pair]
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])
    seconds: float = 0.0
    laps: dict[Contender, list[dict[str, float]]] = field(default_factory=dict)
    failures: dict[Contender, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    holding: dict[str, float] = field(default_factory=dict)

    def ended(self, seconds: float) -> None:
        """Note the time it all took, and the load now."""
        self.seconds = seconds
        self.load.append(os.getloadavg()[0])

    def each(self, contender: Contender, name: str) -> list[float]:
        """One figure of all rounds."""
        return [lap[name] for lap in self.laps[contender]]

    def rates(self, contender: Contender) -> list[float]:
        """Bars (or problems) a second, of all rounds."""
        return [lap["count"] / lap["seconds"] for lap in self.laps[contender]]

    def rate(self, contender: Contender) -> float:
        """Their median."""
        return statistics.median(self.rates(contender))

    def ratio(self, pair: Pair) -> float:
        """How many times as fast ours is."""
        return self.rate(pair.ours) / self.rate(pair.peer)

    def why_not(self, peer: Contender) -> str | None:
        """Why a peer was not measured, or None if it was."""
        if peer in self.laps:
            return None
        return self.failures.get(peer) or self.versions[peer.environment]

    def raw(self) -> dict[str, object]:
        """All figures of all rounds, for a file."""
        laps = [asdict(contender) | {"laps": laps} for contender, laps in self.laps.items()]
        failures = [asdict(contender) | {"reason": reason} for contender, reason in self.failures.items()]
        rest = {name: getattr(self, name) for name in ("versions", "gaps", "holding", "load", "seconds")}
        return {"machine": machine(), "laps": laps, "failures": failures, **rest}


def machine() -> str:
    """Processor, cores and Python, in one line."""
    model, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = (line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line)
        model = next(named, model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
