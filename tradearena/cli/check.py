"""`tradearena check`: is the installation whole; and with `--instrument`, do the statistics speak when they should, and
only then?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.session import DEFAULT_POLICY
from tradearena.cli.terminal import say
from tradearena.cli.watch import Watch
from tradearena.errors import TradeArenaError, UsageError

if TYPE_CHECKING:
    from tradearena.analysis.instrument import Trial

EXPERIMENTS, WINDOWS, STEPS, SEED = 25, 10, 10, 1


def check(
    instrument: Annotated[
        bool, typer.Option("--instrument", help="Try the statistics of `compare` on organisms whose truth is known.")
    ] = False,
    experiments: Annotated[
        int | None,
        typer.Option("--experiments", min=1, help=f"Invented markets; {EXPERIMENTS} if not said.", show_default=False),
    ] = None,
    windows: Annotated[
        int | None, typer.Option("--windows", min=1, help=f"Windows of each, the clusters; {WINDOWS} if not said.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=2, help=f"Decisions in each window; {STEPS} if not said.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Seeds of each organism; 1 if not said.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=2**31, metavar="BASE", help="Seed of the first market; 1 if not said."),
    ] = None,
    all_modes: Annotated[
        bool, typer.Option("--all-modes", help="All six feedback modes, and not the four of `compare`.")
    ] = False,
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help=f"Policy name or path; {DEFAULT_POLICY} if not said.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes side by side; one for each core if not said.")
    ] = None,
    home: options.Home = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check the installation; or, with --instrument, the statistics.

    That takes about a minute on two cores; with --experiments 200 --steps 40 about 35. It invents markets, lets
    organisms play in them, and counts how often an effect is found: where there is none, and where one was planted.
    """
    if not instrument:
        asked = {
            "--experiments": experiments, "--windows": windows, "--steps": steps, "--seeds": seeds, "--seed": seed,
            "--all-modes": all_modes or None, "--policy": policy, "--jobs": jobs,
        }  # fmt: skip
        if given := [name for name, value in asked.items() if value is not None]:
            raise UsageError(f"{given[0]} is for --instrument; add that, or leave it out")
        _installation(home, json=json)
        return
    from tradearena.cli import calibrated, report

    trial = _trial(windows or WINDOWS, steps or STEPS, seeds or 1, policy or DEFAULT_POLICY, home, all_modes=all_modes)
    first, count = SEED if seed is None else seed, experiments or EXPERIMENTS
    with Watch(show=not quiet) as watch:
        found = calibrated.measure(
            trial,
            range(first, first + count),
            jobs or os.cpu_count() or 1,
            lambda ended: watch.look(lambda: f"{ended:,} of {count:,} markets"),
        )
    if not json and not quiet:
        calibrated.print_calibration(found)
    failed = [claim["claim"] for claim in found["claims"] if claim["holds"] is False]
    said = f"{len(failed)} of {len(found['claims'])} claims do not hold; the first: {failed[0]}" if failed else ""
    report.conclude(found, TradeArenaError(said) if said else None, json=json)


def _trial(windows: int, steps: int, seeds: int, policy: str, home: Path | None, *, all_modes: bool) -> Trial:
    """What each experiment is made of.

    Raises:
        UsageError: so few windows that nothing can be significant, or more bars than can be invented.
    """
    from tradearena import policy as policies
    from tradearena.analysis.instrument import FOUR, Trial
    from tradearena.analysis.signflip import fewest
    from tradearena.risk.feedback import open_wording
    from tradearena.values import MODES

    if windows < fewest():
        raise UsageError(f"--windows is {windows}, but with fewer than {fewest()} nothing can be significant")
    modes, wording = MODES if all_modes else FOUR, open_wording(home).template
    rules = policies.load(policy, home)
    trial = Trial(rules, modes=modes, windows=windows, steps=steps, seeds=seeds, wording=wording)
    trial.design(SEED)  # which says what cannot be invented
    return trial


def _installation(home: Path | None, *, json: bool) -> None:
    """What is there, one line each."""
    from tradearena.cli import report
    from tradearena.cli.installation import parts

    found: list[dict[str, Any]] = [part._asdict() for part in parts(home)]
    if not json:
        for part in found:
            say(f"{'ok' if part['ok'] else 'FAILED':<8}{part['part']:<14}{part['said']}")
    failed = [part for part in found if not part["ok"]]
    error = TradeArenaError(f"{failed[0]['part']}: {failed[0]['said']}") if failed else None
    report.conclude({"parts": found}, error, json=json)
