"""Numbers as an agent reads them: symbols, weights and times come in, text goes out."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from tradearena.panel import Array, Panel


@lru_cache(maxsize=64)
def quoted(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Symbols as JSON."""
    return tuple(json.dumps(symbol, ensure_ascii=False) for symbol in symbols)


def weights_said(weights: Array, symbols: tuple[str, ...]) -> str:
    """Weights as JSON, zeros left out."""
    names, (held,) = quoted(symbols), weights.nonzero()
    return "{" + ", ".join([f"{names[i]}: {w:.4f}" for i, w in zip(held.tolist(), weights[held].tolist())]) + "}"  # noqa: B905


def in_one_line(value: Any) -> str:
    """JSON in one line by any reckoning of what a line is: nothing in it can pass for a section of a prompt."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\x85\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def time_said(bars: Panel, i: int) -> str:
    """The end of bar i, to the minute."""
    return f"{str(bars.end[i])[:16]}Z"


def first_words(text: str, most: int) -> str:
    """The beginning of a text, in one line: nothing in it can pass for a section of a prompt."""
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most else line[: most + 1].rsplit(" ", 1)[0][:most] + "…"
