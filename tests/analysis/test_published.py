"""The paper's definitions, worked by hand, and what they say of text that says nothing."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits
from traces import prattle, trace, walk

from tradearena.analysis.signatures import published as paper
from tradearena.analysis.signatures.published import (
    STATISTICS,
    Published,
    anchors,
    drawdown,
    events,
    hash64,
    lsa32,
    published,
    rank,
    speaks,
    tokens,
    unit,
)

MEANINGLESS = Published("g", "plan", "hash64", 1, 12, 0, 0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.5, {}, {})


def cohort(n=7, steps=120, seed=3):
    rng = np.random.default_rng(seed)
    return [
        trace(
            prattle(rng, steps),
            walk(rng, steps),
            reflect=prattle(rng, steps, 5),
            risk=rng.random((steps, 6)),
            group=f"g{i % 2}",
            episode=str(i),
        )
        for i in range(n)
    ]


def row_of(rows, group="all", view="plan", probe="hash64"):
    return next(row for row in rows if (row.group, row.view, row.probe) == (group, view, probe))


def test_a_token_begins_with_a_latin_letter_and_has_two_characters() -> None:
    assert tokens("I BUY 600519.SH, go_long 3.5x: 买入 AAPL-2!") == ["buy", "sh", "go_long", "aapl-2"]


def test_hash64_adds_a_sign_to_a_bucket_for_every_token() -> None:
    assert hashlib.sha256(b"risk").hexdigest().startswith("2c6ef0f0d0")  # 0xf0 mod 64 = 48; 0xd0 is even: plus
    assert hashlib.sha256(b"gold").hexdigest().startswith("24d7f03d8d")  # 0x3d mod 64 = 61; 0x8d is odd: minus
    expected = np.zeros((2, 64))
    expected[0, 48], expected[0, 61] = 2.0 / math.sqrt(5.0), -1.0 / math.sqrt(5.0)
    assert np.allclose(hash64(["Risk risk GOLD", "12.5 %"]), expected)


def test_lsa32_weighs_a_token_by_its_share_of_a_text_and_its_rarity() -> None:
    """Nothing is cut of two tokens, so the angles between texts are those of their weights."""
    found = lsa32(["gold gold oil at", "gold", "gold", "oil rig", ""])
    assert found is not None
    assert found.shape == (5, 2)
    gold, oil = math.log(6 / 4) + 1.0, math.log(6 / 3) + 1.0
    length = math.hypot(2 / 3 * gold, oil / 3)
    assert np.isclose(found[0] @ found[1], 2 / 3 * gold / length)
    assert np.isclose(found[0] @ found[3], oil / 3 / length)
    assert np.isclose(found[1] @ found[3], 0.0)
    assert not found[4].any()


def test_lsa32_keeps_32_dimensions() -> None:
    found = lsa32(prattle(np.random.default_rng(0), 50))
    assert found is not None
    assert found.shape == (50, 32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0)


def test_lsa32_knows_the_768_commonest_tokens_alone() -> None:
    """What tells three texts apart is rarer than the 768 words that all of them have."""
    common = " ".join(f"word{i:03d}" for i in range(768))
    with threadpool_limits(limits=1, user_api="blas"):
        found = lsa32([f"{common} gold oil", f"{common} gold", f"{common} oil", common])
    assert found is not None
    assert np.allclose(found @ found.T, 1.0)


@pytest.mark.parametrize("texts", [[], ["gold oil", "gold oil"], ["gold"] * 5, ["so it is"] * 5, ["a b", "银行", ""]])
def test_there_is_no_lsa32_of_next_to_nothing(texts) -> None:
    assert lsa32(texts) is None


def test_rank_counts_coordinates_that_vary_alike() -> None:
    assert rank(np.array([[1.0, 1.0, 0.0], [3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])).tolist() == [2.0, 1.6, 0.0]


def test_anchors_are_the_deepest_steps_from_the_fifth_on() -> None:
    nav = np.ones(24)
    nav[[2, 3, 8, 9, 10, 20]] = 0.5, 0.5, 0.90, 0.85, 0.95, 0.90
    found = anchors(nav)
    assert found.at.tolist() == [9, 8, 20, 10]
    at_nine = [k for k in range(24) if found.normal[0, k]]
    assert at_nine == [0, 1, 4, *range(13, 20), 21, 22, 23]  # outside [5, 13), and not below
    assert np.flatnonzero(found.runs[0]).tolist() == [13, 14, 15, 16]


@pytest.mark.parametrize(("steps", "expected"), [(11, 0), (12, 4), (25, 5), (60, 12), (200, 12)])
def test_there_are_a_fifth_as_many_anchors_as_steps_and_four_to_twelve(steps, expected) -> None:
    assert len(anchors(np.linspace(2.0, 1.0, steps)).at) == expected


def test_where_the_median_leaves_no_normal_step_all_outside_are_normal() -> None:
    found = anchors(np.array([1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    here = found.at.tolist().index(5)
    assert np.flatnonzero(found.normal[here]).tolist() == [0, 9, 10, 11, 12]
    few = anchors(np.array([0.9, 0.8, 0.7, 0.6, 0.99, 1.0, 0.9, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9]))
    assert (few.normal.sum(axis=1) >= 2).all()


def test_delta_and_equal_delta_of_a_case_worked_by_hand() -> None:
    """Before the trough two words take turns, a rank of 2; away from it there are four, a rank of 4."""
    nav = np.ones(16)
    nav[4] = 0.9
    said = [0, 1, 0, 1, *[0, 0, 0, 0], *[0, 1, 2, 3, 0, 1, 2, 3]]
    found = anchors(nav)
    assert found.at.tolist() == [4]
    (event,) = events(np.eye(4)[said], found)
    shift = 1.0 - 1.0 / math.sqrt(2.0)  # (1, 1, 0, 0) against (1, 1, 1, 1)
    right = 0.5 * (4 / 8 + 1.0)  # half of the normal steps are nearer to the mean of their own, all four before are not
    assert np.allclose(event, [2.0, 1.0, shift, right, 2.0, 1.0])


@pytest.mark.parametrize("steps", [12, 40, 119])
def test_events_are_what_the_definitions_say_word_by_word(steps) -> None:
    rng = np.random.default_rng(steps)
    nav, vectors = walk(rng, steps), hash64(prattle(rng, steps, 4))
    found = anchors(nav)
    depth = drawdown(nav)
    assert len(found.at) == min(12, max(4, steps // 5))
    for a, event in zip(found.at, events(vectors, found), strict=True):
        pre = vectors[a - 4 : a]
        outside = [k for k in range(steps) if not a - 4 <= k < a + 4]
        at = [k for k in outside if depth[k] >= sorted(depth)[steps // 2]]
        normal = vectors[at if len(at) > 1 else outside]
        centres = [each.mean(axis=0) / np.linalg.norm(each.mean(axis=0)) for each in (normal, pre)]
        hits = [
            np.mean([np.sign(each @ (own - other)) / 2 + 0.5 for each in held])
            for held, own, other in ((normal, *centres), (pre, *centres[::-1]))
        ]
        delta = rank(normal.var(axis=0, ddof=1)) - rank(pre.var(axis=0, ddof=1))
        assert np.allclose(event[:4], [delta, delta > 0, 1.0 - centres[0] @ centres[1], np.mean(hits)])


def test_random_text_contracts_as_published_and_not_with_equal_sizes() -> None:
    rows = published(cohort(), shuffles=10)
    for probe in ("hash64", "lsa32"):
        row = row_of(rows, probe=probe)
        assert row.n_anchors == 84
        assert row.contraction_rate is not None
        assert row.equal_contraction_rate is not None
        assert row.contraction_rate >= 0.9
        assert 0.35 <= row.equal_contraction_rate <= 0.65
        assert row.shuffled["contraction_rate"].mean >= 0.9
        assert row.random["contraction_rate"].mean >= 0.9
        assert abs(row.shuffled["equal_contraction_rate"].mean - 0.5) < 0.05
        assert abs(row.random["equal_contraction_rate"].mean - 0.5) < 0.05
        assert abs(row.shuffled["equal_delta"].mean) < 0.5
        assert row.shuffled["balanced_accuracy"].mean > 0.7  # in sample
        assert speaks(row)


def test_rows_are_groups_and_all_and_pool_their_anchors() -> None:
    rows = published(cohort(3), shuffles=0)
    assert [row.group for row in rows] == ["g0"] * 4 + ["g1"] * 4 + ["all"] * 4
    for view in ("plan", "fused"):
        one, two, both = (row_of(rows, group, view) for group in ("g0", "g1", "all"))
        assert (one.n_trajectories, two.n_trajectories, both.n_trajectories) == (2, 1, 3)
        assert both.n_anchors == one.n_anchors + two.n_anchors == 36
        assert both.falls + both.rises <= both.n_anchors
        assert both.contraction_rate == both.falls / both.n_anchors
        assert both.delta == pytest.approx((24 * one.delta + 12 * two.delta) / 36)
        assert both.shuffled == both.random == {}


def test_the_same_seed_gives_the_same_rows_and_another_only_other_draws() -> None:
    first, again, other = (published(cohort(2, 30), seed, 5) for seed in (0, 0, 1))
    assert first == again
    assert [row[:13] for row in first] == [row[:13] for row in other]
    assert all(one.shuffled != two.shuffled for one, two in zip(first, other, strict=True))
    assert all(set(row.shuffled) == set(row.random) <= set(STATISTICS) for row in first)


def test_permuting_vectors_is_permuting_texts() -> None:
    """Frequencies do not change where texts change places, so nothing is embedded anew."""
    (one,) = cohort(1, 40)
    order = np.random.default_rng(0).permutation(40)
    mixed = trace(
        [one.plan[k].text for k in order],
        one.nav,
        reflect=[one.reflect[k].text for k in order],
        risk=one.risk,
    )
    for key, (held,) in paper.embedded([one]).items():
        (expected,) = paper.embedded([mixed])[key]
        vectors = held.vectors(order)
        assert np.allclose(vectors @ vectors.T, expected.vectors() @ expected.vectors().T)


def test_the_outcome_is_a_feature_of_the_fused_vectors_and_of_no_plan() -> None:
    texts = ["hold gold and oil"] * 12
    flat, fallen = (paper.embedded([trace(texts, nav)]) for nav in (np.ones(12), np.linspace(1.0, 0.9, 12)))
    for key, same in ((("plan", "hash64"), True), (("fused", "hash64"), False)):
        assert np.array_equal(flat[key][0].vectors(), fallen[key][0].vectors()) is same
    assert np.allclose(fallen["fused", "hash64"][0].fixed[1:, 5], -1.0)  # any drawdown, however small


@pytest.mark.parametrize(
    ("texts", "nav"), [(["buy gold"] * 30, np.ones(30)), (["buy gold"] * 11, np.linspace(1.0, 0.9, 11)), ([], [])]
)
def test_without_a_drawdown_or_with_few_steps_there_is_no_row_to_believe(texts, nav) -> None:
    rows = published([trace(texts, nav)], shuffles=3)
    assert len(rows) == 8
    for row in rows:
        assert row.n_anchors == row.n_trajectories == 0
        assert row.delta is row.contraction_rate is row.equal_contraction_rate is None
        assert row.shuffled == row.random == {}
        assert not speaks(row)
    assert [row.group for row in published([])] == ["all"] * 4


@pytest.mark.parametrize("text", ["", "银行 12.5", "hold gold and oil"])
def test_where_the_same_is_always_said_nothing_contracts(text) -> None:
    rng = np.random.default_rng(0)
    rows = published([trace([text] * 40, walk(rng, 40))], shuffles=3)
    row = row_of(rows)
    assert (row.delta, row.contraction_rate, row.equal_contraction_rate) == (0.0, 0.0, 0.5)
    assert row.balanced_accuracy == 0.5
    assert row.shift == pytest.approx(0.0 if tokens(text) else 1.0)
    assert (row.falls, row.rises) == (0, 0)
    assert not speaks(row)
    lsa = row_of(rows, probe="lsa32")
    assert lsa.delta == (0.0 if tokens(text) else None)
    assert not speaks(lsa)


def test_a_path_without_four_normal_steps_in_a_row_has_no_equal_sizes() -> None:
    nav = np.where(np.arange(24) % 3 == 2, 0.9, 1.0)
    row = row_of(published([trace(prattle(np.random.default_rng(0), 24), nav)], shuffles=2))
    assert row.n_anchors == 4
    assert row.delta is not None
    assert row.equal_delta is row.equal_contraction_rate is None
    assert set(row.shuffled) == set(STATISTICS[:4])


@pytest.mark.parametrize(
    ("falls", "rises", "expected"), [(12, 0, True), (0, 12, True), (10, 2, True), (9, 3, False), (5, 0, False)]
)
def test_the_published_rate_is_read_as_a_sign_test(falls, rises, expected) -> None:
    assert speaks(MEANINGLESS._replace(falls=falls, rises=rises)) is expected


def test_vectors_of_length_zero_stay_zero() -> None:
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0]]
