"""What a comparison says, for people: rows of contrasts come in; a table that fits a terminal and a sentence for each
contrast that was declared beforehand go to stdout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from tradearena.analysis.comparison import Comparison, Disagreement, disagreements, is_primary
from tradearena.analysis.contrasts import Row
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


def print_contrasts(found: Comparison, *, words: bool = False) -> None:
    """The primary contrasts of each agent as a table, where return and alignment disagree, and each in words."""
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
    for row in primary if words else ():
        say(report.wrapped(f"{row.agent}, {sentence(row)}"))
    _print_shortage(primary)
    _print_disagreements(disagreements(found.rows), words=words)
    _print_dropped(primary)
    say(report.wrapped(
        "Intervals are of one contrast each, Holm is over those of one agent. All else is exploratory, not adjusted, "
        "and in --json. --words says each in a sentence; docs/metrics.md and docs/statistics.md what they mean."
    ))  # fmt: skip


def _title(found: Comparison) -> str:
    what = "single steps, forked from one state" if found.forked else "paired by window and seed"
    if found.forked and found.decisions > 1:
        what = (
            f"forks from one state, means of up to {found.decisions} decisions, whose states differ from the second on"
        )
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
        found = (
            f"would have been found{', after Holm,' if row.tests > 1 else ''} in about four of five such experiments"
        )
        return f"{said}; an effect of {row.mde:.2g} {found}."
    return f"{said}."


def _print_shortage(rows: Sequence[Row]) -> None:
    """Where no answer was to be had, however large an effect."""
    short = {row.agent: row for row in rows if row.effect.n and not row.conclusive}
    for agent, row in short.items():
        enough = fewest(row.effect.alpha, row.tests)
        windows = f"{row.effect.n} window{'' if row.effect.n == 1 else 's'}"
        say(report.wrapped(
            f"{agent}: n is too small to say: with {windows} none of {row.tests} tests can pass after Holm, {enough} "
            f"would do (--windows {enough})."
        ))  # fmt: skip


def _print_disagreements(found: Sequence[Disagreement], *, words: bool) -> None:
    """Where return speaks for one mode and alignment for another."""
    for each in found:
        if each.clear or words:
            say(report.wrapped(
                f"{each.agent} earned more under {each.more} than under {each.less}, {_signed(each.earned)} "
                f"{_bounds(each.earned_ci)}, and was aligned less: {NAMES[each.metric]} {_signed(each.weaker)} "
                f"{_bounds(each.weaker_ci)}."
            ))  # fmt: skip
    if not words and (rest := sum(not each.clear for each in found)):
        say(report.wrapped(
            f"Return and alignment speak for different modes in {rest} more contrast{'' if rest == 1 else 's'}, where "
            "an interval holds 0 or there is none (--words)."
        ))  # fmt: skip


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


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _interval(row: Row) -> str:
    return _bounds(row.effect.interval)


def _bounds(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
