"""`tradearena data import`: files of bars go in; a cleaned dataset and what was corrected on the way come out."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import options
from tradearena.cli.terminal import plain, say

if TYPE_CHECKING:
    from tradearena.market.importing import Import

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, CSV or Parquet file, or dataset name.")]
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of the new dataset. Default: as the source.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make; default: market_data/NAME.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse what would have to be corrected or dropped.")]
Timezone = Annotated[str | None, typer.Option("--timezone", help="Override: the zone of stamps that carry none.")]
Origin = Annotated[str | None, typer.Option("--source", help="For the card: where the bars come from.")]
Licence = Annotated[str | None, typer.Option("--licence", help="For the card: under which terms.")]


def import_dataset(
    source: Source,
    name: Name = None,
    out: Out = None,
    strict: Strict = False,
    label: options.Label = None,
    timezone: Timezone = None,
    volume_unit: options.VolumeUnit = None,
    calendar: options.Calendar = None,
    origin: Origin = None,
    licence: Licence = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Import bars: write them corrected, with a card, and list what was corrected or dropped, and why."""
    from tradearena import rooms
    from tradearena.errors import UsageError
    from tradearena.market.dataset import ROOM, locate
    from tradearena.market.importing import clean, refuse_corrections, write_import

    path = locate(source, home)
    name = name or (out.name if out else path.resolve().stem if path.is_file() else path.resolve().name)
    if name != Path(name).name or name.startswith("."):
        raise UsageError(f"'{name}' cannot name a dataset; give a plain name, and the place with --out or --home")
    folder = out or rooms.home(home) / ROOM / name
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name, or remove it first")
    said = {
        "label": label,
        "timezone": timezone,
        "volume_unit": volume_unit,
        "calendar": calendar,
        "source": origin,
        "licence": licence,
    }
    found = clean(path, name, {key: value for key, value in said.items() if value is not None})
    if strict:
        refuse_corrections(found)
    write_import(found, folder)
    if json:
        import json as notation

        typer.echo(notation.dumps(_summary(found, folder), allow_nan=False))
        return
    for remark in found.warnings:
        say(f"warning: {remark}", err=True)
    _show(_summary(found, folder))
    say(f"Next:  tradearena data describe {quote(name if out is None and home is None else str(folder))}", err=True)


def _summary(found: Import, folder: Path) -> dict[str, Any]:
    """What was made, and of each rule how often it was applied and where first."""
    from tradearena.market.corrections import lines

    rules: dict[str, dict[str, Any]] = {}
    for one in found.corrections:
        rule = rules.setdefault(one.rule, {"rule": one.rule, "corrected": 0, "dropped": 0, "first": one})
        rule["dropped" if one.dropped else "corrected"] += 1
    firsts = [rule["first"] for rule in rules.values()]
    for rule, one, line in zip(rules.values(), firsts, lines(firsts), strict=True):
        rule["first"] = {
            "file": one.file.name,
            "line": line,
            "symbol": one.symbol,
            "time": one.time,
            "field": one.field,
            "before": one.before,
            "after": one.after,
            "why": one.why,
        }
    return {
        "dataset": str(folder),
        "digest": found.panel.digest,
        "symbols": len(found.panel.symbols),
        "bars": len(found.panel),
        "corrections": list(rules.values()),
        "warnings": [str(remark) for remark in found.warnings],
    }


def _show(summary: dict[str, Any]) -> None:
    """The summary as a table, and the dataset below it."""
    from rich.console import Console
    from rich.table import Table

    table = Table("rule", "corrected", "dropped", "first", "was", "became")
    for rule in summary["corrections"]:
        first = rule["first"]
        place = f"{first['file']}:{first['line']} {first['symbol']} {first['time']}"
        was = "" if first["field"] == "bar" else f"{first['field']} {first['before']}"
        table.add_row(
            *map(plain, (rule["rule"], str(rule["corrected"]), str(rule["dropped"]), place, was, first["after"]))
        )
    if summary["corrections"]:
        Console().print(table)
        typer.echo(f"Every correction, with its reason: {summary['dataset']}/corrections.csv")
    else:
        typer.echo("Nothing had to be corrected or dropped.")
    say(
        f"{summary['symbols']} symbols, {summary['bars']} bars in {summary['dataset']}, digest {summary['digest'][:16]}"
    )
