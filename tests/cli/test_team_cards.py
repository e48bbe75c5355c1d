"""The card of a team: what it may say, what it would cost, and whether its models answer."""

from __future__ import annotations

import json

import pytest
from team import asks

from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker


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
