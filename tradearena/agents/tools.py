"""What an agent may look up before it decides: the JSON of its calls and its observation come in, the JSON of what they
give goes out.

| tool | gives |
|---|---|
| `history` | closes and volumes of some symbols, further back than the prompt goes |
| `correlations` | correlations of returns: the strongest pairs, or those among some symbols |
| `what_if_audit` | what the risk desk would make of target weights: findings, and what it would approve |

All of them see what the observation holds and nothing else. A call that cannot be answered gets a sentence that says
why, and the round is spent all the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field, ValidationError

from tradearena.agents.answer import decision_of
from tradearena.agents.figures import time_said
from tradearena.cards import Card
from tradearena.panel import Panel
from tradearena.portfolio.covariance import correlation
from tradearena.values import Finding, Observation

ToolName: TypeAlias = Literal["history", "correlations", "what_if_audit"]

CALLS = 4
"""Calls that are answered in one round."""

LONGEST = 8_000
"""Characters of what one call gives; the rest is left out, and it says so."""

PAIRS = 20
"""Pairs that are listed where no symbols are named."""


class ToolCall(NamedTuple):
    """One call: the identifier that its answer must bear, and name and arguments (JSON) as the model wrote them."""

    id: str
    name: str
    arguments: str


class History(Card):
    """Closes and volumes of some symbols, oldest first."""

    symbols: Annotated[list[str], Field(min_length=1, max_length=10)]
    bars: Annotated[int, Field(ge=1, le=250)] = 60


class Correlations(Card):
    """Correlations of the returns from bar to bar: among the symbols named, else the strongest pairs of all."""

    symbols: Annotated[list[str], Field(max_length=15, default_factory=list)]
    bars: Annotated[int, Field(ge=20, le=250)] = 60


class Weight(Card):
    """Of one symbol, a fraction of NAV."""

    symbol: str
    weight: float


class WhatIfAudit(Card):
    """What the risk desk would make of these target weights if you decided so now: its findings, and what it would
    approve. Symbols you leave out get weight 0."""

    target_weights: list[Weight]


def _history(asked: History, observation: Observation) -> str:
    bars, columns = observation.bars, _columns(asked.symbols, observation)
    shown = range(max(0, len(bars) - asked.bars), len(bars))
    lines = ["bar end," + ",".join(f"{name} close,{name} volume in thousands" for name in asked.symbols)]
    for i in shown:
        numbers = (_known(f"{bars.close[i, k]:.6g},{bars.volume[i, k] / 1e3:.4g}") for k in columns)
        lines.append(",".join((time_said(bars, i), *numbers)))
    return "\n".join(lines)


def _correlations(asked: Correlations, observation: Observation) -> str:
    columns = _columns(asked.symbols, observation) or list(range(len(observation.symbols)))
    among = _correlation(observation.bars, asked.bars)[np.ix_(columns, columns)]
    names = [observation.symbols[k] for k in columns]
    if asked.symbols:
        rows = (
            f"{name},{_known(','.join(f'{rho:.2f}' for rho in row))}" for name, row in zip(names, among, strict=True)
        )
        return "\n".join((f"symbol,{','.join(names)}", *rows))
    first, second = np.triu_indices(len(names), 1)
    strength = np.nan_to_num(np.abs(among[first, second]), nan=-1.0)
    chosen = [k for k in np.argsort(-strength, kind="stable")[:PAIRS] if strength[k] >= 0]
    return "\n".join(("symbol,symbol,correlation", *(
        f"{names[first[k]]},{names[second[k]]},{among[first[k], second[k]]:.2f}" for k in chosen
    )))  # fmt: skip


def _correlation(bars: Panel, count: int) -> Any:
    """[N, N] of the sample, as the audit finds coupled symbols; NaN where one did not move."""
    returns = bars.returns[-count:] if len(bars) > count else bars.returns[1:]
    if len(returns) < 2:
        raise ValueError("there are too few bars yet")
    centred = returns - returns.mean(axis=0)
    found = correlation(centred.T @ centred)
    still = ~centred.any(axis=0)
    found[still, :] = found[:, still] = np.nan
    return found


def _known(numbers: str) -> str:
    """Numbers, nothing where there is none."""
    return numbers.replace("nan", "").replace("inf", "")


def _what_if_audit(asked: WhatIfAudit, observation: Observation) -> str:
    if observation.what_if is None:
        raise ValueError("nobody audits here")
    weights = {each.symbol: each.weight for each in asked.target_weights}
    if len(weights) < len(asked.target_weights):
        raise ValueError("a symbol stands there twice")
    _columns(list(weights), observation)
    decision = decision_of({"target_weights": weights}, observation.symbols)
    if decision.status == "fallback":
        raise ValueError(decision.reason)
    report = observation.what_if(decision)
    (held,) = np.abs(report.approved).round(4).nonzero()
    approved = {observation.symbols[i]: round(float(report.approved[i]), 4) for i in held.tolist()}
    return json.dumps({"findings": [_said(each) for each in report.findings], "approved": approved}, ensure_ascii=False)


def _said(finding: Finding) -> dict[str, Any]:
    """A finding, its numbers with three digits, None where there is none."""
    return {
        name: (float(f"{value:.3g}") if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in finding._asdict().items()
    }


def _columns(symbols: Sequence[str], observation: Observation) -> list[int]:
    places = {symbol: k for k, symbol in enumerate(observation.symbols)}
    if unknown := [symbol for symbol in symbols if symbol not in places]:
        raise ValueError(f"there is no symbol {json.dumps(unknown[0], ensure_ascii=False)}")
    return [places[symbol] for symbol in symbols]


_TOOLS: dict[str, tuple[type[Card], Callable[[Any, Observation], str]]] = {
    "history": (History, _history),
    "correlations": (Correlations, _correlations),
    "what_if_audit": (WhatIfAudit, _what_if_audit),
}


def specifications(names: Sequence[str]) -> list[dict[str, Any]]:
    """The tools as a request offers them: functions with a JSON Schema of their arguments."""
    return [{"type": "function", "function": _specification(name)} for name in names]


def _specification(name: str) -> dict[str, Any]:
    schema = _untitled(_TOOLS[name][0].model_json_schema())
    about = " ".join(schema.pop("description").split())
    return {"name": name, "description": about, "parameters": schema}


def _untitled(schema: Any) -> Any:
    """A schema without the titles that repeat its names: they would be paid for at every request."""
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(value) for key, value in schema.items() if key != "title"}


def calls_said(calls: Sequence[ToolCall], text: str) -> str:
    """Calls as they are put on record, with what was said beside them."""
    return json.dumps({"content": text, "calls": [call._asdict() for call in calls]}, ensure_ascii=False)


def calls_in(record: str) -> tuple[str, list[ToolCall]]:
    """What was said beside the calls on record, and the calls."""
    found = json.loads(record)
    return found["content"], [ToolCall(**call) for call in found["calls"]]


def results(record: str, allowed: Sequence[str], observation: Observation) -> str:
    """What the calls on record give, as JSON: a list of text, one for each."""
    _, calls = calls_in(record)
    given = [
        _result(call, allowed, observation)
        if place < CALLS
        else f"error: at most {CALLS} calls are answered in one round"
        for place, call in enumerate(calls)
    ]
    return json.dumps(given, ensure_ascii=False)


def _result(call: ToolCall, allowed: Sequence[str], observation: Observation) -> str:
    """What one call gives, or why it gives nothing."""
    if call.name not in allowed:
        return f"error: there is no such tool; there are {', '.join(allowed)}"
    arguments, use = _TOOLS[call.name]
    try:
        found = use(arguments.model_validate_json(call.arguments or "{}", strict=False), observation)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"error: {'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}"
    except ValueError as error:
        return f"error: {error}"
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}\n(cut here: ask for less)"
