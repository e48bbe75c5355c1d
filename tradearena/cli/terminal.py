"""Text comes in, what a terminal may be shown of it goes out: what an agent or a stranger's file says must not move the
cursor, colour the screen or rename the window."""

from __future__ import annotations

import re

import typer

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text without control characters; line breaks and tabs stay."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def say(text: str, *, err: bool = False) -> None:
    """Print a line."""
    typer.echo(plain(text), err=err)
