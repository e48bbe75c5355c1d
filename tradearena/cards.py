"""Reads what users write by hand: a TOML file and a pydantic model come in, a frozen model goes out.

Whatever is wrong is said in one sentence that names the file and the line.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tradearena.errors import CardError


class Card(BaseModel):
    """Base of everything read from TOML: frozen, no key that is not known, no `true` that passes for the number 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


C = TypeVar("C", bound=BaseModel)


def read(path: Path, model: type[C]) -> C:
    """Read one card.

    Raises:
        CardError: the file is missing, is not TOML, or does not fit the model; names file and line.
    """
    text = text_of(path)
    return fit(model, parse(text, path), path=path, text=text)


def text_of(path: Path) -> str:
    """The text of a file, or a CardError that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CardError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: cannot be read: {error}") from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """TOML text as a dictionary, or a CardError that names file and line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CardError(f"{path}: not valid TOML: {error}") from None


def fit(model: type[C], data: dict[str, Any], *, path: Path, text: str, under: tuple[str, ...] = ()) -> C:
    """Validate a table of a card; `under` says which table of the file it is, so that the line can be named."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = (*under, *(str(part) for part in first["loc"]))
        line = line_of(text, keys)
        where = f"{path}, line {line}" if line else f"{path}"
        complaint = first["msg"].removeprefix("Value error, ")
        known = _known(model, first, keys[len(under) :])
        raise CardError(f"{where}: {'.'.join(keys) or 'card'}: {complaint}{known}") from None


def _known(model: type[BaseModel], problem: Any, keys: tuple[str, ...]) -> str:
    """For a key that is not known: the keys that are."""
    if problem["type"] != "extra_forbidden":
        return ""
    for key in keys[:-1]:
        inner = model.model_fields[key].annotation if key in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ""
        model = inner
    return f"; known keys: {', '.join(model.model_fields)}"


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """1-based line of a key in TOML text: its own, else that of the nearest table above it; None if neither stands."""
    table: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?([^\]]+)\]\]?", line):
            table = tuple(part.strip().strip("\"'") for part in header.group(1).split("."))
            path = table
        elif assignment := re.match(r"\s*([\w\-\"'.^]+)\s*=", line):
            path = (*table, *(part.strip("\"'") for part in assignment.group(1).split(".")))
        else:
            continue
        if path == keys[: len(path)] and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None
