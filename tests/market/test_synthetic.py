from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tradearena import cards, rooms
from tradearena.errors import UsageError
from tradearena.market.card import DatasetCard
from tradearena.market.dataset import open_dataset
from tradearena.market.synthetic import Design, garch, log_returns, normal, student, synthesise
from tradearena.market.writing import card_text, synthetic_card, write_synthetic

DEMO = Design(seed=21, coupled=1)
"""`tradearena data synth demo-daily --seed 21 --coupled 1`"""


@pytest.fixture(scope="module")
def demo():
    return open_dataset(str(rooms.shipped() / "market_data" / "demo-daily"))


def _sharpe(returns):
    return returns.mean() / returns.std(ddof=1) * np.sqrt(252)


def test_the_shipped_dataset_is_what_its_command_makes(demo, tmp_path):
    again = open_dataset(str(write_synthetic(DEMO, tmp_path / "demo-daily")))
    assert again.panel.digest == demo.panel.digest
    assert again.card == demo.card
    assert "tradearena data synth demo-daily --seed 21" in demo.card.source


def test_the_shipped_dataset_is_clean(demo):
    assert demo.warnings == ()
    assert demo.panel.close.shape == (756, 12)
    assert len(demo.panel.sector_names) == 4
    assert demo.panel.valid.all()


def _held(close):
    value = (close / close[0]).mean(axis=1)
    return value[1:] / value[:-1] - 1


def _ranked(close, lookback, *, best):
    past, following = close[lookback:-1] / close[: -lookback - 1] - 1, (close[1:] / close[:-1] - 1)[lookback:]
    quarter = close.shape[1] // 4
    chosen = np.argsort(past, axis=1)[:, -quarter:] if best else np.argsort(past, axis=1)[:, :quarter]
    return np.take_along_axis(following, chosen, axis=1).mean(axis=1)


def _least_variance(close, lookback=60):
    returns = close[1:] / close[:-1] - 1
    out = []
    for t in range(lookback, len(returns)):
        weights = np.linalg.solve(
            np.cov(returns[t - lookback : t].T) + 1e-5 * np.eye(close.shape[1]), np.ones(close.shape[1])
        )
        out.append(returns[t] @ weights / weights.sum())
    return np.array(out)


NAIVE = {
    "buy and hold": _held,
    "equal weight": lambda close: (close[1:] / close[:-1] - 1).mean(axis=1),
    **{f"momentum {n}": (lambda close, n=n: _ranked(close, n, best=True)) for n in (5, 20, 60)},
    **{f"mean reversion {n}": (lambda close, n=n: _ranked(close, n, best=False)) for n in (5, 20, 60)},
    "minimum variance": _least_variance,
}


@pytest.mark.parametrize("strategy", NAIVE)
def test_no_naive_strategy_looks_clever_on_the_shipped_dataset(demo, strategy):
    assert _sharpe(NAIVE[strategy](demo.panel.close)) < 0.9


def test_the_shipped_dataset_rewards_holding_a_little_and_frightens_once(demo):
    returns = _held(demo.panel.close)
    assert 0.3 < _sharpe(returns) < 0.8
    value = np.cumprod(1 + returns)
    assert (1 - value / np.maximum.accumulate(value)).max() > 0.1


def test_a_million_can_be_traded_in_every_symbol_of_the_shipped_dataset(demo):
    money = demo.panel.close * demo.panel.volume
    assert money.min() > 10e6
    assert 50e6 < np.median(money) < 500e6


def test_a_tape_is_a_pure_function_of_its_design():
    first, second = synthesise(Design(bars=50, seed=3)), synthesise(Design(bars=50, seed=3))
    other = synthesise(Design(bars=50, seed=4))
    for field in ("dates", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
    assert (first.close != other.close).any()


def test_a_longer_tape_has_as_many_symbols_and_business_days_only():
    tape = synthesise(Design(bars=300, start=date(2020, 2, 1)))
    assert tape.dates[0] == np.datetime64("2020-02-03")
    assert np.is_busday(tape.dates).all()


@pytest.mark.parametrize("seed", range(3))
def test_prices_are_in_cents_and_within_their_range(seed):
    tape = synthesise(Design(bars=400, seed=seed, residual=0.6))
    for prices in (tape.open, tape.high, tape.low, tape.close):
        np.testing.assert_array_equal(prices, np.round(prices, 2))
    assert (tape.low > 0).all()
    assert (tape.high >= np.maximum(tape.open, tape.close)).all()
    assert (tape.low <= np.minimum(tape.open, tape.close)).all()
    assert (tape.volume == np.round(tape.volume)).all()


def test_innovations_have_the_moments_of_their_distributions():
    uniforms = Design(seed=5).uniforms("market", 200_000, 2)
    t = student(uniforms, 8.0)
    assert t.mean() == pytest.approx(0, abs=0.01)
    assert t.var() == pytest.approx(1, abs=0.02)
    assert (t**4).mean() == pytest.approx(3 + 6 / (8 - 4), rel=0.1)  # kurtosis 3 + 6/(n - 4)
    z = normal(uniforms)
    assert (z.mean(), z.var(), (z**4).mean()) == (
        pytest.approx(0, abs=0.01),
        pytest.approx(1, abs=0.02),
        pytest.approx(3, abs=0.1),
    )


def test_a_garch_process_has_its_level_and_clusters():
    design = Design(seed=1, alpha=0.1, beta=0.85, tail=8)
    x, sigma = garch(design, design.uniforms("market", 20_000, 8, 2), 0.2)
    assert x.std() * np.sqrt(252) == pytest.approx(0.2, rel=0.05)
    size = x**2 - (x**2).mean(axis=0)
    clustering = (size[1:] * size[:-1]).mean() / (size**2).mean()
    plain = (x[1:] * x[:-1]).mean() / (x**2).mean()
    assert clustering > 0.1
    assert abs(plain) < 0.02
    assert sigma.shape == x.shape


def test_symbols_of_one_sector_move_together_more_than_others_and_a_coupled_pair_most():
    design = Design(bars=4000, coupled=1, seed=2)
    returns, _ = log_returns(design)
    rho = np.corrcoef(returns.T)
    sector = np.arange(12) % 4
    same = (sector[:, None] == sector) & ~np.eye(12, dtype=bool)
    coupled = np.zeros((12, 12), dtype=bool)
    coupled[0, 4] = coupled[4, 0] = True
    assert rho[0, 4] > 0.9
    assert rho[same & ~coupled].mean() > rho[sector[:, None] != sector].mean() + 0.1


def test_coupling_changes_no_other_symbol():
    plain, paired = synthesise(Design(bars=30)), synthesise(Design(bars=30, coupled=1))
    others = [i for i in range(12) if i != 4]
    np.testing.assert_array_equal(plain.close[:, others], paired.close[:, others])


@pytest.mark.parametrize(
    "change",
    [
        {"sectors": 0}, {"sectors": 9}, {"symbols": 3}, {"symbols": 501}, {"bars": 2}, {"seed": -1}, {"coupled": 5},
        {"coupled": -1}, {"alpha": 0.5, "beta": 0.5}, {"alpha": -0.1}, {"tail": 2.0}, {"overnight": 1.0},
        {"coupling": 2.0},
    ],
)  # fmt: skip
def test_a_market_that_cannot_be_is_refused(change):
    with pytest.raises(UsageError, match="synthetic data: "):
        replace(Design(), **change)


def test_a_card_reads_back_as_it_was_written(tmp_path):
    card = synthetic_card("x", DEMO).model_copy(
        update={"source": 'a "quoted" \\ naïve\nsource', "sectors": {"A.B C": "é"}}
    )
    path = tmp_path / "card.toml"
    path.write_text(card_text(card), encoding="utf-8")
    assert cards.read(path, DatasetCard) == card


def test_nothing_is_overwritten(tmp_path):
    folder = write_synthetic(Design(bars=5), tmp_path / "x")
    before = Path(folder / "bars.parquet").read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        write_synthetic(Design(bars=9), folder)
    assert (folder / "bars.parquet").read_bytes() == before
