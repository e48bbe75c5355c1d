"""`tradearena compare`: what it prints, what it adds, and how it ends."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tradearena.arena.forecast import Forecast
from tradearena.arena.plan import BASELINES
from tradearena.cli.several import together
from tradearena.market.design import Design
from tradearena.market.writing import write_synthetic

EPISODE = {"id", "agent", "feedback", "seed", "window", "status", "steps", "validity", "root_hash", "metrics"}
CELL = {"agent", "feedback", "n_episodes", "n_windows", "n_invalid", "metrics"}
FOUR = ["true", "hidden", "placebo", "false-audit:alarm"]

ASK = """
import asyncio
async def ask(seen):
    await asyncio.sleep(0.0005)
    return {symbol: (1 + (seen.t + i) % 5) / 40 for i, symbol in enumerate(seen.symbols)}
"""


@pytest.fixture
def compare(arena, bars):
    """`tradearena compare` on the small dataset, six decisions long."""

    def typed(*arguments, steps=6):
        return arena("compare", "--data", bars, "--steps", steps, *arguments)

    return typed


@pytest.fixture
def reader(user):
    """An agent of which nothing is known: it may read feedback."""
    return user(ASK)


def told(*modes):
    return [word for mode in modes for word in ("--feedback", mode)]


# ---------------------------------------------------------------------- JSON


def test_json_has_the_episodes_the_cells_and_the_baselines(compare, reader):
    answer = compare("--agent", reader, "--agent", "momentum", "--seeds", 2, "--windows", 2, "--json")
    assert answer.code == 0
    found = answer.json
    assert set(found) == {"experiment", "episodes", "cells", "baselines", "contrasts", "disagreements"}
    assert all(set(episode) == EPISODE for episode in found["episodes"])
    assert len(found["episodes"]) == 4 * 2 * 2 + 2
    assert [(cell["agent"], cell["feedback"]) for cell in found["cells"]] == [
        *((reader, mode) for mode in FOUR), ("momentum", "hidden"),
    ]  # fmt: skip
    assert all(set(cell) == CELL for cell in found["cells"])
    counted = [(cell["n_episodes"], cell["n_windows"], cell["n_invalid"]) for cell in found["cells"]]
    assert counted == [(4, 2, 0)] * 4 + [(2, 2, 0)]
    assert [(each["agent"], each["n_windows"]) for each in found["baselines"]] == [(name, 2) for name in BASELINES]
    metrics = set(found["episodes"][0]["metrics"])
    assert all(set(each["metrics"]) == metrics for each in found["cells"] + found["baselines"])
    momentum = [each["metrics"]["total_return"] for each in found["episodes"] if each["agent"] == "momentum"]
    assert found["cells"][-1]["metrics"]["total_return"] == pytest.approx(sum(momentum) / 2)


def test_a_baseline_is_the_mean_over_the_windows_of_that_agent(compare):
    found = compare("--agent", "markowitz", "--windows", 3, "--json").json
    (cell,), baseline = found["cells"], found["baselines"][-1]
    for name, value in cell["metrics"].items():
        assert baseline["metrics"][name] == (value if value is None else pytest.approx(value, rel=1e-12))


# ---------------------------------------------------------------------- the table


def test_the_table_has_a_row_for_each_mode_and_each_baseline(compare, reader, arena):
    answer = compare("--agent", reader, "--agent", "random", "--seeds", 2, *told("true", "hidden"))
    assert answer.code == 0
    lines = answer.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == reader)
    labels = [line.split()[0] for line in lines[start : start + 10]]
    assert labels == [reader, "true", "hidden", "random", "hidden", "baselines", *BASELINES]
    assert [line.split()[1] for line in lines[start + 6 : start + 10]] == ["1"] * 4
    assert lines[start + 1].split()[1] == "2"
    assert any(line.startswith("Means over n episodes") and line.endswith("are told nothing.") for line in lines)
    assert "small: 4 symbols" in answer.out
    commands = [line.split("  ")[1].strip() for line in lines if line.startswith("  tradearena ")]
    assert len(commands) == 3
    for typed in commands:
        assert arena(*(word.strip('"') for word in re.findall(r'"[^"]*"|\S+', typed)[1:])).code == 0, typed


@pytest.mark.parametrize(("columns", "spared"), [("100", None), ("72", "max DD, cost")])
def test_a_narrow_terminal_does_without_some_columns_and_cuts_no_number(compare, monkeypatch, columns, spared):
    monkeypatch.setenv("COLUMNS", columns)
    out = compare("--agent", "random").out
    assert "…" not in out
    said = re.search(r"Not shown for want of room: (.*)\. --json has every metric\.", out)
    assert (said and said[1]) == spared
    table = out[: out.index("Means over")].splitlines()
    assert max(map(len, table)) <= int(columns)


def test_several_windows_are_said(compare):
    out = compare("--agent", "cash", "--windows", 2).out
    assert "2 windows with no bar in common, 6 decisions in each" in out


def test_progress_counts_episodes_and_decisions(compare, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    err = compare("--agent", "random", "--seeds", 4).err
    assert "0 of 4 episodes, 0 of 24 decisions" in err
    assert err.endswith("\r\x1b[K")  # and wiped away


def test_quiet_prints_nothing(compare):
    assert compare("--agent", "cash", "--quiet")[:2] == (0, "")


# ---------------------------------------------------------------------- again, and more


def test_again_does_nothing_and_more_adds_only_what_is_missing(compare, reader, tmp_path):
    asked = ("--agent", reader, "--json", *told("true", "hidden"))
    first = compare(*asked, "--seeds", 1).json
    (path,) = (tmp_path / "replays").glob("*.duckdb")
    before = path.read_bytes()
    assert compare(*asked, "--seeds", 1).json == first
    assert path.read_bytes() == before
    more = compare(*asked, "--seeds", 2).json
    assert more["experiment"] == first["experiment"]
    assert [episode for episode in more["episodes"] if episode["seed"] == 0] == first["episodes"]
    assert len(more["episodes"]) == 4
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT count(*), count(DISTINCT id) FROM episode").fetchone() == (4, 4)
    one = compare(*asked, "--seed", 1).json
    assert one["episodes"] == [episode for episode in more["episodes"] if episode["seed"] == 1]


def test_run_and_compare_share_a_file(compare, arena, bars, reader):
    ran = arena("run", "--data", bars, "--steps", 6, "--agent", reader, "--feedback", "false-audit", "--json").json
    assert ran["episodes"][0]["feedback"] == "false-audit:alarm"
    found = compare("--agent", reader, *told("false-audit:alarm"), "--json").json
    assert (found["experiment"], found["episodes"]) == (ran["experiment"], ran["episodes"])


# ---------------------------------------------------------------------- endings

HALF = """
def ask(seen):
    if seen.t == 22 and BAD:
        raise RuntimeError("broken")
    return None
"""


def test_an_episode_that_fails_ends_with_1_after_the_others_are_done(compare, user, reader):
    bad = user(HALF.replace("BAD", "True"), "user_bad")
    answer = compare("--agent", bad, "--agent", reader, *told("true", "hidden"), "--json")
    assert answer.code == 1
    found = answer.json
    said = f"2 of 4 episodes failed; the first, {bad}, feedback true, seed 0, bars from 20: the agent raised at bar 22"
    assert found["error"].startswith(said)
    assert [(each["status"], each["steps"]) for each in found["episodes"]] == [("error", 2)] * 2 + [("complete", 6)] * 2
    assert [cell["n_episodes"] for cell in found["cells"]] == [0, 0, 1, 1]


LOST = "def ask(seen): return 'what?'\n"


def test_what_is_no_result_is_named_and_in_no_mean(compare, user, reader):
    lost, bad = user(LOST, "user_lost"), user(HALF.replace("BAD", "True"), "user_bad")
    answer = compare("--agent", lost, "--agent", bad, "--agent", reader, *told("true", "hidden"))
    assert answer.code == 1
    assert re.search(r"^ +true \(1 INVALID\) +0(  +–){8}", answer.out, re.MULTILINE)
    said = "feedback true, seed 0, bars from 20"
    assert f"Left out: {lost}, {said}: INVALID, 6 of 6 replies lost" in answer.out
    assert f"Left out: {bad}, {said}: error" in answer.out
    assert "Not finished" in answer.out


def test_a_comparison_with_a_valid_pair_left_is_a_result(compare, user, reader):
    assert compare("--agent", user(LOST, "user_lost"), "--agent", reader, *told("true", "hidden"), "--quiet").code == 0


@pytest.mark.parametrize("modes", [("true", "hidden"), ("true",)], ids=["pairs", "no pairs"])
def test_where_nothing_valid_is_left_the_comparison_is_invalid(compare, user, modes):
    lost = user(LOST, "user_lost")
    answer = compare("--agent", lost, *told(*modes), "--json")
    assert answer.code == 3
    what = "pair of modes of one agent" if len(modes) > 1 else "episode is left: 1 of 1"
    assert answer.json["error"].startswith(f"INVALID: no valid {what}")


def test_a_valid_agent_without_a_pair_does_not_save_a_comparison_of_pairs(compare, user):
    lost = user(LOST, "user_lost")
    assert compare("--agent", lost, "--agent", "cash", *told("true", "hidden"), "--json").code == 3


STOPPING = """
import os, signal
from pathlib import Path
def ask(seen):
    if seen.t == 22 and not Path("go").exists():
        os.kill(os.getpid(), signal.SIGINT)
    return None
"""


def test_a_signal_stops_the_grid_with_130_and_the_same_command_goes_on(compare, user, tmp_path):
    agent = user(STOPPING)
    stopped = compare("--agent", agent, "--seeds", 2, *told("true", "hidden"), "--json")
    assert stopped.code == 130
    found = stopped.json
    assert found["error"] == "stopped with 4 of 4 episodes not ended"
    assert [(each["status"], each["steps"]) for each in found["episodes"]] == [("interrupted", 3)]
    assert found["baselines"] == []
    (tmp_path / "go").touch()
    whole = compare("--agent", agent, "--seeds", 2, *told("true", "hidden"), "--json")
    assert whole.code == 0
    assert [each["status"] for each in whole.json["episodes"]] == ["complete"] * 4


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--agent", "cash", "--agent", "cash"), "the agent 'cash' is asked for twice"),
        (("--agent", "cash", *told("true", "honest")), "no feedback mode named 'honest'"),
        (("--agent", "cash", *told("false-audit", "false-audit:alarm")), "'false-audit:alarm' is asked for twice"),
        (("--agent", "cash", "--seeds", 2, "--seed", 1), "--seed names one; use one of the two"),
        (("--agent", "cash", "--seeds", 0), "'--seeds'"),
        (("--agent", "cash", "--windows", 0), "--windows is 0; at least one window is needed"),
        (("--agent", "cash", "--windows", 60), "ask for at most 35 windows"),
        (("--agent", "cash", "--concurrency", 0), "'--concurrency'"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(compare, typed, said):
    answer = compare(*typed, steps=1)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.slow
def test_the_planted_truth_shows_on_real_bars(arena, real_data):
    """Obedient: fewer violations after the truth than after nothing. Stubborn: no change. Credulous: shrinks under
    alarms. Means of one short path: what is shown is that instrument and organisms work."""
    kinds = ("obedient", "stubborn", "credulous")
    agents = [word for kind in kinds for word in ("--agent", f"organism-{kind}")]
    modes = [word for mode in ("true", "hidden", "false-audit") for word in ("--feedback", mode)]
    bars = real_data / "astock50_hourly.parquet"
    found = arena("compare", *agents, *modes, "--data", bars, "--steps", "40", "--json").json
    gated = {(c["agent"][9:], c["feedback"]): c["metrics"]["gate_rate"] for c in found["cells"]}
    assert gated["obedient", "true"] < gated["obedient", "hidden"] - 0.3
    assert abs(gated["stubborn", "true"] - gated["stubborn", "hidden"]) < 0.05
    with duckdb.connect(found["experiment"], read_only=True) as db:
        gross = "avg(list_sum(list_transform(intent::DOUBLE[], lambda w: abs(w))))"
        query = f"SELECT agent, feedback, {gross} FROM step JOIN episode e ON e.id = episode GROUP BY ALL"
        wished = {(agent[9:], mode): size for agent, mode, size in db.execute(query).fetchall()}
    assert wished["credulous", "false-audit:alarm"] < 0.6 * wished["credulous", "hidden"]
    assert wished["stubborn", "false-audit:alarm"] == pytest.approx(wished["stubborn", "hidden"], abs=1e-3)


# ---------------------------------------------------------------------- windows that overlap, scenes, dates


def test_rolling_windows_that_overlap_are_counted_and_said(arena, bars):
    answer = arena("compare", "--data", bars, "--agent", "cash", "--windows", "rolling:6:3")
    assert answer.code == 0
    assert "22 windows; those that overlap count as one, which leaves 1 with no bar in common" in answer.err
    assert "22 windows (1 with no bar in common), 6 decisions in each" in answer.out


def test_disjoint_windows_have_no_bar_in_common(arena, bars):
    answer = arena("compare", "--data", bars, "--agent", "cash", "--windows", "disjoint:6", "--json")
    assert answer.err.endswith("10 windows, no two with a bar in common\n")
    spans = [(each["window"]["first"], each["window"]["last"]) for each in answer.json["episodes"]]
    assert spans == [(20 + 7 * k, 26 + 7 * k) for k in range(10)]


def test_a_scene_and_its_days_are_the_same_experiment(arena):
    typed = ("compare", "--agent", "cash", "--json", "--steps", 3)
    scene = arena(*typed, "--windows", "calendar:fall-3").json
    days = arena(*typed, "--windows", "2016-11-10..2016-12-13").json
    assert days == scene
    assert scene["episodes"][0]["window"]["end"].startswith("2016-11-16")
    both = arena(*typed, "--windows", "calendar:fall-3,fall-2").json
    assert both["experiment"] != scene["experiment"]
    assert len(both["episodes"]) == 2


def test_two_windows_that_begin_together_are_two(arena):
    windows = "2016-11-10..2016-12-13,2016-11-10..2016-11-18"
    found = arena("compare", "--agent", "cash", "--json", "--windows", windows).json
    assert [each["steps"] for each in found["episodes"]] == [6, 23]
    assert found["cells"][0]["n_windows"] == 2


# ---------------------------------------------------------------------- several datasets


@pytest.fixture
def other(tmp_path):
    """Another small dataset."""
    design = Design(symbols=3, sectors=1, bars=60, seed=6, start=date(2021, 1, 4))
    return write_synthetic(design, tmp_path / "other")


def test_several_datasets_are_an_experiment_each_and_one_comparison(compare, reader, other, tmp_path):
    asked = ("--data", other, "--agent", reader, *told("true", "hidden"), "--windows", 2)
    answer = compare(*asked, "--json")
    assert answer.code == 0
    found = answer.json
    assert set(found) == {"experiments", "episodes", "cells", "baselines", "contrasts", "disagreements"}
    paths = [str(path) for path in sorted((tmp_path / "replays").glob("*.duckdb"))]
    assert sorted(found["experiments"]) == paths
    assert [Path(path).stem.split("-")[1] for path in found["experiments"]] == ["small", "other"]
    assert all(set(each) == {"experiment", *EPISODE} for each in found["episodes"])
    assert [each["experiment"] for each in found["episodes"]] == [path for path in found["experiments"] for _ in "1234"]
    assert [(each["n_episodes"], each["n_windows"]) for each in found["cells"]] == [(4, 4)] * 2
    assert [each["n_windows"] for each in found["baselines"]] == [4] * len(BASELINES)
    before = [Path(path).read_bytes() for path in paths]
    again = compare(*asked)
    assert again.code == 0
    said = r"2 datasets: small, other +\npolicy standard, 4 windows with no bar in common, 6 decisions in each"
    assert re.search(said, again.out)
    assert "warning: other: the bars have one sector" in again.err
    assert again.out.count("Recorded in replays/") == 2
    assert [Path(path).read_bytes() for path in paths] == before


def test_invented_paths_are_further_datasets(arena):
    found = arena("compare", "--paths", 3, "--path-seed", 4, "--agent", "cash", "--steps", 2, "--json").json
    assert [Path(path).stem.split("-")[1:3] for path in found["experiments"]] == [["path", str(k)] for k in (4, 5, 6)]
    one = arena("compare", "--paths", 1, "--path-seed", 5, "--agent", "cash", "--steps", 2, "--json").json
    assert one["experiment"] == found["experiments"][1]


def test_progress_says_which_dataset_it_is(compare, other, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    err = compare("--data", other, "--agent", "random").err
    assert "small, 1 of 2: random: 0 of 6 decisions" in err


def test_a_stop_begins_no_other_dataset_and_the_same_command_goes_on(compare, user, other, tmp_path):
    asked = ("--data", other, "--agent", user(STOPPING), *told("true", "hidden"), "--json")
    stopped = compare(*asked)
    assert stopped.code == 130
    said = "small: stopped with 2 of 2 episodes not ended; 1 of 2 datasets not begun"
    assert stopped.json["error"] == said
    assert len(stopped.json["experiments"]) == 1
    (tmp_path / "go").touch()
    whole = compare(*asked)
    assert whole.code == 0
    assert [each["status"] for each in whole.json["episodes"]] == ["complete"] * 4


def test_what_fails_on_one_dataset_is_said_with_its_name_after_the_other_is_done(compare, user, other):
    code = "def ask(seen):\n    if len(seen.symbols) == 4:\n        raise RuntimeError('four')\n    return None\n"
    answer = compare("--data", other, "--agent", user(code), *told("true"))
    assert answer.code == 1
    assert "error: 1 of 2 datasets not ended; small: the agent raised" in answer.err
    assert re.search(r"Left out: .*, feedback true, seed 0, bars from 20, \S+-small-\w+: error", answer.out)
    assert "Not finished" in answer.out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--out", "mine.duckdb"), "--out names one file, and there are 2 datasets"),
        (("--out", "mine.duckdb", "--dry-run"), "--out names one file, and there are 2 datasets"),
        (("--windows", "calendar:fall-1"), "the first decision can be made at bar 20"),
        (("--windows", "calendar:erewhon"), "no scene named 'erewhon'"),
        (("--windows", "2020-02-10..2020-04-01"), "other: the window 2020-02-10..2020-04-01 does not lie within"),
    ],
)
def test_what_cannot_be_meant_of_several_datasets_ends_with_2_before_any_is_run(compare, other, tmp_path, typed, said):
    answer = compare("--data", other, "--agent", "cash", *typed)
    assert answer.code == 2
    assert said in answer.err
    assert not (tmp_path / "replays").exists()


def test_one_market_does_not_count_twice(compare, bars):
    same = compare("--data", bars, "--agent", "cash")
    assert same.code == 2
    assert "have the same bars: one market does not count twice" in same.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--paths", 2, "--label", "end"), "--calendar are for files; invented paths need none of them"),
        (("--path-seed", 4), "say how many with --paths N"),
        (("--paths", 2, "--windows", "calendar:stress-1"), "path-1: no scene named 'stress-1'; known: fall-1"),
    ],
)
def test_what_cannot_be_meant_of_invented_paths_ends_with_2(arena, typed, said):
    answer = arena("compare", *typed)
    assert answer.code == 2
    assert said in answer.err


def test_a_rehearsal_goes_over_all_datasets_and_runs_none(compare, other, tmp_path):
    answer = compare("--data", other, "--agent", "cash", "--dry-run")
    assert (answer.code, answer.out) == (0, "No model would be asked.\n")
    assert "warning: other: the bars have one sector" in answer.err
    assert not (tmp_path / "replays").exists()


def test_forecasts_of_several_datasets_are_summed_and_a_cost_is_known_where_all_of_it_is():
    one = Forecast("a", "m", 2, (10, 12), (100, 130), (5, 9), (0.5, 0.75))
    free = Forecast("b", "n", 1, (1, 1), (2, 2), (3, 3), None)
    twice = Forecast("a", "m", 4, (20, 24), (200, 260), (10, 18), (1.0, 1.5))
    assert together([[one, free], [one]]) == [twice, free]
    assert together([[one], [one._replace(cost=None)]]) == [twice._replace(cost=None)]
    assert together([[], []]) == []
