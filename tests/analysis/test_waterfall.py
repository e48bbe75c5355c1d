"""What an episode earned, part by part, is what it earned: to the cent, at every decision, in every symbol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import TIGHT, asked, dataset, first_schema, walk
from strategies import few

from tradearena.agents.card import open_agent
from tradearena.analysis.waterfall import PAID, RISK, Waterfall, waterfall_of
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.errors import StoreError
from tradearena.market.window import Window
from tradearena.policy import Execution, Limits, Policy
from tradearena.risk.trail import RULES
from tradearena.store.reader import Reader

CENT = 0.005
SHORT = Limits(allow_short=True, single_name=0.4, gross=1.2, net=0.5, turnover=0.6)
COSTS = Execution(
    initial_cash=50_000, latency=2, participation=0.04, commission_bps=3, commission_minimum=1, half_spread_bps=4,
    impact_bps=60, borrow_rate=0.2, lot=1,
)  # fmt: skip


def restless(seed: int, n: int):
    """Targets that have nothing to do with each other, long and short, beyond every limit; at times it keeps."""

    def ask(seen):
        dice = np.random.default_rng([seed, seen.t])
        return None if dice.random() < 0.1 else dict(zip(seen.symbols, dice.normal(0.1, 0.5, n), strict=True))

    return asked(ask, "restless")


def played(folder: Path, policy: Policy, agent, seed=1, *, gaps=0.1, every=1, n=4, steps=15) -> Path:
    plan = Plan(
        dataset(walk(seed, bars=50, n=n, gaps=gaps)),
        policy,
        Window(steps=steps, every=every),
        (agent,),
        modes=("hidden",),
    )
    path = folder / f"{seed}-{every}-{policy.name}.duckdb"
    path.unlink(missing_ok=True)
    experiment.run(plan, path)
    return path


def checked(path: Path) -> Waterfall:
    """Everything that a waterfall must be, against what is on file."""
    with Reader(path) as reader:
        (row,) = reader.episodes()
        found, panel = waterfall_of(reader, row), reader.panel()
        marks = reader.db.execute("SELECT t, nav, intent, approved FROM mark ORDER BY t").fetchall()
        columns, rows = reader.query(
            "SELECT decided, symbol, sum(intent), sum(risk), sum(execution), sum(commission), sum(spread), "
            "sum(impact), sum(borrow), sum(executed) FROM waterfall GROUP BY ALL"
        )
        _, parts = reader.query(
            "SELECT decided, part, symbol, sum(money) FROM attribution GROUP BY 1, 2, 3, place ORDER BY decided, place"
        )
    t, nav, intent, approved = np.array(marks).T
    ends = [*found.decided[1:], int(t[-1])]
    for money, begin, end in zip(found.money, found.decided, ends, strict=True):
        at = slice(int(begin - t[0]), int(end - t[0]) + 1)
        had, wished, let = nav[at], intent[at], approved[at]
        assert money.sum() == pytest.approx(had[-1] - had[0], abs=CENT)
        if (wished > 0).all():
            assert money[0].sum() == pytest.approx((had[:-1] * (wished[1:] / wished[:-1] - 1)).sum(), abs=CENT)
        if (let > 0).all():
            risk = [place for place, part in enumerate(found.parts) if part == "intent" or part.startswith(RISK)]
            assert money[risk].sum() == pytest.approx((had[:-1] * (let[1:] / let[:-1] - 1)).sum(), abs=CENT)
    assert found.nav + found.money.sum() == pytest.approx(nav[-1], abs=CENT)
    assert len(columns) == 10
    view = {(d, panel.symbols.index(symbol)): sums for d, symbol, *sums in rows}
    assert len(view) == found.money.shape[0] * found.money.shape[2]
    risk = [place for place, part in enumerate(found.parts) if part.startswith(RISK)]
    rest = [found.parts.index(part) for part in ("execution", *PAID)]
    for (d, i), sums in view.items():
        money = found.money[found.decided.index(d), :, i]
        assert sums == pytest.approx([money[0], money[risk].sum(), *money[rest], money.sum()], abs=CENT)
    split = {(d, part, panel.symbols.index(symbol)): money for d, part, symbol, money in parts}
    assert len(split) == len(parts) == found.money.size
    assert tuple(dict.fromkeys(part for _, part, *_ in parts)) == found.parts
    for (d, part, i), money in split.items():
        assert money == pytest.approx(found.money[found.decided.index(d), found.parts.index(part), i], abs=CENT)
    return found


@settings(max_examples=few(5, full=12))
@given(seed=st.integers(0, 2**16), every=st.sampled_from([1, 3]), short=st.booleans())
def test_it_adds_up_to_the_cent_at_every_decision(tmp_path_factory, seed, every, short):
    policy = Policy(name="short", limits=SHORT, execution=COSTS) if short else TIGHT
    found = checked(played(tmp_path_factory.mktemp("w"), policy, restless(seed, 4), seed, every=every))
    assert {part.removeprefix(RISK) for part in found.parts[1 : -1 - len(PAID)]} <= {*RULES}
    assert found.parts[0] == "intent"
    assert found.parts[-5:] == ("execution", *PAID)


@pytest.mark.parametrize("agent", ["organism-coupled", "markowitz"])
def test_it_adds_up_for_agents_as_they_are(tmp_path, agent):
    found = checked(played(tmp_path, TIGHT, open_agent(agent), gaps=0.0))
    assert found.totals["spread"] < 0.0
    assert found.money.shape == (15, len(found.parts), 4)


def test_it_adds_up_for_books_that_lose_everything(tmp_path):
    def ask(seen):
        return dict(zip(seen.symbols, (60.0, -50.0, -30.0, 40.0), strict=True))

    path = played(tmp_path, Policy(name="wild", limits=SHORT), asked(ask, "wild"), steps=12)
    found = checked(path)
    with Reader(path) as reader:
        assert reader.db.execute("SELECT min(intent), min(approved) > 0 FROM mark").fetchone() == (0.0, True)
    assert found.totals["intent"] != 0.0


def test_a_case_worked_by_hand(tmp_path):
    """All of it in the first symbol, half allowed, bought at the next open at half a percent, one decision."""
    policy = Policy(
        name="hand", limits=Limits(single_name=0.5), execution=Execution(initial_cash=1_000, half_spread_bps=50)
    )
    path = played(tmp_path, policy, asked(lambda seen: {seen.symbols[0]: 1.0}), gaps=0.0, steps=1, n=2)
    found = checked(path)
    with Reader(path) as reader:
        panel = reader.panel()
    (d,) = found.decided
    bought, last = panel.open[d + 1, 0], panel.close[d + 1, 0]
    assert found.parts == ("intent", "risk: single-name", "execution", *PAID)
    shares = 500.0 / panel.close[d, 0]  # ordered at the close, by its price; the book takes half at the open
    assert found.totals == pytest.approx(
        {
            "intent": 1_000 * (last / bought - 1),
            "risk: single-name": -500 * (last / bought - 1),
            "execution": shares * (last - bought) - 500 * (last / bought - 1),
            "commission": 0.0,
            "spread": -0.005 * shares * bought,
            "impact": 0.0,
            "borrow": 0.0,
        }
    )
    np.testing.assert_array_equal(found.money[:, :, 1], 0.0)


def test_an_episode_that_does_not_come_out_the_same_has_none(tmp_path):
    import duckdb

    path = played(tmp_path, TIGHT, open_agent("equal-weight"))
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE fill SET spread = spread + 1 WHERE t = 25")
    with Reader(path) as reader, pytest.raises(StoreError, match="does not come out the same again; see"):
        waterfall_of(reader, reader.episodes()[0])
    with duckdb.connect(str(path)) as db:
        db.execute("DELETE FROM step")
    with Reader(path) as reader, pytest.raises(StoreError, match="holds no step yet"):
        waterfall_of(reader, reader.episodes()[0])


def test_an_episode_of_an_earlier_version_is_played_again_for_it_and_has_its_rules_in_one_part_of_the_view(tmp_path):
    path = played(tmp_path, TIGHT, open_agent("organism-coupled"))
    before = checked(path)
    first_schema(path)
    with Reader(path) as reader:
        found = waterfall_of(reader, reader.episodes()[0])
        _, parts = reader.query("SELECT part, sum(money) FROM attribution GROUP BY part, place ORDER BY place")
        _, ((risk,),) = reader.query("SELECT sum(risk) FROM waterfall")
    np.testing.assert_array_equal(found.money, before.money)
    rules = [part for part in found.parts if part.startswith(RISK)]
    assert len(rules) > 1
    assert [part for part, _ in parts] == ["intent", "risk", "execution", *PAID]
    assert dict(parts)["risk"] == pytest.approx(risk, abs=CENT)
    assert risk == pytest.approx(sum(found.totals[rule] for rule in rules), abs=CENT)
