"""`tradearena run`: what it prints, what it records, and how it ends."""

from __future__ import annotations

import json
import re
import signal

import duckdb
import pytest

from tradearena.analysis.metrics import NOT_YET

METRICS = {
    "total_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "calmar", "turnover", "cost", "fill_rate",
    "gate_rate", "clip_distance", "calibration_score", "repeat_violation_rate", "compliance_lag",
    "false_audit_susceptibility", "tracking_error",
}  # fmt: skip
EPISODE = {"id", "agent", "feedback", "seed", "window", "status", "steps", "validity", "root_hash", "metrics"}
VALIDITY = {"share_ok", "ok", "repaired", "fallback", "error", "valid"}


@pytest.fixture
def run(arena, bars):
    """`tradearena run` on the small dataset."""

    def typed(*arguments, data=bars):
        return arena("run", "--data", data, *arguments)

    return typed


# ---------------------------------------------------------------------- JSON


@pytest.mark.parametrize("agent", ["momentum", "random"])
def test_json_has_exactly_the_keys_of_the_design(run, agent):
    answer = run("--agent", agent, "--json")
    assert answer.code == 0
    found = answer.json
    assert set(found) == {"experiment", "episodes"}
    (episode,) = found["episodes"]
    assert set(episode) == EPISODE
    assert set(episode["validity"]) == VALIDITY
    assert set(episode["metrics"]) == METRICS
    assert set(episode["window"]) >= {"start", "end"}
    assert re.fullmatch(r"[0-9a-f]{64}", episode["root_hash"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", episode["window"][side]) for side in ("start", "end"))
    assert (episode["agent"], episode["feedback"], episode["seed"], episode["status"]) == (
        agent,
        "hidden",
        0,
        "complete",
    )


def test_metrics_are_fractions_and_undefined_ones_are_null(run):
    metrics = run("--agent", "cash", "--json").json["episodes"][0]["metrics"]
    assert {metrics[name] for name in NOT_YET} == {None}
    for name in ("sharpe", "sortino", "calmar", "fill_rate"):
        assert metrics[name] is None
    assert (metrics["total_return"], metrics["max_drawdown"], metrics["cost"]) == (0.0, 0.0, 0.0)
    metrics = run("--agent", "momentum", "--json").json["episodes"][0]["metrics"]
    assert 0 < metrics["max_drawdown"] < 1
    assert 0 < metrics["turnover"] < 1
    assert 0 < metrics["cost"] < 0.2
    assert 0 <= metrics["gate_rate"] <= 1
    assert metrics["sharpe"] is not None


def test_the_steps_of_the_json_are_the_rows_of_the_file(run, tmp_path):
    found = run("--agent", "momentum", "--steps", "12", "--every", "3", "--json").json
    with duckdb.connect(found["experiment"], read_only=True) as db:
        count, first, last = db.execute("SELECT count(*), min(t), max(t) FROM step").fetchone()
    assert count == found["episodes"][0]["steps"] == 12
    assert (first, last) == (20, 53)
    assert found["experiment"].startswith(str(tmp_path))


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_stdout_is_the_json_and_nothing_else_whatever_the_agent_prints(run, user, quiet):
    agent = user("print('imported')\ndef ask(seen):\n    print('asked', seen.t)\n    return None\n")
    answer = run("--agent", agent, "--steps", "3", "--json", *quiet)
    assert answer.json["episodes"][0]["steps"] == 3
    assert answer.err.splitlines()[-4:] == ["imported", "asked 20", "asked 21", "asked 22"]


# ---------------------------------------------------------------------- the table


def test_the_table_shows_the_agent_beside_the_baselines_and_says_what_to_type_next(run, arena):
    answer = run("--agent", "momentum")
    assert answer.code == 0
    lines = answer.out.splitlines()
    shown = [
        line.split()[0] for line in lines if re.match(r" ?(momentum|cash|buy-and-hold|equal-weight|markowitz) ", line)
    ]
    assert shown == ["momentum", "cash", "buy-and-hold", "equal-weight", "markowitz"]
    assert "small: 4 symbols, 2020-02-04" in answer.out
    assert "policy standard, 69 decisions" in answer.out
    assert "Last rationale: Hold the 2 strongest of 4 over 20 bars" in answer.out
    assert "Recorded in replays/" in answer.out
    commands = [line.split("  ")[1].strip() for line in lines if line.startswith("  tradearena ")]
    assert len(commands) >= 3
    for typed in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', typed)]
        if words[1] != "run":  # the other agent on the bundled bars: that is another test's
            fewer = ("--steps", 5) if words[1] == "compare" else ()  # the same command, done sooner
            assert arena(*words[1:], *fewer).code == 0, typed


def test_progress_and_warnings_are_not_on_stdout(run, tmp_path):
    path = tmp_path / "plain.csv"
    rows = "".join(f"2024-01-{d:02},{9 + d % 3},{5 + d % 2}\n" for d in range(1, 31))
    path.write_text("date,AAA,BBB\n" + rows)
    answer = run("--agent", "equal-weight", data=path)
    assert answer.code == 0
    assert "warning: no card" in answer.err
    assert "warning" not in answer.out
    assert "warning" not in run("--agent", "equal-weight", "--quiet", data=path).err


def test_quiet_prints_nothing(run):
    answer = run("--quiet")
    assert (answer.code, answer.out) == (0, "")


def test_a_sector_limit_that_cannot_apply_is_said(run, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("date,AAA,BBB\n" + "".join(f"2024-01-{d:02},{9 + d % 3},5\n" for d in range(1, 31)))
    assert "the sector limit of the policy standard does not apply" in run("--steps", "2", data=path).err


# ---------------------------------------------------------------------- the same command


def test_the_same_command_shows_what_is_on_file(run, tmp_path):
    first, second = run("--json"), run("--json")
    assert first.json == second.json
    assert len(list((tmp_path / "replays").glob("*.duckdb"))) == 1


def test_again_makes_a_replicate(run):
    first, second = run("--json").json, run("--again", "--json").json
    assert first["experiment"] == second["experiment"]
    assert first["episodes"][0]["id"] != second["episodes"][0]["id"]
    assert first["episodes"][0]["root_hash"] == second["episodes"][0]["root_hash"]


def test_other_agents_and_seeds_go_into_the_same_file_and_other_policies_into_another(run, tmp_path):
    runs = [("--agent", "cash"), ("--agent", "random"), ("--agent", "random", "--seed", "1")]
    assert len({run(*each, "--json").json["experiment"] for each in runs}) == 1
    other = run("--agent", "cash", "--policy", "strict", "--json").json
    assert len(list((tmp_path / "replays").glob("*.duckdb"))) == 2
    assert other["episodes"][0]["metrics"]["total_return"] == 0


def test_out_names_the_file_and_refuses_that_of_another_experiment(run, tmp_path):
    out = tmp_path / "deep" / "er" / "mine.duckdb"
    assert run("--agent", "cash", "--out", out, "--json").json["experiment"] == str(out)
    answer = run("--agent", "cash", "--out", out, "--every", "2", "--json")
    assert answer.code == 1
    assert "choose another file" in answer.json["error"]
    assert run("--agent", "momentum", "--out", out, "--json").code == 0


@pytest.mark.parametrize(
    ("options", "start", "end", "steps"),
    [
        ((), "2020-02-04", "2020-05-09", 69),
        (("--steps", "5"), "2020-02-04", "2020-02-11", 5),
        (("--start", "2020-03-02"), "2020-03-03", "2020-05-09", 49),
        (("--end", "2020-03-02T22:00:00Z"), "2020-02-04", "2020-02-29", 19),
        (("--start", "2020-03-02", "--end", "2020-03-20", "--every", "4"), "2020-03-03", "2020-03-19", 3),
    ],
)
def test_a_window_is_chosen_by_dates_and_steps(run, options, start, end, steps):
    episode = run("--agent", "equal-weight", *options, "--json").json["episodes"][0]
    window = episode["window"]
    assert (window["start"][:10], window["end"][:10], episode["steps"]) == (start, end, steps)


# ---------------------------------------------------------------------- endings


FAILING = """
from pathlib import Path
def ask(seen):
    if seen.t == 30 and not Path("mended").exists():
        raise RuntimeError("no such table")
    return {seen.symbols[0]: 0.1 + seen.t / 1000}
"""


def test_an_agent_that_raises_ends_with_1_keeps_its_steps_and_goes_on_when_it_is_mended(run, user, tmp_path):
    agent = user(FAILING)
    broken = run("--agent", agent, "--json")
    assert broken.code == 1
    found = broken.json
    assert set(found) == {"experiment", "episodes", "error"}
    assert found["error"] == "the agent raised at bar 30: RuntimeError: no such table"
    (episode,) = found["episodes"]
    assert (episode["status"], episode["steps"], episode["root_hash"]) == ("error", 10, None)
    assert set(episode) == EPISODE
    assert "error: the agent raised at bar 30" in broken.err
    (tmp_path / "mended").touch()
    whole = run("--agent", agent, "--json").json["episodes"][0]
    assert (whole["id"], whole["status"], whole["steps"]) == (episode["id"], "complete", 69)
    calm = run("--agent", agent, "--out", tmp_path / "calm.duckdb", "--json").json["episodes"][0]
    assert calm["root_hash"] == whole["root_hash"]
    assert calm["metrics"] == whole["metrics"]


def test_an_agent_that_raises_is_said_after_the_table_as_well(run, user):
    answer = run("--agent", user(FAILING))
    assert answer.code == 1
    assert "user_agent" in answer.out
    assert "Not finished: the same command takes it up where it stopped." in answer.out
    assert answer.err.splitlines()[-1] == "error: the agent raised at bar 30: RuntimeError: no such table"


def test_an_agent_that_raises_at_once_is_an_episode_without_steps(run, user):
    answer = run("--agent", user("def ask(seen): 1 / 0\n"), "--json")
    assert answer.code == 1
    (episode,) = answer.json["episodes"]
    assert (episode["status"], episode["steps"]) == ("error", 0)
    assert episode["validity"] == {"share_ok": None, "ok": 0, "repaired": 0, "fallback": 0, "error": 0, "valid": False}
    assert "ZeroDivisionError" in answer.json["error"]


def test_edited_code_is_another_agent(run, user):
    one = run("--agent", user("def ask(seen): return None\n"), "--json").json["episodes"][0]
    other = run("--agent", user("def ask(seen): return [0.1] * 4\n"), "--json").json["episodes"][0]
    assert one["id"] != other["id"]
    assert one["root_hash"] != other["root_hash"]


@pytest.mark.parametrize(("lost", "code"), [(3, 0), (4, 3)])
def test_more_than_five_percent_of_lost_replies_are_no_result(run, user, lost, code):
    agent = user(f"def ask(seen): return 'what?' if seen.t < {20 + lost} else None\n")
    answer = run("--agent", agent, "--json")
    assert answer.code == code
    found = answer.json
    validity = found["episodes"][0]["validity"]
    assert (validity["fallback"], validity["ok"], validity["valid"]) == (lost, 69 - lost, code == 0)
    assert validity["share_ok"] == pytest.approx(1 - lost / 69)
    assert ("error" in found) == (code == 3)
    if code:
        assert found["error"].startswith(f"INVALID: {lost} of 69 replies of python:user_agent:ask were fallback")
        again = run("--agent", agent)
        assert again.code == 3
        assert again.err.splitlines()[-1].startswith("error: INVALID: ")


STOPPING = """
import os, signal
def ask(seen):
    if seen.t == 30:
        for _ in range({times}):
            os.kill(os.getpid(), signal.{name})
    return None
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_after_the_step_with_130(run, user, name):
    agent = user(STOPPING.format(times=1, name=name))
    answer = run("--agent", agent, "--json")
    assert answer.code == 130
    found = answer.json
    assert set(found) == {"experiment", "episodes", "error"}
    assert found["error"] == "stopped before the decision of bar 31"
    assert (found["episodes"][0]["status"], found["episodes"][0]["steps"]) == ("interrupted", 11)
    whole = run("--agent", agent, "--json")
    assert (whole.code, whole.json["episodes"][0]["status"]) == (0, "complete")


def test_a_second_signal_stops_at_once_and_the_run_can_be_taken_up(run, user):
    agent = user(STOPPING.format(times=2, name="SIGINT"))
    answer = run("--agent", agent, "--json")
    assert answer.code == 130
    assert answer.json == {"error": "stopped at once; the same command takes it up again"}
    mended = run("--agent", agent, "--json")  # bar 30 was not decided: it stops there once more
    assert mended.code == 130


def test_the_signals_are_given_back(run, user):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run("--agent", user(STOPPING.format(times=1, name="SIGINT")), "--quiet")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_ruined_account_is_a_result(run, user, tmp_path):
    (tmp_path / "wild.toml").write_text(
        'name = "wild"\n[limits]\nallow_short = true\n[execution]\ninitial_cash = 1000.0\n'
    )
    agent = user("def ask(seen): return {seen.symbols[0]: 90.0 if seen.t % 2 else -90.0}\n")
    answer = run("--agent", agent, "--policy", tmp_path / "wild.toml", "--json")
    assert answer.code == 0
    (episode,) = answer.json["episodes"]
    assert episode["status"] == "ruined"
    assert episode["steps"] < 69
    assert episode["metrics"]["total_return"] <= -1.0
    assert episode["metrics"]["turnover"] > 1.0


# ---------------------------------------------------------------------- recorded decisions


def test_the_replies_of_recorded_decisions_are_their_rows(run, tmp_path):
    """Bars without a row are no replies: three rows of which none says a number are no result."""
    path = tmp_path / "mine.csv"
    path.write_text("date,TECH1,FINA1\n2020-02-04,much,0\n2020-02-12,0,more\n2020-02-20,all,0\n")
    answer = run("--agent", f"decisions:{path}", "--json")
    assert answer.code == 3
    assert answer.json["error"].startswith("INVALID: 3 of 3 replies of decisions:mine were fallback or error")
    path.write_text("date,TECH1,FINA1\n2020-02-04,0.5,0\n2020-02-12,0,0.5\n")
    validity = run("--agent", f"decisions:{path}", "--json").json["episodes"][0]["validity"]
    assert (validity["ok"], validity["share_ok"], validity["valid"]) == (2, 1.0, True)
    path.write_text("date,TECH1,FINA1,rationale\n2020-02-04,,,wait\n2020-02-12,,,\n")
    validity = run("--agent", f"decisions:{path}", "--json").json["episodes"][0]["validity"]
    assert (validity["ok"], validity["valid"]) == (1, True)  # who says something says it


def test_recorded_decisions_are_audited_and_keep_their_words(run, bars, tmp_path):
    with duckdb.connect() as db:
        symbols = [
            row[0] for row in db.execute(f"SELECT DISTINCT symbol FROM '{bars}/bars.parquet' ORDER BY 1").fetchall()
        ]
    lines = [f"2020-03-{d:02}T22:00:00Z,{','.join(['10'] * 4)},all in on {d}" for d in (3, 4, 5)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([f"timestamp,{','.join(symbols)},rationale", *lines]) + "\n")
    found = run("--agent", f"decisions:{path}", "--json").json
    with duckdb.connect(found["experiment"], read_only=True) as db:
        said = db.execute("SELECT rationale, list_sum(intent), gross FROM steps WHERE NOT kept ORDER BY t").fetchall()
        assert [row[:2] for row in said] == [(f"all in on {d}", 40.0) for d in (3, 4, 5)]
        assert all(gross <= 1 + 1e-9 for *_, gross in said)
    assert found["episodes"][0]["agent"] == "decisions:mine"
    assert found["episodes"][0]["metrics"]["gate_rate"] > 0


def test_no_options_at_all(arena):
    answer = arena("run", "--json")
    (episode,) = answer.json["episodes"]
    assert (episode["agent"], episode["steps"], episode["status"]) == ("organism-momentum", 735, "complete")
    assert "demo-daily" in answer.json["experiment"]


def test_the_real_hourly_bars_warn_of_what_was_dropped(arena, real_data):
    typed = (
        "run",
        "--data",
        real_data / "ohlcv_hourly_50.parquet",
        "--agent",
        "momentum",
        "--policy",
        "standard",
        "--json",
    )
    answer = arena(*typed)
    assert answer.code == 0
    assert re.search(r"warning: .*off", answer.err)
    assert json.loads(answer.out)["episodes"][0]["status"] == "complete"


def test_what_is_no_result_stands_in_the_table_by_name_and_without_numbers(run, user):
    answer = run("--agent", user("def ask(observation):\n    return 'no weights'\n"))
    assert answer.code == 3
    (row,) = (line for line in answer.out.splitlines() if "(INVALID)" in line)
    assert row.count("–") == 8


def test_a_mode_that_makes_no_difference_is_said_to_make_none(arena, bars):
    answer = arena("run", "--agent", "momentum", "--feedback", "placebo", "--seed", "3", "--data", bars, "--steps", "3")
    assert answer.code == 0
    assert "warning: momentum reads no feedback: it is run once, as hidden, for all modes" in answer.err
    assert "warning: momentum has no dice: it is run once, with seed 0, for all seeds" in answer.err
    assert "warning" not in arena("run", "--agent", "momentum", "--data", bars, "--steps", "3").err


@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_a_seed_that_cannot_be_kept_is_refused(arena, bars, seed):
    assert arena("run", "--data", bars, "--seed", seed).code == 2


@pytest.mark.slow
def test_a_wording_with_braces_and_symbols_of_other_alphabets_can_be_read(arena, tmp_path):
    """By organisms, which read what they are told out of the text."""
    days = [f"2024-0{1 + i // 28}-{1 + i % 28:02d}" for i in range(60)]
    rows = [
        f"{day},{name},{price},{price * 1.01},{price * 0.99},{price * (1 + (i % 3) / 100)},100000"
        for i, day in enumerate(days)
        for name, price in (("ÄÖ", 10 + i), ("株式", 50 - i / 2), ("ABC+", 20 + i % 7))
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["date,symbol,open,high,low,close,volume", *rows]), encoding="utf-8")
    (tmp_path / "risk").mkdir()
    (tmp_path / "risk" / "feedback.txt").write_text("Desk {note}: $changed of $count.")
    for mode in ("true", "placebo", "false-audit"):
        typed = ("run", "--agent", "organism-credulous", "--data", "mine.csv", "--label", "end", "--steps", "12")
        answer = arena(*typed, "--feedback", mode, "--json")
        assert answer.code == 0, answer.err
    prompt = arena("sql", answer.json["experiment"], "SELECT prompt FROM exchanges ORDER BY t DESC LIMIT 1", "--json")
    assert "Desk {note}: " in prompt.json["rows"][0][0]
    assert "\\u" not in prompt.json["rows"][0][0]
