"""A comparison that is killed again and again, scripted or asking a model, ends as if nothing had happened; what was
paid for and committed is not asked for again, and a kill loses one request at most of each episode that runs."""

from __future__ import annotations

import json
import random
import signal
import time
import zlib
from collections import Counter
from typing import NamedTuple

import pytest
from warm import Warm

from tradearena.agents.scene import read
from tradearena.store.reader import Reader
from tradearena.store.schema import DONE, TABLES
from tradearena.store.seal import seal_of
from tradearena.testing import Answer, ChatServer

WAITING = '''"""Eight milliseconds a step, in which the others may go on."""
import asyncio

async def ask(seen):
    await asyncio.sleep(0.008)
    return {symbol: (1 + (seen.t + i) % 5) / 40 for i, symbol in enumerate(seen.symbols)}
'''
SCRIPTED = (
    "compare", "--agent", "organism-credulous", "--agent", "python:waiting_agent:ask", "--seeds", "2",
    "--feedback", "true", "--feedback", "false-audit", "--json", "--steps",
)  # fmt: skip
ASKING = (
    "compare", "--agent", "llm", "--model", "openai/anything", "--seeds", "2", "--json",
)  # fmt: skip
MODES = ("true", "placebo", "false-audit", "hidden")

AT = """
import os, signal
from tradearena.store.log import Log
whole, calls = {place}, []
def killing(*given):
    calls.append(given)
    if len(calls) == {call} and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    found = whole(*given)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
{place} = killing
"""
PLACES = [
    AT.format(place=place, call=call, after=after)
    for place, call in (("Log.committed", 1), ("Log.committed", 2), ("Log.folded", 1), ("os.replace", 1))
    for after in (False, True)
]
"""Between a commit and its note, between its note and who waits for it, between a checkpoint and the end of its note,
and where a new file takes its name."""

MOVING = {
    "experiment": {"created_at"},
    "episode": {"manifest", "started_at", "finished_at", "seal"},
    "step": {"latency"},
    "call": {"latency"},
    "text": {"lines"},
    "line": {"id"},
}
"""Columns that depend on the clock, or on which of two episodes was quicker."""


class Found(NamedTuple):
    """What is on file: status and links of each episode, and how often each seed was asked what."""

    status: dict[str, str]
    links: dict[str, list[bytes]]
    said: Counter[tuple[int, str]]

    @property
    def running(self) -> int:
        return sum(status not in DONE for status in self.status.values())


class Kills:
    """A comparison that is killed, and everything it must not have lost or asked for twice."""

    def __init__(self, warm, typed, seed, server=None):
        self.warm, self.typed, self.server, self.dice = warm, typed, server, random.Random(seed)
        self.seed = seed
        self.kinds: Counter[str] = Counter()
        self.lost = self.files = 0
        began = time.monotonic()
        calm = warm.run(*typed, "--out", "calm.duckdb")
        self.length = time.monotonic() - began
        assert calm.code == 0, calm.err
        self.calm, self.rows = look(warm.folder / "calm.duckdb"), rows(warm.folder / "calm.duckdb")
        self.answer = json.loads(calm.out)
        self._begin()

    def _begin(self):
        self.files += 1
        self.path = self.warm.folder / f"mine-{self.files}.duckdb"
        self.before = Found({}, {}, Counter())

    def kill(self, place=""):
        """Once, at a random moment of what is left of the run, or at a chosen place."""
        asked = len(self.server.requests) if self.server else 0
        left = 1 - sum(map(len, self.before.links.values())) / sum(map(len, self.calm.links.values()))
        self.warm.start(*self.typed, "--out", self.path.name, before=place)
        if not place:
            begins = not self.before.status and self.dice.random() < 0.7
            time.sleep(
                self.dice.uniform(0.0, 0.3) if begins else self.dice.uniform(0.0, 1.1) * (self.length * left + 0.1)
            )
            self.warm.kill()
        ended = self.warm.end()
        assert ended.code in (-signal.SIGKILL, 0), ended.err
        self._judge(asked)
        where = "after the end" if ended.code == 0 else "during the run" if self.path.exists() else "before the file"
        self.kinds[where] += 1
        if ended.code == 0:
            self._ended(ended)
            self._begin()

    def _judge(self, asked):
        """Nothing that was there is gone, nothing else came, nothing is paid for twice."""
        found, before = look(self.path), self.before
        for name, links in found.links.items():
            assert links == self.calm.links[name][: len(links)]
        for name, links in before.links.items():
            assert len(found.links[name]) >= len(links)
        assert not before.said - found.said
        if self.server:
            requests = Counter(key(request.body) for request in self._settled()[asked:])
            new = found.said - before.said
            assert not new - requests
            assert all(before.said[each] + count <= self.calm.said[each] for each, count in requests.items())
            lost, running = (requests - new).total(), before.running if before.status else len(self.calm.status)
            assert lost <= running
            self.lost += lost
        self.before = found

    def _settled(self):
        """All requests, once the server has read what a killed client had sent."""
        time.sleep(0.02)
        while self.server.waiting:
            time.sleep(0.005)
        return self.server.requests

    def end(self):
        """Let it come through."""
        asked = len(self.server.requests) if self.server else 0
        ended = self.warm.run(*self.typed, "--out", self.path.name)
        assert ended.code == 0, ended.err
        self._judge(asked)
        self._ended(ended)
        verified = self.warm.run("replay", self.path.name, "--verify", "--json")
        assert verified.code == 0, verified.err
        assert len(json.loads(verified.out)["episodes"]) == len(self.calm.status)

    def _ended(self, ended):
        mine = json.loads(ended.out)
        assert (mine["episodes"], mine["cells"]) == (self.answer["episodes"], self.answer["cells"])
        assert look(self.path) == self.calm
        assert rows(self.path) == self.rows
        with Reader(self.path) as reader:
            assert all(row.seal == seal_of(reader.db, row.id) for row in reader.episodes())
        assert [each.name for each in self.path.parent.glob(f"{self.path.name}*")] == [self.path.name]


def key(body):
    """Of a request: the seed, and what was said."""
    return body["seed"], body["messages"][-1]["content"]


def look(path):
    """What is on file; nothing where there is none yet."""
    if not path.exists():
        return Found({}, {}, Counter())
    with Reader(path) as reader:
        found = reader.episodes()
        links = {row.id: reader.recorded(row.id).hashes for row in found}
        said = reader.query("SELECT e.seed, x.prompt FROM exchanges x JOIN episode e ON e.id = x.episode")[1]
        return Found({row.id: row.status for row in found}, links, Counter(said))


def rows(path):
    """Every row of every table, but what depends on the clock."""
    found = {}
    with Reader(path) as reader:
        for table, columns in TABLES.items():
            named = ", ".join(f'"{each.name}"' for each in columns if each.name not in MOVING.get(table, ()))
            found[table] = reader.query(f'SELECT {"DISTINCT" * (table == "line")} {named} FROM "{table}" ORDER BY ALL')[
                1
            ]
    return str(found)  # NaN is what it is


def replies(messages):
    """A model that answers the same question alike, after twenty milliseconds."""
    asked = messages[-1]["content"]
    symbols, dice = read(asked).symbols, random.Random(zlib.crc32(asked.encode()))
    weights = {symbol: round(dice.uniform(0.0, 0.5), 3) for symbol in dice.sample(symbols, 3)}
    return Answer(
        json.dumps({"target_weights": weights, "rationale": f"Dice: {weights}", "confidence": 0.5}), wait=0.02
    )


def disturbed(kills, moments, places):
    """So many kills at random moments, and so many at chosen places, in random order."""
    order = [""] * moments + [kills.dice.choice(PLACES) for _ in range(places)]
    kills.dice.shuffle(order)
    for place in order:
        kills.kill(place)
    kills.end()
    said = ", ".join(f"{count} {where}" for where, count in sorted(kills.kinds.items()))
    lost = f"; {kills.lost} requests lost in all" if kills.server else ""
    how = f"{moments} kills at random moments, {places} at chosen places, {kills.files} files"
    print(f"seed {kills.seed}: {how}: {said}{lost}")


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "steps", "moments", "places"), [(1, 15, 1, 1), (2, 40, 50, 12)], ids=["few", "full"])
def test_a_scripted_comparison_that_is_killed_ends_as_if_nothing_had_happened(tmp_path, seed, steps, moments, places):
    """Daily are the scripted run of one episode that is killed, and the comparison below, whose file is the same."""
    (tmp_path / "waiting_agent.py").write_text(WAITING)
    with Warm(tmp_path) as warm:
        disturbed(Kills(warm, (*SCRIPTED, str(steps)), seed), moments, places)


@pytest.mark.parametrize(
    ("seed", "modes", "steps", "moments", "places"),
    [
        pytest.param(1, MODES[:2], 2, 1, 1, id="few"),
        pytest.param(2, MODES, 12, 50, 12, id="full", marks=pytest.mark.slow),
    ],
)
def test_a_comparison_that_asks_a_model_and_is_killed_pays_for_nothing_twice(
    tmp_path, seed, modes, steps, moments, places
):
    typed = (*ASKING, *(word for mode in modes for word in ("--feedback", mode)), "--steps", str(steps))
    with ChatServer(replies) as server:
        address = {"OPENAI_API_BASE": server.url, "OPENAI_API_KEY": "sk-none"}
        with Warm(tmp_path, litellm=True, **address) as warm:
            disturbed(Kills(warm, typed, seed, server), moments, places)
