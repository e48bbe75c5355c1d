from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tradearena import cards, rooms
from tradearena.errors import UsageError
from tradearena.market.card import DatasetCard, Noisy
from tradearena.market.dataset import open_dataset
from tradearena.market.design import DAYS, VOLUME, Design, profile
from tradearena.market.moments import moments, volume_profile
from tradearena.market.synthetic import draw_returns, garch, normal, student, synthesise
from tradearena.market.writing import card_text, synthetic_card, write_synthetic
from tradearena.panel import Panel

DEMO = Design(seed=21, coupled=1)
INTRADAY = Design(seed=250, symbols=51, sectors=8, bars=840, frequency="1h", coupled=2)
SHIPPED = {"demo-daily": DEMO, "intraday-51": INTRADAY}
"""`tradearena data synth demo-daily --seed 21 --coupled 1`, and so on: the first seeds that pass what follows here."""


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request):
    return open_dataset(str(rooms.shipped() / "market_data" / request.param))


def _sharpe(returns, panel):
    return returns.mean() / returns.std(ddof=1) * np.sqrt(panel.bars_per_year)


def test_the_shipped_datasets_are_what_their_commands_make(shipped, tmp_path):
    name = shipped.card.name
    again = open_dataset(str(write_synthetic(SHIPPED[name], tmp_path / name)))
    assert again.panel.digest == shipped.panel.digest
    assert again.card == shipped.card
    assert f"tradearena data synth {name} --seed {SHIPPED[name].seed}" in shipped.card.source


def test_the_shipped_datasets_are_clean_and_small(shipped):
    design = SHIPPED[shipped.card.name]
    assert shipped.warnings == ()
    assert shipped.panel.close.shape == (design.bars, design.symbols)
    assert len(shipped.panel.sector_names) == design.sectors
    assert shipped.panel.valid.all()
    room = rooms.shipped() / "market_data"
    assert sum(file.stat().st_size for name in SHIPPED for file in (room / name).iterdir()) < 2_000_000


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
def test_no_naive_strategy_looks_clever_on_a_shipped_dataset(shipped, strategy):
    assert _sharpe(NAIVE[strategy](shipped.panel.close), shipped.panel) < 0.9


def test_the_shipped_datasets_reward_holding_a_little_and_frighten_once(shipped):
    returns = _held(shipped.panel.close)
    assert 0.3 < _sharpe(returns, shipped.panel) < 0.8
    value = np.cumprod(1 + returns)
    assert 0.12 < (1 - value / np.maximum.accumulate(value)).max() < 0.25


def test_a_million_can_be_traded_in_every_symbol_of_the_shipped_datasets(shipped):
    money = shipped.panel.close * shipped.panel.volume * SHIPPED[shipped.card.name].session
    assert money.min() > 10e6
    assert 50e6 < np.median(money) < 500e6


OBSERVED = {
    "1d": {
        "annual_volatility": 0.278, "excess_kurtosis": 2.735, "autocorrelation_1": 0.006, "clustering_1": 0.096,
        "clustering_5": 0.081, "clustering_20": 0.055, "mean_abs_correlation": 0.365, "p90_abs_correlation": 0.579,
        "pc1_share": 0.393, "tightest_pair": 0.994, "drawdown": 0.270, "symbol_drawdown": 0.386,
    },
    "1h": {
        "annual_volatility": 0.316, "autocorrelation_1": -0.011, "autocorrelation_5": -0.011,
        "mean_abs_correlation": 0.219, "p90_abs_correlation": 0.441, "pc1_share": 0.225, "tightest_pair": 0.994,
        "drawdown": 0.070, "symbol_drawdown": 0.159,
    },
}  # fmt: skip
"""Moments of 63 US symbols, 2021 to 2023, and of 51 by the hour in spring 2026: the table of `docs/data.md`."""


def _panel(design):
    tape = synthesise(design)
    prices = (tape.open, tape.high, tape.low, tape.close)
    names, ends = [name for name, _ in design.names], tape.start + np.timedelta64(1, "m")
    return Panel.of(names, tape.start, ends, prices, tape.volume, bars_per_year=DAYS * design.session)


@pytest.mark.parametrize("frequency", OBSERVED)
def test_moments_of_real_markets_lie_within_those_of_invented_ones(frequency):
    size = {"1d": {"symbols": 63, "bars": 753}, "1h": {"symbols": 51, "bars": 414}}[frequency]
    designs = [Design(frequency=frequency, sectors=8, coupled=2, seed=seed, **size) for seed in range(1, 26)]
    found = [moments(_panel(design)) for design in designs]
    for name, observed in OBSERVED[frequency].items():
        values = [one[name] for one in found]
        assert min(values) <= observed <= max(values), name


def test_volume_within_the_session_is_a_u():
    share = volume_profile(_panel(INTRADAY), ZoneInfo("UTC"))
    np.testing.assert_allclose(share, profile(INTRADAY.edges, *VOLUME), atol=0.005)
    assert share.sum() == pytest.approx(1)
    assert share[0] > 2 * share[3]
    assert share[-1] > 1.5 * share[4]
    assert not len(volume_profile(_panel(Design(bars=30)), ZoneInfo("UTC")))


def test_moments_of_too_few_bars_are_unknown():
    assert np.isnan(list(moments(_panel(Design(bars=10))).values())).all()


@pytest.mark.parametrize(("frequency", "bars"), [("1d", 1), ("390m", 1), ("1h", 7), ("30m", 13), ("5m", 78)])
def test_bars_of_a_session_share_its_variance_and_its_night(frequency, bars):
    design = Design(frequency=frequency)
    share, night = design.spread
    assert len(share) == design.session == bars
    assert share.sum() == pytest.approx(1)
    assert share @ night == pytest.approx(design.overnight)
    assert (night[1:] == 0).all()


def test_a_day_of_bars_is_as_volatile_as_a_daily_bar():
    hourly = draw_returns(Design(frequency="1h", bars=7 * 4000, seed=3)).total.reshape(4000, 7, -1).sum(axis=1)
    daily = draw_returns(Design(bars=4000, seed=4, drift=0.08)).total
    assert np.sqrt(hourly.var(axis=0).mean() / daily.var(axis=0).mean()) == pytest.approx(1, abs=0.12)


def test_hourly_bars_stand_in_the_session_of_new_york_and_are_read_back_as_they_were_written(tmp_path):
    design = Design(frequency="1h", bars=70, start=date(2020, 3, 2))
    tape = synthesise(design)
    dataset = open_dataset(str(write_synthetic(design, tmp_path / "x")))
    opens = dataset.panel.start[::7].astype("datetime64[m]")
    assert {str(time)[11:] for time in opens} == {"14:30", "13:30"}  # clocks go forward on 8 March
    assert len(set(tape.start.astype("datetime64[D]").tolist())) == 10
    by_name = np.argsort([name for name, _ in design.names])
    for field in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(dataset.panel, field), getattr(tape, field)[:, by_name])
    assert dataset.warnings == ()


@pytest.mark.parametrize("edge", [4.0, *(pytest.param(e, marks=pytest.mark.slow) for e in (-4.0, 0.0))])
def test_a_planted_edge_has_the_sharpe_ratio_it_states(edge):
    design = Design(bars=20_000, edge=edge, drift=0.0, seed=8, symbols=8, coupled=1)
    drawn = draw_returns(design)
    earned = (drawn.signal * drawn.residual / drawn.residual_sigma).mean(axis=1)[design.lookback :]
    years = len(earned) / DAYS
    assert earned.mean() / earned.std() * np.sqrt(DAYS) == pytest.approx(edge, abs=3 / np.sqrt(years))
    np.testing.assert_array_equal(drawn.signal[50], np.sign(drawn.residual[50 - design.lookback : 50].sum(axis=0)))


@pytest.mark.parametrize("paths", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_without_drift_and_edge_nothing_is_earned_on_average(paths):
    simple = np.concatenate([
        np.expm1(draw_returns(Design(drift=0.0, seed=seed, symbols=4, bars=2000)).total) for seed in range(paths)
    ])  # fmt: skip
    error = simple.mean(axis=1).std() / np.sqrt(len(simple))
    assert abs(simple.mean()) < 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("paths", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_a_rough_past_promises_no_reward(paths):
    """Whatever volatility is known at the open, the expected simple return is the drift's."""
    drawn = [draw_returns(Design(drift=0.0, seed=seed, symbols=4, bars=4000)) for seed in range(paths)]
    earned = np.concatenate([np.expm1(each.total).mean(axis=1) for each in drawn])
    rough = np.concatenate([each.sigma.mean(axis=1) for each in drawn])
    weights = rough / rough.mean() - 1  # holds more the rougher it is
    error = (earned * weights).std() / np.sqrt(len(earned))
    assert abs((earned * weights).mean()) < 3 * error


def test_a_night_moves_the_market_and_a_pair_together():
    design = Design(coupled=2, seed=3, bars=2000)
    tape = synthesise(design)
    night = np.log(tape.open[1:] / tape.close[:-1])
    rho = np.corrcoef(night.T)
    assert all(rho[pair] > 0.97 for pair in design.pairs)
    returns = np.diff(np.log(tape.close), axis=0)
    above = np.triu_indices(design.symbols, 1)
    assert rho[above].mean() == pytest.approx(np.corrcoef(returns.T)[above].mean(), abs=0.06)
    share = (night.mean(axis=1).var() / returns.mean(axis=1).var(), design.overnight)
    assert share[0] == pytest.approx(share[1], abs=0.07)


def test_an_edge_of_none_changes_no_bar():
    plain, other = synthesise(Design(bars=60)), synthesise(Design(bars=60, edge=0.0, lookback=9))
    np.testing.assert_array_equal(plain.close, other.close)
    assert (synthesise(Design(bars=60, edge=3.0)).close != plain.close).any()


def test_prices_that_cannot_be_written_are_refused():
    with pytest.raises(UsageError, match="synthetic data: prices rise above 1e"):
        synthesise(Design(drift=10.0, bars=5000))


def test_a_tape_is_a_pure_function_of_its_design():
    first, second = synthesise(Design(bars=50, seed=3)), synthesise(Design(bars=50, seed=3))
    other = synthesise(Design(bars=50, seed=4))
    for field in ("start", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
    assert (first.close != other.close).any()


def test_a_longer_tape_has_as_many_symbols_and_business_days_only():
    tape = synthesise(Design(bars=300, start=date(2020, 2, 1)))
    assert tape.start[0] == np.datetime64("2020-02-03")
    assert np.is_busday(tape.start.astype("datetime64[D]")).all()


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
    assert x.std() * np.sqrt(DAYS) == pytest.approx(0.2, rel=0.05)
    size = x**2 - (x**2).mean(axis=0)
    clustering = (size[1:] * size[:-1]).mean() / (size**2).mean()
    plain = (x[1:] * x[:-1]).mean() / (x**2).mean()
    assert clustering > 0.1
    assert abs(plain) < 0.02
    assert sigma.shape == x.shape


def test_symbols_of_one_sector_move_together_more_than_others_and_a_coupled_pair_most():
    design = Design(bars=4000, coupled=1, seed=2)
    rho = np.corrcoef(draw_returns(design).total.T)
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
        {"coupling": 2.0}, {"frequency": "2d"}, {"frequency": "7h"}, {"frequency": "90s"}, {"frequency": "often"},
        {"edge": 11.0}, {"lookback": 0}, {"drift": -1.0}, {"scenes": -1}, {"scenes": 99}, {"scene": 0}, {"depth": -0.1},
        {"dispersion": -0.1}, {"bars": 60_000, "symbols": 2, "sectors": 1}, {"start": date(2199, 12, 1)},
        {"start": date(1799, 12, 31)}, {"strength": 10.1},
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
    for written in (card, card.model_copy(update={"noise": Noisy(size=0.1, unit="volatility", seed=3, of="0" * 64)})):
        path.write_text(card_text(written), encoding="utf-8")
        assert cards.read(path, DatasetCard) == written


def test_nothing_is_overwritten(tmp_path):
    folder = write_synthetic(Design(bars=5), tmp_path / "x")
    before = Path(folder / "bars.parquet").read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        write_synthetic(Design(bars=9), folder)
    assert (folder / "bars.parquet").read_bytes() == before


def test_an_interrupted_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tradearena.market.writing.write_bars", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(Design(bars=5), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
