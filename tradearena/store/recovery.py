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
    and what is kept, or None where nothing is damaged. For the one process that writes the file.

    Raises:
        StoreError: the file cannot be read or written, or is damaged itself.
    """
    log = Log(path)
    try:
        found = log.standing()
        if found.sound and _opens(path):
            return None
        whole = log.file.read_bytes() if log.file.exists() else b""
        kept_as = _put_aside(log, whole)
        ends = [each.length for each in found.kept] if found.kept or found.lost else ends_of(whole)
        for end in (*reversed(ends), 0):
            if end and not found.kept and not log.consistent(whole[:end]):
                continue
            _cut(log, whole[:end])
            log.keep([each for each in found.kept if each.length <= end])
            if end == 0 or _opens(path):
                break
    except OSError as error:
        raise StoreError(f"{path}: its log is damaged and cannot be mended: {error.strerror or error}") from None
    gone = sum(each > end for each in ends)
    loss = found.loss() or (
        f"{gone} of {len(ends)} commits in it cannot be read" if gone else "no whole commit is lost"
    )
    aside = f"; what was there is kept as {kept_as.name}" if kept_as else ""
    return (
        f"{path}: its write-ahead log was damaged: {loss}; on file are {_on_file(path)}; the rest is made again{aside}"
    )


def _opens(path: Path) -> bool:
    """Does DuckDB take the file with its log?

    Raises:
        StoreError: it does not, and not because of the log.
    """
    db = files.confined([path])
    try:
        files.patiently(lambda: db.execute(f"ATTACH '{files.quoted(path)}' AS file (READ_ONLY)"))
    except duckdb.Error as error:
        if not files.of_log(error):
            raise StoreError(files.explain(path, error)) from error
        return False
    finally:
        db.close()
    return True


def _put_aside(log: Log, whole: bytes) -> Path | None:
    """A copy of a damaged log, under a name that is free."""
    if not whole:
        return None
    number, name = 1, f"{log.file.name}.damaged"
    while (copy := log.file.with_name(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    _write(copy, whole)
    return copy


def _cut(log: Log, kept: bytes) -> None:
    """Let this be all that is in the log, at once."""
    if not kept:
        log.file.unlink(missing_ok=True)
        return
    aside = log.file.with_name(f"{log.file.name}.new")
    _write(aside, kept)
    os.replace(aside, log.file)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _on_file(path: Path) -> str:
    """How many steps a file has, and of which episodes."""
    db = files.connect(path)
    try:
        found = db.execute("SELECT episode, count(*) FROM file.main.step GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    except duckdb.Error as error:
        raise StoreError(files.explain(path, error)) from error
    finally:
        db.close()
    if not found:
        return "no steps"
    named = ", ".join(f"{count} of {episode}" for episode, count in found[:SHOWN])
    more = f" and more of {len(found) - SHOWN} others" if len(found) > SHOWN else ""
    return f"{sum(count for _, count in found)} steps ({named}{more})"
