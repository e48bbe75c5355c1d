"""Frames as Parquet and CSV: episodes come in, a file for each frame (and for Parquet each episode) goes out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

import duckdb

from tradearena.store.export.chapter import Chapter, iso, line, plain
from tradearena.store.export.targets import unwritten
from tradearena.store.fields import FRAMES, Field, columns_of
from tradearena.store.files import quoted
from tradearena.store.frames import frame
from tradearena.store.reader import Reader

if TYPE_CHECKING:
    import pandas as pd

_PARQUET = {"TIMESTAMP": "TIMESTAMPTZ", "JSON": "VARCHAR", "HEX": "VARCHAR"}


def _set_up(reader: Reader, folder: Path) -> None:
    """The set-up of the experiment."""
    (folder / "experiment.json").write_text(line(plain(dataclasses.asdict(reader.experiment()))), encoding="ascii")


def _flat(found: pd.DataFrame, fields: tuple[Field, ...]) -> pd.DataFrame:
    """A frame whose values are no dicts or lists."""
    parsed = {f.name: [json.dumps(plain(v)) for v in found[f.name]] for f in fields if f.type == "JSON"}
    return found.assign(**parsed) if parsed else found


class Parquet:
    """A folder per frame, in it one per episode, as Hive lays them out: `steps/episode=ID/part.parquet`. The episode is
    in the path alone. It is written by a database of its own, which never sees the experiment file."""

    def __init__(self, reader: Reader, folder: Path, target: Path) -> None:
        self.folder, self.target = folder, target
        self.rows = dict.fromkeys(FRAMES, 0)
        self._db = duckdb.connect()
        _set_up(reader, folder)
        self._write("bars", "bars", frame(reader, "bars", []))

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        for name, spec in FRAMES.items():
            if spec.keyed:  # an id comes out of a file that anybody may have written: it stays one part of a path
                self._write(name, f"{name}/episode={quote(chapter.row.id, safe='')}", chapter.frame(name))

    def close(self) -> None:
        """Nothing more comes."""
        self._db.close()

    def _write(self, name: str, place: str, found: pd.DataFrame) -> None:
        folder = self.folder / place
        folder.mkdir(parents=True, exist_ok=True)
        fields = columns_of(name)
        columns = [f'"{f.name}"::{_PARQUET.get(f.type, f.type)} AS "{f.name}"' for f in fields if f.name != "episode"]
        self._db.register("found", _flat(found, fields))
        file = quoted(folder / "part.parquet")
        try:
            self._db.execute(f"COPY (SELECT {', '.join(columns)} FROM found) TO '{file}' (FORMAT parquet, CODEC zstd)")
        except duckdb.IOException as error:
            raise unwritten(self.target, error) from error
        self._db.unregister("found")
        self.rows[name] += len(found)


class Csv:
    """A file per frame, with all its episodes: `steps.csv`. What is missing is empty, times are ISO-8601 with Z."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.rows = dict.fromkeys(FRAMES, 0)
        self._files: dict[str, TextIO] = {
            name: (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") for name in FRAMES
        }
        _set_up(reader, folder)
        self._write("bars", frame(reader, "bars", []))

    def add(self, chapter: Chapter) -> None:
        """Write an episode."""
        for name, spec in FRAMES.items():
            if spec.keyed:
                self._write(name, chapter.frame(name))

    def close(self) -> None:
        """Nothing more comes."""
        for file in self._files.values():
            file.close()

    def _write(self, name: str, found: pd.DataFrame) -> None:
        fields = columns_of(name)
        times: dict[str, list[Any]] = {
            f.name: [
                iso(None if gone else time) for time, gone in zip(found[f.name], found[f.name].isna(), strict=True)
            ]
            for f in fields
            if f.type == "TIMESTAMP"
        }
        flat = _flat(found, fields).assign(**times)
        flat.to_csv(self._files[name], index=False, header=self._files[name].tell() == 0, lineterminator="\n")
        self.rows[name] += len(found)
