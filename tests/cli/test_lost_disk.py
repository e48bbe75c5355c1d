"""A disk that is full, a folder or a file that goes away while a run writes there, scripted or asking a model: one
sentence, exit code 1, and the same command goes on; nothing that was committed is paid for again."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tradearena.store import writer
from tradearena.store.reader import Reader
from tradearena.testing import ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

OUT = Path("folder") / "mine.duckdb"
STEPS, EPISODES = 6, 4

AGENT = """
import sys

def ask(seen):
    sys.modules["tests_event"].happens()
    return {seen.symbols[seen.t % 4]: 0.1 + seen.t % 7 / 50}
"""


class Event:
    """Happens when the run has come so far: `after` so many requests or decisions."""

    def __init__(self, after, *, rest=0.0):
        """`rest`: seconds it waits for a commit, which no other follows meanwhile where an agent holds all up."""
        self.after, self.rest, self.count, self.what = after, rest, 0, lambda: None

    def happens(self):
        self.count += 1
        if self.count == self.after:
            time.sleep(self.rest)
            self.what()


class Scripted:
    """A comparison of a callable, whose every step is committed."""

    def __init__(self, user, monkeypatch):
        self.event = Event(after=14, rest=0.3)
        monkeypatch.setattr(writer, "GROUP", 0.0)
        monkeypatch.setitem(sys.modules, "tests_event", self.event)
        self.typed = ("--agent", user(AGENT), "--seeds", "2", "--feedback", "true", "--feedback", "hidden")
        self.most = None


class Asking:
    """A comparison of a model behind an address."""

    def __init__(self, monkeypatch):
        self.event = Event(after=14)
        self.server = ChatServer(self.reply)
        monkeypatch.setenv("OPENAI_API_BASE", self.server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
        self.typed = ("--agent", "llm", "--model", "openai/anything", "--seeds", "2", "--feedback", "true")
        self.typed += ("--feedback", "hidden")
        self.most = EPISODES

    def reply(self, messages):
        self.event.happens()
        symbol = messages[1]["content"].splitlines()[3].split(",")[1]
        return json.dumps({"target_weights": {symbol: 0.1 + len(messages[1]["content"]) % 7 / 50}, "rationale": "So."})


def each(daily):
    """Both kinds of run: one daily, both in full."""
    kinds = ("scripted", "asking")
    marked = [pytest.param(kind, marks=() if kind in daily else pytest.mark.slow) for kind in kinds]
    return pytest.mark.parametrize("case", marked, indirect=True)


@pytest.fixture(scope="module")
def undisturbed():
    """Root hashes of the run of each kind, once it was made."""
    return {}


@pytest.fixture
def case(request, user, monkeypatch):
    if request.param == "scripted":
        yield Scripted(user, monkeypatch)
        return
    case = Asking(monkeypatch)
    with case.server:
        yield case


@pytest.fixture
def compare(arena, bars, case):
    """The same command each time, into the same file unless another is named."""

    def typed(out=OUT):
        return arena("compare", *case.typed, "--data", bars, "--steps", STEPS, "--json", "--out", out)

    return typed


@contextmanager
def small_files():
    """No file may grow beyond its length or by more than a little, as on a full disk; begins when it is called."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = OUT.with_name(f"{OUT.name}.wal")
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 9_000, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def failed(answer, said):
    """One sentence, and exit code 1."""
    assert answer.code == 1, answer
    assert said in answer.json["error"]
    assert answer.err.splitlines()[-1] == f"error: {answer.json['error']}"


def calls(path):
    with Reader(path) as reader:
        return reader.query("SELECT count(*) FROM call")[1][0][0]


def roots_of(answer):
    return [episode["root_hash"] for episode in answer.json["episodes"]]


def goes_on(compare, case, undisturbed, asked, committed):
    """To the root hashes of an undisturbed run; and of a model's replies only those in flight were lost."""
    again = compare()
    assert again.code == 0, again
    if case.most is not None:
        whole = STEPS * EPISODES
        assert calls(OUT) == whole
        assert case.event.count - asked == whole - committed  # what was committed is not asked for again
        assert 0 <= asked - committed <= case.most
    case.event.after = -1
    if type(case) not in undisturbed:
        undisturbed[type(case)] = roots_of(compare("calm.duckdb"))
    assert roots_of(again) == undisturbed[type(case)]
    assert None not in roots_of(again)
    if case.most is not None:
        print(f"{asked} requests, {committed} on file, {asked - committed} lost of {EPISODES} episodes that ran")


@each(daily=("scripted", "asking"))
def test_a_disk_that_fills_up_costs_what_is_in_flight(compare, case, undisturbed):
    with small_files() as fill:
        case.event.what = fill
        answer = compare()
    failed(answer, "the disk is full; make room and run the same command again: what was committed is kept")
    goes_on(compare, case, undisturbed, case.event.count, calls(OUT))


@each(daily=("asking",))
def test_a_folder_that_goes_away_and_comes_back_costs_what_is_in_flight(compare, case, undisturbed):
    case.event.what = lambda: os.rename("folder", "away")
    failed(compare(), "is gone: it was moved or removed during the run")
    assert not Path("folder").exists()  # no half file
    os.rename("away", "folder")
    goes_on(compare, case, undisturbed, case.event.count, calls(OUT))


@pytest.mark.slow
@each(daily=("scripted",))
def test_a_folder_that_cannot_be_read_any_more_is_a_sentence(compare, case, undisturbed):
    def change():
        os.rename("folder", "away")
        os.symlink("folder", "folder")

    case.event.what = change
    failed(compare(), "Too many levels of symbolic links")
    os.remove("folder")
    os.rename("away", "folder")
    goes_on(compare, case, undisturbed, case.event.count, calls(OUT))


@each(daily=("scripted",))
def test_a_folder_that_is_removed_is_a_sentence_and_the_same_command_begins_anew(compare, case, undisturbed):
    def remove():
        os.rename("folder", "away")  # a commit may be under way in it
        shutil.rmtree("away")

    case.event.what = remove
    failed(compare(), "is gone: it was moved or removed during the run")
    case.event.count = 0
    case.event.after = -1
    goes_on(compare, case, undisturbed, 0, 0)


@each(daily=("asking",))
def test_a_file_that_is_removed_from_beside_its_log_is_a_sentence_and_begins_anew(compare, case, undisturbed):
    case.event.what = OUT.unlink
    failed(compare(), "is gone: it was moved or removed during the run")
    case.event.count, case.event.after = 0, -1
    log = OUT.with_name("mine.duckdb.wal").read_bytes()
    goes_on(compare, case, undisturbed, 0, 0)
    assert OUT.with_name("mine.duckdb.wal.damaged").read_bytes() == log


@pytest.mark.slow
@each(daily=("scripted",))
def test_a_file_that_another_one_takes_the_place_of_is_not_written_to(compare, case, undisturbed):
    with duckdb.connect("other.duckdb") as db:
        db.execute("CREATE TABLE mine (x INT)")
    other = Path("other.duckdb").read_bytes()

    def change():
        os.rename(OUT, "kept.duckdb")
        shutil.copyfile("other.duckdb", OUT)

    case.event.what = change
    failed(compare(), "another file took its place during the run; nothing was written to it")
    assert OUT.read_bytes() == other
    os.rename("kept.duckdb", OUT)
    goes_on(compare, case, undisturbed, case.event.count, calls(OUT))


@each(daily=("scripted",))
def test_a_log_that_is_damaged_stops_every_verb_but_the_one_that_goes_on(compare, case, arena):
    case.event.what = lambda: os.rename("folder", "away")
    failed(compare(), "is gone")
    os.rename("away", "folder")
    asked, committed = case.event.count, calls(OUT)
    log = OUT.with_name("mine.duckdb.wal")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    for typed in (("show", OUT), ("replay", OUT), ("replay", OUT, "--verify"), ("sql", OUT, "SELECT 1")):
        failed(arena(*typed, "--json"), "its write-ahead log is damaged, the newest steps are in it (")
    case.event.after = -1
    case.event.count = 0
    again = compare()
    assert again.code == 0, again
    assert "warning: folder/mine.duckdb: its write-ahead log was damaged: " in again.err
    assert "on file are " in again.err
    assert OUT.with_name("mine.duckdb.wal.damaged").read_bytes() == whole[: len(whole) // 2]
    assert compare("calm.duckdb").json["episodes"] == again.json["episodes"]
    print(f"{asked} steps asked for, {committed} requests on file", again.err)
