"""What a study of signatures says, for people: rows, anchors and what the paper's definitions give come in; for each
group a table that fits a terminal, a sentence and a profile for each finding, and what was in force go to stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tradearena.analysis.signatures.arranged import Anchored
from tradearena.analysis.signatures.design import KINDS, Design
from tradearena.analysis.signatures.measures import PRIMARY
from tradearena.analysis.signatures.published import ALL, Published
from tradearena.analysis.signatures.study import MINIMUM, Lead, Row
from tradearena.analysis.signatures.trace import Trace
from tradearena.analysis.signflip import ALPHA
from tradearena.cli import report
from tradearena.cli.aspublished import caveat, print_published
from tradearena.cli.terminal import say

SHORT = {
    "contraction before trouble": "contraction",
    "expansion before trouble": "expansion",
    "nothing to fit on": "no fit",
    "nothing to see": "nothing seen",
}
"""Verdicts as a table has room for them; others as they are."""

SPARED = ("null", "p")
"""Columns that a narrow terminal does without, the first of them first."""

NAMES = {PRIMARY: "effective rank over its bound"}

BARS = "▁▂▃▄▅▆▇█"


class Findings(NamedTuple):
    """Of traces: rows, anchors, and the paper's rows where they were asked for."""

    traces: Sequence[Trace]
    rows: Sequence[Row]
    anchors: Sequence[Anchored]
    published: Sequence[Published] | None


def print_findings(found: Findings, design: Design) -> None:
    """Group by group, then what holds for all of them."""
    for group in dict.fromkeys(trace.group for trace in found.traces):
        rows = [row for row in found.rows if row.group == group]
        anchors = [each for each in found.anchors if each.group == group]
        _print_group(group, [trace for trace in found.traces if trace.group == group], anchors, rows)
        _print_anchors(anchors, rows, design)
        if found.published is not None:
            print_published([row for row in found.published if row.group == group])
    if pooled := [row for row in found.published or () if row.group == ALL]:
        if len({trace.group for trace in found.traces}) > 1:
            print_published(pooled)
        say(report.wrapped(caveat(pooled[0])))
    _print_sum(found.rows)
    _print_terms(found, design)


def _print_group(group: str, traces: Sequence[Trace], anchors: Sequence[Anchored], rows: Sequence[Row]) -> None:
    declared, tests = [row for row in rows if row.statistic == PRIMARY], sum(row.primary for row in rows)
    paths = len({each.window for each in anchors})
    decisions = sum(len(trace) for trace in traces)
    held = count(len(traces), "trajectory"), count(decisions, "decision"), count(paths, "market path")
    title = f"{name_of(group)}: {', '.join(held)}"
    heads = ["view", "probe", "at", "value", "null", "95 % interval", "p", "Holm", "n", "verdict"]
    _print_fitting(heads, list(_lines(declared)), title)
    for row in declared:
        if _is_found(row):
            say(report.wrapped(sentence(row, tests)))
            for line in profile(row.lead) if row.lead else ():
                say(f"  {line}")
    rest = [row for row in rows if row.statistic != PRIMARY and row.value is not None]
    if rest:
        heads = ["statistic", "view", "probe", "at", "value", "null", "95 % interval", "p"]
        title = f"{name_of(group)}: exploratory, p not adjusted"
        _print_fitting(heads, [[row.statistic, *_cells(row)] for row in rest], title)


def _lines(declared: Sequence[Row]) -> Iterator[list[str]]:
    """A line of the table for each row; where no row of a kind has anchors enough, one for all of them."""
    for kind in KINDS:
        own = [row for row in declared if row.anchors == kind]
        if len(own) > 1 and all(row.verdict == "not enough" for row in own):
            yield ["all", "all", kind, *["–"] * 5, _n(own[0]), own[0].verdict]
            continue
        for row in own:
            yield [*_cells(row), _p(row.p_adjusted), _n(row), SHORT.get(row.verdict, row.verdict)]


def _print_fitting(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """A table without the columns of `SPARED` that there is no room for; a pipe has room for all of them."""
    width, shown = report.room(), list(range(len(heads)))
    needed = report.width_of(heads, rows)
    for spared in SPARED:
        if width is None or needed <= width:
            break
        shown.remove(heads.index(spared))
        needed = report.width_of([heads[i] for i in shown], [[row[i] for i in shown] for row in rows])
    report.print_table(
        [heads[i] for i in shown],
        [[row[i] for i in shown] for row in rows],
        title=title,
        cut=heads.index("probe"),
        width=needed if width is None else None,
    )
    if left_out := [head for i, head in enumerate(heads) if i not in shown]:
        say(f"Not shown for want of room: {', '.join(left_out)}. --json has every column.")


def _cells(row: Row) -> list[str]:
    """View to p, which both tables have."""
    return [row.view, row.probe, row.anchors, _signed(row.value), _signed(row.null_mean), _interval(row), _p(row.p)]


def _is_found(row: Row) -> bool:
    return row.p_adjusted is not None and row.p_adjusted <= ALPHA


# ---------------------------------------------------------------------- in words


def sentence(row: Row, tests: int) -> str:
    """What a finding says, in words that a referee would accept.

    Args:
        row: one with a p that passes Holm.
        tests: how many Holm was over.
    """
    through = "" if row.view == "intent" else f" through {row.probe}"
    onsets = f"{count(row.n_anchors, 'independent onset')} on {count(row.n_clusters, 'market path')}"
    return (
        f"{name_of(row.group)}, {row.view}{through}, {row.anchors} anchors: {NAMES[row.statistic]} "
        f"{_moved(row.value)} before {onsets} than away from them ({_moved(row.null_mean)} were the onsets elsewhere), "
        f"95 % interval {_interval(row)}, p = {_p(row.p)}, {_p(row.p_adjusted)} after Holm over {tests}."
    )


def _moved(value: float | None) -> str:
    if value is None:
        return "not known"
    return f"{abs(value):.3f} {'lower' if value < 0 else 'higher'}"


def profile(lead: Lead) -> Iterator[str]:
    """The lead-lag profile in four lines: bars as high as the values, and marks where they leave the band."""
    edges = [(mean - half, mean + half) for mean, half in zip(lead.null_mean, lead.half, strict=True)]
    low = min(*lead.value, *(edge for edge, _ in edges))
    high = max(*lead.value, *(edge for _, edge in edges))
    unit = (high - low) / (len(BARS) - 1) or 1.0
    outside = [not least <= value <= most for value, (least, most) in zip(lead.value, edges, strict=True)]
    lowest = lead.steps[lead.value.index(min(lead.value))]
    heights = (BARS[round((value - low) / unit)] for value in lead.value)
    marks = ("^" if each else " " if step else "|" for each, step in zip(outside, lead.steps, strict=True))
    yield f"{lead.steps[0]:+4d} {''.join(heights)} {lead.steps[-1]:+d}"
    yield f"     {''.join(marks)}"
    yield (
        f"steps from the last window before an onset (0); {min(lead.value):+.3f} to {max(lead.value):+.3f}, lowest at "
        f"{lowest:+d}"
    )
    yield "^: outside a band that holds 95 % of whole profiles by chance"


def _print_anchors(anchors: Sequence[Anchored], rows: Sequence[Row], design: Design) -> None:
    """How many anchors there are of each kind, how deep the falls are, and whether that is enough."""
    for kind in KINDS:
        own = [each for each in anchors if each.kind == kind]
        several, alone = sum(len(bars) for each in own for bars in each.bars), sum(each.independent for each in own)
        said = f"{kind.capitalize()} anchors: {alone} independent of {count(several, 'onset')}, {_depth(own, design)}"
        if alone < MINIMUM:
            said += f"; not enough, it takes {MINIMUM}: more decisions or more market paths"
        say(report.wrapped(f"{said}."))
    if any(row.verdict == "nothing to fit on" for row in rows):
        say(
            report.wrapped("No fit: lsa is fitted on other trajectories, and there are none, or too few words in them.")
        )
    tests = sum(row.primary for row in rows)
    if any(row.p is not None for row in rows) and tests > ALPHA * (design.draws + 1):
        say(report.wrapped(f"With {design.draws:,} draws no p can pass Holm over {tests}; more would do (--draws)."))


def _depth(own: Sequence[Anchored], design: Design) -> str:
    depths = [depth for each in own for depth in each.depths]
    low, high = min(depths), max(depths)
    said = f"{100 * low:.2g} %" if high - low < 0.001 * high else f"{100 * low:.2g} to {100 * high:.2g} %"
    return f"falls of {said} or more" + ("" if design.depth is not None else " (3 deviations of one step)")


def _print_sum(rows: Sequence[Row]) -> None:
    """How many were asked, and what came of them."""
    primary = [row for row in rows if row.primary]
    tested = [row for row in primary if row.p is not None]
    found = sum(map(_is_found, tested))
    say(f"Of {count(len(primary), 'row')} declared beforehand {len(tested)} could be tested, {found} found.")


def _print_terms(found: Findings, design: Design) -> None:
    """What was in force, and what the columns are."""
    hidden = 0
    if design.primary_only:
        full = Design(views=design.views)
        hidden = sum(row.value is not None for row in found.rows) * (len(full.measures) + len(full.trained) - 1)
    rest = f" {hidden} exploratory values are not shown: --all, --json." if hidden else ""
    say(report.wrapped(
        f"Value: {NAMES[PRIMARY]}, adjusted for volatility, momentum and length of text, in windows of "
        f"{design.before} decisions before an onset less in windows away from any. Null: mean of {design.draws:,} "
        f"arrangements of the onsets. n: independent onsets/market paths. Holm: over the rows of a table.{rest}"
    ))  # fmt: skip
    depth = "depth as above" if design.depth is None else f"a depth of {design.depth:g}"
    say(report.wrapped(
        f"In force: windows of {design.before} decisions (--before), onsets {design.apart} apart or more (--spacing), "
        f"{depth} (--depth), seed {design.seed}. "
        "Own anchors: falls of the agent's NAV; market: of the equal-weight book. Of intent and fused only market "
        "anchors can speak of a signature. docs/signatures.md says what it means."
    ))  # fmt: skip


# ---------------------------------------------------------------------- numbers


def name_of(group: str) -> str:
    """A group for people."""
    return group.removeprefix("decisions:")


def count(n: int, thing: str) -> str:
    """How many of it."""
    several = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{n:,} {thing if n == 1 else several}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _interval(row: Row) -> str:
    return "–" if row.interval is None else "[{:+.3f}, {:+.3f}]".format(*row.interval)


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _n(row: Row) -> str:
    return f"{row.n_anchors}/{row.n_clusters}"
