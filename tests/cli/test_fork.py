"""`tradearena fork`, `replay` under other rules, and the family that `show` draws."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest
from team import asks, rows

from tradearena.testing import ChatServer


@pytest.fixture(scope="module")
def made():
    """What `talking` is of, once it was made: the answer, and the file."""
    return {}


@pytest.fixture
def talking(arena, bars, tmp_path, made):
    """An experiment in which an organism was told the truth, its file and its one episode."""
    if not made:
        found = arena("run", "--agent", "organism-coupled", "--data", bars, "--steps", 20, "--json", "--home", ".").json
        made |= {"answer": found, "file": (tmp_path / found["experiment"]).read_bytes()}
    path = tmp_path / made["answer"]["experiment"]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made["file"])
    return made["answer"]["experiment"], made["answer"]["episodes"][0]


def only(answer):
    (episode,) = answer.json["episodes"]
    return episode


def test_a_fork_is_an_experiment_of_its_own_that_names_its_parent(arena, talking):
    path, trunk = talking
    found = arena("fork", path, "--at", 30, "-f", "hidden", "-f", "placebo", "--json", "--home", ".").json
    assert found["parent"] == path
    assert found["experiment"] != path
    assert [(each["feedback"], each["steps"], each["status"]) for each in found["episodes"]] == [
        ("hidden", 20, "complete"), ("placebo", 20, "complete"),
    ]  # fmt: skip
    assert arena("replay", found["experiment"], "--verify").code == 0
    ((parent,),) = set(rows(found["experiment"], "SELECT parent FROM episode"))
    parent = json.loads(parent)
    assert (parent["episode"], parent["root_hash"]) == (trunk["id"], trunk["root_hash"])
    again = arena("fork", path, "--at", 30, "-f", "hidden", "--json", "--home", ".").json
    assert again["experiment"] == found["experiment"]
    assert again["episodes"] == found["episodes"][:1]


def test_a_fork_says_what_it_shows_and_what_to_type_next(arena, talking):
    path, trunk = talking
    answer = arena("fork", path, "--at", 30, "-f", "hidden", "--home", ".")
    assert answer.code == 0
    lines = answer.out.splitlines()
    named = f"fork of {path.rpartition('-')[2].removesuffix('.duckdb')}/{trunk['id']} at bar 30"
    assert re.match(rf"{named}, link [0-9a-f]{{12}}; policy standard", lines[0])
    assert sum(trunk["id"] in line for line in lines) == 2
    assert any(line.strip().startswith("from 30") and " hidden " in line for line in lines)
    assert "Metrics are of whole episodes, the shared steps among them." in lines
    assert lines[-1].split()[:2] == ["tradearena", "replay"]


def test_a_fork_of_one_among_several_must_be_named(arena, bars):
    path = arena("compare", "--agent", "organism-obedient", "--data", bars, "--steps", 5, "--json", "--out", "x.duckdb")
    assert path.code == 0
    answer = arena("fork", "x.duckdb", "--at", 22)
    assert (answer.code, answer.out) == (2, "")
    assert "x.duckdb holds 4 episodes; choose one with --episode: " in answer.err
    one = path.json["episodes"][1]["id"]
    assert only(arena("fork", "x.duckdb", "--at", 22, "-e", one, "--json", "--out", "y.duckdb"))["feedback"] == "hidden"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--at", 99), 2, "cannot be forked at bar 99: it has a decision at every bar from 20 to 39; name one"),
        (("--at", 30, "--carry", "all"), 2, "--carry all: write trunk, what was told, or rewritten"),
        (("--at", 30, "-f", "tru"), 2, "no feedback mode named 'tru'; did you mean true?"),
        (("--at", 30, "-p", "late.toml"), 2, "a fork keeps the latency of its trunk, 1, and the policy late has 2"),
        (("--at", 30, "-m", "openai/x"), 2, "--model is for agents of kind llm; organism-coupled asks no model"),
        (("--at", 30, "-a", "nobody"), 2, "no agent named 'nobody'"),
        (("--at", 30, "-e", "nobody"), 2, "no episode named 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arena, talking, tmp_path, options, code, said):
    (tmp_path / "late.toml").write_text('name = "late"\n[execution]\nlatency = 2\n')
    answer = arena("fork", talking[0], *options, "--home", ".")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_code_that_a_file_names_is_not_run(arena, bars, user):
    name = user("def ask(seen):\n    return None\n")
    path = arena("run", "--agent", name, "--data", bars, "--steps", 5, "--json", "--out", "x.duckdb").json["experiment"]
    answer = arena("fork", path, "--at", 22)
    assert answer.code == 2
    assert f"the agent on record is {name}, which is no card; say with --agent who is to decide" in answer.err
    assert only(arena("fork", path, "--at", 22, "--agent", name, "--json", "--out", "y.duckdb"))["status"] == "complete"


@pytest.mark.slow
def test_a_card_that_is_another_one_here_is_said_to_be(arena, bars, tmp_path):
    card = tmp_path / "agents" / "mine.toml"
    card.parent.mkdir()
    card.write_text('name = "mine"\nkind = "momentum"\n[parameters]\nlookback = 10\n')
    path = arena("run", "--agent", "mine", "--data", bars, "--steps", 5, "--json", "--out", "x.duckdb").json[
        "experiment"
    ]
    assert arena("fork", path, "--at", 22, "--out", "same.duckdb").err == ""
    card.write_text('name = "mine"\nkind = "momentum"\n[parameters]\nlookback = 15\n')
    answer = arena("fork", path, "--at", 22, "--out", "other.duckdb")
    assert answer.code == 0
    assert "the card mine here is not the one on record: the fork decides by the one here" in answer.err


@pytest.mark.xdist_group("litellm")
def test_the_shared_steps_of_a_model_cost_nothing(arena, bars, desk):
    with ChatServer(asks) as server:
        first = arena("run", "--agent", desk(server), "--data", bars, "--steps", 4, "--json", "--out", "x.duckdb")
        asked = len(server.requests)
        assert first.code == 0
        found = only(arena("fork", "x.duckdb", "--at", 22, "-f", "hidden", "--json", "--out", "y.duckdb"))
        assert len(server.requests) - asked == asked // 2
    assert (found["steps"], found["status"]) == (4, "complete")
    assert rows("y.duckdb", "SELECT DISTINCT t FROM call ORDER BY t") == [(22,), (23,)]
    said = "SELECT t, seq, prompt, reply FROM exchange WHERE t < 22 ORDER BY t, seq"
    assert rows("y.duckdb", said) == rows("x.duckdb", said)
    assert arena("replay", "y.duckdb", "--verify").code == 0


@pytest.mark.xdist_group("litellm")
def test_forks_of_two_files_of_one_command_are_two(arena, bars, tmp_path):
    """The same model answered otherwise: experiment, episode and bar are the same, and what is shared is not."""
    roots, links = [], []
    for weight in (0.2, 0.05):
        with ChatServer(lambda _, weight=weight: json.dumps({"target_weights": {"TECH1": weight}})) as server:
            card = tmp_path / "agents" / "asked.toml"
            card.parent.mkdir(exist_ok=True)
            parameters = f'model = "hosted_vllm/m"\napi_base = "{server.url}"\n'
            card.write_text(f'name = "asked"\nkind = "llm"\n[parameters]\n{parameters}')
            arena("run", "--agent", card, "--data", bars, "--steps", 6, "--out", f"{weight}.duckdb", "--json")
            answer = arena("fork", f"{weight}.duckdb", "--at", 23, "-f", "hidden", "--json", "--home", ".")
            assert answer.code == 0, answer.err
            roots.append(only(answer)["root_hash"])
            links.append(answer.json["experiment"])
    assert len(set(roots)) == len(set(links)) == 2


def test_an_open_loop_is_of_every_episode_or_of_one(arena, bars):
    arena("compare", "--agent", "organism-obedient", "--data", bars, "--steps", 8, "--out", "x.duckdb", "--quiet")
    answer = arena("replay", "x.duckdb", "--policy", "strict", "--cost-scale", 0, "--home", ".")
    assert answer.code == 0
    assert answer.out.count("open loop ") == 4 + 1
    assert "policy strict (costs times 0)" in answer.out
    assert "Open loop: the decisions on record under other rules; nobody was asked, and nobody was told." in answer.out
    one = only(arena("replay", "x.duckdb", "-e", "organism-obedient", "--latency", 2, "--json", "--out", "y.duckdb"))
    assert one["steps"] == 7  # the last would be filled after the window
    ((policy,),) = rows("y.duckdb", "SELECT policy FROM experiment")
    assert json.loads(policy)["name"] == "standard (latency 2)"
    assert json.loads(policy)["execution"]["latency"] == 2
    costs = arena("replay", "x.duckdb", "--cost-scale", 10, "--json", "--out", "z.duckdb").json["episodes"]
    before = arena("show", "x.duckdb", "--json").json["episodes"]
    for dear, cheap in zip(costs, before, strict=True):
        assert dear["metrics"]["cost"] == pytest.approx(10 * cheap["metrics"]["cost"], rel=0.2)
    for file in ("y.duckdb", "z.duckdb"):
        assert arena("replay", file, "--verify").code == 0


@pytest.mark.parametrize(("every", "latency"), [(1, 1), (5, 1), (5, 3)])
def test_an_open_loop_is_of_the_same_bars(arena, bars, tmp_path, every, latency):
    """Under the rules on record it comes to what is on record; under others it stays within the window."""
    card = tmp_path / "slow.toml"
    policy = (Path(__file__).resolve().parents[2] / "risk" / "standard.toml").read_text()
    assert "latency = 1" in policy
    card.write_text(policy.replace("latency = 1", f"latency = {latency}"))
    asked = ("--data", bars, "--agent", "organism-obedient", "-f", "true", "--windows", "disjoint:4", "--every", every)
    made = arena("compare", *asked, "--policy", card, "--out", "x.duckdb", "--json").json["episodes"]
    again = arena("replay", "x.duckdb", "--policy", card, "--out", "y.duckdb", "--json").json["episodes"]
    assert len(made) == len(again) > 1
    for one, other in zip(made, again, strict=True):
        assert (one["window"], one["steps"], one["metrics"]) == (other["window"], other["steps"], other["metrics"])
    later = arena("replay", "x.duckdb", "--latency", latency + 1, "--out", "z.duckdb", "--json").json["episodes"]
    for one, other in zip(made, later, strict=True):
        assert one["window"] == other["window"]
        assert other["steps"] == one["steps"] - 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--latency", 700), "would be filled within its bars, 20 to 40: orders wait 700 bars; choose a smaller"),
        (("--policy", "strict", "--verify"), "--policy, --latency and --cost-scale make a new experiment"),
        (("--latency", 2, "--step", 22), "--policy, --latency and --cost-scale make a new experiment"),
        (("--out", "x.duckdb"), "--out is for --policy, --latency and --cost-scale"),
        (("--policy", "stricter"), "no policy named 'stricter'; did you mean strict?"),
        *((("--cost-scale", x), f"--cost-scale {x}: write a number") for x in ("inf", "1e+308", "1.1e+06")),
    ],
)
def test_an_open_loop_that_cannot_be_meant_is_one_sentence(arena, talking, options, said):
    answer = arena("replay", talking[0], *options, "--home", ".")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_show_draws_the_family(arena, talking):
    path, trunk = talking
    assert "family" not in arena("show", path, "--home", ".").out
    child = arena("fork", path, "--at", 25, "-f", "hidden", "--json", "--home", ".").json
    arena("replay", child["experiment"], "--policy", "strict", "--json", "--home", ".")
    drawn = arena("show", path, "--home", ".").out.split("family, as experiment/episode\n")[1].splitlines()
    assert len(drawn) == 3
    assert drawn[0].startswith("  ")
    assert drawn[0].endswith(f"/{trunk['id']} *  organism-coupled, feedback true, seed 0, complete")
    assert drawn[1].startswith("     └─ ")
    assert "fork at bar 25 under standard: organism-coupled, feedback hidden, seed 0, complete" in drawn[1]
    assert drawn[2].startswith("        └─ ")
    assert "open loop under strict: " in drawn[2]
    below = (
        arena("show", child["experiment"], "--home", ".").out.split("family, as experiment/episode\n")[1].splitlines()
    )
    assert [line.count(" *") for line in below] == [0, 1, 0]


def test_a_parent_that_is_not_in_sight_is_named_all_the_same(arena, talking, tmp_path):
    path, trunk = talking
    arena("fork", path, "--at", 25, "-f", "hidden", "--quiet", "--out", "child.duckdb")
    (tmp_path / path).rename(tmp_path / "away.duckdb")
    drawn = arena("show", "child.duckdb", "--home", ".").out.split("family, as experiment/episode\n")[1]
    assert f"/{trunk['id']}  not in sight" in drawn


@pytest.mark.slow
@pytest.mark.parametrize("parent", ["[1]", "3", '{"prefix": 4}', '{"experiment": [], "prefix": {}}'])
def test_a_parent_that_makes_no_sense_breaks_nothing(arena, talking, parent):
    path, _ = talking
    with duckdb.connect(path) as db:
        db.execute("UPDATE episode SET parent = ?", [parent])
    assert arena("show", path, "--home", ".").code == 0
    assert arena("compare", path).code == 0
    assert "does not come out the same again" in arena("show", path, "--waterfall").err
    answer = arena("replay", path, "--verify")
    assert answer.code == 1
    assert "episode" in answer.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE episode SET card = '[]'", "cannot be understood ("),
        ("UPDATE episode SET card = NULL", "not an experiment file of TradeArena"),
        ("UPDATE experiment SET dataset = '{}'", "cannot be understood ("),
        ("UPDATE step SET notes = '[1]' WHERE t = 22", "cannot be understood ("),
    ],
)
def test_a_file_that_makes_no_sense_is_nothing_to_go_on_from(arena, talking, change, said):
    path, _ = talking
    with duckdb.connect(path) as db:
        db.execute(change)
    for typed in (("fork", path, "--at", 30), ("replay", path, "--policy", "strict")):
        answer = arena(*typed, "--out", "new.duckdb")
        assert (answer.code, answer.out) == (1, "")
        assert said in answer.err
    assert arena("list", "--home", ".").code == 0
