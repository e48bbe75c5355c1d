"""A model behind an address, through the whole command line: asked, audited, told, recorded, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from tradearena.agents.card import open_agent
from tradearena.agents.scene import read
from tradearena.store.reader import Reader
from tradearena.store.seal import seal_of
from tradearena.testing import Answer, ChatServer, Messages, chance, sequence

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Writes the card of a model behind an address."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def write(server, **parameters):
        card = tmp_path / "mine.toml"
        given = {"model": "openai/small", "timeout": 20.0, "api_base": server.url, "backoff": 0.001, **parameters}
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        card.write_text("\n".join(['name = "mine"', 'kind = "llm"', "[parameters]", *lines]))
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
    """From the fourth request on the server fails: three replies are on record, and the episode goes on from there."""
    with ChatServer(concentrated) as server:
        undisturbed = arena(
            "run", "--agent", model(server), "--data", bars, "--steps", "6", "--json", "--out", "a.duckdb"
        )
    full = Answer(status=503)
    with ChatServer(sequence(*[concentrated] * 3, full, full, concentrated)) as server:
        card = model(server, attempts=2)
        typed = ("run", "--agent", card, "--data", bars, "--steps", "6", "--json", "--out", "b.duckdb")
        broken = arena(*typed)
        resumed = arena(*typed)
    assert (broken.code, resumed.code) == (1, 0)
    assert "bar 23: " in broken.json["error"]
    assert broken.json["episodes"][0]["status"] == "error"
    assert broken.json["episodes"][0]["steps"] == 3
    assert len(server.requests) == 8
    told = [episode.json["episodes"][0] for episode in (undisturbed, resumed)]
    assert told[0]["metrics"] == told[1]["metrics"]
    assert asked("b.duckdb") == [(20, 0, True), (21, 0, True), (22, 0, True), (23, 0, False), (23, 1, False),
                                 (23, 2, True), (24, 0, True), (25, 0, True)]  # fmt: skip


def asked(path):
    """Bar, number and success of every request on file."""
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute("SELECT t, seq, error IS NULL FROM call ORDER BY episode, t, seq").fetchall()


def test_under_every_kind_of_trouble_each_episode_ends_or_can_be_taken_up_and_no_request_is_missing(arena, bars, model):
    faults = {"429": 0.1, "500": 0.1, "drop": 0.05, "cut": 0.05, "garbage": 0.05, "hang": 0.01}
    with ChatServer(chance(3, faults, concentrated)) as server:
        card = model(server, attempts=3, backoff=0.001, timeout=2.0)
        typed = (
            "compare",
            "--agent",
            card,
            "--data",
            bars,
            "--seeds",
            "2",
            "--steps",
            "5",
            "--json",
            "--out",
            "a.duckdb",
        )
        for _ in range(20):
            found = arena(*typed)
            assert {episode["status"] for episode in found.json["episodes"]} <= {"complete", "error"}
            if found.code == 0:
                break
    assert {episode["status"] for episode in found.json["episodes"]} == {"complete"}
    assert len(asked("a.duckdb")) == len(server.requests)
    with duckdb.connect("a.duckdb", read_only=True) as db:
        seen = db.execute("SELECT count(*), count(DISTINCT reply), bool_and(status = 'ok') FROM exchanges").fetchall()
        seals = db.execute("SELECT bool_and(seal IS NOT NULL) FROM episode").fetchall()
    assert seen == [(2 * 4 * 5, 1, True)]  # no decision is invented
    assert seals == [(True,)]
    with Reader(Path("a.duckdb")) as reader:
        assert all(seal_of(reader.db, row.id) == row.seal for row in reader.episodes())


def test_a_limit_ends_a_run_in_good_order_and_more_of_it_goes_on(arena, bars, model):
    with ChatServer(concentrated) as server:
        typed = ("compare", "--agent", model(server), "--data", bars, "--steps", "8", "--json", "--out", "a.duckdb")
        limited = arena(*typed, "--token-limit", "12000")
        assert limited.code == 0
        assert "error" not in limited.json
        assert "limited: the token limit of 12,000 leaves no room" in limited.err
        statuses = [episode["status"] for episode in limited.json["episodes"]]
        assert set(statuses) == {"limited"}
        before = len(server.requests)
        assert 0 < before < 32
        whole = arena(*typed)
    assert {episode["status"] for episode in whole.json["episodes"]} == {"complete"}
    assert len(server.requests) == 32
    assert len(asked("a.duckdb")) == 32


def test_a_limit_holds_for_all_datasets_of_a_run_together(arena, bars, model):
    with ChatServer(concentrated) as server:
        typed = ("compare", "--agent", model(server), "--feedback", "true", "--data", bars, "--paths", "1", "--json")
        limited = arena(*typed, "--steps", "4", "--token-limit", "9000")
        first, second = limited.json["episodes"]
        asked = len(server.requests)
        whole = arena(*typed, "--steps", "4")
    assert limited.code == 0
    assert "1 of 2 datasets not ended; path-1: " in limited.err
    assert (first["status"], first["steps"], second["status"]) == ("complete", 4, "limited")
    assert second["steps"] < 4  # alone it could have had as much as the first
    assert asked == first["steps"] + second["steps"]
    assert len(server.requests) == 8
    assert [each["status"] for each in whole.json["episodes"]] == ["complete", "complete"]


def test_time_is_a_limit_for_every_agent(arena, bars):
    typed = ("run", "--agent", "momentum", "--data", bars, "--json", "--out", "a.duckdb")
    for time in ("soon", "99999999999999h"):
        assert arena(*typed, "--time-limit", time).code == 2
    late = arena(*typed, "--time-limit", "1s", "--steps", "5")
    assert late.json["episodes"][0]["status"] == "complete"


@pytest.mark.slow
def test_replies_of_an_earlier_file_serve_the_same_requests(arena, bars, model):
    with ChatServer(concentrated) as server:
        card = model(server)
        typed = ("run", "--agent", card, "--data", bars, "--json")
        first = arena(*typed, "--steps", "4", "--out", "a.duckdb")
        again = arena(*typed, "--steps", "6", "--out", "b.duckdb", "--reuse", "a.duckdb")
        other = arena(*typed, "--steps", "4", "--out", "c.duckdb", "--reuse", "a.duckdb", "--seed", "5")
    assert (first.code, again.code, other.code) == (0, 0, 0)
    assert len(server.requests) == 4 + 2 + 4
    with duckdb.connect("b.duckdb", read_only=True) as db:
        rows = db.execute("SELECT reused, count(*), sum(cost), sum(input_tokens) > 0 FROM call GROUP BY 1 ORDER BY 1")
        assert rows.fetchall() == [(False, 2, None, True), (True, 4, 0.0, True)]
    assert arena(*typed, "--reuse", "nothing.duckdb").code == 2


def test_a_reply_that_was_changed_serves_nobody(arena, bars, model):
    with ChatServer(concentrated) as server:
        typed = ("run", "--agent", model(server), "--data", bars, "--steps", "2", "--json")
        arena(*typed, "--out", "a.duckdb")
        with duckdb.connect("a.duckdb") as db:
            db.execute("UPDATE line SET text = replace(text, '0.9', '0.1')")
        answer = arena(*typed, "--out", "b.duckdb", "--reuse", "a.duckdb")
    assert answer.code == 1
    assert "a.duckdb: a reply in it was changed; nothing of this file is used again" in answer.json["error"]
    assert not Path("b.duckdb").exists()


def test_a_dry_run_says_what_would_be_asked_and_asks_nobody(arena, bars, model, tmp_path):
    with ChatServer(concentrated) as server:
        card = model(server)
        typed = ("compare", "--agent", card, "--agent", "momentum", "--data", bars, "--steps", "5", "--seeds", "2")
        (found,) = arena(*typed, "--dry-run", "--json").json["dry_run"]
        said = arena(*typed, "--dry-run").out
        assert server.requests == []
        assert not (tmp_path / "replays").exists()
        arena(*typed, "--json")
        rest = arena(*typed, "--dry-run", "--seed", "9", "--feedback", "true").code
        done = arena(*typed, "--dry-run").out
    assert (found["episodes"], found["requests"], found["cost"]) == (8, [40, 40], None)
    assert 40 * 400 < found["input_tokens"][0] < found["input_tokens"][1] < 1.5 * found["input_tokens"][0]
    assert found["output_tokens"][0] < found["output_tokens"][1] == 40 * 2000
    assert "mine, openai/small: 40 requests in 8 episodes" in said
    assert "the price is unknown" in said
    assert rest == 2  # --seeds and --seed
    assert "No model would be asked." in done


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


def test_keys_of_a_file_beside_it_are_used_and_never_written(arena, bars, model, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MY_KEY", raising=False)
    secret = "sk-very-secret-0123456789"
    (tmp_path / ".env").write_text(f"MY_KEY={secret}\n")

    def leaks(_: Messages) -> Answer:
        return Answer(status=400, body=json.dumps({"error": {"message": f"what is {secret}?"}}))

    with ChatServer(sequence(concentrated, concentrated, leaks)) as server:
        typed = ("run", "--agent", model(server, key="MY_KEY"), "--data", bars, "--steps", "4", "--out", "a.duckdb")
        answer = arena(*typed, "--json")
    assert answer.code == 1
    assert "keys read from .env: MY_KEY" in answer.err
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {secret}"}
    assert "what is [key]?" in answer.json["error"]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    assert len(written) >= 2
    assert not any(secret.encode() in path.read_bytes() for path in written)
    assert secret not in answer.out + answer.err
    with duckdb.connect("a.duckdb", read_only=True) as db:
        (found,) = db.execute(
            "SELECT string_agg(t::VARCHAR) FROM (SELECT unnest([c::VARCHAR]) AS t FROM call c)"
        ).fetchone()
    assert secret not in found


def test_a_key_that_is_named_and_not_there_is_one_sentence(arena, bars, model, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with ChatServer(concentrated) as server:
        answer = arena("run", "--agent", model(server, key="MY_KEY"), "--data", bars)
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "error: openai/small: no key in the environment; set MY_KEY"
    assert server.requests == []
