"""A record in memory: steps come in, the arrays of a `Trajectory` go out. For episodes that are not kept."""

from __future__ import annotations

import numpy as np

from tradearena.panel import Panel
from tradearena.values import Call, Decision, Fill, Mark, RiskReport, Step, Trajectory


class Tally:
    """Keeps what the metrics need."""

    def __init__(self, panel: Panel, initial_cash: float) -> None:
        self.panel, self.initial_cash = panel, initial_cash
        self.steps: list[Step] = []
        self.marks: list[Mark] = []
        self.fills: list[Fill] = []

    def recall(self, t: int) -> Decision | None:  # noqa: ARG002
        """Nothing is on record."""
        return None

    def keep(self, step: Step) -> RiskReport:
        """Remember a step."""
        self.steps.append(step)
        self.marks.extend(step.marks)
        self.fills.extend(step.fills)
        return step.report

    async def settled(self) -> None:
        """Nothing has to be safe."""

    def lose(self, t: int, calls: tuple[Call, ...]) -> None:
        """Requests are not counted."""

    def close(self, status: str, marks: tuple[Mark, ...], fills: tuple[Fill, ...]) -> str:  # noqa: ARG002
        """Remember the end; what is not kept has no root hash."""
        self.marks.extend(marks)
        self.fills.extend(fills)
        return ""

    def trajectory(self) -> Trajectory:
        """The episode as arrays."""
        n, fills = len(self.panel.symbols), self.fills
        marks = np.array(self.marks, dtype=np.float64).reshape(-1, len(Mark._fields))
        at = {name: np.ascontiguousarray(marks[:, i]) for i, name in enumerate(Mark._fields)}
        value = [self.panel.mark[fill.decided] for fill in fills]
        return Trajectory(
            decided=np.array([step.t for step in self.steps], dtype=np.int32),
            intent=np.array([step.report.intent for step in self.steps]).reshape(-1, n),
            approved=np.array([step.report.approved for step in self.steps]).reshape(-1, n),
            statuses=tuple(step.decision.status for step in self.steps),
            confidence=tuple(step.decision.confidence for step in self.steps),
            found_at=np.array([step.t for step in self.steps for _ in step.report.findings], dtype=np.int32),
            findings=tuple(finding for step in self.steps for finding in step.report.findings),
            marked=at["t"].astype(np.int32),
            nav=at["nav"],
            intent_nav=at["intent"],
            approved_nav=at["approved"],
            reference_nav=at["reference"],
            borrow=at["borrow"],
            filled_at=np.array([fill.t for fill in fills], dtype=np.int32),
            ordered=np.array([np.abs(f.ordered) @ mark for f, mark in zip(fills, value, strict=True)]),
            filled=np.array([np.abs(f.quantity) @ mark for f, mark in zip(fills, value, strict=True)]),
            bought=np.array([np.maximum(fill.quantity, 0.0) @ fill.price for fill in fills]),
            sold=np.array([np.maximum(-fill.quantity, 0.0) @ fill.price for fill in fills]),
            cost=np.array([fill.cost for fill in fills]),
            initial_cash=self.initial_cash,
            bars_per_year=self.panel.bars_per_year,
        )
