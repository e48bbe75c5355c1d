"""An invented dataset of ours comes in; the same bars in the form that each peer eats, and the sequence of
mean-variance problems they pose, go out into a folder.

    python bars.py FOLDER SHORT LONG PROBLEMS

The dataset is FOLDER/market_data/bars. SHORT and LONG are the lengths of the courses; the short one is written as one
CSV file a symbol for the peer that reads those.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
from course import CAP, CASH, COST, FIRST, RISK_AVERSION
from frames import FIELDS

from tradearena import policy
from tradearena.market.dataset import open_dataset
from tradearena.panel import Panel
from tradearena.portfolio.reference import RollingMarkowitz


def agree(rules: policy.Policy) -> None:
    """Make sure that what the drivers of peers are told is what the policy says."""
    costs = (rules.execution.commission_bps + rules.execution.half_spread_bps) / 1e4
    said = (rules.reference.lookback, rules.reference.risk_aversion, rules.reference.cap, rules.execution.initial_cash)
    if said != (FIRST, RISK_AVERSION, CAP, CASH) or not np.isclose(costs, COST):
        raise SystemExit(f"course.py and the policy '{rules.name}' differ: {said}, costs {costs}")


def write_arrays(panel: Panel, folder: Path) -> None:
    """All bars as one file of arrays, [T, N] each."""
    fields = {field: getattr(panel, field) for field in FIELDS}
    np.savez(folder / "bars.npz", symbol=np.array(panel.symbols), date=panel.end.astype("datetime64[D]"), **fields)


def write_csv(panel: Panel, folder: Path, first: int, last: int) -> None:
    """The bars `first` .. `last`, inclusive, as `SYMBOL_Daily.csv`, the layout of tradearena-benchmark 0.2.0."""
    folder.mkdir()
    dates = panel.end[first : last + 1].astype("datetime64[D]").astype(str).tolist()
    for i, symbol in enumerate(panel.symbols):
        columns = [getattr(panel, field)[first : last + 1, i].tolist() for field in FIELDS]
        with (folder / f"{symbol}_Daily.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["Date", *(field.capitalize() for field in FIELDS)])
            writer.writerows(zip(dates, *columns, strict=True))


def write_problems(panel: Panel, rules: policy.Reference, folder: Path, count: int) -> None:
    """Covariances, means and our certified weights of the first `count` decisions, with the returns behind each."""
    reference = RollingMarkowitz(panel, rules)
    estimates = [reference.at(t) for t in range(FIRST, FIRST + count)]
    np.savez(
        folder / "problems.npz",
        covariance=np.array([each.covariance for each in estimates]),
        mean=np.array([each.mean for each in estimates]),
        weights=np.array([each.weights for each in estimates]),
        returns=panel.returns[1 : FIRST + 1],
    )


def write_holding(panel: Panel, folder: Path, sizes: list[int]) -> None:
    """What equal amounts of all symbols came to on each course, bought at its first close, without costs."""
    grown = {size: float((panel.close[FIRST + size] / panel.close[FIRST]).mean()) for size in sizes}
    (folder / "holding.json").write_text(json.dumps(grown), encoding="utf-8")


def main() -> None:
    """Write everything; the folder holds nothing but the dataset before."""
    folder, (*sizes, problems) = Path(sys.argv[1]), map(int, sys.argv[2:])
    rules = policy.load("standard")
    agree(rules)
    panel = open_dataset(str(folder / "market_data" / "bars")).panel
    write_arrays(panel, folder)
    write_csv(panel, folder / "csv", FIRST, FIRST + sizes[0])
    write_holding(panel, folder, sizes)
    write_problems(panel, rules.reference, folder, problems)
    for room in ("runs", "weights"):
        (folder / room).mkdir()


if __name__ == "__main__":
    main()
