"""Forks and open loops: what is made of an episode on record begins as it did, and is checked like any other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from stage import TIGHT, dataset, walk, with_latency

from tradearena.agents.card import open_agent
from tradearena.arena import experiment
from tradearena.arena.branch import Branches, Trunk, fork, open_loop, trunks
from tradearena.arena.plan import Plan, identity_of
from tradearena.arena.verify import verify
from tradearena.errors import DivergedError, StoreError, UnknownName, UsageError
from tradearena.market.window import Window
from tradearena.policy import Limits, Policy, load
from tradearena.risk.feedback import open_wording
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES
from tradearena.store.steps import Story, story_of
from tradearena.values import MODES

pytestmark = pytest.mark.xdist_group("trunks")  # of which some are made once

WORDING = open_wording().template
FIRST, STEPS = 20, 12


def run(programme, path: Path, **more) -> Path:
    outcome = experiment.run(programme, path, **more)
    assert outcome.failure is None, outcome.failure
    return path


def trunk_of(path: Path, agent: str | None = None) -> Trunk:
    (found,) = trunks(path, agent or trunks(path)[0].row.id)
    return found


def original(folder: Path, *agents: str, policy: Policy = TIGHT, mode: str = "true", every: int = 1, **more) -> Path:
    """An experiment of these agents, some twelve decisions each."""
    candidates = tuple(open_agent(agent) for agent in agents)
    plan = Plan(dataset(walk(4, bars=60, n=4)), policy, Window(steps=STEPS, every=every), candidates, modes=(mode,))
    return run(plan, folder / "trunk.duckdb", **more)


def forked(trunk: Trunk, at: int, agent: str | None = None, **changes) -> Branches:
    row = trunk.row
    usual = {"modes": (row.feedback,), "seeds": (row.seed,), "policy": trunk.policy, "wording": row.wording or WORDING}
    return fork(trunk, at, open_agent(agent or row.agent), **{**usual, **changes})


def story(path: Path, place: int = 0) -> Story:
    with Reader(path) as reader:
        return story_of(reader, reader.episodes()[place].id)


def roots(path: Path) -> list[str | None]:
    with Reader(path) as reader:
        return [row.root_hash for row in reader.episodes()]


def sound(path: Path) -> bool:
    whole, verdicts = verify(path)
    return not whole and all(verdict.wrong is None and verdict.sealed for verdict in verdicts)


@pytest.fixture(scope="module")
def talking(tmp_path_factory) -> Path:
    """An organism that was told the truth."""
    return original(tmp_path_factory.mktemp("trunk"), "organism-obedient")


# ---------------------------------------------------------------------- forks


CARRIED = {
    ("organism-coupled", "placebo", 1, 1): "trunk",
    ("organism-obedient", "true", 3, 1): "rewritten",
    ("markowitz", "hidden", 2, 2): "trunk",
    ("random", "hidden", 1, 1): None,
    ("buy-and-hold", "hidden", 1, 3): None,
    ("organism-garbled", "false-audit:inverted", 1, 1): None,
}
"""Agent, mode, latency and every, and what is tried daily of each; both are in full."""


@pytest.mark.parametrize(
    ("agent", "mode", "latency", "every", "carry"),
    [
        pytest.param(*case, carry, marks=() if carry == daily else pytest.mark.slow)
        for case, daily in CARRIED.items()
        for carry in ("trunk", "rewritten")
    ],
)
def test_a_fork_that_changes_nothing_ends_with_the_root_hash_of_its_trunk(tmp_path, agent, mode, latency, every, carry):
    path = original(tmp_path, agent, policy=with_latency(TIGHT, latency), mode=mode, every=every)
    trunk = trunk_of(path)
    for k in (0, 5, STEPS - 1):
        at = trunk.row.first + k * every
        child = run(forked(trunk, at, carry=carry), tmp_path / f"{k}.duckdb")
        assert roots(child) == [trunk.row.root_hash]
        assert sound(child)


@pytest.mark.parametrize(
    ("carry", "k"),
    [
        ("trunk", 6),
        ("rewritten", 1),
        *(pytest.param(*e, marks=pytest.mark.slow) for e in (("trunk", 1), ("rewritten", 6))),
    ],
)
def test_a_fork_shares_every_row_before_it_and_goes_on_told_otherwise(tmp_path, talking, k, carry):
    trunk = trunk_of(talking)
    at = trunk.row.first + k
    made = forked(trunk, at, modes=MODES, carry=carry)
    path = run(made, tmp_path / "fork.duckdb")
    assert sound(path)
    with duckdb.connect(str(path)) as db:
        db.execute(f"ATTACH '{talking}' AS trunk (READ_ONLY)")
        for table in EPISODE_TABLES:
            left_out = "episode, latency" if table == "step" else "episode"
            before = f"t < {at}" if table not in ("fill", "mark") else f"t <= {at}"
            query = f'SELECT * EXCLUDE ({left_out}) FROM {{}}"{table}" WHERE {before} AND episode = ? ORDER BY ALL'
            was = repr(db.execute(query.format("trunk."), [trunk.row.id]).fetchall())
            for (episode,) in db.execute("SELECT id FROM episode").fetchall():
                assert repr(db.execute(query.format(""), [episode]).fetchall()) == was
    with Reader(path) as reader:
        told = {row.feedback: story_of(reader, row.id).steps[k].step.told for row in reader.episodes()}
    assert told["hidden"] is None
    assert told["true"] == trunk.steps[k].step.told
    assert len({*told.values()}) >= 4  # a denial may be what is true


def test_a_fork_under_another_policy_is_audited_by_it_from_there_on(tmp_path, talking):
    trunk = trunk_of(talking)
    tight = Limits(single_name=0.05, gross=0.2)
    policy = TIGHT.model_copy(
        update={"limits": tight, "reference": TIGHT.reference.model_copy(update={"lookback": 10}), "name": "tighter"}
    )
    path = run(forked(trunk, FIRST + 5, policy=policy), tmp_path / "fork.duckdb")
    assert sound(path)
    steps = [held.step for held in story(path).steps]
    assert all(np.abs(step.report.approved).max() <= 0.05 + 1e-9 for step in steps[5:])
    assert any(np.abs(step.report.approved).max() > 0.06 for step in steps[:5])
    assert any(finding.limit == 0.05 for finding in steps[5].report.findings)
    assert not any(finding.limit == 0.05 for step in steps[:5] for finding in step.report.findings)
    assert '"limit": 0.05' in (steps[6].told or "")


@pytest.mark.slow
def test_a_fork_with_another_agent_and_seed_goes_on_as_that_one(tmp_path, talking):
    trunk = trunk_of(talking)
    path = run(forked(trunk, FIRST + 4, "equal-weight"), tmp_path / "fork.duckdb")
    assert sound(path)
    steps = [held.step for held in story(path).steps]
    assert len(steps) == STEPS
    np.testing.assert_allclose(steps[4].report.intent, 0.25)
    assert [bool(step.decision.exchanges) for step in steps] == [True] * 4 + [False] * 8
    with Reader(path) as reader:
        (row,) = reader.episodes()
    assert (row.agent, row.feedback, row.seed) == ("equal-weight", "hidden", 0)  # it reads nothing and has no dice
    other = run(forked(trunk, FIRST + 4, seeds=(0, 7, 7)), tmp_path / "seeds.duckdb")
    assert sound(other)
    assert roots(other)[0] == trunk.row.root_hash
    assert len({*roots(other)}) == 2


def test_what_was_told_before_is_remembered_as_it_was_or_as_its_own_mode_would_have_told_it(tmp_path):
    trunk = trunk_of(original(tmp_path, "organism-coupled", mode="hidden"))
    prompts = {}
    for carry in ("trunk", "rewritten"):
        path = run(forked(trunk, FIRST + 4, modes=("true",), carry=carry), tmp_path / f"fork-{carry}.duckdb")
        assert sound(path)
        prompts[carry] = [held.step.decision.exchanges[-1].prompt for held in story(path).steps[3:6]]
    for before, first, _ in prompts.values():
        assert "Risk review:" not in before  # the trunk was told nothing
        assert '{"findings"' in first
    assert prompts["trunk"][1].count("Risk review:") == 1  # of the last decision: it is told at the fork
    assert prompts["rewritten"][1].count("Risk review:") == 4
    assert [said.count("Risk review:") for _, _, said in prompts.values()] == [2, 5]
    reviews = {
        carry: json.loads(said[1].split("\n{", 1)[1].join(["{", ""]).split("\n")[0])["reviews"]
        for carry, said in prompts.items()
    }
    assert reviews == {"trunk": 1, "rewritten": 4}


@pytest.mark.slow
@pytest.mark.parametrize("cut", [2, 7, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 4))])
def test_a_fork_that_is_cut_short_is_taken_up_and_ends_the_same(tmp_path, talking, cut):
    made = forked(trunk_of(talking), FIRST + 4, modes=("hidden",))
    calm = run(made, tmp_path / "calm.duckdb")
    path = tmp_path / "cut.duckdb"
    assert experiment.run(made, path, progress=lambda standing: standing.done == cut).failure is not None
    assert verify(path)[1][0].wrong is None
    assert run(made, path) == path
    assert roots(path) == roots(calm)
    assert sound(path)


@pytest.mark.slow
def test_a_fork_goes_on_from_an_episode_that_was_cut_short_and_from_another_fork(tmp_path):
    path = tmp_path / "trunk.duckdb"
    plan = Plan(dataset(walk(4, bars=60, n=4)), TIGHT, Window(steps=STEPS), (open_agent("organism-obedient"),))
    experiment.run(plan, path, progress=lambda standing: standing.done == 6)
    trunk = trunk_of(path)
    assert len(trunk.steps) == 6
    whole = run(forked(trunk, FIRST + 6), tmp_path / "whole.duckdb")
    assert roots(whole) == roots(run(plan, tmp_path / "calm.duckdb"))
    with pytest.raises(UsageError, match=f"a decision at every bar from {FIRST} to {FIRST + 5}; .* or the next"):
        forked(trunk, FIRST + 7)
    child = run(forked(trunk, FIRST + 3, modes=("hidden",)), tmp_path / "child.duckdb")
    grandchild = run(forked(trunk_of(child), FIRST + 8, modes=("placebo",)), tmp_path / "grandchild.duckdb")
    assert [held.link for held in story(grandchild).steps[:8]] == [held.link for held in story(child).steps[:8]]


LOOSE = TIGHT.model_copy(
    update={"name": "loose", "limits": TIGHT.limits.model_copy(update={"single_name": None, "drawdown": None})}
)


@pytest.mark.parametrize("at", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 5)), 8])
@pytest.mark.parametrize("changes", [{"policy": LOOSE}, {"modes": ("hidden",)}, {"modes": ("placebo",)}])
def test_a_fork_of_a_fork_keeps_the_rules_of_each_stretch_and_verifies(tmp_path, talking, at, changes):
    """One that changes nothing ends with the root hash of the fork it comes from, wherever it leaves it."""
    child = run(forked(trunk_of(talking), FIRST + 4, **changes), tmp_path / "child.duckdb")
    same = run(forked(trunk_of(child), FIRST + max(at, 4)), tmp_path / "same.duckdb")
    assert roots(same) == roots(child)
    other = run(forked(trunk_of(child), FIRST + at, modes=("false-audit:alarm",)), tmp_path / "other.duckdb")
    third = run(forked(trunk_of(other), FIRST + 9, policy=TIGHT), tmp_path / "third.duckdb")
    for path in (child, same, other, third):
        assert sound(path), path
    assert [held.link for held in story(third).steps[:9]] == [held.link for held in story(other).steps[:9]]


def test_a_fork_under_a_policy_without_a_kill_switch_trades_on(tmp_path):
    cautious = TIGHT.model_copy(update={"limits": TIGHT.limits.model_copy(update={"drawdown": 1e-6, "cooldown": 99})})
    halted = original(tmp_path, "equal-weight", policy=cautious)
    path = run(forked(trunk_of(halted), FIRST + 6, policy=LOOSE), tmp_path / "fork.duckdb")
    said = [{finding.rule for finding in held.step.report.findings} for held in story(path).steps]
    assert "drawdown" in said[5]
    assert not any("drawdown" in rules for rules in said[6:])
    assert sound(path)


def test_a_fork_of_a_few_decisions_ends_where_the_last_of_them_is_filled(tmp_path, talking):
    trunk = trunk_of(talking)
    path = run(forked(trunk, FIRST + 4, steps=3), tmp_path / "fork.duckdb")
    assert len(story(path).steps) == 7
    assert story(path).marks[-1].t == FIRST + 7
    assert sound(path)


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (FIRST - 1, {}, "cannot be forked at bar 19: it has a decision at every bar from 20 to 31; name one"),
        (FIRST + STEPS, {}, "cannot be forked at bar 32"),
        (FIRST, {"policy": with_latency(TIGHT, 2)}, "keeps the latency of its trunk, 1, and the policy tight has 2"),
        (FIRST, {"policy": load("standard")}, "keeps the initial_cash of its trunk, 100000, .* standard has 1e\\+06"),
    ],
)
def test_what_cannot_be_forked_is_said_in_a_sentence(talking, at, changes, said):
    with pytest.raises(UsageError, match=said):
        forked(trunk_of(talking), at, **changes)


def test_shorts_that_may_be_held_cannot_be_forbidden(talking):
    trunk = trunk_of(talking)
    short = TIGHT.model_copy(update={"limits": TIGHT.limits.model_copy(update={"allow_short": True})})
    with pytest.raises(UsageError, match="the trunk may be short, and the policy tight forbids it"):
        forked(trunk._replace(policy=short), FIRST, policy=TIGHT)


def test_an_agent_that_wants_more_bars_than_there_are_is_refused(talking, tmp_path):
    card = tmp_path / "slow.toml"
    card.write_text('name = "slow"\nkind = "momentum"\n[parameters]\nlookback = 40\n')
    with pytest.raises(UsageError, match="slow wants 40 bars before it decides; fork later than 25"):
        forked(trunk_of(talking), 25, str(card))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE step SET rationale = 'x' WHERE t = 23", "step 23 of episode .* is not what its hash says"),
        ("UPDATE bars SET close = open WHERE t = 3", "its bars were changed"),
        ("UPDATE experiment SET engine = 1", "made under the rules of engine 1"),
        ("DELETE FROM step", "holds no step to go on from"),
    ],
)
def test_a_file_that_was_changed_is_nothing_to_go_on_from(tmp_path, talking, statement, said):
    copy = tmp_path / "copy.duckdb"
    shutil.copy(talking, copy)
    with duckdb.connect(str(copy)) as db:
        db.execute(statement)
    with pytest.raises(StoreError, match=said):
        trunks(copy)
    with pytest.raises(UnknownName):
        trunks(talking, "nobody")


@pytest.fixture(scope="module")
def honest(talking, tmp_path_factory) -> Path:
    """A fork of it, told a placebo."""
    path = tmp_path_factory.mktemp("honest") / "fork.duckdb"
    return run(forked(trunk_of(talking), FIRST + 5, modes=("placebo",)), path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda origin: origin["prefix"].update(link="00" * 32), "parent"),
        (lambda origin: origin["prefix"].update(at=FIRST + 3), None),
        (lambda origin: origin["prefix"]["policy"]["limits"].update(gross=0.1), None),
        (lambda origin: origin["prefix"].update(feedback="hidden"), None),
        (lambda origin: origin.update(episode="another"), "seal"),
        (lambda origin: origin.clear(), None),
        (lambda origin: origin.update(prefix=None), None),
    ],
)
def test_a_fork_that_lies_about_its_trunk_is_convicted(tmp_path, honest, change, field):
    path = shutil.copy(honest, tmp_path / "fork.duckdb")
    with duckdb.connect(str(path)) as db:
        ((text,),) = db.execute("SELECT parent FROM episode").fetchall()
        origin = json.loads(text)
        change(origin)
        db.execute("UPDATE episode SET parent = ?", [json.dumps(origin)])
    (verdict,) = verify(path)[1]
    assert verdict.wrong is not None
    if field:
        assert verdict.wrong.field == field


def test_a_trunk_that_was_changed_under_a_fork_that_is_resumed_is_noticed(tmp_path, talking):
    made = forked(trunk_of(talking), FIRST + 5)
    path = tmp_path / "fork.duckdb"
    experiment.run(made, path, progress=lambda standing: standing.done == 7)
    held = made.episodes[0].prefix[2]
    other = replace(held.step, told="something else")
    steps = (*made.episodes[0].prefix[:2], held._replace(step=other), *made.episodes[0].prefix[3:])
    changed = Branches(made.dataset, made.policy, made.rule, (replace(made.episodes[0], prefix=steps),))
    (found,) = experiment.run(changed, path).failures
    assert isinstance(found[1], DivergedError)


# ---------------------------------------------------------------------- open loops


def test_an_open_loop_that_changes_nothing_trades_as_its_trunk_did(tmp_path):
    path = original(tmp_path, "organism-coupled", "organism-garbled", "markowitz", policy=with_latency(TIGHT, 2))
    found = trunks(path)
    again = run(open_loop(found, found[0].policy), tmp_path / "again.duckdb")
    assert sound(again)
    for place in range(3):
        was, now = story(path, place), story(again, place)
        assert [held.step.report.approved.tolist() for held in was.steps] == [
            held.step.report.approved.tolist() for held in now.steps
        ]
        assert repr(was.marks) == repr(now.marks)
        assert {held.step.told for held in now.steps} == {None}
        assert not any(held.step.decision.exchanges for held in now.steps)
        assert [held.step.decision.rationale for held in was.steps] == [
            held.step.decision.rationale for held in now.steps
        ]
    with Reader(again) as reader:
        rows = reader.episodes()
        assert reader.experiment().window == f"open loop of {found[0].experiment}"
    assert [row.parent["episode"] for row in rows] == [trunk.row.id for trunk in found]
    assert identity_of(open_loop(found, found[0].policy)) != found[0].experiment


def test_an_open_loop_audits_and_fills_by_the_other_rules(tmp_path, talking):
    trunk = trunk_of(talking)
    free = trunk.policy.execution.model_copy(
        update={
            "latency": 4,
            "commission_bps": 0.0,
            "commission_minimum": 0.0,
            "half_spread_bps": 0.0,
            "impact_bps": 0.0,
        }
    )
    policy = trunk.policy.model_copy(update={"execution": free, "limits": Limits(single_name=0.03)})
    path = run(open_loop([trunk], policy), tmp_path / "free.duckdb")
    assert sound(path)
    was, now = story(talking), story(path)
    assert len(now.steps) == STEPS - 3  # those of the last three would be filled after the window
    assert all(held.step.report.approved.max() <= 0.03 + 1e-9 for held in now.steps)
    assert all(
        (a.step.decision.target == b.step.decision.target).all() for a, b in zip(was.steps, now.steps, strict=False)
    )
    fills = [fill for held in now.steps for fill in ([held.step.account.fill] if held.step.account.fill else [])]
    assert {fill.t - fill.decided for fill in (*fills, *now.fills)} == {4}
    assert sum(fill.cost for fill in (*fills, *now.fills)) == 0.0


def test_an_open_loop_ends_with_the_bars(tmp_path):
    plan = Plan(dataset(walk(4, bars=40, n=4)), TIGHT, Window(), (open_agent("momentum"),))
    trunk = trunk_of(run(plan, tmp_path / "trunk.duckdb"))
    path = run(open_loop([trunk], with_latency(trunk.policy, 5)), tmp_path / "late.duckdb")
    assert len(story(path).steps) == len(trunk.steps) - 4
    assert sound(path)


def test_who_kept_the_position_keeps_the_one_it_has_there(tmp_path):
    trunk = trunk_of(original(tmp_path, "organism-garbled", mode="hidden"))
    path = run(open_loop([trunk], trunk.policy.model_copy(update={"limits": Limits(single_name=0.02)})), tmp_path / "o")
    kept = [held.step for held in story(path).steps if held.step.decision.target is None]
    assert kept
    assert all(step.report.intent.max() < 0.05 for step in kept)
