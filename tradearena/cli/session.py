"""What the verbs that run agents share: options come in, plans and their outcomes go out; warnings go to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from tradearena.cli.watch import Watch
from tradearena.errors import UsageError

if TYPE_CHECKING:
    from tradearena.agents.switchboard import Switchboard
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan, Programme
    from tradearena.market.design import Design
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
    data: str | Design
    policy: str
    start: datetime | None
    end: datetime | None
    steps: int | None
    every: int
    windows: Sequence[str]
    label: str | None
    volume_unit: str | None
    calendar: str | None
    home: Path | None
    insists: bool
    """Were modes or seeds named, and not left to what is usual?"""
    output: str | None = None
    noise: str | None = None


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


_ONE_FILE = "--out names one file, and there are {} datasets, each with a file of its own; leave it out, or say --home"

UNLOCKED_BY = "TRADEARENA_SIGN_PASSPHRASE"
"""Variable of the environment that may hold the passphrase of the key that signs."""


def perform(
    asked: Asked, means: Means, out: Path | None, *, again: bool, concurrency: int, quiet: bool, sign: Path | None
) -> tuple[Plan, Outcome]:
    """Run what the options ask for and the file lacks."""
    return perform_each(
        [asked], means, out, again=again, concurrency=concurrency, quiet=quiet, sign=sign
    )[0]  # fmt: skip


def perform_each(
    asked: Sequence[Asked],
    means: Means,
    out: Path | None,
    *,
    again: bool,
    concurrency: int,
    quiet: bool,
    sign: Path | None,
) -> list[tuple[Plan, Outcome]]:
    """The same for several datasets, one experiment after the other; after a stop no other is begun."""
    from tradearena.cli.several import laid
    from tradearena.market.scheme import Even

    def maker(each: Asked) -> Callable[[], tuple[Plan, list[str]]]:
        return lambda: _plan(each, named=len(asked) > 1)

    def told(plans: Sequence[Plan]) -> str:
        return "" if isinstance(plans[0].window.scheme, Even) else laid(plans)

    return carry_out_each(
        [maker(each) for each in asked], means, out, asked[0].home, again=again, concurrency=concurrency, quiet=quiet,
        sign=sign, told=told,
    )  # fmt: skip


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
    return carry_out_each(
        [make], means, out, home, again=again, concurrency=concurrency, quiet=quiet, sign=sign
    )[0]  # fmt: skip


def carry_out_each(
    makes: Sequence[Callable[[], tuple[P, list[str]]]],
    means: Means,
    out: Path | None,
    home: Path | None,
    *,
    again: bool,
    concurrency: int,
    quiet: bool,
    sign: Path | None,
    told: Callable[[Sequence[P]], str] = lambda _: "",
) -> list[tuple[P, Outcome]]:
    """Carry out several programmes, one after the other and with the same means. All are made, and what is wrong with
    any is found, before the first is run; after a stop no other is begun, so that there may be fewer outcomes.
    `told` is what users are told of them beside the warnings.

    Raises:
        UsageError: two of them are the same experiment, or several are to go into one file.
    """
    signer = _signer(sign)  # first of all: nothing is run or paid that cannot be signed
    from contextlib import redirect_stdout
    from datetime import UTC

    from tradearena.arena import experiment
    from tradearena.cli.several import distinct, remarks

    if out is not None and len(makes) > 1:
        raise UsageError(_ONE_FILE.format(len(makes)))
    done: list[tuple[P, Outcome]] = []
    with Watch(show=not quiet) as watch, redirect_stdout(sys.stderr):  # an agent may print: stdout is for results
        made = [make() for make in makes]
        for remark in remarks(made) if not quiet else ():
            typer.echo(f"warning: {remark}", err=True)
        programmes = distinct([programme for programme, _ in made])
        if not quiet and (words := told(programmes)):
            typer.echo(words, err=True)
        board = means.board(home)
        for k, programme in enumerate(programmes):
            if watch.stopped and done:
                break
            watch.heading = f"{programme.dataset.card.name}, {k + 1} of {len(programmes)}: " if len(makes) > 1 else ""
            path = out or experiment.locate(programme, home, datetime.now(UTC))
            outcome = experiment.run(
                programme, path, again=again, concurrency=concurrency, board=board, signer=signer, progress=watch,
                held=watch.held, warn=lambda loss: typer.echo(f"warning: {loss}", err=True),
            )  # fmt: skip
            done.append((programme, outcome))
    if signer is not None and not quiet:
        from tradearena.store.signature import fingerprint

        signed = sum(outcome.signed for _, outcome in done)
        count = f"{signed} episode" + ("" if signed == 1 else "s")
        typer.echo(f"signed {count} as {fingerprint(signer.public)}", err=True)
    return done


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


def rehearse(asked: Sequence[Asked], means: Means, out: Path | None, *, again: bool, json: bool) -> None:
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
    from tradearena.cli.several import distinct, remarks, together

    if out is not None and len(asked) > 1:
        raise UsageError(_ONE_FILE.format(len(asked)))
    with redirect_stdout(sys.stderr):
        made = [_plan(each, named=len(asked) > 1) for each in asked]
        found = []
        for plan in distinct([plan for plan, _ in made]):
            path = out or experiment.locate(plan, asked[0].home, datetime.now(UTC))
            found.append(forecast(plan, experiment.missing(plan, path, again=again)))
    for remark in remarks(made):
        typer.echo(f"warning: {remark}", err=True)
    whole = together(found)
    if json:
        report.print_json({"dry_run": [each._asdict() for each in whole]})
        return
    if not whole:
        typer.echo("No model would be asked.")
        return
    for each in whole:
        cost = "the price is unknown" if each.cost is None else f"{each.cost[0]:.2f} to {each.cost[1]:.2f} USD"
        requests, read, written = (
            f"{least:,}" + (f" to {most:,}" if most > least else "")
            for least, most in (each.requests, each.input_tokens, each.output_tokens)
        )
        typer.echo(
            f"{each.agent}, {each.model}: {requests} requests in {each.episodes:,} episodes; reads {read} tokens, "
            f"writes {written}; {cost}"
        )


def _plan(asked: Asked, *, named: bool = False) -> tuple[Plan, list[str]]:
    """The plan, and what its user should know of bars, policy and recordings; where it is one of several, a mistake is
    said with the name of its dataset."""
    try:
        return _made(asked)
    except UsageError as error:
        if not named:
            raise
        name = asked.data if isinstance(asked.data, str) else f"path-{asked.data.seed}"
        raise UsageError(f"{name}: {error}") from None


def _made(asked: Asked) -> tuple[Plan, list[str]]:
    from tradearena import policy as policies
    from tradearena.agents.card import VOICES, open_agent
    from tradearena.agents.format import form_named
    from tradearena.arena.plan import Plan
    from tradearena.market.dataset import open_dataset
    from tradearena.market.invented import invent
    from tradearena.market.noise import noise_named, noised
    from tradearena.market.scheme import scheme_of
    from tradearena.market.window import Window
    from tradearena.risk.feedback import mode_named, open_wording

    modes = tuple(mode_named(name) for name in asked.feedback)
    form = None if asked.output is None else form_named(asked.output)
    noise = None if asked.noise is None else noise_named(asked.noise)
    if isinstance(asked.data, str):
        dataset = open_dataset(
            asked.data,
            home=asked.home,
            end=asked.end,
            label=asked.label,
            volume_unit=asked.volume_unit,
            calendar=asked.calendar,
        )
    else:
        dataset = invent(asked.data, end=asked.end)
    dataset = dataset if noise is None else noised(dataset, noise)
    rules = policies.load(asked.policy, asked.home)
    warnings = [str(warning) for warning in dataset.warnings]
    if rules.limits.sector is not None and len(dataset.panel.sector_names) == 1:
        warnings.append(f"the bars have one sector: the sector limit of the policy {rules.name} does not apply")
    candidates = tuple(
        open_agent(name, clock=dataset.card.clock, home=asked.home, model=asked.model, output=form)
        for name in asked.agents
    )
    if any(candidate.card.kind == "llm" for candidate in candidates):
        announce_keys()
    if asked.model is not None and all(candidate.card.kind != "llm" for candidate in candidates):
        raise UsageError(f"--model is for agents of kind llm; {', '.join(asked.agents)} asks no model")
    if form is not None and all(candidate.card.kind not in VOICES for candidate in candidates):
        raise UsageError(f"--output is for agents that are asked in words; {', '.join(asked.agents)} is not")
    scheme = scheme_of(asked.windows, dataset.scenes, dataset.card.zone)
    plan = Plan(
        dataset=dataset,
        policy=rules,
        window=Window(asked.start, asked.end, asked.steps, asked.every, scheme),
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
