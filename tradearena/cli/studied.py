"""A study of signatures as JSON: rows, anchors and what the paper's definitions give come in; plain types go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tradearena.analysis.signatures.arranged import Anchored
from tradearena.analysis.signatures.design import Design
from tradearena.analysis.signatures.measures import PRIMARY
from tradearena.analysis.signatures.published import Published, speaks
from tradearena.analysis.signatures.recorded import Recorded
from tradearena.analysis.signatures.study import MINIMUM, Row


def as_json(
    paths: Sequence[Path],
    found: Recorded,
    rows: Sequence[Row],
    anchors: Sequence[Anchored],
    probes: Sequence[str],
    design: Design,
    theirs: Sequence[Published] | None,
) -> dict[str, Any]:
    """The one object: rows, profiles, anchors, the design, and what was left out.

    Args:
        paths: files that were asked for.
        found: what is in them.
        rows, anchors: of the study.
        probes: their names.
        design: of the study.
        theirs: rows by the paper's definitions; None where they were not asked for.
    """
    asked = {**asdict(design), "spacing": design.apart, "probes": probes, "declared": PRIMARY, "minimum": MINIMUM}
    del asked["primary_only"]
    made = {
        "experiments": [str(path) for path in paths],
        "episodes": [
            {"experiment": str(file), "id": trace.episode, "group": trace.group, "steps": len(trace)}
            for trace, file in zip(found.traces, found.files, strict=True)
        ],
        "rows": [_row(row) for row in rows],
        "profiles": [{**_place(row), **row.lead._asdict()} for row in rows if row.lead is not None],
        "anchors": list(_by_kind(anchors, design)),
        "design": asked,
        "left_out": [each._asdict() for each in found.left_out],
    }
    return made if theirs is None else {**made, "published": [_published(row) for row in theirs]}


def _place(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("group", "view", "probe", "anchors")}


def _row(row: Row) -> dict[str, Any]:
    names = ("p", "p_adjusted", "n_anchors", "n_clusters", "verdict")
    return {
        **_place(row),
        **{name: getattr(row, name) for name in ("statistic", "primary", "value", "null_mean")},
        "ci": row.interval,
        **{name: getattr(row, name) for name in names},
        "by_path": [{"path": window._asdict(), "value": value} for window, value in row.by_cluster],
    }


def _by_kind(anchors: Sequence[Anchored], design: Design) -> list[dict[str, Any]]:
    """Of each group and kind, path by path, with the bars they are at."""
    made = []
    for group, kind in dict.fromkeys((each.group, each.kind) for each in anchors):
        own = [each for each in anchors if (each.group, each.kind) == (group, kind)]
        made.append(
            {
                "group": group,
                "anchors": kind,
                "before": design.before,
                "spacing": design.apart,
                "n_anchors": sum(each.independent for each in own),
                "n_all": sum(len(bars) for each in own for bars in each.bars),
                "paths": [
                    {
                        "path": each.window._asdict(),
                        "n_anchors": each.independent,
                        "episodes": [
                            {"id": episode, "depth": depth, "bars": bars}
                            for episode, depth, bars in zip(each.episodes, each.depths, each.bars, strict=True)
                        ],
                    }
                    for each in own
                ],
            }
        )
    return made


def _published(row: Published) -> dict[str, Any]:
    spreads = {
        name: {statistic: spread._asdict() for statistic, spread in getattr(row, name).items()}
        for name in ("shuffled", "random")
    }
    return {**row._asdict(), **spreads, "speaks": speaks(row)}
