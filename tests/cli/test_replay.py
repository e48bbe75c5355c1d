"""`tradearena replay`: an episode from its file alone."""

from __future__ import annotations

import os
import subprocess
import sys

import duckdb
import pytest

from tradearena import rooms
from tradearena.store.schema import ENGINE


def test_a_table_shows_both_ends_of_an_episode_and_the_metrics(arena, recorded):
    answer = arena("replay", recorded)
    assert answer.code == 0
    assert answer.err == ""
    assert ": random on small, policy standard, feedback hidden, seed 0" in answer.out
    bars = [line.split()[0] for line in answer.out.splitlines() if line[:6].strip().isdigit()]
    assert bars == [*map(str, range(20, 40)), *map(str, range(69, 89))]
    assert "29 more" in answer.out
    assert "Other episodes in this file: " in answer.out


def test_all_shows_every_step(arena, recorded):
    bars = [
        line.split()[0] for line in arena("replay", recorded, "--all").out.splitlines() if line[:6].strip().isdigit()
    ]
    assert bars == list(map(str, range(20, 89)))


@pytest.mark.parametrize("how", ["agent", "id", "beginning"])
def test_an_episode_is_meant_by_agent_by_id_or_by_the_beginning_of_it(arena, recorded, how):
    found = arena("replay", recorded, "--episode", "momentum", "--json").json["episodes"][0]
    name = {"agent": "momentum", "id": found["id"], "beginning": found["id"][:5]}[how]
    again = arena("replay", recorded, "--episode", name, "--json").json["episodes"][0]
    assert again == found
    assert found["agent"] == "momentum"


def test_json_holds_the_summary_and_the_path(arena, recorded):
    said = arena("replay", recorded, "--json").json
    assert said["experiment"] == str(recorded)
    (episode,) = said["episodes"]
    path = episode.pop("path")
    assert episode == arena("show", recorded, "--json").json["episodes"][-1]
    assert [line["t"] for line in path] == list(range(20, 89))
    assert set(path[0]) == {"t", "time", "nav", "gross", "status", "kept", "gates", "flags", "rationale"}
    assert path[0]["time"] == episode["window"]["start"]


def test_one_step_in_full(arena, recorded):
    answer = arena("replay", recorded, "--episode", "equal-weight", "--step", "21")
    assert answer.code == 0
    for word in (
        "bar 21, close of 2020-02-05T05:00:00Z",
        "reply ok",
        "Rebalance to 1/4",
        "weights",
        "fills at the open of bar 22",
    ):
        assert word in answer.out
    said = arena("replay", recorded, "--episode", "equal-weight", "--step", "21", "--json").json
    assert said["line"]["t"] == 21
    assert {row["symbol"] for row in said["weights"]} == {row["symbol"] for row in said["fills"]}
    assert sum(row["held"] for row in said["weights"]) + said["cash"] / said["line"]["nav"] == pytest.approx(1.0)
    assert len(said["hash"]) == 64
    assert all(row["bar"] == 22 for row in said["fills"])


@pytest.mark.slow
def test_each_shows_every_step_in_full_and_asks_nobody_where_nobody_sits(arena, recorded):
    answer = arena("replay", recorded, "--episode", "equal-weight", "--each")
    assert answer.code == 0
    assert answer.out.count("hash ") == 69
    assert answer.out.index("bar 20, close of") < answer.out.index("bar 88, close of")


def test_a_step_that_is_none_names_those_there_are(arena, recorded):
    answer = arena("replay", recorded, "--step", "5")
    assert answer.code == 2
    assert answer.err.endswith("has no step at bar 5; its decisions are at bars 20 to 88\n")


def test_an_episode_that_is_none_offers_the_nearest(arena, recorded):
    answer = arena("replay", recorded, "--episode", "momentun")
    assert answer.code == 2
    assert "no episode named 'momentun'; did you mean momentum" in answer.err


def test_a_file_that_is_none_offers_the_nearest(arena, recorded):
    answer = arena("replay", recorded.name[:-8])
    assert answer.code == 2
    assert "no experiment file named" in answer.err
    assert "did you mean" in answer.err


def test_without_a_name_it_is_the_newest_file(arena, recorded):
    newer = recorded.with_name("20250101T000000Z-small-0000000000.duckdb")
    newer.write_text("nonsense")
    assert "20250101T000000Z" in arena("replay").err
    newer.unlink()
    assert "random on small" in arena("replay").out
    recorded.unlink()
    answer = arena("replay")
    assert answer.code == 2
    assert "make one with `tradearena run`" in answer.err


def test_an_episode_that_has_not_ended_can_be_replayed(arena, bars, user):
    agent = user("def ask(seen): return 1 / (25 - seen.t) and None\n")
    found = arena("run", "--data", bars, "--agent", agent, "--json").json
    said = arena("replay", found["experiment"], "--json").json["episodes"][0]
    assert (said["status"], said["steps"], len(said["path"])) == ("error", 5, 5)
    assert arena("replay", found["experiment"]).code == 0


def test_an_episode_without_a_step_can_be_replayed(arena, bars, user):
    found = arena("run", "--data", bars, "--agent", user("def ask(seen): 1 / 0\n"), "--json").json
    assert arena("replay", found["experiment"]).code == 0
    assert arena("replay", found["experiment"], "--each").code == 0
    assert arena("replay", found["experiment"], "--step", "20").code == 2
    assert arena("show", found["experiment"]).code == 0


def test_words_of_an_agent_cannot_draw_on_the_terminal_or_break_the_table(arena, bars, user):
    wild = r"[bold]x[/bold] [/] \x1b[31mred\x1b[0m" + "\\n second line"
    agent = user(f"def ask(seen): return {{'weights': {{}}, 'rationale': '{wild}'}}\n")
    found = arena("run", "--data", bars, "--agent", agent, "--json").json
    for arguments in ((), ("--step", "20"), ("--json",)):
        answer = arena("replay", found["experiment"], *arguments)
        assert answer.code == 0
        assert "\x1b" not in answer.out
    assert "\x1b" not in arena("run", "--data", bars, "--agent", agent).out
    assert "[bold]x[/bold] [/]" in arena("replay", found["experiment"]).out


def test_a_step_shows_what_was_said_to_the_agent_and_what_it_answered(arena, bars):
    file = arena("run", "--data", bars, "--steps", "3", "--json").json["experiment"]
    short, full = arena("replay", file, "--step", "22"), arena("replay", file, "--step", "22", "--text")
    found = arena("replay", file, "--step", "22", "--json").json
    assert f"told: {found['told']}" in short.out
    assert "--- prompt" not in short.out
    (exchange,) = found["said"]
    for name in ("system", "prompt", "reply"):
        assert exchange[name] in full.out
    assert exchange["prompt"].endswith(found["told"])


def test_an_agent_that_is_not_asked_in_words_has_no_text(arena, bars):
    file = arena("run", "--agent", "cash", "--data", bars, "--steps", "3", "--json").json["experiment"]
    assert arena("replay", file, "--step", "22", "--json").json["said"] == []
    assert arena("replay", file, "--step", "22", "--text").code == 0


def test_a_step_flags_what_is_held_at_an_older_price(arena, tmp_path):
    rows = [f"2024-01-{d:02d},{s},{10 + d},{10 + d},{10 + d},{10 + d},1e6" for d in range(1, 31) for s in "AB"]
    rows = [row for row in rows if not row.startswith("2024-01-25,B")]
    (tmp_path / "gap.csv").write_text("date,symbol,open,high,low,close,volume\n" + "\n".join(rows))
    run = arena("run", "--data", "gap.csv", "--calendar", "union", "--agent", "equal-weight", "--json").json
    page = arena("replay", run["experiment"], "--step", "24", "--json").json
    assert {row["symbol"]: row["stale"] for row in page["weights"]} == {"A": False, "B": True}
    shown = arena("replay", run["experiment"], "--step", "24").out
    (line,) = (line for line in shown.splitlines() if line.strip().startswith("B "))
    assert "not traded: last mark" in line


# ---------------------------------------------------------------------- --verify


def test_a_file_is_verified_from_itself_alone(arena, recorded):
    answer = arena("replay", recorded, "--verify")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count(" yes ") >= 3
    found = arena("replay", recorded, "--verify", "--json").json
    assert (found["verified"], found["whole"], found["engine"]) == (True, [], ENGINE)
    names = ("first_divergence", "recomputed", "sealed", "chain_ok", "seal_ok")
    assert {tuple(each[name] for name in names) for each in found["episodes"]} == {(None, True, True, True, True)}
    assert f"is what it says, by the rules of engine {ENGINE}." in answer.out
    fast = arena("replay", recorded, "--verify", "--fast", "--json").json
    assert {each["recomputed"] for each in fast["episodes"]} == {False}


def test_what_was_audited_by_projection_is_verified_like_anything_else(arena, bars, tmp_path):
    text = (rooms.shipped() / "risk" / "strict.toml").read_text()
    text = text.replace("[limits]", '[limits]\nmethod = "projection"').replace('"strict"', '"nearest"')
    (tmp_path / "nearest.toml").write_text(text)
    command = ("run", "--data", bars, "--agent", "momentum", "--json", "--policy")
    nearest, strict = (arena(*command, policy).json for policy in ("nearest.toml", "strict"))
    assert nearest["experiment"] != strict["experiment"]
    assert arena("replay", nearest["experiment"], "--verify").code == 0
    with duckdb.connect(nearest["experiment"], read_only=True) as db:
        (method,) = db.execute("SELECT policy ->> '$.limits.method' FROM experiment").fetchone()
        (clipped,) = db.execute(
            "SELECT count(*) FROM finding WHERE severity <> 'flag' AND rule <> 'turnover'"
        ).fetchone()
    assert method == "projection"
    assert clipped > 0


def test_a_file_that_was_changed_is_convicted(arena, recorded, tmp_path):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(recorded.read_bytes())
    with duckdb.connect(str(copy)) as db:
        db.execute("UPDATE mark SET nav = nav + 0.01 WHERE t = 22")
    answer = arena("replay", copy, "--verify")
    assert answer.code == 1
    assert "mark.nav at bar 22 is " in answer.err
    found = arena("replay", copy, "--verify", "--json")
    assert found.code == 1
    assert "mark.nav at bar 22 is " in found.json["error"]
    assert found.json["verified"] is False
    for episode in found.json["episodes"]:
        first = episode["first_divergence"]
        assert (first["table"], first["step"], first["field"]) == ("mark", 22, "nav")
        assert first["recorded"] == pytest.approx(first["recomputed"] + 0.01)
        assert (episode["chain_ok"], episode["seal_ok"]) == (False, False)
    with duckdb.connect(str(copy)) as db:
        db.execute("UPDATE mark SET nav = nav - 0.01 WHERE t = 22")
        db.execute("UPDATE episode SET error = 'none'")
    sealed = arena("replay", copy, "--verify", "--json").json["episodes"]
    assert {(each["chain_ok"], each["seal_ok"], each["first_divergence"]["field"]) for each in sealed} == {
        (True, False, "seal")
    }
    assert arena("replay", copy, "--verify", "--fast").code == 1
    assert arena("replay", copy, "--fast").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["Prescott", "Nehalem", "Haswell"])
def test_a_file_is_verified_under_another_kernel_of_the_blas(recorded, kernel):
    code = "from tradearena.cli import main; main()"
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    command = [sys.executable, "-c", code, "replay", str(recorded), "--verify"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
