"""Signs episodes: a file and a key come in; each of its episodes that has ended, and is what it says, bears a signature
of that key when it goes out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tradearena.arena.verify import verify
from tradearena.errors import DivergedError
from tradearena.store.reader import Reader
from tradearena.store.signature import TIME, Signer, message, unsigned
from tradearena.store.writer import Writer


def sign(writer: Writer, episodes: Sequence[str], signer: Signer, now: datetime) -> int:
    """Sign those of these episodes that have ended and bear no signature of this key; returns how many. What is on
    file may be from elsewhere, so nothing is signed that chain and seal do not bear out.

    Raises:
        DivergedError: one of them, or the file as a whole, is not what it says; none is signed.
        StoreError: the file cannot be read or written.
    """
    with Reader(writer.path) as reader:
        due = unsigned(reader.db, episodes, signer.public)
    if not due:
        return 0
    whole, verdicts = verify(writer.path, fast=True)
    meant = {name for name, *_ in due}
    if wrong := [*whole, *(each.wrong for each in verdicts if each.wrong and each.episode in meant)]:
        raise DivergedError(f"{writer.path}: not signed, for it is not what it says: {wrong[0]}")
    signed_at = now.astimezone(UTC).strftime(TIME)
    writer.sign(
        {
            "episode": name,
            "key": signer.public,
            "signature": signer.sign(message(name, root_hash, manifest, seal, signer.public, signed_at)),
            "signed_at": now,
        }
        for name, root_hash, manifest, seal in due
    )
    return len(due)
