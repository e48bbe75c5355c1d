"""backtrader: equal weights by `order_target_percent`, bought once or at every bar; it has no optimiser. Proportional
commission, whole shares, fills at the next open. The clock covers `cerebro.run()`, which loads the feeds itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import backtrader
import pandas as pd
from course import CASH, COST, FIRST, Lap, answer, timed
from frames import frames


class EqualWeight(backtrader.Strategy):
    """Orders 1 / N of each symbol, on the first bar or on all."""

    params = (("once", False),)

    def __init__(self) -> None:
        self.asked = 0

    def next(self) -> None:
        """One bar has closed."""
        self.asked += 1
        if self.asked == 1 or not self.p.once:
            for data in self.datas:
                self.order_target_percent(data, 1 / len(self.datas))


def run(once: bool, size: int, folder: Path) -> Lap:
    """Run the strategy on one feed a symbol."""
    fields = frames(folder, FIRST, FIRST + size)
    cerebro = backtrader.Cerebro()
    for symbol in fields["close"]:
        bars = pd.DataFrame({field: frame[symbol] for field, frame in fields.items()})
        cerebro.adddata(backtrader.feeds.PandasData(dataname=bars), name=symbol)
    cerebro.addstrategy(EqualWeight, once=once)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COST)
    strategies: list[EqualWeight] = []
    seconds = timed(lambda: strategies.extend(cerebro.run()))
    return Lap(seconds, strategies[0].asked, cerebro.broker.getvalue() / CASH)


if __name__ == "__main__":
    answer({"buy-and-hold": partial(run, True), "equal-weight": partial(run, False)})
