"""How many tokens a prompt takes: shipped datasets come in, the tables of `docs/agents.md` go out.

    python docs/examples/tokens.py

Counted with the tokenisers that litellm carries along, without a network: `o200k_base` (gpt-4o and later) and
`cl100k_base` (gpt-4, gpt-3.5). The prompt is that of bar 200, the last 21 bars shown. The second table writes the same
bars in other ways; the third says how many characters of what an agent remembers are a token.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from string import Template

import numpy as np

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import of litellm fetches a list of prices

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.agents.memory import MOST, Memory
from tradearena.agents.prompt import ACCOUNT, VOLUMES, Pages, said_at_every_step
from tradearena.market.dataset import open_dataset
from tradearena.panel import Array, Panel
from tradearena.policy import Limits
from tradearena.values import Account, Decision, Observation

DATASETS, T, BARS = ("demo-daily", "intraday-51"), 200, 21
MODELS = {"o200k_base": "gpt-4o-mini", "cl100k_base": "gpt-3.5-turbo"}
Count = Callable[[str], int]


def counters() -> dict[str, Count]:
    """A counter of tokens by the name of its encoding."""
    from litellm import token_counter

    return {name: partial(_count, token_counter, model) for name, model in MODELS.items()}


def _count(counter: Callable[..., int], model: str, text: str) -> int:
    return counter(model=model, text=text)


def observation(panel: Panel) -> Observation:
    """What an agent sees at bar T with nothing held."""
    nothing = np.zeros(len(panel.symbols))
    account = Account(1e6, 1e6, 0.0, nothing, nothing, nothing, nothing.copy(), None)
    return Observation(T, 20, None, panel.until(T), account)


def market(panel: Panel) -> str:
    """The section of bars."""
    return Pages(Template(""), Limits(), BARS).prompt(observation(panel)).partition(f"\n\n{ACCOUNT}\n")[0]


def sizes(panel: Panel, count: Count) -> Iterator[str]:
    """Tokens of each part, and of the bars per symbol and bar."""
    each = len(panel.symbols) * BARS
    closes, _, volumes = market(panel).partition(VOLUMES)
    asked = open_agent("llm")
    instructions = asked.seat(_seat()).pages.instructions  # type: ignore[attr-defined]
    system = said_at_every_step(instructions, panel, policy.load("standard").limits)
    shown = Pages(Template(""), Limits(), BARS, statistics=True).prompt(observation(panel))
    plain = Pages(Template(""), Limits(), BARS).prompt(observation(panel))
    yield f"{count(closes) / each:.1f}"
    yield f"{count(volumes) / each:.1f}"
    yield f"{count(market(panel)) / each:.1f}"
    yield f"{(count(shown) - count(plain)) / len(panel.symbols):.1f}"
    yield f"{count(market(panel)):,}"
    yield f"{count(system):,}"


def _seat() -> object:
    from tradearena.agents.agent import Seat

    return Seat(0, lambda _t: np.zeros(0))


def formats(panel: Panel) -> dict[str, str]:
    """The shown bars, closes and volumes, in other ways of writing."""
    shown = slice(T + 1 - BARS, T + 1)
    close, volume, ends = panel.close[shown], panel.volume[shown] / 1e3, panel.end[shown]
    moves = close[1:] / close[:-1] - 1.0

    def table(form: str, rows: Array) -> str:
        lines = [f"{str(end)[:16]}Z," + ",".join(form % x for x in row) for end, row in zip(ends, rows, strict=False)]
        return "\n".join(("bar end," + ",".join(panel.symbols), *lines))

    return {
        "six and four digits, as it is": market(panel),
        "closes in five digits": table("%.5g", close) + table("%.4g", volume),
        "closes in four digits": table("%.4g", close) + table("%.4g", volume),
        "returns in percent, two decimals": table("%.2f", 100 * moves) + table("%.4g", volume),
        "returns in basis points": table("%.0f", 1e4 * moves) + table("%.4g", volume),
        "closes alone": table("%.6g", close),
    }


def remembered(panel: Panel) -> str:
    """Memory of five decisions on all symbols, with words and what was told."""
    seen, memory = observation(panel), Memory()
    for t in range(T - MOST, T):
        weights = np.random.default_rng(t).dirichlet(np.ones(len(panel.symbols)))
        said = "Energy rises with the oil price and the banks follow it; I sell what fell over the last month, slowly."
        memory.add(t, Decision(weights, said, reflection=said), "single-name ENER1 0.312 to 0.2", seen.account)
    shown = Observation(T, 20, T - 1, seen.bars, seen.account, memory.recent, None, memory.so_far)
    full = Pages(Template(""), Limits(), BARS, summary=True, reflection=True).prompt(shown)
    return full.partition(f"\n\n{ACCOUNT}\n")[2]


def main() -> None:
    """Print the three tables."""
    panels = {name: open_dataset(name).panel for name in DATASETS}
    print(
        "| dataset | encoding | closes | volumes | both, per symbol and bar | statistics, per symbol | bars | system |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, panel in panels.items():
        for encoding, count in counters().items():
            print(f"| `{name}`, {len(panel.symbols)} symbols | {encoding} | {' | '.join(sizes(panel, count))} |")
    print(f"\n| per symbol and bar, o200k_base | {' | '.join(panels)} |\n|---|{'---|' * len(panels)}")
    count = counters()["o200k_base"]
    written = {name: formats(panel) for name, panel in panels.items()}
    for way in next(iter(written.values())):
        cells = [f"{count(written[name][way]) / len(panel.symbols) / BARS:.1f}" for name, panel in panels.items()]
        print(f"| {way} | {' | '.join(cells)} |")
    print("\n| of what is remembered | characters | tokens | characters a token |\n|---|---|---|---|")
    for name, panel in panels.items():
        text = remembered(panel)
        print(f"| `{name}` | {len(text):,} | {count(text):,} | {len(text) / count(text):.2f} |")


if __name__ == "__main__":
    main()
