"""Opens a dataset: a name or a path comes in, a validated panel with its card and every remark on it goes out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from tradearena import cards, rooms
from tradearena.errors import DataError, UnknownName, UsageError
from tradearena.market import checks
from tradearena.market.bars import Bars, Remark
from tradearena.market.calendar import lay_out, spans
from tradearena.market.card import DatasetCard, Scene, iso
from tradearena.market.clock import instant
from tradearena.market.reading import read_bars
from tradearena.market.remarks import look
from tradearena.market.scenes import scenes_of
from tradearena.market.table import SUFFIXES
from tradearena.panel import Mask, Panel

ROOM = "market_data"

CORRECTIONS = "corrections.csv"
"""Beside the bars that `data import` wrote: what it corrected. These are no bars."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A panel and where it came from. `card` has its frequency and calendar filled in; `scenes` are the stretches that
    can be named: the card's, and those of the room."""

    card: DatasetCard
    panel: Panel
    path: Path
    warnings: tuple[Remark, ...] = ()
    scenes: dict[str, Scene] = field(default_factory=dict)


def datasets(home: Path | None = None) -> dict[str, Path]:
    """Every dataset of the room by name: folders that hold bars, and CSV and Parquet files; the nearest room wins."""
    found: dict[str, Path] = {}
    for room in rooms.places(ROOM, home):
        for path in sorted(room.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir() and files_of(path):
                found.setdefault(path.name, path)
            elif path.suffix.lower() in SUFFIXES:
                found.setdefault(path.stem, path)
    return found


def open_dataset(
    name: str,
    *,
    home: Path | None = None,
    end: datetime | None = None,
    label: str | None = None,
    volume_unit: str | None = None,
    calendar: str | None = None,
    timezone: str | None = None,
) -> Dataset:
    """Read, check and align bars.

    `name` is a dataset of the room `market_data`, or a path to a folder, CSV or Parquet file. Bars that end after
    `end` (naive: UTC) are checked but take no other part: panel and calendar are as if they did not exist. The other
    options override the card.

    Raises:
        UnknownName: no dataset of that name; offers the nearest.
        UsageError: the path does not exist, or an option that no card could hold.
        CardError: a card that cannot be read; names file and line.
        DataError: bars that cannot be trusted; names file, row, symbol and rule.
    """
    path = locate(name, home)
    options = {"label": label, "volume_unit": volume_unit, "calendar": calendar, "timezone": timezone}
    card, remarks = card_in_force(path, {key: value for key, value in options.items() if value is not None})
    bars, said = read_bars(files_of(path), card.zone)
    if not len(bars):
        raise DataError(f"{path}: there are no bars in it")
    return checked(bars, card, path, end=end, remarks=(*remarks, *said), home=home)


def checked(
    bars: Bars,
    card: DatasetCard,
    path: Path,
    *,
    end: datetime | None = None,
    remarks: tuple[Remark, ...] = (),
    home: Path | None = None,
) -> Dataset:
    """Check and align raw bars: what remains of opening a dataset once its files have been read.

    Raises:
        DataError, CardError: as `open_dataset`.
    """
    if card.volume_unit == "none":
        bars.values[:, 4] = np.inf
    card = card.model_copy(update={"frequency": card.frequency or checks.frequency(bars)})
    bars, dropped = checks.sift(bars, card.step)
    checks.refuse(bars)
    checks.one_length(bars, card.step)
    starts, ends = spans(bars, card)
    if end is not None:
        known = ends <= instant(end)
        bars, starts, ends = _cut(bars, known, path, end), starts[known], ends[known]
    card = card.model_copy(update={"calendar": card.calendar or "intersection"})
    looked = look(bars, card)
    panel, laid = lay_out(bars, starts, ends, card, path)
    return Dataset(card, panel, path, (*remarks, *dropped, *looked, *laid), scenes_of(card, home))


def locate(name: str, home: Path | None = None) -> Path:
    """Path of a dataset by name or path; what looks like a path is one, and a name is looked up in the room first."""
    path = Path(name).expanduser()
    looks_like_path = path.suffix.lower() in SUFFIXES or any(c in name for c in ("/", os.sep, "~"))
    known = {} if looks_like_path else datasets(home)
    if name in known:
        return known[name]
    if path.is_dir():
        if not files_of(path):
            raise UsageError(f"{path}: no CSV or Parquet file in this folder")
        return path
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return path
    if path.is_file():
        raise UsageError(f"{path}: bars are read from CSV and Parquet files only")
    if looks_like_path:
        raise UsageError(f"{path}: no such file or folder")
    raise UnknownName("dataset", name, known)


def files_of(path: Path) -> list[Path]:
    """The files of a dataset, sorted."""
    if path.is_file():
        return [path]
    bars = (file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name != CORRECTIONS)
    return sorted(file for file in bars if file.is_file())


def card_path(path: Path) -> Path:
    """Where the card of a dataset stands, if it has one: in its folder, or beside its file."""
    return path / "card.toml" if path.is_dir() else path.with_suffix(".toml")


def read_card(path: Path) -> DatasetCard | None:
    """The card of a dataset, None where there is none."""
    file = card_path(path)
    return cards.read(file, DatasetCard) if file.is_file() else None


def card_in_force(path: Path, options: dict[str, Any]) -> tuple[DatasetCard, list[Remark]]:
    """The card with the user's options in place of its own."""
    found = read_card(path)
    card = found or DatasetCard(name=path.name if path.is_dir() else path.stem)
    try:
        card = DatasetCard.model_validate({**card.model_dump(), **options})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = f"--{str(first['loc'][0]).replace('_', '-')}"
        raise UsageError(f"{option}: {first['msg'].removeprefix('Value error, ')}") from None
    if found:
        return card, []
    text = f"no card: stamps are read as {card.timezone} and as the {card.label} of a bar, volume as {card.volume_unit}"
    return card, [Remark("no card", text, 1)]


def _cut(bars: Bars, known: Mask, path: Path, end: datetime) -> Bars:
    """Bars that have ended by a moment."""
    if not known.any():
        raise DataError(f"{path}: no bar ends by {iso(instant(end))}; the first starts at {iso(bars.stamp.min())}")
    return bars.take(known)
