"""Steps as JSON lines: episodes come in, one object per step, with everything of it, goes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tradearena.store.export.chapter import Chapter, line


class Steps:
    """One file for all episodes: each line says which one it is of, and one file can be read as it is written. Fills
    stand with the step that ordered them. What was said after the last step on record is of no step, and left out."""

    def __init__(self, path: Path) -> None:
        self.rows = {"steps": 0}
        self._file = path.open("w", encoding="ascii", newline="\n")

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        columns = chapter.rows_of("steps")
        parts = {name: chapter.by_step(name) for name in ("findings", "exchanges", "calls")}
        parts["fills"] = chapter.by_step("fills", "decided")
        weights = chapter.by_step("weights")
        for values in zip(*columns.values(), strict=True):
            step: dict[str, Any] = dict(zip(columns, values, strict=True))
            books = {each.pop("symbol"): each for each in weights.get(step["t"], ())}
            nested = {name: found.get(step["t"], []) for name, found in parts.items()}
            for exchange in nested["exchanges"]:
                exchange.pop("status")  # it is the step's
            self._file.write(line({**step, "replicate": chapter.row.replicate, "weights": books, **nested}))
        self.rows["steps"] += len(columns["t"])

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()
