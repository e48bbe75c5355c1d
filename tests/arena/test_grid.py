"""A grid: each agent in each mode with each seed in each window, once; side by side where agents wait; extended,
stopped and taken up without a trace."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import TIGHT, asked, plan, walk

from tradearena.arena import experiment
from tradearena.errors import AgentError, DivergedError, Interrupted, StoreError, TradeArenaError, UsageError
from tradearena.market.scheme import Even
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES
from tradearena.store.seal import seal_of

PANEL = walk(3, 60)
MODES = ("true", "hidden", "placebo", "false-audit:alarm")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.duckdb"


def agent(name, ask=lambda _seen: None, *, reads=True, sampled=True):
    """A function as a candidate whose card says so."""
    made = asked(ask, name)
    return replace(made, card=made.card.model_copy(update={"reads_feedback": reads, "sampled": sampled}))


class Waiting:
    """Answers after a while, as a model does; counts who waits at the same time, and in which order they came."""

    def __init__(self, pause=0.002):
        self.pause, self.now, self.most, self.asked = pause, 0, 0, []

    async def __call__(self, seen):
        self.asked.append(seen.t)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.pause)
        self.now -= 1
        return {symbol: (1 + (seen.t + i) % 4) / 20 for i, symbol in enumerate(seen.symbols)}


def rows(path):
    """The rows of all episodes, as they stand in plain DuckDB."""
    with duckdb.connect(str(path), read_only=True) as db:
        names = ("agent", "feedback", "seed", "first", "replicate", "status", "error", "root_hash")
        found = db.execute(f"SELECT {', '.join(names)} FROM episode ORDER BY started_at, id").fetchall()
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in found]


def roots(path):
    """Root hash of each episode that has one."""
    return {(row.agent, row.feedback, row.seed, row.first): row.root_hash for row in rows(path)}


def sealed(path):
    """Does every seal hold?"""
    with Reader(path) as reader:
        return all(row.seal == seal_of(reader.db, row.id) for row in reader.episodes())


def content(path, episodes):
    """Every row of these episodes in every table, as it stands."""
    with duckdb.connect(str(path), read_only=True) as db:
        return {
            table: db.execute(
                f'SELECT * FROM "{table}" WHERE {"id" if table == "episode" else "episode"} IN '
                "(SELECT unnest(?)) ORDER BY ALL",
                [list(episodes)],
            ).fetchnumpy()
            for table in ("episode", *EPISODE_TABLES)
        }


# ---------------------------------------------------------------------- what a grid holds


@pytest.mark.parametrize(
    ("reads", "sampled", "arms"),
    [
        (True, True, [*product(("true", "hidden"), (4, 7))]),
        (True, False, [("true", 0), ("hidden", 0)]),
        (False, True, [("hidden", 4), ("hidden", 7)]),
        (False, False, [("hidden", 0)]),
    ],
)
def test_an_agent_plays_as_often_as_modes_and_seeds_can_change_what_it_does(reads, sampled, arms):
    made = plan(
        PANEL, agent("one", reads=reads, sampled=sampled), seeds=(4, 7), modes=("true", "hidden"), scheme=Even(2)
    )
    found = [(each.mode, each.seed, each.span.first) for each in made.episodes]
    assert sorted(found) == sorted((mode, seed, first) for (mode, seed) in arms for first in (0, 30))


def test_an_agent_that_reads_no_feedback_is_recorded_as_hidden_whatever_is_asked_for():
    made = plan(PANEL, agent("one", reads=False), modes=("true", "placebo"))
    assert [each.mode for each in made.episodes] == ["hidden"]


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(MODES), min_size=1, max_size=4, unique=True),
    st.integers(1, 3),
)
@settings(max_examples=60)
def test_a_grid_holds_every_combination_once_and_more_of_anything_only_adds(cards, seeds, modes, count):
    agents = [agent(f"a{i}", reads=reads, sampled=sampled) for i, (reads, sampled) in enumerate(cards)]

    def held(agents, seeds, modes):
        made = plan(PANEL, *agents, seeds=tuple(seeds), modes=tuple(modes), scheme=Even(count))
        return [(each.candidate.card.name, each.mode, each.seed, each.span.first) for each in made.episodes]

    whole = held(agents, seeds, modes)
    assert len(set(whole)) == len(whole)
    assert len(whole) == count * sum(
        (len(modes) if reads else 1) * (len(seeds) if sampled else 1) for reads, sampled in cards
    )
    for fewer in (held(agents[:1], seeds, modes), held(agents, seeds[:1], modes), held(agents, seeds, modes[:1])):
        assert set(fewer) <= set(whole)


def test_episodes_begin_window_by_window_and_seed_by_seed_with_all_arms_in_turn(path):
    agents = [agent("reader"), agent("plain", reads=False, sampled=False)]
    made = plan(PANEL, *agents, seeds=(0, 1), modes=("true", "hidden"), scheme=Even(2), steps=2)
    order = []
    experiment.run(made, path, concurrency=1, progress=lambda at: order.append((at.agent, at.ended)) or False)
    arms = ["reader", "reader", "plain", "reader", "reader"]  # the second seed changes nothing for the plain one
    assert [name for name, _ in order[::2]] == arms + arms
    assert [(each.span.first, each.seed, each.mode) for each in made.episodes] == [
        (0, 0, "true"), (0, 0, "hidden"), (0, 0, "hidden"), (0, 1, "true"), (0, 1, "hidden"),
        (3, 0, "true"), (3, 0, "hidden"), (3, 0, "hidden"), (3, 1, "true"), (3, 1, "hidden"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("twice", "said"),
    [
        ({"candidates": ("x", "x")}, "the agent 'x' is asked for twice"),
        ({"seeds": (1, 2, 1)}, "the seed '1' is asked for twice"),
        ({"modes": ("true", "true")}, "the feedback mode 'true' is asked for twice"),
    ],
)
def test_what_is_asked_for_twice_is_a_mistake(twice, said):
    names = twice.pop("candidates", ("x",))
    with pytest.raises(UsageError, match=said):
        plan(PANEL, *map(agent, names), **twice)


# ---------------------------------------------------------------------- side by side


@pytest.mark.parametrize(("concurrency", "most"), [(16, 8), (3, 3), (1, 1)])
def test_agents_that_wait_wait_together_and_no_more_of_them_than_is_allowed(path, concurrency, most):
    waiting = Waiting(0.005)
    made = plan(PANEL, agent("waiting", waiting), seeds=tuple(range(4)), modes=("true", "hidden"), steps=5)
    outcome = experiment.run(made, path, concurrency=concurrency)
    assert outcome.failure is None
    assert waiting.most == most
    assert Counter(waiting.asked) == dict.fromkeys(range(5), 8)  # nobody is asked twice
    assert [row.status for row in rows(path)] == ["complete"] * 8


@pytest.mark.parametrize("pace", [0.0, 1.0], ids=["one commit", "a commit a step"])
def test_what_is_on_file_does_not_depend_on_who_plays_beside_or_on_the_commits(tmp_path, pace):
    made = plan(PANEL, agent("waiting", Waiting()), agent("random", lambda seen: [seen.t % 3 / 9] * 5), policy=TIGHT,
                seeds=(0, 1), steps=6)  # fmt: skip
    ticks = iter(range(10**6))
    experiment.run(made, tmp_path / "beside", clock=lambda: pace * next(ticks))
    experiment.run(made, tmp_path / "alone", concurrency=1)
    assert roots(tmp_path / "beside") == roots(tmp_path / "alone")
    assert None not in roots(tmp_path / "beside").values()


def test_steps_are_committed_while_the_others_wait(path):
    seen_on_file = []

    async def slow(_seen):
        await asyncio.sleep(0.7)
        with Reader(path) as reader:
            seen_on_file.append(len(reader.recorded(reader.episode("fast").id).hashes))

    made = plan(PANEL, agent("slow", slow), agent("fast", sampled=False), modes=("hidden",), steps=1)
    assert experiment.run(made, path).failure is None
    assert seen_on_file == [1]


# ---------------------------------------------------------------------- one that fails


def broken(t):
    def ask(seen):
        if seen.t >= t:
            raise RuntimeError("broken")

    return ask


def test_agents_that_fail_stop_nobody_and_all_are_told_of(path):
    agents = [agent("one", broken(2)), agent("fine", Waiting(), reads=False), agent("two", broken(0), reads=False)]
    made = plan(PANEL, *agents, seeds=(0, 1), modes=("true", "hidden"), steps=4)
    outcome = experiment.run(made, path)
    assert Counter((row.agent, row.status) for row in rows(path)) == {
        ("one", "error"): 4, ("fine", "complete"): 2, ("two", "error"): 2,
    }  # fmt: skip
    assert len(outcome.failures) == 6
    assert [title for title, _ in outcome.failures][:2] == [
        "one, feedback true, seed 0, bars from 0", "one, feedback hidden, seed 0, bars from 0",
    ]  # fmt: skip
    assert isinstance(outcome.failure, AgentError)
    assert str(outcome.failure) == (
        "6 of 8 episodes failed; the first, one, feedback true, seed 0, bars from 0: the agent raised at bar 2: "
        "RuntimeError: broken"
    )
    assert all("broken" in row.error for row in rows(path) if row.status == "error")


def test_a_record_that_diverges_stops_nobody(path):
    made = plan(PANEL, agent("waiting", Waiting()), seeds=(0, 1, 2), steps=8)
    stop_at(made, path, 9)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE step SET rationale = 'planted' WHERE episode = (SELECT id FROM episode WHERE seed = 1)")
    outcome = experiment.run(made, path)
    assert isinstance(outcome.failure, DivergedError)
    assert {row.seed: row.status for row in rows(path)} == {0: "complete", 1: "error", 2: "complete"}


# ---------------------------------------------------------------------- again, and more


def test_the_same_again_asks_nobody_and_more_adds_only_what_is_missing(path, tmp_path):
    waiting = Waiting()
    first = plan(PANEL, agent("waiting", waiting), policy=TIGHT, seeds=(0, 1), modes=("true", "hidden"), steps=6)
    outcome = experiment.run(first, path)
    bytes_before, asked_before = path.read_bytes(), len(waiting.asked)
    assert experiment.run(first, path) == outcome
    assert path.read_bytes() == bytes_before
    assert len(waiting.asked) == asked_before == 24

    before = content(path, outcome.episodes)
    agents = (agent("waiting", waiting), agent("other", Waiting()))
    more = plan(PANEL, *agents, policy=TIGHT, seeds=(0, 1, 2), modes=("true", "hidden", MODES[-1]), steps=6)
    longer = experiment.run(more, path)
    assert len(waiting.asked) - asked_before == 5 * 6  # one more mode for two seeds, three modes for the third
    assert set(outcome.episodes) < set(longer.episodes)
    assert repr(content(path, outcome.episodes)) == repr(before)
    experiment.run(more, tmp_path / "at once")
    assert roots(path) == roots(tmp_path / "at once")


@pytest.mark.slow
def test_a_replicate_of_a_grid_that_was_cut_short_is_taken_up_as_a_whole(path):
    made = plan(PANEL, agent("waiting", Waiting()), seeds=tuple(range(5)), modes=("hidden",), steps=4)
    experiment.run(made, path)
    stop_at(made, path, 9, again=True, concurrency=2)
    status = Counter(row.status for row in rows(path))
    assert 1 <= status["interrupted"] <= 2 < status["complete"] < 10
    experiment.run(made, path, again=True)
    assert Counter((row.replicate, row.status) for row in rows(path)) == {(0, "complete"): 5, (1, "complete"): 5}
    experiment.run(made, path, again=True)
    assert Counter(row.replicate for row in rows(path)) == {0: 5, 1: 5, 2: 5}


# ---------------------------------------------------------------------- cut short


def stop_at(made, path, decision, **options):
    """Ask for a stop at one decision of the run, once."""
    return experiment.run(made, path, progress=lambda at: at.reached == decision, **options)


@pytest.fixture(scope="module")
def waiting_plan():
    quick = agent("quick", lambda seen: [seen.t % 3 / 9] * 5, reads=False, sampled=False)
    return plan(PANEL, agent("waiting", Waiting()), quick, policy=TIGHT, seeds=(0, 1), modes=("true", "hidden"),
                scheme=Even(2), steps=6)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(waiting_plan, tmp_path_factory):
    path = tmp_path_factory.mktemp("calm") / "calm.duckdb"
    assert experiment.run(waiting_plan, path).failure is None
    return roots(path)


def test_a_stop_ends_all_that_run_and_the_same_call_goes_on(path, waiting_plan, undisturbed):
    outcome = stop_at(waiting_plan, path, 30, concurrency=4)
    assert isinstance(outcome.failure, Interrupted)
    assert str(outcome.failure).startswith(f"stopped with {len(outcome.failures)} of 10 episodes not ended")
    assert {row.status for row in rows(path)} <= {"complete", "interrupted"}
    status = Counter(row.status for row in rows(path))
    assert 1 <= status["interrupted"] <= 4
    assert len(outcome.failures) == 10 - status["complete"]  # those that ran, and those that had not begun
    assert experiment.run(waiting_plan, path).failure is None
    assert roots(path) == undisturbed
    assert sealed(path)


class Trouble(Exception):
    """Nothing the program knows."""


class Second(KeyboardInterrupt):
    """Ctrl-C for the second time."""


@pytest.mark.parametrize(("kind", "decision"), [(Trouble, 30), (Second, 25)])
def test_what_nobody_foresaw_ends_the_run_and_leaves_every_episode_to_be_taken_up(
    path, waiting_plan, undisturbed, kind, decision
):
    def watch(at):
        if at.reached == decision:
            raise kind

    with pytest.raises(kind):
        experiment.run(waiting_plan, path, progress=watch, concurrency=5)
    statuses = Counter(row.status for row in rows(path))
    assert statuses.keys() <= {"complete", "interrupted", "running"}
    assert statuses["running"] <= 1  # the one in which it happened
    assert experiment.run(waiting_plan, path).failure is None
    assert roots(path) == undisturbed


def test_an_agent_that_does_not_let_itself_be_broken_off_does_not_hold_the_run_up(path):
    async def stubborn(_seen):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return [0.1] * 5

    async def fatal(_seen):
        await asyncio.sleep(0.01)

    def watch(at):
        if at.agent == "fatal" and at.done == 1:
            raise Trouble

    made = plan(PANEL, agent("stubborn", stubborn), agent("fatal", fatal), modes=("hidden",))
    with pytest.raises(Trouble):
        experiment.run(made, path, progress=watch)
    assert {row.agent: row.status for row in rows(path)}["stubborn"] == "interrupted"


def test_a_run_that_is_broken_off_while_a_commit_is_written_ends_after_it(path, waiting_plan, undisturbed):
    """Another process reads the file meanwhile, which keeps the commit waiting."""
    code = (
        f"import duckdb, time\ndb = duckdb.connect({str(path)!r}, read_only=True)\nprint(flush=True)\ntime.sleep(0.6)"
    )
    readers, ticks = [], iter(range(10**6))

    def watch(at):
        if at.reached == 12:
            readers.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
            readers[0].stdout.readline()
        if at.reached == 20:
            raise Trouble

    with pytest.raises(Trouble):
        experiment.run(waiting_plan, path, progress=watch, concurrency=5, clock=lambda: 1.0 * next(ticks))
    assert readers[0].poll() is not None  # the last commits came after it
    readers[0].stdout.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("commit")]
    with Reader(path) as reader:
        assert sum(len(reader.recorded(row.id).hashes) for row in reader.episodes()) >= 12
    assert experiment.run(waiting_plan, path).failure is None
    assert roots(path) == undisturbed
    assert sealed(path)


def test_a_commit_that_fails_beside_the_episodes_ends_the_run_and_the_same_call_goes_on(
    path, waiting_plan, undisturbed
):
    def rename(old, new):
        with duckdb.connect(str(path)) as db:
            db.execute(f"ALTER TABLE {old} RENAME TO {new}")

    ticks = iter(range(10**6))

    def watch(at):
        if at.reached == 0:
            rename("mark", "elsewhere")

    with pytest.raises(StoreError, match=r"mine\.duckdb: .*mark"):
        experiment.run(waiting_plan, path, progress=watch, clock=lambda: 1.0 * next(ticks))
    assert rows(path) == []
    rename("elsewhere", "mark")
    assert experiment.run(waiting_plan, path).failure is None
    assert roots(path) == undisturbed


def test_several_failures_and_a_stop_are_one_sentence(path):
    made = plan(PANEL, agent("bad", broken(0)), agent("waiting", Waiting()), modes=("hidden",), steps=4)
    outcome = stop_at(made, path, 3)
    assert isinstance(outcome.failure, TradeArenaError)
    assert str(outcome.failure) == (
        "stopped with 1 of 2 episodes not ended; 1 of 2 episodes failed; the first, bad, feedback hidden, "
        "seed 0, bars from 0: the agent raised at bar 0: RuntimeError: broken"
    )
