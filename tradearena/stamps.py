"""How a stamp of text is read, in SQL for DuckDB: an expression for a text comes in; expressions for whether it carries
a zone, and for the time it says, go out.

What cannot be understood is NULL. DuckDB by itself would take `09:30 EST` for 09:30 on whatever clock comes next.
"""

from __future__ import annotations

from typing import NamedTuple

ZONE = r"\s*(z|utc|gmt|[a-z]+/[a-z_/]+|[+-]\d\d(:?\d\d)?)$"
_ZONED = rf":\d\d(\.\d+)?{ZONE}"


class Clock(NamedTuple):
    """The clock of a dataset: the zone of stamps that carry none, and whether its bars last a day or more."""

    timezone: str = "UTC"
    daily: bool = False


GREENWICH = Clock()


def zoned(text: str) -> str:
    """Does it end with a zone that is known, after a time of day?"""
    return f"regexp_matches({text}, '{_ZONED}', 'i')"


def instant(text: str) -> str:
    """What it says with its zone."""
    return f"TRY_CAST({text} AS TIMESTAMPTZ)"


def local(text: str) -> str:
    """What it says without one: a word beside date and time is none that we know."""
    spoken = rf"regexp_matches(regexp_replace({text}, '(\d)T(\d)', '\1 \2', 'i'), '[a-z]', 'i')"
    return f"CASE WHEN NOT {spoken} THEN TRY_CAST({text} AS TIMESTAMP) END"
