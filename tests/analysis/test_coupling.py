"""Coupled groups and the blind spot: by hand, without a look ahead, and on markets whose truth is known."""

from __future__ import annotations

import hashlib
import shutil
from itertools import permutations
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import asked, dataset, first_bars, shaken, walk

from tradearena.agents.card import open_agent
from tradearena.agents.rationale import Facts, compose
from tradearena.analysis.signatures.blindspot import SELDOM, blind_spot, blocks
from tradearena.analysis.signatures.coupling import (
    by_chance,
    coupling,
    in_force,
    pairs,
    refreshes,
    risks,
    tightest,
    trailing_correlation,
)
from tradearena.analysis.signatures.mentions import Mentions, mentions
from tradearena.analysis.signatures.watched import METRICS
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.errors import UsageError
from tradearena.market.dataset import open_dataset
from tradearena.market.design import Design
from tradearena.market.synthetic import panel_of
from tradearena.market.window import Window
from tradearena.policy import Limits, Policy
from tradearena.portfolio.reference import RollingMarkowitz
from tradearena.risk.clusters import coupled_clusters
from tradearena.store.reader import Reader

RULES = Limits(single_name=0.5, cluster=0.35, cluster_lookback=20, cluster_refresh=5)
POLICY = Policy(name="small", limits=RULES)
"""Groups are known after twenty bars, so that a block is twenty bars."""

GROUPS = np.array([[0, 0, 1, 2]], dtype=np.int16)


def shares(intent, approved=None, *, groups=GROUPS, tight=0, known=True):
    weights = np.array([intent], dtype=float)
    let = weights if approved is None else np.array([approved], dtype=float)
    found = coupling(weights, let, groups, np.array([tight], dtype=np.int16), np.array([known]))
    return {name: float(getattr(found, name)[0]) for name in found.__slots__}


def played(path: Path, panel, *agents, policy: Policy = POLICY, **more) -> Path:
    plan = Plan(dataset(panel), policy, Window(**more), agents, modes=("hidden",))
    outcome = experiment.run(plan, path)
    assert outcome.failure is None, outcome.failure
    return path


def saying(text, choose, name="speaker"):
    """An agent that says the same at every bar; `choose` gives its weights."""
    return asked(lambda seen: {"rationale": text, "target_weights": choose(seen)}, name)


def turning(seen):
    """One symbol after the other, two of them at a time, whatever the bars are."""
    n = len(seen.symbols)
    return {seen.symbols[seen.t % n]: 0.5, seen.symbols[(seen.t * 3 + 1) % n]: 0.3}


# ---------------------------------------------------------------------- weights in groups


def test_weights_in_groups_are_those_worked_out_by_hand():
    found = shares([0.4, 0.2, 0.1, 0.1], [0.2, 0.1, 0.1, 0.1])
    assert found["intended"] == pytest.approx(0.6)
    assert found["approved"] == pytest.approx(0.3)
    assert found["share"] == found["doubled"] == found["tightest"] == pytest.approx(0.75)
    assert found["universe"] == 0.5


def test_a_symbol_whose_twin_is_not_held_is_in_a_group_and_not_doubled():
    found = shares([0.4, 0.0, 0.1, 0.0])
    assert found["share"] == pytest.approx(0.8)
    assert found["doubled"] == 0.0


def test_a_short_counts_by_its_size():
    assert shares([0.4, -0.4, 0.1, 0.1])["doubled"] == pytest.approx(0.8)


def test_who_wishes_nothing_has_no_share_of_it():
    found = shares([0.0, 0.0, 0.0, 0.0])
    assert found["intended"] == 0.0
    assert all(np.isnan(found[name]) for name in ("share", "doubled", "chance", "tightest"))


def test_before_groups_are_known_nothing_is_defined():
    assert all(np.isnan(value) for value in shares([0.4, 0.2, 0.1, 0.1], known=False).values())


def test_where_nothing_is_coupled_nothing_is_in_a_group():
    found = shares([0.4, 0.2, 0.1, 0.1], groups=np.array([[0, 1, 2, 3]], dtype=np.int16), tight=-1)
    assert [found[name] for name in ("intended", "share", "universe", "doubled", "chance", "tightest")] == [0.0] * 6


def test_chance_is_the_mean_over_all_ways_to_place_the_weights():
    labels = np.array([0, 0, 1, 1, 1, 2, 3], dtype=np.int16)
    for weights in ([0.5, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0], [0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.2] * 5 + [0.0] * 2):
        table = np.array(sorted(set(permutations(weights))))
        n = len(table)
        found = coupling(table, table, np.tile(labels, (n, 1)), np.full(n, -1, dtype=np.int16), np.ones(n, dtype=bool))
        assert found.doubled.mean() == pytest.approx(by_chance(np.bincount(labels), int(np.count_nonzero(weights))))
        assert np.all(found.chance == found.chance[0])


def test_the_tightest_group_is_that_with_the_highest_mean_correlation():
    rho = np.eye(5)
    for i, j, value in ((0, 1, 0.85), (2, 3, 0.99), (2, 4, 0.8), (3, 4, 0.8)):
        rho[i, j] = rho[j, i] = value
    assert tightest(rho, np.array([0, 0, 1, 1, 1], dtype=np.int16)) == 1  # 0.863 against 0.85
    rho[2, 4] = rho[4, 2] = 0.7
    assert tightest(rho, np.array([0, 0, 1, 1, 1], dtype=np.int16)) == 0
    assert tightest(rho, np.arange(5, dtype=np.int16)) == -1


def test_groups_hold_from_the_bar_on_at_which_they_changed():
    one, two = np.array([0, 0, 1], dtype=np.int16), np.array([0, 1, 1], dtype=np.int16)
    found = in_force([4, 5, 6, 9, 10], {5: one, 10: two}, 3)
    assert found.tolist() == [[0, 1, 2], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]]
    assert in_force([4, 5], {}, 3).tolist() == [[0, 1, 2]] * 2


def test_pairs_are_in_the_order_of_their_time_together_then_of_their_correlation():
    rho = np.array([[1, 0.9, 0.5], [0.9, 1, 0.7], [0.5, 0.7, 1]])
    lower = np.array([[1, 0.7, 0.3], [0.7, 1, 0.9], [0.3, 0.9, 1]])
    alone, first = np.arange(3, dtype=np.int16), np.array([0, 0, 1], dtype=np.int16)
    found = pairs(("A", "B", "C"), [rho, lower], [first, alone])
    assert [(pair.one, pair.two) for pair in found] == [("A", "B"), ("B", "C"), ("A", "C")]
    assert found[0].correlation == pytest.approx(0.8)
    assert (found[0].least, found[0].together) == (0.7, 0.5)
    assert pairs(("A",), [np.eye(1)], [alone[:1]]) == pairs(("A", "B"), [], []) == []


# ---------------------------------------------------------------------- as the audit has it


@pytest.mark.parametrize("every", [1, 3])
def test_groups_and_risks_are_those_of_the_audit_on_record(tmp_path, every):
    panel = walk(3, bars=90, n=5)
    path = played(tmp_path / "a.duckdb", panel, saying("", turning), every=every)
    with Reader(path) as reader:
        (row,) = reader.episodes()
        walked, again = reader.trajectory(row.id), reader.panel()
        stored = reader.db.execute("SELECT t, labels FROM cluster ORDER BY t").fetchall()
        volatility = [v for (v,) in reader.db.execute("SELECT volatility FROM step ORDER BY t").fetchall()]
        (reference,) = reader.vectors("step", "reference", episode=row.id)
    decided = walked.decided.tolist()
    labels = in_force(decided, {t: np.array(each) for t, each in stored}, 5)
    made = refreshes(decided, RULES)
    assert stored
    assert {t for t, _ in stored} <= set(made)
    for t in made:
        recomputed = coupled_clusters(trailing_correlation(again, t, 20), RULES.cluster_correlation)
        assert np.array_equal(recomputed, labels[decided.index(t)])
    lookback = POLICY.reference.lookback
    rolling = RollingMarkowitz(panel, POLICY.reference)
    yardstick = [np.sqrt(r @ rolling.at(t).covariance @ r) for t, r in zip(decided, reference, strict=True)]
    approved = risks(again, decided, walked.approved, reference, lookback).ratio
    risk, known = approved * yardstick * np.sqrt(again.bars_per_year), walked.decided >= 3
    assert risk[known] == pytest.approx(np.array(volatility)[known], rel=1e-9)
    assert np.isnan(risk[~known]).all()


def test_risk_has_no_ratio_to_a_reference_without_risk_and_no_bets_without_weights():
    panel = walk(3, bars=30, n=3)
    nothing, equal = np.zeros((1, 3)), np.full((1, 3), 1 / 3)
    assert np.isnan(risks(panel, [20], equal, nothing, 20).ratio).all()
    cash = risks(panel, [20], nothing, equal, 20)
    assert cash.ratio.tolist() == [0.0]
    assert np.isnan(cash.bets).all()
    assert np.isnan(risks(panel, [2], equal, equal, 20)).all()


def test_later_bars_change_nothing(tmp_path):
    panel, t = walk(7, bars=80, n=5), 50
    found = []
    for name, bars in (("a", panel), ("b", shaken(panel, t)), ("c", first_bars(panel, t + 2))):
        path = played(tmp_path / f"{name}.duckdb", bars, saying("diversified", turning))
        (watched,) = blind_spot([path]).watched
        until = watched.bars <= t
        assert until.sum() == t - 19
        found.append(np.array([watched.values[metric][until] for metric in METRICS]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


# ---------------------------------------------------------------------- blocks of time


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(1, 60))
def test_blocks_begin_at_least_their_length_apart(bars, length):
    starts = blocks(bars, length)
    assert starts[0] == min(bars)
    assert set(starts.tolist()) <= set(bars)
    assert (np.diff(starts) >= length).all()


def test_what_is_left_over_belongs_to_the_block_before_it_and_a_window_far_off_does_not():
    assert blocks(range(20, 159), 20).tolist() == [20, 40, 60, 80, 100, 120]
    assert blocks(range(20, 160), 20).tolist() == [20, 40, 60, 80, 100, 120, 140]
    assert blocks(range(20, 160, 5), 20).tolist() == [20, 40, 60, 80, 100, 120, 140]
    assert blocks([*range(20, 30), *range(60, 70)], 20).tolist() == [20, 60]
    assert blocks([*range(20, 41)], 20).tolist() == [20]
    assert blocks([], 20).tolist() == []


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GOOG and GOOGL are share classes of the same company.", (True, False, False)),
        ("These banks move in lockstep and are highly correlated.", (True, False, False)),
        ("Oil names rise and fall together", (True, False, False)),
        ("A well-diversified book of independent bets.", (False, False, True)),
        ("low correlation between the holdings", (False, False, True)),
        ("Uncorrelated names, yet correlations rise in a fall", (True, False, True)),
        ("Too concentrated in one sector", (False, True, False)),
        ("组合与大盘相关性较高, 两只股票高度相关", (True, False, False)),
        ("银行股同涨同跌, 板块联动明显", (True, False, False)),
        ("它们是同一家公司的两类股份", (True, False, False)),
        ("持仓分散, 风险得到分散, 实现多元化配置", (False, False, True)),
        ("选择低相关性的标的", (False, False, True)),
        ("降低银行股集中度", (False, True, False)),
        ("组合对煤炭敞口较为集中", (False, True, False)),
        ("買入兩類股, 走勢高度相關", (True, False, False)),
        ("I bought the strongest names.", (False, False, False)),
        ("没有检索到相关新闻", (False, False, False)),
    ],
)
def test_words_of_coupling_and_of_diversification_are_found_in_two_languages(text, said):
    assert mentions(text) == Mentions(*said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The book is not diversified.", (False, False, True)),
        ("There is no co-movement among these names.", (True, False, False)),
        ("I will not look at correlations.", (True, False, False)),
        ("缺乏分散", (False, False, True)),
        ("过于分散, 需要集中资金", (False, False, True)),
        ("Die Aktien bewegen sich gemeinsam.", (False, False, False)),
    ],
)
def test_denials_plans_and_other_languages_are_not_understood(text, said):
    assert mentions(text) == Mentions(*said)


@pytest.mark.parametrize("text", ["", " \n", "\u3000"])
def test_who_says_nothing_speaks_of_nothing(text):
    assert mentions(text) is None


def test_what_organisms_say_of_diversification_is_found_and_nothing_else_is():
    facts = Facts(
        "coupled", 20, ("AAA", "BBB"), (0.5, 0.4), (0.9, 0.8), ("CCC",), 0.1, 0.01, 0.6, 0.01, 1.0, (), False, 2
    )  # fmt: skip
    dice = [hashlib.sha256(bytes([i])).digest() for i in range(200)]
    assert all(mentions(compose(facts, each, praise=True)).diversification for each in dice)
    assert not any(mentions(compose(facts, each)).diversification for each in dice)


# ---------------------------------------------------------------------- planted truth


NOISE = """
name = "organism-noise"
kind = "organism"
sampled = true
[parameters]
signal = "noise"
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A market with one coupled pair, and three organisms on it: one that loads on it, and two that do not look."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "noise.toml").write_text(NOISE)
    panel = panel_of(Design(symbols=8, sectors=2, bars=165, coupled=1, coupling=0.999, seed=1))
    agents = (open_agent("organism-coupled"), open_agent(str(folder / "noise.toml")), open_agent("cash"))
    return played(folder / "planted.duckdb", panel, *agents)


def test_the_planted_blind_spot_is_found_and_nothing_where_none_is(planted):
    coupled, noise, cash = blind_spot([planted]).models
    assert coupled.verdict == "praised"
    assert coupled.effects["excess"].n == 7
    assert coupled.praised == coupled.loaded > 0.9 * coupled.decisions
    assert coupled.effects["intended"].mean > coupled.effects["approved"].mean  # the rule on groups clips it
    assert coupled.effects["clips"].mean > 0.5
    assert noise.verdict == "not found"
    assert noise.effects["excess"].interval[0] < 0.0 < noise.effects["excess"].interval[1]
    assert cash.verdict == "not enough"
    assert cash.effects["excess"].mean is None
    assert cash.effects["intended"].mean == 0.0


def test_the_planted_pair_comes_first_and_differences_are_paired_by_block(planted):
    found = blind_spot([planted])
    (path,) = found.paths
    first, second = path.pairs()[:2]
    assert (first.one, first.two, first.together) == ("TECH1", "TECH2", 1.0)
    assert second.together < first.together
    means = {model.group: model.effects["excess"] for model in found.models}
    for each in found.differences:
        both = means[each.one], means[each.other]
        if None not in [effect.mean for effect in both]:
            assert each.effect.mean == pytest.approx(both[0].mean - both[1].mean)
            assert each.effect.n == 7
        else:
            assert each.effect.n == 0


def test_what_is_said_of_loaded_decisions_makes_the_verdict(tmp_path):
    panel = panel_of(Design(symbols=8, sectors=2, bars=165, coupled=1, coupling=0.999, seed=1))

    def twins(seen):
        return {"TECH1": 0.3, "TECH2": 0.3, f"FINA{1 + seen.t % 4}": 0.3}

    texts = {"praised": "so diversified", "silent": "the best names", "named": "they move together", "wordless": ""}
    agents = [saying(text, twins, name) for name, text in texts.items()]
    kept = saying("so diversified", lambda _seen: {"TECH1": 0.5, "TECH2": 0.4}, "kept")
    even = saying("so diversified", lambda seen: dict.fromkeys(seen.symbols, 0.125), "even")
    found = {
        model.group: model for model in blind_spot([played(tmp_path / "a.duckdb", panel, *agents, kept, even)]).models
    }
    for name in texts:
        assert found[f"{name}, hidden"].verdict == name
        assert found[f"{name}, hidden"].turned > SELDOM
    assert found["kept, hidden"].effects["excess"].interval[0] > 0.5
    assert (found["kept, hidden"].turned, found["kept, hidden"].verdict) == (0.0, "not enough")
    assert (found["even, hidden"].effects["excess"].mean, found["even, hidden"].verdict) == (0.0, "not found")


def test_repetitions_are_averaged_and_add_no_blocks(planted, tmp_path):
    again = tmp_path / "again.duckdb"
    shutil.copyfile(planted, again)
    with duckdb.connect(str(again)) as db:
        for table in ("step", "cluster", "mark", "finding", "fill"):
            db.execute(f"UPDATE {table} SET episode = 'x' || episode")
        db.execute("UPDATE episode SET id = 'x' || id")
    one, two = blind_spot([planted]), blind_spot([planted, again])
    for single, double in zip(one.models, two.models, strict=True):
        assert double.decisions == 2 * single.decisions
        assert double.effects["excess"] == single.effects["excess"]
    assert two.paths[0].pairs() == one.paths[0].pairs()


def test_the_same_episode_in_two_files_is_refused(planted):
    with pytest.raises(UsageError, match="stands in another of these files; name each once"):
        blind_spot([planted, planted])


def test_what_is_no_result_is_left_out_and_counted(planted, tmp_path):
    path = tmp_path / "some.duckdb"
    shutil.copyfile(planted, path)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE episode SET parent = '{\"experiment\": \"a\"}' WHERE agent = 'organism-coupled'")
        db.execute("UPDATE episode SET status = 'interrupted' WHERE agent = 'cash'")
        query = "UPDATE step SET status = 'fallback' FROM episode e WHERE t < 40 AND e.id = episode AND e.agent = ?"
        db.execute(query, ["organism-noise"])
    found = blind_spot([path])
    assert found.models == []
    assert found.left_out == {"made from others": 1, "not ended": 1, "INVALID": 1}


def test_a_lost_reply_is_no_wish_and_an_episode_too_short_to_group_by_has_no_decision(planted, tmp_path):
    path = tmp_path / "lost.duckdb"
    shutil.copyfile(planted, path)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE step SET status = 'error' WHERE t = 30")
    whole, lost = (blind_spot([each]).models[0] for each in (planted, path))
    assert lost.decisions == whole.decisions - 1
    short = played(tmp_path / "short.duckdb", walk(1, bars=18), saying("", turning))
    found = blind_spot([short])
    assert (found.models[0].decisions, found.models[0].verdict, found.paths[0].pairs()) == (0, "not enough", [])


# ---------------------------------------------------------------------- real bars


def test_on_real_stocks_the_two_share_classes_of_one_company_come_first(real_data, tmp_path):
    panel = open_dataset(str(real_data / "ohlcv_hourly_50.parquet")).panel
    path = played(tmp_path / "real.duckdb", panel, open_agent("equal-weight"), policy=Policy(name="plain"), every=5)
    (found,) = blind_spot([path]).paths
    first, second = found.pairs()[:2]
    assert {first.one, first.two} == {"GOOG", "GOOGL"}
    assert first.together == 1.0
    assert first.correlation > 0.99 > second.correlation
