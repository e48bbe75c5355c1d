"""The tables of an experiment file, as one list of columns per table, and the migrations that make them.

`n` is the number of symbols of the experiment; `DOUBLE[n]` columns are fixed vectors in the order of
`experiment.symbols`. Views for people who open the file in plain DuckDB stand in `views.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import duckdb

from tradearena.store.views import VIEWS

ENGINE = 5
"""Rules of the simulation: a change that alters any recorded number raises it, and starts new files."""


class Column(NamedTuple):
    """One column: `type` is a DuckDB type, in which `[n]` stands for one entry per symbol."""

    name: str
    type: str
    about: str
    text: bool = False
    nullable: bool = False
    refers: bool = False
    """The SHA-256 of a text that stands in `text`."""

    def sql(self, n: int) -> str:
        """The column as DDL."""
        compression = " USING COMPRESSION zstd" if self.text else ""
        return f'"{self.name}" {self.type.replace("[n]", f"[{n}]")}{compression}'


_EPISODE = Column("episode", "VARCHAR", "episode.id")
_BAR = Column("t", "INTEGER", "bar, counted in bars.t")

TABLES: dict[str, tuple[Column, ...]] = {
    "experiment": (
        Column("id", "VARCHAR", "hash of dataset digest, policy, window rule and engine"),
        Column("name", "VARCHAR", "name of the dataset"),
        Column("created_at", "TIMESTAMPTZ", "when the file was begun"),
        Column("engine", "INTEGER", "version of the rules of the simulation"),
        Column("dataset", "VARCHAR", "dataset card, JSON"),
        Column("dataset_digest", "VARCHAR", "SHA-256 of symbols, sectors, times and bars"),
        Column("warnings", "VARCHAR", "what was found in the bars, JSON list"),
        Column("policy", "VARCHAR", "policy file, JSON"),
        Column("policy_digest", "VARCHAR", "SHA-256 of the policy without its name"),
        Column("window", "VARCHAR", "window rule"),
        Column("symbols", "VARCHAR[]", "in the order of every vector"),
        Column("sectors", "VARCHAR[]", "of each symbol"),
        Column("bars_per_year", "DOUBLE", "to annualise"),
    ),
    "bars": (
        _BAR,
        Column("start", "TIMESTAMPTZ", "when the bar began"),
        Column("end", "TIMESTAMPTZ", "when it ended: it may be seen from then on"),
        Column("open", "DOUBLE[n]", "NaN where there is no bar"),
        Column("high", "DOUBLE[n]", ""),
        Column("low", "DOUBLE[n]", ""),
        Column("close", "DOUBLE[n]", ""),
        Column("volume", "DOUBLE[n]", "shares or units; infinite where the dataset has none"),
    ),
    "episode": (
        Column("id", "VARCHAR", "hash of agent, window, feedback, seed and replicate"),
        Column("agent", "VARCHAR", "name on the card"),
        Column("card", "VARCHAR", "agent card, JSON"),
        Column("agent_digest", "VARCHAR", "SHA-256 of what decides"),
        Column("feedback", "VARCHAR", "feedback mode: what the agent is told of its audits"),
        Column("wording", "VARCHAR", "the sentence it is told in, with $ names; empty where nothing is told"),
        Column("seed", "BIGINT", "seed of the agent's dice"),
        Column("replicate", "INTEGER", "0, or the count of --again"),
        Column("first", "INTEGER", "bar of the first decision"),
        Column("last", "INTEGER", "last bar of the episode"),
        Column("every", "INTEGER", "bars between decisions"),
        Column("parent", "VARCHAR", "the episode it was made from, JSON; {} where it stands by itself"),
        Column("manifest", "VARCHAR", "versions, processor, git revision and prices of models, JSON"),
        Column("started_at", "TIMESTAMPTZ", ""),
        Column("finished_at", "TIMESTAMPTZ", "NULL while it runs", nullable=True),
        Column("status", "VARCHAR", "running, complete, ruined, limited, interrupted or error"),
        Column("error", "VARCHAR", "what went wrong, in one sentence"),
        Column("root_hash", "VARCHAR", "last link of the hash chain"),
        Column("seal", "VARCHAR", "SHA-256 over all rows of the episode and what they refer to"),
    ),
    "step": (
        _EPISODE,
        _BAR,
        Column("observation", "BLOB", "SHA-256 of what the agent could see"),
        Column("status", "VARCHAR", "of the reply: ok, repaired, fallback or error"),
        Column("reason", "VARCHAR", "why it is not ok"),
        Column("kept", "BOOLEAN", "the reply keeps the position: intent is the weights held"),
        Column("rationale", "VARCHAR", "", text=True),
        Column("reflection", "VARCHAR", "", text=True),
        Column("confidence", "DOUBLE", "as stated, in [0, 1]", nullable=True),
        Column("stray", "VARCHAR", "stated weights that could not be placed, JSON list of pairs", text=True),
        Column("notes", "VARCHAR", "on single symbols, JSON list of symbol, reason and confidence", text=True),
        Column("told", "VARCHAR", "what the agent was told of its last audit", text=True),
        Column("intent", "DOUBLE[n]", "target weights as wished"),
        Column("approved", "DOUBLE[n]", "target weights as clipped"),
        Column("reference", "DOUBLE[n]", "weights of the reference portfolio"),
        Column("shares", "DOUBLE[n]", "position at this close"),
        Column("short", "BOOLEAN", "the covariance saw fewer bars than its lookback"),
        Column("gross", "DOUBLE", "of the approved weights"),
        Column("net", "DOUBLE", ""),
        Column("volatility", "DOUBLE", "ex ante, a year"),
        Column("herfindahl", "DOUBLE", ""),
        Column("effective_bets", "DOUBLE", ""),
        Column("distance", "DOUBLE", "L1 distance to the reference"),
        Column("latency", "DOUBLE", "seconds the agent took; in no hash"),
        Column("hash", "BLOB", "link of the hash chain"),
    ),
    "mark": (
        _EPISODE,
        _BAR,
        Column("nav", "DOUBLE", "executed book at the close"),
        Column("cash", "DOUBLE", ""),
        Column("owed", "DOUBLE", "borrow fees that cash could not pay yet"),
        Column("borrow", "DOUBLE", "borrow fee charged at this close"),
        Column("intent", "DOUBLE", "NAV of the intent book: as wished, without friction"),
        Column("approved", "DOUBLE", "NAV of the approved book: as clipped, without friction"),
        Column("reference", "DOUBLE", "NAV of the reference book, without friction"),
    ),
    "finding": (
        _EPISODE,
        _BAR,
        Column("seq", "INTEGER", "order in which the rules spoke"),
        Column("rule", "VARCHAR", ""),
        Column("scope", "VARCHAR", "symbol, group or portfolio"),
        Column("name", "VARCHAR", "of the symbol or group"),
        Column("proposed", "DOUBLE", ""),
        Column("approved", "DOUBLE", "what the rule let through"),
        Column("limit", "DOUBLE", ""),
        Column("severity", "VARCHAR", "flag (changed nothing), minor, major or critical"),
    ),
    "clip": (
        _EPISODE,
        _BAR,
        Column("seq", "INTEGER", "order in which the rules worked"),
        Column("rule", "VARCHAR", ""),
        Column("moved", "DOUBLE[n]", "what it took from the weights: those after it less those before"),
    ),
    "fill": (
        _EPISODE,
        Column("t", "INTEGER", "bar at whose open it happened"),
        Column("symbol", "SMALLINT", "place in experiment.symbols, from 0; the view fills has the name"),
        Column("decided", "INTEGER", "bar of the decision"),
        Column("ordered", "DOUBLE", "shares, signed"),
        Column("quantity", "DOUBLE", "shares filled, signed"),
        Column("price", "DOUBLE", "the open; 0 where there was no bar"),
        Column("commission", "DOUBLE", "money"),
        Column("spread", "DOUBLE", "money"),
        Column("impact", "DOUBLE", "money"),
        Column("cause", "TINYINT", "place in values.CAUSES of why the rest was cancelled"),
    ),
    "cluster": (
        _EPISODE,
        _BAR,
        Column("labels", "SMALLINT[n]", "coupled-cluster label per symbol, from this bar on"),
    ),
    "exchange": (
        _EPISODE,
        _BAR,
        Column("seq", "INTEGER", "order within the step; the decision is in the last reply"),
        Column("speaker", "VARCHAR", "name of an analyst; empty for the one who decides"),
        Column("turn", "INTEGER", "0 where a conversation begins, else the prompt goes on from the exchange before"),
        Column("tools", "BOOLEAN", "the reply calls tools: it is JSON, as is the next prompt, what they gave"),
        Column("cut", "BOOLEAN", "the reply was broken off before its end"),
        Column("system", "BLOB", "text.sha256 of what is said at every step", refers=True),
        Column("prompt", "BLOB", "text.sha256 of what was said at this one", refers=True),
        Column("reply", "BLOB", "text.sha256 of what was answered, as it came", refers=True),
    ),
    "state": (
        _EPISODE,
        _BAR,
        Column("exchange", "INTEGER", "exchange.seq of the reply that the model was writing"),
        Column("layer", "INTEGER", "0 are the embeddings, k is what stands after k blocks"),
        Column("pool", "VARCHAR", "mean over the tokens of the reply, or last: that of its last token"),
        Column("vector", "BLOB", "float32, little-endian, as many as the model is wide"),
    ),
    "call": (
        _EPISODE,
        _BAR,
        Column("seq", "INTEGER", "order of the requests of one step"),
        Column("exchange", "INTEGER", "exchange.seq of the reply it was made for, whether or not one came"),
        Column("model", "VARCHAR", "as it was asked for"),
        Column("parameters", "VARCHAR", "as sent, JSON"),
        Column("answered", "VARCHAR", "as it named itself; NULL where it did not"),
        Column("finish", "VARCHAR", "why its reply ended where it did, in its words"),
        Column("input_tokens", "INTEGER", "NULL where the model does not say", nullable=True),
        Column("cached_tokens", "INTEGER", "of the input, those it had read before", nullable=True),
        Column("output_tokens", "INTEGER", "", nullable=True),
        Column("reasoning_tokens", "INTEGER", "of the output, those it thought with", nullable=True),
        Column("cost", "DOUBLE", "US dollars at the prices of the day; NULL where the price is unknown", nullable=True),
        Column("latency", "DOUBLE", "seconds"),
        Column("error", "VARCHAR", "what went wrong; NULL where nothing did"),
        Column("reused", "BOOLEAN", "the reply of an earlier request, served again at no cost"),
    ),
    "text": (
        Column("sha256", "BLOB", "of a prompt or a reply; each is here once"),
        Column("lines", "VARCHAR", "line.id of its lines, in order, joined by commas", text=True),
    ),
    "line": (
        Column("id", "INTEGER", "number of the line"),
        Column("text", "VARCHAR", "without its end", text=True),
    ),
    "signature": (
        _EPISODE,
        Column("key", "BLOB", "public key of who signed it, Ed25519, 32 bytes"),
        Column("signature", "BLOB", "64 bytes, of the message that docs/verify.md states"),
        Column("signed_at", "TIMESTAMPTZ", "is signed as well"),
    ),
}

DERIVED: dict[str, tuple[Column, ...]] = {
    "embedding": (
        Column("text", "BLOB", "SHA-256 of the text, or of those of prompt and text where the probe reads both"),
        Column("probe", "VARCHAR", "what the vector depends on: the kind of probe, and the model by its weights"),
        Column("vector", "FLOAT[]", "in single precision, as the models compute"),
    ),
}
"""What was computed of the rest and may be computed again. It is in no chain and no seal; an older file lacks it."""
LATER = ("state", "clip")
"""Tables of later migrations. A file from before one lacks it, which is as if there were nothing in it."""

DONE = ("complete", "ruined")
"""Status of an episode that has come to its end; the others can be taken up again."""

EPISODE_TABLES = ("step", "mark", "finding", "clip", "fill", "cluster", "exchange", "call", "state")

KEYS = dict.fromkeys(("bars", *EPISODE_TABLES), "t") | {
    "fill": "t, symbol",
    **dict.fromkeys(("finding", "clip", "exchange", "call"), "t, seq"),
    "state": "t, exchange, layer, pool",
}
"""Order of a table's rows."""


def _create(db: duckdb.DuckDBPyConnection, n: int) -> None:
    """1: the tables of the first release."""
    for table in TABLES:
        if table not in LATER:
            _make(db, n, table)


def _embedding(db: duckdb.DuckDBPyConnection, n: int) -> None:
    """2: vectors of texts, kept because they are dear."""
    columns = ", ".join(column.sql(n) for column in DERIVED["embedding"])
    db.execute(f'CREATE TABLE IF NOT EXISTS "embedding" ({columns})')


def _states(db: duckdb.DuckDBPyConnection, n: int) -> None:
    """3: hidden states of models that ran in the process of the run."""
    _make(db, n, "state")


def _clips(db: duckdb.DuckDBPyConnection, n: int) -> None:
    """4: what each rule took, of episodes that begin from then on."""
    _make(db, n, "clip")


def _make(db: duckdb.DuckDBPyConnection, n: int, table: str) -> None:
    db.execute(f'CREATE TABLE "{table}" ({", ".join(column.sql(n) for column in TABLES[table])})')


MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection, int], None], ...] = (_create, _embedding, _states, _clips)
"""In order, each applied once and noted in the table `migration`."""


CLIPS = MIGRATIONS.index(_clips) + 1
"""Version of the schema from which on what each rule took is on record."""


def migrate(db: duckdb.DuckDBPyConnection, n: int, applied_at: str) -> None:
    """Bring a file up to the schema of this version."""
    db.execute("CREATE TABLE IF NOT EXISTS migration (version INTEGER, name VARCHAR, applied_at TIMESTAMPTZ)")
    ((done,),) = db.execute("SELECT coalesce(max(version), 0) FROM migration").fetchall()
    for version, migration in enumerate(MIGRATIONS[done:], start=done + 1):
        migration(db, n)
        db.execute("INSERT INTO migration VALUES (?, ?, ?)", [version, migration.__name__.strip("_"), applied_at])
    if done < len(MIGRATIONS):
        for name, query in VIEWS.items():
            db.execute(f'CREATE OR REPLACE VIEW "{name}" AS {query}')
