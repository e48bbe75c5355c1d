"""`tradearena signatures`: does what agents say or wish change its shape before trouble? Files on record are asked, and
nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradearena.cli import options
from tradearena.cli.terminal import say
from tradearena.errors import InvalidRun, UsageError

if TYPE_CHECKING:
    from tradearena.analysis.signatures.design import Design
    from tradearena.analysis.signatures.probe import Probe
    from tradearena.analysis.signatures.recorded import Wanted

DEFAULT_PROBES = ("hash", "lsa")

TRY = "tradearena run --agent organism-collapsing --steps 250"


def signatures(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Files on record, more market paths; or newest.")
    ] = None,
    episode: options.EpisodeName = None,
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "-a", metavar="AGENT", help="Of this agent; may be repeated.")
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            "--probe",
            metavar="PROBE",
            help="What turns texts into vectors: hash[SIZE], lsa[SIZE], transformer:MODEL, "
            "hidden:PATH[@LAYER][:mean|last]; may be repeated. Default: hash and lsa.",
        ),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", metavar="VIEW", help="plan, reflect, intent or fused; may be repeated. Default: all."),
    ] = None,
    before: Annotated[int, typer.Option("--before", min=3, max=1000, help="Decisions of a window.")] = 6,
    depth: Annotated[
        float | None,
        typer.Option("--depth", metavar="FRACTION", help="Fall that is an onset. Default: 3 deviations of one step."),
    ] = None,
    spacing: Annotated[
        int | None, typer.Option("--spacing", min=1, help="Fewest decisions between onsets. Default: two windows.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=19, max=100_000, help="Arrangements of onsets that make the null.")
    ] = 9_999,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of these.")] = 0,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Beside it the paper's own statistics, and what random text gives.")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="What becomes of each statistic under stress; agents are asked again.")
    ] = False,
    noise: Annotated[
        list[str] | None,
        typer.Option("--noise", metavar="SIZE", help="Stress: noise that scripted agents are asked under; repeatable."),
    ] = None,
    blind_spot: Annotated[
        bool, typer.Option("--blind-spot", help="What was wished in coupled groups, and what was said of it.")
    ] = False,
    every_row: Annotated[bool, typer.Option("--all", help="A table of the exploratory statistics as well.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute anew what transformer and hidden keep in the files.")
    ] = False,
    home: options.Home = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Look for signatures before drawdowns in what agents said and wished: their own drawdowns and the market's.

    Windows before an onset against windows of the same size away from any; the null moves the onsets. One statistic was
    declared beforehand, effective rank over its bound; below six independent onsets nothing is said. Runs nothing.
    """
    from tradearena.analysis.signatures.design import Design
    from tradearena.analysis.signatures.recorded import Wanted

    paths = _files(files or (), home)
    if stress and blind_spot:
        raise UsageError("--stress and --blind-spot are answers of their own; ask for one of the two")
    if noise and not stress:
        raise UsageError("--noise is for --stress; what is on record is looked at as it is")
    if (stress or blind_spot) and (as_published or every_row or fresh or episode is not None or agent):
        raise UsageError(
            "--stress and --blind-spot are of whole files; leave out --episode, --agent, --as-published, --all and "
            "--fresh"
        )
    if blind_spot:
        _show_blind_spot(paths, json=json, quiet=quiet)
        return
    if depth is not None and not 0.0 < depth < 1.0:
        raise UsageError(f"--depth {depth}: write a fraction between 0 and 1, 0.05 for a fall of 5 %")
    design = Design(before, depth, spacing, draws, seed=seed, views=_views(view))
    if stress:
        from tradearena.cli.stress import IN_TABLE, show_stress

        design = design if view or json else replace(design, views=IN_TABLE)
        through = _probes(probe) if probe else None
        show_stress(paths, probes=through, design=design, noise=noise or (), json=json, quiet=quiet)
        return
    design = replace(design, primary_only=not (json or every_row))
    _study(
        paths, Wanted(episode, tuple(agent or ())), _probes(probe or DEFAULT_PROBES), design,
        as_published=as_published, fresh=fresh, json=json, quiet=quiet,
    )  # fmt: skip


def _files(names: Sequence[str], home: Path | None) -> list[Path]:
    from tradearena.store.files import experiments, resolve

    if not names and not experiments(home):
        raise UsageError(f"no experiment files here yet; make one with `{TRY}`")
    return list(dict.fromkeys(resolve(name, home) for name in (names or (None,))))


def _views(names: Sequence[str] | None) -> tuple[str, ...]:
    from tradearena.analysis.signatures.views import VIEWS

    for name in names or ():
        if name not in VIEWS:
            raise UsageError(f"no view named '{name}'; there are {', '.join(VIEWS)}")
    return tuple(view for view in VIEWS if not names or view in names)


def _probes(names: Sequence[str]) -> list[Probe]:
    """Each once, though it be named twice."""
    from tradearena.analysis.signatures.probe import probe_of

    return list({probe.name: probe for probe in map(probe_of, names)}.values())


def _show_blind_spot(paths: Sequence[Path], *, json: bool, quiet: bool) -> None:
    from tradearena.cli.blindspot import show_blind_spot

    if json or not quiet:
        show_blind_spot(paths, json=json)


def _study(
    paths: Sequence[Path],
    wanted: Wanted,
    probes: Sequence[Probe],
    design: Design,
    *,
    as_published: bool,
    fresh: bool,
    json: bool,
    quiet: bool,
) -> None:
    from tradearena.analysis.signatures.adjustment import shortest
    from tradearena.analysis.signatures.arranged import anchored
    from tradearena.analysis.signatures.published import published
    from tradearena.analysis.signatures.recorded import in_words, keeping, recorded
    from tradearena.analysis.signatures.study import study
    from tradearena.cli import report
    from tradearena.cli.findings import Findings, print_findings
    from tradearena.cli.studied import as_json

    probes = [] if design.views == ("intent",) else probes  # it is looked at as it is
    fewest = shortest(design.before)
    found = recorded(paths, wanted, fewest, prompts=any(probe.prompted for probe in probes))
    if not found.traces:
        raise InvalidRun(f"no episode of these files can be looked at: {in_words(found.left_out, fewest)}")
    kept = list(keeping(probes, found.files, fresh=fresh, warn=lambda said: say(f"warning: {said}", err=True)))
    rows, anchors = study(found.traces, kept, design), list(anchored(found.traces, design))
    theirs = published(found.traces, design.seed) if as_published else None
    if json:
        report.print_json(as_json(paths, found, rows, anchors, [probe.name for probe in probes], design, theirs))
    elif not quiet:
        print_findings(Findings(found.traces, rows, anchors, theirs), design)
        if found.left_out:
            say(report.wrapped(f"Left out: {in_words(found.left_out, fewest)}."))
        report.print_next(paths[0], complete=True, commands=_next(design, as_published=as_published))


def _next(design: Design, *, as_published: bool) -> list[tuple[str, str]]:
    asked = [] if as_published else [("signatures {file} --as-published", "the paper's statistics, and random text")]
    asked += [("signatures {file} --all", "the exploratory statistics")] if design.primary_only else []
    return [*asked, ("signatures {file} --blind-spot", "what is coupled, and who says so"),
            ("replay {file}", "what was said, step by step")]  # fmt: skip
