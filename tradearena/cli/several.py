"""What experiments on several datasets come to together: plans and outcomes of each come in, one answer for all goes
out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tradearena.errors import Interrupted, Limited, TradeArenaError, UsageError

if TYPE_CHECKING:
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.forecast import Forecast
    from tradearena.arena.plan import Plan, Programme

P = TypeVar("P", bound="Programme")


def distinct(programmes: Sequence[P]) -> list[P]:
    """The same programmes, after finding out that each holds episodes and is an experiment of its own.

    Raises:
        UsageError: a window does not fit, or two datasets have the same bars.
    """
    known: dict[str, P] = {}
    for programme in programmes:
        try:
            _ = programme.episodes
        except UsageError as error:
            if len(programmes) == 1:
                raise
            raise UsageError(f"{programme.dataset.card.name}: {error}") from None
        same = known.setdefault(programme.dataset.panel.digest, programme)
        if same is not programme:
            names = f"{same.dataset.path} and {programme.dataset.path}"
            raise UsageError(f"{names} have the same bars: one market does not count twice; name one of them")
    return list(programmes)


def remarks(made: Sequence[tuple[P, list[str]]]) -> list[str]:
    """What users should know of each dataset; what holds for all of them is said once."""
    found: dict[str, list[str]] = {}
    for programme, said in made:
        for remark in said:
            found.setdefault(remark, []).append(programme.dataset.card.name)
    return [
        remark if len(names) == len(made) else f"{', '.join(names)}: {remark}" for remark, names in found.items()
    ]  # fmt: skip


def laid(plans: Sequence[Plan]) -> str:
    """How many windows there are, and how many of them count by themselves."""
    n, alone = sum(len(plan.spans) for plan in plans), clusters_of(plans)
    if alone < n:
        return f"{n} windows; those that overlap count as one, which leaves {alone} with no bar in common"
    return f"{n} windows, no two with a bar in common" if n > 1 else "1 window"


def clusters_of(plans: Sequence[Plan]) -> int:
    """Windows with no bar in common, those that overlap taken as one; bars of two datasets are never the same."""
    from tradearena.analysis.pairs import Window, clusters

    return len(clusters(Window(plan.identity, each.first, each.last) for plan in plans for each in plan.spans))


def results(runs: Sequence[tuple[Plan, Outcome]], asked: int) -> dict[str, Any]:
    """The JSON of `run`: of one experiment as it is; where several were asked for, a list of their files, and which of
    them each episode is in."""
    from tradearena.cli import report

    found = [report.results(outcome) for _, outcome in runs]
    if asked == 1:
        return found[0]
    return {
        "experiments": [each["experiment"] for each in found],
        "episodes": [{"experiment": each["experiment"], **episode} for each in found for episode in each["episodes"]],
    }


def failure(runs: Sequence[tuple[Plan, Outcome]], asked: int) -> TradeArenaError | None:
    """What kept experiments from their end, in one: of a single one as it is, else of the gravest kind (a stop, errors,
    limits), with how many are not at their end."""
    if asked == 1:
        return runs[0][1].failure
    found = [(plan.dataset.card.name, error) for plan, outcome in runs if (error := outcome.failure) is not None]
    if len(runs) < asked:
        said = [f"{name}: {error}" for name, error in found if isinstance(error, Interrupted)]
        return Interrupted("; ".join([*said, f"{asked - len(runs)} of {asked} datasets not begun"]))
    if not found:
        return None
    gravity: dict[type[TradeArenaError], int] = {Interrupted: 0, Limited: 2}
    name, error = min(found, key=lambda each: gravity.get(type(each[1]), 1))
    return type(error)(f"{len(found)} of {asked} datasets not ended; {name}: {error}")


def together(found: Sequence[list[Forecast]]) -> list[Forecast]:
    """Forecasts of several datasets, summed for each agent and model; a cost is known where all of it is."""
    sums: dict[tuple[str, str], Forecast] = {}
    for each in (forecast for forecasts in found for forecast in forecasts):
        before = sums.get((each.agent, each.model))
        sums[each.agent, each.model] = each if before is None else _sum(before, each)
    return list(sums.values())


def _sum(a: Forecast, b: Forecast) -> Forecast:
    def both(x: tuple[int, int], y: tuple[int, int]) -> tuple[int, int]:
        return x[0] + y[0], x[1] + y[1]

    return a._replace(
        episodes=a.episodes + b.episodes,
        requests=both(a.requests, b.requests),
        input_tokens=both(a.input_tokens, b.input_tokens),
        output_tokens=both(a.output_tokens, b.output_tokens),
        cost=(a.cost[0] + b.cost[0], a.cost[1] + b.cost[1]) if a.cost and b.cost else None,
    )
