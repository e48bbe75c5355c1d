"""Probes that count words: against their definitions, and what they are fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from tradearena.analysis.signatures.lexical_probes import MOST, HashProbe, LsaProbe
from tradearena.analysis.signatures.probe import layer_of, probe_of
from tradearena.analysis.signatures.trace import Said
from tradearena.analysis.signatures.words import words
from tradearena.errors import UsageError

THEMES = (
    ("bank", "loan", "rate", "credit", "deposit", "yield", "bond", "curve"),
    ("oil", "gas", "barrel", "refinery", "pump", "drill", "tanker", "opec"),
    ("chip", "wafer", "cloud", "server", "code", "model", "data", "node"),
    ("wheat", "corn", "soy", "harvest", "rain", "drought", "field", "seed"),
)


def corpus(seed, n=40):
    """Texts of one theme each, in turn; which words of it is left to chance."""
    rng = np.random.default_rng(seed)
    return [Said(" ".join(rng.choice(THEMES[i % 4], 12))) for i in range(n)]


def hashed(text, size):
    """As the docstring says it, word by word."""
    row = np.zeros(size)
    for word in words(text):
        h = murmurhash3_32(word.encode(), seed=0)
        row[abs(int(h)) % size] += 1.0 if h >= 0 else -1.0
    length = np.linalg.norm(row)
    return row / length if length else row


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from([2, 64, 256]))
def test_hashing_adds_the_sign_of_each_word_to_its_bucket(texts, size):
    (found,) = HashProbe(size).embed([[Said(text) for text in texts]], ["a path"])
    assert found.shape == (len(texts), size)
    np.testing.assert_allclose(found, np.array([hashed(text, size) for text in texts]).reshape(-1, size), atol=1e-15)


def test_a_text_is_hashed_the_same_whatever_else_there_is():
    alone, along = (HashProbe().embed(corpora, [0] * len(corpora)) for corpora in ([corpus(1)], [corpus(1), corpus(2)]))
    np.testing.assert_array_equal(alone[0], along[0])


def test_latent_axes_are_those_of_a_full_decomposition_of_the_others():
    """Against numpy, from the formula that the docstring states."""
    fitted, tested = corpus(1), [Said("bank loan"), Said("oil oil rate"), Said("unheard of"), Said("")]
    found, _ = LsaProbe(4).embed([tested, fitted], ["x", "y"])
    vocabulary = sorted({word for said in fitted for word in said.text.split()})
    counts = np.array([[said.text.split().count(word) for word in vocabulary] for said in (*fitted, *tested)], float)
    df = (counts[: len(fitted)] > 0).sum(axis=0)
    tf = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)
    weighted = tf * (1 + np.log((1 + len(fitted)) / (1 + df)))
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-300)
    _, _, axes = np.linalg.svd(weighted[: len(fitted)], full_matrices=False)
    axes = axes[:4] * np.sign(axes[np.arange(4), np.abs(axes[:4]).argmax(axis=1)])[:, None]
    expected = weighted[len(fitted) :] @ axes.T
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-300)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert not found[2:].any()


def test_texts_of_one_theme_are_near_each_other_though_they_share_no_word():
    found, _ = LsaProbe(4).embed([[Said("bank loan"), Said("yield curve"), Said("oil gas")], corpus(1)], ["x", "y"])
    assert found[0] @ found[1] > 0.9
    assert abs(found[0] @ found[2]) < 0.1


def test_what_is_fitted_for_a_trajectory_knows_nothing_of_its_own_path():
    """Whatever all trajectories of its path say, a text of it is placed the same."""
    asked = Said("bank oil chip wheat")
    for own in (corpus(5), [Said("bank wheat bank wheat")] * 60, [asked]):
        found, *_ = LsaProbe(4).embed([[asked, *own], own, corpus(1), corpus(2)], ["x", "x", "y", "z"])
        first, *_ = LsaProbe(4).embed([[asked], [], corpus(1), corpus(2)], ["x", "x", "y", "z"])
        np.testing.assert_array_equal(found[0], first[0])


def test_on_one_path_it_is_fitted_on_the_other_trajectories():
    asked = Said("bank oil chip wheat")
    found = [LsaProbe(4).embed([[asked, *own], corpus(1)], ["x", "x"])[0][0] for own in ([], corpus(7), corpus(8))]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    others = [LsaProbe(4).embed([[asked], other], ["x", "x"])[0][0] for other in (corpus(1), corpus(2))]
    assert np.abs(others[0] - others[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("corpora", "paths"),
    [
        ([corpus(1)], ["x"]),  # no others
        ([corpus(1), corpus(2)[:4]], ["x", "y"]),  # no more texts than dimensions
        ([corpus(1), [Said("the same four words here")] * 50], ["x", "y"]),  # nor words: five
        ([corpus(1), [Said("")] * 50], ["x", "y"]),
        ([corpus(1), []], ["x", "y"]),
        ([[Said("")], [Said("...")]], ["x", "y"]),  # not a word at all
        ([[], []], ["x", "y"]),
    ],
)
def test_where_there_is_too_little_to_fit_on_there_are_no_vectors(corpora, paths):
    assert LsaProbe(5).embed(corpora, paths)[0] is None


def test_no_trajectories_are_none():
    assert HashProbe().embed([], []) == LsaProbe().embed([], []) == []


def test_axes_that_the_texts_do_not_have_are_zeros():
    """Three templates, repeated: three dimensions, and nothing made up for the fourth and fifth."""
    templates = ["bank loan rate", "oil gas barrel", "chip wafer cloud"]
    (found, _) = LsaProbe(5).embed([[Said(t) for t in templates], [Said(t) for t in templates * 9]], ["x", "y"])
    assert np.linalg.matrix_rank(found) == 3
    assert not found[:, 3:].any()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)


def test_a_fit_looks_at_so_many_texts_and_no_more_from_all_trajectories():
    """Three quarters of the texts are of one trajectory, and what the last one alone says is heard."""
    others = [corpus(1, 3 * MOST // 2), [*corpus(2, MOST // 4), *[Said("gold silver copper")] * (MOST // 4)]]
    found, *_ = LsaProbe(8).embed([[Said("gold"), Said("gold silver")], *others], ["x", "y", "z"])
    assert found[0] @ found[1] == pytest.approx(1.0)


def test_the_vectors_of_real_rationales_are_the_same_each_time(real_data):
    import duckdb

    query = "SELECT list(reasoning_text ORDER BY step) FROM $1 WHERE model IN ('gpt-5', 'qwen3-max') GROUP BY model"
    file = str(real_data / "llm_trajectories_astock_hourly.parquet")
    rows = duckdb.execute(query.replace("$1", f"'{file}'")).fetchall()
    corpora = [[Said(text or "") for text in texts[:60]] for (texts,) in rows]
    for name in ("hash", "lsa"):
        once, again = (probe_of(name).embed(corpora, [0, 0]) for _ in range(2))
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(a, b)
            lengths = np.linalg.norm(a, axis=1)
            assert np.all((np.abs(lengths - 1.0) < 1e-12) | (lengths == 0.0))
            assert (lengths > 0).mean() > 0.9


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hash", "hash256"), ("hash64", "hash64"), ("lsa", "lsa32"), ("lsa8", "lsa8"), ("hash65536", "hash65536"),
        ("lexical", "lexical"), ("states", "states@-1:mean"), ("states@2:last", "states@2:last"),
    ],
)  # fmt: skip
def test_a_probe_is_had_by_its_name_and_says_its_dimension(name, expected):
    assert probe_of(name).name == expected
    assert not probe_of(name).prompted


@pytest.mark.parametrize(
    "name", ["", "hush", "hash-1", "hash0", "hash 64", "lsa:32", "hash:", "transformer:", "hidden"]
)
def test_an_unknown_name_is_answered_by_what_there_is(name):
    with pytest.raises(
        UsageError, match=r"^no probe named '.*'; there are hash\[SIZE\], lsa\[SIZE\], lexical, transformer:MODEL"
    ):
        probe_of(name)


@pytest.mark.parametrize("name", ["hash1", "lsa1", "hash65537", "lsa999999"])
def test_a_dimension_that_cannot_be_meant_is_refused(name):
    with pytest.raises(UsageError, match="a dimension is from 2 to 65536"):
        probe_of(name)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("gpt", ("gpt", None, "mean")),
        ("gpt@3", ("gpt", 3, "mean")),
        ("gpt@-1:last", ("gpt", -1, "last")),
        ("gpt:mean", ("gpt", None, "mean")),
        ("C:\\models\\a@home:last", ("C:\\models\\a@home", None, "last")),
        ("me@home/gpt@12:mean", ("me@home/gpt", 12, "mean")),
        (":last", (":last", None, "mean")),
        ("@3", ("@3", None, "mean")),
    ],
)
def test_a_layer_and_a_pooling_stand_at_the_end_of_a_path(said, expected):
    assert layer_of(said) == expected
