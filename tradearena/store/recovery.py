"""Recovery of a damaged write-ahead log: a file comes in, the same one with as much of its log as can be read goes out,
and the damaged log beside it."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from tradearena.errors import StoreError
from tradearena.store import files
from tradearena.store.log import Log, ends_of

SHOWN = 4
"""Episodes that are listed by name."""


def mend(path: Path) -> str | None:
    """Cut a damaged log after the last commit that can be read, so that a run can go on from there; says what was lost
    and what is kept, or None where nothing is damaged. A log whose file is gone is put aside: it would be taken for
    that of the next file of this name. For the one process that writes the file.

    Raises:
        StoreError: the file cannot be read or written, or is damaged itself.
    """
    log = Log(path)
    try:
        if not path.exists():
            return _without_its_file(log)
        opens, found = _opens(path), log.standing()
        if opens and found.sound:
            if not log.file.exists():
                log.folded()  # the run before was killed ahead of this
            return None
        whole, kept_as = log.file.read_bytes() if log.file.exists() else b"", _aside(log)
        _write(kept_as, whole)
        ends = [each.length for each in found.kept] if found.kept or found.lost else ends_of(whole)
        for end in (*reversed(ends), 0):
            if end and not found.kept and not log.consistent(whole[:end]):
                continue
            _write(log.file, whole[:end])
            log.keep([each for each in found.kept if each.length <= end])
            if end == 0 or _opens(path):
                break
    except OSError as error:
        raise StoreError(f"{path}: its log is damaged and cannot be mended: {error.strerror or error}") from None
    gone = sum(each > end for each in ends)
    loss = found.loss() or (
        f"{gone} of {len(ends)} commits in it cannot be read" if gone else "no whole commit is lost"
    )
    aside = f"; what was there is kept as {kept_as.name}" if whole else ""
    return (
        f"{path}: its write-ahead log was damaged: {loss}; on file are {_on_file(path)}; the rest is made again{aside}"
    )


def _without_its_file(log: Log) -> str | None:
    """A log whose file is gone, out of the way."""
    if not log.file.exists():
        return None
    kept_as = _aside(log)
    os.rename(log.file, kept_as)
    return f"{log.path}: is gone, and its write-ahead log alone is no file; the log is kept as {kept_as.name}"


def _opens(path: Path) -> bool:
    """Does DuckDB take the file with its log?

    Raises:
        StoreError: it does not, and not because of the log.
    """
    db = files.confined(path)
    try:
        files.patiently(lambda: db.execute(f"ATTACH '{files.quoted(path)}' AS file (READ_ONLY)"))
    except duckdb.Error as error:
        if not files.of_log(error):
            raise StoreError(files.explain(path, error)) from error
        return False
    finally:
        files.let_go(db)
    return True


def _aside(log: Log) -> Path:
    """A name for a log that is put aside: one that is free."""
    number, name = 1, f"{log.file.name}.damaged"
    while (path := log.file.with_name(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path


def _write(path: Path, content: bytes) -> None:
    """All of it at once; nothing is no file."""
    if not content:
        path.unlink(missing_ok=True)
        return
    aside = path.with_name(f"{path.name}.new")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _on_file(path: Path) -> str:
    """How many steps a file has, and of which episodes."""
    db = files.connect(path)
    try:
        found = db.execute("SELECT episode, count(*) FROM file.main.step GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    except duckdb.Error as error:
        raise StoreError(files.explain(path, error)) from error
    finally:
        files.let_go(db)
    if not found:
        return "no steps"
    named = ", ".join(f"{count} of {episode}" for episode, count in found[:SHOWN])
    more = f" and more of {len(found) - SHOWN} others" if len(found) > SHOWN else ""
    return f"{sum(count for _, count in found)} steps ({named}{more})"
