"""What a prompt says of an agent's memory: all of it while it fits, the largest and the latest where it does not, and
of its audits nothing that the agent was not told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import observe, walk
from strategies import panel_of

from tradearena.agents.memory import MOST, Memory
from tradearena.agents.prompt import Pages, instructions_in
from tradearena.agents.recalled import BOUND, LINE, SO_FAR, line_of, so_far
from tradearena.agents.scene import read
from tradearena.panel import Panel
from tradearena.policy import Limits
from tradearena.values import Decision, LongRun, Memo, Observation, Status

PANEL = walk(1, bars=40, n=3)
RUN = LongRun(8e5, 1.25e6, 0.1, traded=3.0, decisions=12, reviews=12, altered=5)


def remembering(run: LongRun | None = RUN, **memo: str) -> Observation:
    memory = (Memo(38, None, "", "ok", None, **memo),)
    return replace(observe(PANEL), so_far=run, memory=memory)


def test_the_run_so_far_is_one_line_up_to_the_present_account() -> None:
    said = so_far(remembering(), summary=True, reflection=False)
    assert said == (
        f"{SO_FAR}\n12 decisions: return 0.25, deepest fall 0.2, turnover 0.25 a decision. "
        "Risk reviews: 12, of which 5 changed your targets."
    )
    one = so_far(remembering(LongRun(1e6, 1e6, decisions=1)), summary=True, reflection=False)
    assert one == f"{SO_FAR}\n1 decision: return 0, deepest fall 0, turnover 0 a decision."


def test_an_agent_that_is_told_nothing_reads_the_same_line_without_the_reviews() -> None:
    told = so_far(remembering(), summary=True, reflection=False)
    hidden = so_far(remembering(RUN._replace(reviews=0, altered=0)), summary=True, reflection=False)
    assert hidden == told.partition(" Risk reviews: ")[0]
    assert "eview" not in hidden


def test_the_last_reflection_is_fed_back_where_the_card_says_so() -> None:
    observation = remembering(reflection="Fewer names.")
    assert so_far(observation, summary=False, reflection=True) == f'{SO_FAR}\nYou noted: "Fewer names."'
    assert so_far(observation, summary=True, reflection=True).splitlines()[2] == 'You noted: "Fewer names."'
    for nothing in (remembering(), replace(observation, memory=())):
        assert so_far(nothing, summary=False, reflection=True) == ""
    assert so_far(observation, summary=False, reflection=False) == ""
    assert so_far(remembering(None), summary=True, reflection=True) == ""


# ---------------------------------------------------------------------- the bound


def wide(n: int, name: str = "SYMBOL{}") -> Panel:
    closes = np.full((3, n), 10.0)
    return panel_of(closes, closes, symbols=[name.format(i) for i in range(n)])


def test_fifty_weights_and_a_long_gist_are_said_in_full() -> None:
    panel, target = wide(51, "60{:04d}.SH"), np.arange(1, 52) / 2000
    gist = ", ".join(["cluster " + " + ".join(panel.symbols[:12]) + " 0.4 to 0.35"] * 3)
    line = line_of(Memo(2, target, "word " * 19 + "word", "ok", gist), panel)
    assert gist in line
    assert len(json.loads(line.partition("asked for ")[2].partition("}")[0] + "}")) == 51
    assert "smaller" not in line


def test_of_too_many_weights_the_largest_are_said_in_the_order_of_the_symbols() -> None:
    panel = wide(500)
    target = np.random.default_rng(0).normal(0, 0.01, 500)
    memo = Memo(2, target, "Spread out.", "ok", "unchanged")
    line = line_of(memo, panel)
    stated, _, rest = line.partition("asked for ")[2].partition("} and ")
    said = json.loads(stated + "}")
    assert LINE - 40 < len(line) <= LINE
    assert rest == f'{500 - len(said)} smaller. You said: "Spread out." Risk review: unchanged.'
    assert list(said) == [symbol for symbol in panel.symbols if symbol in said]
    assert min(map(abs, said.values())) >= np.sort(np.abs(target))[-len(said) - 1] - 5e-5
    prompt = Pages(instructions_in("", "none"), Limits(), 21).prompt(replace(observe(panel, 2), memory=(memo,)))
    assert read(prompt).past[0].asked == said


def test_a_gist_without_an_end_is_cut() -> None:
    gist = ", ".join(["cluster " + " + ".join(f"SYMBOL{i}" for i in range(200)) + " 0.5 to 0.3"] * 3)
    line = line_of(Memo(2, np.full(3, 0.1), "", "ok", gist), wide(3))
    assert line.endswith("….")
    assert '"SYMBOL2": 0.1000' in line
    assert len(line) <= LINE


words = st.text(max_size=40) | st.integers(1, 4000).map(lambda n: "word " * n) | st.integers(1, 4000).map("字".__mul__)


@settings(max_examples=80)
@given(
    st.integers(1, 700),
    st.sampled_from(("S{}", "{:06d}.SH", "A NAME AS LONG AS THIS {}", '"{}\\')),
    st.lists(st.tuples(words, words, words | st.none(), st.booleans()), min_size=1, max_size=MOST + 1),
)
def test_the_memory_in_a_prompt_keeps_its_bound_whatever_was_said(
    n: int, name: str, steps: list[tuple[str, str, str | None, bool]]
) -> None:
    panel, memory, rng = wide(n, name), Memory(), np.random.default_rng(n)
    observation = observe(panel, 2)
    for rationale, reflection, told, kept in steps:
        status: Status = "fallback" if kept else "ok"
        decision = Decision(None if kept else rng.normal(0, 1e6, n), rationale, reflection=reflection, status=status)
        memory.add(2, decision, told, observation.account)
    full = replace(observation, memory=memory.recent, so_far=memory.so_far)
    made = Pages(instructions_in("", "none"), Limits(), 21, summary=True, reflection=True)
    empty = replace(full, memory=(), so_far=None)
    assert len(made.prompt(full)) - len(made.prompt(empty)) <= BOUND


@pytest.mark.parametrize("count", [1, 10_000])
def test_a_prompt_is_as_long_after_many_decisions_as_after_a_few(count: int) -> None:
    memory, observation = Memory(), observe(PANEL)
    for t in range(count + MOST):
        memory.add(t % 40, Decision(np.full(3, 0.1), "Up.", reflection="Hold."), "unchanged", observation.account)
    made = Pages(instructions_in("", "none"), Limits(), 21, summary=True, reflection=True)
    said = made.prompt(replace(observation, memory=memory.recent, so_far=memory.so_far))
    assert len(said.partition(SO_FAR)[2]) < 1_000
