"""Steps of every kind, and the rows and the clock of a file they are written to."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np

from tradearena.risk.trail import RULES
from tradearena.store.schema import ENGINE
from tradearena.values import (
    Account,
    Call,
    Clip,
    Decision,
    Exchange,
    Exposures,
    Fill,
    Finding,
    Mark,
    Note,
    RiskReport,
    State,
    Step,
)

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SYMBOLS = ("S0", "S1", "S2")

TEXTS = ("", "plain", "two\nlines\tand a tab", "é 涨 🚀 \u202e", "'; DROP TABLE step; --", "nul \0 inside", "x" * 5_000)
NUMBERS = (0.0, -0.0, 1.0, -1.5, np.nan, np.inf, -np.inf, 5e-324, 1e308, np.pi)


def random_step(rng, t, *, previous, paid=False):
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
    trail = tuple(Clip(rule, vector()) for rule in RULES if rng.random() < 0.1)
    calls = tuple(
        Call(str(text()), "{}", rng.choice([None, "m-1"]), rng.choice([None, "stop"]),
             *(None if rng.random() < 0.3 else int(rng.integers(0, 9_000)) for _ in range(4)),
             None if rng.random() < 0.3 else float(rng.random()), float(rng.random()), rng.choice([None, "refused"]),
             bool(rng.random() < 0.2))
        for _ in range(rng.integers(0, 3) if paid else 0)
    )  # fmt: skip
    exchanges = tuple(
        Exchange("you trade", str(text(f"at {t}")), str(text("{}")), calls if turn == 0 else (), str(text()), turn,
                 bool(rng.random() < 0.5), bool(rng.random() < 0.5), random_states(rng) if paid else ())
        for turn in range(int(rng.integers(0, 3)))
    )  # fmt: skip
    return Step(
        t=t,
        observation=rng.bytes(32),
        decision=Decision(
            target=None if kept else intent,
            rationale=str(text()),
            confidence=None if rng.random() < 0.5 else float(rng.random()),
            reflection=None if rng.random() < 0.5 else str(text()),
            notes=tuple(
                Note(f"S{i}", str(text()), None if rng.random() < 0.5 else float(rng.random()))
                for i in range(rng.integers(0, 3))
            ),
            status=str(rng.choice(["ok", "repaired", "fallback", "error"])),
            reason=str(text()),
            stray=stray,
            exchanges=exchanges,
        ),
        report=RiskReport(intent, vector(), findings, Exposures(*(number() for _ in Exposures._fields)), trail),
        account=Account(number(), number(), number(), vector(), vector(), vector(), vector(), fill),
        reference=vector(),
        short=bool(rng.random() < 0.5),
        clusters=rng.integers(0, 3, n).astype(np.int16) if rng.random() < 0.4 else None,
        marks=tuple(Mark(bar, *(number() for _ in range(7))) for bar in range(previous + 1, t + 1)),
        latency=float(rng.random()),
        told=None if rng.random() < 0.5 else str(text()),
    )


def random_states(rng):
    """Of none to three layers, in any order."""
    layers = rng.permutation(4)[: rng.integers(0, 4)].tolist()
    numbers = np.array((0.0, -0.0, np.nan, -np.inf, np.pi), dtype="<f4")
    return tuple(
        State(layer, pool, rng.permutation(numbers).tobytes()) for layer in layers for pool in ("mean", "last")
    )


def experiment_row():
    return {
        "id": "abc", "name": "stage", "created_at": NOW, "engine": ENGINE, "dataset": "{}", "dataset_digest": "d",
        "warnings": "[]", "policy": json.dumps({"name": "free", "execution": {"initial_cash": 1.0}}),
        "policy_digest": "p", "window": "w", "symbols": list(SYMBOLS), "sectors": ["A", "B", "A"],
        "bars_per_year": 252.0,
    }  # fmt: skip


def episode_row(name):
    return {
        "id": name, "agent": "mine", "card": "{}", "agent_digest": "a", "feedback": "hidden", "wording": "", "seed": 3,
        "replicate": 0, "first": 1, "last": 9, "every": 1, "parent": "{}", "manifest": "{}", "started_at": NOW,
        "status": "running",
    }  # fmt: skip


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def hold(path, seconds, *, read_only=True):
    """Another process that opens the file for a while; returns once it has."""
    code = (
        f"import duckdb, sys, time\ndb = duckdb.connect({str(path)!r}, read_only={read_only})\n"
        f"print('open', flush=True)\ntime.sleep({seconds})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "open\n"
    return process
