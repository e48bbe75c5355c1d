"""What each stress leaves of a contraction that was planted: prints the tables of docs/stress.md.

    python docs/examples/stress.py [PATHS]

An organism plays so many invented markets (10), 500 decisions each, and is asked again on the same markets with noise
and under lies; its texts are replaced. `own`: its words contract 8 decisions ahead of a losing position that it takes
on purpose, where fills are dear. `market`: ahead of falls of the market that volume announces 8 bars before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tradearena import policy as policies
from tradearena.agents.card import in_form
from tradearena.analysis.asked import Market
from tradearena.analysis.pairs import Window as Path
from tradearena.analysis.signatures.asked import asked
from tradearena.analysis.signatures.controls import CONTROLS, controlled
from tradearena.analysis.signatures.design import Design, without_draws
from tradearena.analysis.signatures.lexical import LexicalProbe
from tradearena.analysis.signatures.lexical_probes import HashProbe, LsaProbe
from tradearena.analysis.signatures.study import Row, study
from tradearena.analysis.signatures.trace import Trace
from tradearena.analysis.signatures.trial import QUIET, Planted, SignatureTrial
from tradearena.analysis.signflip import sign_flip
from tradearena.market.design import Design as Bars
from tradearena.market.noise import Noise, noised_panel
from tradearena.market.synthetic import panel_of
from tradearena.market.window import Window
from tradearena.panel import Panel

PLANTED = (Planted("collapsing", 0.9, 8, "own"), Planted("collapsing", 0.9, 8, "market"))
SEEN = ("plan", "intent")


def traces(
    trial: SignatureTrial, planted: Planted, paths: int, laid: Callable[[Panel], Panel], mode: str, *, mute: bool
) -> Iterator[Trace]:
    """Of one organism on so many markets."""
    own = planted.ahead_of == "own"
    policy = trial.dear if own else trial.policy
    shape: dict[str, Any] = QUIET if own else {"scenes": 8, "depth": trial.depth, "lead": planted.lead, "strength": 1.5}
    card = in_form(planted.card, "weights-only") if mute else planted.card
    for number in range(paths):
        panel = laid(panel_of(Bars(bars=trial.warmup + trial.steps + 1, seed=number, **shape)))
        span = Window(steps=trial.steps).resolve(panel, warmup=trial.warmup, latency=1)[0]
        tally = Market(panel, policy).played(card, span, mode=mode, seed=number)
        yield asked(str(number), "planted", Path(f"path {number}", span.first, span.last), tally)


def stressed(
    trial: SignatureTrial, planted: Planted, paths: int, base: Sequence[Trace]
) -> Iterator[tuple[str, list[Trace]]]:
    """The same organism under every stress."""

    def again(laid: Callable[[Panel], Panel] = lambda panel: panel, mode: str = "true", *, mute: bool = False) -> Any:
        return list(traces(trial, planted, paths, laid, mode, mute=mute))

    for size in (0.1, 0.5):
        yield f"`noise {size}`", again(lambda panel, size=size: noised_panel(panel, Noise(size)))  # type: ignore[misc]
    for mode in ("false-audit:alarm", "false-audit:all-clear"):
        yield f"`{mode}`", again(mode=mode)
    yield "`weights-only`", again(mute=True)
    for name in CONTROLS:
        yield f"`{name}`", [controlled(trace, name) for trace in base]


def cell(before: Row, after: Row) -> str:
    """The value under stress and the interval of its change."""
    one, other = dict(before.by_cluster), dict(after.by_cluster)
    effect = sign_flip([other[path] - one[path] for path in sorted(one.keys() & other.keys())])
    if effect.mean is None:
        return after.verdict
    if effect.verdict == "degenerate":
        return f"{after.value:+.4f} (same)"
    low, high = effect.interval or (float("nan"), float("nan"))
    return f"{after.value:+.4f} ({effect.mean:+.4f} [{low:+.4f}, {high:+.4f}])"


def main(paths: int) -> None:
    """One table for each kind of trouble."""
    trial = SignatureTrial(policies.load("standard"))
    for planted in PLANTED:
        depth = None if planted.ahead_of == "own" else trial.depth / 2
        design = replace(trial.design, depth=depth, views=SEEN)
        base = list(traces(trial, planted, paths, lambda panel: panel, "true", mute=False))

        def looked(found: Sequence[Trace], asked: Design, kind: str = planted.ahead_of) -> dict[tuple[str, str], Row]:
            made = study(found, (HashProbe(), LsaProbe(), LexicalProbe()), asked)
            return {(row.view, row.probe): row for row in made if row.primary and row.anchors == kind}

        plain, still = looked(base, design), looked(base, without_draws(design))
        heads = list(plain)
        print(f"\nAnchors: {planted.ahead_of}; {paths} paths, {next(iter(plain.values())).n_anchors} anchors\n")
        print("| | " + " | ".join(f"{view}, {probe}" for view, probe in heads) + " |")
        print("|---" * (len(heads) + 1) + "|")
        print("| none | " + " | ".join(f"{plain[head].value:+.4f} (p {plain[head].p:.3g})" for head in heads) + " |")
        for name, found in stressed(trial, planted, paths, base):
            made = looked(found, without_draws(design))
            print(f"| {name} | " + " | ".join(cell(still[head], made[head]) for head in heads) + " |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
