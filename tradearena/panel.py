"""The market as arrays: validated bars come in, a read-only `Panel` goes out that can be cut at any bar.

Shapes: T bars, N symbols. Times are UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Labels: TypeAlias = NDArray[np.int16]
Times: TypeAlias = NDArray[np.datetime64]


def ratio(value: Array, price: Array) -> Array:
    """value / price, and 0 where there is no price yet. The last axis of `value` is that of `price` [N]."""
    if np.minimum.reduce(price) > 0.0:
        return value / price
    return np.divide(value, price, out=np.zeros_like(value), where=price > 0.0)


@dataclass(frozen=True)
class Panel:
    """Validated bars of N symbols over T bar times, read-only.

    `open, high, low, close` are NaN and `volume` is 0 where a symbol has no bar (`valid` is False there); `mark` is
    the last known close, 0 before the first bar; `returns` are simple mark-to-mark returns, 0 where either is unknown.
    `volume` is in shares or units, `inf` where the dataset has none. A bar may be seen from `end` on.
    """

    symbols: tuple[str, ...]
    sectors: tuple[str, ...]
    start: Times
    end: Times
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    valid: Mask
    mark: Array
    returns: Array
    bars_per_year: float

    @classmethod
    def of(
        cls,
        symbols: Sequence[str],
        start: Times,
        end: Times,
        prices: tuple[Array, Array, Array, Array],
        volume: Array,
        *,
        sectors: Sequence[str] | None = None,
        bars_per_year: float,
    ) -> Panel:
        """Build a panel from four [T, N] price arrays (open, high, low, close; NaN = no bar) and a volume array."""
        opened, high, low, close = (np.array(price, dtype=np.float64, order="C") for price in prices)
        valid = np.isfinite(close)
        last = np.maximum.accumulate(np.where(valid, np.arange(len(close))[:, None], -1), axis=0)
        mark = np.where(last >= 0, np.take_along_axis(close, np.maximum(last, 0), axis=0), 0.0)
        returns = np.zeros_like(mark)
        np.divide(mark[1:] - mark[:-1], mark[:-1], out=returns[1:], where=mark[:-1] > 0)
        arrays: list[NDArray[np.generic]] = [
            np.array(start, dtype="datetime64[us]"),
            np.array(end, dtype="datetime64[us]"),
            opened,
            high,
            low,
            close,
            np.where(valid, np.asarray(volume, dtype=np.float64), 0.0),
            valid,
            mark,
            returns,
        ]
        for array in arrays:
            array.flags.writeable = False
        names = tuple(symbols)
        return cls(names, tuple(sectors or ("all",) * len(names)), *arrays, bars_per_year)  # type: ignore[arg-type, call-arg]

    def __len__(self) -> int:
        return len(self.end)

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """All arrays with a row per bar, in the order of the fields."""
        prices = (self.open, self.high, self.low, self.close)
        return (self.start, self.end, *prices, self.volume, self.valid, self.mark, self.returns)

    def until(self, t: int) -> Panel:
        """The bars that have ended by the close of bar `t`, as read-only views."""
        views = [array[: t + 1] for array in self.arrays]
        for view in views:
            view.flags.writeable = False
        return Panel(self.symbols, self.sectors, *views, self.bars_per_year)  # type: ignore[arg-type, call-arg]

    @cached_property
    def tradable(self) -> Mask:
        """[T, N]: there is a bar and something changed hands in it."""
        return self.valid & (self.volume > 0)

    @cached_property
    def traded(self) -> NDArray[np.int64]:
        """[T, N]: the last bar, up to this one, in which the symbol traded; -1 where there is none."""
        bars = np.where(self.tradable, np.arange(len(self))[:, None], -1)
        return np.maximum.accumulate(bars, axis=0)

    @cached_property
    def dealing(self) -> Array:
        """[T, N]: the open, or 0 where nothing can be traded; what orders fill at."""
        return np.where(self.tradable, self.open, 0.0)

    @cached_property
    def opening(self) -> Array:
        """[T, N]: the open, or the last mark where there is no bar; what a paper book trades at."""
        before = np.vstack((self.mark[:1], self.mark[:-1]))
        return np.where(self.valid, self.open, before)

    @cached_property
    def sector_of(self) -> Labels:
        """[N]: index of each symbol's sector among the sorted sector names."""
        order = {name: index for index, name in enumerate(self.sector_names)}
        return np.array([order[name] for name in self.sectors], dtype=np.int16)

    @cached_property
    def sector_names(self) -> tuple[str, ...]:
        """Sector names, sorted."""
        return tuple(sorted(set(self.sectors)))

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """[T]: SHA-256 of everything visible at the close of each bar, chained bar by bar."""
        header = "\x1f".join((*self.symbols, *self.sectors)).encode()
        link = hashlib.sha256(header + np.float64(self.bars_per_year).tobytes()).digest()
        fields = np.stack((self.open, self.high, self.low, self.close, self.volume), axis=1)
        stamps = np.stack((self.start.astype(np.int64), self.end.astype(np.int64)), axis=1)
        links = []
        for stamp, row in zip(stamps, fields, strict=True):
            link = hashlib.sha256(link + stamp.tobytes() + row.tobytes()).digest()
            links.append(link)
        return tuple(links)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole panel: symbols, sectors, bars per year, times and bars."""
        return self.digests[-1].hex()

    @property
    def market(self) -> str:
        """Names the market path, however far it is followed: SHA-256 of the symbols and of the first bar."""
        first = self.until(0)
        times = np.array([first.start, first.end]).astype(np.int64)
        bars = np.stack((first.open, first.high, first.low, first.close, first.volume))
        return hashlib.sha256("\x1f".join(self.symbols).encode() + times.tobytes() + bars.tobytes()).hexdigest()


class Seen:
    """The bars of a panel as time uncovers them: a copy that is filled row by row.

    A view that ends at bar t still leads to all bars through its `.base`. The memory behind these views holds nothing
    that has not ended, and writing to it changes nobody else's bars.
    """

    def __init__(self, panel: Panel) -> None:
        hidden = panel.arrays
        shown = tuple(np.full_like(array, _UNKNOWN[array.dtype.kind]) for array in hidden)
        self._panel, self._rows = panel, tuple(zip(hidden, shown, strict=True))
        self._views = tuple(array.view() for array in shown)
        for view in self._views:
            view.flags.writeable = False  # and so is what is cut from it
        self._next = 0

    def until(self, t: int) -> Panel:
        """The bars that have ended by the close of bar `t`, as read-only views. Ask in the order of time."""
        rows = slice(self._next, t + 1)
        for hidden, shown in self._rows:
            shown[rows] = hidden[rows]
        self._next = max(self._next, t + 1)
        panel, views = self._panel, [view[: t + 1] for view in self._views]
        return Panel(panel.symbols, panel.sectors, *views, panel.bars_per_year)  # type: ignore[arg-type, call-arg]


_UNKNOWN = {"M": np.datetime64("NaT"), "f": np.nan, "b": False}
