"""Agents of one name: whoever decided otherwise, or under other rules, is another."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tradearena.analysis.names import told_apart


def setup(policy="standard", digest="p1"):
    return SimpleNamespace(policy={"name": policy}, policy_digest=digest * 20)


def row(agent, digest, model=None, every=1):
    from tradearena.store.rows import EpisodeRow

    held = dict.fromkeys(EpisodeRow.__annotations__)
    card = {"parameters": {} if model is None else {"model": model}}
    return EpisodeRow(**{**held, "agent": agent, "agent_digest": digest * 20, "card": card, "every": every})


def names(*files):
    return [[each.agent for each in rows] for rows in told_apart(files)]


def test_a_name_that_one_agent_bears_is_kept():
    assert names((setup(), [row("a", "x"), row("a", "x"), row("b", "y")])) == [["a", "a", "b"]]
    assert names((setup(), [row("a", "x")]), (setup(), [row("a", "x")])) == [["a"], ["a"]]
    assert names((setup(), []), (setup("strict", "p2"), [row("a", "x")])) == [[], ["a"]]


def test_a_card_that_was_edited_is_another_agent():
    assert names((setup(), [row("a", "x"), row("b", "x")]), (setup(), [row("a", "y")])) == [
        ["a (xxxxxx)", "b"], ["a (yyyyyy)"],
    ]  # fmt: skip


def test_decisions_that_were_recorded_are_of_one_agent_whatever_their_file():
    assert names((setup(), [row("decisions:a", "x")]), (setup(), [row("decisions:a", "y")])) == [["decisions:a"]] * 2


def test_models_tell_agents_apart_where_all_of_them_differ():
    two = [row("llm", "x", "openai/one"), row("llm", "y", "openai/two")]
    assert names((setup(), two)) == [["llm (openai/one)", "llm (openai/two)"]]
    third = row("llm", "z", "openai/two")
    assert names((setup(), [*two, third])) == [["llm (xxxxxx)", "llm (yyyyyy)", "llm (zzzzzz)"]]


@pytest.mark.parametrize(("other", "told"), [("strict", ("standard", "strict")), ("standard", ("p1p1p1", "p2p2p2"))])
def test_one_agent_under_two_policies_is_two(other, told):
    files = (setup(), [row("a", "x"), row("b", "x")]), (setup(other, "p2"), [row("a", "x")])
    assert names(*files) == [[f"a ({told[0]})", "b"], [f"a ({told[1]})"]]


def test_one_agent_in_two_rhythms_is_two():
    assert names((setup(), [row("a", "x"), row("b", "x")]), (setup(), [row("a", "x", every=5)])) == [
        ["a (every 1)", "b"], ["a (every 5)"],
    ]  # fmt: skip
