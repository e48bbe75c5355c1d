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

from tradearena.store.reader import Reader
from tradearena.store.seal import seal_of
from tradearena.testing import Answer, ChatServer, Messages

CARD = """
name = "desk"
kind = "llm"
[parameters]
model = "openai/small"
api_base = "{url}"
backoff = 0.001
[prompt]
tools = ["what_if_audit"]
rounds = 1
{prompt}
[[team]]
name = "looker"
instructions = "looker"
tools = ["history", "correlations"]
rounds = 2
[[team]]
name = "risk"
instructions = "looker"
parameters = {{ model = "openai/other", api_base = "{url}", temperature = 0.5 }}
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Writes the card of a team behind an address."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "looker.txt").write_text("You look at $count symbols.\n$sectors\n\n$mandate")

    def write(server, prompt=""):
        (tmp_path / "agents" / "desk.toml").write_text(CARD.format(url=server.url, prompt=prompt))
        return "desk"

    return write


def asks(messages: Messages) -> str | Answer:
    """Looks twice, reports, asks what if, and asks for too much; the third call of a tool is never heard."""
    rounds = sum(message["role"] == "tool" for message in messages)
    symbol = messages[1]["content"].splitlines()[3].split(",")[1]
    if messages[0]["content"].startswith("You look"):
        if rounds < 2 and '"' not in messages[-1]["content"][:1]:
            calls = ("history", {"symbols": [symbol]}) if rounds else ("correlations", "{}")
            return Answer(tool_calls=(calls,))
        return f"{symbol} rises."
    weights = {"target_weights": {symbol: 0.9}}
    if rounds == 0:
        pairs = [{"symbol": symbol, "weight": 0.9}]
        return Answer("what if", tool_calls=(("what_if_audit", {"target_weights": pairs}),))
    return json.dumps({**weights, "rationale": f"All in on {symbol}.", "confidence": 0.7})


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query).fetchall()


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


@pytest.mark.parametrize("fails_at", [2, 5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3, 4, 6))])
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


def test_a_dry_run_counts_everybody(arena, bars, desk):
    with ChatServer(asks) as server:
        typed = ("run", "--agent", desk(server), "--data", bars, "--steps", "5", "--dry-run")
        small, other = arena(*typed, "--json").json["dry_run"]
        said = arena(*typed).out
        assert server.requests == []
    assert (small["model"], small["episodes"], small["requests"]) == ("openai/small", 1, [10, 25])
    assert (other["model"], other["episodes"], other["requests"]) == ("openai/other", 1, [5, 5])
    assert small["input_tokens"][0] < small["input_tokens"][1]
    assert "desk, openai/small: 10 to 25 requests in 1 episodes" in said


def test_what_would_be_sent_first_is_what_the_first_of_the_team_is_sent(arena, bars, desk):
    with ChatServer(asks) as server:
        name = desk(server)
        shown = arena("agents", "show", name, "--prompt", "--data", bars, "--json").json
        arena("run", "--agent", name, "--data", bars, "--steps", "1", "--json")
    looker, risk = shown.pop("team")
    for sent, place in ((looker, 0), (risk, 3), (shown, 4)):
        body = server.requests[place].body
        system, prompt = (message["content"] for message in body["messages"])
        assert sent["system"] == system
        assert prompt.startswith(sent["prompt"].partition("\n\n# Reports")[0])
        assert json.loads(sent.get("tools", "null")) == body.get("tools")
    assert looker["prompt"] == server.requests[0].body["messages"][1]["content"]
    card = arena("agents", "show", name).out
    assert "analyst         looker\n  instructions  looker\n  tools         history, correlations, 2 rounds\n" in card
    assert "analyst         risk\n  instructions  looker\n  tools         none, 3 rounds\n" in card
    assert "  model         openai/other\n" in card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('tools = ["what_if_audit"]', 'tools = ["shell"]'), "prompt.tools.0: Input should be 'history'"),
        (('tools = ["what_if_audit"]', 'tools = ["history", "history"]'), "prompt.tools: names a tool twice"),
        (("rounds = 1", "rounds = 11"), "prompt.rounds: Input should be less than or equal to 10"),
        (('name = "risk"', 'name = "looker"'), "two analysts of the team have the same name"),
        (('name = "risk"', 'name = "# risk"'), "team.1.name: String should match pattern"),
        (("temperature = 0.5", "temperature = 5.0"), "temperature: Input should be less than or equal to 2"),
        (('kind = "llm"', 'kind = "organism"'), "an agent of kind organism takes no tools and no team; only a model"),
        (('instructions = "looker"', 'instructions = "nobody"'), "no file of instructions named 'nobody'"),
        (('instructions = "looker"', 'instructions = "trader"'), "an analyst decides nothing; take $answer out"),
    ],
)
def test_a_card_that_cannot_be_meant_is_one_sentence(arena, bars, desk, tmp_path, change, said):
    with ChatServer(asks) as server:
        desk(server)
    path = tmp_path / "agents" / "desk.toml"
    text = path.read_text().replace(*change, 1)
    if "organism" in change[1]:
        text = text.replace('model = "openai/small"', "").replace("backoff = 0.001", "")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("api_base"))
    path.write_text(text)
    answer = arena("run", "--agent", "desk", "--data", bars, "--steps", "2", "--json")
    assert answer.code in (1, 2)
    assert said in answer.json["error"]


def test_a_model_that_takes_no_tools_is_refused_before_anything_is_asked(arena, bars, desk, tmp_path, monkeypatch):
    monkeypatch.setenv("PERPLEXITYAI_API_KEY", "pplx-1234567890")
    with ChatServer(asks) as server:
        desk(server)
    path = tmp_path / "agents" / "desk.toml"
    path.write_text(path.read_text().replace("openai/small", "perplexity/sonar"))
    answer = arena("run", "--agent", "desk", "--data", bars, "--steps", "2", "--json")
    assert answer.code == 1
    assert (
        "perplexity/sonar: takes no tools, as far as litellm knows; leave them out of the card" in answer.json["error"]
    )


def test_the_members_of_a_team_are_part_of_who_decides(tmp_path, desk):
    from tradearena.agents.card import open_agent

    with ChatServer(asks) as server:
        desk(server)
    path, looker = tmp_path / "agents" / "desk.toml", tmp_path / "agents" / "looker.txt"
    digests = [open_agent("desk", home=tmp_path).digest]
    text, words = path.read_text(), looker.read_text()
    for change in (
        ('name = "risk"', 'name = "risks"'),
        ("rounds = 2", "rounds = 3"),
        ("temperature = 0.5", "temperature = 0.6"),
    ):
        path.write_text(text.replace(*change))
        digests.append(open_agent("desk", home=tmp_path).digest)
    path.write_text(text)
    looker.write_text(words + " Twice.")
    digests.append(open_agent("desk", home=tmp_path).digest)
    looker.write_text(words)
    assert len(set(digests)) == 5
    path.write_text(text.replace("temperature = 0.5", "temperature = 0.5, timeout = 9.0"))
    assert open_agent("desk", home=tmp_path).digest == digests[0], "patience decides nothing"


def test_every_model_of_a_team_is_checked(arena, desk):
    with ChatServer(lambda _: '{"target_weights": {"TEST": 0.5}, "rationale": "x", "confidence": 0.5}') as server:
        name = desk(server)
        lines = arena("agents", "check", name).out.splitlines()
        found = arena("agents", "check", name, "--json").json
        assert len(server.requests) == 4
    assert [line.partition(":")[0] for line in lines] == ["openai/small", "openai/other"]
    assert (found["model"], [each["model"] for each in found["team"]]) == ("openai/small", ["openai/other"])


def test_a_model_that_fails_does_not_keep_the_others_from_being_checked(arena, desk):
    def refused(_messages):
        return Answer(status=401, body="{}")

    with ChatServer(refused) as server:
        answer = arena("agents", "check", desk(server))
        assert [request.body["model"] for request in server.requests] == ["small", "other"]
    assert answer.code == 1
    assert answer.err.count("the key was refused") == 2


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("functions.history", {"symbols": ["X"]}), ("history", "{"), ("history", ""), ("history", "[1]"),
        ("history", "[" * 20_000), ("", "{}"), ("history", '{"bars": ' + "9" * 6_000 + "}"), ("涨", '"x"'),
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


def test_the_most_of_a_dry_run_is_not_exceeded(arena, bars, desk):
    """By agents who look up as much as they can."""

    def greedy(messages):
        if sum(message["role"] == "tool" for message in messages) < 8 and messages[0]["content"].startswith("You look"):
            symbols = messages[1]["content"].splitlines()[3].split(",")[1:]
            return Answer(tool_calls=(("history", {"symbols": symbols[:10], "bars": 250}),) * 4)
        return asks(messages)

    with ChatServer(greedy) as server:
        typed = ("run", "--agent", desk(server), "--data", bars, "--steps", "2")
        found = arena(*typed, "--dry-run", "--json").json["dry_run"]
        arena(*typed, "--json")
        bodies = [json.dumps(request.body) for request in server.requests]
    most = sum(each["input_tokens"][1] for each in found)
    assert len(bodies) <= sum(each["requests"][1] for each in found)
    assert sum(map(len, bodies)) / 2 < most, "at two characters a token, which is more than any model needs"


def test_an_address_and_a_key_do_not_go_to_another_model():
    from tradearena.agents.asking import parameters_for

    card = {
        "parameters": {"model": "a/b", "api_base": "http://x", "key": "K", "prices": {"input": 1}, "timeout": 3.0},
        "team": [{"name": "own", "parameters": {"model": "c/d"}}, {"name": "same", "parameters": {"temperature": 1.0}}],
    }
    assert parameters_for(card, "own") == {"model": "c/d", "timeout": 3.0}
    assert parameters_for(card, "same") == {**card["parameters"], "temperature": 1.0}
    assert parameters_for(card, "") == card["parameters"]


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


def test_what_is_reserved_for_a_request_covers_its_tools(arena, bars, desk):
    """A limit that leaves room for the words of the first request, and not for the tools beside them."""
    with ChatServer(asks) as server:
        name = desk(server)
        shown = arena("agents", "show", name, "--prompt", "--data", bars, "--json").json["team"][0]
        words, tools = len(shown["system"] + shown["prompt"]), len(json.dumps(json.loads(shown["tools"])))
        assert tools > 400
        typed = ("run", "--agent", name, "--data", bars, "--steps", "1", "--json")
        limited = arena(*typed, "--token-limit", str(words + 2_000 + 300))
        assert limited.json["episodes"][0]["status"] == "limited"
        assert server.requests == []
