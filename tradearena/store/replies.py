"""Files of earlier experiments come in; their replies by the request that brought them go out, to be served again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tradearena.agents.asking import parameters_for
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
    said = texts(reader.db, "", [], said=("reply",))
    columns = ", ".join(f"c.{name}" for name in Call._fields)
    rows = reader.db.execute(
        f"SELECT x.turn, x.system, x.prompt, x.reply, x.tools, x.speaker, e.seed, e.card, {columns} FROM exchange x "
        "JOIN episode e ON e.id = x.episode LEFT JOIN call c ON c.episode = x.episode AND c.t = x.t "
        "AND c.exchange = x.seq AND c.error IS NULL ORDER BY e.started_at, e.id, x.t, x.seq"
    ).fetchall()
    words: list[bytes] = []
    for turn, system, prompt, reply, tools, speaker, seed, card, *fields in rows:
        words = [*words, bytes(prompt)] if turn else [bytes(system), bytes(prompt)]
        if fields[0] is not None:  # an organism makes no requests
            text = said.get(bytes(reply), "")
            if text_digest(text) != bytes(reply):
                raise StoreError(f"{reader.path}: a reply in it was changed; nothing of this file is used again")
            call = Call(*fields)
            address = parameters_for(json.loads(card), speaker).get("api_base")
            key = request_key(call.model, address, call.parameters, seed, words, speaker)
            found.setdefault(key, Answered(text, call, tools=tools))
        words.append(bytes(reply))
