"""`tradearena data`: which bars there are, what they are like, cleaned ones and invented ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradearena.cli import importing, options, synth

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Bars: which there are, what they are like; cleaned and invented ones.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset name, folder, or CSV or Parquet file.")]
Timezone = Annotated[str | None, typer.Option("--timezone", help="Override: the zone of stamps that carry none.")]


@app.command("list")
def list_datasets(home: options.Home = None, json: options.Json = False) -> None:
    """List the datasets of the room `market_data`."""
    from textwrap import shorten

    from rich.console import Console
    from rich.table import Table

    from tradearena.errors import TradeArenaError
    from tradearena.market.card import iso
    from tradearena.market.dataset import datasets, open_dataset

    rows: list[dict[str, Any]] = []
    for name, path in sorted(datasets(home).items()):
        try:
            dataset = open_dataset(str(path.resolve()))
        except TradeArenaError as error:  # one broken dataset must not hide the others
            rows.append({"name": name, "error": str(error)})
            typer.echo(f"warning: {error}", err=True)
            continue
        panel = dataset.panel
        rows.append({
            "name": name,
            "symbols": len(panel.symbols),
            "bars": len(panel),
            "start": iso(panel.start[0]),
            "end": iso(panel.end[-1]),
            "frequency": dataset.card.frequency,
            "source": dataset.card.source,
        })  # fmt: skip
    if json:
        _print_json({"datasets": rows})
        return
    table = Table("dataset", "symbols", "bars", "first bar", "last bar", "every", "source")
    for row in rows:
        shown = {**row, "start": str(row.get("start"))[:10], "end": str(row.get("end"))[:10]}
        shown["source"] = shorten(row.get("source", ""), 40, placeholder=" …")
        cells = [row["name"], *["–"] * 5, "unusable"] if "error" in row else shown.values()
        table.add_row(*map(str, cells))
    Console().print(table)


@app.command("describe")
def describe_dataset(
    name: Name,
    home: options.Home = None,
    label: options.Label = None,
    volume_unit: options.VolumeUnit = None,
    calendar: options.Calendar = None,
    timezone: Timezone = None,
    json: options.Json = False,
) -> None:
    """Describe a dataset: range, gaps, how alike its symbols move, and what is doubtful about it."""
    from rich.console import Console

    from tradearena.market.dataset import open_dataset
    from tradearena.market.describe import describe

    dataset = open_dataset(
        name, home=home, label=label, volume_unit=volume_unit, calendar=calendar, timezone=timezone
    )  # fmt: skip
    found = describe(dataset)
    if json:
        _print_json(found)
        return
    for remark in found["warnings"]:
        typer.echo(f"warning: {remark}", err=True)
    Console().print(_sheet(found, {**dataset.card.model_dump(), "digest": dataset.panel.digest}))


app.command("synth")(synth.synthesise_dataset)
app.command("import")(importing.import_dataset)


def _sheet(found: dict[str, Any], card: dict[str, Any]) -> Table:
    """A dataset as a two-column table."""
    from rich.table import Table

    table = Table(title=card["name"], title_justify="left", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    symbols = found["symbols"]
    table.add_row("symbols", f"{len(symbols)}: {', '.join(symbols[:12])}{', …' if len(symbols) > 12 else ''}")
    for key in ("bars", "start", "end", "missing"):
        table.add_row(key, str(found[key]))
    for key in ("bars_per_year", "mean_abs_correlation", "p90_abs_correlation", "pc1_share"):
        table.add_row(key.replace("_", " "), "–" if found[key] is None else f"{found[key]:.4g}")
    pairs = (f"{a} {b} {rho:.2f}" for a, b, rho in found["top_pairs"][:5])
    table.add_row("closest pairs", ", ".join(pairs) or "–")
    table.add_row("scenes", ", ".join(f"{name} {a} to {b}" for name, (a, b) in found["scenes"].items()) or "–")
    for key in ("frequency", "label", "timezone", "calendar", "volume_unit", "source", "licence", "digest"):
        table.add_row(key.replace("_", " "), str(card[key]))
    return table


def _print_json(value: dict[str, Any]) -> None:
    """Exactly one JSON object on stdout."""
    import json

    typer.echo(json.dumps(value, allow_nan=False))
