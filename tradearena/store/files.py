"""Experiment files on disk: where they are, how they are named, locked and opened.

A file is untrusted: it is opened without access to anything outside it, and nothing stored in it is run.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import duckdb
from filelock import FileLock, Timeout

from tradearena import rooms
from tradearena.errors import StoreError, UnknownName, UsageError
from tradearena.store.log import Log

_HARDENED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
}


PATIENCE = 5.0
"""Longest time in seconds to wait for another process, or another thread, that holds a file: a run holds it for each
commit, a reader for as long as it reads. A run waits longer: no reader breaks it."""

Held: TypeAlias = Callable[[float], bool]
"""Asked while another process holds a file, with the seconds waited so far: wait longer?"""

T = TypeVar("T")

_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")


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
    found = {path for folder in rooms.places("replays", home) for path in folder.glob("*.duckdb")}
    return sorted(found, key=lambda path: (path.name, path))


def resolve(name: str | None, home: Path | None) -> Path:
    """The file a user means: a path, a file name in `replays`, or an id; the newest where nothing is named.

    Raises:
        UnknownName: nothing fits.
    """
    known = experiments(home)
    if name is None:
        if not known:
            raise UsageError("no experiment files here yet; make one with `tradearena run`")
        return known[-1]
    if (path := Path(name)).is_file():
        return path
    for path in reversed(known):
        if name in (path.name, path.stem, path.stem.rpartition("-")[2]):
            return path
    raise UnknownName("experiment file", name, [path.name for path in known])


def followed(path: Path) -> Path:
    """Where a link leads: database, log and lock stand beside one another, by the name of the file itself."""
    return path.resolve() if path.is_symlink() else path


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file for reading, hardened: it is attached as `file` to an empty database in memory, so that no macro or
    view stored in it can pass for a function or a table of ours.

    Raises:
        StoreError: it cannot be opened: held by another process, no DuckDB file, damaged, no permission; or what was
            committed to its log cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"{path}: no such file")
    db = _attached(path, path)
    try:
        check(path)
    except BaseException:
        let_go(db)
        raise
    return db


def _attached(place: Path, path: Path) -> duckdb.DuckDBPyConnection:
    """The file at `place`, called `path`."""
    db = confined(place)
    try:
        return patiently(lambda: db.execute(f"ATTACH '{quoted(place)}' AS file (READ_ONLY)"))
    except duckdb.Error as error:
        let_go(db)
        raise StoreError(explain(path, error)) from error


def check(path: Path) -> None:
    """Is all that was committed to the log of a file still in it? DuckDB would open the file without the rest.

    Raises:
        StoreError: it is not.
    """
    try:
        found = Log(path).standing()
    except FileNotFoundError:
        raise gone(path) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not found.sound:
        raise StoreError(_damaged(path, found.loss() or "its entries do not lead to its end"))


def gone(path: Path) -> StoreError:
    """What is said of a file that was there a moment ago."""
    said = "is gone: it was moved or removed during the run; bring it back, or run the same command to begin anew"
    return StoreError(f"{path}: {said}")


def set_aside(path: Path, db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Read on in a copy of a file that `db` has open, and let go of the file: whoever writes it need not wait until all
    has been read. The copy is gone as soon as nobody reads it. Where there is no room for one, the file stays open.

    While `db` has the file open nobody writes it. The logs are copied first: once a process has closed a file that it
    opened a second time, POSIX has forgotten its lock.
    """
    with tempfile.TemporaryDirectory(prefix="tradearena-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "copy.duckdb"
        try:
            for end in (*_LOGS, ""):
                if (source := path.with_name(f"{path.name}{end}")).exists():
                    shutil.copyfile(source, copy.with_name(f"{copy.name}{end}"))
        except OSError:
            return db
        let_go(db)
        return _attached(copy, path)


_roots = WeakKeyDictionary[duckdb.DuckDBPyConnection, tuple[Path, duckdb.DuckDBPyConnection]]()
_spare: dict[Path, duckdb.DuckDBPyConnection] = {}
"""At most one database that nobody uses, and the file that it was made for."""

if hasattr(os, "register_at_fork"):  # whose threads a child would not have, and wait for
    os.register_at_fork(before=_spare.clear)


def aside(path: Path) -> Path:
    """Where a file is made that will take the place of this one."""
    return path.with_name(f"{path.name}.new")


def confined(path: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection of its own to a database in memory that may attach this file and the one `aside`, as `file`, and can
    touch nothing beside them and their logs. It works in as many threads as there are cores, unless it is told in how
    many.

    Attaching a file for a commit and detaching it again costs 4 ms; opening it as a database of its own, 24 ms. To make
    the database costs 15 ms: whoever is done with it lets go of it for the next who opens the same file.
    """
    place = path.absolute()
    root = _spare.pop(place, None) or _database([path, aside(path)])
    db = root.cursor()
    _roots[db] = place, root
    share_out(db, threads)
    return db


def share_out(db: duckdb.DuckDBPyConnection, threads: int | None = None) -> None:
    """From now on work in so many threads, or in as many as there are cores."""
    db.execute("RESET threads" if threads is None else f"SET threads = {threads}")


def lock(db: duckdb.DuckDBPyConnection) -> None:
    """Let nobody change a setting of this database any more, before statements of somebody else run in it."""
    db.execute("SET lock_configuration = true")


def let_go(db: duckdb.DuckDBPyConnection) -> None:
    """Close what `confined` made, with all temporary views, and let go of the file."""
    if held := _roots.pop(db, None):
        place, root = held
        db.close()
        try:
            root.execute("DETACH DATABASE IF EXISTS file")
        except duckdb.Error:
            root.close()
        else:
            _spare.clear()
            _spare[place] = root


def break_off(db: duckdb.DuckDBPyConnection) -> None:
    """Close what `confined` made, and its database, which nobody else may use: it failed, and DuckDB may not let go of
    the file otherwise, or a user may have left something in it."""
    if held := _roots.pop(db, None):
        db.close()
        held[1].close()


def _database(paths: list[Path]) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect()
    listed = ", ".join(f"'{quoted(path)}{end}'" for path in paths for end in ("", *_LOGS))
    db.execute(f"SET allowed_paths = [{listed}]")
    for setting, value in _HARDENED.items():
        db.execute(f"SET {setting} = {value}")
    db.execute("PRAGMA disable_checkpoint_on_shutdown")  # else every detach would rewrite partial row groups
    db.execute("SET checkpoint_threshold = '1TB'")  # nor amid a commit that somebody waits for: a writer says when
    return db


def quoted(path: Path) -> str:
    """A path inside an SQL literal: absolute, since DuckDB reads `a:b` as a kind of database and not as a name."""
    return str(path.absolute()).replace("'", "''")


def for_a_while(waited: float) -> bool:
    """Wait no longer than usual."""
    return waited < PATIENCE


def patiently(attempt: Callable[[], T], held: Held = for_a_while) -> T:
    """Open a file, and where another process holds it try again for as long as `held` says."""
    began = time.monotonic()
    while True:
        try:
            return attempt()
        except duckdb.Error as error:
            if not _held(error) or not held(time.monotonic() - began):
                raise
            time.sleep(0.01)


_HELD = ("Could not set lock", "Unique file handle conflict")
GONE = "is gone: it was moved or removed during the run; bring it back, or run the same command to begin anew"
_FULL = ("No space left", "File too large", "Disk quota exceeded")
_DAMAGED = ("Corrupt", "Could not read enough bytes")


def _held(error: Exception) -> bool:
    """Does another process hold the file, or another thread of this one?"""
    return any(sign in str(error) for sign in _HELD)


def is_full(error: Exception) -> bool:
    """Is there no room on the disk?"""
    return any(sign in str(error) for sign in _FULL)


def explain(path: Path, error: Exception) -> str:
    """One sentence for what DuckDB said of a file."""
    said = str(error).replace(str(path.absolute()), path.name)
    first = said.splitlines()[0]
    if _held(error):
        return f"{path}: another process holds this file open; close it there, then run the same command again"
    if is_full(error):
        return f"{path}: the disk is full; make room and run the same command again: what was committed is kept"
    if any(sign in said for sign in ("No such file", "Not a directory")) and not path.exists():
        return f"{path}: {GONE}"
    if of_log(error):
        return _damaged(path, Log(path).standing().loss() or first)
    if "not a valid DuckDB" in said:
        return f"{path}: not a DuckDB file"
    if any(sign in said for sign in _DAMAGED):
        return f"{path}: the file is damaged ({first}); move it away, and run the same command to make it again"
    return f"{path}: {first}"


def of_log(error: Exception) -> bool:
    """Is it the write-ahead log that DuckDB could not read?"""
    return any(sign in str(error) for sign in ("replaying WAL", "This WAL was created"))


def _damaged(path: Path, loss: str) -> str:
    return (
        f"{path}: its write-ahead log is damaged, the newest steps are in it ({loss}); run the same command again to "
        f"keep what can be read and make the rest again, or move {path.name}.wal* away to read the file as of its last "
        "checkpoint"
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Be the only process that writes this file. The hidden lock file stays: removing it would let two in.

    Raises:
        StoreError: another process is writing, or the folder cannot be written.
    """
    if path.is_dir():
        raise StoreError(f"{path}: is a folder; name a file in it")
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
