"""tradearena-benchmark 0.2.0, as its own command line runs it: the system of `build_default_system` on CSV files, its
`run()`, and `write_json` of the trajectory and its metrics.

Its command line names no strategy, so the function behind it is called with the strategy's name. All else is its
default (risk gate, realistic execution, two analysts, six evaluators; its lookback is 24 bars) but for the cap, which
is ours. Reading the CSV files is left out, as loading is for all. Its command line runs everything twice to write the
file; here the run that is timed is the one that is written.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from course import CAP, Lap, answer, timed
from tradearena.core.serialization import write_json
from tradearena.factory import build_default_system


def played(strategy: str, size: int, folder: Path) -> Lap:
    """Run a strategy on the last bars of the short course, which is all that the CSV files hold."""
    system = build_default_system(
        name=strategy,
        symbols=tuple(sorted(path.name.removesuffix("_Daily.csv") for path in (folder / "csv").iterdir())),
        strategy_name=strategy,
        max_position_weight=CAP,
        data_source="csv",
        real_data_dir=str(folder / "csv"),
        real_data_max_periods=size + 1,
    )
    snapshots = system.data_provider.stream()
    if len(snapshots) != size + 1:
        raise SystemExit(f"the CSV files hold {len(snapshots)} bars, not {size + 1}")
    system.data_provider.stream = lambda: snapshots
    equity = []

    def run() -> None:
        trajectory, metrics = system.run()
        equity.extend(value for _, value in trajectory.equity_curve())
        recorded = {strategy: {"trajectory": trajectory.to_dict(), "metrics": metrics}}
        write_json(folder / "runs" / f"original-{strategy}.json", recorded)

    seconds = timed(run)
    return Lap(seconds, len(snapshots), equity[-1] / system.config.initial_cash)


if __name__ == "__main__":
    answer({strategy: partial(played, strategy) for strategy in ("markowitz", "buy-and-hold")})
