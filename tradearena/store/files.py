"""Experiment files on disk: where they are, how they are named, locked and opened.

A file is untrusted: it is opened without access to anything outside it, and nothing stored in it is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from tradearena import rooms
from tradearena.errors import StoreError, UnknownName

_HARDENED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
}


def replays(home: Path | None) -> Path:
    """Folder that new experiment files go to."""
    return rooms.home(home) / "replays"


def find(identity: str, home: Path | None) -> Path | None:
    """The newest experiment file with this id, if there is one."""
    folder = replays(home)
    return max(folder.glob(f"*-{identity}.duckdb"), default=None) if folder.is_dir() else None


def new_path(identity: str, name: str, now: datetime, home: Path | None) -> Path:
    """`replays/<utc time>-<name>-<id>.duckdb`."""
    safe = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-") or "experiment"
    return replays(home) / f"{now:%Y%m%dT%H%M%SZ}-{safe}-{identity}.duckdb"


def experiments(home: Path | None) -> list[Path]:
    """All experiment files in sight, oldest first."""
    return sorted({path for folder in rooms.places("replays", home) for path in folder.glob("*.duckdb")})


def resolve(name: str, home: Path | None) -> Path:
    """The file a user means: a path, a file name in `replays`, or an id.

    Raises:
        UnknownName: nothing fits.
    """
    if (path := Path(name)).is_file():
        return path
    known = experiments(home)
    for path in reversed(known):
        if name in (path.name, path.stem, path.stem.rpartition("-")[2]):
            return path
    raise UnknownName("experiment file", name, [path.name for path in known])


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file for reading, hardened.

    Raises:
        StoreError: it cannot be opened: held by another process, no DuckDB file, damaged, no permission.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file")
    try:
        return duckdb.connect(str(path), read_only=True, config={**_HARDENED, "lock_configuration": "true"})
    except duckdb.Error as error:
        raise StoreError(explain(path, error)) from error


def confined(paths: list[Path]) -> duckdb.DuckDBPyConnection:
    """A database in memory that may attach these files, and can touch nothing beside them and their logs.

    Attaching a file for a commit and detaching it again costs 4 ms; opening it as a database of its own, 24 ms.
    """
    db = duckdb.connect()
    ends = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
    listed = ", ".join(f"'{quoted(path)}{end}'" for path in paths for end in ends)
    db.execute(f"SET allowed_paths = [{listed}]")
    for setting, value in _HARDENED.items():
        db.execute(f"SET {setting} = {value}")
    db.execute("PRAGMA disable_checkpoint_on_shutdown")  # else every detach would rewrite partial row groups
    db.execute("SET lock_configuration = true")
    return db


def quoted(path: Path) -> str:
    """A path inside an SQL literal."""
    return str(path).replace("'", "''")


def explain(path: Path, error: Exception) -> str:
    """One sentence for what DuckDB said of a file."""
    said = str(error).splitlines()[0]
    if "Could not set lock" in said:
        return f"{path}: another process is writing this file; wait for it, or use --out for a file of your own"
    if "WAL" in str(error):
        return (
            f"{path}: its write-ahead log is damaged, the newest steps are in it ({said}); move {path.name}.wal away "
            "to open the file as of its last checkpoint, then run the same command to make the rest again"
        )
    if "not a valid DuckDB" in said or "magic bytes" in str(error):
        return f"{path}: not a DuckDB file"
    if "space" in said.lower():
        return f"{path}: the disk is full; make room and run the same command again: what was committed is kept"
    return f"{path}: {said}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Be the only process that writes this file. The hidden lock file stays: removing it would let two in.

    Raises:
        StoreError: another process is writing, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"{path}: another run is writing this file; wait for it, or use --out") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from None
    with lock:
        yield
