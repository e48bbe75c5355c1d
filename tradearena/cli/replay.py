"""`tradearena replay`: an episode step by step, from the file alone."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradearena.cli import options
from tradearena.cli.terminal import say
from tradearena.errors import DivergedError, UsageError

if TYPE_CHECKING:
    from tradearena.arena.verify import Divergence, Verdict
    from tradearena.store.reader import Reader
    from tradearena.store.rows import EpisodeRow
    from tradearena.store.story import Line, Page

SHOWN = 20
"""Steps a table shows at either end before it cuts the middle out."""


def replay(
    file: options.FileOrNewest = None,
    episode: options.EpisodeName = None,
    step: Annotated[int | None, typer.Option("--step", help="Show the step at this bar in full.")] = None,
    each: Annotated[bool, typer.Option("--each", help="Every step in full; on a terminal Enter goes on.")] = False,
    text: Annotated[bool, typer.Option("--text", help="With --step: prompt and reply, word for word.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check all of it: chain, seals, and every step played again.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="With --verify: chain, seals and signatures alone.")] = False,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="PUBLIC", help="With --verify: every episode must be signed by this key."),
    ] = None,
    every_line: Annotated[bool, typer.Option("--all", help="Every step in the table, the middle too.")] = False,
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help="Open loop: the decisions on record under another policy.")
    ] = None,
    latency: Annotated[int | None, typer.Option("--latency", min=1, help="Open loop: with other latency.")] = None,
    cost_scale: Annotated[
        float | None, typer.Option("--cost-scale", min=0, metavar="X", help="Open loop: with X times the costs.")
    ] = None,
    out: options.Out = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Replay an episode from its file: no key, no network, no dataset.

    A table of its steps; with --step one of them in full, with --text as it was put to the agent and answered; with
    --each all of them, one after the other. With --verify nothing is shown but whether the file is what it says. With
    --policy, --latency or --cost-scale the decisions on record are played again under other rules, as an experiment of
    their own that names its parent.
    """
    from tradearena.cli import report
    from tradearena.cli.openloop import Otherwise, play_again
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader
    from tradearena.store.story import page, story

    path, otherwise = resolve(file, home), Otherwise(policy, latency, cost_scale)
    if otherwise.asked and (verify or step is not None or each):
        raise UsageError("--policy, --latency and --cost-scale make a new experiment; leave out the rest")
    if out is not None and not otherwise.asked:
        raise UsageError("--out is for --policy, --latency and --cost-scale: nothing else here writes a file")
    if otherwise.asked:
        play_again(path, episode, otherwise, out, home, json=json)
        return
    if fast and not verify:
        raise UsageError("--fast is for --verify: it leaves out what takes long")
    if key is not None and not verify:
        raise UsageError("--key is for --verify: it says who must have signed the file")
    if verify:
        _verify(path, key, fast=fast, json=json)
        return
    with Reader(path) as reader:
        row = reader.episode(episode)
        if step is not None:
            found = page(reader, row, step)
            if json:
                report.print_json({"experiment": str(path), "episode": row.id, **_as_json(found)})
            else:
                _print_page(found, text=text)
            return
        lines = story(reader, row.id)
        if json:
            summary = report.summary(reader, row)
            report.print_json(
                {"experiment": str(path), "episodes": [{**summary, "path": [x._asdict() for x in lines]}]}
            )
        elif each:
            _walk(reader, row, lines)
        else:
            _print_table(reader, row, lines, whole=every_line)


def _verify(path: Path, key: Path | None, *, fast: bool, json: bool) -> None:
    """Say what was checked, and fail where something is not as it must be."""
    from tradearena.arena.verify import verify
    from tradearena.cli import report
    from tradearena.store.schema import ENGINE
    from tradearena.store.signature import NEEDED, fingerprint, open_public

    author = None if key is None else open_public(key)
    whole, verdicts = verify(path, fast=fast, key=author)
    wrong = [*whole, *(verdict.wrong for verdict in verdicts if verdict.wrong)]
    convicted = DivergedError(f"{path}: {wrong[0]}; {len(wrong)} in all") if wrong else None
    if json:
        found = {
            "experiment": str(path),
            "verified": convicted is None,
            "engine": ENGINE,
            "whole": [_diverged(each) for each in whole],
            "episodes": [_judged(each) for each in verdicts],
        }
        report.print_json(found | ({"error": str(convicted)} if convicted else {}))
        raise typer.Exit(1 if convicted else 0)
    rows = [
        [each.episode, each.agent, each.feedback, f"{each.steps:,}", "no" if each.wrong else "yes",
         "yes" if each.sealed else "not ended", "yes" if each.recomputed else "no"]
        for each in verdicts
    ]  # fmt: skip
    report.print_table(["episode", "agent", "feedback", "steps", "sound", "sealed", "replayed"], rows)
    signed = [each for verdict in verdicts if not verdict.wrong for each in verdict.signed]
    for (name, checked), count in Counter((each.key, each.valid) for each in signed).items():
        say(f"{count} of {len(verdicts)} episodes signed by {name}" + ("" if checked else ", not checked"))
    if any(each.valid is None for each in signed):
        say(f"warning: signatures were not checked; that needs {NEEDED}", err=True)
    if convicted:
        raise convicted
    by = "" if author is None else f", signed by {fingerprint(author)}"
    say(f"{path} is what it says, by the rules of engine {ENGINE}{by}.")


def _judged(verdict: Verdict) -> dict[str, object]:
    """What became of one episode, in the words of JSON."""
    return {
        "id": verdict.episode,
        "agent": verdict.agent,
        "feedback": verdict.feedback,
        "steps": verdict.steps,
        "recomputed": verdict.recomputed,
        "sealed": verdict.sealed,
        "chain_ok": verdict.chain_ok,
        "seal_ok": verdict.seal_ok,
        "first_divergence": verdict.wrong and _diverged(verdict.wrong),
        "signed": [each._asdict() for each in verdict.signed],
    }


def _diverged(found: Divergence) -> dict[str, object]:
    """What is not as it must be, in the words of JSON."""
    recorded, recomputed = (
        each.tolist() if hasattr(each, "tolist") else each for each in (found.recorded, found.recomputed)
    )
    return {
        "table": found.table,
        "step": found.t,
        "field": found.field,
        "recorded": recorded,
        "recomputed": recomputed,
        "sentence": str(found),
    }


def _as_json(found: Page) -> dict[str, object]:
    said = [{key: value for key, value in asdict(each).items() if key != "calls"} for each in found.said]
    return {**found._asdict(), "line": found.line._asdict(), "said": said}


def _walk(reader: Reader, row: EpisodeRow, lines: list[Line]) -> None:
    from tradearena.store.story import page

    for number, line in enumerate(lines, start=1):
        _print_page(page(reader, row, line.t), text=False)
        if sys.stdin.isatty() and sys.stdout.isatty() and number < len(lines):
            typer.prompt(f"step {number} of {len(lines)}, Enter for the next", default="", show_default=False, err=True)


def _print_table(reader: Reader, row: EpisodeRow, lines: list[Line], *, whole: bool) -> None:

    from tradearena.cli import report

    setup = reader.experiment()
    window = reader.window(row)
    say(
        f"episode {row.id}: {row.agent} on {setup.name}, policy {setup.policy['name']}, feedback {row.feedback}, "
        f"seed {row.seed}, {window['start']} to {window['end']}, {row.status}"
    )
    rows = [_cells(line) for line in lines]
    if not whole and len(rows) > 2 * SHOWN:
        more = ["…", f"{len(rows) - 2 * SHOWN} more", "", "", "", "--all shows them, --step BAR one in full"]
        rows = [*rows[:SHOWN], more, *rows[-SHOWN:]]
    report.print_table(["bar", "close of", "NAV", "gross", "changed by", "rationale"], rows)
    report.print_metrics([report.entry(report.summary(reader, row))], title="executed book")
    if others := [other for other in reader.episodes() if other.id != row.id]:
        names = ", ".join(f"{other.id} ({other.agent})" for other in others[:6])
        say(f"Other episodes in this file: {names}; choose with --episode")


def _cells(line: Line) -> list[str]:
    said = line.rationale if line.status == "ok" else f"[{line.status}] {line.rationale}"
    gates = ", ".join(dict.fromkeys(line.gates))
    text = " ".join(said.split())
    return [str(line.t), line.time[:16], f"{line.nav:,.0f}", f"{line.gross:.2f}", gates, text]


def _print_page(found: Page, *, text: bool) -> None:
    from tradearena.cli import report

    line = found.line
    say(f"bar {line.t}, close of {line.time}: NAV {line.nav:,.2f}, cash {found.cash:,.2f}")
    reply = line.status + (f": {found.reason}" if found.reason else "") + (", keeps the position" if line.kept else "")
    confidence = "" if found.confidence is None else f", confidence {found.confidence:.2f}"
    say(f"reply {reply}{confidence}")
    for said in (line.rationale, found.reflection, found.told and f"told: {found.told}"):
        if said:
            say(said)
    for exchange in found.said if text else ():
        of = f" of {exchange.speaker}" if exchange.speaker else ""
        parts = {"system": "" if exchange.turn else exchange.system, "prompt": exchange.prompt, "reply": exchange.reply}
        for name, said in parts.items():
            if said or name == "reply":
                say(f"\n--- {name}{of}\n{said}\n--- end of {name}{of}\n")
    books = ("held", "intent", "approved", "reference")
    rest = {True: "not traded: last mark", False: ""}
    weights = [[row["symbol"], *(f"{row[name]:.4f}" for name in books), rest[row["stale"]]] for row in found.weights]
    report.print_table(["symbol", *books, ""], weights, title="weights")
    if found.findings:
        numbers = ("proposed", "approved", "limit")
        findings = [
            [row["rule"], row["name"] or row["scope"], *(f"{row[name]:.4f}" for name in numbers), row["severity"]]
            for row in found.findings
        ]
        report.print_table(["rule", "on", *numbers, "severity"], findings, title="findings")
    if found.fills:
        money = ("ordered", "filled", "price", "cost")
        fills = [[row["symbol"], *(f"{row[name]:,.2f}" for name in money), row["cause"]] for row in found.fills]
        title = f"fills at the open of bar {found.fills[0]['bar']}"
        report.print_table(["symbol", *money, "rest cancelled for"], fills, title=title)
    say(f"hash {found.hash}\n")
