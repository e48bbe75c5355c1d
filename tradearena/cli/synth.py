"""`tradearena data synth`: invented bars with known structure, one market or many."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from tradearena.cli import options


def synthesise_dataset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new dataset.")],
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the dice; the same seed gives the same bars.")
    ] = 1,
    paths: Annotated[
        int, typer.Option("--paths", min=1, help="How many markets of this design: NAME-1, NAME-2, ..., seeds upward.")
    ] = 1,
    symbols: Annotated[int, typer.Option("--symbols", help="How many symbols.")] = 12,
    sectors: Annotated[int, typer.Option("--sectors", help="How many sectors they are dealt to.")] = 4,
    bars: Annotated[int, typer.Option("--bars", help="How many bars.")] = 756,
    frequency: Annotated[
        str, typer.Option("--frequency", help="Length of a bar: 1d, or within the session 1h, 30m, 5m.")
    ] = "1d",
    start: Annotated[datetime, typer.Option("--start", formats=["%Y-%m-%d"], metavar="DATE", help="First day.")] = (
        datetime(2015, 1, 5)  # noqa: DTZ001  a date of the exchange's calendar
    ),
    coupled: Annotated[int, typer.Option("--coupled", help="Pairs of symbols that move almost as one.")] = 0,
    drift: Annotated[
        float, typer.Option("--drift", help="Expected return of every symbol, per year, without scenes.")
    ] = 0.08,
    edge: Annotated[
        float,
        typer.Option("--edge", help="Sharpe ratio of following the residuals of the last bars; 0: there is no edge."),
    ] = 0.0,
    lookback: Annotated[int, typer.Option("--lookback", help="Edge: bars whose return is followed.")] = 5,
    scenes: Annotated[int, typer.Option("--scenes", help="Stress scenes: falls of the whole market.")] = 0,
    scene: Annotated[int, typer.Option("--scene", help="Bars that a scene lasts.")] = 10,
    depth: Annotated[float, typer.Option("--depth", help="Fall of the market's log in each.")] = 0.15,
    lead: Annotated[int, typer.Option("--lead", help="Bars that a precursor stands before a scene.")] = 6,
    strength: Annotated[
        float, typer.Option("--strength", help="Precursor: by how much the log of all volumes is up; 0: there is none.")
    ] = 0.0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make; default: market_data/NAME.")] = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Invent bars: sectors, coupled pairs, clustered volatility, fat tails; stress scenes and an edge if asked for."""
    from tradearena import rooms
    from tradearena.errors import UsageError
    from tradearena.market.dataset import ROOM
    from tradearena.market.design import Design
    from tradearena.market.writing import write_synthetic

    if not name or name != Path(name).name or name.startswith("."):
        raise UsageError(f"'{name}' cannot name a dataset; give a plain name, and the place with --out or --home")
    designs = [
        Design(
            symbols=symbols,
            sectors=sectors,
            bars=bars,
            frequency=frequency,
            start=start.date(),
            seed=seed + path,
            coupled=coupled,
            drift=drift,
            edge=edge,
            lookback=lookback,
            scenes=scenes,
            scene=scene,
            depth=depth,
            lead=lead,
            strength=strength,
        )
        for path in range(paths)
    ]
    place = out or rooms.home(home) / ROOM / name
    endings = [f"-{path:0{len(str(paths))}d}" if paths > 1 else "" for path in range(1, paths + 1)]
    folders = [place.with_name(place.name + ending) for ending in endings]
    for folder in folders:
        if folder.exists():
            raise UsageError(f"{folder} is there already; choose another name, or remove it first")
    for design, folder, ending in zip(designs, folders, endings, strict=True):
        write_synthetic(design, folder, name=name + ending)
    if json:
        from json import dumps

        typer.echo(dumps({"datasets": [str(folder) for folder in folders]}))
        return
    typer.echo(f"{symbols} symbols, {bars} bars in {', '.join(map(str, folders))}")
    made = name + endings[0] if out is None and home is None else str(folders[0])
    typer.echo(f"Next:  tradearena data describe {quote(made)}", err=True)
