"""`tradearena run`: one agent on one window of one dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradearena.cli import options
from tradearena.cli.session import DEFAULT_CONNECTIONS, DEFAULT_DATA, DEFAULT_POLICY, Asked, Means, perform, rehearse

if TYPE_CHECKING:
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan

DEFAULT_AGENT = "organism-momentum"


def run(
    agent: options.AgentName = DEFAULT_AGENT,
    model: options.Model = None,
    output: options.Output = None,
    data: options.Data = DEFAULT_DATA,
    noise: options.NoiseSize = None,
    policy: options.PolicyName = DEFAULT_POLICY,
    feedback: options.Feedback = None,
    seed: options.Seed = 0,
    start: options.Start = None,
    end: options.End = None,
    steps: options.Steps = None,
    every: options.Every = 1,
    out: options.Out = None,
    again: options.Again = False,
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
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run one agent: replay the bars to it, audit and execute what it decides, record every step.

    With no options: an organism that follows momentum, on the bundled demo-daily under the standard policy. The same
    command again shows what is on file, or takes up an episode that was cut short.
    """
    from tradearena.cli import report

    asked = Asked(
        (agent,), model, (feedback or "true",), (seed,), data, policy, start, end, steps, every, (), label, volume_unit,
        calendar, home, feedback is not None or seed > 0, output, noise,
    )  # fmt: skip
    means = Means(max_connections, cost_limit, token_limit, time_limit, reuse or ())
    if dry_run:
        rehearse([asked], means, out, again=again, json=json)
        return
    plan, outcome = perform(asked, means, out, again=again, concurrency=1, quiet=quiet, sign=sign)
    results = report.results(outcome)
    if not json and not quiet:
        _table(plan, outcome, results)
    report.conclude(results, outcome.failure or report.invalid(results), json=json)


def _table(plan: Plan, outcome: Outcome, results: dict[str, Any]) -> None:
    """The agent beside the baselines, what it said last, and what to type next."""
    from tradearena.analysis.metrics import metrics
    from tradearena.arena.plan import BASELINES, rehearse
    from tradearena.cli import report

    rows = [report.entry(row) for row in results["episodes"]]
    complete = outcome.failure is None
    if complete:
        rows += [((name,), metrics(rehearse(plan, name))) for name in BASELINES if (name,) != rows[0][0]]
    report.print_metrics(rows, title=report.caption(plan))
    report.print_last_words(outcome)
    report.print_next(outcome.path, complete=complete)
