"""The text of a model's reply comes in, a `Decision` goes out: its weights are those the text states as JSON, or none.

A reply is one object, `{"target_weights": {"AAA": 0.4, "BBB": "12%"}, "rationale": "...", "confidence": 0.7}`, plain,
in a code fence or in prose. The weights (also called `weights` or `allocation`) are a map, a list of pairs, or a list
of objects with a symbol (`symbol`, `ticker`, `name`) and a weight (`weight`, `target_weight`, `value`). An object with
a single key may stand around it. `reflection` is kept; other keys, per-symbol notes among them, are ignored.

Valid JSON is `ok`; what json-repair had to mend is `repaired`, and so is a reply whose confidence is unusable and left
out. Where the object never closes, two replies differ, or a weight is unclear, the reply is a `fallback`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, TypeAlias

from tradearena.agents.answer import stated, storable
from tradearena.values import Decision

_Pairs: TypeAlias = tuple[tuple[str, Any], ...]  # an object of JSON, in which no key that stands twice is lost
_FIELDS = frozenset({"target_weights", "weights", "allocation"})
_SYMBOL, _WEIGHT = ("symbol", "ticker", "name"), frozenset({"weight", "target_weight", "value"})
_DEEPEST = 32  # brackets in brackets; where the interpreter itself gives up differs between machines
_LONGEST, _LONGEST_BROKEN = 1_000_000, 50_000  # characters of prose, and of broken JSON: this bounds the time

# What counts in prose: a thought, a bracket that opens objects, and one that closes none.
_MARK = re.compile(r"</?think(?:ing)?>|[{}]|\[\s*+(?=\{)")
_KEY = re.compile(r"""["']?\b(?:target_weights|weights|allocation)["']?\s*+:\s*+""")
_FIRST = re.compile(r"""\{\s*+(?:"[^"]*+"|'[^']*+'|\w++)\s*+:""")

# What counts in an object. Sloppy replies quote with apostrophes, which also stand inside words: such a quotation
# begins after a bracket, comma, colon or blank and ends before a bracket, comma or colon. An edge, a line that begins
# with a fence or the end of a thought, is no part of valid JSON, whose strings hold no line breaks.
_TOKEN = re.compile(
    r""" "(?:[^"\\]++|\\.)*+(?:"|\\?\Z) | (?<=[{\[,:\s])'(?:[^'\\]++|\\.|'(?!\s*+[,:}\]]))*+(?:'|\\?\Z)
        | (?://|\#)[^\n]*+ | (?P<edge>^[^\S\n]*+(?:```|</think)) | (?P<opens>[{\[]) | (?P<closes>[}\]])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)

# What may be wrong in broken weights without a doubt as to what they are.
_MENDABLE = re.compile(
    r""" (?P<sound>"(?:[^"\\\n]++|\\.)*+") | '(?P<text>[^'"\\\n]*+)'
        | (?P<bare>[A-Za-z_][\w.\-]*+(?=\s*+:) | [+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
        | (?://|\#)[^\n]*+ | ,(?=(?:\s|(?://|\#)[^\n]*+)*+[}\]])""",
    re.VERBOSE,
)


class _Lost(Exception):
    """No usable weights; says why."""


class _Absent(_Lost):
    """What was read is no reply, and need not trouble another one beside it."""


def decision_in(text: str, symbols: tuple[str, ...], *, cut: bool = False) -> Decision:
    """Read a reply. `cut`: its sender says that it was cut off; then it is a fallback, however complete it looks."""
    if not text or text.isspace():
        return Decision(None, status="error", reason="the reply is empty")
    try:
        decision = _read(text, symbols) or _found(text, symbols)
    except _Lost as lost:
        decision = Decision(None, status="fallback", reason=str(lost))
    if cut:
        decision = replace(decision, target=None, status="fallback", reason="the reply was cut off")
    return replace(decision, reason=storable(" ".join(decision.reason.split()))) if decision.reason else decision


def _read(text: str, symbols: tuple[str, ...]) -> Decision | None:
    """The decision of a text that is JSON; None where it is not."""
    try:
        value = _parsed(text)
    except ValueError:
        return None
    return _decision(*_reply(value), symbols)


def _decision(body: _Pairs, weights: _Pairs, symbols: tuple[str, ...]) -> Decision:
    """The decision of an object whose weights have been read."""
    said = dict(body)
    why, after, sure = _words(said.get("rationale")), _words(said.get("reflection")), _number(said.get("confidence"))
    return stated(weights, symbols, rationale=why, confidence=sure, reflection=after)


def _refuse(constant: str) -> None:
    raise _Lost(f"{constant} is no number in JSON")


# Whole numbers become floats: Python declines to read integers of thousands of digits.
_JSON = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse, parse_int=float)


def _parsed(text: str) -> Any:
    """The value of a text that is JSON; ValueError if it is not."""
    if text.count("{") + text.count("[") > _DEEPEST:
        _end(text, 0)  # refuses what is nested too deeply, before the decoder recurses into it
    return _JSON.decode(text)


def _reply(value: Any) -> tuple[_Pairs, _Pairs]:
    """The object that states weights, the value itself or what stands alone in it, and its weights by symbol."""
    if isinstance(value, tuple) and len(value) == 1 and value[0][0] not in _FIELDS:
        value = value[0][1]
    sets = [_listed(weights) for key, weights in value if key in _FIELDS] if isinstance(value, tuple) else []
    if not sets:
        raise _Absent("the reply states no target_weights")
    if any(dict(other) != dict(sets[0]) for other in sets[1:]):
        raise _Lost("the reply states two different sets of weights")
    return value, sets[0]


def _listed(value: Any) -> _Pairs:
    """The weights of a map or a list, by symbol."""
    if not isinstance(value, (tuple, list)) or value == []:
        raise _Lost("the weights are neither a map nor a list")
    members = value if isinstance(value, tuple) else [_item(item) for item in value]
    pairs = tuple([(name.strip(), weight if type(weight) is float else _number(weight)) for name, weight in members])
    last = dict(pairs)
    if len(last) < len(pairs):
        for name, weight in pairs:
            if weight != last[name]:
                raise _Lost(f"two weights are stated for {name[:40]}")
    return pairs


def _item(item: Any) -> tuple[str, Any]:
    """The symbol and the weight in one item of a list."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    said = dict(item) if isinstance(item, tuple) else {}
    name = next((said[key] for key in _SYMBOL if key in said), None)
    weights = [said[key] for key in said if key in _WEIGHT]
    if not isinstance(name, str) or len(weights) != 1 or len(said) < len(item):
        raise _Lost("an item in the list of weights does not state one symbol and one weight")
    return name, weights[0]


def _number(value: Any) -> Any:
    """A number that is written as text, also in percent, as a number; anything else as it is."""
    if not isinstance(value, str):
        return _words(value) if isinstance(value, (tuple, list)) else value
    text = value.strip()
    try:
        return float(f"{text[:-1].rstrip()}e-2") if text.endswith("%") else float(text)
    except ValueError:
        return value


def _words(value: Any) -> str | None:
    """What should be text, as text."""
    plain = dict(value) if isinstance(value, tuple) else value
    return plain if plain is None or isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _found(text: str, symbols: tuple[str, ...]) -> Decision:
    """The one decision that stands in prose or in a fence."""
    if len(text) > _LONGEST:
        raise _Lost("the reply is too long")
    found: list[tuple[Any, ...]] = []
    lost: _Absent | None = _Absent("the reply holds no JSON object with target_weights")
    for piece in filter(_KEY.search, _objects(text)):
        try:
            decision, lost = _read(piece, symbols) or _mended(piece, symbols), None
        except _Absent as absent:  # the form of a reply, quoted before the reply itself
            lost = absent
            continue
        target = None if decision.target is None else decision.target.tolist()
        found.append((target, decision.rationale, decision.confidence, decision.reflection, decision.stray))
    if lost:
        raise lost
    if found.count(found[0]) < len(found):
        raise _Lost("the reply holds two different decisions")
    return decision


def _objects(text: str) -> list[str]:
    """The objects that stand in a text, outside of its thoughts."""
    objects: list[str] = []
    trouble, at = "", 0
    while mark := _MARK.search(text, at):
        before, at = at, mark.end()
        if mark[0] == "}":  # a quotation mark that was not escaped may have closed the object too early
            if objects and '"' in text[before : mark.start()]:
                trouble = "a quotation mark leaves the end of the reply in doubt"
        elif mark[0].startswith("</"):  # so far it was a thought, whose beginning stood in the prompt
            objects, trouble = [], ""
        elif mark[0].startswith("<"):
            at = text.find(f"</{mark[0][1:]}", at) + 1  # past its first character: it ends no other thought
            if not at:
                raise _Lost("the reply ends inside a thought")
        else:
            at, closed = _end(text, mark.start())
            piece = text[mark.start() : at]
            if closed:
                objects.append(piece)
            elif at == len(text) or _KEY.search(piece):  # else it is a bracket in prose
                trouble = "the reply's object never closes"
    if trouble:
        raise _Lost(trouble)
    return objects


def _end(text: str, start: int) -> tuple[int, bool]:
    """Where the first bracket from `start` on ends, and whether it closes there."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += bool(token["opens"]) - bool(token["closes"])
        if depth > _DEEPEST:
            raise _Lost("the reply is nested too deeply")
        if token["edge"] or not depth:
            return (token.start(), False) if token["edge"] else (token.end(), True)
    return len(text), False


def _mended(piece: str, symbols: tuple[str, ...]) -> Decision:
    """The decision of an object that is no valid JSON.

    json-repair guesses: it reads `20%` as 20, drops `...`, and of two equal keys keeps the last. So the weights have to
    be readable without it as well, and to be the same: quotes, commas and comments may be wrong, and nothing else.
    """
    (begin, start), *others = [key.span() for key in _KEY.finditer(piece)]
    end, _ = _end(piece, start)
    doubtful = (
        bool(others) or piece[end:].lstrip().startswith(("{", "[")),  # more than one set of weights
        not _FIRST.match(piece) or piece.count("{") != piece.count("}"),  # a bracket of the prose, or of a string
        any(token.start() < begin < token.end() for token in _TOKEN.finditer(piece)),  # weights inside a string
        "NaN" in piece or "Infinity" in piece,  # which json-repair takes for text
    )
    if any(doubtful) or len(piece) > _LONGEST_BROKEN:
        raise _Absent("the reply is not valid JSON, and mending it would be a guess")
    from json_repair import loads  # only the reply that needs it pays for it

    try:
        weights = _listed(_parsed(_MENDABLE.sub(_as_json, piece[start:end])))
        body, guess = _reply(_JSON.decode(json.dumps(loads(piece, skip_json_loads=True))))
    except Exception as error:  # a guess that has no weights, or whatever json-repair stumbles over
        raise _Absent(str(error) if isinstance(error, _Lost) else "the reply is not valid JSON") from None
    decision = _decision(body, weights, symbols)
    if decision.target is None or dict(guess) != dict(weights):
        raise _Absent(decision.reason or "the reply is not valid JSON, and mending it would be a guess")
    return replace(decision, status="repaired", reason=f"mended by json-repair; {decision.reason}".rstrip("; "))


def _as_json(found: re.Match[str]) -> str:
    """A part of broken weights as JSON has it: comments and last commas go, and numbers become text, for `.5`."""
    return "" if found.lastgroup is None else found["sound"] or json.dumps(found[found.lastgroup])
