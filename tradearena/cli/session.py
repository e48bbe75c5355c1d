"""What the verbs that run agents share: options come in, a plan and its outcome go out; progress goes to stderr, and
Ctrl-C becomes an orderly stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from tradearena.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from tradearena.agents.switchboard import Switchboard
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan, Programme
    from tradearena.arena.schedule import Standing
    from tradearena.store.signature import Signer

DEFAULT_DATA, DEFAULT_POLICY = "demo-daily", "standard"
DEFAULT_CONNECTIONS, DEFAULT_CONCURRENCY = 256, 16

P = TypeVar("P", bound="Programme")


@dataclass(frozen=True)
class Asked:
    """The options of a verb that runs agents, as typed."""

    agents: Sequence[str]
    model: str | None
    feedback: Sequence[str]
    seeds: Sequence[int]
    data: str
    policy: str
    start: datetime | None
    end: datetime | None
    steps: int | None
    every: int
    windows: int
    label: str | None
    volume_unit: str | None
    calendar: str | None
    home: Path | None
    insists: bool
    """Were modes or seeds named, and not left to what is usual?"""


@dataclass(frozen=True)
class Means:
    """What requests to models may take, as typed."""

    connections: int
    cost: float | None
    tokens: int | None
    time: str | None
    reuse: Sequence[Path]

    def board(self, home: Path | None) -> Switchboard:
        """What puts the requests through.

        Raises:
            UsageError: a time that cannot be read, or a file that is not there.
        """
        import numpy as np

        from tradearena.agents.allowance import Allowance
        from tradearena.agents.switchboard import Switchboard
        from tradearena.market.card import step_of
        from tradearena.store import files
        from tradearena.store.replies import replies_in

        try:
            seconds = None if self.time is None else float(step_of(self.time) / np.timedelta64(1, "s"))
        except ValueError:
            raise UsageError(f"--time-limit {self.time}: write a whole number and s, m or h: 90s, 30m, 2h") from None
        answered = replies_in(files.resolve(str(path), home) for path in self.reuse)
        return Switchboard(self.connections, Allowance(self.cost, self.tokens, seconds), answered)


UNLOCKED_BY = "TRADEARENA_SIGN_PASSPHRASE"
"""Variable of the environment that may hold the passphrase of the key that signs."""


def perform(
    asked: Asked, means: Means, out: Path | None, *, again: bool, concurrency: int, quiet: bool, sign: Path | None
) -> tuple[Plan, Outcome]:
    """Run what the options ask for and the file lacks."""
    return carry_out(
        lambda: _plan(asked), means, out, asked.home, again=again, concurrency=concurrency, quiet=quiet, sign=sign
    )


def carry_out(
    make: Callable[[], tuple[P, list[str]]],
    means: Means,
    out: Path | None,
    home: Path | None,
    *,
    again: bool = False,
    concurrency: int = DEFAULT_CONCURRENCY,
    quiet: bool = False,
    sign: Path | None = None,
) -> tuple[P, Outcome]:
    """Make a programme, say what its user should know of it, run what of it the file lacks, and sign it where there is
    a key to."""
    signer = _signer(sign)  # first of all: nothing is run or paid that cannot be signed
    from contextlib import redirect_stdout
    from datetime import UTC

    from tradearena.arena import experiment

    with Watch(show=not quiet) as watch, redirect_stdout(sys.stderr):  # an agent may print: stdout is for results
        programme, warnings = make()
        for warning in warnings if not quiet else ():
            typer.echo(f"warning: {warning}", err=True)
        path = out or experiment.locate(programme, home, datetime.now(UTC))
        board = means.board(home)
        outcome = experiment.run(
            programme, path, again=again, concurrency=concurrency, board=board, signer=signer, progress=watch,
            held=watch.held, warn=lambda loss: typer.echo(f"warning: {loss}", err=True),
        )  # fmt: skip
    if signer is not None and not quiet:
        from tradearena.store.signature import fingerprint

        count = f"{outcome.signed} episode" + ("" if outcome.signed == 1 else "s")
        typer.echo(f"signed {count} as {fingerprint(signer.public)}", err=True)
    return programme, outcome


def _signer(path: Path | None) -> Signer | None:
    """The key to sign with; its passphrase, if it has one, comes from the environment or is asked for."""
    if path is None:
        return None
    from tradearena.store.signature import open_private

    def passphrase() -> str:
        if said := os.environ.get(UNLOCKED_BY):
            return said
        if not sys.stdin.isatty():
            raise UsageError(f"--sign {path}: the key has a passphrase; type it on a terminal, or set {UNLOCKED_BY}")
        return str(typer.prompt(f"Passphrase of {path}", hide_input=True, err=True))

    return open_private(path, passphrase)


def rehearse(asked: Asked, means: Means, out: Path | None, *, again: bool, json: bool) -> None:
    """Say what the requests of a run would take and cost, and ask nobody.

    Raises:
        UsageError: replies are to be reused as well: how many would fit is not known before they are needed.
    """
    if means.reuse:
        raise UsageError("--dry-run cannot know what --reuse would save; leave one of the two out")
    from contextlib import redirect_stdout
    from datetime import UTC

    from tradearena.arena import experiment
    from tradearena.arena.forecast import forecast
    from tradearena.cli import report

    with redirect_stdout(sys.stderr):
        plan, warnings = _plan(asked)
        path = out or experiment.locate(plan, asked.home, datetime.now(UTC))
        found = forecast(plan, experiment.missing(plan, path, again=again))
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json:
        report.print_json({"dry_run": [each._asdict() for each in found]})
        return
    if not found:
        typer.echo("No model would be asked.")
        return
    for each in found:
        cost = "the price is unknown" if each.cost is None else f"{each.cost[0]:.2f} to {each.cost[1]:.2f} USD"
        requests, read, written = (
            f"{least:,}" + (f" to {most:,}" if most > least else "")
            for least, most in (each.requests, each.input_tokens, each.output_tokens)
        )
        typer.echo(
            f"{each.agent}, {each.model}: {requests} requests in {each.episodes:,} episodes; reads {read} tokens, "
            f"writes {written}; {cost}"
        )


def _plan(asked: Asked) -> tuple[Plan, list[str]]:
    """The plan, and what its user should know of bars, policy and recordings."""
    from tradearena import policy as policies
    from tradearena.agents.card import open_agent
    from tradearena.arena.plan import Plan
    from tradearena.market.dataset import open_dataset
    from tradearena.market.window import Window
    from tradearena.risk.feedback import mode_named, open_wording

    modes = tuple(mode_named(name) for name in asked.feedback)
    dataset = open_dataset(
        asked.data,
        home=asked.home,
        end=asked.end,
        label=asked.label,
        volume_unit=asked.volume_unit,
        calendar=asked.calendar,
    )
    rules = policies.load(asked.policy, asked.home)
    warnings = [str(warning) for warning in dataset.warnings]
    if rules.limits.sector is not None and len(dataset.panel.sector_names) == 1:
        warnings.append(f"the bars have one sector: the sector limit of the policy {rules.name} does not apply")
    candidates = tuple(
        open_agent(name, timezone=dataset.card.timezone, home=asked.home, model=asked.model) for name in asked.agents
    )
    if any(candidate.card.kind == "llm" for candidate in candidates):
        announce_keys()
    if asked.model is not None and all(candidate.card.kind != "llm" for candidate in candidates):
        raise UsageError(f"--model is for agents of kind llm; {', '.join(asked.agents)} asks no model")
    plan = Plan(
        dataset=dataset,
        policy=rules,
        window=Window(asked.start, asked.end, asked.steps, asked.every, asked.windows),
        candidates=candidates,
        seeds=tuple(asked.seeds),
        modes=modes,
        wording=open_wording(asked.home),
    )
    return plan, warnings + plan.unheard() + (plan.once() if asked.insists else [])


def announce_keys() -> None:
    """Take what keys there are from the file .env of the working folder, and say their names."""
    from tradearena.agents.keys import read_dotenv

    if added := read_dotenv(Path.cwd()):
        typer.echo(f"keys read from .env: {', '.join(added)}", err=True)


class Watch:
    """Shows how far a run is, on stderr, and turns the first Ctrl-C or SIGTERM into an orderly stop."""

    def __init__(self, *, show: bool) -> None:
        self.show, self.stopped = show, False
        self._shown = 0.0
        self._line = self._told = False
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

    def __call__(self, standing: Standing) -> bool:
        """Progress of an experiment."""
        return self.look(lambda: _said(standing))

    def look(self, said: Callable[[], str]) -> bool:
        """Is it to stop? Shows how far it is: at most ten lines a second on a terminal, none elsewhere."""
        now = time.monotonic()
        if self.show and sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown, self._line = now, True
            typer.echo(f"\r\033[K{said()}", err=True, nl=False)
        return self.stopped

    def held(self, waited: float) -> bool:
        """Another process holds the file: the run waits for it as long as it takes, and says so once."""
        if not self._told:
            self._told = True
            hint = "close it there, or press Ctrl-C twice to stop"
            typer.echo(f"\nwaiting: another process holds the experiment file open; {hint}", err=True)
        del waited
        return True


def _said(standing: Standing) -> str:
    if standing.episodes == 1:
        return f"{standing.agent}: {standing.done:,} of {standing.total:,} decisions"
    episodes = f"{standing.ended:,} of {standing.episodes:,} episodes"
    return f"{episodes}, {standing.reached:,} of {standing.decisions:,} decisions"
