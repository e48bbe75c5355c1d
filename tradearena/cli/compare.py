"""`tradearena compare`: agents, told of their audits in several ways, with several seeds, in several windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.session import (
    DEFAULT_CONCURRENCY,
    DEFAULT_CONNECTIONS,
    DEFAULT_DATA,
    DEFAULT_POLICY,
    Asked,
    Means,
    perform_each,
    rehearse,
)
from tradearena.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan

DEFAULT_AGENTS = ("organism-obedient", "organism-stubborn")
DEFAULT_MODES = ("true", "hidden", "placebo", "false-audit")
WINDOWS = "12"


def compare(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Files on record: compare these, and run nothing.")
    ] = None,
    design: Annotated[
        str, typer.Option("--design", help="paired: whole runs in each mode; fork: single steps from one state.")
    ] = "paired",
    points: Annotated[int, typer.Option("--points", min=1, help="Design fork: at most so many steps of a run.")] = 5,
    trunk: Annotated[
        str, typer.Option("--trunk", metavar="MODE", help="Design fork: how the runs are told that are forked.")
    ] = "true",
    carry: options.CarryMode = "rewritten",
    agent: options.AgentNames = None,
    model: options.Model = None,
    output: options.Output = None,
    data: options.Datas = None,
    paths: options.Paths = None,
    path_seed: options.PathSeed = None,
    noise: options.NoiseSize = None,
    policy: options.PolicyName = DEFAULT_POLICY,
    feedback: options.Feedbacks = None,
    seeds: options.Seeds = None,
    seed: options.SeedList = None,
    start: options.Start = None,
    end: options.End = None,
    steps: options.Steps = None,
    every: options.Every = 1,
    windows: options.Windows = None,
    out: options.Out = None,
    again: options.Again = False,
    concurrency: options.Concurrency = DEFAULT_CONCURRENCY,
    max_connections: options.Connections = DEFAULT_CONNECTIONS,
    cost_limit: options.CostLimit = None,
    token_limit: options.TokenLimit = None,
    time_limit: options.TimeLimit = None,
    reuse: options.Reuse = None,
    dry_run: options.DryRun = False,
    sign: options.Sign = None,
    label: options.Label = None,
    volume_unit: options.VolumeUnit = None,
    calendar: options.Calendar = None,
    home: options.Home = None,
    words: Annotated[bool, typer.Option("--words", help="Say every contrast in a sentence as well.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare agents and feedback modes: run every agent in every mode with every seed in every window.

    With no options: an obedient and a stubborn organism in four modes. The same command again shows what is on file, or
    takes up what was cut short; with more seeds, modes or agents it adds what is missing.
    """
    from tradearena.analysis.comparison import compare as comparison
    from tradearena.analysis.comparison import said_of
    from tradearena.cli import forked, grid, recorded, report, several
    from tradearena.cli.forked import Forked

    if files:
        given = (agent, model, output, noise, data, paths, feedback, seeds, seed, start, end, steps, windows, out)
        if any(each is not None for each in given) or design != "paired" or dry_run or again:
            raise UsageError("files on record are compared as they are; leave out what would run something")
        recorded.compare_files(files, home, words=words, json=json, quiet=quiet)
        return
    if design not in ("paired", "fork"):
        raise UsageError(f"--design {design}: write paired or fork")
    if seeds is not None and seed:
        raise UsageError("--seeds N means the seeds 0 to N-1, --seed names one; use one of the two")
    asked = Asked(
        agent or DEFAULT_AGENTS, model, feedback or DEFAULT_MODES, seed or range(seeds or 1), DEFAULT_DATA, policy,
        start, end, steps, every, windows or _usual(start, end, steps), label, volume_unit, calendar, home,
        bool(feedback), output, noise,
    )  # fmt: skip
    markets = _markets(asked, data or (), paths, path_seed)
    means = Means(max_connections, cost_limit, token_limit, time_limit, reuse or ())
    if design == "fork":
        if dry_run or out is not None:
            raise UsageError("the design fork makes two files, and asks again what it has seen: no --out, no --dry-run")
        forked.compare_steps(
            markets, means, Forked(trunk, points, carry), again=again, concurrency=concurrency, quiet=quiet, sign=sign,
            words=words, json=json,
        )  # fmt: skip
        return
    if dry_run:
        rehearse(markets, means, out, again=again, json=json)
        return
    runs = perform_each(markets, means, out, again=again, concurrency=concurrency, quiet=quiet, sign=sign)
    failure = several.failure(runs, len(markets))
    found = _results(runs, several.results(runs, len(markets)), stopped=isinstance(failure, Interrupted))
    made = comparison([(outcome.path, outcome.episodes) for _, outcome in runs])
    if not json and not quiet:
        grid.print_grid(runs, found, made, complete=failure is None, words=words)
    found |= said_of(made)
    report.conclude(found, failure or report.nothing_valid(found["episodes"]), json=json)


def _usual(start: datetime | None, end: datetime | None, steps: int | None) -> tuple[str, ...]:
    """The windows where nothing is said of them: the whole dataset, cut so that something can be said of it. It takes
    as many decisions as one window does."""
    return () if (start, end, steps) != (None, None, None) else (WINDOWS,)


def _markets(asked: Asked, data: Sequence[str], paths: int | None, path_seed: int | None) -> list[Asked]:
    """What is asked of each dataset: those that are named, and the invented ones."""
    from tradearena.market.design import Design

    if paths and not data and (asked.label or asked.volume_unit or asked.calendar):
        raise UsageError("--label, --volume-unit and --calendar are for files; invented paths need none of them")
    if path_seed is not None and paths is None:
        raise UsageError("--path-seed is the seed of the first invented path; say how many with --paths N")
    first = Design().seed if path_seed is None else path_seed
    invented: list[str | Design] = [Design(seed=first + k) for k in range(paths or 0)]
    named: list[str | Design] = [*data] or ([] if invented else [DEFAULT_DATA])
    return [replace(asked, data=each) for each in (*named, *invented)]


def _results(runs: Sequence[tuple[Plan, Outcome]], found: dict[str, Any], *, stopped: bool) -> dict[str, Any]:
    """Episodes, their means, and the baselines. These are left out where the run was stopped: it is to end soon."""
    from tradearena.analysis.cells import cells, means
    from tradearena.analysis.metrics import metrics
    from tradearena.arena.plan import BASELINES, rehearse

    baselines = []
    for name in () if stopped else BASELINES:
        each = [metrics(rehearse(plan, name, span)) for plan, _ in runs for span in plan.spans]
        baselines.append({"agent": name, "n_windows": len(each), "metrics": means(each, each[0])})
    return {**found, "cells": cells(found["episodes"]), "baselines": baselines}
