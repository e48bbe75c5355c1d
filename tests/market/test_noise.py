"""Noise on bars: they stay bars, nothing later is in them, and it is as large as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import dataset, first_bars, walk
from strategies import few, panel_of

from tradearena.errors import UsageError
from tradearena.market.noise import TRAILING, Noise, noise_named, noised, noised_panel

sizes = st.one_of(
    st.floats(0.0, 10.0).map(lambda size: Noise(size)),
    st.floats(0.0, 5_000.0).map(lambda size: Noise(size, "bp", seed=3)),
)
markets = st.tuples(st.integers(0, 2**20), st.sampled_from([0.0, 0.2, 0.7])).map(
    lambda drawn: walk(drawn[0], bars=40, n=3, gaps=drawn[1])
)


def moves(panel):
    """Log returns of closes [T - 1, N]."""
    return np.diff(np.log(panel.close), axis=0)


@given(markets, sizes)
@settings(max_examples=few(60, 1_000))
def test_bars_with_noise_are_bars_still(panel, noise):
    made = noised_panel(panel, noise)
    there = panel.valid
    assert np.array_equal(made.valid, there)
    assert np.array_equal(made.tradable, panel.tradable)
    opened, high, low, close = (price[there] for price in (made.open, made.high, made.low, made.close))
    assert (low > 0).all()
    assert np.isfinite(high).all()
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()
    assert (made.volume >= 0).all()
    assert np.isfinite(made.volume).all()
    assert (made.symbols, made.sectors, made.bars_per_year) == (panel.symbols, panel.sectors, panel.bars_per_year)
    assert np.array_equal(made.end, panel.end)


@given(markets, sizes, st.integers(2, 39))
@settings(max_examples=few(40, 1_000))
def test_the_noise_of_a_bar_depends_on_nothing_later(panel, noise, bars):
    assert noised_panel(first_bars(panel, bars), noise).digest == noised_panel(panel, noise).digests[bars - 1].hex()


@given(markets, st.sampled_from([0, 7]))
@settings(max_examples=few(20, 200))
def test_noise_of_no_size_is_none(panel, seed):
    assert noised_panel(panel, Noise(0.0, seed=seed)).digest == panel.digest
    whole = dataset(panel)
    assert noised(whole, Noise(0.0, "bp", seed)) is whole


@pytest.mark.parametrize("size", [0.05, 0.5, 2.0])
def test_the_noise_of_a_return_has_its_size_in_volatilities_of_the_symbol(size):
    calm, wild = walk(1, bars=3_000, n=4, size=0.01), walk(2, bars=3_000, n=4, size=0.03)
    for panel in (calm, wild):
        noise = moves(noised_panel(panel, Noise(size))) - moves(panel)
        ratio = noise[TRAILING:].std(axis=0) / moves(panel).std(axis=0)
        assert ratio == pytest.approx(np.full(4, size), rel=0.06)


def test_the_noise_of_a_return_has_its_size_in_basis_points_and_does_not_add_up():
    panel = walk(3, bars=4_000, n=3)
    made = noised_panel(panel, Noise(25.0, "bp"))
    noise = np.log(made.close / panel.close)
    assert np.diff(noise, axis=0).std(axis=0) == pytest.approx(np.full(3, 25e-4), rel=0.05)
    assert np.abs(noise).max() < 6 * 25e-4
    assert np.corrcoef(np.diff(noise, axis=0)[1:, 0], np.diff(noise, axis=0)[:-1, 0])[0, 1] == pytest.approx(
        -0.5, abs=0.05
    )
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.06


def test_volumes_have_noise_of_the_same_size_and_unknown_ones_stay_unknown():
    plain = walk(4, bars=3_000, n=2)
    panel = panel_of(plain.open, plain.close, plain.volume + 1.0)
    changes = np.diff(np.log(panel.volume), axis=0)
    noise = np.diff(np.log(noised_panel(panel, Noise(0.5)).volume), axis=0) - changes
    assert noise[TRAILING:].std(axis=0) / changes.std(axis=0) == pytest.approx(np.full(2, 0.5), rel=0.08)
    blind = panel_of(panel.open, panel.close, np.full(panel.close.shape, np.inf))
    assert np.isinf(noised_panel(blind, Noise(0.5)).volume).all()


def test_another_seed_is_other_noise_and_the_first_bar_has_none_in_volatilities():
    panel = walk(5)
    one, other = (noised_panel(panel, Noise(0.3, seed=seed)) for seed in (1, 2))
    assert one.digest != other.digest != panel.digest
    assert np.array_equal(one.close[0], panel.close[0])
    assert noised_panel(panel, Noise(0.3, seed=1)).digest == one.digest


def test_two_markets_do_not_share_their_noise():
    noises = [np.log(noised_panel(panel, Noise(9.0, "bp")).close / panel.close) for panel in (walk(7), walk(8))]
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.2


def test_a_noisy_dataset_says_so_and_names_the_bars_below():
    whole = dataset(walk(6), "small")
    made = noised(whole, Noise(5.0, "bp", 2))
    assert made.card.name == "small+noise 5bp 2"
    assert made.card.noise is not None
    assert made.card.noise.of == whole.panel.digest
    assert "noise of 5bp is on prices and volumes, seed 2" in [remark.text for remark in made.warnings][-1]
    with pytest.raises(UsageError, match="carries noise already"):
        noised(made, Noise(0.1))


@pytest.mark.parametrize(
    ("written", "noise"),
    [
        ("0.1", Noise(0.1)),
        (" 5bp ", Noise(5.0, "bp")),
        (".5:3", Noise(0.5, seed=3)),
        ("12.5bp:1", Noise(12.5, "bp", 1)),
    ],
)
def test_a_size_is_written_as_a_number_a_unit_and_a_seed(written, noise):
    assert noise_named(written) == noise
    assert noise_named(str(noise)) == noise


@pytest.mark.parametrize("written", ["", "-1", "much", "0.1%", "1e3", "0.1:", "11", "6000bp", "9" * 400])
def test_what_is_no_size_is_said_in_a_sentence(written):
    with pytest.raises(UsageError, match=r"--noise .*: write"):
        noise_named(written)
