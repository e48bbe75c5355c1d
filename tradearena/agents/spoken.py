"""An organism's reply as text: weights and words come in, JSON goes out, or what a model makes of JSON on a bad day."""

from __future__ import annotations

import json

from tradearena.agents.figures import quoted
from tradearena.panel import Array


def spoken(symbols: tuple[str, ...], weights: Array, rationale: str, confidence: float) -> str:
    """A well-formed reply: weights in four digits, zeros left out."""
    said = json.dumps(rationale, ensure_ascii=False)
    return f'{{{_stated(symbols, weights)}, "rationale": {said}, "confidence": {confidence}}}'


def without_a_word(symbols: tuple[str, ...], weights: Array) -> str:
    """The same weights, and nothing else."""
    return f"{{{_stated(symbols, weights)}}}"


def _stated(symbols: tuple[str, ...], weights: Array) -> str:
    names, (held,) = quoted(symbols), weights.nonzero()
    pairs = zip(held.tolist(), weights[held].tolist(), strict=True)
    return f'"target_weights": {{{", ".join([f"{names[place]}: {round(weight, 4)}" for place, weight in pairs])}}}'


def garbled(reply: str, dice: bytes, share: float) -> str:
    """The reply, spoilt with probability `share`: cut off, in prose, without its quotes, or with a comma too many."""
    if int.from_bytes(dice[:4], "little") >= share * 2**32:
        return reply
    kind = dice[4] % 4
    if kind == 0:
        return reply[: len(reply) // 2]
    if kind == 1:
        weights = json.loads(reply)["target_weights"]
        return "I would hold " + ", ".join(f"{weight:.0%} in {symbol}" for symbol, weight in weights.items()) + "."
    if kind == 2:
        return reply.replace('"', "'")
    return reply[:-1] + ",}"
