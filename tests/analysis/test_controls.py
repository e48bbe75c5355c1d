"""Controls of texts: each keeps what it says, to the word, and destroys the rest."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import few

from tradearena.analysis.pairs import Window
from tradearena.analysis.signatures.controls import CONTROLS, controlled
from tradearena.analysis.signatures.trace import Said, Trace
from tradearena.analysis.signatures.words import words


def spoken(texts, episode="e"):
    """A trace that says this, and decides nothing."""
    K = len(texts)
    flat = np.ones(K)
    said = tuple(Said(text, "asked") for text in texts)
    return Trace(
        episode, "g", Window("p", 0, max(K - 1, 0)), np.arange(K, dtype=np.float64), said, said, np.zeros((K, 2)),
        np.zeros((K, 6)), flat, flat, flat, flat,
    )  # fmt: skip


traces = st.lists(
    st.lists(st.sampled_from(["buy", "Sell", "hold", "risk-off", "10.5", "涨跌", "a", "b", "c"]), max_size=12).map(
        lambda found: ", ".join(found)
    ),
    max_size=14,
).map(spoken)


def told(trace, name, seed=0):
    return [words(said.text) for said in controlled(trace, name, seed).plan]


def bands(found):
    counts = Counter(word for each in found for word in each)
    return [Counter(counts[word].bit_length() for word in each) for each in found], counts


@given(traces, st.sampled_from([*CONTROLS]), st.integers(0, 3))
@settings(max_examples=few(60, 500))
def test_a_control_changes_texts_alone_and_the_same_seed_gives_the_same(trace, name, seed):
    made = controlled(trace, name, seed)
    assert (made.plan, made.reflect) == (controlled(trace, name, seed).plan, controlled(trace, name, seed).reflect)
    assert [said.prompt for said in made.plan] == ["asked"] * len(trace)
    assert made.intent is trace.intent
    assert made.nav is trace.nav
    assert (made.episode, made.group, made.window) == (trace.episode, trace.group, trace.window)


@given(traces)
@settings(max_examples=few(60, 500))
def test_each_control_keeps_what_it_says(trace):
    before = told(trace, "words-only")
    assert before == [words(said.text) for said in trace.plan]
    assert [sorted(each) for each in told(trace, "shuffled-words")] == [sorted(each) for each in before]
    assert sorted(told(trace, "shuffled-steps")) == sorted(before)
    lengths = [len(each) for each in before if each]
    matched = told(trace, "length-matched")
    assert {len(each) for each in matched if each} <= {int(np.median(lengths)) if lengths else 0}
    assert all(set(after) <= set(each) for after, each in zip(matched, before, strict=True))
    dealt = told(trace, "synonyms")
    assert bands(dealt) == bands(before)
    anew = told(trace, "redrawn")
    assert [len(each) for each in anew] == [len(each) for each in before]
    assert bands(anew)[1] == bands(before)[1]
    renamed = told(trace, "renamed")
    names = {(one, other) for a, b in zip(before, renamed, strict=True) for one, other in zip(a, b, strict=True)}
    assert len(names) == len(dict(names)) == len({other for _, other in names})
    assert [len(each) for each in renamed] == [len(each) for each in before]


def test_each_control_destroys_what_it_says():
    rng = np.random.default_rng(2)
    stock = [[f"w{t % 2}{i}" for i in range(20)] for t in range(40)]  # two topics, by turns
    trace = spoken([" ".join(each[: 12 + int(rng.integers(8))]) for each in stock])
    before = told(trace, "words-only")

    def shared(found):
        """Mean share of a text's words that the one before it but one has."""
        return np.mean([len(set(a) & set(b)) / len(set(b)) for a, b in zip(found, found[2:], strict=False)])

    assert shared(before) > 0.9
    assert shared(told(trace, "renamed")) == pytest.approx(shared(before))
    assert shared(told(trace, "synonyms")) < 0.75
    assert shared(told(trace, "redrawn")) < 0.75
    assert told(trace, "shuffled-words") != before
    assert [len(each) for each in before] != [len(each) for each in told(trace, "length-matched")]
    mixed = [each[0][1] for each in told(trace, "shuffled-steps")]
    assert mixed != [each[0][1] for each in before]


def test_another_seed_or_another_episode_is_dealt_otherwise():
    texts = [f"one two three four {i} six" for i in range(20)]
    made = [told(spoken(texts, episode), "synonyms", seed) for episode, seed in (("e", 0), ("e", 1), ("f", 0))]
    assert made[0] != made[1]
    assert made[0] != made[2]


def test_an_unknown_control_is_none():
    with pytest.raises(KeyError):
        controlled(spoken(["a"]), "louder")
