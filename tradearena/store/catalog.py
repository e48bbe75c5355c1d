"""An open experiment file comes in; what it defines beside, or otherwise than, this version does goes out.

Our own program runs nothing that is stored in a file. People who open one in plain DuckDB do: a view that leaves rows
out, or a macro that passes for a function, would tell them something else than the rows under the seal say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

import duckdb

from tradearena.store.schema import migrate

_DEFINED = """
    SELECT 'table' AS kind, schema_name, table_name AS name, sql || coalesce(' -- ' || comment, '') AS definition
    FROM duckdb_tables() WHERE database_name = $of AND NOT internal
    UNION ALL SELECT 'view', schema_name, view_name, sql FROM duckdb_views()
    WHERE database_name = $of AND NOT internal
    UNION ALL SELECT 'index', schema_name, index_name, sql FROM duckdb_indexes() WHERE database_name = $of
    UNION ALL SELECT 'sequence', schema_name, sequence_name, sql FROM duckdb_sequences() WHERE database_name = $of
    UNION ALL SELECT 'type', schema_name, type_name, logical_type FROM duckdb_types()
    WHERE database_name = $of AND NOT internal
    UNION ALL SELECT function_type, schema_name, function_name,
                     string_agg(macro_definition, '; ' ORDER BY macro_definition)
    FROM duckdb_functions() WHERE database_name = $of AND NOT internal GROUP BY ALL"""
"""All that a database defines. A schema without anything in it misleads nobody."""


class Stray(NamedTuple):
    """A definition that is not as it must be: what stands there and what should; None where there is none."""

    kind: str
    name: str
    stands: str | None
    should: str | None


def strays(db: duckdb.DuckDBPyConnection, symbols: int, *, earlier: bool) -> Iterator[Stray]:
    """What the database attached as `file` defines, and this version does not define so.

    Args:
        earlier: it is of an earlier schema, which may lack something, and whose views may say it otherwise.
    """
    with duckdb.connect() as model:
        migrate(model, symbols, "1970-01-01 00:00:00+00")
        ours, theirs = _defined(model, "memory"), _defined(db, "file")
    for kind, name in sorted(ours.keys() | theirs.keys()):
        should, stands = ours.get((kind, name)), theirs.get((kind, name))
        missing_table = stands is None and kind == "table"  # of those without which there is no record a reader says so
        if stands == should or missing_table or (earlier and should is not None and kind == "view"):
            continue
        yield Stray(kind, name, *_apart(stands, should))


def _defined(db: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], str | None]:
    rows = db.execute(_DEFINED, {"of": database}).fetchall()
    return {(kind, name if schema == "main" else f"{schema}.{name}"): said for kind, schema, name, said in rows}


def _apart(stands: str | None, should: str | None) -> tuple[str | None, str | None]:
    """Two definitions from a few words before they part: all else of them is alike."""
    if stands is None or should is None:
        return stands, should
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(stands, should, strict=False)))
    begin = max(0, alike - 20)
    return stands[begin:], should[begin:]
