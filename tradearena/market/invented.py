"""Invents a dataset in memory: a `Design` comes in, the `Dataset` that its files would be opened as goes out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from tradearena.market.bars import FIELDS, Bars
from tradearena.market.clock import to_utc
from tradearena.market.dataset import Dataset, checked
from tradearena.market.design import Design
from tradearena.market.scenes import invented_scenes
from tradearena.market.synthetic import Tape, synthesise
from tradearena.market.writing import ZONE, synthetic_card


def invent(design: Design, *, name: str | None = None, end: datetime | None = None) -> Dataset:
    """The dataset of a design, named `path-SEED` unless otherwise said; it has the digest of the one that `data synth`
    writes. Bars that end after `end` are left out, as in `open_dataset`.

    Raises:
        DataError: no bar ends by `end`.
        UsageError: the design leads to prices that cannot be written.
    """
    name = name or f"path-{design.seed}"
    tape = synthesise(design)
    card = synthetic_card(name, design, invented_scenes(tape))
    return checked(bars_of(tape, Path(name)), card, Path(name), end=end)


def bars_of(tape: Tape, path: Path) -> Bars:
    """The bars of a tape as the files of `path` would be read."""
    T, N = tape.close.shape
    names = np.array([ticker for ticker, _ in tape.design.names])
    order = np.argsort(names)
    local = np.tile(tape.start.astype("datetime64[us]"), N)
    return Bars(
        files=(path,),
        symbols=tuple(names[order].tolist()),
        file=np.zeros(N * T, dtype=np.int32),
        row=np.arange(N * T),
        symbol=np.repeat(np.arange(N), T),
        stamp=to_utc(local, ZoneInfo(ZONE))[0],
        local=local,
        naive=np.full(N * T, tape.design.daily),
        values=np.stack([getattr(tape, field)[:, order].T.ravel() for field in FIELDS], axis=1),
    )
