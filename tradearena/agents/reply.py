"""The text of a model's reply comes in, a `Decision` goes out: its weights are those the text states as JSON, or none.

A reply is one object, `{"target_weights": {"AAA": 0.4, "BBB": "12%"}, "rationale": "...", "confidence": 0.7}`, plain,
in a code fence or in prose; `fields` says what may stand in it. An object with a single key may stand around it. What a
model thinks before it answers does not count; what it wants to call tools with is prose.

Valid JSON is `ok`; what json-repair had to mend is `repaired`, and so is a reply whose confidence is unusable and left
out. Where the object never closes, two replies differ, or a weight is unclear, the reply is a `fallback`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from tradearena.agents.answer import storable
from tradearena.agents.fields import Absent, Lost, decision_from, reply_in, weights_in
from tradearena.values import Decision

_DEEPEST = 32  # brackets in brackets; where the interpreter itself gives up differs between machines
_LONGEST, _LONGEST_BROKEN = 1_000_000, 50_000  # characters of prose, and of broken JSON: this bounds the time

# How the thoughts of models begin and end, where whoever serves them does not take these out.
_THOUGHTS = {
    **{f"<{name}>": f"</{name}>" for name in ("think", "thinking", "thought", "reasoning", "seed:think")},
    **{f"<|channel|>{name}": "<|channel|>final" for name in ("analysis", "commentary")},
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
}
_ENDINGS = tuple(dict.fromkeys(_THOUGHTS.values()))
_TOOL = re.compile(
    r"<[|/｜]*(?:\w+:)?(?:tool|function)[_▁]?(?:calls?|use)|<\|python_tag\|>|\[TOOL_CALLS\]", re.IGNORECASE
)

# What counts in prose: a thought, a bracket that opens objects, and one that closes none.
_MARK = re.compile("|".join(map(re.escape, (*_THOUGHTS, *_ENDINGS))) + r"|[{}]|\[\s*+(?=\{)")
_KEY = re.compile(r"""["']?\b(?:target_weights|weights|allocation)["']?\s*+:\s*+""")
_FIRST = re.compile(r"""\{\s*+(?:"[^"]*+"|'[^']*+'|\w++)\s*+:""")

# What counts in an object. Sloppy replies quote with apostrophes, which also stand inside words: such a quotation
# begins after a bracket, comma, colon or blank and ends before a bracket, comma or colon. An edge, a line that begins
# with a fence or the end of a thought, is no part of valid JSON, whose strings hold no line breaks.
_TOKEN = re.compile(
    r""" (?P<edge>^[^\S\n]*+(?:```|"""
    + "|".join(map(re.escape, _ENDINGS))
    + r""")) | "(?:[^"\\]++|\\.)*+(?:"|\\?\Z) | (?<=[{\[,:\s])'(?:[^'\\]+|\\.|'(?!\s*[,:}\]]))*(?:'|\\?\Z)
        | (?://|\#)[^\n]*+ | (?P<opens>[{\[]) | (?P<closes>[}\]])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)

# What may be wrong in broken weights without a doubt as to what they are.
_MENDABLE = re.compile(
    r""" (?P<sound>"(?:[^"\\\n]++|\\.)*+") | '(?P<text>[^'"\\\n]*+)'
        | (?P<bare>[A-Za-z_][\w.\-]*+(?=\s*+:) | [+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
        | (?://|\#)[^\n]*+ | ,(?=(?:\s|(?://|\#)[^\n]*+)*+[}\]])""",
    re.VERBOSE,
)


def decision_in(text: str, symbols: tuple[str, ...], *, cut: bool = False) -> Decision:
    """Read a reply. `cut`: its sender says that it was cut off; then it is a fallback, however complete it looks."""
    if not text or text.isspace():
        return Decision(None, status="error", reason="the reply is empty")
    try:
        decision = _read(text, symbols) or _found(text, symbols)
    except Lost as lost:
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
    return decision_from(*reply_in(value), symbols)


def _refuse(constant: str) -> None:
    raise Lost(f"{constant} is no number in JSON")


# Whole numbers become floats: Python declines to read integers of thousands of digits.
_JSON = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse, parse_int=float)


def _parsed(text: str) -> Any:
    """The value of a text that is JSON; ValueError if it is not."""
    if text.count("{") + text.count("[") > _DEEPEST:
        _end(text, 0)  # refuses what is nested too deeply, before the decoder recurses into it
    return _JSON.decode(text)


def _found(text: str, symbols: tuple[str, ...]) -> Decision:
    """The one decision that stands in prose or in a fence."""
    if len(text) > _LONGEST:
        raise Lost("the reply is too long")
    found: list[tuple[Any, ...]] = []
    objects = _objects(text)
    lost: Absent | None = Absent(_instead(text, objects))
    for piece in filter(_KEY.search, objects):
        try:
            decision, lost = _read(piece, symbols) or _mended(piece, symbols), None
        except Absent as absent:  # the form of a reply, quoted before the reply itself
            lost = absent
            continue
        target, said = decision.target, (decision.rationale, decision.confidence, decision.reflection)
        found.append((None if target is None else target.tolist(), *said, decision.stray, decision.notes))
    if lost:
        raise lost
    if found.count(found[0]) < len(found):
        raise Lost("the reply holds two different decisions")
    return decision


def _instead(text: str, objects: list[str]) -> str:
    """What a text holds in place of weights."""
    if _TOOL.search(text):
        return "the reply calls a tool and states no target_weights"
    if any(map(_FIRST.match, objects)):
        return "the reply holds an object, but none with target_weights"
    if any(text.rstrip().endswith(ending) for ending in _ENDINGS):
        return "the reply is a thought and nothing else"
    return "the reply holds no JSON object with target_weights"


def _objects(text: str) -> list[str]:
    """The objects that stand in a text, outside of its thoughts."""
    objects: list[str] = []
    trouble, at = "", 0
    while mark := _MARK.search(text, at):
        before, at = at, mark.end()
        if mark[0] == "}":  # a quotation mark that was not escaped may have closed the object too early
            if objects and '"' in text[before : mark.start()]:
                trouble = "a quotation mark leaves the end of the reply in doubt"
        elif mark[0] in _ENDINGS:  # so far it was a thought, whose beginning stood in the prompt
            objects, trouble = [], ""
        elif mark[0] in _THOUGHTS:
            at = text.find(_THOUGHTS[mark[0]], at) + 1  # past its first character: it ends no other thought
            if not at:
                raise Lost("the reply ends inside a thought")
        else:
            at, closed = _end(text, mark.start())
            piece = text[mark.start() : at]
            if closed:
                objects.append(piece)
            elif at == len(text) or _KEY.search(piece):  # else it is a bracket in prose
                trouble = "the reply's object never closes"
    if trouble:
        raise Lost(trouble)
    return objects


def _end(text: str, start: int) -> tuple[int, bool]:
    """Where the first bracket from `start` on ends, and whether it closes there."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += bool(token["opens"]) - bool(token["closes"])
        if depth > _DEEPEST:
            raise Lost("the reply is nested too deeply")
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
        raise Absent("the reply is not valid JSON, and mending it would be a guess")
    from json_repair import loads  # only the reply that needs it pays for it

    try:
        weights = weights_in(_parsed(_MENDABLE.sub(_as_json, piece[start:end])))
        body, guess = reply_in(_JSON.decode(json.dumps(loads(piece, skip_json_loads=True))))
    except Exception as error:  # a guess that has no weights, or whatever json-repair stumbles over
        raise Absent(str(error) if isinstance(error, Lost) else "the reply is not valid JSON") from None
    decision = decision_from(body, weights, symbols)
    if decision.target is None or dict(guess) != dict(weights):
        raise Absent(decision.reason or "the reply is not valid JSON, and mending it would be a guess")
    return replace(decision, status="repaired", reason=f"mended by json-repair; {decision.reason}".rstrip("; "))


def _as_json(found: re.Match[str]) -> str:
    """A part of broken weights as JSON has it: comments and last commas go, and numbers become text, for `.5`."""
    return "" if found.lastgroup is None else found["sound"] or json.dumps(found[found.lastgroup])
