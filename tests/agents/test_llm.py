"""The litellm adapter, against a real server on loopback: what is sent, what comes back, and what goes wrong.

All that needs litellm stands in this file: its import takes seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import subprocess
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tradearena import cards
from tradearena.agents.allowance import Allowance
from tradearena.agents.card import AgentCard
from tradearena.agents.conversation import Reply
from tradearena.agents.faults import Fault
from tradearena.agents.format import schema_of
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import Model
from tradearena.agents.switchboard import Answered, Switchboard, request_key
from tradearena.errors import AgentError, Interrupted, Limited
from tradearena.testing import Answer, ChatServer, sequence

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-test-0123456789abcdef"
NAME = "openai/gpt-4o-mini"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def voice(server, board=None, **fields) -> LanguageModel:
    return LanguageModel(Model(**{"model": NAME, "api_base": server.url, "attempts": 1, **fields}), 7, board)


def ask(server, **fields) -> Reply:
    return asyncio.run(voice(server, **fields).answer("You trade.", "Bars: 1 2 3"))


def refusal(answer: str | Answer, **fields) -> AgentError:
    """The error that an answer ends in, after exactly one request."""
    with ChatServer(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        ask(server, **fields)
    assert len(server.requests) == 1
    return caught.value


def problem(message: str, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": "error", "code": code}})


def test_importing_the_adapter_does_not_import_litellm():
    code = "import sys, tradearena.agents.llm; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_prompt_becomes_one_structured_request_and_its_reply_comes_back_raw():
    said = ' {"target_weights": {"A": 0.5}} \n'
    with ChatServer(lambda _: Answer(said, fields={"model": "gpt-4o-mini-2024-07-18"})) as server:
        reply = ask(server, temperature=0.5, max_tokens=300)
    (request,), (call,) = server.requests, reply.calls
    assert (reply.text, reply.cut) == (said, False)
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "You trade."}, {"role": "user", "content": "Bars: 1 2 3"}],
        "temperature": 0.5,
        "max_tokens": 300,
        "seed": 7,
        "response_format": {"type": "json_object"},
    }
    assert (call.model, call.answered, call.finish) == (NAME, "gpt-4o-mini-2024-07-18", "stop")
    assert (call.input_tokens, call.output_tokens, call.error) == (6, 3, None)
    assert call.cost == pytest.approx(6 * 0.15e-6 + 3 * 0.6e-6)  # the list price of the model
    assert 0 < call.latency < 60


@pytest.mark.parametrize("model", [NAME, "openai/gpt-5", "openai/our-own", "hosted_vllm/llama", "mistral/small"])
def test_the_parameters_on_record_are_those_that_were_sent(model):
    with ChatServer(lambda _: "{}") as server:
        reply = ask(server, model=model)
    sent = {key: value for key, value in server.requests[0].body.items() if key not in ("model", "messages", "stream")}
    recorded = reply.calls[0].parameters
    assert recorded == json.dumps(sent, sort_keys=True)
    assert server.requests[0].body.get("stream", False) is False
    assert ("temperature" in sent) is (model != "openai/gpt-5"), "a model that takes no temperature is sent none"


def test_a_model_that_takes_a_schema_is_sent_it_and_the_record_names_it():
    schema = schema_of(("AAA", "BBB"), "rationale")
    with ChatServer(lambda _: "{}") as server:
        for model, structured in ((NAME, True), (NAME, False), ("openai/our-own", True)):
            chosen = Model(model=model, api_base=server.url, structured=structured)
            reply = asyncio.run(LanguageModel(chosen, 7, schema=schema).answer("You trade.", "Bars"))
            recorded = json.loads(reply.calls[0].parameters)["response_format"]
            sent = server.requests[-1].body["response_format"]
            if model == NAME and structured:
                assert sent == {
                    "type": "json_schema",
                    "json_schema": {"name": "decision", "strict": True, "schema": schema},
                }
                assert recorded == f"sha256:{hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()}"
            else:
                assert recorded == sent == {"type": "json_object"}


def test_what_is_not_known_is_none_and_never_zero():
    with ChatServer(lambda _: "four words of text") as server:
        call = ask(server, model="openai/our-own").calls[0]
    assert (call.output_tokens, call.cost) == (4, None)
    with ChatServer(lambda _: Answer("text", fields={"usage": None, "model": None})) as server:
        call = ask(server).calls[0]
    assert (call.input_tokens, call.output_tokens, call.cost) == (None, None, None)
    assert call.model == NAME


@pytest.mark.parametrize(
    ("finish", "cut"),
    [("stop", False), ("eos", False), ("length", True), ("content_filter", True), ("error", True)],
)
def test_a_reply_that_ends_before_its_end_is_cut(finish, cut):
    with ChatServer(lambda _: Answer('{"target_', finish)) as server:
        reply = ask(server)
    assert (reply.text, reply.cut) == ('{"target_', cut)


@pytest.mark.parametrize("content", ["", None])
def test_an_empty_reply_is_a_reply(content):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    with ChatServer(lambda _: Answer(fields={"choices": [choice]})) as server:
        reply = ask(server)
    assert (reply.text, reply.cut, len(reply.calls)) == ("", False, 1)


def test_half_of_a_surrogate_pair_can_be_stored():
    with ChatServer(lambda _: "up \ud83d") as server:
        assert ask(server).text == "up ?"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(status=401, body=problem("bad key", "invalid_api_key")),
            "the key was refused (status 401: bad key); c",
        ),
        (Answer(status=403, body=problem("not yours")), "the key was refused (status 403: not yours); check the key"),
        (Answer(status=404, body=problem("no x", "model_not_found")), "there is no such model (status 404: no x); che"),
        (Answer(status=400, body=problem("odd seed")), "the request was refused (status 400: odd seed); check the par"),
        (Answer(status=422, body=problem("odd seed")), "the request was refused (status 422: odd seed); check the par"),
        (
            Answer(status=400, body=problem("This model's maximum context length is 9 tokens.")),
            "the prompt is longer than the model can read (status 400: This model's maximum context length is 9 tok",
        ),
        (
            Answer(status=400, body=problem("the request exceeds the available context size")),
            "the prompt is longer than the model can read (status 400: the request exceeds the available context si",
        ),
        (Answer(status=402, body=problem("no funds")), "no credit is left (status 402: no funds); "),
        (Answer(status=429, body=problem("slow down")), "too many requests (status 429: slow down); wait, or"),
        (Answer(status=500, body=problem("oops")), "the service failed (status 500: oops); try again later"),
        (Answer(status=503, body=problem("full")), "the service failed (status 503: full); try again later"),
        (Answer(status=504, body=""), "the service failed (status 504: nothing more said); try again later"),
        (Answer(body=problem("died upstream", "502")), "died upstream); "),
        (Answer(fields={"choices": []}), "the answer is not a chat completion (it has no choices); check what answers"),
        (Answer(fields={"choices": None}), "the answer is not a chat completion ("),
        (Answer(body=""), "the answer is not a chat completion ("),
        (Answer(body="null"), "the answer is not a chat completion ("),
        (Answer(body="<html>\n<p>Welcome</p></html>"), "the answer is not a chat completion ("),
        (Answer(status=302, body=""), "the answer is not a chat completion ("),
        (Answer("text", cut=True), "/v1 cannot be reached, or hung up ("),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Answer) else "",
)
def test_a_request_that_fails_is_one_sentence_and_no_decision(answer, said):
    error = str(refusal(answer))
    assert error.startswith(f"{NAME}: ")
    assert said in error
    assert "\n" not in error
    assert len(error) < 400


PATIENT = {"attempts": 6, "backoff": 0.001}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Answer(status=429, body=problem("slow down")), "too many requests"),
        (Answer(status=500, body=problem("oops")), "the service failed"),
        (Answer(status=408, body=problem("oops")), "the service failed"),
        (Answer(drop=True), "hung up"),
        (Answer("text", cut=True), "hung up"),
        (Answer(body=b"<html>\xff"), "not a chat completion"),
        (Answer(fields={"choices": []}), "not a chat completion"),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Answer) else "",
)
def test_what_may_pass_is_asked_again_and_every_request_is_listed(fault, said):
    with ChatServer(sequence(fault, fault, "{}")) as server:
        reply = ask(server, **PATIENT)
    assert len(server.requests) == 3
    assert reply.text == "{}"
    assert [call.error is None for call in reply.calls] == [False, False, True]
    assert all(said in call.error for call in reply.calls[:2])
    assert len({call.parameters for call in reply.calls}) == 1


def test_a_reply_that_never_comes_is_waited_for_and_asked_for_again():
    with ChatServer(lambda _: "{}") as server:
        ask(server)  # litellm takes its time over the first request of a process
    with ChatServer(sequence(Answer(hang=math.inf), "{}")) as server:
        reply = ask(server, timeout=0.3, **PATIENT)
    assert [call.error for call in reply.calls][1:] == [None]
    assert "no complete reply within 0.3 s" in reply.calls[0].error


def test_patience_has_an_end_and_the_error_carries_the_requests():
    with ChatServer(lambda _: Answer(status=503, body=problem("full"))) as server, pytest.raises(AgentError) as caught:
        ask(server, **PATIENT)
    assert len(server.requests) == 6
    assert str(caught.value).endswith("try again later; 6 requests were made")
    assert [call.error is None for call in caught.value.calls] == [False] * 6


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=401, body=problem("bad key")),
        Answer(status=400, body=problem("odd seed")),
        Answer(status=404, body=problem("no such model")),
        Answer(status=400, body=problem("This model's maximum context length is 9 tokens.")),
        Answer(status=402, body=problem("no funds")),
        Answer(status=429, body=problem("You exceeded your current quota, please check your plan and billing details")),
    ],
    ids=lambda answer: str(answer.status),
)
def test_what_will_not_pass_is_not_asked_again(answer):
    refusal(answer, **PATIENT)


def test_a_service_that_says_when_to_come_back_is_taken_at_its_word():
    slow = Answer(status=429, body=problem("slow down"), headers={"Retry-After": "0.4"})
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    dated = Answer(status=503, body=problem("full"), headers={"Retry-After": moment})
    for fault, least in ((slow, 0.4), (dated, 0.5)):
        with ChatServer(sequence(fault, "{}")) as server:
            ask(server, **PATIENT)
        first, second = (request.at for request in server.requests)
        assert second - first >= least


@pytest.mark.parametrize("stated", ["86400", "inf"])
def test_nobody_waits_for_a_day(stated):
    slow = Answer(status=429, body=problem("slow down"), headers={"Retry-After": stated})
    assert "longer than is waited for" in str(refusal(slow, **PATIENT))


def test_a_count_of_tokens_that_is_none_is_unknown():
    usage = {"prompt_tokens": 2**40, "completion_tokens": 3, "total_tokens": 5}
    with ChatServer(lambda _: Answer("{}", fields={"usage": usage})) as server:
        call = ask(server).calls[0]
    assert (call.input_tokens, call.output_tokens, call.cost) == (None, None, None)


def test_a_request_that_is_broken_off_is_listed():
    asked = threading.Event()

    def silent(_):
        asked.set()
        return Answer(hang=math.inf)

    async def cancel(model):
        task = asyncio.create_task(model.answer("a", "b"))
        await asyncio.to_thread(asked.wait, 20)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error.calls

    with ChatServer(silent) as server:
        (call,) = asyncio.run(cancel(voice(server)))
    assert call.error == f"{NAME}: broken off"
    assert call.latency > 0


def answered_late(seconds):
    """What is set when a request has arrived, and what answers it so much later."""
    asked = threading.Event()

    def slow(_):
        asked.set()
        return Answer("{}", wait=seconds)

    return asked, slow


def test_who_waited_for_a_turn_asks_nobody_after_a_stop():
    board = Switchboard(most=1)
    asked, slow = answered_late(0.3)

    async def two(model):
        first = asyncio.create_task(model.answer("a", "b"))
        second = asyncio.create_task(model.answer("c", "d"))
        await asyncio.to_thread(asked.wait, 20)
        board.stopped = lambda: True
        return await asyncio.gather(first, second, return_exceptions=True)

    with ChatServer(slow) as server:
        ends = asyncio.run(two(voice(server, board)))
    assert sorted(type(end).__name__ for end in ends) == ["Interrupted", "Reply"]
    assert len(server.requests) == 1


def test_a_key_of_any_name_is_a_secret(monkeypatch):
    monkeypatch.setenv("MY_PROXY_AUTH", "open-sesame-123")
    error = refusal(Answer(status=401, body=problem("what is open-sesame-123?")), key="MY_PROXY_AUTH")
    assert "what is [key]?" in str(error)


def test_waiting_times_double_up_to_the_longest_and_vary():
    model = LanguageModel(Model(model=NAME, backoff=1.0, longest=10.0), 3)
    fault = Fault("", again=True)
    waits = [[model._delay(n, fault) for _ in range(50)] for n in range(1, 8)]
    assert [round(max(w)) for w in waits] == [1, 2, 4, 8, 10, 10, 10]
    assert all(0.5 * top <= min(w) < max(w) for w, top in zip(waits, [1, 2, 4, 8, 10, 10, 10], strict=True))
    assert model._delay(1, fault._replace(wait=99.0)) == 99.0


def test_a_stop_is_heeded_between_two_attempts():
    said = []
    board = Switchboard(stopped=lambda: bool(said))

    def full(_):
        said.append("stop")
        return Answer(status=503, body=problem("full"))

    with ChatServer(full) as server, pytest.raises(Interrupted) as caught:
        ask(server, board=board, attempts=6, backoff=60.0)
    assert len(server.requests) == len(caught.value.calls) == 1


def test_tokens_are_counted_in_kinds_and_prices_of_the_card_come_first():
    said = Answer("two words", cached=4, reasoning=10)
    prices = {"input": 2.0, "output": 8.0, "cached": 0.5}
    with ChatServer(lambda _: said) as server:
        call = ask(server, model="openai/our-own", prices=prices).calls[0]
        again = ask(server, model="openai/our-own", prices={"input": 2.0, "output": 8.0}).calls[0]
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.reasoning_tokens) == (6, 4, 12, 10)
    assert call.cost == pytest.approx((2 * 2.0 + 4 * 0.5 + 12 * 8.0) / 1e6)
    assert again.cost == pytest.approx((6 * 2.0 + 12 * 8.0) / 1e6)


def test_a_limit_of_cost_needs_a_price():
    board = Switchboard(allowance=Allowance(cost=1.0))
    with (
        ChatServer(lambda _: "{}") as server,
        pytest.raises(AgentError, match=r"needs prices, .* \[parameters.prices\]"),
    ):
        ask(server, board=board, model="openai/our-own")
    assert server.requests == []


def test_nothing_is_asked_beyond_what_may_be_spent():
    board = Switchboard(allowance=Allowance(tokens=4_000))
    with ChatServer(lambda _: "word " * 1_800) as server:
        ask(server, board=board)
        with pytest.raises(Limited, match="the token limit of 4,000 leaves no room for another request: 1,806 spent"):
            ask(server, board=board, max_tokens=2_200)
    assert len(server.requests) == 1


def test_a_reply_that_was_had_before_is_not_asked_for():
    with ChatServer(lambda _: Answer("{}", finish="length")) as server:
        first = ask(server)
        words = (hashlib.sha256(text.encode()).digest() for text in ("You trade.", "Bars: 1 2 3"))
        key = request_key(NAME, server.url, first.calls[0].parameters, 7, words)
        board = Switchboard(answered={key: Answered(first.text, first.calls[0])})
        again = ask(server, board=board)
        assert (again.text, again.cut) == (first.text, first.cut) == ("{}", True)
        assert again.calls == (first.calls[0]._replace(cost=0.0, reused=True),)
        ask(server, board=board, temperature=0.5)  # another request
    assert len(server.requests) == 2


@pytest.mark.parametrize("answer", [Answer("late", wait=1.0), Answer("late", drip=0.05)], ids=["silence", "drops"])
def test_a_reply_that_is_not_complete_in_time_is_given_up(answer):
    with ChatServer(lambda _: "{}") as server:
        ask(server)  # litellm takes its time over the first request of a process
    said = str(refusal(answer, timeout=0.25))
    assert said == f"{NAME}: no complete reply within 0.25 s; raise timeout in the card, or try again"


def test_an_address_where_nobody_answers_is_named():
    with ChatServer(lambda _: "{}") as server:
        url = server.url
    with pytest.raises(AgentError, match=rf"^{NAME}: {url} cannot be reached, or hung up \(.*\); check the network"):
        ask(server)


@pytest.mark.parametrize("blank", [None, "", " "])
def test_without_a_key_nothing_is_asked(monkeypatch, blank):
    if blank is None:
        monkeypatch.delenv("OPENAI_API_KEY")
    else:
        monkeypatch.setenv("OPENAI_API_KEY", blank)
    with ChatServer(lambda _: "{}") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(AgentError) as caught:
            ask(server, api_base=None)
    assert str(caught.value) == f"{NAME}: no key in the environment; set OPENAI_API_KEY"
    assert server.requests == []


def test_a_server_of_ones_own_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with ChatServer(lambda _: "{}") as server:
        assert ask(server).text == "{}"
    assert server.requests[0].headers["authorization"] == "Bearer no-key"


def test_a_model_of_no_known_provider_is_refused_before_anything_is_asked():
    with (
        ChatServer(lambda _: "{}") as server,
        pytest.raises(AgentError, match=r"^our-own: litellm knows no such model"),
    ):
        ask(server, model="our-own")
    assert server.requests == []


def test_the_key_is_never_repeated(monkeypatch):
    monkeypatch.setenv("SOME_OTHER_TOKEN", KEY + "-and-more")
    for said in (f"Incorrect API key provided: {KEY}", f"{KEY}-and-more", "x" * 190 + KEY):
        error = refusal(Answer(status=401, body=problem(said)))
        assert "sk-test" not in "".join(traceback.format_exception(error))
        assert (error.__cause__, error.__context__) == (None, None)
    with ChatServer(lambda _: "{}") as server:
        assert "sk-test" not in repr(ask(server))


def test_a_key_that_a_service_echoes_does_not_reach_the_record():
    said = json.dumps({"rationale": f"I was called with Bearer {KEY}", "target_weights": {}})
    wanted = (f"look_{KEY}", json.dumps({"a": KEY}))
    echo = {"model": f"gpt-for-{KEY}"}
    with ChatServer(sequence(Answer(said, fields=echo), Answer(tool_calls=[wanted], fields=echo))) as server:
        told = ask(server)
        called = asyncio.run(
            LanguageModel(Model(model=NAME, api_base=server.url, attempts=1), 7, tools=("history",), rounds=1).answer(
                "You trade.", "Bars: 1 2 3"
            )
        )
    assert json.loads(told.text)["rationale"] == "I was called with Bearer [key]"
    assert called.tools
    assert "look_[key]" in called.text
    assert told.calls[0].answered == called.calls[0].answered == "gpt-for-[key]"
    assert "sk-test" not in repr((told, called))


@pytest.mark.parametrize("name", [NAME, "hosted_vllm/m", "deepseek/m", "mistral/m"])
def test_a_connection_that_is_reset_is_one_request_and_no_second_one_is_made_unseen(name, monkeypatch):
    for key in ("DEEPSEEK_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.setenv(key, KEY)
    with ChatServer(lambda _: Answer(reset=True)) as server, pytest.raises(AgentError) as caught:
        ask(server, model=name)
    assert len(server.requests) == len(caught.value.calls) == 1


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 30, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 31}},
        {"prompt_tokens": 30},
        {"prompt_tokens": 30, "completion_tokens": None},
        {"prompt_tokens": 30, "completion_tokens": 0},
    ],
    ids=["more cached than read", "no output", "null output", "nothing written"],
)
def test_usage_that_cannot_be_is_unknown_and_charged_as_the_most(usage):
    board = Switchboard(allowance=Allowance(cost=1.0))
    prices = {"input": 1000.0, "output": 2000.0, "cached": 1.0}
    with ChatServer(lambda _: Answer('{"target_weights": {}}', fields={"usage": usage})) as server:
        (call,) = asyncio.run(voice(server, board, prices=prices, max_tokens=50).answer("a", "b")).calls
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.cost) == (None,) * 4


@pytest.mark.parametrize("reason", ["model_length", "model_context_window_exceeded", "abort"])
def test_a_reply_that_ends_for_want_of_room_is_cut_whatever_litellm_calls_it(reason):
    with ChatServer(lambda _: Answer('{"target_weights": {}}', finish=reason)) as server:
        assert ask(server).cut


def test_a_moment_that_no_calendar_has_is_no_moment_to_come_back_at():
    late = Answer(status=429, body=problem("slow"), headers={"Retry-After": f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"})
    with ChatServer(sequence(late, "{}")) as server:
        assert ask(server, attempts=2, backoff=0.01).text == "{}"
    assert len(server.requests) == 2


def test_answers_overlap_in_time():
    together = threading.Barrier(2, timeout=20)

    def both(_):
        together.wait()  # nobody is answered before both have asked
        return "{}"

    async def twice(model):
        return await asyncio.gather(model.answer("a", "b"), model.answer("c", "d"))

    with ChatServer(both) as server:
        replies = asyncio.run(twice(voice(server)))
    assert [reply.text for reply in replies] == ["{}", "{}"]


def test_a_cancelled_answer_is_cancelled_and_nothing_else():
    asked, slow = answered_late(0.5)

    async def cancel(model):
        task = asyncio.create_task(model.answer("a", "b"))
        await asyncio.to_thread(asked.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ChatServer(slow) as server:
        asyncio.run(cancel(voice(server)))


ALONE = """
import asyncio, duckdb, gc, sys  # duckdb complains at the end where it is not torn down
elsewhere = []
def watch(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        elsewhere.append(arguments[1])
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1"):
        elsewhere.append(arguments[0])
sys.addaudithook(watch)
from tradearena.testing import Answer, ChatServer
from tradearena.agents.llm import LanguageModel
from tradearena.agents.model import Model
from tradearena.errors import AgentError

async def episode(model):
    for _ in range(2):
        try:
            await model.answer("system", "prompt")
        except AgentError as error:
            print("failed")

with ChatServer(lambda _: Answer("{}", finish="unheard of")) as server:  # which litellm would log
    for name in ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini"):
        asyncio.run(episode(LanguageModel(Model(model=name, api_base=server.url, attempts=1), 1)))
        gc.collect()
    paths = [request.path for request in server.requests]
print(len(paths), elsewhere, gc.get_freeze_count() > 100_000)
"""


def test_a_process_stays_silent_leaves_nothing_open_and_calls_nobody_else(tmp_path):
    """Several event loops, as episodes have them; every warning an error, and whatever is not closed gives one."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        env={**os.environ, "PYTHONPATH": paths, "ANTHROPIC_API_KEY": KEY, "LITELLM_LOG": "DEBUG"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "failed\nfailed\n6 [] True\n"  # Anthropic's protocol is not spoken here


def test_the_shipped_card_fits():
    path = ROOT / "agents" / "llm.toml"
    card = cards.read(path, AgentCard)
    assert (card.name, card.kind, card.reads_feedback, card.sampled) == ("llm", "llm", True, True)
    model = cards.fit(Model, card.parameters, path=path, text=cards.text_of(path), under=("parameters",))
    assert model == Model(model=NAME)


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": KEY},
        {"api_base": f"https://me:{KEY}@host/v1"},
        {"api_base": f"https://host/v1?key={KEY}"},
        {"api_base": "localhost:8000"},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"max_tokens": 0},
        {"temperature": -1},
    ],
    ids=repr,
)
def test_a_card_holds_no_secret_and_no_nonsense(fields):
    with pytest.raises(ValidationError):
        Model(**{"model": NAME, **fields})
