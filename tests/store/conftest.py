"""Steps of every kind, and a file they are written to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from stage import walk

from tradearena.store.reader import Recorded
from tradearena.store.recorder import Recorder
from tradearena.store.schema import ENGINE
from tradearena.store.writer import Writer
from tradearena.values import Account, Decision, Exposures, Fill, Finding, Mark, RiskReport, Step

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SYMBOLS = ("S0", "S1", "S2")

TEXTS = ("", "plain", "two\nlines\tand a tab", "é 涨 🚀 \u202e", "'; DROP TABLE step; --", "nul \0 inside", "x" * 5_000)
NUMBERS = (0.0, -0.0, 1.0, -1.5, np.nan, np.inf, -np.inf, 5e-324, 1e308, np.pi)


def random_step(rng, t, *, previous):
    """A step no loop would make: every field of every kind of value it may hold."""
    n = len(SYMBOLS)

    def vector():
        return rng.choice(NUMBERS, n)

    def number():
        return float(rng.choice(NUMBERS))

    def text(*more):
        return rng.choice([*TEXTS, *more])

    fill = None
    if rng.random() < 0.7:
        ordered = np.where(rng.random(n) < 0.5, rng.normal(size=n), 0.0)
        part = [np.where(ordered == 0.0, 0.0, rng.random(n)) for _ in range(4)]
        cause = np.where(ordered == 0.0, 0, rng.integers(0, 6, n)).astype(np.int8)
        fill = Fill(t, previous, ordered, ordered * 0.5, np.full(n, 7.0), *part[:3], cause)
    kept = bool(rng.random() < 0.3)
    intent = vector()
    stray = tuple((str(text()), str(text("nan"))) for _ in range(rng.integers(0, 3)))
    findings = tuple(
        Finding(str(rng.choice(["gross", "validity"])), "symbol", str(text()), number(), number(), number(), "major")
        for _ in range(rng.integers(0, 4))
    )
    return Step(
        t=t,
        observation=rng.bytes(32),
        decision=Decision(
            target=None if kept else intent,
            rationale=str(text()),
            confidence=None if rng.random() < 0.5 else float(rng.random()),
            reflection=None if rng.random() < 0.5 else str(text()),
            status=str(rng.choice(["ok", "repaired", "fallback", "error"])),
            reason=str(text()),
            stray=stray,
        ),
        report=RiskReport(intent, vector(), findings, Exposures(*(number() for _ in Exposures._fields))),
        account=Account(number(), number(), number(), vector(), vector(), vector(), vector(), fill),
        reference=vector(),
        short=bool(rng.random() < 0.5),
        clusters=rng.integers(0, 3, n).astype(np.int16) if rng.random() < 0.4 else None,
        marks=tuple(Mark(bar, *(number() for _ in range(7))) for bar in range(previous + 1, t + 1)),
        latency=float(rng.random()),
        told=None if rng.random() < 0.5 else str(text()),
    )


@pytest.fixture(scope="session")
def steps_of():
    """Makes the steps of an episode from a seed, and the marks and fills that end it."""

    def make(seed, count=8, every=1):
        rng = np.random.default_rng(seed)
        steps = [random_step(rng, every * (i + 1), previous=every * i) for i in range(count)]
        last = steps[-1].t if steps else 0
        marks = tuple(Mark(last + bar, *rng.normal(size=7)) for bar in (1, 2))
        ordered = np.array([1.0, 0.0, -2.0])
        fills = tuple(
            Fill(last + bar, last, ordered, ordered, np.ones(3), *[np.zeros(3)] * 3, np.zeros(3, dtype=np.int8))
            for bar in (1, 2)
        )
        return SimpleNamespace(steps=steps, marks=marks, fills=fills)

    return make


def experiment_row():
    return {
        "id": "abc", "name": "stage", "created_at": NOW, "engine": ENGINE, "dataset": "{}", "dataset_digest": "d",
        "warnings": "[]", "policy": json.dumps({"name": "free", "execution": {"initial_cash": 1.0}}),
        "policy_digest": "p", "window": "w", "symbols": list(SYMBOLS), "sectors": ["A", "B", "A"],
        "bars_per_year": 252.0,
    }  # fmt: skip


def episode_row(name):
    return {
        "id": name, "agent": "mine", "card": "{}", "agent_digest": "a", "feedback": "hidden", "seed": 3,
        "replicate": 0, "first": 1, "last": 9, "every": 1, "manifest": "{}", "started_at": NOW, "status": "running",
    }  # fmt: skip


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


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
