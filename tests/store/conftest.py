"""Steps of every kind, and a file they are written to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from shelf import NOW, Clock, episode_row, experiment_row, random_step
from stage import walk

from tradearena.store.recorder import Recorder
from tradearena.store.rows import Recorded
from tradearena.store.writer import Writer
from tradearena.values import Fill, Mark


@pytest.fixture(scope="session")
def steps_of():
    """Makes the steps of an episode from a seed, and the marks and fills that end it."""

    def make(seed, count=8, every=1, *, paid=False):
        rng = np.random.default_rng(seed)
        steps = [random_step(rng, every * (i + 1), previous=every * i, paid=paid) for i in range(count)]
        last = steps[-1].t if steps else 0
        marks = tuple(Mark(last + bar, *rng.normal(size=7)) for bar in (1, 2))
        ordered = np.array([1.0, 0.0, -2.0])
        fills = tuple(
            Fill(last + bar, last, ordered, ordered, np.ones(3), *[np.zeros(3)] * 3, np.zeros(3, dtype=np.int8))
            for bar in (1, 2)
        )
        return SimpleNamespace(steps=steps, marks=marks, fills=fills)

    return make


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def write():
    """Writes an episode into a file; `tick` seconds pass after each step."""

    def put(path, made, *, tick=0.0, name="e1", until=None, clock=None, panel=None):
        clock = clock or Clock()
        writer = Writer(path, clock)
        if not path.exists():
            writer.create(experiment_row(), panel or walk(1, 30, 3), NOW)
        recorder = Recorder(name, Recorded([], []), writer.commit_if_due)
        writer.begin_episode(episode_row(name), recorder)
        for step in made.steps[:until]:
            clock.now += tick
            recorder.keep(step)
        if until is None:
            root = recorder.close("complete", made.marks, made.fills)
            ending = {"status": "complete", "root_hash": root, "finished_at": NOW}
            writer.end_episode(name, ending, finished=True)
            writer.compact()
            return root
        return None

    return put


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.duckdb"
