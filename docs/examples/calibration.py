"""How much invented markets look like observed ones: datasets come in, the tables of `docs/data.md` go out.

    python docs/examples/calibration.py DAILY HOURLY...

DAILY is a dataset of daily bars, each HOURLY one of bars within the session: names, folders or files. Beside each
stand 40 invented markets of as many symbols and bars, seeds 1 to 40, eight sectors, two coupled pairs: the median of
each moment and the range that holds nine tenths of them. A star marks an observed moment outside of it.
`tradearena.market.moments` says what the moments are.

The last table shows planted edges: what two portfolios earn in 40 invented markets of 756 days without drift. Both
follow the sign of each symbol's return over five days, in units of its risk: one knows the residuals and hedges the
rest exactly; the other knows prices alone and takes the mean of the sector off.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tradearena.market.dataset import Dataset, open_dataset
from tradearena.market.design import DAYS, VOLUME, Design, profile
from tradearena.market.moments import NAMES, moments, volume_profile
from tradearena.market.synthetic import Returns, draw_returns, panel_of
from tradearena.panel import Array, Panel

SEEDS = range(1, 41)
SHIPPED = ("demo-daily", "intraday-51")
EDGES = (-3.0, 0.0, 3.0)


def alike(dataset: Dataset) -> Iterator[Panel]:
    """Invented markets of the size of an observed one."""
    panel = dataset.panel
    frequency = dataset.card.frequency or "1d"
    first = Design(symbols=len(panel.symbols), sectors=8, bars=len(panel), frequency=frequency, coupled=2)
    return (panel_of(replace(first, seed=seed)) for seed in SEEDS)


def rows(observed: Sequence[Dataset]) -> Iterator[list[str]]:
    """One row a moment: each dataset and what is invented beside it, then what is shipped."""
    yield ["moment", *(cell for data in observed for cell in (data.card.name, "invented")), *SHIPPED]
    invented = [[moments(panel) for panel in alike(data)] for data in observed]
    seen = [moments(data.panel) for data in observed]
    shipped = [moments(open_dataset(name).panel) for name in SHIPPED]
    for name in NAMES:
        cells = [name.replace("_", " ")]
        for own, others in zip(seen, invented, strict=True):
            low, middle, high = np.quantile([other[name] for other in others], [0.05, 0.5, 0.95])
            star = "" if low <= own[name] <= high else " *"
            cells += [f"{own[name]:.3f}{star}", f"{middle:.3f} ({low:.3f} to {high:.3f})"]
        yield [*cells, *(f"{own[name]:.3f}" for own in shipped)]


def profiles(observed: Sequence[Dataset]) -> Iterator[list[str]]:
    """Shares of a session's volume, bar by bar."""
    design = Design(frequency="1h")
    shown = {data.card.name: volume_profile(data.panel, data.card.zone) for data in observed}
    shown["invented, 1h"] = profile(design.edges, *VOLUME)
    longest = max(map(len, shown.values()))
    yield ["share of the session's volume", *(f"bar {k + 1}" for k in range(longest))]
    for name, shares in shown.items():
        yield [name, *(f"{share:.3f}" for share in shares), *[""] * (longest - len(shares))]


def edges() -> Iterator[list[str]]:
    """Sharpe ratios per year of those who know the residuals, and of those who know prices."""
    yield ["planted", "knows the residuals", "knows prices alone", "equal weights"]
    for edge in EDGES:
        drawn = [(design, draw_returns(design)) for design in (Design(seed=s, drift=0.0, edge=edge) for s in SEEDS)]
        earned = np.array([[_oracle(r), _reader(d, r), np.expm1(r.total).mean(axis=1)] for d, r in drawn])
        sharpe = earned.mean(axis=2) / earned.std(axis=2, ddof=1) * np.sqrt(DAYS)
        error = 1.96 * sharpe.std(axis=0, ddof=1) / np.sqrt(len(sharpe))
        yield [f"{edge:+.1f}", *(f"{m:+.2f} ± {e:.2f}" for m, e in zip(sharpe.mean(axis=0), error, strict=True))]


def _oracle(returns: Returns) -> Array:
    """What the portfolio earns that holds the signal in units of residual risk."""
    return np.asarray((returns.signal * returns.residual / returns.residual_sigma).mean(axis=1))


def _reader(design: Design, returns: Returns) -> Array:
    """What is earned by following five days' returns less their sector's, as they are seen in prices."""
    own = np.arange(design.symbols) % design.sectors
    sectors = np.stack([returns.total[:, own == k].mean(axis=1) for k in range(design.sectors)], axis=1)
    rest = returns.total - sectors[:, own]
    summed = np.cumsum(rest, axis=0)
    followed = np.sign(summed[design.lookback :] - summed[: -design.lookback])[:-1]
    earned = (followed * rest[design.lookback + 1 :] / rest.std(axis=0)).mean(axis=1)
    return np.append(np.zeros(design.lookback + 1), earned)


def table(lines: Iterable[list[str]]) -> str:
    """Rows as Markdown; the first is the head."""
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|" + "---|" * (head.count(" | ") + 1), *rest])


if __name__ == "__main__":
    opened = [open_dataset(name) for name in sys.argv[1:]]
    if not opened:
        sys.exit("which datasets? see the first lines of this file")
    within = [data for data in opened if len(volume_profile(data.panel, data.card.zone))]
    print(table(rows(opened)), table(profiles(within)), table(edges()), sep="\n\n")
