from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import account_of, estimate_of, market, panel_of, seeds

from tradearena.panel import Panel
from tradearena.policy import Limits, Reference
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.monitor import ENOUGH, RiskMonitor


def flat(bars, n=1):
    return panel_of(np.ones((bars, n)), np.ones((bars, n)))


def halts(navs, limits):
    """Is the kill switch on, bar by bar?"""
    monitor = RiskMonitor(flat(len(navs)), limits)
    account, estimate = account_of(np.zeros(1)), estimate_of(np.eye(1))
    seen = []
    for t, nav in enumerate(navs):
        monitor.mark(t, nav)
        seen.append(monitor.state(t, account, estimate)[0].halted)
    return seen


# ---------------------------------------------------------------------- kill switch


def test_the_cooldown_counts_from_the_first_decision_that_was_halted():
    monitor = RiskMonitor(flat(8), Limits(drawdown=0.1, cooldown=2))
    account, estimate = account_of(np.zeros(1)), estimate_of(np.eye(1))
    halted = {}
    for t, nav in enumerate([100, 80, 80, 80, 80, 80, 80, 80]):
        monitor.mark(t, nav)
        if t in (0, 4, 5, 6, 7):  # nobody decides while the cooldown would have passed unnoticed
            halted[t] = monitor.state(t, account, estimate)[0].halted
    assert halted == {0: False, 4: True, 5: True, 6: False, 7: False}


@pytest.mark.parametrize("fall", [0.1, 0.2, 0.25, 0.3])
def test_the_kill_switch_trips_when_the_fall_reaches_the_limit(fall):
    # 1 - 90/100 is 0.09999999999999998 in floats: a fall of a tenth all the same.
    peak, least = 100.0, 100.0 * (1 - fall)
    assert halts([peak, least * 1.0001, least], Limits(drawdown=fall)) == [False, False, True]


def test_the_fall_is_measured_from_the_highest_nav_and_not_from_the_first():
    assert halts([100, 200, 181, 179], Limits(drawdown=0.1)) == [False, False, False, True]


def test_trading_is_halted_for_the_cooldown_and_the_peak_starts_anew():
    # Tripped at bar 1; on again at bar 4, whatever the NAV does meanwhile. From there 45 is the peak: a fall of a
    # tenth from 45 is 40.5, while from 100 the switch would have tripped at once.
    navs = [100, 80, 50, 120, 45, 42, 40.5, 40.5, 40.5, 40.5]
    assert halts(navs, Limits(drawdown=0.1, cooldown=3)) == [0, 1, 1, 1, 0, 0, 1, 1, 1, 0]


def test_a_peak_reached_while_halted_is_forgotten_too():
    assert halts([100, 80, 300, 100, 95], Limits(drawdown=0.1, cooldown=2)) == [0, 1, 1, 0, 0]


def test_without_a_limit_nothing_trips():
    assert not any(halts([100, 1, 0.01], Limits()))


@settings(max_examples=300)
@given(st.lists(st.floats(1, 200), min_size=1, max_size=40), st.sampled_from((0.05, 0.2, 0.5)), st.integers(1, 6))
def test_the_kill_switch_follows_its_rule_on_any_path(navs, limit, cooldown):
    expected, peak, since = [], navs[0], None
    for t, nav in enumerate(navs):
        if since is not None and t == since + cooldown:
            since, peak = None, nav
        peak = max(peak, nav)
        if since is None and (peak - nav) / peak >= limit - 1e-9:
            since = t
        expected.append(since is not None)
    assert halts(navs, Limits(drawdown=limit, cooldown=cooldown)) == expected


# ---------------------------------------------------------------------- clusters


def couples(bars, *, switch):
    """Two symbols that move as one up to bar `switch` and as strangers from there; a third is always a stranger."""
    rng = np.random.default_rng(1)
    a, b, c = rng.standard_normal((3, bars)) * 0.01
    b = np.where(np.arange(bars) < switch, a, b)
    close = 100 * np.exp(np.cumsum(np.stack((a, b, c), axis=1), axis=0))
    return panel_of(close, close)


def clusters_seen(panel, limits, bars):
    monitor = RiskMonitor(panel, limits)
    account, estimate = account_of(np.zeros(len(panel.symbols))), estimate_of(np.eye(len(panel.symbols)))
    for t in bars:
        state, changed = monitor.state(t, account, estimate)
        yield t, state.clusters.tolist(), changed


def test_clusters_are_refreshed_every_few_bars_and_told_where_they_changed():
    panel = couples(200, switch=100)
    seen = list(clusters_seen(panel, Limits(cluster_lookback=25, cluster_refresh=7), range(30, 200)))
    told = [t for t, _, changed in seen if changed is not None]
    assert told[0] == 30
    assert told[1] > 100
    assert [(t - 30) % 7 for t in told] == [0, 0]
    for t, clusters, changed in seen:
        assert clusters == ([0, 0, 1] if t < told[1] else [0, 1, 2])
        assert changed is None or changed.tolist() == clusters


def test_with_decisions_far_apart_clusters_are_refreshed_at_each():
    panel = couples(200, switch=100)
    seen = [clusters for _, clusters, _ in clusters_seen(panel, Limits(cluster_lookback=25), range(30, 200, 20))]
    assert seen == [[0, 0, 1]] * 4 + [[0, 1, 2]] * 5


def test_each_symbol_stays_alone_until_there_are_returns_enough():
    # Two returns of any two symbols correlate at 1 or -1: nothing can be learnt from so few.
    panel = couples(60, switch=60)
    for t, clusters, _ in clusters_seen(panel, Limits(), range(60)):
        assert clusters == ([0, 1, 2] if t < ENOUGH else [0, 0, 1])


def test_clusters_see_the_lookback_of_bars_and_no_bar_more():
    # Two strangers share one great jump, at bar 30. The window of 25 bars that ends at bar 54 holds it, the next not.
    rng = np.random.default_rng(3)
    moves = 0.001 * rng.standard_normal((60, 2))
    moves[30] = 0.5
    close = 100 * np.exp(np.cumsum(moves, axis=0))
    limits = Limits(cluster_lookback=25, cluster_refresh=1)
    for t, clusters, _ in clusters_seen(panel_of(close, close), limits, range(25, 60)):
        assert clusters == ([0, 0] if 30 <= t <= 54 else [0, 1])


def test_share_classes_are_coupled_however_calm_they_are_and_however_many_others_there_are():
    # Shrinkage to the identity lends the calm the variance of the wild: their correlation would fall to a third.
    rng = np.random.default_rng(0)
    moves = 0.02 * rng.standard_normal((61, 50))
    moves[:, 0] = 0.005 * rng.standard_normal(61)
    moves[:, 1] = moves[:, 0] + 0.0003 * rng.standard_normal(61)
    close = 100 * np.exp(np.cumsum(moves, axis=0))
    ((_, clusters, _),) = clusters_seen(panel_of(close, close), Limits(), [60])
    assert clusters == [0, *range(49)]


# ---------------------------------------------------------------------- liquidity


def test_liquidity_is_a_part_of_the_trailing_mean_volume_in_weights():
    # Mean volume of the last two bars (30 and 0 or 50): 15 and 40; a tenth of it at closes of 20 and 5, over a NAV of
    # 1000: 15 * 0.1 * 20 / 1000 = 0.03 and 40 * 0.1 * 5 / 1000 = 0.02.
    close = [[10.0, 4.0], [11.0, 4.5], [20.0, 5.0]]
    panel = panel_of(close, close, [[9e9, 9e9], [30.0, 30.0], [0.0, 50.0]])
    monitor = RiskMonitor(panel, Limits(liquidity=0.1, liquidity_lookback=2))
    state, _ = monitor.state(2, account_of(np.zeros(2), nav=1000.0), estimate_of(np.eye(2)))
    assert state.liquidity == pytest.approx([0.03, 0.02])


def test_without_a_limit_on_liquidity_none_is_stated():
    assert RiskMonitor(flat(3), Limits()).state(2, account_of(np.zeros(1)), estimate_of(np.eye(1)))[0].liquidity is None


def test_a_dataset_without_volume_is_infinitely_liquid_and_a_symbol_not_yet_listed_not_at_all():
    close = [[10.0, np.nan], [10.0, np.nan], [10.0, np.nan]]
    monitor = RiskMonitor(panel_of(close, close, np.inf), Limits(liquidity=0.1))
    state, _ = monitor.state(2, account_of(np.zeros(2)), estimate_of(np.eye(2)))
    assert state.liquidity.tolist() == [np.inf, 0.0]


# ---------------------------------------------------------------------- no look ahead


def episode_states(panel, limits, last):
    """States at every third bar up to and including the last."""
    monitor, reference = RiskMonitor(panel, limits), RollingMarkowitz(panel, Reference(lookback=10))
    n = len(panel.symbols)
    for t in range(last + 1):
        monitor.mark(t, 1e6 * (1 + float(panel.returns[: t + 1].sum(axis=0).mean())) ** 2 + 1)
        if (last - t) % 3 == 0:
            yield monitor.state(t, account_of(np.full(n, 0.5 / n)), reference.at(t))


def rewritten(panel, t, rng):
    """The same panel with other bars after t."""

    def other(array):
        return np.concatenate((array[: t + 1], array[t + 1 :] * rng.uniform(0.5, 2.0, array[t + 1 :].shape)))

    prices = (other(panel.open), other(panel.high), other(panel.low), other(panel.close))
    return Panel.of(panel.symbols, panel.start, panel.end, prices, other(panel.volume), bars_per_year=252.0)


@settings(max_examples=60)
@given(seeds, st.integers(2, 5), st.integers(5, 38))
def test_what_comes_after_a_bar_changes_nothing_in_its_state(seed, n, t):
    rng = np.random.default_rng(seed)
    panel = market(rng, 40, n)
    limits = Limits(liquidity=0.1, drawdown=0.1, cooldown=3, cluster_lookback=12, cluster_refresh=2)
    theirs, ours = (list(episode_states(p, limits, t)) for p in (panel, rewritten(panel, t, rng)))
    assert len(theirs) == len(ours) > 1
    for (one, told), (two, heard) in zip(theirs, ours, strict=True):
        for field in fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
        assert (told is None) == (heard is None)
