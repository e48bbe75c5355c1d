"""`tradearena agents check` and `agents show --prompt`: does an agent's model answer, and what would it be sent?"""

from __future__ import annotations

import pytest

from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

KEY = "sk-test-0123456789abcdef"
GOOD = '{"target_weights": {"TEST": 0.5}, "rationale": "Half.", "confidence": 0.6}'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No key; set and taken out, so that what a command adds is undone."""
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def card(tmp_path):
    """Writes the card of a model behind an address."""

    def write(server, more=""):
        path = tmp_path / "mine.toml"
        path.write_text(
            'name = "mine"\nkind = "llm"\n[parameters]\nmodel = "openai/gpt-4o-mini"\n'
            f'api_base = "{server.url}"\n{more}'
        )
        return str(path)

    return write


# ---------------------------------------------------------------------- check


def test_a_model_that_answers_is_described_in_one_line(arena, card):
    with ChatServer(lambda _: Answer(GOOD, fields={"model": "gpt-4o-mini-2024-07-18"})) as server:
        answer = arena("agents", "check", card(server))
        found = arena("agents", "check", card(server), "--json").json
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(
        "openai/gpt-4o-mini: no key, and none asked for, model answers as gpt-4o-mini-2024-07-18, JSON schema yes, "
    )
    assert answer.out.count("\n") == 1
    assert found.pop("seconds") > 0
    assert found == {
        "model": "openai/gpt-4o-mini",
        "answered": "gpt-4o-mini-2024-07-18",
        "key": False,
        "schema": True,
        "tools": True,
        "prices": {"input": pytest.approx(0.15), "output": pytest.approx(0.6), "cached": pytest.approx(0.075)},
    }


def test_another_model_can_be_named(arena, card):
    with ChatServer(lambda _: GOOD) as server:
        found = arena("agents", "check", card(server), "--model", "hosted_vllm/our-own", "--json").json
    assert (found["model"], found["prices"]) == ("hosted_vllm/our-own", None)


def test_the_key_may_stand_in_a_file_and_is_never_shown(arena, card, tmp_path):
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    with ChatServer(lambda _: Answer(status=401, body=f'{{"error": {{"message": "no such key: {KEY}"}}}}')) as server:
        answer = arena("agents", "check", card(server), "--json")
        again = arena("agents", "check", card(server))
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert answer.code == again.code == 1
    assert answer.err.splitlines()[0] == "keys read from .env: OPENAI_API_KEY"
    assert "the key was refused" in answer.json["error"]
    assert "keys read" not in again.err, "said once"
    assert KEY not in answer.out + answer.err + again.out + again.err


def test_a_file_of_keys_that_cannot_be_read_is_named(arena, card, tmp_path):
    (tmp_path / ".env").write_text(f"{KEY}\n")
    with ChatServer(lambda _: GOOD) as server:
        answer = arena("agents", "check", card(server))
    assert answer.code == 1
    assert answer.err == f"error: {tmp_path}/.env, line 1: not of the form NAME=value; mend or remove it\n"
    assert server.requests == []


def test_without_a_key_it_says_which_to_set(arena):
    answer = arena("agents", "check", "llm")
    assert answer.code == 1
    assert answer.err == "error: openai/gpt-4o-mini: no key in the environment; set OPENAI_API_KEY\n"


@pytest.mark.parametrize("name", ["momentum", "organism-steady"])
def test_an_agent_that_asks_no_model_has_nothing_to_check(arena, name):
    answer = arena("agents", "check", name)
    assert answer.code == 2
    assert answer.err == f"error: {name} asks no model: there is nothing to check\n"


# ---------------------------------------------------------------------- show --prompt


def test_what_is_shown_is_what_is_sent(arena, bars, card):
    with ChatServer(lambda _: '{"target_weights": {}}') as server:
        mine = card(server, "[prompt]\nbars = 30\n")
        shown = arena("agents", "show", mine, "--prompt", "--data", bars, "--policy", "strict", "--json").json
        assert server.requests == [], "to show is not to ask"
        words = arena("agents", "show", mine, "--prompt", "--data", bars, "--policy", "strict").out
        for mode in ("true", "hidden"):
            typed = ("run", "--agent", mine, "--data", bars, "--policy", "strict", "--steps", "1", "--json")
            assert arena(*typed, "--feedback", mode, "--seed", "3").code == 0
    assert len(server.requests) == 2
    for request in server.requests:
        system, prompt = request.body["messages"]
        assert (system["role"], system["content"]) == ("system", shown["system"])
        assert (prompt["role"], prompt["content"]) == ("user", shown["prompt"])
    assert set(shown) == {"system", "prompt"}
    assert f"--- system\n{shown['system']}\n--- end of system\n" in words
    assert f"--- prompt\n{shown['prompt']}\n--- end of prompt\n" in words


def test_an_organism_is_sent_words_as_well(arena, bars):
    run = arena("run", "--agent", "organism-steady", "--data", bars, "--steps", "1", "--json").json
    asked = arena("sql", run["experiment"], "SELECT system, prompt FROM exchanges", "--json").json
    shown = arena("agents", "show", "organism-steady", "--prompt", "--data", bars, "--json").json
    assert (asked["columns"], asked["rows"]) == (["system", "prompt"], [[shown["system"], shown["prompt"]]])


def test_the_demo_under_the_standard_policy_is_shown_by_default(arena):
    shown = arena("agents", "show", "llm", "--prompt", "--json").json
    assert "at most 0.2 of NAV in one symbol" in shown["system"]
    assert "TECH1" in shown["prompt"]


@pytest.mark.parametrize("name", ["cash", "decisions:long.csv"])
def test_an_agent_that_is_not_asked_in_words_has_no_prompt(arena, bars, tmp_path, name):
    (tmp_path / "long.csv").write_text("timestamp,symbol,weight\n2020-03-02,A,0.6\n")
    answer = arena("agents", "show", name, "--prompt", "--data", bars)
    assert answer.code == 2
    shown = name.removesuffix(".csv")
    assert answer.err == f"error: {shown} is not asked in words: there is no prompt to show\n"


@pytest.mark.parametrize("option", [("--data", "demo-daily"), ("--policy", "strict")])
def test_data_and_policy_are_for_the_prompt(arena, option):
    answer = arena("agents", "show", "llm", *option)
    assert answer.code == 2
    assert answer.err == "error: --data and --policy are for --prompt: the card is the same on all of them\n"
