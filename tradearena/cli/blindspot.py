"""`tradearena signatures --blind-spot`: what was wished in coupled groups, what was said of it, and which symbols are
truly coupled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradearena.cli.terminal import say
from tradearena.errors import InvalidRun

if TYPE_CHECKING:
    from tradearena.analysis.signatures.blindspot import BlindSpot, Difference, Model
    from tradearena.analysis.signatures.watched import MarketPath
    from tradearena.analysis.signflip import Effect

PAIRS = 10
"""Pairs of a market that are shown."""

PATHS = 3
"""Markets whose pairs are shown, and models whose differences are."""


def show_blind_spot(paths: Sequence[Path], *, json: bool) -> None:
    """Print what the episodes of these files had in coupled groups, and what they said of it."""
    from tradearena.analysis.signatures.blindspot import blind_spot
    from tradearena.cli import report

    found = blind_spot(paths)
    left_out = ", ".join(f"{count} {why}" for why, count in found.left_out.items())
    if not found.models:
        raise InvalidRun(f"no episode of these files is a result: {left_out or 'they hold none'}")
    if json:
        report.print_json({"experiments": [str(path) for path in paths], **_as_json(found)})
        return
    _print_models(found)
    for path in found.paths[:PATHS]:
        _print_pairs(path)
    if (rest := len(found.paths) - PATHS) > 0:
        say(f"and {_count(rest, 'more market')} (--json)\n")
    for model in found.models:
        say(report.wrapped(f"{_name(model.group)}: {sentence(model, found.block)}"))
    if len(found.models) <= PATHS:
        for each in found.differences:
            say(report.wrapped(_difference(each)))
    if left_out:
        say(f"Left out: {left_out}")
    say(report.wrapped(
        "Excess is declared beforehand, one test for each agent and mode; all else is exploratory, not adjusted. "
        "Intervals are over blocks of time and say nothing of other markets. By decision, and intervals of all: "
        "--json; docs/blindspot.md says what it means."
    ))  # fmt: skip


def _print_models(found: BlindSpot) -> None:
    from tradearena.cli import report

    effects = [(model, model.effects) for model in found.models]
    report.print_table(
        ["agent", "decisions", "wished", "by chance", "excess", "95 % interval", "p", "n"],
        [
            [_name(model.group), str(model.decisions), _part(of["doubled"]), _part(of["chance"]),
             _signed(of["excess"]), _interval(of["excess"], "+.2f"), _p(of["excess"]), str(of["excess"].n)]
            for model, of in effects
        ],
        title=f"of gross, in coupled groups with two held or more; n: blocks of {found.block} bars and more",
        cut=0,
    )  # fmt: skip
    report.print_table(
        ["agent", "wished", "approved", "symbols", "tightest", "clips", "risk", "95 % interval"],
        [
            [_name(model.group), *(_part(of[name]) for name in ("intended", "approved", "universe", "tightest")),
             _number(of["clips"]), _number(of["risk"]), _interval(of["risk"], ".2f")]
            for model, of in effects
        ],
        title="of NAV in coupled groups; clips by their rule a decision; risk over that of the reference",
        cut=0,
    )  # fmt: skip
    report.print_table(
        ["agent", "with words", "coupling", "concentr.", "diversif.", "loaded", "praised", "silent"],
        [
            [_name(model.group), str(model.worded), *(_part(of[name]) for name in SAID),
             str(model.loaded), str(model.praised), str(model.silent)]
            for model, of in effects
        ],
        title="what the rationales speak of",
        cut=0,
    )  # fmt: skip


SAID = ("coupling", "concentration", "diversification")


def _print_pairs(path: MarketPath) -> None:
    from tradearena.cli import report

    pairs, bars = path.pairs(), path.bars
    if not bars:
        say(f"{path.name}: too few bars to group by\n")
        return
    rows = [
        [pair.one, pair.two, f"{pair.correlation:.3f}", f"{pair.least:.3f}", report.number(pair.together)]
        for pair in pairs[:PAIRS]
        if pair.together > 0
    ]
    if not rows:
        say(f"{path.name}: no two symbols were ever in one group, at {len(bars)} refreshes\n")
        return
    title = f"{path.name}: coupled pairs, {len(bars)} refreshes"
    report.print_table(["symbol", "symbol", "correlation", "least", "in one group"], rows, title=title)
    if rest := sum(pair.together > 0 for pair in pairs) - len(rows):
        say(f"{rest} more pairs were in one group at times (--json)\n")


# ---------------------------------------------------------------------- in words


def sentence(model: Model, block: int) -> str:
    """What was found, in words that a referee would accept."""
    from tradearena.analysis.signflip import fewest

    excess = model.effects["excess"]
    if not model.decisions:
        return "at none of its decisions were there enough bars to group by."
    if excess.mean is None:
        return f"nothing was wished in any of {_count(model.decisions, 'decision')}: there is no share to speak of."
    if excess.verdict == "degenerate":
        return f"not found: no more and no less than by chance, in {_blocks(excess, block)}."
    wished, chance = (_percent(model.effects[name]) for name in ("doubled", "chance"))
    had = f"{wished} of its gross in coupled groups of which it held two symbols or more, {chance} by chance"
    head = {
        "praised": "blind spot found",
        "silent": "blind spot found",
        "named": "loaded, and it says so",
        "wordless": "loaded, without a word",
        "not found": "not found",
        "not enough": "not enough to say",
    }[model.verdict]
    said = f"{head}: {had}; excess {_signed(excess)}"
    if excess.interval is not None:
        said += f" {_interval(excess, '+.2f')}, {_blocks(excess, block)}, p = {_p(excess)}"
    else:
        said += f", {_blocks(excess, block)}, {fewest()} would be needed"
    return f"{said}. {_spoken(model)}{_kept(model)}"


def _spoken(model: Model) -> str:
    if not model.worded:
        return "It gives no rationale."
    if not model.loaded:
        return f"None of {_count(model.worded, 'decision')} with words is loaded."
    return (
        f"Of {_count(model.loaded, 'loaded decision')} with words {model.praised:,} speak of diversification, and "
        f"{model.silent:,} name neither coupling nor concentration."
    )


def _kept(model: Model) -> str:
    from tradearena.analysis.signatures.blindspot import SELDOM

    if model.turned is None or model.turned >= SELDOM:
        return ""
    return f" It turned its book over {model.turned:.1f} times in a block: that is one choice, however many blocks."


def _difference(each: Difference) -> str:
    said = f"{_name(each.one)} less {_name(each.other)}: excess {_signed(each.effect)}"
    if each.effect.interval is None:
        return f"{said}, n = {each.effect.n}: not enough for an interval."
    return f"{said} {_interval(each.effect, '+.2f')}, paired by block, n = {each.effect.n}, p = {_p(each.effect)}."


def _name(group: str) -> str:
    return group.removeprefix("decisions:")


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def _blocks(effect: Effect, block: int) -> str:
    return f"n = {_count(effect.n, 'block')} of {block} bars and more"


def _percent(effect: Effect) -> str:
    return "–" if effect.mean is None else f"{100 * effect.mean:.0f} %"


def _part(effect: Effect) -> str:
    return "–" if effect.mean is None else f"{100 * effect.mean:.1f}%"


def _number(effect: Effect) -> str:
    return "–" if effect.mean is None else f"{effect.mean:.2f}"


def _signed(effect: Effect) -> str:
    return "–" if effect.mean is None else f"{effect.mean:+.2f}"


def _interval(effect: Effect, form: str) -> str:
    return "–" if effect.interval is None else "[{:{form}}, {:{form}}]".format(*effect.interval, form=form)


def _p(effect: Effect) -> str:
    return "–" if effect.p is None or effect.interval is None else f"{effect.p:.2g}"


# ---------------------------------------------------------------------- as JSON


def _as_json(found: BlindSpot) -> dict[str, Any]:
    """Models, differences, pairs that were ever in one group, and every decision."""
    return {
        "block": found.block,
        "models": [_model(model) for model in found.models],
        "differences": [
            {"one": each.one, "other": each.other, "excess": _effect(each.effect), "p": each.effect.p}
            for each in found.differences
        ],
        "paths": [
            {
                "name": path.name,
                "refreshes": path.bars,
                "pairs": [pair._asdict() for pair in path.pairs() if pair.together > 0],
            }
            for path in found.paths
        ],
        "steps": [
            {
                "experiment": each.experiment,
                "episode": each.episode,
                "group": each.group,
                "t": each.bars.astype(int).tolist(),
                **{name: value.tolist() for name, value in each.values.items()},
            }
            for each in found.watched
        ],
        "left_out": dict(found.left_out),
    }


def _model(model: Model) -> dict[str, Any]:
    agent, _, feedback = model.group.rpartition(", ")
    counts = ("verdict", "episodes", "decisions", "worded", "loaded", "praised", "silent", "turned")
    return {
        "agent": agent,
        "feedback": feedback,
        **{name: getattr(model, name) for name in counts},
        "p": model.effects["excess"].p,
        "metrics": {name: _effect(effect) for name, effect in model.effects.items()},
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {"value": effect.mean, "ci": effect.interval, "n": effect.n}
