"""Files of earlier experiments come in; their replies by the request that brought them go out, to be served again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tradearena.agents.switchboard import Answered, request_key
from tradearena.errors import StoreError
from tradearena.store.chain import text_digest
from tradearena.store.reader import Reader
from tradearena.store.texts import texts
from tradearena.values import Call


def replies_in(paths: Iterable[Path]) -> dict[bytes, Answered]:
    """The replies on file. Of two to the same request it is the first; a request that failed brought none.

    Raises:
        StoreError: a file cannot be read, or what it says was said is not what its digest says.
    """
    found: dict[bytes, Answered] = {}
    for path in paths:
        with Reader(path) as reader:
            _collect(reader, found)
    return found


def _collect(reader: Reader, found: dict[bytes, Answered]) -> None:
    said = texts(reader.db, "WHERE reply IS NOT NULL", [], said=("reply",))
    columns = ", ".join(f"c.{name}" for name in Call._fields)
    rows = reader.db.execute(
        f"SELECT s.system, s.prompt, s.reply, e.seed, e.card, {columns} FROM call c JOIN step s USING (episode, t) "
        "JOIN episode e ON e.id = c.episode WHERE c.error IS NULL ORDER BY e.started_at, e.id, c.t, c.seq"
    ).fetchall()
    for system, prompt, reply, seed, card, *fields in rows:
        call = Call(*fields)
        text = said.get(bytes(reply), "")
        if text_digest(text) != bytes(reply):
            raise StoreError(f"{reader.path}: a reply in it was changed; nothing of this file is used again")
        address = json.loads(card)["parameters"].get("api_base")
        key = request_key(call.model, address, call.parameters, seed, bytes(system), bytes(prompt))
        found.setdefault(key, Answered(text, call))
