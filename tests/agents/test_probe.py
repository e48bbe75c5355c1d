"""One tiny request to a model, against a real server on loopback: what is said of it when it answers, and when not."""

from __future__ import annotations

import asyncio
import json

import pytest

from tradearena.agents.format import DEFAULT, schema_of
from tradearena.agents.model import Model, Prices
from tradearena.agents.probe import Probed, probe
from tradearena.errors import AgentError
from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

KEY = "sk-test-0123456789abcdef"
GOOD = '{"target_weights": {"TEST": 0.5}, "rationale": "Half.", "confidence": 0.6}'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "HOSTED_VLLM_API_KEY", "LM_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def probed(answer=GOOD, **fields) -> tuple[Probed, ChatServer]:
    with ChatServer(lambda _: answer) as server:
        model = Model(**{"model": "openai/gpt-4o-mini", "api_base": server.url, **fields})
        return asyncio.run(probe(model)), server


def refused(answer, **fields) -> str:
    """The sentence, after exactly one request."""
    with ChatServer(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        asyncio.run(probe(Model(**{"model": "openai/gpt-4o-mini", "api_base": server.url, **fields})))
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_what_works_and_what_it_costs_is_said_in_one_line():
    found, server = probed(Answer(GOOD, fields={"model": "gpt-4o-mini-2024-07-18"}))
    assert len(server.requests) == 1
    line = str(found)
    assert line.startswith(
        "openai/gpt-4o-mini: key ok, model answers as gpt-4o-mini-2024-07-18, JSON schema yes, tools yes, "
        "price 0.15/0.60 USD per million tokens, "
    )
    assert line.endswith(f"{found.seconds:.1f} s")


def test_the_request_is_tiny_and_otherwise_that_of_a_run():
    _, server = probed(temperature=0.5, max_tokens=300)
    asked = server.requests[0].body
    assert sum(len(message["content"]) for message in asked["messages"]) < 400
    assert (asked["temperature"], asked["max_tokens"]) == (0.5, 300)
    assert asked["response_format"]["json_schema"]["schema"] == schema_of(("TEST",), DEFAULT)


def test_of_a_model_that_litellm_does_not_know_nothing_is_claimed():
    found, _ = probed(model="hosted_vllm/our-own")
    assert (found.key, found.schema, found.tools, found.prices) == (False, None, None, None)
    assert str(found).startswith(
        "hosted_vllm/our-own: no key, and none asked for, model answers as our-own, JSON schema unknown, "
        "tools unknown, price unknown, "
    )
    assert probed(model="lm_studio/our-own")[0].schema, "litellm may know the provider, and not the model"


def test_a_no_is_a_no_where_litellm_knows_the_model():
    found, _ = probed(model="openai/gpt-4")
    assert (found.schema, found.tools) == (False, True)
    assert "JSON schema no, tools yes" in str(found)


def test_prices_of_the_card_come_before_those_of_the_list():
    found, _ = probed(prices=Prices(input=0.0375, output=2))
    assert "price 0.0375/2.00 USD per million tokens" in str(found)


def test_a_server_that_does_not_name_its_model():
    found, _ = probed(Answer(GOOD, fields={"model": None}), model="hosted_vllm/our-own")
    assert found.answered is None
    assert "model answers without a name" in str(found)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("HOSTED_VLLM_API_KEY", "vllm-123", True),
        ("HOSTED_VLLM_API_KEY", " ", False),
        ("HOSTED_VLLM_API_BASE", "x", False),
    ],
)
def test_a_key_is_one_that_stands_under_the_name_of_the_provider(monkeypatch, name, value, key):
    monkeypatch.setenv(name, value)
    assert probed(model="hosted_vllm/our-own")[0].key is key


def test_a_key_that_is_refused_is_one_sentence():
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}})
    said = refused(Answer(status=401, body=body))
    assert said.startswith("openai/gpt-4o-mini: the key was refused (status 401: ")


@pytest.mark.parametrize(
    "answer", [Answer(status=429), Answer(status=500), Answer(drop=True)], ids=["429", "500", "drop"]
)
def test_a_failure_is_not_asked_about_again(answer):
    assert refused(answer, attempts=6).startswith("openai/gpt-4o-mini: ")


def test_a_reply_that_is_cut_off_says_what_to_raise():
    assert refused(Answer(GOOD, finish="length"), max_tokens=50) == (
        "openai/gpt-4o-mini: the reply was cut off before its end, with max_tokens = 50; "
        "raise it in the card: thoughts count"
    )


@pytest.mark.parametrize("text", ["", "I would hold half of it.", '{"weights": "half"}'])
def test_a_reply_that_cannot_be_read_is_no_success(text):
    said = refused(text)
    assert said.startswith("openai/gpt-4o-mini: it answers, but the ")
    assert said.endswith("; a run with it would be INVALID")
