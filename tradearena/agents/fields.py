"""An object of JSON comes in, as a reply holds it; the weights by symbol, words, confidence and notes that it states go
out.

The weights (`target_weights`, `weights` or `allocation`) are a map, a list of pairs, or a list of objects with a symbol
(`symbol`, `ticker`, `name`) and a weight (`weight`, `target_weight`, `value`). A number may be written as text, also in
percent, and there in full-width signs as well; every other text is no number. Notes are a map or a list in the same
way, with a `reason` and a `confidence` each. What is wrong with weights loses the reply, what is wrong with notes loses
the note.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from tradearena.agents.answer import decimal, noted, stated
from tradearena.values import Decision

Pairs: TypeAlias = tuple[tuple[str, Any], ...]  # an object of JSON, in which no key that stands twice is lost

_FIELDS = frozenset({"target_weights", "weights", "allocation"})
_WIDE = str.maketrans("０１２３４５６７８９％．＋－", "0123456789%.+-")
_SYMBOL, _WEIGHT = ("symbol", "ticker", "name"), frozenset({"weight", "target_weight", "value"})


class Lost(Exception):
    """No usable weights; says why."""


class Absent(Lost):
    """What was read is no reply, and need not trouble another one beside it."""


def reply_in(value: Any) -> tuple[Pairs, Pairs]:
    """The object that states weights, the value itself or what stands alone in it, and its weights by symbol.

    Raises:
        Absent: it states none.
        Lost: they are no weights by symbol, or there are two different sets.
    """
    if isinstance(value, tuple) and len(value) == 1 and value[0][0] not in _FIELDS:
        value = value[0][1]
    sets = [weights_in(weights) for key, weights in value if key in _FIELDS] if isinstance(value, tuple) else []
    if not sets:
        raise Absent("the reply states no target_weights")
    if any(dict(other) != dict(sets[0]) for other in sets[1:]):
        raise Lost("the reply states two different sets of weights")
    return value, sets[0]


def decision_from(body: Pairs, weights: Pairs, symbols: tuple[str, ...]) -> Decision:
    """The decision of an object whose weights have been read."""
    said = dict(body)
    why, after, sure = _words(said.get("rationale")), _words(said.get("reflection")), _number(said.get("confidence"))
    notes = said.get("notes")
    about = noted(_remarks(notes), symbols) if isinstance(notes, (tuple, list)) else ()
    return stated(weights, symbols, rationale=why, confidence=sure, reflection=after, notes=about)


def weights_in(value: Any) -> Pairs:
    """The weights of a map or a list, by symbol.

    Raises:
        Lost: it is neither, an item of it does not state one symbol and one weight, or one symbol has two weights.
    """
    if not isinstance(value, (tuple, list)) or value == []:
        raise Lost("the weights are neither a map nor a list")
    members = value if isinstance(value, tuple) else [_item(item) for item in value]
    pairs = tuple([(name.strip(), weight if type(weight) is float else _number(weight)) for name, weight in members])
    last = dict(pairs)
    if len(last) < len(pairs):
        for name, weight in pairs:
            if weight != last[name]:
                raise Lost(f"two weights are stated for {name[:40]}")
    return pairs


def _item(item: Any) -> tuple[str, Any]:
    """The symbol and the weight in one item of a list."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    said = dict(item) if isinstance(item, tuple) else {}
    name = next((said[key] for key in _SYMBOL if key in said), None)
    weights = [said[key] for key in said if key in _WEIGHT]
    if not isinstance(name, str) or len(weights) != 1 or len(said) < len(item):
        raise Lost("an item in the list of weights does not state one symbol and one weight")
    return name, weights[0]


def _number(value: Any) -> Any:
    """A number that is written as text, also in percent, as a number; anything else as it is."""
    if not isinstance(value, str):
        return _words(value) if isinstance(value, (tuple, list)) else value
    text = value.translate(_WIDE).strip()
    number = decimal(f"{text[:-1].rstrip()}e-2" if text.endswith("%") else text)
    return value if number is None else number


def _words(value: Any) -> str | None:
    """What should be text, as text."""
    plain = dict(value) if isinstance(value, tuple) else value
    return plain if plain is None or isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _remarks(value: Pairs | list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Symbol, reason and confidence of each note in a map or a list; in a map a text is the reason alone."""
    for item in value:
        fields = dict(item) if isinstance(value, list) and isinstance(item, tuple) else {}
        name = next((fields[key] for key in _SYMBOL if isinstance(fields.get(key), str)), "")
        if isinstance(value, tuple):
            name, said = item
            fields = dict(said) if isinstance(said, tuple) else {"reason": said}
        yield name.strip(), fields.get("reason"), _number(fields.get("confidence"))
