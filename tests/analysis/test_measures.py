"""Drift and its relatives, held against the definitions."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from traces import prattle, trace, walk

from tradearena.analysis.signatures.adjustment import covariates, of_windows, residuals, shortest
from tradearena.analysis.signatures.geometry import effective_rank, unit
from tradearena.analysis.signatures.measures import MEASURES, Seen, differences, placed, profile, whitened
from tradearena.analysis.signatures.rotation import Masks


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def seen(vectors: np.ndarray, window: int = 5) -> Seen:
    return Seen.of(vectors, trace(prattle(rng(1), len(vectors))), window)


@pytest.mark.parametrize("shape", [(30, 8), (30, 60)])
def test_places_in_fewer_dimensions_keep_all_scalar_products(shape):
    rows = rng().standard_normal(shape)
    few = placed(rows)
    assert few.shape[1] <= min(shape)
    assert np.allclose(few @ few.T, rows @ rows.T)


@pytest.mark.parametrize("shape", [(80, 6), (30, 60)])
def test_whitened_rows_have_the_mahalanobis_distances_of_the_shrunk_covariance(shape):
    rows = rng(1).standard_normal(shape) @ rng(2).standard_normal((shape[1], shape[1]))
    precision = np.linalg.inv(LedoitWolf().fit(rows).covariance_)
    white = whitened(placed(rows), shape[1])
    for a, b in ((0, 1), (3, 17), (29, 4)):
        gap = rows[a] - rows[b]
        assert ((white[a] - white[b]) ** 2).sum() == pytest.approx(gap @ precision @ gap / shape[1])


def test_drifts_and_window_statistics_are_before_less_away_from_the_centroid_of_normal_steps():
    vectors, window = rng(3).standard_normal((60, 7)), 5
    masks = Masks(np.array([[20, 45]], dtype=np.intp), 60, window)
    found = dict(zip(MEASURES, differences(seen(vectors), masks)[0], strict=True))
    before, normal = masks.before[0], masks.away[0]
    rows = unit(vectors)
    centre = rows[normal].mean(axis=0)
    far = 1.0 - rows @ centre / np.linalg.norm(centre)
    assert found["drift_unadjusted"] == pytest.approx(far[before].mean() - far[normal].mean())
    precision = np.linalg.inv(LedoitWolf().fit(rows).covariance_)
    gaps = rows - centre
    squares = np.einsum("kd,de,ke->k", gaps, precision, gaps) / 7
    assert found["mahalanobis_unadjusted"] == pytest.approx(squares[before].mean() - squares[normal].mean())
    ranks = effective_rank(vectors, window)
    calm = [k for k in range(window - 1, 60) if normal[k - window + 1 : k + 1].all()]
    expected = (ranks[19] + ranks[44]) / 2 - ranks[calm].mean()
    assert found["effective_rank_unadjusted"] == pytest.approx(expected)


def test_the_profile_at_the_anchor_is_the_statistic_itself():
    vectors = rng(3).standard_normal((60, 7))
    masks = Masks(np.array([[20, 45], [30, 50]], dtype=np.intp), 60, 5)
    view = seen(vectors)
    assert np.allclose(profile(view, masks, range(-3, 4))[:, 3], differences(view, masks)[:, 0])


def test_without_an_anchor_or_without_a_calm_window_there_is_no_difference():
    view = seen(rng(3).standard_normal((60, 7)))
    crowded = np.arange(5, 60, 6, dtype=np.intp)[None, :]
    for places in (np.zeros((1, 0), dtype=np.intp), crowded):
        assert np.isnan(differences(view, Masks(places, 60, 5))).all()


def test_what_the_covariates_explain_is_taken_out_and_nothing_else():
    explaining = rng(1).standard_normal((100, 3))
    signal = rng(2).standard_normal(100)
    signal -= (
        np.column_stack((np.ones(100), explaining))
        @ np.linalg.lstsq(np.column_stack((np.ones(100), explaining)), signal, rcond=None)[0]
    )
    values = (2.0 + explaining @ [1.0, -2.0, 3.0] + signal)[:, None]
    left = residuals(values, explaining)[:, 0]
    assert np.allclose(left - left.mean(), signal)
    assert left.mean() == pytest.approx(values.mean())


def test_covariates_that_say_the_same_twice_or_nothing_at_all_do_no_harm():
    one = rng(1).standard_normal((100, 1))
    values = rng(2).standard_normal((100, 2))
    values[:10, 1] = np.nan
    twice = residuals(values, np.hstack((one, one, np.zeros((100, 1)))))
    assert np.allclose(twice, residuals(values, one), equal_nan=True)
    assert np.isnan(twice[:10, 1]).all()


def test_what_cannot_be_adjusted_is_unknown():
    """Unadjusted values in its place would carry the name of adjusted ones."""
    values, explaining = rng(2).standard_normal((30, 2)), rng(3).standard_normal((30, 9))
    values[0, 1] = np.nan
    found = residuals(values, explaining)
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()
    for window in (2, 6, 12):
        series = np.full((shortest(window), 1), 0.5)
        series[: window - 1] = np.nan
        assert np.isfinite(residuals(series, rng(4).standard_normal((len(series), 9)))).any()
        assert np.isnan(residuals(series[:-1], rng(4).standard_normal((len(series) - 1, 9)))).all() or window > 29


def test_covariates_of_a_market_that_stands_and_of_texts_of_one_length_are_zeros():
    flat = trace(["a b c"] * 30)
    assert not covariates(flat).any()
    assert of_windows(covariates(flat), 6).shape == (30, 9)
    assert of_windows(np.ones((3, 2)), 6).shape == (3, 6)
    lively = trace(prattle(rng(1), 30), market=walk(rng(2), 30))
    assert np.isfinite(of_windows(covariates(lively), 6)).all()
