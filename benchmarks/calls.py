"""What our own work adds to the requests of a model: prints it beside bare litellm making the same requests.

    python benchmarks/calls.py            a server of 300 ms on loopback, in a process of its own
    python benchmarks/calls.py --quick

Alone: one episode; the whole step, from one decision to the next, over the server's time. Side by side: 64 episodes in
one process, against 64 loops that do nothing but call litellm, with prompts of the same length. Many: the memory of
1,000 episodes of a few steps each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["OPENAI_API_KEY"] = "none"

import duckdb
import numpy as np

from tradearena import policy
from tradearena.agents.agent import Seat
from tradearena.agents.card import open_agent
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import Model
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window

WAIT = 0.3
REPLY = json.dumps({"target_weights": {"TECH1": 0.2, "FINA1": 0.2, "ENER1": 0.2}, "rationale": "Steady. " * 20})


def serve(pipe: Connection) -> None:
    """A server in a process of its own, until the pipe closes."""
    from tradearena.testing import Answer, ChatServer

    with ChatServer(lambda _: Answer(REPLY, wait=WAIT)) as server:
        pipe.send(server.url)
        pipe.recv()


def plan_of(folder: Path, url: str, episodes: int, steps: int) -> Plan:
    """So many episodes of a model at an address, which differ in their seeds."""
    card = folder / "asked.toml"
    card.write_text(f'name = "asked"\nkind = "llm"\n[parameters]\nmodel = "openai/small"\napi_base = "{url}"\n')
    dataset = open_dataset("demo-daily")
    window = Window(steps=steps)
    return Plan(dataset, policy.load("standard"), window, (open_agent(str(card)),), tuple(range(episodes)), ("true",))


def ours(plan: Plan, path: Path, concurrency: int) -> tuple[float, float]:
    """Seconds of the whole run, and the median latency of a request, as recorded."""
    began = time.perf_counter()
    outcome = experiment.run(plan, path, concurrency=concurrency)
    took = time.perf_counter() - began
    assert outcome.failure is None, outcome.failure
    with duckdb.connect(str(path), read_only=True) as db:
        ((latency,),) = db.execute("SELECT median(latency) FROM call").fetchall()
    return took, float(latency)


def bare(plan: Plan, episodes: int, steps: int, size: int) -> float:
    """Seconds that litellm takes for as many requests of this length with the same parameters, as many at a time."""
    import litellm

    agent = plan.candidates[0].seat(Seat(0, lambda _t: np.zeros(0), symbols=plan.dataset.panel.symbols))
    agent.manager.voice.check()
    request = agent.manager.voice._asking.request
    messages = [{"role": "system", "content": "x" * (size // 3)}, {"role": "user", "content": "1.5," * (size // 6)}]

    async def one() -> None:
        for _ in range(steps):
            await litellm.acompletion(messages=messages, **request)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(episodes)))

    began = time.perf_counter()
    asyncio.run(all_of_them())
    return time.perf_counter() - began


def prompt_size(path: Path) -> int:
    """Mean characters of what a request says."""
    with duckdb.connect(str(path), read_only=True) as db:
        ((size,),) = db.execute("SELECT avg(length(system) + length(prompt)) FROM exchanges").fetchall()
    return int(size)


def memory(url: str, episodes: int, steps: int) -> float:
    """Peak memory in MB of a process that runs so many episodes."""
    code = f"import calls; print(calls.peak({url!r}, {episodes}, {steps}))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return float(found.stdout.split()[-1])


def peak(url: str, episodes: int, steps: int) -> float:
    """Run them here."""
    with tempfile.TemporaryDirectory() as folder:
        ours(plan_of(Path(folder), url, episodes, steps), Path(folder) / "many.duckdb", episodes)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(what: str, shown: str, *, goal: str, met: bool) -> None:
    """One line of the table."""
    print(f"| {what} | {shown} | {goal} | {'met' if met else '**missed**'} |", flush=True)


def timed(repeats: int, work: Callable[[int], float]) -> float:
    """The median of several runs, after one that is not counted."""
    return statistics.median([work(turn) for turn in range(repeats + 1)][1:])


def main(*, quick: bool) -> None:
    """Measure, and print a table."""
    here, there = get_context("spawn").Pipe()
    server = get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    url = here.recv()
    repeats, steps, crowd, many = (1, 5, 16, 50) if quick else (5, 20, 64, 1_000)
    LanguageModel(Model(model="openai/small", api_base=url), 0).check()  # the import is no part of a step
    print(f"{platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start")
    print("\n| what | measured | goal | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, side = plan_of(folder, url, 1, 2 * steps), plan_of(folder, url, crowd, steps)

        def over(turn: int) -> float:
            took, _ = ours(alone, folder / f"alone{turn}.duckdb", 1)
            none, _ = ours(replace(alone, window=Window(steps=1)), folder / f"one{turn}.duckdb", 1)
            return 1e3 * ((took - none) / (2 * steps - 1) - WAIT)

        extra = timed(repeats, over)
        measured(
            "a step of one episode over the server's time", f"{extra:.0f} ms", goal="at most 40 ms", met=extra <= 40
        )
        size = prompt_size(folder / "alone0.duckdb")
        pairs = [
            (ours(side, folder / f"side{turn}.duckdb", crowd)[0], bare(side, crowd, steps, size))
            for turn in range(repeats + 1)
        ]
        mine, theirs = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
        shown = f"{mine:.1f} against {theirs:.1f} s: {mine / theirs:.2f}"
        measured(
            f"{crowd} episodes side by side against bare litellm", shown, goal="at most 1.3", met=mine <= 1.3 * theirs
        )
        most = memory(url, many, 3)
        measured(f"peak memory of {many:,} episodes", f"{most:,.0f} MB", goal="under 1,000", met=most < 1_000)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    here.send(None)
    server.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    main(**vars(parser.parse_args()))
