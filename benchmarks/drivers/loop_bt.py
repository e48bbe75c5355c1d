"""bt: `WeighMeanVar` over the same 60 returns with the same cap at every bar, and buy-and-hold; proportional costs,
fractional shares. The clock covers `bt.Backtest` and `bt.run`, which also works out its statistics."""

from __future__ import annotations

from pathlib import Path

import bt
import pandas as pd
from course import CAP, CASH, COST, FIRST, Lap, answer, timed
from frames import frames


def commission(quantity: float, price: float) -> float:
    """Proportional to what is traded."""
    return abs(quantity) * price * COST


def tested(name: str, algos: list[bt.Algo], prices: pd.DataFrame, bars: int) -> Lap:
    """Run a strategy on closes, of which the last `bars` are counted."""
    strategy = bt.Strategy(name, algos)
    results = []

    def run() -> None:
        test = bt.Backtest(
            strategy, prices, initial_capital=CASH, commissions=commission, integer_positions=False, progress_bar=False
        )
        results.append(bt.run(test))

    seconds = timed(run)
    return Lap(seconds, bars, float(results[0].prices[name].iloc[-1]) / 100)  # prices start at 100


def mean_variance(size: int, folder: Path) -> Lap:
    """The largest Sharpe ratio, long-only and capped: Ledoit-Wolf covariance, SLSQP."""
    algos = [
        bt.algos.RunAfterDays(FIRST),
        bt.algos.SelectAll(),
        bt.algos.WeighMeanVar(lookback=pd.offsets.BDay(FIRST), bounds=(0.0, CAP)),
        bt.algos.Rebalance(),
    ]
    return tested("mean-variance", algos, frames(folder, 0, FIRST + size)["close"], size + 1)


def held(size: int, folder: Path) -> Lap:
    """Equal weights, bought once."""
    algos = [bt.algos.RunOnce(), bt.algos.SelectAll(), bt.algos.WeighEqually(), bt.algos.Rebalance()]
    return tested("buy-and-hold", algos, frames(folder, FIRST, FIRST + size)["close"], size + 1)


if __name__ == "__main__":
    answer({"mean-variance": mean_variance, "buy-and-hold": held})
