"""`--noise` and `--output`: an agent is asked again, on other bars or in another form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tradearena.agents.card import open_agent
from tradearena.store.reader import Reader


@pytest.fixture
def run(arena, bars):
    def typed(verb, *arguments):
        return arena(verb, "--data", bars, "--steps", 8, *arguments)

    return typed


def on_file(answer):
    """Of the one episode of a run: set-up, panel, row, decisions, and what was said."""
    with Reader(Path(answer.json["experiment"])) as reader:
        row = reader.episode(answer.json["episodes"][0]["id"])
        decisions = reader.recorded(row.id).decisions
        return reader.experiment(), reader.panel(), row, decisions, reader.exchanges(row.id)


def test_noise_is_on_the_bars_and_makes_an_experiment_of_its_own(run):
    plain, noisy, again = (
        run("run", "--agent", "organism-momentum", "--json", *noise)
        for noise in ((), ("--noise", "0.2"), ("--noise", "0.2"))
    )
    assert [each.code for each in (plain, noisy, again)] == [0] * 3
    assert noisy.json["experiment"] == again.json["experiment"] != plain.json["experiment"]
    assert "+noise" in noisy.json["experiment"].replace("-noise", "+noise")
    assert "noise of 0.2 of a bar's volatility is on prices and volumes, seed 0" in noisy.err
    (base, bars, *_), (setup, noised, *_) = on_file(plain), on_file(noisy)
    assert setup.name == "small+noise 0.2 0"
    assert setup.dataset["noise"]["of"] == base.dataset_digest != setup.dataset_digest
    assert not np.array_equal(bars.close, noised.close)


def test_a_noisy_file_verifies_from_itself_alone_and_its_market_is_no_second_one(run, arena):
    files = [
        run("compare", "--agent", "organism-obedient", "-f", "true", "-f", "hidden", "--json", *noise).json[
            "experiment"
        ]
        for noise in ((), ("--noise", "0.2"))
    ]
    assert arena("replay", files[1], "--verify").code == 0
    assert arena("compare", files[1], "--json").code == 0
    both = arena("compare", *files)
    assert both.code == 2
    assert "the same episode stands in two files" in both.err


def test_an_organism_without_words_trades_alike_bit_for_bit(run):
    asked = ("run", "--agent", "organism-collapsing", "--seed", 3, "-f", "true", "--json")
    _, _, row, said, _ = on_file(run(*asked))
    _, _, mute, unsaid, exchanges = on_file(run(*asked, "--output", "weights-only"))
    assert (row.agent, mute.agent) == ("organism-collapsing", "organism-collapsing+weights-only")
    assert row.agent_digest != mute.agent_digest
    assert all(np.array_equal(one.target, other.target) for one, other in zip(said, unsaid, strict=True))
    assert all(decision.rationale for decision in said)
    assert {(decision.rationale, decision.confidence, decision.status) for decision in unsaid} == {("", None, "ok")}
    assert all("rationale" not in talk[-1].reply for talk in exchanges.values())


def test_both_forms_of_an_agent_stand_side_by_side_and_can_be_forked(run, arena):
    name = "organism-momentum+weights-only"
    both = run("compare", "--agent", "organism-momentum", "--agent", name, "-f", "true", "--json").json
    assert [episode["agent"] for episode in both["episodes"]] == ["organism-momentum", name]
    one, other = (episode["metrics"]["total_return"] for episode in both["episodes"])
    assert one == other
    first = both["episodes"][1]["window"]["first"]
    forked = arena("fork", both["experiment"], "--at", first + 2, "--episode", name, "--json")
    assert forked.code == 0
    assert forked.json["episodes"][0]["agent"] == name


def test_the_llm_card_can_be_asked_without_a_word():
    card = open_agent("llm", output="weights-only").card
    assert (card.name, card.prompt.mode) == ("llm+weights-only", "weights-only")
    assert not card.prompt.reflection
    assert open_agent("llm+weights-only").digest == open_agent("llm", output="weights-only").digest


def test_the_form_of_the_card_itself_changes_nothing(run):
    (_, _, row, *_), (_, _, same, *_) = (
        on_file(run("run", "--agent", "organism-momentum", "--json", *form))
        for form in ((), ("--output", "rationale-last"))
    )
    assert row.id == same.id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--output", "words"), "--output words: write rationale, rationale-last or weights-only; --out names a file"),
        (("--output", "weights-only", "--agent", "momentum"), "--output is for agents that are asked in words"),
        (("--noise", "loud"), "--noise loud: write a size"),
        (("--noise", "50"), "--noise 50: write 0.1"),
        (
            ("--agent", "llm-team+weights-only"),
            "mode weights-only asks for no words; leave out the team",
        ),
        (("--agent", "nobody+weights-only"), "no agent named 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_sentence(run, arguments, said):
    answer = run("run", *arguments)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())


def test_files_on_record_are_compared_without_noise_or_another_form(arena, recorded):
    for option in (("--noise", "0.1"), ("--output", "weights-only")):
        answer = arena("compare", recorded, *option)
        assert answer.code == 2
        assert "compared as they are" in answer.err
