"""`tradearena list`, `show` and `sql`: what experiment files there are, what one holds, and any question to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.terminal import say
from tradearena.errors import UsageError


def list_files(home: options.Home = None, json: options.Json = False) -> None:
    """List the experiment files under replays/."""
    from tradearena.cli import report
    from tradearena.errors import StoreError
    from tradearena.store.files import experiments
    from tradearena.store.reader import Reader
    from tradearena.store.schema import DONE

    found: list[dict[str, Any]] = []
    for path in experiments(home):
        try:
            with Reader(path) as reader:
                setup, episodes = reader.experiment(), reader.episodes()
        except StoreError as error:
            say(f"warning: {error}", err=True)
            continue
        found.append(
            {
                "file": str(path),
                "id": setup.id,
                "dataset": setup.name,
                "policy": setup.policy["name"],
                "created_at": setup.created_at,
                "episodes": len(episodes),
                "agents": sorted({row.agent for row in episodes}),
                "unfinished": sum(row.status not in DONE for row in episodes),
            }
        )
    if json:
        report.print_json({"experiments": found})
        return
    if not found:
        say("no experiment files here yet; make one with `tradearena run`")
        return
    rows = []
    for each in found:
        count = f"{each['episodes']}" + (f" ({each['unfinished']} unfinished)" if each["unfinished"] else "")
        place = [each["id"], each["dataset"], each["policy"], (each["created_at"] or "")[:16]]
        rows.append([*place, count, ", ".join(each["agents"])])
    report.print_table(["id", "dataset", "policy", "created", "episodes", "agents"], rows)


def show(
    file: options.FileOrNewest = None,
    manifest: Annotated[bool, typer.Option("--manifest", help="Everything that made each episode, as JSON.")] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--diff", metavar="A B", help="What differs between two episodes: ID, or ID@FILE for another file."
        ),
    ] = None,
    waterfall: Annotated[
        bool, typer.Option("--waterfall", help="Where the money of an episode came from: intent, rules, fills, costs.")
    ] = False,
    episode: options.EpisodeName = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Show what an experiment file holds: its set-up, and the metrics of each episode. Or, with --diff, what differs
    between the set-ups of two; with --waterfall, where the money of one came from."""
    from dataclasses import asdict

    from tradearena.cli import report
    from tradearena.cli.waterfall import show_waterfall
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader
    from tradearena.store.signature import signatures

    path = resolve(file, home)
    if diff is not None:
        _show_differences([_setup(name, path, home) for name in diff], diff, json=json)
        return
    if episode is not None and not waterfall:
        raise UsageError("--episode is for --waterfall; without it all are shown")
    if waterfall:
        show_waterfall(path, episode, json=json)
        return
    with Reader(path) as reader:
        setup, rows = reader.experiment(), reader.episodes()
        found = report.summaries(reader, rows)
        signed = {name: [each.name for each in held] for name, held in signatures(reader.db).items()}
    if json or manifest:
        made = [asdict(row) for row in rows] if manifest else found
        report.print_json({"experiment": str(path), "setup": asdict(setup), "episodes": made, "signed": signed})
        return
    say(f"{path}: experiment {setup.id}, engine {setup.engine}")
    say(f"bars     {setup.name}, {len(setup.symbols)} symbols, digest {setup.dataset_digest[:12]}")
    say(f"policy   {setup.policy['name']}, digest {setup.policy_digest[:12]}")
    say(f"window   {setup.window}")
    for warning in setup.warnings:
        say(f"warning  {warning}")
    for key, count in Counter(key for names in signed.values() for key in names).items():
        say(f"signed   {count} of {len(rows)} episodes by {key}, as the file says; replay --verify checks it")
    for row, each in zip(rows, found, strict=True):
        begin, end = (each["window"][side] for side in ("start", "end"))
        root = (row.root_hash or "none yet")[:12]
        say(
            f"\nepisode {row.id}: {row.agent}, feedback {row.feedback}, seed {row.seed}, {begin} to {end}, "
            f"{each['steps']} steps, {row.status}, root hash {root}" + (f"\n  {row.error}" if row.error else "")
        )
    entries = [
        ((row.id, *label, row.feedback, str(row.seed)), metrics)
        for row, (label, metrics) in zip(rows, map(report.entry, found), strict=True)
    ]
    report.print_metrics(entries, title="executed book", heads=("episode", "agent", "feedback", "seed"))
    _show_family(path, home)


def _show_family(path: Path, home: Path | None) -> None:
    """What its episodes were made from, and what was made from them."""
    from tradearena.store.family import family
    from tradearena.store.files import experiments

    members = family(path, (other for other in experiments(home) if other.resolve() != path.resolve()))
    if members:
        say("family, as experiment/episode")
    for member in members:
        row, made = member.row, ""
        if row is not None and isinstance(row.parent, dict) and row.parent:
            prefix = row.parent.get("prefix")
            made = f"fork at bar {prefix.get('at')}" if isinstance(prefix, dict) else "open loop"
            made = f"{made} under {member.policy}: "
        who = "not in sight" if row is None else f"{row.agent}, feedback {row.feedback}, seed {row.seed}, {row.status}"
        here = " *" if member.path == path else ""
        branch = "   " * member.depth + ("└─ " if member.depth else "")
        say(f"  {branch}{'/'.join(member.name)}{here}  {made}{who}")


def _setup(name: str, path: Path, home: Path | None) -> dict[str, Any]:
    """The set-up of an episode, ID or ID@FILE."""
    from tradearena.store.differences import setup_of
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader

    episode, _, file = name.partition("@")
    with Reader(resolve(file, home) if file else path) as reader:
        return setup_of(reader.experiment(), reader.episode(episode))


def _show_differences(setups: list[dict[str, Any]], names: tuple[str, str], *, json: bool) -> None:
    from tradearena.cli import report
    from tradearena.store.differences import differences

    found = differences(*setups)
    if json:
        report.print_json({"episodes": names, "differences": found})
    elif not found:
        say("nothing differs: one is a replicate of the other")
    else:
        width = max(map(len, names))
        for path, pair in found.items():
            say(path)
            for name, value in zip(names, pair, strict=True):
                say(f"  {name:<{width}}  {'–' if value is None else value}")


def sql(
    file: options.File,
    query: Annotated[str, typer.Argument(help='DuckDB SQL, for example "FROM steps LIMIT 5".')],
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Ask an experiment file anything, read-only. Tables and views: docs/schema.md."""
    from tradearena.cli import report
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader

    with Reader(resolve(file, home)) as reader:
        columns, rows = reader.query(query)
    if json:
        report.print_json({"columns": columns, "rows": [list(row) for row in rows]})
        return
    report.print_rows(columns, rows)
