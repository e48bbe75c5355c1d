"""Cleans bars for good: files and their card come in; corrected bars, a card that says all of it, and the list of what
was corrected or dropped go out.

The rules are those of an opened dataset, made ready in steps: cells and stamps are read leniently, the sieves drop what
is no bar, the hard rules refuse, and then the mends are applied until they find nothing more. So an import of what
was imported changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from tradearena.errors import DataError, UsageError
from tradearena.market import checks, prints, units, zones
from tradearena.market.bars import FIELDS, Bars, Remark
from tradearena.market.calendar import lay_out, spans
from tradearena.market.card import DatasetCard
from tradearena.market.corrections import Correction, Mend, Rule, as_csv, correction, lines, mended, number
from tradearena.market.dataset import CORRECTIONS, card_in_force, files_of, read_card
from tradearena.market.reading import Cell, read
from tradearena.market.remarks import look
from tradearena.market.writing import card_text, new_folder
from tradearena.panel import Panel

FEW = 8
"""Up to so many source files are named on the card, each with its SHA-256; of more, the SHA-256 of their list."""


def _dropping(sieve: checks.Sieve) -> Rule:
    """A sieve as a rule that mends."""

    def rule(bars: Bars, step: np.timedelta64) -> Mend:
        return Mend(sieve.rule, sieve.says, np.flatnonzero(~sieve.keeps(bars, step)))

    return rule


SIEVES: tuple[Rule, ...] = tuple(map(_dropping, checks.SIEVES))

MENDS: tuple[Rule, ...] = (units.prices, units.volumes, prints.wicks, prints.spikes, *SIEVES)
"""What may be mended in bars that break no hard rule, in this order: a unit that is wrong for one bar is no spike."""


@dataclass(frozen=True, slots=True)
class Import:
    """Bars after all corrections, their card and panel; `corrections` in the order in which they were made."""

    card: DatasetCard
    bars: Bars
    panel: Panel
    corrections: tuple[Correction, ...]
    warnings: tuple[Remark, ...]


def clean(path: Path, name: str, options: dict[str, str]) -> Import:
    """Read a folder or file of bars and correct what can be corrected surely. `options` stand above its card.

    Raises:
        UsageError: an option that no card could hold.
        CardError: a card that cannot be read.
        DataError: bars that cannot be trusted and cannot be corrected; names file, line, symbol and rule.
    """
    card, said = card_in_force(path, options)
    own = read_card(path)
    stated = "timezone" in options or (own is not None and "timezone" in own.model_fields_set)
    bars, remarks, cells, offsets = read(files_of(path), card.zone, lenient=True)
    if not len(bars):
        raise DataError(f"{path}: there are no bars in it")
    if card.volume_unit == "none":
        bars.values[:, 4] = np.inf
    made = _ungrouped(bars, cells) + zones.mixed(bars, card.zone, stated=stated)
    bars, settled = zones.settled(bars, card.zone)
    card = card.model_copy(update={"frequency": card.frequency or checks.frequency(bars)})
    bars, dropped = mended(bars, SIEVES, card.step)
    checks.refuse(bars)
    checks.one_length(bars, card.step)
    made += settled + dropped
    while True:
        bars, more = mended(bars, MENDS, card.step)
        if not more:
            break
        made += more
    said += [remark for remark in remarks if remark.rule != "daylight saving"]
    said += zones.remarks(bars, card, offsets)
    said += [remark for remark in (units.undecided(bars),) if remark.count]
    return _laid_out(path, name, card, bars, made, said)


def _laid_out(
    path: Path,
    name: str,
    card: DatasetCard,
    bars: Bars,
    made: list[Correction],
    said: list[Remark],
) -> Import:
    """The card says what was found, and the bars are laid on their calendar as they will be when they are opened."""
    looked = [*said, *look(bars, card)]
    if split := card.adjusted and any(remark.rule == "suspected splits" for remark in looked):
        text = "splits are suspected, so that the card says adjusted = false; if there are none, say true there"
        looked.append(Remark("unadjusted", text, 1))
    told = {
        "name": name,
        "adjusted": card.adjusted and not split,
        "calendar": card.calendar or "intersection",
        "volume_unit": card.volume_unit if np.isfinite(bars.values[:, 4]).any() else "none",
        "description": "; ".join(filter(None, (card.description, _provenance(bars.files, len(made))))),
    }
    card = card.model_copy(update=told)
    panel, laid = lay_out(bars, *spans(bars, card), card, path)
    return Import(card, bars, panel, tuple(made), (*looked, *laid))


def _ungrouped(bars: Bars, cells: Sequence[Cell]) -> list[Correction]:
    """Numbers that had thousands separators."""
    if not cells:
        return []
    at = {(int(f), int(r), int(s)): i for i, (f, r, s) in enumerate(zip(bars.file, bars.row, bars.symbol, strict=True))}
    symbols = {name: k for k, name in enumerate(bars.symbols)}
    made = []
    for cell in cells:
        i = at.get((cell.file, cell.row, symbols[cell.symbol]))
        if i is None:  # a volume beside no price: there is no bar
            continue
        read_as = number(float(cell.text.replace(",", "")))
        why = "commas between groups of three digits"
        made.append(correction(bars, i, "thousands separator", cell.field, cell.text.strip(), read_as, why))
    return made


def refuse_corrections(found: Import) -> None:
    """For those who want clean bars or none.

    Raises:
        DataError: something would be corrected or dropped; names the first and says how many there are.
    """
    if not found.corrections:
        return
    first, count = found.corrections[0], len(found.corrections)
    place = f"{first.file}, {'line' if first.file.suffix.lower() == '.csv' else 'row'} {lines([first])[0]}"
    what = "the bar would be dropped" if first.dropped else f"{first.field} {first.before} would become {first.after}"
    more = f"; it is the first of {count}" if count > 1 else ""
    advice = "correct the source, or leave out --strict"
    raise DataError(f"{place}, {first.symbol} at {first.time}: {first.rule}: {what} ({first.why}){more}; {advice}")


def write_import(found: Import, folder: Path) -> Path:
    """Write bars, card and the list of corrections into a new folder; interrupted, nothing of it stays.

    Raises:
        UsageError: the folder is there already, or cannot be made.
    """
    try:
        with new_folder(folder) as written:
            (written / "card.toml").write_text(card_text(found.card), encoding="utf-8")
            (written / CORRECTIONS).write_text(as_csv(found.corrections), encoding="utf-8")
            capped = np.isfinite(found.bars.values[:, 4])
            for stem, own in (("bars", capped), ("bars_without_volume", ~capped)):
                if own.any():
                    alone = "bars" if not capped.any() else stem
                    _write_bars(found.bars.take(own), written / f"{alone}.parquet", volume=stem == "bars")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}; choose another place") from None
    return folder


def _write_bars(bars: Bars, path: Path, *, volume: bool) -> None:
    """Long Parquet, zstd, stamps in UTC: `timestamp, symbol, open, high, low, close, volume`, by symbol and time."""
    fields = FIELDS if volume else FIELDS[:4]
    columns = {
        "timestamp": bars.stamp,
        "symbol": np.array(bars.symbols, dtype=object)[bars.symbol],
        **{name: np.ascontiguousarray(bars.values[:, k]) for k, name in enumerate(fields)},
    }
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("bars", columns)
        selected = "SELECT timestamp AT TIME ZONE 'UTC' AS timestamp, * EXCLUDE (timestamp) FROM bars"
        con.sql(selected).write_parquet(str(path), compression="zstd")


def _provenance(files: Iterable[Path], corrections: int) -> str:
    """Which files were imported, by name and SHA-256."""
    digests = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    if len(digests) > FEW:
        listed = "".join(f"{digest}  {name}\n" for name, digest in digests)
        sources = f"{len(digests)} files (sha256 of their sha256sum list {hashlib.sha256(listed.encode()).hexdigest()})"
    else:
        sources = ", ".join(f"{name} (sha256 {digest})" for name, digest in digests)
    return f"imported from {sources}, {corrections} corrections"
