"""The page docs/schema.md: tables, columns, views and frames of an experiment file, as the program uses them.

python docs/examples/schema_page.py        rewrites docs/schema.md
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from tradearena.store.fields import FRAMES, KEY, Field
from tradearena.store.schema import DERIVED, MIGRATIONS, TABLES, migrate
from tradearena.store.views import VIEWS
from tradearena.values import CAUSES

PAGE = Path(__file__).resolve().parents[1] / "schema.md"

HEAD = """
# Schema of an experiment file

<!-- Made by docs/examples/schema_page.py from tradearena/store/schema.py. Change those, not this page. -->

`replays/<utc time>-<dataset>-<id>.duckdb` is an ordinary DuckDB file. `tradearena sql FILE QUERY` asks it, read-only
and without access to anything outside it; so does any other DuckDB, version 1.4 or newer.

`n` is the number of symbols of the experiment. A `DOUBLE[n]` is a vector in the order of `experiment.symbols`. Times
are UTC. Weights are fractions of NAV, money is in the dataset's currency. Bars are counted from 0: `t` is the same bar
in every table.

## Questions

What changed this agent's wishes, and how often?

```sql
SELECT rule, severity, count(*) AS n
FROM finding WHERE severity <> 'flag'
GROUP BY ALL ORDER BY n DESC
```

What did it say when its wish was cut most?

```sql
SELECT s.t, s.time, sum(abs(w.intent - w.approved)) AS clipped, s.rationale
FROM steps s JOIN weights w USING (episode, t)
GROUP BY ALL ORDER BY clipped DESC LIMIT 5
```

Where were wish, approval and position of one symbol apart?

```sql
SELECT t, symbol, intent, approved, executed, reference
FROM weights WHERE abs(intent - executed) > 0.05 ORDER BY t LIMIT 20
```

What did trading cost, and what was not filled?

```sql
SELECT symbol, sum(commission + spread + impact) AS cost, count(*) FILTER (cause <> '') AS cut_short
FROM fills GROUP BY symbol ORDER BY cost DESC
```

What was an agent told, and what did it answer?

```sql
SELECT s.t, s.told, x.prompt, x.reply
FROM step s JOIN exchanges x USING (episode, t) WHERE s.told IS NOT NULL ORDER BY s.t, x.seq LIMIT 1
```

## Tables
"""

ABOUT = {
    "experiment": "One row: what all episodes of the file share.",
    "bars": "The bars, once. One row per bar time.",
    "episode": "One row per episode.",
    "step": "One row per decision: what was seen, said, wished for and approved at the close of bar `t`.",
    "mark": "One row per bar of an episode, decided or not: the account and the paper books at the close.",
    "finding": "One row per rule that spoke at a step.",
    "clip": "One row per rule that took something from the weights of a step: those wished for and all of these are "
    "those approved. Of an episode that schema 1 began there is none.",
    "fill": "One row per symbol and open at which something was due. The view `fills` has names for numbers.",
    "cluster": "Coupled clusters: one row whenever they changed.",
    "exchange": "One row per reply of who is asked in words: of analysts before the agent, and of each round of tools.",
    "state": "One row per layer and reply of a model that ran in the process of the run ([whitebox](whitebox.md)).",
    "call": "One row per request to a model.",
    "text": "Prompts and replies, by the hash of each. The view `texts` puts them together again.",
    "line": "Their lines, each once: a prompt repeats most of the one before it.",
    "signature": "One row per episode and key that signed it: `tradearena run --sign KEY`.",
    "embedding": "Vectors of texts that took a model to compute. Derived: in no chain or seal, and may be deleted.",
    "texts": "Prompts and replies in full.",
    "exchanges": "The table `exchange` with its texts, and what became of the decision.",
    "calls": "The table `call`, with the agent, its feedback mode and its seed.",
    "steps": "A step as people read it, with time, NAV and cash.",
    "weights": "One row per step and symbol. `executed` is the weight held at the close.",
    "fills": "The table `fill` with the symbol's name and the cause in words.",
    "bar": "One row per bar time and symbol.",
    "clips": "The table `clip` with one row per symbol.",
    "books": "What each symbol earned at each bar in the frictionless books between wish and approval, one after each "
    "rule that took something, in money: `place` 0 holds the intent, the last what was approved.",
    "attribution": "What each symbol earned at each bar, in money, part by part from what was wished to what was had "
    "([waterfall](waterfall.md)): `part` is `intent`, `risk: RULE`, `execution` or a cost, `place` their order, "
    "`decided` the bar of the decision in force. Where no rule is on record all of them are in `risk`.",
    "waterfall": "The same with a column for each part, the rules taken together.",
}


FRAMES_HEAD = """
## Frames

The same for pandas. The file is a path, or a name or id as the command line takes it; `episode=` restricts it to one
episode. It is opened for each frame and let go of, so that a run can go on writing; in a `with` block all frames are of
one moment. `tradearena export` writes the same frames as Parquet and CSV: [export.md](export.md).

```python
import tradearena

steps = tradearena.open("ID").steps()
with tradearena.open("replays/x.duckdb", episode="momentum") as found:
    weights, calls = found.weights(), found.calls()
    policy = found.experiment()["policy"]
```

Times are UTC, hashes hexadecimal. With pandas before 3 `str` is `object`. All frames but `bars()` begin with these
columns:
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD.strip(), "", *tables(), *views(), *frames(), *migrations()])


def tables() -> Iterator[str]:
    """Every table with its columns."""
    for table, columns in (TABLES | DERIVED).items():
        yield from (f"### {table}", "", ABOUT[table], "", "| column | type | |", "|---|---|---|")
        yield from (f"| `{column.name}` | `{column.type}` | {column.about} |" for column in columns)
        yield ""
    words = "; ".join(f"{number} {cause or 'filled'}" for number, cause in enumerate(CAUSES))
    yield from (f"`fill.cause`: {words}.", "")


def views() -> Iterator[str]:
    """Every view with its columns, as DuckDB describes them."""
    yield from (
        "## Views",
        "",
        "Stored in the file for those who open it in plain DuckDB. `tradearena sql` makes its own and runs none that a",
        "file brings along. Vectors are lists here, which every client can read.",
        "",
    )
    with duckdb.connect() as db:
        migrate(db, 2, "2000-01-01T00:00:00Z")
        for view in VIEWS:
            yield from (f"### {view}", "", ABOUT[view], "", "| column | type |", "|---|---|")
            described = db.execute(f'DESCRIBE "{view}"').fetchall()
            yield from (f"| `{name}` | `{kind}` |" for name, kind, *_ in described)
            yield ""


DTYPES = {
    "VARCHAR": "str",
    "HEX": "str",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "BOOLEAN": "bool",
    "TIMESTAMP": "datetime64[us, UTC]",
    "JSON": "object",
}


def frames() -> Iterator[str]:
    """Every frame with its columns, as pandas has them."""
    yield from (FRAMES_HEAD.strip(), "", *_columns(KEY))
    for name, frame in FRAMES.items():
        yield from (f"### {name}()", "", frame.about, "", *_columns(frame.fields))


def _columns(fields: tuple[Field, ...]) -> Iterator[str]:
    yield from ("| column | dtype | |", "|---|---|---|")
    for field in fields:
        dtype = "Int64" if field.type == "BIGINT" and field.nullable else DTYPES[field.type]
        missing = ["may be missing"] if field.nullable and field.type != "BIGINT" else []
        yield f"| `{field.name}` | `{dtype}` | {'; '.join([field.about, *missing] if field.about else missing)} |"
    yield ""


def migrations() -> Iterator[str]:
    """The versions of the schema."""
    yield from (
        "## Versions",
        "",
        "The table `migration` (`version`, `name`, `applied_at`) lists the versions of the schema a file went through.",
        "",
        "| version | name | |",
        "|---|---|---|",
    )
    for version, migration in enumerate(MIGRATIONS, start=1):
        about = (migration.__doc__ or "").removeprefix(f"{version}:").strip()
        yield f"| {version} | `{migration.__name__.strip('_')}` | {about} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
