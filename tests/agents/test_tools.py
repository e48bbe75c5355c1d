"""What an agent may look up: what a call gives, and that no call can go wrong in any other way than by a sentence."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from stage import Links, asked, episode, observe, shaken, walk

from tradearena.agents.agent import Seat
from tradearena.agents.tools import (
    CALLS,
    LONGEST,
    ToolCall,
    ToolName,
    calls_in,
    calls_said,
    results,
    specifications,
)
from tradearena.arena.episode import Setting, play
from tradearena.market.window import Span
from tradearena.panel import Panel
from tradearena.policy import load
from tradearena.portfolio.covariance import ledoit_wolf
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.audit import audit
from tradearena.risk.state import RiskState
from tradearena.values import Observation

TOOLS: tuple[ToolName, ...] = get_args(ToolName)
PANEL = walk(3, bars=120, n=5)
STANDARD = load("standard").limits


def seen(t: int = 100) -> Observation:
    """An observation with somebody who audits."""
    observation = observe(PANEL, t)
    returns = observation.bars.returns[1:]
    nothing, n = np.zeros(5), np.arange(5)
    state = RiskState(
        symbols=PANEL.symbols, current=nothing, tradable=np.ones(5, bool), covariance=ledoit_wolf(returns),
        reference=nothing, sectors=PANEL.sector_of, sector_names=PANEL.sector_names, clusters=n.astype(np.int16),
        liquidity=None, drawdown=0.0, halted=False, bars_per_year=252.0,
    )  # fmt: skip
    return replace(observation, what_if=partial(audit, state=state, limits=STANDARD))


def use(name: str, arguments: Any, observation: Observation | None = None, allowed: tuple[str, ...] = TOOLS) -> str:
    """What one call gives."""
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    given = json.loads(results(calls_said([ToolCall("1", name, said)], ""), allowed, observation or seen()))
    (text,) = given
    assert isinstance(text, str)
    return text


def test_history_gives_closes_and_volumes_up_to_now_and_not_further() -> None:
    lines = use("history", {"symbols": ["S2", "S0"], "bars": 3}).splitlines()
    assert lines[0] == "bar end,S2 close,S2 volume in thousands,S0 close,S0 volume in thousands"
    rows = [line.split(",") for line in lines[1:]]
    assert [row[0] for row in rows] == [f"{str(PANEL.end[i])[:16]}Z" for i in (98, 99, 100)]
    for i, row in zip((98, 99, 100), rows, strict=True):
        stated = [float(value) for value in row[1:]]
        bars = [(PANEL.close[i, k], PANEL.volume[i, k] / 1e3) for k in (2, 0)]
        assert stated == pytest.approx([value for pair in bars for value in pair], rel=1e-3)


def test_a_bar_that_is_not_there_is_nothing_and_no_number() -> None:
    panel = walk(1, bars=40, n=3, gaps=0.4)
    text = use("history", {"symbols": ["S0"], "bars": 40}, observe(panel))
    assert "nan" not in text
    assert ",," in text + ","


def test_correlations_are_those_of_the_sample() -> None:
    expected = np.corrcoef(PANEL.returns[41:101].T)
    lines = use("correlations", {"symbols": ["S0", "S3"]}).splitlines()
    assert lines[0] == "symbol,S0,S3"
    assert float(lines[1].split(",")[2]) == float(lines[2].split(",")[1]) == pytest.approx(expected[0, 3], abs=0.0051)
    pairs = [line.split(",") for line in use("correlations", {}).splitlines()[1:]]
    assert len(pairs) == 10
    strengths = [abs(expected[int(a[1]), int(b[1])]) for a, b, _ in pairs]
    assert strengths == sorted(strengths, reverse=True)


def test_a_symbol_that_did_not_move_correlates_with_nothing() -> None:
    panel = replace(PANEL)
    still = observe(PANEL, 100)
    returns = PANEL.returns.copy()
    returns[:, 1] = 0.0
    object.__setattr__(panel, "returns", returns)
    text = use("correlations", {"symbols": ["S0", "S1"]}, replace(still, bars=panel.until(100)))
    assert text.splitlines()[1].endswith(",")


def test_what_if_is_the_audit_of_these_weights() -> None:
    observation, weights = seen(), [{"symbol": "S0", "weight": 0.6}, {"symbol": "S1", "weight": 0.1}]
    found = json.loads(use("what_if_audit", {"target_weights": weights}, observation))
    assert {finding["rule"] for finding in found["findings"]} >= {"single-name"}
    (single,) = (finding for finding in found["findings"] if finding["rule"] == "single-name")
    assert (single["name"], single["proposed"], single["approved"]) == ("S0", 0.6, 0.2)
    assert found["approved"] == {"S0": 0.2, "S1": 0.1}
    assert use("what_if_audit", {"target_weights": weights}, observation) == json.dumps(found), "it changes nothing"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("history", {"symbols": ["NOPE"]}, 'error: there is no symbol "NOPE"'),
        ("history", {"symbols": []}, "error: symbols: List should have at least 1 item"),
        ("history", {"symbols": ["S0"], "bars": 100_000}, "error: bars: Input should be less than or equal to 250"),
        ("history", {"symbols": ["S0"], "since": 3}, "error: since: Extra inputs are not permitted"),
        ("history", "", "error: symbols: Field required"),
        ("history", "{", "error: arguments: Invalid JSON"),
        ("correlations", "[]", "error: arguments: Input should be an object"),
        ("what_if_audit", {"target_weights": [{"symbol": "NOPE", "weight": 1}]}, 'error: there is no symbol "NOPE"'),
        ("what_if_audit", {"target_weights": [{"symbol": "S0", "weight": 1e9}]}, "error: "),
        (
            "what_if_audit",
            {"target_weights": [{"symbol": "S0", "weight": 0}] * 2},
            "error: a symbol stands there twice",
        ),
        ("what_if_audit", {"target_weights": {"S0": 1}}, "error: target_weights: Input should be a valid"),
        ("os.system", {"command": "ls"}, "error: there is no such tool; there are history"),
    ],
)
def test_a_call_that_cannot_be_answered_gets_one_sentence(name: str, arguments: Any, said: str) -> None:
    assert use(name, arguments).startswith(said)


def test_a_tool_that_is_not_on_the_card_is_not_there() -> None:
    assert use("history", {"symbols": ["S0"]}, allowed=("correlations",)) == (
        "error: there is no such tool; there are correlations"
    )


def test_where_nobody_audits_and_where_there_are_too_few_bars_that_is_said() -> None:
    assert use("what_if_audit", {"target_weights": []}, observe(PANEL, 100)) == "error: nobody audits here"
    assert use("correlations", {}, observe(PANEL, 1)) == "error: there are too few bars yet"


def test_what_is_given_is_bounded() -> None:
    panel = walk(1, bars=300, n=10)
    text = use("history", {"symbols": list(panel.symbols), "bars": 250}, observe(panel))
    assert LONGEST < len(text) < LONGEST + 50
    assert text.endswith("(cut here: ask for less)")
    many = calls_said([ToolCall(str(i), "correlations", "") for i in range(CALLS + 2)], "")
    given = json.loads(results(many, TOOLS, seen()))
    assert [text.startswith("error") for text in given] == [False] * CALLS + [True] * 2


@given(
    st.lists(st.tuples(st.text(max_size=5), st.sampled_from([*TOOLS, "x"]), st.text() | st.just('{"bars": 30}'))),
    st.text(),
)
def test_calls_come_back_from_the_record_as_they_were_and_none_of_them_crashes(calls: Any, text: str) -> None:
    listed = [ToolCall(*call) for call in calls]
    record = calls_said(listed, text)
    assert calls_in(record) == (text, listed)
    assert len(json.loads(results(record, TOOLS, seen()))) == len(listed)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("history", {"symbols": ["S0", "S4"], "bars": 250}),
        ("correlations", {"symbols": ["S0", "S1"], "bars": 60}),
        ("correlations", {}),
        ("what_if_audit", {"target_weights": [{"symbol": "S0", "weight": 0.9}, {"symbol": "S1", "weight": 0.8}]}),
    ],
)
def test_no_tool_sees_a_bar_that_is_to_come(name: str, arguments: dict[str, Any]) -> None:
    """In a real episode, on bars that differ after the close of bar 60."""

    def given(panel: Panel) -> str:
        found: list[str] = []

        def decide(observation: Observation) -> Any:
            if observation.t == 60:
                found.append(use(name, arguments, observation))
            return {"target_weights": {"S0": 0.5, "S2": 0.4}}

        record, policy = Links(), load("standard")
        span, reference = Span(20, 100, 1, 1), RollingMarkowitz(panel, policy.reference)
        agent = asked(decide).seat(Seat(0, lambda t: reference.at(t).weights))
        asyncio.run(play(agent, Setting(panel, policy, span, reference, rehearse=True), record))
        return found[0]

    text = given(PANEL)
    assert not text.startswith("error")
    assert text == given(shaken(PANEL, 60))


def test_nobody_is_handed_the_audit_who_has_no_tool_for_it() -> None:
    """What it is made of is the audit's own: code of users could change that."""
    seen_by: list[Observation] = []
    episode(lambda observation: seen_by.append(observation), PANEL, load("standard"))
    assert {observation.what_if for observation in seen_by} == {None}


def test_the_specifications_are_schemas_of_what_the_tools_take() -> None:
    offered = specifications(TOOLS)
    assert [each["function"]["name"] for each in offered] == list(TOOLS)
    for each in offered:
        schema = each["function"]["parameters"]
        Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
        assert "title" not in json.dumps(schema)
        assert len(each["function"]["description"]) > 30
