"""A model behind an address, through the whole command line: asked, audited, told, recorded, resumed."""

from __future__ import annotations

import json

import duckdb
import pytest
from loopback import Answer, ChatServer, Messages

from tradearena.agents.card import open_agent
from tradearena.agents.scene import read


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Writes the card of a model behind an address."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def write(server):
        card = tmp_path / "mine.toml"
        card.write_text(
            'name = "mine"\nkind = "llm"\nreads_feedback = true\nsampled = true\n[parameters]\n'
            f'model = "openai/small"\ntimeout = 20.0\napi_base = "{server.url}"\n'
        )
        return str(card)

    return write


def concentrated(messages: Messages) -> str:
    """Asks for more than the policy allows of the first symbol it reads of."""
    first = read(messages[-1]["content"]).symbols[0]
    return json.dumps({"target_weights": {first: 0.9}, "rationale": f"All in on {first}.", "confidence": 0.7})


def test_a_model_is_asked_once_a_step_and_told_of_its_audits(arena, bars, model):
    with ChatServer(concentrated) as server:
        typed = ("compare", "--agent", model(server), "--feedback", "true", "--feedback", "hidden", "--data", bars)
        found = arena(*typed, "--steps", "5", "--json").json
        again = arena(*typed, "--steps", "5", "--json").json
    assert len(server.requests) == 10
    assert again["episodes"] == found["episodes"]
    assert {episode["status"] for episode in found["episodes"]} == {"complete"}
    with duckdb.connect(found["experiment"], read_only=True) as db:
        asked = db.execute("SELECT count(*), min(input_tokens), bool_and(error IS NULL) FROM call").fetchone()
        said = db.execute(
            "SELECT feedback, prompt, reply FROM exchanges x JOIN episode e ON e.id = x.episode ORDER BY feedback, t"
        ).fetchall()
    assert asked[0] == 10
    assert asked[1] > 0
    assert asked[2]
    assert sorted(request.body["messages"][-1]["content"] for request in server.requests) == sorted(
        p for _, p, _ in said
    )
    told = {mode: [prompt for feedback, prompt, _ in said if feedback == mode] for mode in ("true", "hidden")}
    assert all("single-name" in prompt for prompt in told["true"][1:])
    assert not any("Risk" in prompt for prompt in told["hidden"])
    assert "single-name" not in told["true"][0]


def test_what_a_model_has_been_paid_for_is_not_asked_again(arena, bars, model):
    """The fourth request finds the server gone: three replies are on record, and the episode goes on from there."""
    with ChatServer(concentrated) as server:
        undisturbed = arena(
            "run", "--agent", model(server), "--data", bars, "--steps", "6", "--json", "--out", "a.duckdb"
        )
    count = 0

    def fails(messages: Messages) -> str | Answer:
        nonlocal count
        count += 1
        return Answer(status=503) if count == 4 else concentrated(messages)

    with ChatServer(fails) as server:
        typed = ("run", "--agent", model(server), "--data", bars, "--steps", "6", "--json", "--out", "b.duckdb")
        broken = arena(*typed)
        resumed = arena(*typed)
    assert (broken.code, resumed.code) == (1, 0)
    assert "bar 23: " in broken.json["error"]
    assert broken.json["episodes"][0]["steps"] == 3
    assert len(server.requests) == 7
    told = [episode.json["episodes"][0] for episode in (undisturbed, resumed)]
    assert told[0]["metrics"] == told[1]["metrics"]


def test_too_many_cut_replies_are_no_result(arena, bars, model):
    with ChatServer(lambda messages: Answer(concentrated(messages)[:-9], finish="length")) as server:
        answer = arena("run", "--agent", model(server), "--data", bars, "--steps", "4", "--json")
    assert answer.code == 3
    assert answer.json["episodes"][0]["validity"]["fallback"] == 4
    assert "INVALID" in answer.json["error"]


def test_without_a_key_there_is_one_sentence_and_no_file(arena, bars, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answer = arena("run", "--agent", "llm", "--data", bars)
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "error: openai/gpt-4o-mini: no key in the environment; set OPENAI_API_KEY"
    assert not (tmp_path / "replays").exists()


def test_a_model_can_only_be_named_for_an_agent_that_asks_one(arena, bars):
    answer = arena("run", "--agent", "momentum", "--model", "openai/gpt-5", "--data", bars)
    assert answer.code == 2
    assert "--model is for agents of kind llm; momentum asks no model" in answer.err


def test_a_finished_run_is_shown_without_a_key(arena, bars, monkeypatch):
    """No address and no key: what is on file needs neither."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    with ChatServer(concentrated) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        typed = ("run", "--agent", "llm", "--data", bars, "--steps", "3", "--json")
        first = arena(*typed)
    assert first.code == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_API_BASE")
    again = arena(*typed)
    assert (again.code, again.json["episodes"]) == (0, first.json["episodes"])
    assert arena(*typed[:-1], "--again").code == 1


def test_how_long_an_answer_is_waited_for_makes_no_other_agent(tmp_path):
    digests = set()
    for name, timeout in (("mine", 20.0), ("mine", 300.0)):
        card = tmp_path / f"{name}.toml"
        card.write_text(f'name = "mine"\nkind = "llm"\n[parameters]\nmodel = "openai/small"\ntimeout = {timeout}\n')
        opened = open_agent(str(card))
        digests.add(opened.digest)
        assert opened.card.reads_feedback
        assert opened.card.sampled
    assert len(digests) == 1
