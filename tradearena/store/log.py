"""The write-ahead log of an experiment file, and the note beside it: commits come in as they are made, and what of them
can still be read goes out.

DuckDB takes a log that breaks off for one whose last commit was not finished, and passes over the rest of it without a
word. A damaged length in front of an entry looks the same, as do most damages of its first 40 bytes, which have no
checksum, and a log that was cut; and the checksum of an entry, an XOR over eight bytes at a time, does not see an even
number of equal ones turn to zeros. So `NAME.duckdb.wal.commits` says after each commit how long the log is and what its
bytes come to. What is in the log beyond the last line was not finished when the run was killed, or nobody was told that
it was. Without a note, as beside a file that was copied alone, the log itself is looked at: whatever is followed by a
whole commit was meant to be whole.
"""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_HEADS = 3 * 4096
"""Bytes of a file that each checkpoint changes: it makes a log, and what was noted of it, a thing of the past."""

_NAME, _COUNTS = 124, (4096 + 8, 8192 + 8)
"""Where the head of a file says which file it is, in 16 bytes, and which checkpoint was its last, in the greater one of
two numbers. The head of a log says both again."""

_COMMITTED = re.compile(rb"\xe7\xfe\x7d\x72\x2f\xed\x3d\x5ed\0d\xff\xff")
_CHECKPOINTED = re.compile(rb"\0{6}.{8}d\0c", re.DOTALL)
"""Entries of a log: length in 8 bytes, checksum in 8, kind and the rest. A commit ends with the first one, of which the
length, that may be damaged in silence, is left out; a checkpoint begins with the second."""


class Commit(NamedTuple):
    """One commit: length of the log and checksum of all of it after this one, and what came with it."""

    length: int
    sum: int
    steps: int
    calls: int


class Standing(NamedTuple):
    """What of the commits in a log can be read, and what cannot. `sound`: nothing is amiss, as far as can be told."""

    kept: list[Commit]
    lost: list[Commit]
    sound: bool

    def loss(self) -> str:
        """What cannot be read, in words; "" where that is not known."""
        if not self.lost:
            return ""
        steps, calls = (sum(getattr(each, name) for each in self.lost) for name in ("steps", "calls"))
        paid = f" and {calls} requests to models" if calls else ""
        of = len(self.lost) + len(self.kept)
        return f"{len(self.lost)} of {of} commits in it, with {steps} steps{paid}, cannot be read"


class Log:
    """The log of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.with_name(f"{path.name}.wal")
        self.note = path.with_name(f"{path.name}.wal.commits")
        self._head = self._length = self._sum = 0

    def committed(self, steps: int, calls: int) -> None:
        """Note a commit: while the file is held. What cannot be noted, on a full disk, is not: it is only a note."""
        with suppress(OSError):
            head = self._heads()
            if head != self._head:
                self._head, self._length, self._sum = head, 0, 0
            with self.file.open("rb") as log:
                log.seek(self._length)
                new = log.read()
            self._length, self._sum = self._length + len(new), zlib.crc32(new, self._sum)
            self._add(Commit(self._length, self._sum, steps, calls))

    def folded(self) -> None:
        """The log was folded into the file: what was noted is past."""
        self.note.unlink(missing_ok=True)

    def standing(self) -> Standing:
        """What can be read: while the file is held, or by the one process that writes it."""
        try:
            log = self.file.read_bytes()
        except FileNotFoundError:
            log = b""
        noted = self.noted()
        if not noted:
            return Standing([], [], not log or self.consistent(log))
        kept, seen, total, view = 0, 0, 0, memoryview(log)
        for commit in noted:
            total, seen = zlib.crc32(view[seen : commit.length], total), commit.length
            if len(log) < seen or total != commit.sum:
                break
            kept += 1
        return Standing(noted[:kept], noted[kept:], kept == len(noted))

    def noted(self) -> list[Commit]:
        """The commits that were noted since the last checkpoint. A line that is not whole says nothing."""
        try:
            lines, head = self.note.read_text(encoding="ascii", errors="replace").split("\n"), self._heads()
        except FileNotFoundError:
            return []
        return [Commit(*numbers[1:-1]) for line in lines if (numbers := _numbers(line)) and numbers[0] == head]

    def keep(self, commits: list[Commit]) -> None:
        """Note these alone."""
        self.note.unlink(missing_ok=True)
        self._head = self._heads()
        for each in commits:
            self._add(each)

    def consistent(self, log: bytes) -> bool:
        """Do the bytes of a log lead from its head to the end of its last commit, entry by entry?"""
        ends = ends_of(log)
        count, place = self._begin(log)
        if place and count < self._checkpoints() and _CHECKPOINTED.search(log):
            return True  # a checkpoint was killed between its last two acts: all of it is in the file
        if not place or count != self._checkpoints():
            return not ends
        while ends and place < ends[-1]:
            if place + 16 > len(log):
                return False
            place += 16 + int.from_bytes(log[place : place + 8], "little")
        return not ends or place == ends[-1]

    def _begin(self, log: bytes) -> tuple[int, int]:
        """The checkpoint that a log goes on from, and the place of its first entry; 0 where its head is not whole."""
        with self.path.open("rb") as file:
            name = file.read(_NAME + 16)[_NAME:]
        begins = b"d\0be\0\x02f\0\x10" + b"".join(_varint(byte) for byte in name) + b"g\0"
        for count in (here := self._checkpoints()), here - 1:
            if log.startswith(head := begins + _varint(max(count, 0)) + b"\xff\xff"):
                return count, len(head)
        return 0, 0

    def _checkpoints(self) -> int:
        with self.path.open("rb") as file:
            heads = file.read(_HEADS)
        return max(int.from_bytes(heads[place : place + 8], "little") for place in _COUNTS)

    def _heads(self) -> int:
        with self.path.open("rb") as file:
            return zlib.crc32(file.read(_HEADS))

    def _add(self, commit: Commit) -> None:
        line = " ".join(str(number) for number in (self._head, *commit))
        with self.note.open("ab") as note:
            note.write(f"\n{line} {zlib.crc32(line.encode())}".encode())


def ends_of(log: bytes) -> list[int]:
    """Where in these bytes a commit ends."""
    return [found.end() for found in _COMMITTED.finditer(log)]


def _numbers(line: str) -> list[int] | None:
    """The numbers of a line of a note, where it is as it was written: that of the file's head, a commit, a checksum."""
    said, _, check = line.rpartition(" ")
    if not re.fullmatch(r"[0-9]+( [0-9]+){5}", line) or zlib.crc32(said.encode()) != int(check):
        return None
    return [int(number) for number in line.split(" ")]


def _varint(number: int) -> bytes:
    """A number as DuckDB writes it: seven bits a byte, the least ones first."""
    if number < 128:
        return bytes([number])
    return bytes([number & 127 | 128]) + _varint(number >> 7)
