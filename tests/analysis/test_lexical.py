"""Words counted: against the definitions, by brute force, and whatever the length."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.analysis.signatures.lexical import NAMES, LexicalProbe, entropy, lexical, mtld, type_token_ratio
from tradearena.analysis.signatures.trace import Said

texts = st.lists(st.sampled_from("abcdefgh"), max_size=60)


def test_the_ratio_is_the_mean_over_all_draws_there_are():
    found = list("aabbbcd")
    drawn = [len(set(each)) / 4 for each in combinations(found, 4)]
    assert type_token_ratio(found, 4) == pytest.approx(np.mean(drawn), rel=1e-12)


@given(texts, st.integers(1, 30))
def test_a_ratio_is_a_share_and_all_words_where_they_are_too_few(found, drawn):
    ratio = type_token_ratio(found, drawn)
    assert 0.0 <= ratio <= 1.0 + 1e-12
    if found and len(found) <= drawn:
        assert ratio == pytest.approx(len(set(found)) / len(found))


def test_length_alone_moves_the_plain_ratio_and_not_the_corrected_one():
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(200)]

    def means(n):
        drawn = [[words[i] for i in rng.integers(0, 200, n)] for _ in range(300)]
        return np.mean([(len(set(each)) / n, type_token_ratio(each)) for each in drawn], axis=0)

    (plain, corrected), (longer, same) = means(40), means(160)
    assert plain - longer > 0.2
    assert abs(corrected - same) < 0.004


def test_mtld_by_hand():
    # "a b a": ratios 1, 1, 2/3 <= 0.72: one stretch of three, both ways
    assert mtld(["a", "b", "a"]) == 3.0
    # then "c" alone is left, at ratio 1: nothing of a stretch
    assert mtld(["a", "b", "a", "c"]) == pytest.approx((4 / 1 + 4 / (0 + (1 - 0.75) / 0.28)) / 2)
    assert mtld(list("abcdef")) == 6.0
    assert mtld([]) == 0.0


def test_entropy_is_corrected_for_the_number_of_words():
    assert entropy(list("aaaa")) == 0.0
    assert entropy(list("abcd")) == pytest.approx(2.0 + 3 / (8 * math.log(2)))
    assert entropy([]) == 0.0


@given(texts)
def test_order_changes_mtld_alone(found):
    one, other = lexical(" ".join(found)), lexical(" ".join(sorted(found)))
    for name, left, right in zip(NAMES, one, other, strict=True):
        assert name == "mtld" or left == pytest.approx(right)


def test_the_probe_stands_each_number_on_its_own_trajectory_and_says_nothing_where_nothing_is_said():
    probe = LexicalProbe()
    spoken = tuple(Said(text) for text in ("", "one two three", "one one one two", "a b c d e f g", ""))
    rows, silent = probe.embed([spoken, (Said(""), Said(""))], ["p", "p"])
    assert rows is not None
    assert silent is not None
    assert rows.shape == (5, 4)
    assert not rows[[0, 4]].any()
    assert rows[1:4].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert rows[1:4].std(axis=0) == pytest.approx(np.ones(4))
    assert not silent.any()
