"""Teams and tools through the whole command line: who is asked what, what is on record, what is paid for once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from team import asks, rows

from tradearena.store.reader import Reader
from tradearena.store.seal import seal_of
from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker


def test_every_exchange_of_a_team_is_a_row_and_every_request_belongs_to_one(arena, bars, desk):
    with ChatServer(asks) as server:
        answer = arena("run", "--agent", desk(server), "--data", bars, "--steps", "3", "--json", "--out", "a.duckdb")
    assert answer.code == 0
    one = [
        ("looker", 0, True), ("looker", 1, True), ("looker", 2, False), ("risk", 0, False), ("", 0, True),
        ("", 1, False),
    ]  # fmt: skip
    assert rows("a.duckdb", "SELECT speaker, turn, tools FROM exchange ORDER BY t, seq") == one * 3
    linked = "SELECT count(*), count(DISTINCT (t, exchange)) FROM call JOIN exchange x USING (episode, t) "
    assert rows("a.duckdb", linked + "WHERE x.seq = call.exchange") == [(18, 18)]
    assert [model for (model,) in rows("a.duckdb", "SELECT model FROM call WHERE t = 21 ORDER BY seq")] == [
        "openai/small", "openai/small", "openai/small", "openai/other", "openai/small", "openai/small",
    ]  # fmt: skip
    bodies = [request.body for request in server.requests[:6]]
    assert [[tool["function"]["name"] for tool in body.get("tools", ())] for body in bodies] == [
        ["history", "correlations"], ["history", "correlations"], ["history", "correlations"], [], ["what_if_audit"],
        ["what_if_audit"],
    ]  # fmt: skip
    assert [body.get("tool_choice") for body in bodies] == [None, None, "none", None, None, "none"]
    assert [body["temperature"] for body in bodies] == [0.0, 0.0, 0.0, 0.5, 0.0, 0.0]
    assert not any("response_format" in body for body in bodies), "not every service takes both"
    (finding, *_) = json.loads(bodies[5]["messages"][-1]["content"])["findings"]
    assert (finding["rule"], finding["proposed"]) == ("single-name", 0.9)
    with Reader(Path("a.duckdb")) as reader:
        assert all(seal_of(reader.db, row.id) == row.seal for row in reader.episodes())


def test_a_step_is_shown_with_all_who_spoke(arena, bars, desk):
    with ChatServer(asks) as server:
        arena("run", "--agent", desk(server), "--data", bars, "--steps", "2", "--json", "--out", "a.duckdb")
    shown = arena("replay", "a.duckdb", "--step", "21", "--text").out
    assert shown.count("--- system of looker\n") == 1
    assert shown.count("--- reply of looker\n") == 3
    assert "--- reply of risk\n" in shown
    assert shown.index("--- reply of risk") < shown.index("--- reply\n")
    said = arena("replay", "a.duckdb", "--step", "21", "--json").json["said"]
    assert [each["speaker"] for each in said] == ["looker"] * 3 + ["risk"] + [""] * 2
    (found,) = arena("sql", "a.duckdb", "SELECT count(*) FROM exchanges WHERE reply IS NOT NULL", "--json").json["rows"]
    assert found == [12]


@pytest.mark.parametrize("fails_at", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3, 4, 6))])
def test_what_was_paid_for_before_a_run_was_cut_short_is_not_asked_again(arena, bars, desk, fails_at):
    """Whichever of the requests of the second step fails."""
    numbers = iter(range(1, 1000))

    def failing(messages):
        return Answer(status=400, body="{}") if next(numbers) == 6 + fails_at else asks(messages)

    with ChatServer(failing) as server:
        typed = ("run", "--agent", desk(server), "--data", bars, "--steps", "3", "--json")
        first = arena(*typed, "--out", "a.duckdb")
        assert first.code == 1
        assert "bar 21" in first.json["error"]
        asked = len(server.requests)
        assert rows("a.duckdb", "SELECT count(*) FROM exchange") == [(asked - 1,)]
        again = arena(*typed, "--out", "a.duckdb")
        assert again.code == 0
        assert len(server.requests) == 18 + 1
        whole = arena(*typed, "--out", "b.duckdb")
    assert rows("a.duckdb", "SELECT count(*), count(error) FROM call") == [(19, 1)]
    assert again.json["episodes"][0]["root_hash"] == whole.json["episodes"][0]["root_hash"]
    with Reader(Path("a.duckdb")) as reader:
        assert all(seal_of(reader.db, row.id) == row.seal for row in reader.episodes())


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", range(7, 13))
def test_a_kill_loses_one_request_at_most(bars, desk, tmp_path, killed_at):
    processes: list[subprocess.Popen[bytes]] = []
    numbers = iter(range(1, 1000))

    def deadly(messages):
        if next(numbers) == killed_at:
            processes[0].send_signal(signal.SIGKILL)
        return asks(messages)

    code = "from tradearena.cli import main; main()"
    with ChatServer(deadly) as server:
        typed = ["run", "--agent", desk(server), "--data", str(bars), "--steps", "3", "--json", "--out", "a.duckdb"]
        for expected in (-signal.SIGKILL, 0):
            command = [sys.executable, "-c", code, *typed]
            processes[:] = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env={**os.environ})]
            out, _ = processes[0].communicate(timeout=60)
            assert processes[0].returncode == expected
        assert len(server.requests) == 18 + 1
    assert json.loads(out)["episodes"][0]["status"] == "complete"
    assert rows(tmp_path / "a.duckdb", "SELECT count(*) FROM call") == [(18,)]


def test_replies_of_an_earlier_file_serve_a_whole_conversation(arena, bars, desk):
    with ChatServer(asks) as server:
        typed = ("run", "--agent", desk(server), "--data", bars, "--steps", "3", "--json")
        arena(*typed, "--out", "a.duckdb")
        again = arena(*typed, "--out", "b.duckdb", "--reuse", "a.duckdb")
        assert len(server.requests) == 18
    assert again.code == 0
    assert rows("b.duckdb", "SELECT count(*), bool_and(reused), sum(cost) FROM call") == [(18, True, 0.0)]
    said = "SELECT speaker, turn, tools, prompt, reply FROM exchange ORDER BY t, seq"
    assert rows("a.duckdb", said) == rows("b.duckdb", said)


def test_asking_again_is_on_record_and_has_an_end(arena, bars, desk):
    def sulks(messages):
        if messages[0]["content"].startswith("You look") or sum(m["role"] == "user" for m in messages) > 1:
            return asks(messages)
        return "I would rather not."

    with ChatServer(sulks) as server:
        answer = arena("run", "--agent", desk(server, "again = 1"), "--data", bars, "--steps", "2", "--json",
                       "--out", "a.duckdb")  # fmt: skip
    assert answer.code == 0
    assert rows("a.duckdb", "SELECT count(*) FROM exchange WHERE speaker = '' AND turn = 1") == [(2,)]
    assert rows("a.duckdb", "SELECT DISTINCT status FROM step") == [("ok",)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("functions.history", {"symbols": ["X"]}), ("history", "{"), ("history", "[" * 20_000), ("涨", '"x"'),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                ("history", ""), ("history", "[1]"), ("", "{}"), ("history", '{"bars": ' + "9" * 6_000 + "}"),
            )
        ),
    ],
)  # fmt: skip
def test_a_call_that_makes_no_sense_is_answered_and_can_be_sent_back(arena, bars, desk, name, arguments):
    """As strict services want it: a plain name, and an object of JSON."""

    def senseless(messages):
        for message in messages:
            for call in message.get("tool_calls", ()):
                said = call["function"]
                if not said["name"].replace("_", "").replace("-", "").isalnum() or not said["name"].isascii():
                    return Answer(status=400, body="{}")
                if not isinstance(json.loads(said["arguments"]), dict) or len(call["id"]) != 9:
                    return Answer(status=400, body="{}")
        if messages[-1]["role"] == "user" and messages[0]["content"].startswith("You look"):
            return Answer(tool_calls=((name, arguments),))
        return asks(messages)

    with ChatServer(senseless) as server:
        answer = arena("run", "--agent", desk(server), "--data", bars, "--steps", "1", "--json", "--out", "a.duckdb")
        asked = len(server.requests)
    if len(str(arguments)) < 5_000:
        assert answer.code == 0
        ((given,),) = rows("a.duckdb", "SELECT prompt FROM exchanges WHERE speaker = 'looker' AND turn = 1")
        assert json.loads(given)[0].startswith("error: ")
    assert rows("a.duckdb", "SELECT count(*) FROM call") == [(asked,)]


@pytest.mark.slow
def test_two_analysts_who_are_asked_alike_are_two_draws_also_when_they_are_served_again(arena, bars, desk, tmp_path):
    numbers = iter(range(1000))

    def draws(messages):
        return f"draw {next(numbers)}" if messages[0]["content"].startswith("You look") else asks(messages)

    with ChatServer(draws) as server:
        desk(server)
        path = tmp_path / "agents" / "desk.toml"
        text = path.read_text().replace('tools = ["history", "correlations"]', "")
        head, _, rest = text.partition("parameters = {")
        path.write_text(head + rest.partition("\n")[2])
        typed = ("run", "--agent", "desk", "--data", bars, "--steps", "2", "--json")
        arena(*typed, "--out", "a.duckdb")
        before = len(server.requests)
        arena(*typed, "--out", "b.duckdb", "--reuse", "a.duckdb")
        assert len(server.requests) == before == 8
    said = "SELECT speaker, reply FROM exchanges ORDER BY t, seq"
    assert rows("a.duckdb", said) == rows("b.duckdb", said)
    assert rows("a.duckdb", "SELECT count(DISTINCT reply) FROM exchanges WHERE speaker <> ''") == [(4,)]


def test_what_was_changed_before_a_run_is_taken_up_is_not_acted_upon(arena, bars, desk):
    numbers = iter(range(1, 1000))

    def failing(messages):
        return Answer(status=400, body="{}") if next(numbers) == 5 else asks(messages)

    with ChatServer(failing) as server:
        typed = ("run", "--agent", desk(server), "--data", bars, "--steps", "2", "--json", "--out", "a.duckdb")
        assert arena(*typed).code == 1
        with duckdb.connect("a.duckdb") as db:
            db.execute("UPDATE line SET text = 'SELL EVERYTHING' WHERE text LIKE '% rises.'")
        answer = arena(*typed)
        assert len(server.requests) == 5
    assert answer.code == 1
    assert "what was said of a decision that was not reached was changed" in answer.json["error"]


@pytest.mark.slow
def test_replies_of_an_analyst_at_an_address_of_its_own_are_served_again(arena, bars, desk, tmp_path):
    with ChatServer(asks) as server, ChatServer(asks) as elsewhere:
        desk(server)
        path = tmp_path / "agents" / "desk.toml"
        head, _, tail = path.read_text().partition('model = "openai/other", api_base = "')
        path.write_text(head + f'model = "openai/other", api_base = "{elsewhere.url}' + tail[tail.index('"') :])
        typed = ("run", "--agent", "desk", "--data", bars, "--steps", "2", "--json")
        arena(*typed, "--out", "a.duckdb")
        assert (len(server.requests), len(elsewhere.requests)) == (10, 2)
        assert arena(*typed, "--out", "b.duckdb", "--reuse", "a.duckdb").code == 0
        assert (len(server.requests), len(elsewhere.requests)) == (10, 2)
