"""One file per experiment: what is on file is not run again, what was cut is taken up, what is new is added."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from stage import FREE, TIGHT, asked, episode, plan, walk

from tradearena import rooms
from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.plan import rehearse
from tradearena.errors import AgentError, DivergedError, Interrupted, StoreError, UsageError
from tradearena.policy import Execution, Limits, Policy
from tradearena.store.reader import Reader
from tradearena.store.schema import ENGINE
from tradearena.store.seal import seal_of

PANEL = walk(2, 70, gaps=0.05)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.duckdb"


class Calls:
    """A candidate that counts what it is asked, and raises at a bar until it is mended."""

    def __init__(self, raises_at=None):
        self.raises_at, self.seen = raises_at, []

    def __call__(self, seen):
        if seen.t == self.raises_at:
            raise RuntimeError("broken")
        self.seen.append(seen.t)
        return {"S0": 0.3 + 0.1 * (seen.t % 3), "S3": 0.2, "ZZZ": 1.0}

    @property
    def candidate(self):
        return asked(self, "calls")


def rows(path):
    with Reader(path) as reader:
        return {row.id: row for row in reader.episodes()}


def only(path):
    (row,) = rows(path).values()
    return row


def steps(path, name=None):
    with Reader(path) as reader:
        row = reader.episode(name)
        return reader.recorded(row.id).hashes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The root hash, and the links, of the episode of `Calls` that nothing disturbs."""
    path = tmp_path_factory.mktemp("calm") / "calm.duckdb"
    experiment.run(plan(PANEL, Calls().candidate, policy=TIGHT, start=None), path)
    return only(path).root_hash, steps(path)


def made(calls, **options):
    return plan(PANEL, calls.candidate, policy=TIGHT, **options)


# ---------------------------------------------------------------------- the same again


def test_the_same_command_again_asks_nobody_and_changes_nothing(path):
    calls = Calls()
    first = experiment.run(made(calls), path)
    asked_for, before = len(calls.seen), path.read_bytes()
    second = experiment.run(made(calls), path)
    assert len(calls.seen) == asked_for == 69
    assert second == first
    assert path.read_bytes() == before


def test_again_makes_a_replicate_with_the_same_root(path):
    calls = Calls()
    first = experiment.run(made(calls), path)
    second = experiment.run(made(calls), path, again=True)
    third = experiment.run(made(calls), path, again=True)
    found = rows(path)
    assert [found[each.episodes[0]].replicate for each in (first, second, third)] == [0, 1, 2]
    assert len({row.root_hash for row in found.values()}) == 1
    assert experiment.run(made(calls), path) == first


def test_an_interrupted_replicate_is_taken_up_and_not_begun_once_more(path):
    calls = Calls()
    experiment.run(made(calls), path)
    stopped = experiment.run(made(calls), path, again=True, progress=lambda at: at.done == 10)
    assert isinstance(stopped.failure, Interrupted)
    finished = experiment.run(made(calls), path, again=True)
    assert finished.episodes == stopped.episodes
    assert {(row.replicate, row.status) for row in rows(path).values()} == {(0, "complete"), (1, "complete")}


def test_more_seeds_and_agents_extend_the_file(path):
    one = plan(PANEL, open_agent("random"), policy=TIGHT)
    experiment.run(one, path)
    before = rows(path)
    more = plan(PANEL, open_agent("random"), open_agent("momentum"), policy=TIGHT, seeds=(0, 1))
    assert more.identity == one.identity
    outcome = experiment.run(more, path)
    after = rows(path)
    assert len(outcome.episodes) == len(after) == 3
    assert {name: after[name] for name in before} == before
    assert {(row.agent, row.seed) for row in after.values()} == {
        ("random", 0), ("random", 1), ("momentum", 0),
    }  # fmt: skip
    roots = {(row.agent, row.seed): row.root_hash for row in after.values()}
    assert roots["random", 0] != roots["random", 1]


def test_another_universe_is_another_file(path):
    one = made(Calls())
    others = [
        plan(walk(3, 70), Calls().candidate, policy=TIGHT),
        plan(PANEL, Calls().candidate, policy=FREE),
        made(Calls(), every=2),
        made(Calls(), steps=5),
        made(Calls(), start=datetime(2024, 2, 1, tzinfo=UTC)),
    ]
    assert len({each.identity for each in (one, *others)}) == 6
    renamed = TIGHT.model_copy(update={"name": "other", "description": "said otherwise"})
    assert plan(PANEL, Calls().candidate, policy=renamed).identity == one.identity
    experiment.run(one, path)
    for other in others:
        with pytest.raises(StoreError, match=f"holds experiment {one.identity}, not {other.identity}"):
            experiment.run(other, path)


def test_a_file_is_found_by_what_it_holds(tmp_path):
    now = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    one = made(Calls())
    path = experiment.locate(one, tmp_path, now)
    assert path == tmp_path / "replays" / f"20240506T070809Z-stage-{one.identity}.duckdb"
    experiment.run(one, path)
    assert experiment.locate(one, tmp_path, datetime(2025, 1, 1, tzinfo=UTC)) == path
    assert experiment.locate(made(Calls(), every=3), tmp_path, now) != path


# ---------------------------------------------------------------------- taken up


@pytest.mark.parametrize("bar", [20, *(pytest.param(bar, marks=pytest.mark.slow) for bar in (0, 68))])
def test_an_agent_that_raises_keeps_its_steps_and_is_taken_up_once_it_is_mended(path, undisturbed, bar):
    calls = Calls(raises_at=bar)
    outcome = experiment.run(made(calls), path)
    assert isinstance(outcome.failure, AgentError)
    row = only(path)
    assert (row.status, row.error) == ("error", f"the agent raised at bar {bar}: RuntimeError: broken")
    assert (row.root_hash, row.seal) == (None, None)
    assert row.finished_at is not None
    assert steps(path) == undisturbed[1][:bar]
    again = experiment.run(made(calls), path)  # still broken: asked once more, and nothing else happens
    assert str(again.failure) == str(outcome.failure)
    assert steps(path) == undisturbed[1][:bar]
    mended = Calls()
    assert experiment.run(made(mended), path).failure is None
    row = only(path)
    assert (row.status, row.error, row.root_hash) == ("complete", None, undisturbed[0])
    assert mended.seen == list(range(bar, 69))
    with Reader(path) as reader:
        assert seal_of(reader.db, row.id) == row.seal


@pytest.mark.parametrize("stop", [0, 33])
def test_a_stop_keeps_the_steps_and_the_same_call_goes_on(path, undisturbed, stop):
    calls = Calls()
    outcome = experiment.run(made(calls), path, progress=lambda at: at.done == stop)
    assert isinstance(outcome.failure, Interrupted)
    assert (only(path).status, only(path).error) == ("interrupted", None)
    assert steps(path) == undisturbed[1][:stop]
    assert not path.with_name("mine.duckdb.wal").exists()
    experiment.run(made(calls), path)
    assert (only(path).status, only(path).root_hash) == ("complete", undisturbed[0])
    assert calls.seen == list(range(69))


def test_a_stop_leaves_the_episodes_behind_it_for_the_next_time(path):
    both = plan(PANEL, open_agent("random"), policy=TIGHT, seeds=(0, 1, 2))
    counted = []
    outcome = experiment.run(both, path, progress=lambda *_: counted.append(1) or len(counted) > 60)
    assert isinstance(outcome.failure, Interrupted)
    assert [row.status for row in rows(path).values()] == ["complete", "interrupted"]
    assert experiment.run(both, path).failure is None
    assert {row.status for row in rows(path).values()} == {"complete"}
    assert len(rows(path)) == 3


def test_an_agent_that_raises_does_not_keep_the_others_from_running(path):
    broken, whole = Calls(raises_at=30), asked(lambda _seen: None, "idle")
    outcome = experiment.run(plan(PANEL, broken.candidate, whole, policy=TIGHT), path)
    assert isinstance(outcome.failure, AgentError)
    assert {row.agent: row.status for row in rows(path).values()} == {"calls": "error", "idle": "complete"}


def test_a_record_that_does_not_come_out_the_same_again_ends_in_an_error_that_names_the_bar(path):
    calls = Calls()
    experiment.run(made(calls), path, progress=lambda at: at.done == 10)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE step SET rationale = 'planted' WHERE t = 4")
    outcome = experiment.run(made(calls), path)
    assert isinstance(outcome.failure, DivergedError)
    assert "bar 4: the recorded step does not come out the same again" in str(outcome.failure)
    assert "--again" in str(outcome.failure)
    assert only(path).status == "error"
    assert experiment.run(made(calls), path, again=True).failure is None


def test_a_replicate_that_ended_in_an_error_is_taken_up_and_not_made_anew(path):
    """What was paid for is not paid for twice; the first replicate is left alone."""
    assert experiment.run(made(Calls()), path).failure is None
    broken = Calls(raises_at=12)
    assert isinstance(experiment.run(made(broken), path, again=True).failure, AgentError)
    mended = Calls()
    assert experiment.run(made(mended), path, again=True).failure is None
    assert sorted(row.replicate for row in rows(path).values()) == [0, 1]
    assert {row.status for row in rows(path).values()} == {"complete"}


def test_progress_is_told_of_every_decision(path):
    told = []
    experiment.run(made(Calls(), every=7), path, progress=lambda standing: told.append(standing) or False)
    assert told == [("calls", i, 10, 0, 1, i, 10) for i in range(10)]


# ---------------------------------------------------------------------- windows


@pytest.mark.parametrize("every", [1, 2, 5, 9])
def test_decisions_are_made_every_so_many_bars_and_the_account_is_marked_at_all(every):
    record = episode(lambda seen: {"S0": 0.5, "S1": (seen.t % 4) / 8}, PANEL, FREE, every=every)
    assert [step.t for step in record.steps] == list(range(20, 69, every))
    assert [mark.t for mark in record.marks] == list(range(20, 70))
    assert sum(len(step.marks) for step in record.steps) + (69 - record.steps[-1].t) == 50


def test_a_number_of_steps_is_a_number_of_decisions(path):
    outcome = experiment.run(made(Calls(), steps=7, every=3), path)
    with Reader(path) as reader:
        window = reader.window(reader.episode(outcome.episodes[0]))
    assert (window["first"], window["last"], window["every"]) == (0, 19, 3)
    assert len(steps(path)) == 7


def test_a_window_is_the_same_episode_as_that_part_of_the_bars(path):
    whole = made(Calls(), start=datetime(2024, 1, 12, tzinfo=UTC), steps=10)
    assert (whole.span.first, whole.span.last) == (10, 20)
    experiment.run(whole, path)
    record = episode(Calls(), walk(2, 70, gaps=0.05), TIGHT, first=10)
    assert steps(path) == record.links[:10]


@pytest.mark.parametrize(
    "options", [{"start": datetime(2025, 1, 1, tzinfo=UTC)}, {"end": datetime(2024, 1, 2, tzinfo=UTC)}]
)
def test_a_window_without_a_decision_is_a_mistake_of_the_user(path, options):
    with pytest.raises(UsageError, match="no decision fits"):
        experiment.run(made(Calls(), **options), path)
    assert not path.exists()


def test_pairs_start_together_where_the_most_demanding_of_them_can(path):
    both = plan(walk(2, 90), open_agent("cash"), open_agent("risk-parity"), policy=TIGHT)
    assert both.span.first == 60
    experiment.run(both, path)
    assert {row.first for row in rows(path).values()} == {60}


# ---------------------------------------------------------------------- ruin


def ruinous(seen):
    """Twenty times the account, all in one symbol."""
    return {"S0": 20.0 if seen.t % 2 else -20.0}


RECKLESS = Policy(name="reckless", limits=Limits(allow_short=True), execution=Execution(initial_cash=1_000.0))


def test_a_ruined_episode_ends_where_the_account_does(path):
    reckless = plan(walk(4, 200, size=0.04), asked(ruinous, "ruinous"), policy=RECKLESS)
    outcome = experiment.run(reckless, path)
    assert outcome.failure is None
    row = only(path)
    assert row.status == "ruined"
    with Reader(path) as reader:
        found = reader.trajectory(row.id)
        assert seal_of(reader.db, row.id) == row.seal
    assert (found.nav[:-1] > 0).all()
    assert found.nav[-1] <= 0
    assert found.marked[-1] < 199
    assert found.decided[-1] < found.marked[-1]
    assert row.root_hash
    before = path.read_bytes()
    experiment.run(reckless, path)
    assert path.read_bytes() == before


def test_a_ruined_episode_is_the_same_in_memory():
    record = episode(ruinous, walk(4, 200, size=0.04), RECKLESS, first=0)
    assert record.ending == "ruined"
    assert record.marks[-1].nav <= 0 < record.marks[-2].nav
    assert record.marks[-1].cash == record.marks[-1].nav


# ---------------------------------------------------------------------- what is kept of how it was made


def test_the_manifest_says_what_made_the_episode_and_not_where(path):
    experiment.run(made(Calls()), path)
    manifest = only(path).manifest
    assert {"tradearena", "python", "numpy", "daqp", "duckdb", "processor", "revision", "dirty"} <= set(manifest)
    said = repr(manifest)
    assert socket.gethostname() not in said
    assert str(path.parent) not in said


def test_the_setup_is_on_file(path):
    one = made(Calls())
    experiment.run(one, path)
    with Reader(path) as reader:
        setup = reader.experiment()
    assert (setup.id, setup.name, setup.engine) == (one.identity, "stage", ENGINE)
    assert setup.policy == TIGHT.model_dump(mode="json")
    assert setup.policy_digest == TIGHT.digest
    assert setup.dataset_digest == PANEL.digest
    assert (setup.symbols, setup.sectors) == (PANEL.symbols, PANEL.sectors)
    assert setup.window == "start=- end=- steps=- every=1"


def test_a_baseline_is_the_shipped_agent_whatever_the_user_calls_his(tmp_path, monkeypatch):
    (tmp_path / "agents").mkdir()
    card = 'name = "equal-weight"\nkind = "cash"\n'
    (tmp_path / "agents" / "equal-weight.toml").write_text(card)
    monkeypatch.chdir(tmp_path)
    assert rooms.cards("agents")["equal-weight"].parent == tmp_path / "agents"
    path = rehearse(plan(PANEL, open_agent("cash"), policy=FREE), "equal-weight")
    assert np.abs(path.intent).sum() > 0
