"""Whatever an agent answers comes in, a `Decision` goes out; nothing is guessed and nothing crashes.

An omitted symbol means 0. An unknown symbol is set aside, as stated, and the rest stands. A known symbol whose weight
is not a usable number makes the whole answer a `fallback`: the position is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tradearena.values import Decision

USABLE = 1e6
"""Weights beyond this are not weights: squaring and summing them must stay finite."""

_CASH = frozenset({"CASH", "cash", "Cash"})
_FIELDS = ("target_weights", "weights", "allocation")


def decision_of(answer: Any, symbols: tuple[str, ...]) -> Decision:
    """Read what a callable returned: a Decision, None (keep the position), N weights in the order of `symbols`, a
    mapping or Series of weights by symbol, or a mapping with `target_weights` and optionally `rationale`,
    `confidence` and `reflection`."""
    if isinstance(answer, Decision):
        return _checked(answer, symbols)
    if answer is None:
        return Decision(None)
    if not isinstance(answer, Mapping) and hasattr(answer, "to_dict"):
        answer = answer.to_dict()
    if isinstance(answer, Mapping):
        for key in _FIELDS:
            if key in answer and key not in symbols:
                extra = {name: answer.get(name) for name in ("rationale", "confidence", "reflection")}
                inner = answer[key]
                items = inner.items() if isinstance(inner, Mapping) else _in_order(inner, symbols)
                return stated(items, symbols, **extra)
        return stated(answer.items(), symbols)
    return stated(_in_order(answer, symbols), symbols)


def stated(
    weights: Iterable[tuple[Any, Any]] | None,
    symbols: tuple[str, ...],
    *,
    rationale: Any = None,
    confidence: Any = None,
    reflection: Any = None,
) -> Decision:
    """A decision from weights as they were stated, symbol by symbol; None where they could not be read at all."""
    text = "" if rationale is None else str(rationale)
    after = None if reflection is None else str(reflection)
    sure = _number(confidence)
    sure = sure if sure is not None and 0.0 <= sure <= 1.0 else None
    if weights is None:
        return Decision(None, text, sure, after, "fallback", f"expected {len(symbols)} weights, one per symbol")
    place = {symbol: i for i, symbol in enumerate(symbols)}
    target, stray, reason = np.zeros(len(symbols)), [], ""
    for name, value in weights:
        symbol, weight = str(name), _number(value)
        if symbol not in place:
            if symbol not in _CASH:
                stray.append((symbol, str(value)))
        elif weight is None or abs(weight) > USABLE:
            stray.append((symbol, str(value)))
            reason = reason or f"weight of {symbol} is not a usable number: {str(value)[:40]}"
        else:
            target[place[symbol]] = weight
    if reason:
        return Decision(None, text, sure, after, "fallback", reason, tuple(stray))
    return Decision(target, text, sure, after, stray=tuple(stray))


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _in_order(values: Any, symbols: tuple[str, ...]) -> list[tuple[str, Any]] | None:
    """Weights given without names: pair them with the symbols, if there are as many."""
    try:
        listed = list(values)
    except TypeError:
        return None
    return list(zip(symbols, listed, strict=True)) if len(listed) == len(symbols) else None


def _checked(decision: Decision, symbols: tuple[str, ...]) -> Decision:
    """A ready-made decision, its target checked like any other."""
    if decision.target is None:
        return decision
    again = stated(
        _in_order(decision.target, symbols),
        symbols,
        rationale=decision.rationale,
        confidence=decision.confidence,
        reflection=decision.reflection,
    )
    if again.target is None or decision.status in ("fallback", "error"):
        reason = again.reason or decision.reason
        return Decision(
            None, again.rationale, again.confidence, again.reflection, "fallback", reason, decision.stray + again.stray
        )
    return Decision(
        again.target,
        again.rationale,
        again.confidence,
        again.reflection,
        decision.status,
        decision.reason,
        decision.stray,
    )
