"""Writes a dataset: a card and an invented tape come in, a folder of the room `market_data` goes out."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np

from tradearena.errors import UsageError
from tradearena.market.card import DatasetCard
from tradearena.market.synthetic import Design, Tape, synthesise

OPTIONS = ("seed", "symbols", "sectors", "bars", "start", "coupled")
STRESS = ("scenes", "depth", "lead", "strength")
"""Parts of a design that the command line sets; the card says them, so that the command can be given again."""


def write_synthetic(design: Design, folder: Path, *, name: str | None = None) -> Path:
    """Invent the bars of a design and write them with their card; `name` is the dataset's, else the folder's.

    Raises:
        UsageError: the folder is there already; nothing is overwritten.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name, or remove it first")
    tape = synthesise(design)
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(card_text(synthetic_card(name or folder.name, design)), encoding="utf-8")
    write_bars(tape, folder / "bars.parquet")
    return folder


def synthetic_card(name: str, design: Design) -> DatasetCard:
    """The card of invented bars: sessions of New York, stamped at their start."""
    said = (*OPTIONS, *STRESS) if design.scenes else OPTIONS
    options = " ".join(f"--{name} {getattr(design, name)}" for name in said)
    return DatasetCard(
        name=name,
        source=f"tradearena data synth {name} {options}",
        licence="CC0-1.0: invented, no market was observed",
        timezone="America/New_York",
        label="start",
        frequency="1d",
        volume_unit="shares",
        adjusted=True,
        calendar="intersection",
        sectors=dict(sorted(design.names)),
        description="Invented daily bars: market, sector and own factors, GARCH(1,1) volatility, Student t tails.",
    )


def card_text(card: DatasetCard) -> str:
    """A card as TOML that reads back as the same card."""
    plain = {key: value for key, value in card.model_dump(exclude={"sectors"}).items() if value is not None}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    if card.sectors:
        quoted = {json.dumps(key, ensure_ascii=False): value for key, value in card.sectors.items()}
        lines += [
            "",
            "[sectors]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in quoted.items()),
        ]
    return "\n".join(lines) + "\n"


def write_bars(tape: Tape, path: Path) -> None:
    """Long Parquet, zstd: `date, symbol, open, high, low, close, volume`, by symbol and date."""
    T, N = tape.close.shape
    symbols = np.array([ticker for ticker, _ in tape.design.names])
    order = np.argsort(symbols)
    columns = {
        "date": np.tile(tape.dates.astype("datetime64[us]"), N),
        "symbol": np.repeat(symbols[order], T).astype(object),
        "volume": tape.volume[:, order].T.ravel().astype(np.int64),
        **{name: getattr(tape, name)[:, order].T.ravel() for name in ("open", "high", "low", "close")},
    }
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("tape", columns)
        selected = "SELECT CAST(date AS DATE) AS date, symbol, open, high, low, close, volume FROM tape"
        con.sql(selected).write_parquet(str(path), compression="zstd")
