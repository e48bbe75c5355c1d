"""What trying the instrument came to: a trial and seeds come in; one object of JSON, and tables that fit a terminal, go
out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from tradearena.analysis.abreast import experiments
from tradearena.analysis.calibration import claims, false_positives, families, power
from tradearena.analysis.instrument import OF_TEXTS, Trial
from tradearena.analysis.signflip import ALPHA, attainable
from tradearena.arena.manifest import versions
from tradearena.cli import report
from tradearena.cli.contrasts import NAMES
from tradearena.cli.terminal import say

Found: TypeAlias = dict[str, Any]

VERDICTS = {True: "yes", False: "NO", None: "open"}


def measure(
    trial: Trial, seeds: Sequence[int], jobs: int, watch: Callable[[int], bool] = lambda _ended: False
) -> Found:
    """Experiment, and say all of it in plain types; `watch` is told how many markets are done, and may stop.

    Raises:
        Interrupted: it was stopped.
    """
    load, began = _load(), time.perf_counter()
    seen = experiments(trial, seeds, jobs, watch)
    seconds = time.perf_counter() - began
    nulls, wholes, powers = false_positives(seen), families(seen), power(seen)
    return {
        "experiments": len(seeds),
        "windows": trial.windows,
        "steps": trial.steps,
        "seeds": trial.seeds,
        "seed": seeds[0],
        "modes": list(trial.modes),
        "policy": {"name": trial.policy.name, "digest": trial.policy.digest},
        "organisms": [{"name": each.card.name, "parameters": each.card.parameters} for each in trial.planted],
        "not_tried": list(OF_TEXTS),
        "alpha": ALPHA,
        "attainable": attainable(trial.windows),
        "null": [{**each._asdict(), "fired": _rate(each.fired)} for each in nulls],
        "families": [{**each._asdict(), "fired": _rate(each.fired)} for each in wholes],
        "power": [{**each._asdict(), "found": _rate(each.found), "wrong": _rate(each.wrong)} for each in powers],
        "claims": [each._asdict() for each in claims(nulls, wholes, powers)],
        "seconds": seconds,
        "jobs": jobs,
        "load": [load, _load()],
        "versions": versions(),
    }


def _rate(found: Any) -> Found:
    return {"times": found.times, "n": found.n, "rate": found.share, "interval": list(found.interval)}


def _load() -> float | None:
    """Of the machine, over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def print_calibration(found: Found) -> None:
    """Three tables and a line for each claim."""
    levels = sorted({row["noise"] for row in found["null"] if row["noise"] is not None})
    heads = ["no effect, primary", *(f"noise {level:g}" for level in levels), "all", "95 % interval"]
    primary = list(_by_row(found["null"], levels, "primary"))
    title = (
        f"share of {found['experiments']} experiments with p at most 0.05; nominal: {found['attainable']:.3f}\n"
        f"each of {found['windows']} windows of {found['steps']} decisions, policy {found['policy']['name']}"
    )
    whole = {row["noise"]: row["fired"] for row in found["families"]}
    if whole:
        last = [
            f"any of {found['families'][0]['tests']} after Holm",
            *(share(whole[level]) for level in [*levels, None]),
        ]
        primary.append([*last, interval(whole[None])])
    report.print_table(heads, primary, title=title, cut=0)
    exploratory = list(_by_contrast(found["null"]))
    if exploratory:
        report.print_table(exploratory[0], exploratory[1:], title="no effect, exploratory, all noise", cut=0)
    for kind in dict.fromkeys(row["kind"] for row in found["power"]):
        head, *rows = by_strength([row for row in found["power"] if row["kind"] == kind])
        report.print_table(head, rows, title="found with the right sign, and in brackets the share promised", cut=0)
    for claim in found["claims"]:
        say(report.wrapped(f"{VERDICTS[claim['holds']]}: {claim['claim']}. {claim['said']}."))
    say(f"{found['seconds']:.0f} s in {found['jobs']} processes. What is tried, and more of it: docs/calibration.md")


def by_strength(powers: Sequence[Found]) -> Iterator[list[str]]:
    """The head, and a line for each metric and contrast that one kind of effect must show in."""
    held: dict[str, list[str]] = {}
    for row in powers:
        held.setdefault(short(row), []).append(f"{share(row['found'])} ({_two(row['predicted'])})")
    yield [powers[0]["kind"], *(f"{level:g}" for level in dict.fromkeys(row["strength"] for row in powers))]
    for name, cells in held.items():
        yield [name, *cells]


def _by_row(nulls: Iterable[Found], levels: Sequence[float], family: str) -> Iterator[list[str]]:
    """A line for each metric and contrast, its rates by noise and together."""
    held: dict[tuple[str, str], dict[float | None, Found]] = {}
    for row in nulls:
        if row["family"] == family:
            held.setdefault((row["metric"], row["contrast"]), {})[row["noise"]] = row
    for by in held.values():
        yield [
            short(by[None]),
            *(share(by[level]["fired"]) for level in [*levels, None]),
            interval(by[None]["fired"]),
        ]


def _by_contrast(nulls: Iterable[Found]) -> Iterator[list[str]]:
    """The head, and a line for each exploratory metric: its rates in each contrast."""
    held: dict[str, dict[str, str]] = {}
    for row in nulls:
        if row["family"] == "exploratory" and row["noise"] is None:
            held.setdefault(row["metric"], {})[row["contrast"]] = share(row["fired"])
    contrasts = list(dict.fromkeys(contrast for by in held.values() for contrast in by))
    if held:
        yield ["metric", *contrasts]
    for metric, by in held.items():
        yield [NAMES.get(metric, metric), *(by.get(contrast, "–") for contrast in contrasts)]


def short(row: Found) -> str:
    """Metric and contrast, as people call them."""
    return f"{NAMES.get(row['metric'], row['metric'])}: {row['contrast']}"


def share(fired: Found) -> str:
    """A rate; a dash where there was nothing to count."""
    return "–" if fired["rate"] is None else f"{fired['rate']:.3f}"


def interval(fired: Found) -> str:
    """The interval of a rate."""
    if not fired["n"]:
        return "–"
    return "[{:.3f}, {:.3f}]".format(*fired["interval"])


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
