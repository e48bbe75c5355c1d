"""Writes a dataset: a card and an invented tape come in, a folder of the room `market_data` goes out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from tradearena.errors import UsageError
from tradearena.market.bars import FIELDS
from tradearena.market.card import DatasetCard, Scene
from tradearena.market.clock import to_utc
from tradearena.market.design import Design
from tradearena.market.scenes import invented_scenes
from tradearena.market.synthetic import Tape, synthesise

ZONE = "America/New_York"
PRICES = FIELDS[:4]

BASICS = ("seed", "symbols", "sectors", "bars", "start", "coupled")
OPTIONS = (
    *BASICS, "frequency", "drift", "edge", "lookback", "scenes", "scene", "depth", "lead", "strength",
)  # fmt: skip
"""Parts of a design that the command line sets. The card says the basics and what is unlike its default, so that the
command can be given again."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into that takes its name once all of it is written; when interrupted, nothing of it stays.

    Raises:
        UsageError: there is something of that name already; nothing is overwritten.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name, or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as unnamed:
        written = Path(unnamed) / folder.name
        written.mkdir()
        yield written
        written.rename(folder)


def write_synthetic(design: Design, folder: Path, *, name: str | None = None) -> Path:
    """Invent the bars of a design and write them with their card; `name` is the dataset's, else the folder's.

    Raises:
        UsageError: the folder is there already, or the design leads to prices that cannot be written.
    """
    with new_folder(folder) as written:
        tape = synthesise(design)
        text = card_text(synthetic_card(name or folder.name, design, invented_scenes(tape)))
        (written / "card.toml").write_text(text, encoding="utf-8")
        write_bars(tape, written / "bars.parquet")
    return folder


def synthetic_card(name: str, design: Design, scenes: Mapping[str, Scene] | None = None) -> DatasetCard:
    """The card of invented bars: sessions of New York, stamped at their start."""
    usual = Design()
    said = [part for part in OPTIONS if part in BASICS or getattr(design, part) != getattr(usual, part)]
    options = " ".join(f"--{part} {getattr(design, part)}" for part in said)
    return DatasetCard(
        name=name,
        source=f"tradearena data synth {name} {options}",
        licence="CC0-1.0: invented, no market was observed",
        timezone=ZONE,
        label="start",
        frequency=design.frequency,
        volume_unit="shares",
        adjusted=True,
        calendar="intersection",
        sectors=dict(sorted(design.names)),
        description="Invented bars: market, sector and own factors, GARCH(1,1) volatility, Student t tails.",
        scenes=dict(scenes or {}),  # even if there are none: the days of real markets mean nothing here
    )


def card_text(card: DatasetCard) -> str:
    """A card as TOML that reads back as the same card."""
    whole = card.model_dump()
    tables = {name: whole.pop(name) for name in ("noise", "scenes", "sectors")}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in whole.items() if value is not None]
    for table, said in tables.items():
        if said or (table == "scenes" and said is not None):
            quoted = ((json.dumps(part, ensure_ascii=False) for part in pair) for pair in said.items())
            lines += ["", f"[{table}]", *(f"{key} = {value}" for key, value in quoted)]
    return "\n".join(lines) + "\n"


def write_bars(tape: Tape, path: Path) -> None:
    """Long Parquet, zstd: `date` (or `timestamp`, UTC, within the day), `symbol, open, high, low, close, volume`, by
    symbol and time. Prices are decimals: they are whole cents."""
    T, N = tape.close.shape
    symbols = np.array([ticker for ticker, _ in tape.design.names])
    order = np.argsort(symbols)
    daily = tape.design.daily
    start = tape.start if daily else to_utc(tape.start, ZoneInfo(ZONE))[0]
    when = "CAST(start AS DATE) AS date" if daily else "start AT TIME ZONE 'UTC' AS timestamp"
    columns = {
        "start": np.tile(start, N),
        "symbol": np.repeat(symbols[order], T).astype(object),
        "volume": tape.volume[:, order].T.ravel().astype(np.int64),
        **{name: getattr(tape, name)[:, order].T.ravel() for name in PRICES},
    }
    prices = ", ".join(f"CAST({name} AS DECIMAL(12, 2)) AS {name}" for name in PRICES)
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("tape", columns)
        con.sql(f"SELECT {when}, symbol, {prices}, volume FROM tape").write_parquet(str(path), compression="zstd")
