"""The trial of the signatures in miniature: nulls are what they say, and a seed says the same again."""

from collections import Counter

import numpy as np
import pytest

from tradearena import policy
from tradearena.analysis.signatures.design import Design
from tradearena.analysis.signatures.trial import NULLS, Planted, SignatureTrial
from tradearena.errors import Interrupted

QUICK = Design(draws=19, primary_only=True)


def trial(**over) -> SignatureTrial:
    return SignatureTrial(policy.load("standard"), **{"batch": 2, "steps": 60, "design": QUICK, **over})


@pytest.fixture(scope="module")
def seen():
    return trial().experiment(3)


def test_every_null_is_tried_on_every_path_by_us_and_as_published(seen):
    rows = Counter((each.of, each.by) for each in seen)
    assert set(rows) == {(null, by) for null in NULLS for by in ("ours", "published")}
    assert set(rows.values()) == {2 * 14, 2 * 4}  # 7 clouds at two kinds of anchors; 2 views through 2 probes
    assert all(each.paths <= 1 for each in seen)


def test_a_seed_says_the_same_again(seen):
    assert trial().experiment(3) == seen


def test_shuffled_keeps_what_was_said_and_elsewhere_is_of_another_market():
    made, numbers = trial(), range(2)
    said = made._traces(Planted("steady", 0.0, 6, "market").card, numbers, made.policy, lambda _t: False)
    shuffled = made.null("shuffled", said, seed=1)
    assert [sorted(each.plan) for each in shuffled] == [sorted(each.plan) for each in said]
    assert all(a.plan != b.plan for a, b in zip(shuffled, said, strict=True))
    assert all(np.array_equal(a.nav, b.nav) for a, b in zip(shuffled, said, strict=True))
    elsewhere = made.null("elsewhere", said, seed=1)
    assert [each.plan for each in elsewhere] == [said[1].plan, said[0].plan]
    assert np.array_equal(elsewhere[0].intent, said[1].intent)
    assert np.array_equal(elsewhere[0].market, said[0].market)
    assert made.null("reactive", said, seed=1) == said


def test_what_is_planted_is_one_experiment_of_all_paths_of_a_batch():
    planted = (Planted("collapsing", 0.9, 6, "market"), Planted("narrowing", 0.9, 6, "own"))
    seen = trial(nulls=(), planted=planted, scenes=2).experiment(1)
    assert {each.of for each in seen} == set(planted)
    assert max(each.paths for each in seen) == 2
    assert planted[0].card.parameters["contracts"] == "words"
    assert planted[1].card.parameters["contracts"] == "wishes"


def test_it_stops_when_it_is_told_to():
    with pytest.raises(Interrupted):
        trial().experiment(0, lambda _t: True)
