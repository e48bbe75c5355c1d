"""Experiment files as pandas frames: a file comes in; episodes, steps, weights and all else on record go out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from tradearena.errors import StoreError
from tradearena.panel import Panel
from tradearena.store import files
from tradearena.store.fields import FRAMES, Field, columns_of
from tradearena.store.reader import Reader
from tradearena.store.rows import EpisodeRow
from tradearena.store.texts import texts

if TYPE_CHECKING:
    import pandas as pd

_SAID = ("system", "prompt", "reply")


class Frames:
    """What an experiment file holds, as pandas frames. `tradearena.open` makes it.

    Each call reads the file anew and lets go of it, so that a run can go on writing: of an episode that is running, the
    next frame may hold more. Within `with tradearena.open(FILE) as found:` all frames are of one moment. Columns are
    listed in docs/schema.md; times are UTC, what is missing is NaN, NaT, None or <NA> after the kind of the column.

    Raises:
        UnknownName: no file is meant by this name, or no episode.
        StoreError: from every method: the file cannot be read, or is no experiment of ours.
    """

    def __init__(self, file: str | Path, *, episode: str | None = None, home: Path | None = None) -> None:
        """As `tradearena.open`."""
        self.path = files.resolve(str(file), home)
        self.episode = episode
        self._reader: Reader | None = None
        with self._reading() as reader:
            self._rows(reader)

    def __enter__(self) -> Frames:
        self._reader = Reader(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.__exit__(kind, error, trace)
        self._reader = None

    def __repr__(self) -> str:
        return f"tradearena.open({str(self.path)!r})"

    def episodes(self) -> pd.DataFrame:
        """One row per episode; `card` and `manifest` are dicts."""
        return self._frame("episodes")

    def steps(self) -> pd.DataFrame:
        """One row per decision: what was said and audited, and the account at this close."""
        return self._frame("steps")

    def weights(self) -> pd.DataFrame:
        """One row per decision and symbol: weights as wished, approved, of the reference, and held."""
        return self._frame("weights")

    def marks(self) -> pd.DataFrame:
        """One row per bar, decided or not: NAV of the executed book and of the three beside it."""
        return self._frame("marks")

    def findings(self) -> pd.DataFrame:
        """One row per word of the audit: rule, what was proposed, what it let through, and the limit."""
        return self._frame("findings")

    def clips(self) -> pd.DataFrame:
        """One row per rule that took something, and symbol: what it took from the weights."""
        return self._frame("clips")

    def fills(self) -> pd.DataFrame:
        """One row per order of a symbol: what was filled, at what price and cost, and why the rest was not."""
        return self._frame("fills")

    def clusters(self) -> pd.DataFrame:
        """One row per symbol and bar at which the coupled clusters changed."""
        return self._frame("clusters")

    def exchanges(self) -> pd.DataFrame:
        """One row per prompt and reply."""
        return self._frame("exchanges")

    def calls(self) -> pd.DataFrame:
        """One row per request to a model: tokens, cost, latency, error."""
        return self._frame("calls")

    def states(self) -> pd.DataFrame:
        """One row per layer and reply of a model that ran in this process: its hidden state, a list."""
        return self._frame("states")

    def bars(self) -> pd.DataFrame:
        """One row per bar and symbol."""
        return self._frame("bars")

    def experiment(self) -> dict[str, Any]:
        """The set-up: dataset card, policy, window rule, symbols and sectors."""
        with self._reading() as reader:
            return vars(reader.experiment()).copy()

    def _frame(self, name: str) -> pd.DataFrame:
        with self._reading() as reader:
            return frame(reader, name, self._rows(reader))

    def _rows(self, reader: Reader) -> list[EpisodeRow]:
        return reader.episodes() if self.episode is None else [reader.episode(self.episode)]

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        if self._reader is not None:
            yield self._reader
        else:
            with Reader(self.path) as reader:
                yield reader


def frame(reader: Reader, name: str, rows: Sequence[EpisodeRow]) -> pd.DataFrame:
    """One of `FRAMES`, of these episodes.

    Raises:
        StoreError: what stands in the file cannot stand in a file of ours.
    """
    import pandas as pd

    try:
        columns = _COMPOSED.get(name, _queried)(reader, name, rows)
    except (duckdb.Error, ValueError, TypeError, IndexError, RecursionError) as error:
        if isinstance(error, duckdb.Error) and not isinstance(
            error, duckdb.ConversionException | duckdb.BinderException
        ):
            raise StoreError(files.explain(reader.path, error)) from error
        raise StoreError(f"{reader.path}: its {name} do not fit together; it was changed, or is damaged") from None
    return pd.DataFrame({field.name: _typed(field, columns[field.name]) for field in columns_of(name)})


def _queried(reader: Reader, name: str, rows: Sequence[EpisodeRow], *names: str) -> dict[str, Any]:
    """Columns that one query gives; of those that are named, if any are."""
    spec = FRAMES[name]
    asked = "SELECT unnest($1) AS id, generate_subscripts($1, 1) - 1 AS k"
    fields = [field for field in spec.fields if field.source and (not names or field.name in names)]
    read = ", ".join(f'{_cast(field)} AS "{field.name}"' for field in fields)
    query = f"SELECT k, {read} FROM {spec.tables} JOIN ({asked}) asked ON asked.id = {spec.which} "
    order = ", ".join(["k", *([spec.order] if spec.order else [])])
    found = reader.db.execute(f"{query} ORDER BY {order}", [[row.id for row in rows]]).fetchnumpy()
    columns = {field.name: _read(field, found[field.name]) for field in fields}
    return {**_key(rows, np.asarray(found["k"])), **columns}


def _cast(field: Field) -> str:
    """A column in SQL, of a kind that numpy has."""
    if field.type == "TIMESTAMP":
        return f"epoch_us({field.source})::BIGINT"
    if field.type == "HEX":
        return f"lower(hex({field.source}))"
    return f"({field.source})::{'VARCHAR' if field.type == 'JSON' else field.type}"


def _read(field: Field, values: Any) -> Any:
    """Values of a column as DuckDB gives them; what is missing is masked."""
    if np.ma.is_masked(values) and not field.nullable:
        raise ValueError(f"{field.name} is missing")
    return [json.loads(value) for value in values] if field.type == "JSON" else values


def _key(rows: Sequence[EpisodeRow], k: Any) -> dict[str, Any]:
    """What tells episodes apart, for rows of the episodes in places `k`; each text is one object."""
    texts_of = {"episode": [row.id for row in rows], "agent": [row.agent for row in rows]}
    texts_of["feedback"] = [row.feedback for row in rows]
    columns = {name: np.array([*values, None], dtype=object)[:-1][k] for name, values in texts_of.items()}
    return {**columns, "seed": np.array([row.seed for row in rows], dtype=np.int64)[k]}


def _weights(reader: Reader, _name: str, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """The four books, symbol by symbol."""
    panel = _panel(reader)
    base = _queried(reader, "steps", rows, "t", "time", "nav")
    books = {name: _stacked(reader, "step", name, rows) for name in ("intent", "approved", "reference", "shares")}
    t = np.asarray(base["t"])
    with np.errstate(all="ignore"):  # a ruined book has a NAV of nothing
        books["executed"] = books["shares"] * np.nan_to_num(panel.mark[t]) / np.asarray(base.pop("nav"))[:, None]
    return _long(reader, base, {**books, "stale": ~panel.tradable[t]})


def _clusters(reader: Reader, _name: str, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """Labels, symbol by symbol."""
    query = "SELECT k, t FROM cluster JOIN (SELECT unnest($1) AS episode, generate_subscripts($1, 1) - 1 AS k) "
    found = reader.db.execute(f"{query} USING (episode) ORDER BY k, t", [[row.id for row in rows]]).fetchnumpy()
    t = np.asarray(found["t"]).astype(np.int64)
    base = {**_key(rows, np.asarray(found["k"])), "t": t, "time": _panel(reader).end[t].astype(np.int64)}
    return _long(reader, base, {"label": _stacked(reader, "cluster", "labels", rows)})


def _clips(reader: Reader, name: str, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """What each rule took, symbol by symbol."""
    return _long(reader, _queried(reader, name, rows), {"moved": _stacked(reader, "clip", "moved", rows)})


def _panel(reader: Reader) -> Panel:
    """The bars, of which t is the place."""
    panel, t = reader.panel(), reader.db.execute("SELECT t FROM bars ORDER BY t").fetchnumpy()["t"]
    if not np.array_equal(np.asarray(t), np.arange(len(panel))):
        raise ValueError("a bar is missing")
    return panel


def _stacked(reader: Reader, table: str, column: str, rows: Sequence[EpisodeRow]) -> Any:
    """[rows, N] of a vector column of some episodes, one after the other."""
    parts = [reader.vectors(table, column, episode=row.id)[0] for row in rows]
    return np.concatenate(parts) if parts else np.zeros((0, len(reader.experiment().symbols)))


def _long(reader: Reader, base: dict[str, Any], vectors: dict[str, Any]) -> dict[str, Any]:
    """Rows of a vector each become rows of a symbol each."""
    symbols = np.array([*reader.experiment().symbols, None], dtype=object)[:-1]
    if any(vector.shape != (len(base["t"]), len(symbols)) for vector in vectors.values()):
        raise ValueError("not a vector for each row")
    spread = {name: np.repeat(values, len(symbols)) for name, values in base.items()}
    return {**spread, "symbol": np.tile(symbols, len(base["t"])), **{n: v.ravel() for n, v in vectors.items()}}


def _exchanges(reader: Reader, name: str, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """Prompts and replies; each text is one object, however often it was said. One that a damaged file lacks is ""."""
    columns = _queried(reader, name, rows)
    for said in _SAID:
        columns[said] = []
    for row in rows:
        found = texts(reader.db, "WHERE episode = ?", [row.id])
        query = f"SELECT {', '.join(_SAID)} FROM exchange WHERE episode = ? ORDER BY t, seq"
        for digests in reader.db.execute(query, [row.id]).fetchall():
            for said, digest in zip(_SAID, digests, strict=True):
                columns[said].append(found.get(bytes(digest or b""), ""))
    return columns


def _states(reader: Reader, name: str, rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """Hidden states, each as a list."""
    held = (state for row in rows for own in reader.states(row.id).values() for state in own)
    return {**_queried(reader, name, rows), "vector": [state.array.tolist() for state in held]}


def _bars(reader: Reader, _name: str, _rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """The panel, symbol by symbol."""
    panel = _panel(reader)
    base = {"t": np.arange(len(panel)), "start": panel.start.astype(np.int64), "end": panel.end.astype(np.int64)}
    return _long(reader, base, {name: getattr(panel, name) for name in ("open", "high", "low", "close", "volume")})


_COMPOSED: dict[str, Callable[[Reader, str, Sequence[EpisodeRow]], dict[str, Any]]] = {
    "weights": _weights,
    "clips": _clips,
    "clusters": _clusters,
    "exchanges": _exchanges,
    "states": _states,
    "bars": _bars,
}


def _typed(field: Field, values: Any) -> Any:
    """A column as pandas has it: str, int64 or Int64, float64, bool, or times in UTC; what is parsed JSON as it is."""
    import pandas as pd

    missing = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else np.zeros(len(values), dtype=bool)
    held = np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values
    if field.type == "JSON":
        return pd.Series(held, dtype=object)
    if field.type in ("VARCHAR", "HEX"):
        said = np.array([*held, None], dtype=object)[:-1]
        said[missing] = None
        return pd.Series(said, dtype="str" if pd.__version__ >= "3" else object)
    if field.type == "TIMESTAMP":
        times = np.where(missing, 0, held).astype(np.int64).astype("datetime64[us]")
        times[missing] = np.datetime64("NaT")
        return pd.DatetimeIndex(times, tz="UTC")
    if field.type == "BIGINT":
        counts = np.where(missing, 0, held).astype(np.int64)
        return pd.arrays.IntegerArray(counts, missing) if field.nullable else counts
    return np.where(missing, np.nan, held).astype(float) if field.type == "DOUBLE" else np.asarray(held, dtype=bool)
