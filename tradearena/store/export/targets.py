"""Where an export goes: paths come in, places aside to write to go out, which take their names when all is written."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

from tradearena.errors import StoreError, UsageError
from tradearena.store.files import is_full


@contextmanager
def aside(targets: Mapping[str, Path], folders: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Places to write the targets to, by the same names; of those in `folders` the place is a folder. Where all goes
    well they take the targets' names, else they are gone. One that is killed leaves hidden folders `.NAME.*` behind.

    Raises:
        UsageError: a target is there already and not empty, or one would lie in another.
        StoreError: a place cannot be written.
    """
    for name, path in targets.items():
        _refuse(path, folder=name in folders)
    for one, other in permutations(targets.values(), 2):
        if one.resolve().is_relative_to(other.resolve()):
            raise UsageError(f"{one} would lie in {other}, which is written as well; give each a place of its own")
    made: list[Path] = []
    try:
        places = {}
        for name, path in targets.items():
            with explained(path):
                parent = path.absolute().parent
                try:
                    parent.mkdir(parents=True, exist_ok=True)
                except FileExistsError:
                    raise NotADirectoryError(errno.ENOTDIR, "not in a folder") from None
                made.append(Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent)))
                places[name] = made[-1] / path.name
                if name in folders:
                    places[name].mkdir()
        yield places
        for name, path in targets.items():
            with explained(path):
                os.replace(places[name], path)
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What goes wrong while something is written for this target is one sentence.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: Exception) -> StoreError:
    """What to say of a target that cannot be written."""
    if is_full(error):
        return StoreError(f"{path}: the disk is full; make room and export again: nothing was left of this export")
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
    return StoreError(f"{path}: cannot be written: {said}")


def _refuse(path: Path, *, folder: bool) -> None:
    """Nothing that is there is written over."""
    kind = "folder" if folder else "file"
    with explained(path):
        if not path.name:
            raise UsageError(f"'{path}' names no {kind} to make")
        if not (path.exists() or path.is_symlink()):
            return
        fits = path.is_dir() if folder else path.is_file()
        empty = fits and not (any(path.iterdir()) if folder else path.stat().st_size)
    if not empty:
        raise UsageError(f"{path} is there already; choose another {kind}, or remove it first")
