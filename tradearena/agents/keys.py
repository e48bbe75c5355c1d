"""Keys of models: a `.env` file goes into the environment; a text comes in, and goes out with every secret of the
environment struck out."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, unquote

from tradearena.errors import CardError

STRUCK = "[key]"
"""Stands where a secret stood."""

SHORTEST = 6
"""Characters below which a value is no secret: to strike out every `1` would leave nothing to read."""

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)([^\s/?#\"'<>]+)@")
_ARGUMENT = re.compile(
    r"(?<=[?&;])([\w.-]*(?:key|token|secret|password|passwd|signature|credential)[\w.-]*=)"
    rf"(?!{re.escape(STRUCK)})([^\s&;#\"'<>)\]}}]+)",
    re.IGNORECASE,
)
_guarded: set[str] = set()
_CODED = "[A-Za-z0-9+/_-]"
_Patterns: TypeAlias = tuple[re.Pattern[str], ...]


def read_dotenv(folder: Path) -> tuple[str, ...]:
    """Add to the environment what the file `.env` of a folder says, and return the names that were added. What the
    environment has already stays, unless it is blank.

    Raises:
        CardError: the file cannot be read; names the line, never what stands there.
    """
    path = folder / ".env"
    if path.is_dir() or not path.exists():  # a virtual environment may bear that name
        return ()
    from dotenv.parser import parse_stream  # what dotenv_values leaves out: on which line a mistake is

    said = {}
    for binding in parse_stream(StringIO(_text(path))):
        key, value = binding.key, binding.value
        if binding.error or (key is not None and (value is None or "\0" in key + value)):
            raise CardError(f"{path}, line {binding.original.line}: not of the form NAME=value; mend or remove it")
        if key and value and not os.environ.get(key, "").strip():
            said[key] = value
    os.environ.update(said)
    return tuple(said)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CardError(f"{path}: cannot be read: it is no text in UTF-8") from None


def guard(name: str) -> None:
    """Take the value of a variable of the environment for a secret, whatever its name is."""
    _guarded.add(name)


def secrets() -> tuple[str, ...]:
    """The secrets of the environment: values whose name says so, and what addresses carry of logins and keys. The
    longest come first: one may be the beginning of another."""
    found = {value.strip() for name, value in os.environ.items() if name in _guarded or _NAMED.search(name)}
    for value in os.environ.values():
        found |= _carried(value) if "://" in value else set()
    return tuple(sorted((secret for secret in found if len(secret) >= SHORTEST), key=lambda each: (-len(each), each)))


def hide(text: str) -> str:
    """The text without secrets: whatever stands where an address has a login or a key, whosever it is; and those of the
    environment, as they are, escaped, or in base64."""
    return _without(_patterns(secrets()), text)


def stripped(value: Any) -> Any:
    """A value as JSON has it, every text in it without secrets; names of keys stay."""
    return _strip(_patterns(secrets()), value)


def _strip(patterns: _Patterns, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strip(patterns, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strip(patterns, inner) for inner in value]
    return _without(patterns, value) if isinstance(value, str) else value


def _without(patterns: _Patterns, text: str) -> str:
    text = _ARGUMENT.sub(rf"\g<1>{STRUCK}", _LOGIN.sub(f"{STRUCK}@", text))
    for pattern in patterns:
        text = pattern.sub(STRUCK, text)
    return text


def _carried(address: str) -> set[str]:
    """What an address carries that is nobody else's business: `user:password@`, `?key=...`."""
    logins = [password or user for user, _, password in (login.partition(":") for login in _LOGIN.findall(address))]
    values = [value for _, value in _ARGUMENT.findall(address)]
    return {form for value in logins + values for form in (value, unquote(value))}


@lru_cache(maxsize=4)
def _patterns(hidden: tuple[str, ...]) -> _Patterns:
    """What to look for: every spelling of every secret, and base64 that one shows through."""
    if not hidden:
        return ()
    spelt = sorted({form for secret in hidden for form in _spellings(secret)}, key=len, reverse=True)
    cores = sorted({core for secret in hidden for core in _cores(secret)}, key=len, reverse=True)
    return (
        re.compile("|".join(r"\s+".join(map(re.escape, form.split())) for form in spelt)),
        re.compile(f"(?<!{_CODED}){_CODED}*(?:{'|'.join(map(re.escape, cores))}){_CODED}*={{0,2}}"),
    )


def _spellings(secret: str) -> set[str]:
    """A secret as it is, in an address, in JSON, in JSON within JSON, in Python, and on a page."""
    raw = os.fsencode(secret)
    urls = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
    urls |= {re.sub("%..", lambda escape: escape.group().lower(), url) for url in urls}
    once = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    twice = {json.dumps(form)[1:-1] for form in once}
    pages = {html.escape(secret), html.escape(secret, quote=False)}
    return {secret, *urls, *once, *twice, *(form.replace("/", "\\/") for form in once), *pages}


def _cores(secret: str) -> set[str]:
    """What base64 makes of a secret, wherever in a longer text it begins: three shifts, without the characters that
    the neighbours have a part in."""
    found = set()
    for shift in range(3):
        raw = b"\0" * shift + os.fsencode(secret)
        whole = base64.b64encode(raw).decode()[(0, 2, 3)[shift] : len(raw) * 8 // 6]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return found
