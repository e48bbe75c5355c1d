"""The server that stands in for a model, asked over plain HTTP: what it sends, how it fails, and what it counts."""

from __future__ import annotations

import http.client
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from tradearena.testing import FAULTS, Answer, ChatServer, chance, sequence

ASKED = {"model": "small", "messages": [{"role": "user", "content": "one two three"}]}


def request(server, *, path="/v1/chat/completions", asked=ASKED, timeout=20.0):
    """An open connection on which one request has been sent."""
    line = http.client.HTTPConnection(server.url.removeprefix("http://").removesuffix("/v1"), timeout=timeout)
    line.request("POST", path, json.dumps(asked), {"X-Test": "yes"})
    return line


def post(server, **options):
    """One request: status, headers and body of what comes back."""
    line = request(server, **options)
    try:
        answer = line.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        line.close()


def said(server) -> str:
    status, _, body = post(server)
    assert status == 200
    return json.loads(body)["choices"][0]["message"]["content"]


def wait_for(condition) -> None:
    """What happens in another thread may take a moment."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


# ---------------------------------------------------------------------- what is sent


def test_a_text_is_answered_as_a_chat_completion():
    with ChatServer(lambda messages: f"{len(messages)} message") as server:
        status, headers, body = post(server)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "small",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "1 message"}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_every_request_is_kept_with_its_headers_and_its_time():
    with ChatServer(lambda _: "yes") as server:
        post(server)
        time.sleep(0.05)
        post(server, path="/chat/completions")
    first, second = server.requests
    assert (first.path, second.path) == ("/v1/chat/completions", "/chat/completions")
    assert first.body == ASKED
    assert first.headers["x-test"] == "yes"
    assert 0 <= first.at <= second.at - 0.05


def test_another_path_is_not_found_and_nobody_is_asked():
    with ChatServer(lambda _: pytest.fail("asked")) as server:
        assert post(server, path="/v1/models")[0] == 404


def test_fields_are_replaced_and_taken_out():
    with ChatServer(lambda _: Answer("text", fields={"model": "small-2024", "usage": None})) as server:
        found = json.loads(post(server)[2])
    assert found["model"] == "small-2024"
    assert "usage" not in found


def test_headers_replace_those_of_the_same_name():
    refused = Answer(status=429, body="later", headers={"Retry-After": "7", "Content-Type": "text/plain"})
    with ChatServer(lambda _: refused) as server:
        status, headers, body = post(server)
    assert (status, body, headers["Retry-After"], headers["Content-Type"]) == (429, b"later", "7", "text/plain")


def test_a_body_may_be_anything():
    with ChatServer(lambda _: Answer(body=b"\xff\x00<html>")) as server:
        assert post(server)[2] == b"\xff\x00<html>"


def test_tokens_from_the_cache_and_of_thought_are_said_as_openai_says_them():
    with ChatServer(lambda _: Answer("two words", cached=2, reasoning=40)) as server:
        usage = json.loads(post(server)[2])["usage"]
    assert usage == {
        "prompt_tokens": 3,
        "completion_tokens": 42,
        "total_tokens": 45,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }


def test_tool_calls_are_part_of_the_message():
    calls = (("position", {"symbol": "A"}), ("position", '{"symbol": '))
    with ChatServer(sequence(Answer(tool_calls=calls), "done")) as server:
        choice = json.loads(post(server)[2])["choices"][0]
        answered = [*ASKED["messages"], choice["message"], {"role": "tool", "tool_call_id": "call_1_1", "content": "5"}]
        last = json.loads(post(server, asked={**ASKED, "messages": answered})[2])
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert [(call["id"], call["function"]) for call in choice["message"]["tool_calls"]] == [
        ("call_1_1", {"name": "position", "arguments": '{"symbol": "A"}'}),
        ("call_1_2", {"name": "position", "arguments": '{"symbol": '}),
    ]
    assert (last["id"], last["choices"][0]["finish_reason"]) == ("chatcmpl-2", "stop")
    assert last["usage"]["prompt_tokens"] == 4, "a message without content has no words"


# ---------------------------------------------------------------------- how it fails


def test_a_cut_answer_ends_before_its_length():
    with ChatServer(lambda _: Answer("text", cut=True)) as server, pytest.raises(http.client.IncompleteRead):
        post(server)


@pytest.mark.parametrize("answer", [Answer(drop=True), Answer(hang=0.05)], ids=["drop", "hang"])
def test_a_connection_may_be_closed_before_the_first_byte(answer):
    began = time.monotonic()
    with ChatServer(lambda _: answer) as server, pytest.raises(http.client.RemoteDisconnected):
        post(server)
    assert time.monotonic() - began >= answer.hang


def test_a_dripping_answer_is_whole_in_the_end():
    with ChatServer(lambda _: Answer("slowly", drip=0.0002)) as server:
        line = request(server)
        answer = line.getresponse()
        assert answer.read(1) == b" "
        assert json.loads(answer.read())["choices"][0]["message"]["content"] == "slowly"
        line.close()


def test_an_answer_may_take_its_time():
    with ChatServer(lambda _: Answer("late", wait=0.1)) as server:
        with pytest.raises(TimeoutError):
            post(server, timeout=0.02)
        assert said(server) == "late"


@pytest.mark.parametrize("answer", [Answer(hang=math.inf), Answer(wait=60), Answer(drip=60)], ids=repr)
def test_a_server_that_closes_keeps_nobody_waiting(answer):
    with ChatServer(lambda _: answer) as server:
        line = request(server)
        wait_for(lambda: server.waiting)
    with pytest.raises((http.client.RemoteDisconnected, http.client.IncompleteRead)):
        line.getresponse().read()
    line.close()


def test_a_closed_server_answers_no_more_on_a_connection_that_is_still_open():
    with ChatServer(lambda _: "yes") as server:
        line = request(server)
        line.getresponse().read()
    line.request("POST", "/v1/chat/completions", json.dumps(ASKED))
    with pytest.raises(http.client.RemoteDisconnected):
        line.getresponse()
    line.close()


def test_a_mistake_in_the_function_is_shown_and_the_connection_closed(capsys):
    def wrong(_):
        raise LookupError("no such symbol")

    with ChatServer(wrong) as server, pytest.raises(http.client.RemoteDisconnected):
        post(server)
    assert "no such symbol" in capsys.readouterr().err
    assert server.waiting == 0


# ---------------------------------------------------------------------- what it counts


def test_requests_in_flight_are_counted():
    together = threading.Barrier(3, timeout=20)

    def three(_):
        together.wait()
        return "yes"

    with ChatServer(three) as server:
        threads = [threading.Thread(target=post, args=(server,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (server.waiting, server.most) == (0, 3)


def test_one_after_the_other_is_one_at_once():
    with ChatServer(lambda _: "yes") as server:
        for _ in range(50):
            post(server)
    assert server.most == 1


@pytest.mark.parametrize("answer", [Answer(hang=math.inf), Answer(drip=0.001)], ids=["hang", "drip"])
def test_a_client_that_has_gone_away_is_no_longer_in_flight(answer):
    with ChatServer(lambda _: answer) as server:
        line = request(server)
        wait_for(lambda: server.waiting)
        line.sock.shutdown(socket.SHUT_RDWR)
        line.close()
        wait_for(lambda: not server.waiting)


# ---------------------------------------------------------------------- scripts


def test_a_sequence_goes_on_with_its_last_answer():
    with ChatServer(sequence("one", Answer(status=500), lambda messages: messages[-1]["content"])) as server:
        assert said(server) == "one"
        assert post(server)[0] == 500
        assert [said(server) for _ in range(3)] == ["one two three"] * 3


def drawn(seed, shares, count=2000):
    script = chance(seed, shares, lambda _: "usual")
    return [script(ASKED["messages"]) for _ in range(count)]


def test_chance_follows_from_the_seed_and_the_number_of_the_request():
    shares = {"429": 0.1, "500": 0.05, "cut": 0.05}
    assert drawn(7, shares) == drawn(7, shares)
    assert drawn(7, shares) != drawn(8, shares)
    assert drawn(7, shares)[:100] == drawn(7, shares, 100)


def test_chance_gives_each_fault_its_share():
    shares = {"429": 0.1, "500": 0.1, "hang": 0.1, "drop": 0.1, "cut": 0.1, "garbage": 0.1, "drip": 0.1, "reset": 0.1}
    assert set(shares) == set(FAULTS)
    drawn_ones = drawn(1, shares, 5000)
    assert drawn_ones.count("usual") / 5000 == pytest.approx(0.2, abs=0.03)
    counts = Counter(
        next(name for name, fault in FAULTS.items() if all(getattr(answer, key) == fault[key] for key in fault))
        for answer in drawn_ones
        if answer != "usual"
    )
    for name, share in shares.items():
        assert counts[name] / 5000 == pytest.approx(share, abs=0.03)
    assert all(answer == "usual" or answer.text == "usual" for answer in drawn_ones), "a fault befalls the usual answer"


def test_the_faults_are_what_they_are_called():
    with ChatServer(chance(0, {"429": 1.0}, lambda _: "usual")) as server:
        status, headers, _ = post(server)
    assert (status, headers["Retry-After"]) == (429, "0")
    with ChatServer(chance(0, {"garbage": 1.0}, lambda _: Answer("usual"))) as server:
        assert post(server)[2].startswith(b"<html>\xff")
    with ChatServer(chance(0, {"drip": 1.0}, lambda _: "usual")) as server:
        assert said(server) == "usual"


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"503": 0.1}, "no fault named '503'; known: 429, 500, hang"),
        ({"429": 0.7, "cut": 0.4}, "shares are at least 0"),
        ({"429": -0.1}, "shares are at least 0"),
    ],
)
def test_shares_that_cannot_be_meant_are_refused(shares, said):
    with pytest.raises(ValueError, match=said):
        chance(0, shares, lambda _: "usual")


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys, tradearena; assert 'tradearena.testing' not in sys.modules; import tradearena.testing\n"
        "print({'numpy', 'pandas', 'duckdb', 'litellm', 'pydantic', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
