import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import account_of, estimate_of, panel_of, seeds

from tradearena.policy import Limits
from tradearena.portfolio.covariance import correlation
from tradearena.risk.clusters import coupled_clusters
from tradearena.risk.monitor import RiskMonitor


def correlations(seed, n):
    """Correlations of n symbols that share factors to different degrees, some of them twins."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((30, rng.integers(1, 4)))
    loads = rng.integers(0, 2, (factors.shape[1], n)) * rng.uniform(0.5, 4, n)
    returns = factors @ loads + rng.choice((0.1, 1.0)) * rng.standard_normal((30, n))
    return correlation(np.atleast_2d(np.cov(returns.T)))


def average_linkage(rho, least):
    """Join the two groups with the highest mean correlation, as long as it reaches `least`."""
    groups = [{i} for i in range(len(rho))]
    while len(groups) > 1:
        mean, a, b = max(
            (np.mean([rho[i, j] for i in groups[a] for j in groups[b]]), a, b)
            for a in range(len(groups))
            for b in range(a)
        )
        if mean < least:
            break
        groups[b] |= groups.pop(a)
    return {frozenset(group) for group in groups}


def partition(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


@settings(max_examples=400)
@given(seeds, st.integers(1, 9), st.floats(0.05, 0.95))
def test_clusters_are_those_of_average_linkage_written_plainly(seed, n, least):
    rho = correlations(seed, n)
    assert partition(coupled_clusters(rho, least)) == average_linkage(rho, least)


@settings(max_examples=400)
@given(seeds, st.integers(0, 40), st.floats(0.05, 0.95))
def test_clusters_are_numbered_by_their_first_member(seed, n, least):
    labels = coupled_clusters(correlations(seed, n) if n else np.zeros((0, 0)), least)
    assert labels.dtype == np.int16
    assert len(labels) == n
    assert list(dict.fromkeys(labels.tolist())) == list(range(len(set(labels.tolist()))))


@settings(max_examples=400)
@given(seeds, st.integers(2, 12), st.floats(0.05, 0.95))
def test_the_order_of_symbols_changes_no_cluster(seed, n, least):
    rho = correlations(seed, n)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = coupled_clusters(rho[np.ix_(order, order)], least)
    assert {frozenset(order[list(group)].tolist()) for group in partition(shuffled)} == partition(
        coupled_clusters(rho, least)
    )


def test_two_share_classes_are_one_cluster_and_strangers_are_not():
    rho = np.array([[1.0, 0.1, 0.99], [0.1, 1.0, 0.2], [0.99, 0.2, 1.0]])
    assert coupled_clusters(rho, 0.8).tolist() == [0, 1, 0]


def test_a_chain_is_not_one_cluster():
    # A-B at 0.86, B-C at 0.85, A-C at 0.5: C joins a pair at a mean of 0.675, below 0.8. Single linkage would chain.
    rho = np.array([[1.0, 0.86, 0.5], [0.86, 1.0, 0.85], [0.5, 0.85, 1.0]])
    assert coupled_clusters(rho, 0.8).tolist() == [0, 0, 1]
    assert coupled_clusters(rho, 0.67).tolist() == [0, 0, 0]


def test_a_mean_correlation_of_exactly_the_cut_couples():
    for least in (0.5, 0.8, 0.9, 0.1):
        rho = np.array([[1.0, least], [least, 1.0]])
        assert coupled_clusters(rho, least).tolist() == [0, 0]
        rho[0, 1] = rho[1, 0] = np.nextafter(least, 0)
        assert coupled_clusters(rho, least).tolist() == [0, 1]


def test_opposites_are_not_coupled():
    assert coupled_clusters(np.array([[1.0, -1.0], [-1.0, 1.0]]), 0.8).tolist() == [0, 1]


def test_symbols_that_all_move_as_one_are_one_cluster():
    assert coupled_clusters(np.ones((60, 60)), 0.8).tolist() == [0] * 60


@pytest.fixture
def hourly_stocks(real_data):
    """A panel of the 51 real stocks, over the hours that all of them share."""
    path = real_data / "ohlcv_hourly_50.parquet"
    query = f"pivot (select timestamp, symbol, close from '{path}') on symbol using first(close) order by timestamp"
    with duckdb.connect() as db:
        columns = db.sql(query).fetchnumpy()
    names = [name for name in columns if name != "timestamp"]
    close = np.stack([np.ma.filled(columns[name].astype(float), np.nan) for name in names], axis=1)
    close = close[np.isfinite(close).all(axis=1)]
    return panel_of(close, close, symbols=names)


def test_on_real_hourly_stocks_clusters_stay_small_and_share_classes_stay_together(hourly_stocks):
    assert len(hourly_stocks.symbols) == 51
    goog, googl = (hourly_stocks.symbols.index(name) for name in ("GOOG", "GOOGL"))
    monitor = RiskMonitor(hourly_stocks, Limits())
    account = account_of(np.zeros(51))
    estimate = estimate_of(np.eye(51))
    for t in range(60, len(hourly_stocks), 5):
        clusters = monitor.state(t, account, estimate)[0].clusters
        assert np.bincount(clusters).max() <= 8
        assert clusters[goog] == clusters[googl]
