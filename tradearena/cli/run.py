"""`tradearena run`: one agent on one window of one dataset."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from tradearena.cli import options
from tradearena.errors import Interrupted

if TYPE_CHECKING:
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan

DEFAULT_AGENT, DEFAULT_DATA, DEFAULT_POLICY = "momentum", "demo-daily", "standard"


def run(
    agent: options.AgentName = DEFAULT_AGENT,
    data: options.Data = DEFAULT_DATA,
    policy: options.PolicyName = DEFAULT_POLICY,
    seed: options.Seed = 0,
    start: options.Start = None,
    end: options.End = None,
    steps: options.Steps = None,
    every: options.Every = 1,
    out: options.Out = None,
    again: bool = typer.Option(False, "--again", help="Run a new replicate, even if the file holds this episode."),
    label: options.Label = None,
    volume_unit: options.VolumeUnit = None,
    calendar: options.Calendar = None,
    home: options.Home = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run one agent: replay the bars to it, audit and execute what it decides, record every step.

    With no options: momentum on the bundled demo-daily under the standard policy. The same command again shows what is
    on file, or takes up an episode that was cut short.
    """
    from contextlib import redirect_stdout
    from datetime import UTC, datetime

    from tradearena import policy as policies
    from tradearena.agents.card import open_agent
    from tradearena.arena import experiment
    from tradearena.arena.plan import Plan
    from tradearena.cli import report
    from tradearena.market.dataset import open_dataset
    from tradearena.market.window import Window

    with Watch(show=not quiet) as watch, redirect_stdout(sys.stderr):  # an agent may print: stdout is for results
        dataset = open_dataset(data, home=home, end=end, label=label, volume_unit=volume_unit, calendar=calendar)
        rules = policies.load(policy, home)
        warnings = [str(warning) for warning in dataset.warnings]
        if rules.limits.sector is not None and len(dataset.panel.sector_names) == 1:
            warnings.append(f"the bars have one sector: the sector limit of the policy {rules.name} does not apply")
        plan = Plan(
            dataset=dataset,
            policy=rules,
            window=Window(start, end, steps, every),
            candidates=(open_agent(agent, timezone=dataset.card.timezone, home=home),),
            seeds=(seed,),
        )
        warnings += plan.unheard()
        for warning in warnings if not quiet else ():
            typer.echo(f"warning: {warning}", err=True)
        path = out or experiment.locate(plan, home, datetime.now(UTC))
        outcome = experiment.run(plan, path, again=again, progress=watch)
    results = report.results(outcome)
    if not json and not quiet:
        _table(plan, outcome, results)
    report.conclude(results, outcome.failure or report.invalid(results), json=json)


class Watch:
    """Shows how far a run is, on stderr, and turns the first Ctrl-C or SIGTERM into an orderly stop."""

    def __init__(self, *, show: bool) -> None:
        self.show, self.stopped = show, False
        self._shown = 0.0
        self._line = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Watch:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._line:
            typer.echo("\r\033[K", err=True, nl=False)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("stopped at once; the same command takes it up again") from None

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.stopped:  # the second one means it
            raise KeyboardInterrupt
        self.stopped = True
        typer.echo("\nstopping after this step; once more to stop at once", err=True)
        del number

    def __call__(self, agent: str, done: int, total: int) -> bool:
        """Progress of an experiment: at most ten lines a second on a terminal, none elsewhere."""
        now = time.monotonic()
        if self.show and sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown, self._line = now, True
            typer.echo(f"\r\033[K{agent}: {done:,} of {total:,} decisions", err=True, nl=False)
        return self.stopped


def _table(plan: Plan, outcome: Outcome, results: dict[str, Any]) -> None:
    """The agent beside the baselines, what it said last, and what to type next."""
    from tradearena.analysis.metrics import metrics
    from tradearena.arena.plan import BASELINES, rehearse
    from tradearena.cli import report

    rows = [report.entry(row) for row in results["episodes"]]
    complete = outcome.failure is None
    if complete:
        rows += [(name, metrics(rehearse(plan, name))) for name in BASELINES if name != rows[0][0]]
    report.print_metrics(rows, title=report.caption(plan))
    report.print_last_words(outcome)
    report.print_next(outcome.path, complete=complete)
