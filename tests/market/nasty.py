"""The fifteen nasty files: each case writes its input as CSV where it is JSON, imports it, and says what came of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from tradearena.cli.data import app
from tradearena.errors import TradeArenaError

KEYS = {
    "open": ("1. buy price", "1. open"),
    "high": ("2. high",),
    "low": ("3. low",),
    "close": ("4. sell price", "4. close"),
    "volume": ("5. volume",),
}

SHANGHAI = ("--timezone", "Asia/Shanghai")
NEW_YORK = ("--timezone", "America/New_York")
LOTS = ("--label", "end", "--volume-unit", "lots of 100", *SHANGHAI)
HEADER = "| input | `data import` | exit |"


def cells(source: Path) -> dict[str, list[str]]:
    """A vendor's JSON as it stands: stamp -> open, high, low, close, volume; what is not there is empty."""
    text = source.read_text()
    record = json.loads(text.splitlines()[0] if source.suffix == ".jsonl" else text)
    series = next(value for key, value in record.items() if key.startswith("Time Series"))
    return {
        stamp: [next((str(bar[key]) for key in keys if key in bar), "") for keys in KEYS.values()]
        for stamp, bar in series.items()
    }


def write(rows: dict[str, list[str]], path: Path, symbol: str | None = None) -> Path:
    """Cells as a CSV file of one symbol, in the order they stand in."""
    own = "" if symbol is None else f"{symbol},"
    lines = [f"timestamp,{'' if symbol is None else 'symbol,'}{','.join(KEYS)}"]
    lines += (f"{stamp},{own}" + ",".join(f'"{cell}"' for cell in row) for stamp, row in rows.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def _as_it_is(folder: Path, target: Path, *names: str) -> Path:
    for name in names:
        target.mkdir(exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    return target / names[0] if len(names) == 1 else target


def _as_csv(folder: Path, target: Path, name: str) -> Path:
    return write(cells(folder / name), target / f"{Path(name).stem}.csv")


def _ledger(folder: Path, target: Path, name: str) -> Path:
    """Positions, not bars: one column for each key."""
    records = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    lines = ["date,id,action,symbol,amount,positions"]
    for record in records:
        held = json.dumps(record["positions"]).replace('"', '""')
        action = (str(x) for x in record["this_action"].values())
        lines.append(f'{record["date"]},{record["id"]},{",".join(action)},"{held}"')
    path = target / f"{Path(name).stem}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _both_copies(folder: Path, target: Path, *names: str) -> Path:
    for name in names:
        write(cells(folder / name), target / "both" / f"{Path(name).stem}.csv", "ORLY")
    return target / "both"


def _lots_then_shares(folder: Path, target: Path, hourly: str, daily: str) -> Path:
    """The hours in lots, those of the last day in shares, which are that day's total in the daily file."""
    rows = cells(folder / hourly)
    day, (*_, total) = list(cells(folder / daily).items())[-1]
    last = {stamp: row for stamp, row in rows.items() if stamp.startswith(day)}
    shares = {stamp: [*row[:4], str(100 * int(row[4]))] for stamp, row in last.items()}
    assert abs(sum(int(row[4]) for row in shares.values()) / int(total) - 1) < 1e-5
    return write(rows | shares, target / "lots_then_shares.csv")


class Case(NamedTuple):
    """Which files, how they become an input, and the options of the command."""

    made: Callable[..., Path]
    names: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        options = " ".join(f"'{option}'" if " " in option else option for option in self.options)
        joined = " + ".join(f"`{name}`" for name in self.names)
        return f"{joined}{', one series' if self.made is _lots_then_shares else ''}{f' `{options}`' if options else ''}"

    def outcome(self, folder: Path, target: Path) -> tuple[str, int]:
        """What import says, in short, and its exit code."""
        path = self.made(folder, target, *self.names)
        arguments = ["import", str(path), "made", "--out", str(target / "made"), "--json", *self.options]
        answer = CliRunner().invoke(app, arguments)
        if isinstance(answer.exception, TradeArenaError):
            said = re.sub(rf"{re.escape(str(target))}/(both/)?", "", str(answer.exception))
            return f"error: {said.partition('; the columns are')[0]}", answer.exception.exit_code
        assert answer.exception is None
        return _in_short(json.loads(answer.stdout), (target / "made" / "card.toml").read_text()), 0


def _in_short(found: dict[str, Any], card: str) -> str:
    """Corrections by rule, then remarks; that there was no card is left out, since none has one."""
    said = []
    for rule in found["corrections"]:
        counts = (f"{rule[what]} {what}" for what in ("corrected", "dropped") if rule[what])
        said.append(f"{rule['rule']}: {', '.join(counts)}")
    assert ("adjusted = false" in card) == any("adjusted = false" in text for text in found["warnings"])
    remarks = [text for text in found["warnings"] if not text.startswith("no card")]
    said += (re.sub(r", first (after \d|/).*", "", text) for text in remarks)
    return "; ".join(said) or "nothing"


CASES = (
    Case(_as_csv, ("bar_bad_low_afterhours_AAPL_1h.jsonl",), NEW_YORK),
    Case(_as_csv, ("bar_last_open_only_AAPL_daily.jsonl",)),
    Case(_as_it_is, ("calendar_mismatch_BTC-USD_daily.csv", "calendar_mismatch_KRE_daily.csv")),
    Case(_as_it_is, ("degenerate_effective_rank.csv",)),
    Case(_as_it_is, ("dst_shift_AAPL_1h.csv",)),
    Case(_as_it_is, ("dst_shift_AAPL_1h.csv",), NEW_YORK),
    Case(_as_csv, ("gaps_DOT_1h_gappy.jsonl",)),
    Case(_as_it_is, ("partial_last_bar_AAPL_1h.csv",)),
    Case(_ledger, ("position_dup_ids_crypto_claude.jsonl",)),
    Case(_as_csv, ("price_thousands_separator_600519.json",)),
    Case(_as_csv, ("split_adjusted_ORLY_daily.jsonl",)),
    Case(_as_csv, ("split_unadjusted_ORLY_daily.jsonl",)),
    Case(_both_copies, ("split_adjusted_ORLY_daily.jsonl", "split_unadjusted_ORLY_daily.jsonl")),
    Case(_as_csv, ("volume_units_600028_daily_shares.jsonl",), SHANGHAI),
    Case(_as_csv, ("volume_units_600028_hourly_lots.jsonl",), LOTS),
    Case(
        _lots_then_shares, ("volume_units_600028_hourly_lots.jsonl", "volume_units_600028_daily_shares.jsonl"), SHANGHAI
    ),
    Case(_as_it_is, ("zero_volume_GSPC_daily.csv",)),
)


def table(folder: Path, target: Path) -> str:
    """The table of docs/data.md."""
    rows = [HEADER, "|---|---|---|"]
    for k, case in enumerate(CASES):
        (target / str(k)).mkdir(parents=True)
        says, code = case.outcome(folder, target / str(k))
        rows.append(f"| {case.title} | {says.replace('|', chr(92) + '|')} | {code} |")
    return "\n".join(rows)
