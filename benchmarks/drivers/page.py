"""Findings come in; a page of Markdown goes out."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from drivers.findings import Contender, Found, Pair, machine

GAP = 1e-9
"""Largest duality gap at which a solver counts as exact."""

ABILITIES = [
    ("strategy is asked", "at every bar", "at every bar", "at every bar", "at every bar", "never: orders are an array"),
    ("fills", "next open", "next close", "same close", "next open", "same close"),
    (
        "costs",
        "commission, half spread, square-root impact",
        "commission, slippage, linear impact",
        *["proportional"] * 3,
    ),
    ("fills capped by the bar's volume", "yes", "yes", "no", "can, is off", "no"),
    ("orders in flight are netted", "yes", "no", "there are none", "there are none", "there are none"),
    ("audits and clips what is wished", "yes", "yes", "no", "no", "no"),
    ("tells the agent of its audits", "yes", "yes", "no", "no", "no"),
    ("can ask a language model", "yes", "yes", "no", "no", "no"),
    ("records every step on disk", "DuckDB, as it goes", "JSON, at the end", "no", "no", "no"),
    ("hash chain over the record", "yes, and a seal", "digests, no chain", "no", "no", "no"),
    ("takes up a run that was cut", "yes", "no", "no", "no", "no"),
    (
        "mean-variance portfolio",
        "exact, its gap proven; 60 returns",
        "one linear solve, what is negative dropped; 24 returns",
        "largest Sharpe ratio, by SLSQP; 60 returns",
        "none",
        "none",
    ),
    ("many parameters in one pass", "no", "no", "no", "no", "yes"),
]
"""What each does and does not do as its driver runs it, in the order of the columns."""

LOOP_NOTES = """\
Bars a second: the median, and in brackets the range over the rounds. 51 invented symbols, a decision at every bar.
The clock covers the work alone; imports, loading of bars and a run on two bars, in which numba compiles, come before
it (but for backtrader, which loads its feeds as it runs), and a table below has their time. Ours is `experiment.run`:
audit, execution, hash chain, seal and the DuckDB file on disk; it has a file to make and to compact however short the
course. tradearena-benchmark is `build_default_system(...).run()` and `write_json`, all else its default; it gets a
short course because it takes long and holds all its records in memory. Its buy-and-hold orders at every bar.
"""

SOLVER_NOTES = """\
The same covariances and means for all, bar by bar, one solve before the clock starts. The gap is the worst duality
gap, by one function for all, where risk aversion times the average variance (or the largest expected return) is 1;
excess is the worst cost beyond that of our weights, breach the worst violation of a constraint before it is repaired.
cvxpy is one parametrised problem that obeys DPP. PyPortfolioOpt and skfolio build a cvxpy problem each time; skfolio
takes returns, so it is given mean and covariance through a prior estimator. The goal is for a gap of at most 1e-9."""

AGREEMENT_NOTES = """\
Last value over first, and how far that is from holding equal amounts without costs (buy-and-hold) or from ours
(equal-weight). Fills differ by up to a bar, and so do costs; within 2 % they agree."""

OUTSIDE_NOTES = """\
Start of the process, imports, loading of bars, the run on two bars, and the end: the median of the rounds; and the
peak memory of the process."""


def markdown(found: Found, count: int) -> str:
    """The whole page."""
    load = " and ".join(f"{value:.2f}" for value in found.load)
    parts = [
        "# TradeArena beside its peers",
        f"{machine()}; {count} interleaved rounds, one thread; load {load} at start and end; {found.seconds:.0f} s.",
        "## The whole loop",
        LOOP_NOTES,
        table("strategy | bars | ours | peer | peer's | ratio | goal | |", (loop(found, pair) for pair in found.loops)),
        *(solved(found) if found.solvers else ()),
        "## Do the portfolios agree?",
        AGREEMENT_NOTES,
        table("strategy | bars | who | growth | difference | |", growths(found)),
        "## What each does and does not do",
        table("| TradeArena | tradearena-benchmark | bt | backtrader | vectorbt |", ABILITIES),
        "## Outside the clock",
        OUTSIDE_NOTES,
        table("who | task | size | seconds | MB |", outside(found)),
        "## Versions",
        "\n".join(f"- {name}: {said}" for name, said in found.versions.items()),
    ]
    return "\n\n".join(parts)


def solved(found: Found) -> tuple[str, ...]:
    """The part on the optimiser."""
    head = "solver | us a solve | gap | excess | breach | ratio | goal | |"
    return "## The reference QP alone", SOLVER_NOTES, table(head, solver_rows(found))


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; `head` is its first line without the first bar."""
    columns = head.count("|")
    lines = [f"| {head}", "|---" * columns + "|", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines)


def rated(found: Found, contender: Contender) -> str:
    """A rate with its range."""
    values = found.rates(contender)
    shown = "{:,.0f}" if min(values) >= 100 else "{:.1f}"
    middle, low, high = (shown.format(value) for value in (found.rate(contender), min(values), max(values)))
    return f"{middle} ({low} .. {high})"


def verdict(ratio: float, goal: float | None) -> tuple[str, str]:
    """The goal, and whether it is met."""
    if goal is None:
        return "", "" if ratio >= 1 else "peer is faster"
    return f"at least {goal:.0f}", "met" if ratio >= goal else "**missed**"


def times(ratio: float) -> str:
    """A ratio with three digits."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def loop(found: Found, pair: Pair) -> tuple[str, ...]:
    """A row of the whole loop."""
    strategy = pair.ours.task if pair.ours.task == pair.peer.task else f"{pair.ours.task} against {pair.peer.task}"
    sizes = dict.fromkeys((f"{pair.ours.size:,}", f"{pair.peer.size:,}"))
    head = (strategy, " against ".join(sizes))
    if reason := found.why_not(pair.peer):
        return (*head, "", pair.peer.environment, f"failed: {reason}", "", "", "")
    ratio = found.ratio(pair)
    shown = (rated(found, pair.ours), pair.peer.environment, rated(found, pair.peer), times(ratio))
    return (*head, *shown, *verdict(ratio, pair.goal))


def solver_rows(found: Found) -> Iterable[tuple[str, ...]]:
    """Our own optimiser, then each peer's."""
    ours = found.solvers[0].ours
    judged = (f"gap at most {GAP:.0e}", "met" if found.gaps[ours.kept][0] <= GAP else "**missed**")
    yield ("TradeArena", f"{1e6 / found.rate(ours):,.0f}", *exactness(found, ours), "1", *judged)
    for pair in found.solvers:
        name = f"{pair.peer.environment}, {pair.peer.task}"
        if reason := found.why_not(pair.peer):
            yield (name, f"failed: {reason}", "", "", "", "", "", "")
            continue
        ratio, exact = found.ratio(pair), found.gaps[pair.peer.kept][0] <= GAP
        judged = verdict(ratio, pair.goal if exact else None) if exact else ("", "gap is larger")
        yield (name, f"{1e6 / found.rate(pair.peer):,.0f}", *exactness(found, pair.peer), times(ratio), *judged)


def exactness(found: Found, contender: Contender) -> tuple[str, ...]:
    """Gap, excess and breach; less than nothing is rounding."""
    return tuple(f"{max(value, 0.0):.0e}" for value in found.gaps[contender.kept])


def growths(found: Found) -> Iterable[tuple[str, ...]]:
    """What the runs that should agree came to."""
    ours = {(pair.ours.task, pair.ours.size): pair.ours for pair in found.loops}
    for contender in found.laps:
        if contender.task not in ("buy-and-hold", "equal-weight") or not contender.driver.startswith("loop"):
            continue
        growth = found.each(contender, "growth")[-1]
        base = found.holding[str(contender.size)]
        if contender.task == "equal-weight":
            base = found.each(ours[contender.task, contender.size], "growth")[-1]
        apart = growth / base - 1
        agrees = "agrees" if abs(apart) < 0.02 else "**differs**"
        yield (contender.task, str(contender.size), contender.environment, f"{growth:.4f}", f"{apart:+.2%}", agrees)


def outside(found: Found) -> Iterable[tuple[str, ...]]:
    """What the clock does not cover, and peak memory."""
    for contender, laps in found.laps.items():
        rest = median(lap["wall"] - lap["seconds"] for lap in laps)
        peak = max(found.each(contender, "peak"))
        yield (contender.environment, contender.task, str(contender.size), f"{rest:.1f}", f"{peak:.0f}")
