"""Draws rates as a forest plot: rows of a label and its rates come in, an SVG goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from tradearena.analysis.calibration import Rate

COLOURS = ("#9ecae1", "#4292c6", "#08519c", "#d94801")
LEFT, WIDTH, STEP, TOP, BOTTOM = 330, 520, 11, 58, 34
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'


class Group(NamedTuple):
    """What stands beside a label: a rate for each name, or None where there is none."""

    label: str
    rates: Sequence[Rate | None]


def forest(title: str, names: Sequence[str], groups: Sequence[Group], level: float) -> str:
    """A dot for each rate and a line for its interval, from 0 to 1; a dashed line at `level`."""
    high = STEP * (len(names) + 1)
    foot = TOP + high * len(groups)
    parts = [_text(10, 20, title, weight="bold")]
    for place, name in enumerate(names):
        x = LEFT + place * WIDTH // len(names)
        parts += [f'<circle cx="{x}" cy="38" r="4" fill="{COLOURS[place]}"/>', _text(x + 9, 42, name)]
    for tick in TICKS:
        parts += [
            _line(_x(tick), TOP, _x(tick), foot, "#ddd"),
            _text(_x(tick), foot + 18, f"{tick:g}", anchor="middle"),
        ]
    parts.append(_line(_x(level), TOP, _x(level), foot, "#d00", dashed=True))
    for row, group in enumerate(groups):
        y = TOP + row * high
        parts += [_line(10, y, LEFT + WIDTH, y, "#eee"), _text(10, y + high // 2 + 4, group.label)]
        for place, rate in enumerate(group.rates):
            at = y + STEP * (place + 1)
            if rate is not None:
                low, up = rate.interval
                parts.append(_line(_x(low), at, _x(up), at, COLOURS[place], width=2))
                parts.append(f'<circle cx="{_x(rate.share)}" cy="{at}" r="4" fill="{COLOURS[place]}"/>')
    size = f'width="{LEFT + WIDTH + 30}" height="{foot + BOTTOM}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        *parts,
    ]
    return "\n".join([*parts, "</svg>\n"])


def _x(share: float) -> float:
    return round(LEFT + share * WIDTH, 1)


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, *, width: int = 1, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" {TEXT} text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
