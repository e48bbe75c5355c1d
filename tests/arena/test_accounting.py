"""The account of a whole episode, worked out again from the file alone, by someone who has nothing but DuckDB."""

from __future__ import annotations

import asyncio
import shutil
from functools import lru_cache

import duckdb
import numpy as np
import pytest
from stage import FREE, TIGHT, asked, plan, walk, with_latency

from tradearena import policy as policies
from tradearena.agents.agent import Seat
from tradearena.agents.card import open_agent
from tradearena.analysis.metrics import metrics, validity
from tradearena.arena import experiment
from tradearena.arena.episode import play
from tradearena.arena.plan import BASELINES, Plan, rehearse
from tradearena.arena.tally import Tally
from tradearena.market.dataset import open_dataset
from tradearena.market.window import Window
from tradearena.policy import Execution, Limits, Policy
from tradearena.store.reader import Reader

pytestmark = pytest.mark.xdist_group("played")  # whose episodes are played once

SHORTING = Policy(
    name="shorting",
    limits=Limits(allow_short=True, gross=3.0),
    execution=Execution(initial_cash=50_000, commission_bps=5, half_spread_bps=3, impact_bps=20, borrow_rate=0.3),
)


def swings(seen):
    """Long one half, short the other, turned around every third bar."""
    sign = 1.0 if (seen.t // 3) % 2 else -1.0
    return [sign, -sign, 0.5 * sign, -0.5 * sign, 0.1]


@lru_cache(maxsize=1)
def opened(path):
    """A finished file in plain DuckDB: a copy, so that it can be read otherwise meanwhile."""
    return duckdb.connect(str(shutil.copy(path, path.with_name("copy.duckdb"))), read_only=True)


def table(path, query):
    """The answer to a query as columns."""
    found = opened(path).execute(query).fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items()}


def vectors(path, name, column):
    rows = opened(path).execute(f'SELECT "{column}" FROM {name} ORDER BY t').fetchall()
    return np.array([list(row[0]) for row in rows])


CASES = [
    ("momentum", TIGHT, 2, 1, 0.1),
    ("equal-weight", TIGHT, 3, 5, 0.1),
    ("random", FREE, 2, 2, 0.0),
    ("random", FREE, 3, 1, 0.1),
    ("markowitz", TIGHT, 1, 2, 0.1),
    ("swings", SHORTING, 1, 1, 0.0),
    ("swings", SHORTING, 2, 1, 0.1),
    ("swings", SHORTING, 3, 4, 0.1),
]


REAL = [
    ("markowitz", "ohlcv_daily_51", "intersection"),
    ("markowitz", "ohlcv_daily_51", "union"),
    ("organism-momentum", "ohlcv_daily_51", "union"),
    ("momentum", "crypto8_hourly_gappy", "union"),
    ("organism-obedient", "crypto8_hourly_gappy", "union"),
    ("equal-weight", "crypto8_hourly_gappy", "intersection"),
]
"""Real calendars that differ: stocks beside coins, and coins with gaps of up to nine hours."""


def invented(name, policy, latency, every, gaps):
    """A plan on a random walk."""
    candidate = asked(swings, "swings") if name == "swings" else open_agent(name)
    return plan(walk(3, 70, gaps=gaps), candidate, policy=with_latency(policy, latency), every=every)


def real(folder, agent, name, calendar):
    """A plan on real bars."""
    dataset = open_dataset(str(folder / f"{name}.parquet"), calendar=calendar)
    return Plan(dataset, policies.load("standard"), Window(steps=80), (open_agent(agent),), (0,), ("hidden",))


@pytest.fixture(scope="module", params=[*CASES, *REAL], ids=lambda case: "-".join(map(str, [case[0], *case[2:]])))
def played(request, tmp_path_factory):
    """A finished episode: its plan and its file."""
    if request.param in CASES:
        made = invented(*request.param)
    else:
        made = real(request.getfixturevalue("real_data"), *request.param)
    path = tmp_path_factory.mktemp("played") / "mine.duckdb"
    outcome = experiment.run(made, path)
    assert outcome.failure is None
    return made, path


def test_cash_and_shares_are_what_the_fills_made_of_them_to_the_cent(played):
    made, path = played
    marks = table(path, "FROM mark ORDER BY t")
    fills = table(path, "FROM fill ORDER BY t, symbol")
    n, cash = len(made.dataset.panel.symbols), made.policy.execution.initial_cash
    known = vectors(path, "bars", "close")
    for i in range(1, len(known)):  # the last known close
        known[i] = np.where(np.isnan(known[i]), known[i - 1], known[i])
    known, shares, owed = np.nan_to_num(known), np.zeros(n), 0.0
    held = dict(zip(table(path, "SELECT t FROM step ORDER BY t")["t"], vectors(path, "step", "shares"), strict=True))
    for i, t in enumerate(marks["t"]):
        now = fills["t"] == t
        money = fills["quantity"][now] * fills["price"][now]
        cost = fills["commission"][now] + fills["spread"][now] + fills["impact"][now]
        np.add.at(shares, fills["symbol"][now], fills["quantity"][now])
        paid = owed + marks["borrow"][i] - marks["owed"][i]
        cash -= money.sum() + cost.sum() + paid
        owed = marks["owed"][i]
        assert paid >= -1e-9
        assert marks["cash"][i] == pytest.approx(cash, abs=0.005)
        assert marks["cash"][i] >= -1e-6 or made.policy.limits.allow_short
        assert marks["nav"][i] == pytest.approx(cash + shares @ known[t] - owed, abs=0.005)
        if t in held:
            np.testing.assert_allclose(held[t], shares, atol=1e-9 * (1 + np.abs(shares).max()))


def test_every_bar_is_marked_and_every_decision_is_a_step(played):
    made, path = played
    span = made.span
    assert table(path, "SELECT t FROM mark ORDER BY t")["t"].tolist() == list(range(span.first, span.last + 1))
    assert table(path, "SELECT t FROM step ORDER BY t")["t"].tolist() == list(span.decisions)
    assert span.last == (len(made.dataset.panel) - 1 if made.window.steps is None else span.first + made.window.steps)
    assert span.decisions[-1] + made.policy.execution.latency <= span.last


def test_every_order_is_filled_or_cancelled_at_the_open_it_was_due_at(played):
    made, path = played
    fills = table(path, "FROM fill ORDER BY t, symbol")
    panel, latency = made.dataset.panel, made.policy.execution.latency
    assert set(fills["t"] - fills["decided"]) == {latency}
    assert set(fills["decided"]) <= set(made.span.decisions)
    assert (fills["ordered"] != 0).all()
    assert (np.abs(fills["quantity"]) <= np.abs(fills["ordered"])).all()
    filled = fills["quantity"] != 0
    assert (fills["price"][filled] == panel.open[fills["t"][filled], fills["symbol"][filled]]).all()
    assert ((fills["quantity"] == fills["ordered"]) == (fills["cause"] == 0)).all()


def test_the_orders_of_the_last_decisions_are_on_file(played):
    """With a latency of three bars, three decisions are still in flight when the last one is made."""
    made, path = played
    fills = table(path, "SELECT DISTINCT decided FROM fill ORDER BY decided")
    if made.candidates[0].card.name in ("swings", "random") and made.window.every == 1:
        latency = made.policy.execution.latency
        assert fills["decided"][-latency:].tolist() == list(made.span.decisions)[-latency:]


def test_orders_take_position_and_orders_in_flight_to_what_was_approved(played):
    made, path = played
    panel, latency = made.dataset.panel, made.policy.execution.latency
    steps = table(path, "SELECT t FROM step ORDER BY t")["t"]
    navs = dict(zip(*table(path, "SELECT t, nav FROM mark").values(), strict=True))
    approved, shares = vectors(path, "step", "approved"), vectors(path, "step", "shares")
    fills = table(path, "FROM fill")
    ordered = np.zeros((len(panel), len(panel.symbols)))
    ordered[fills["decided"], fills["symbol"]] = fills["ordered"]
    for i, t in enumerate(steps):
        flight = ordered[max(t - latency + 1, 0) : t].sum(axis=0)  # decided, and not due by the open of t
        live = panel.tradable[t]
        target = approved[i] * navs[t] / np.where(panel.mark[t] > 0, panel.mark[t], 1.0)
        expected = np.where(live, target - shares[i] - flight, 0.0)
        lot = made.policy.execution.lot * panel.mark[t]  # what is less than a lot is not ordered
        assert (np.abs(ordered[t] - expected) * panel.mark[t] <= lot + 1e-8 * navs[t]).all()


def test_the_views_weigh_the_account_to_one_at_every_step(played):
    made, path = played
    found = table(
        path,
        "SELECT s.t, any_value(m.cash - m.owed) / any_value(m.nav) + sum(w.executed) AS whole, count(*) AS n "
        "FROM weights w JOIN steps s USING (episode, t) JOIN mark m USING (episode, t) GROUP BY s.t",
    )
    np.testing.assert_allclose(found["whole"], 1.0, rtol=0, atol=1e-12)
    assert set(found["n"]) == {len(made.dataset.panel.symbols)}


def test_what_does_not_trade_is_not_dealt_in_keeps_its_mark_and_is_flagged(played):
    made, path = played
    panel = made.dataset.panel
    symbols = {symbol: i for i, symbol in enumerate(panel.symbols)}
    found = table(path, "SELECT t, symbol, mark, stale FROM bar WHERE mark IS NOT NULL")
    at = found["t"], np.array([symbols[symbol] for symbol in found["symbol"].tolist()])
    assert (found["stale"].astype(bool) == ~panel.tradable[at]).all()
    assert (found["mark"] == panel.mark[at]).all()
    idle = table(path, "SELECT count(*) AS n FROM fills JOIN bar USING (t, symbol) WHERE stale AND quantity <> 0")
    assert idle["n"].tolist() == [0]
    steps, shares = table(path, "SELECT t FROM step ORDER BY t")["t"], vectors(path, "step", "shares")
    resting = table(path, "SELECT count(*) AS n FROM weights WHERE stale AND executed <> 0")
    assert resting["n"].tolist() == [((shares * panel.mark[steps] != 0) & ~panel.tradable[steps]).sum()]


def test_the_views_say_what_the_tables_say(played):
    made, path = played
    panel = made.dataset.panel
    view = table(path, "SELECT t, symbol, intent, approved, reference FROM weights ORDER BY t, symbol")
    for name in ("intent", "approved", "reference"):
        assert view[name].tobytes() == vectors(path, "step", name).ravel().tobytes()
    names = table(path, "SELECT symbol, cause, ordered FROM fills ORDER BY t, symbol")
    raw = table(path, "SELECT symbol, cause, ordered FROM fill ORDER BY t, symbol")
    assert [panel.symbols[i] for i in raw["symbol"]] == names["symbol"].tolist()
    assert raw["ordered"].tobytes() == names["ordered"].tobytes()
    bars = table(path, "SELECT close, mark, volume FROM bar ORDER BY t, symbol")
    assert np.array_equal(bars["close"], panel.close.ravel(), equal_nan=True)
    assert np.array_equal(bars["volume"], panel.volume.ravel())
    known = np.ma.filled(np.ma.masked_invalid(bars["mark"].astype(float)), 0.0)
    assert np.array_equal(known, panel.mark.ravel())
    assert table(path, "SELECT count(*) AS n FROM steps")["n"][0] == len(made.span.decisions)


def test_metrics_of_the_file_are_metrics_of_the_episode_that_was_not_kept(played):
    made, path = played
    with Reader(path) as reader:
        on_file = reader.trajectory(reader.episode(None).id)
    setting, tally = made.setting(made.span), Tally(made.dataset.panel, made.policy.execution.initial_cash)
    agent = made.candidates[0].seat(Seat(0, lambda t: setting.reference.at(t).weights))
    asyncio.run(play(agent, setting, tally))
    in_memory = tally.trajectory()
    told, again = metrics(on_file), metrics(in_memory)
    assert told.keys() == again.keys()
    for key, value in told.items():
        assert value == (None if again[key] is None else pytest.approx(again[key], rel=1e-12, abs=1e-12)), key
    assert validity(on_file) == validity(in_memory)


def test_baselines_are_the_episodes_one_would_have_run(tmp_path):
    panel = walk(3, 70, gaps=0.05)
    for name in BASELINES:
        made = plan(panel, open_agent(name), policy=TIGHT)
        outcome = experiment.run(made, tmp_path / f"{name}.duckdb")
        with Reader(outcome.path) as reader:
            kept = reader.trajectory(outcome.episodes[0])
        assert kept.nav.tobytes() == rehearse(made, name).nav.tobytes(), name
