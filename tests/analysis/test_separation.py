"""Separation out of sample, held against scikit-learn and against leaks."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from tradearena.analysis.signatures.rotation import Masks
from tradearena.analysis.signatures.separation import _auc, _balanced, separation


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def masks(places: list[int], steps: int = 200, window: int = 6) -> Masks:
    return Masks(np.array([places], dtype=np.intp), steps, window)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_that_of_scikit_learn(ties):
    scores = rng(1).standard_normal((5, 60))
    scores = np.round(scores) if ties else scores
    before = rng(2).random((5, 60)) < 0.3
    normal = ~before & (rng(3).random((5, 60)) < 0.8)
    for b, found in enumerate(_auc(scores, before, normal)):
        chosen = before[b] | normal[b]
        assert found == pytest.approx(roc_auc_score(before[b, chosen], scores[b, chosen]))


def test_balanced_accuracy_is_that_of_scikit_learn_and_half_of_what_is_undecided():
    scores, before = rng(1).standard_normal((1, 40)), rng(2).random((1, 40)) < 0.4
    expected = balanced_accuracy_score(before[0], scores[0] > 0)
    assert _balanced(scores, before, ~before)[0] == pytest.approx(expected)
    assert _balanced(np.zeros((1, 40)), before, ~before)[0] == 0.5


def test_states_that_differ_are_told_apart_within_a_path_and_across_paths():
    at = [30, 60, 90, 120, 150, 180]
    made = masks(at)
    rows = [rng(seed).standard_normal((200, 4)) + 4.0 * made.before[0][:, None] for seed in range(3)]
    one = separation(rows[:1], [made], [0], gap=6, common=True)
    assert one.shape == (1, 1, 2)
    assert (one > 0.95).all()
    assert (separation(rows, [made] * 3, [0, 1, 2], gap=6, common=True) > 0.95).all()


def test_vectors_that_know_nothing_but_the_time_tell_nothing():
    """In sample they would tell everything: each block of time has a vector of its own."""
    blocks = np.repeat(np.eye(40), 5, axis=0)
    found = separation([blocks], [masks([30, 75, 120, 165])], [0], gap=6, common=True)
    assert np.allclose(found, 0.5, atol=0.05)


def test_a_path_is_judged_by_the_others_alone():
    """What is before trouble on the other paths is normal on this one: its own labels would have said so."""
    made = masks([30, 90, 150])
    rows = [
        4.0 * made.before[0][:, None] * np.array([1.0, 0.0]) + 0.1 * rng(s).standard_normal((200, 2)) for s in (0, 1)
    ]
    turned = [rows[0], -rows[1]]
    found = separation(turned, [made, made], [0, 1], gap=6, common=True)
    assert (found[..., 0] < 0.05).all()
    assert (separation(turned, [made, made], [0, 1], gap=6, common=False)[..., 0] > 0.95).all()


def test_without_both_states_there_is_nothing_to_tell():
    found = separation([rng().standard_normal((200, 3))], [masks([])], [0], gap=6, common=True)
    assert np.isnan(found).all()
