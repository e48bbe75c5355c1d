import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLES

from tradearena.portfolio.mean import shrunk_mean

seeds = st.integers(0, 2**32 - 1)


def test_the_shrunk_mean_is_right_on_a_case_worked_by_hand():
    # Sample means 0..4, grand mean 2, sum of squares 10. Each column has variance 2 (rows at -1 and +1, n - 1 = 1),
    # so a sample mean has variance 2 / 2 = 1 and delta = (5 - 3) * 1 / 10 = 0.2.
    means = np.arange(5.0)
    X = np.stack((means - 1, means + 1))
    np.testing.assert_allclose(shrunk_mean(X), [0.4, 1.2, 2.0, 2.8, 3.6], rtol=1e-15)


def test_means_that_noise_explains_become_the_grand_mean():
    means = np.arange(5.0)
    X = np.stack((means - 10, means + 10))
    np.testing.assert_allclose(shrunk_mean(X), np.full(5, 2.0), rtol=1e-15)


def test_means_without_noise_stay_as_they_are():
    X = np.tile(np.arange(5.0), (4, 1))
    np.testing.assert_array_equal(shrunk_mean(X), np.arange(5.0))


def test_three_symbols_have_nothing_to_borrow():
    X = np.random.default_rng(0).standard_normal((10, 3))
    np.testing.assert_allclose(shrunk_mean(X), X.mean(axis=0), rtol=1e-13)


def test_a_single_row_tells_the_grand_mean_only():
    np.testing.assert_allclose(shrunk_mean(np.array([[1.0, 2.0, 3.0, 6.0]])), np.full(4, 3.0))


def test_a_still_market_is_expected_to_stay_still():
    assert (shrunk_mean(np.zeros((20, 6))) == 0).all()


@settings(max_examples=EXAMPLES, deadline=None)
@given(n=st.integers(1, 60), N=st.integers(1, 40), seed=seeds)
def test_shrinking_keeps_the_grand_mean_and_never_crosses_it(n, N, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, N)) + rng.standard_normal(N) * rng.choice([0, 0.1, 10])
    means, shrunk = X.mean(axis=0), shrunk_mean(X)
    centre = means.mean()
    assert np.isclose(shrunk.mean(), centre, atol=1e-12)
    assert ((shrunk - centre) * (means - centre) >= -1e-12).all()
    assert (np.abs(shrunk - centre) <= np.abs(means - centre) + 1e-12).all()


def test_the_shrunk_mean_is_closer_to_the_truth_than_the_sample_mean():
    # The theorem, for N > 3 equal and independent errors: 2,000 draws, and for a spread of truths from none to wide.
    rng = np.random.default_rng(7)
    for spread in (0.0, 0.1, 0.3, 1.0):
        truth = spread * rng.standard_normal(20)
        samples = truth + rng.standard_normal((500, 30, 20))
        shrunk = np.mean([np.sum((shrunk_mean(X) - truth) ** 2) for X in samples])
        plain = np.mean(np.sum((samples.mean(axis=1) - truth) ** 2, axis=1))
        assert shrunk < plain
