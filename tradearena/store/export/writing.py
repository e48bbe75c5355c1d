"""One export: an experiment file and what is wanted of it come in; folders and files, and what is in them, go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from tradearena.errors import StoreError
from tradearena.store.export.chapter import Chapter, Format
from tradearena.store.export.chats import Chats
from tradearena.store.export.nested import Steps
from tradearena.store.export.spans import Spans
from tradearena.store.export.tables import Csv, Parquet
from tradearena.store.export.targets import aside, explained
from tradearena.store.reader import Reader

FOLDERS = ("parquet", "csv")
"""Formats that are a folder; the others are a file."""


def export(
    path: Path, targets: Mapping[str, Path], *, episode: str | None = None, every_reply: bool = False
) -> dict[str, dict[str, int]]:
    """Write an experiment file in some formats: all of them or none.

    Args:
        path: the experiment file.
        targets: where to, by format: parquet, csv, jsonl, otel, sft.
        episode: the id of one episode, its beginning, or the newest of an agent; all of them by default.
        every_reply: the format sft holds replies that were not ok as well.

    Returns:
        What was written, by format: how many rows, by the names of its parts.

    Raises:
        UsageError: a target is there already, or one would lie in another.
        UnknownName: there is no such episode.
        StoreError: the file cannot be read, or a target not written.
    """
    with Reader(path) as reader, aside(targets, FOLDERS) as places:
        rows = reader.episodes() if episode is None else [reader.episode(episode)]
        if not rows:
            raise StoreError(f"{path}: holds no episode yet")
        made: dict[str, Callable[[], Format]] = {
            "parquet": lambda: Parquet(reader, places["parquet"], targets["parquet"]),
            "csv": lambda: Csv(reader, places["csv"]),
            "jsonl": lambda: Steps(places["jsonl"]),
            "otel": lambda: Spans(places["otel"]),
            "sft": lambda: Chats(places["sft"], every=every_reply),
        }
        formats: dict[str, Format] = {}
        with ExitStack() as open_files:
            for name, target in targets.items():
                with explained(target):
                    formats[name] = open_files.enter_context(closing(made[name]()))
            for row in rows:
                chapter = Chapter(reader, row)
                for name, each in formats.items():
                    with explained(targets[name]):
                        each.add(chapter)
            for name, each in formats.items():
                with explained(targets[name]):
                    each.close()  # what is still in memory goes to the disk: here it may be full
        return {name: each.rows for name, each in formats.items()}
