"""What a comparison says, for people: rows of contrasts come in; a table that fits a terminal and a sentence for each
contrast that was declared beforehand go to stdout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tradearena.analysis.comparison import Comparison, is_primary
from tradearena.analysis.contrasts import Contrast, Row
from tradearena.analysis.signflip import fewest
from tradearena.cli import report
from tradearena.cli.terminal import say

NAMES = {
    "repeat_violation_rate": "repeat violations",
    "violation_rate": "violations",
    "clip_distance": "clipped",
    "false_audit_susceptibility": "susceptibility",
    "compliance_lag": "lag",
    "calibration_score": "calibration",
    "total_return": "return",
    "max_drawdown": "max drawdown",
}
"""Metrics as people call them; others by their names."""

WORSE_UP = ("repeat_violation_rate", "clip_distance")
"""Measures of alignment that are weaker where they are higher."""


def print_contrasts(found: Comparison) -> None:
    """The primary contrasts of each agent as a table, and in words."""
    primary = [row for row in found.rows if is_primary(row)]
    if not primary:
        say("One mode alone: there is nothing to compare it with.")
        return
    table = []
    for agent, rows in groupby(primary, key=lambda row: row.agent):
        table.append([agent, *[""] * 5])
        table += [
            [f"  {NAMES[row.metric]}: {_modes(row)}", _signed(row.effect.mean), _interval(row), _p(row.effect.p),
             _p(row.p_adjusted), str(row.effect.n)]
            for row in rows
        ]  # fmt: skip
    report.print_table(["contrast", "difference", "95 % interval", "p", "Holm", "n"], table, title=_title(found), cut=0)
    for row in primary:
        say(report.wrapped(f"{row.agent}, {sentence(row)}"))
    for said in disagreements(found.rows):
        say(report.wrapped(said))
    _print_dropped(primary)
    say("Intervals are of one contrast each, p after Holm is over those of one agent. All else is exploratory, not")
    say("adjusted, and in --json. Measures: docs/metrics.md; how they are compared: docs/statistics.md.")


def _title(found: Comparison) -> str:
    what = "single steps, forked from one state" if found.forked else "paired by window and seed"
    return f"differences of modes, {what}; n: windows with no bar in common"


def sentence(row: Row) -> str:
    """What a row says, in words that a referee would accept."""
    effect = row.effect
    head = f"{row.contrast.control} to {row.contrast.treatment}: {NAMES[row.metric]}"
    windows = f"{effect.n} window{'' if effect.n == 1 else 's'}"
    if not effect.n:
        return f"{head}: not defined in any pair."
    if effect.verdict == "degenerate":
        return f"{head}: no difference at all in {windows}, to the last bit; there is nothing to estimate."
    if effect.interval is None:
        return f"{head} {_signed(effect.mean)} in {windows}: n is too small to say; {row.needed} would do."
    said = f"{head} {_signed(effect.mean)} {_interval(row)}, {windows}, p = {_p(effect.p)}"
    if row.p_adjusted is not None and row.tests > 1:
        said += f", {_p(row.p_adjusted)} after Holm over {row.tests}"
    if not row.conclusive:
        return f"{said}; with {effect.n} windows no p can pass Holm, {fewest(effect.alpha, row.tests)} would do."
    if effect.p is not None and effect.p > effect.alpha and row.mde is not None:
        return f"{said}; an effect of {row.mde:.2g} would have been found in four of five such experiments."
    return f"{said}."


def disagreements(rows: Sequence[Row]) -> Iterator[str]:
    """Where a mode earned more than another and was aligned less: the contrast of the paper, by name."""
    pairs: dict[tuple[str, Contrast], dict[str, Row]] = {}
    for row in rows:
        pairs.setdefault((row.agent, row.contrast), {})[row.metric] = row
    for (agent, contrast), by in pairs.items():
        earned = by.get("total_return")
        if earned is None or not earned.effect.mean:
            continue
        sign = 1 if earned.effect.mean > 0 else -1
        weaker = [by[name] for name in WORSE_UP if name in by and (by[name].effect.mean or 0.0) * sign > 0]
        if weaker:
            more, less = (contrast.treatment, contrast.control)[::sign]
            said = ", ".join(
                f"{NAMES[row.metric]} {_signed(row.effect.mean, sign)} {_interval(row, sign)}" for row in weaker
            )
            gain = f"{_signed(earned.effect.mean, sign)} {_interval(earned, sign)}"
            yield f"{agent} earned more under {more} than under {less}, {gain}, and was aligned less: {said}."


def _print_dropped(rows: Iterable[Row]) -> None:
    """Pairs that are in no difference."""
    for row in rows:
        dropped = row.paired.dropped
        lost = [f"{count} {why}" for why in ("unpaired", "invalid", "undefined") if (count := getattr(dropped, why))]
        if lost:
            say(f"Left out of {row.agent}, {NAMES[row.metric]}, {_modes(row)}: pairs that are {', '.join(lost)}")


def _modes(row: Row) -> str:
    return f"{_short(row.contrast.treatment)} - {_short(row.contrast.control)}"


def _short(mode: str) -> str:
    return mode.removeprefix("false-audit:")


def _signed(value: float | None, sign: int = 1) -> str:
    return "–" if value is None else f"{sign * value:+.3f}"


def _interval(row: Row, sign: int = 1) -> str:
    if row.effect.interval is None:
        return "–"
    low, high = sorted(sign * end for end in row.effect.interval)
    return f"[{low:+.3f}, {high:+.3f}]"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
