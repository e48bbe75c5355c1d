"""Whatever an agent answers comes in, a `Decision` goes out; nothing is guessed and nothing crashes.

An omitted symbol means 0. An unknown symbol is set aside, as stated, and the rest stands; where nothing is left to
stand, and where the weight of a known symbol is not a usable number, the whole answer is a `fallback`: the position is
kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from tradearena.agents.keys import hide
from tradearena.values import Decision, Note, Status

USABLE = 1e6
"""Weights beyond this are not weights: squaring and summing them must stay finite."""

REASON = 200
"""Characters of the reason for the weight of one symbol that are kept."""

_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?\s*")
UNSURE = "confidence is not a number in [0, 1]"
"""Why a reply is repaired; what stands there instead follows."""

_CASH = frozenset({"CASH", "cash", "Cash"})
_FIELDS = ("target_weights", "weights", "allocation")
_STATUSES: tuple[Status, ...] = get_args(Status)


def decision_of(answer: Any, symbols: tuple[str, ...]) -> Decision:
    """Read what a callable returned: a Decision, None (keep the position), N weights in the order of `symbols`, a
    mapping or Series of weights by symbol, or a mapping with `target_weights` and optionally `rationale`,
    `confidence` and `reflection`."""
    if isinstance(answer, Decision):
        return _checked(answer, symbols)
    if answer is None:
        return Decision(None)
    if isinstance(answer, Mapping):
        for key in _FIELDS:
            if key in answer and key not in symbols:
                extra: dict[str, Any] = {name: answer.get(name) for name in ("rationale", "confidence", "reflection")}
                return stated(_named(answer[key], symbols), symbols, **extra)
    return stated(_named(answer, symbols), symbols)


def stated(
    weights: Iterable[tuple[Any, Any]] | None,
    symbols: tuple[str, ...],
    *,
    rationale: Any = None,
    confidence: Any = None,
    reflection: Any = None,
    notes: tuple[Note, ...] = (),
) -> Decision:
    """A decision from weights as they were stated, symbol by symbol; None where they could not be read at all."""
    text = "" if rationale is None else storable(rationale)
    after = None if reflection is None else storable(reflection)
    sure, mended = _number(confidence), ""
    if confidence is not None and (sure is None or not 0.0 <= sure <= 1.0):
        sure, mended = None, f"{UNSURE}: {storable(confidence)[:40]}"
    if weights is None:
        wrong = f"expected {len(symbols)} weights, one per symbol"
        return Decision(None, text, sure, after, "fallback", wrong, notes=notes)
    place = _places(symbols)
    target, stray, reason, understood = [0.0] * len(symbols), [], "", False
    for name, value in weights:
        symbol = name if type(name) is str and name in place else storable(name)
        weight = _number(value)
        if symbol not in place:
            if symbol in _CASH:
                understood = True
            else:
                stray.append((symbol, storable(value)))
        elif weight is None or abs(weight) > USABLE:
            stray.append((symbol, storable(value)))
            reason = reason or f"weight of {symbol} is not a usable number: {storable(value)[:40]}"
        else:
            target[place[symbol]] = weight
            understood = True
    if stray and not understood:
        reason = reason or f"no symbol is known: {stray[0][0][:40]}"
    if reason:
        return Decision(None, text, sure, after, "fallback", reason, tuple(stray), notes=notes)
    status: Status = "repaired" if mended else "ok"
    return Decision(np.array(target), text, sure, after, status, mended, tuple(stray), notes=notes)


def noted(said: Iterable[tuple[Any, Any, Any]], symbols: tuple[str, ...]) -> tuple[Note, ...]:
    """Notes from symbols, reasons and confidences as they were stated, in the order of the symbols and at most one for
    each: of two the last one counts. What is no text or no number in [0, 1] is left out, and so is what is left empty.
    """
    place, kept = _places(symbols), {}
    for name, reason, confidence in said:
        text = storable(" ".join(reason.split())[:REASON]) if isinstance(reason, str) else ""
        sure = _number(confidence)
        sure = sure if sure is not None and 0.0 <= sure <= 1.0 else None
        if type(name) is str and name in place and (text or sure is not None):
            kept[place[name]] = Note(name, text, sure)
    return tuple([kept[i] for i in sorted(kept)])


@lru_cache(maxsize=8)
def _places(symbols: tuple[str, ...]) -> dict[str, int]:
    """Where the weight of a symbol stands. Every answer of an episode asks for the same symbols."""
    return {symbol: i for i, symbol in enumerate(symbols) if storable(symbol) == symbol}


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    axes: int = getattr(value, "ndim", 0)
    if axes or isinstance(value, (bool, np.bool_)):
        return None
    try:
        number = decimal(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def decimal(text: str) -> float | None:
    """A number that is written as text, as JSON writes it or without a digit before or after its point; None where the
    text is anything else. Python itself would read `1_0`, and the digits of every script."""
    return float(text) if _DECIMAL.fullmatch(text) else None


def storable(value: Any) -> str:
    """Anything as text that can be stored: half of a surrogate pair becomes a question mark."""
    return str(value).encode("utf-8", "replace").decode()


def complaint(error: BaseException) -> str:
    """What was raised, as one line that can be stored: without secrets, since whose words they are nobody knows."""
    said = hide(" ".join(str(error).split()))
    return storable(f"{type(error).__name__}: {said}" if said else type(error).__name__)


def _named(answer: Any, symbols: tuple[str, ...]) -> Iterable[tuple[Any, Any]] | None:
    """Weights by symbol: of a mapping or Series by their names, else in the order of the symbols."""
    named = answer.to_dict() if hasattr(answer, "to_dict") else answer
    return named.items() if isinstance(named, Mapping) else _in_order(named, symbols)


def _in_order(values: Any, symbols: tuple[str, ...]) -> list[tuple[str, Any]] | None:
    """Weights given without names: pair them with the symbols, if there are as many."""
    if isinstance(values, (str, bytes, set, frozenset)):
        return None
    try:
        listed = list(values)
    except TypeError:
        return None
    return list(zip(symbols, listed, strict=True)) if len(listed) == len(symbols) else None


def _checked(decision: Decision, symbols: tuple[str, ...]) -> Decision:
    """A ready-made decision, checked like any other answer; one that calls itself lost keeps the position."""
    again = stated(
        () if decision.target is None else _in_order(decision.target, symbols),
        symbols,
        rationale=decision.rationale,
        confidence=decision.confidence,
        reflection=decision.reflection,
        notes=noted([note for note in decision.notes if isinstance(note, tuple) and len(note) == 3], symbols),
    )
    status: Status = decision.status if decision.status in _STATUSES else "fallback"
    if again.status == "fallback" or (again.status, status) == ("repaired", "ok"):
        status = again.status
    return replace(
        again,
        target=None if decision.target is None or status in ("fallback", "error") else again.target,
        status=status,
        reason=again.reason or storable(decision.reason),
        stray=(*((storable(name), storable(value)) for name, value in decision.stray), *again.stray),
    )
