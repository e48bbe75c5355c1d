"""vectorbt: equal weights by `Portfolio.from_orders` with target percents, bought once or at every bar; it has no
optimiser. One group that shares cash, sells before buys, proportional fees, fills at the close. The clock covers the
portfolio and its value."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import vectorbt
from course import CASH, COST, FIRST, Lap, answer, timed
from frames import frames


def run(once: bool, size: int, folder: Path) -> Lap:
    """Simulate the orders; NaN is none."""
    close = frames(folder, FIRST, FIRST + size)["close"]
    target = pd.DataFrame(1 / close.shape[1], close.index, close.columns)
    if once:
        target.iloc[1:] = float("nan")
    values: list[pd.Series] = []

    def simulated() -> None:
        portfolio = vectorbt.Portfolio.from_orders(
            close, size=target, size_type="targetpercent", fees=COST, init_cash=CASH, cash_sharing=True, group_by=True,
            call_seq="auto", freq="1D",
        )  # fmt: skip
        values.append(portfolio.value())

    seconds = timed(simulated)
    return Lap(seconds, len(close), float(values[-1].iloc[-1]) / CASH)


if __name__ == "__main__":
    answer({"buy-and-hold": partial(run, True), "equal-weight": partial(run, False)})
