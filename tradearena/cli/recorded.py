"""`tradearena compare FILE...`: what files on record say, and nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def compare_files(names: Sequence[str], home: Path | None, *, words: bool, json: bool, quiet: bool) -> None:
    """Compare the modes of all episodes in these files."""
    from tradearena.analysis.cells import cells
    from tradearena.analysis.comparison import compare, said_of
    from tradearena.cli import grid, report
    from tradearena.cli.contrasts import print_contrasts
    from tradearena.store.files import resolve
    from tradearena.store.reader import Reader

    paths = [resolve(name, home) for name in names]
    made, episodes = compare((path, None) for path in paths), []
    for path in paths:
        with Reader(path) as reader:
            found = report.summaries(reader, reader.episodes())
        episodes += [{"experiment": str(path), **each} for each in found]
    said = {
        "experiments": [str(path) for path in paths],
        "episodes": episodes,
        "cells": cells(episodes),
        "baselines": [],
        **said_of(made),
    }
    if not json and not quiet:
        if not made.forked:
            grid.print_cells(said, f"{len(paths)} file{'' if len(paths) == 1 else 's'} on record", "over n episodes")
        print_contrasts(made, words=words)
    report.conclude(said, report.nothing_valid(episodes), json=json)
