"""The bars come in from `bars.npz`; data frames of a course, one row a bar and one column a symbol, go out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


def frames(folder: Path, first: int, last: int) -> dict[str, pd.DataFrame]:
    """Frames of the bars `first` .. `last`, inclusive, by field."""
    with np.load(folder / "bars.npz") as bars:
        index = pd.DatetimeIndex(bars["date"][first : last + 1])
        columns = bars["symbol"].tolist()
        return {field: pd.DataFrame(bars[field][first : last + 1], index, columns) for field in FIELDS}
