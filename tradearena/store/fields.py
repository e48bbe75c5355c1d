"""The frames of an experiment file, as one list of columns each: what a user of pandas gets, and what is exported.

All of it is made of the tables of `schema.TABLES`, whose words describe the columns that are taken over as they are.
"""

from __future__ import annotations

from typing import NamedTuple

from tradearena.store.schema import TABLES
from tradearena.values import CAUSES


class Field(NamedTuple):
    """One column of a frame: `type` is VARCHAR, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP (UTC), JSON or HEX, `source` what it
    is in SQL; none where it is put together in Python."""

    name: str
    type: str
    about: str
    source: str = ""
    nullable: bool = False


class Frame(NamedTuple):
    """One frame: its rows are those of `tables` in SQL, joined to the episodes asked for by `which`, in this order;
    none where it is put together in Python. `keyed`: it begins with the columns `KEY` that tell episodes apart."""

    about: str
    fields: tuple[Field, ...]
    tables: str = ""
    order: str = ""
    which: str = "x.episode"
    keyed: bool = True


KEY = (
    Field("episode", "VARCHAR", "id: hash of agent, window, feedback, seed and replicate"),
    Field("agent", "VARCHAR", "as on its card"),
    Field("feedback", "VARCHAR", "feedback mode"),
    Field("seed", "BIGINT", "of the agent's dice"),
)

_TYPES = {"INTEGER": "BIGINT", "SMALLINT": "BIGINT", "TINYINT": "BIGINT", "TIMESTAMPTZ": "TIMESTAMP", "BLOB": "HEX"}

_NULLS = {"reflection", "told", "error", "root_hash", "seal", "answered", "finish"}
"""Texts that may be missing."""

_AT_BAR = "JOIN bars b ON b.t = x.t"


def _of(table: str, names: str, alias: str = "x") -> tuple[Field, ...]:
    """Columns of a table, as they are."""
    known = {column.name: column for column in TABLES[table]}
    columns = [known[name] for name in names.split()]
    return tuple(
        Field(c.name, _TYPES.get(c.type, c.type), c.about, f'{alias}."{c.name}"', c.nullable or c.name in _NULLS)
        for c in columns
    )


def _json(table: str, name: str, about: str) -> Field:
    (field,) = _of(table, name)
    return field._replace(type="JSON", about=about)


_T = _of("step", "t")
_TIME = Field("time", "TIMESTAMP", "when bar t ended", 'b."end"')
_SYMBOL = Field("symbol", "VARCHAR", "")

FRAMES: dict[str, Frame] = {
    "episodes": Frame(
        "One row per episode, in the order they were begun.",
        (
            *_of("episode", "wording replicate first last every"),
            Field("steps", "BIGINT", "decisions on record", "(SELECT count(*) FROM step WHERE episode = x.id)"),
            *_of("episode", "started_at finished_at status error root_hash seal agent_digest"),
            _json("episode", "card", "agent card, a dict"),
            _json("episode", "manifest", "what made it: versions, processor, git revision; a dict"),
        ),
        "episode x",
        which="x.id",
    ),
    "steps": Frame(
        "One row per decision: reply, audit in numbers, account at this close. Weights are in `weights`.",
        (
            *_T,
            _TIME,
            *_of("step", "status reason kept rationale reflection confidence"),
            _json("step", "notes", "on single symbols: a list of symbol, reason and confidence"),
            _json("step", "stray", "stated weights that could not be placed: a list of pairs"),
            *_of("step", "told short gross net volatility herfindahl effective_bets distance"),
            *_of("mark", "nav cash owed", "m"),
            *_of("step", "latency hash"),
        ),
        f"step x {_AT_BAR} JOIN mark m ON m.episode = x.episode AND m.t = x.t",
        "x.t",
    ),
    "weights": Frame(
        "One row per decision and symbol: the four books, long.",
        (
            *_T,
            _TIME,
            _SYMBOL,
            Field("intent", "DOUBLE", "target weight as wished"),
            Field("approved", "DOUBLE", "target weight as clipped"),
            Field("reference", "DOUBLE", "weight of the reference portfolio"),
            Field("executed", "DOUBLE", "weight held at this close: shares at the last mark, over NAV"),
            Field("shares", "DOUBLE", "held at this close"),
            Field("stale", "BOOLEAN", "nothing traded in this bar"),
        ),
    ),
    "marks": Frame(
        "One row per bar, decided or not: NAV, and the books beside it.",
        (*_T, _TIME, *_of("mark", "nav cash owed borrow intent approved reference")),
        f"mark x {_AT_BAR}",
        "x.t",
    ),
    "findings": Frame(
        "One row per word of the audit.",
        (*_T, _TIME, *_of("finding", "seq rule scope name proposed approved limit severity")),
        f"finding x {_AT_BAR}",
        "x.t, x.seq",
    ),
    "clips": Frame(
        "One row per rule that took something, and symbol.",
        (
            *_T,
            _TIME,
            *_of("clip", "seq rule"),
            _SYMBOL,
            Field("moved", "DOUBLE", "what the rule took from its weight: that after it less that before"),
        ),
        f"clip x {_AT_BAR}",
        "x.t, x.seq",
    ),
    "fills": Frame(
        "One row per order of a symbol, filled or not.",
        (
            *_of("fill", "t"),
            Field("time", "TIMESTAMP", "when bar t began", "b.start"),
            *_of("fill", "decided"),
            Field("symbol", "VARCHAR", "", "(SELECT symbols FROM experiment)[x.symbol + 1]"),
            *_of("fill", "ordered quantity price commission spread impact"),
            Field("cause", "VARCHAR", "why the rest was cancelled; empty where there was none",
                  f"{list(CAUSES)}[x.cause + 1]"),
        ),
        f"fill x {_AT_BAR}",
        "x.t, x.symbol",
    ),
    "clusters": Frame(
        "One row per bar at which the coupled clusters changed, and symbol.",
        (*_T, _TIME, _SYMBOL, Field("label", "BIGINT", "symbols with the same one are coupled, from this bar on")),
    ),
    "exchanges": Frame(
        "One row per prompt and reply of an agent that is asked in words.",
        (
            *_T,
            _TIME,
            *_of("exchange", "seq speaker turn tools cut"),
            Field("status", "VARCHAR", "of the decision; missing where it was not reached", "s.status", nullable=True),
            Field("system", "VARCHAR", "what is said at every step"),
            Field("prompt", "VARCHAR", "what was said at this one"),
            Field("reply", "VARCHAR", "what was answered, as it came"),
        ),
        f"exchange x {_AT_BAR} LEFT JOIN step s ON s.episode = x.episode AND s.t = x.t",
        "x.t, x.seq",
    ),
    "calls": Frame(
        "One row per request to a model.",
        (
            *_T,
            _TIME,
            *_of("call", "seq exchange model"),
            _json("call", "parameters", "as sent, a dict"),
            *_of("call", "answered finish input_tokens cached_tokens output_tokens reasoning_tokens cost"),
            *_of("call", "latency error reused"),
        ),
        f"call x {_AT_BAR}",
        "x.t, x.seq",
    ),
    "states": Frame(
        "One row per layer and reply of a model that ran in the process of the run: what went on in it as it wrote.",
        (
            *_T,
            _TIME,
            *_of("state", "exchange layer pool"),
            Field("vector", "JSON", "a list of numbers, as many as the model is wide"),
        ),
        f"state x {_AT_BAR}",
        "x.t, x.exchange, x.layer, x.pool",
    ),
    "bars": Frame(
        "One row per bar and symbol: the market that all episodes of the file saw.",
        (
            *_of("bars", "t start end"),
            _SYMBOL,
            *(Field(name, "DOUBLE", "NaN where there is no bar") for name in ("open", "high", "low", "close")),
            Field("volume", "DOUBLE", "shares or units; infinite where the dataset has none"),
        ),
        keyed=False,
    ),
}  # fmt: skip


def columns_of(name: str) -> tuple[Field, ...]:
    """All columns of a frame, the key among them."""
    frame = FRAMES[name]
    return (*KEY, *frame.fields) if frame.keyed else frame.fields
