"""`tradearena compare --design fork`: single steps, told in every mode from one and the same state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tradearena.cli.session import Asked, Means, carry_out_each, perform_each
from tradearena.errors import UsageError

if TYPE_CHECKING:
    from tradearena.arena.branch import Branches
    from tradearena.arena.experiment import Outcome
    from tradearena.arena.plan import Plan


class Forked(NamedTuple):
    """How runs in the mode `trunk` are forked: at so many `points` each, with what carried over."""

    trunk: str
    points: int
    carry: str


def compare_steps(
    markets: Sequence[Asked],
    means: Means,
    asked: Forked,
    *,
    again: bool,
    concurrency: int,
    quiet: bool,
    sign: Path | None,
    words: bool,
    json: bool,
) -> None:
    """Run every agent in one mode, put it to the same states in all modes, and compare what it then does."""
    from dataclasses import replace

    from tradearena.analysis.comparison import compare, said_of
    from tradearena.arena.origin import carry_named
    from tradearena.cli import report, several
    from tradearena.cli.contrasts import print_contrasts

    carry_named(asked.carry)
    trunks = [replace(each, feedback=(asked.trunk,)) for each in markets]
    runs = perform_each(trunks, means, None, again=again, concurrency=concurrency, quiet=quiet, sign=sign)
    if failure := several.failure(runs, len(markets)):
        report.conclude(several.results(runs, len(markets)), failure, json=json)
        return
    makes = [_maker(run, markets[0].feedback, asked, markets[0].home) for run in runs]
    forks = carry_out_each(
        makes, means, None, markets[0].home, again=again, concurrency=concurrency, quiet=quiet, sign=sign
    )
    made = compare([(outcome.path, outcome.episodes) for _, outcome in forks])
    results = [report.results(outcome) for _, outcome in forks]
    episodes = [{"experiment": each["experiment"], **one} for each in results for one in each["episodes"]]
    said = {
        "experiments": [each["experiment"] for each in results],
        "trunks": [str(outcome.path) for _, outcome in runs],
        "episodes": episodes,
        **said_of(made),
    }
    failures = [outcome.failure for _, outcome in forks if outcome.failure]
    if not json and not quiet:
        print_contrasts(made, words=words)
        for _, outcome in forks:
            report.print_next(outcome.path, complete=not failures, commands=_NEXT)
    report.conclude(said, failures[0] if failures else report.nothing_valid(episodes), json=json)


_NEXT = (("show {file}", "each step and what it was forked from"), ("replay {file} --verify", "check all of it"))


def _maker(
    run: tuple[Plan, Outcome], feedback: Sequence[str], asked: Forked, home: Path | None
) -> Callable[[], tuple[Branches, list[str]]]:
    """Makes the programme of the forked steps of one experiment."""
    from tradearena.arena.branch import trunks
    from tradearena.arena.origin import carry_named
    from tradearena.arena.points import forked_steps
    from tradearena.risk.feedback import mode_named, open_wording

    plan, outcome = run
    by_name = {candidate.card.name: candidate for candidate in plan.candidates}

    def make() -> tuple[Branches, list[str]]:
        held = [trunk for trunk in trunks(outcome.path) if trunk.row.id in outcome.episodes]
        heard = [trunk for trunk in held if by_name[trunk.row.agent].card.reads_feedback]
        if not heard:
            raise UsageError("none of these agents reads feedback: there is nothing that telling could change")
        made = forked_steps(
            heard,
            lambda trunk: by_name[trunk.row.agent],
            modes=[mode_named(name) for name in feedback],
            wording=open_wording(home).template,
            points=asked.points,
            carry=carry_named(asked.carry),
        )
        deaf = sorted({trunk.row.agent for trunk in held if trunk not in heard})
        return made, [f"{', '.join(deaf)}: reads no feedback, and is not forked"] if deaf else []

    return make
