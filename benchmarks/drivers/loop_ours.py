"""TradeArena, everything on: one experiment of one episode, from the dataset that is open to the file that is sealed.

Decisions at every bar under the policy `standard`: observation, reference, audit, execution, feedback, hash chain, and
the DuckDB file with its commits and its compaction. It is what `tradearena run` does after reading its options.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb
from course import CASH, FIRST, Lap, answer, timed

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window


def played(agent: str, size: int, folder: Path) -> Lap:
    """Run a shipped agent for `size` decisions."""
    dataset = open_dataset(str(folder / "market_data" / "bars"))
    start: datetime = dataset.panel.end[FIRST].astype(datetime)
    plan = Plan(dataset, policy.load("standard"), Window(start, None, size, 1), (open_agent(agent),))
    path = folder / "runs" / f"ours-{agent}-{size}.duckdb"
    path.unlink(missing_ok=True)
    seconds = timed(lambda: experiment.run(plan, path))
    with duckdb.connect(str(path), read_only=True) as db:
        query = "SELECT (SELECT status FROM episode), (SELECT count(*) FROM step), (SELECT arg_max(nav, t) FROM mark)"
        [(status, decisions, nav)] = db.execute(query).fetchall()
    if (status, decisions) != ("complete", size):
        raise SystemExit(f"the episode ended as {status} after {decisions} of {size} decisions")
    return Lap(seconds, size, nav / CASH)


if __name__ == "__main__":
    answer({agent: partial(played, agent) for agent in ("markowitz", "buy-and-hold", "equal-weight")})
