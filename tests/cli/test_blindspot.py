"""`tradearena signatures --blind-spot`: the tables fit a terminal, JSON is one object, and a sentence says what was
found, with its n."""

from __future__ import annotations

import json
import shutil

import duckdb
import pytest
from stage import asked, dataset, first_bars, walk

from tradearena.analysis.signatures.watched import METRICS
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.cli.blindspot import show_blind_spot
from tradearena.errors import InvalidRun
from tradearena.market.design import Design
from tradearena.market.synthetic import panel_of
from tradearena.market.window import Window
from tradearena.policy import Limits, Policy

POLICY = Policy(name="small", limits=Limits(cluster=0.35, cluster_lookback=20))
LONG = "a-model-with-a-very-long-name-that-nobody-would-choose-for-a-column"


def answering(name, text, choose):
    return asked(lambda seen: {"rationale": text, "target_weights": choose(seen)}, name)


def third(seen):
    return ("FINA1", "FINA2", "FINA3", "TECH3")[seen.t % 4]


def played(path, panel, *agents):
    outcome = experiment.run(Plan(dataset(panel), POLICY, Window(), agents, modes=("hidden",)), path)
    assert outcome.failure is None, outcome.failure
    return path


@pytest.fixture(scope="module")
def market():
    return panel_of(Design(symbols=6, sectors=2, bars=165, coupled=1, coupling=0.999, seed=1))


@pytest.fixture(scope="module")
def twins(tmp_path_factory, market):
    """One that holds both of a pair and praises itself; one that never does; one that stays in cash."""
    folder = tmp_path_factory.mktemp("twins")
    return played(
        folder / "twins.duckdb",
        market,
        answering(LONG, "a diversified book", lambda seen: {"TECH1": 0.3, "TECH2": 0.3, third(seen): 0.3}),
        answering("apart", "", lambda seen: {"TECH1": 0.5, third(seen): 0.4}),
        answering("idle", "waiting", lambda _seen: {}),
    )


@pytest.fixture
def shown(capsys, monkeypatch):
    def show(*paths, columns=100):
        monkeypatch.setenv("COLUMNS", str(columns))
        show_blind_spot(paths, json=False)
        return capsys.readouterr().out

    return show


def in_one_line(text):
    return " ".join(text.split())


def test_tables_and_sentences_fit_a_hundred_columns(shown, twins):
    out = shown(twins)
    assert max(map(len, out.splitlines())) <= 100
    assert LONG not in out.split("coupled pairs")[0]  # cut in the tables
    assert "TECH1   TECH2" in out


def test_a_sentence_says_what_was_found_with_its_n(shown, twins):
    out = in_one_line(shown(twins))
    assert f"{LONG}, hidden: blind spot found: 67 % of its gross" in out
    assert "n = 7 blocks of 20 bars and more, p = 0.016." in out
    assert "Of 144 loaded decisions with words 144 speak of diversification, and 144 name neither" in out
    assert "apart, hidden: not found: 0 % of its gross" in out
    assert "It gives no rationale." in out
    assert "idle, hidden: nothing was wished in any of 144 decisions: there is no share to speak of." in out
    assert "paired by block, n = 7" in out


def test_json_is_one_object_with_every_decision(capsys, twins):
    show_blind_spot([twins], json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert set(found) == {"experiments", "block", "models", "differences", "paths", "steps", "left_out"}
    praised, apart, idle = found["models"]
    assert (praised["agent"], praised["feedback"], praised["verdict"]) == (LONG, "hidden", "praised")
    assert set(praised["metrics"]) == set(METRICS)
    assert praised["metrics"]["excess"]["n"] == 7
    assert apart["metrics"]["diversification"] == {"value": None, "ci": None, "n": 0}
    assert idle["metrics"]["share"]["value"] is None
    for steps in found["steps"]:
        assert all(len(steps[name]) == len(steps["t"]) == 144 for name in METRICS)
    (path,) = found["paths"]
    assert [path["pairs"][0][name] for name in ("one", "two", "together")] == ["TECH1", "TECH2", 1.0]
    assert len(found["differences"]) == 3


def test_where_blocks_are_too_few_it_says_how_many_would_do(shown, tmp_path, market):
    path = played(
        tmp_path / "short.duckdb",
        first_bars(market, 70),
        answering("short", "TECH1 alone", lambda seen: {"TECH1": 0.3, third(seen): 0.3}),
    )
    out = in_one_line(shown(path))
    assert "short, hidden: not enough to say" in out
    assert "n = 2 blocks of 20 bars and more, 6 would be needed. None of 49 decisions with words is loaded." in out


def test_an_agent_that_chose_once_is_told_so(shown, tmp_path, market):
    path = played(tmp_path / "kept.duckdb", market, answering("kept", "", lambda _seen: {"TECH1": 0.5, "TECH2": 0.4}))
    out = in_one_line(shown(path))
    assert "kept, hidden: not enough to say" in out
    assert "It turned its book over 0.0 times in a block: that is one choice, however many blocks." in out


def test_a_market_without_groups_and_one_too_short_for_any_are_said_to_be_so(shown, tmp_path):
    def one(seen):
        return {seen.symbols[seen.t % 3]: 0.5}

    apart = panel_of(Design(symbols=4, sectors=4, bars=65, market=0.01, sector=0.01, seed=2))
    out = in_one_line(shown(played(tmp_path / "apart.duckdb", apart, answering("one", "", one))))
    assert "no two symbols were ever in one group" in out
    assert "not found: no more and no less than by chance, in n = 2 blocks" in out
    out = in_one_line(shown(played(tmp_path / "short.duckdb", walk(1, bars=15), answering("one", "", one))))
    assert "too few bars to group by" in out
    assert "at none of its decisions were there enough bars to group by" in out


def test_files_without_a_result_are_no_result(twins, tmp_path):
    path = tmp_path / "running.duckdb"
    shutil.copyfile(twins, path)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE episode SET status = 'error'")
    with pytest.raises(InvalidRun, match="no episode of these files is a result: 3 not ended"):
        show_blind_spot([path], json=False)


def test_what_was_left_out_is_counted(shown, twins, tmp_path):
    path = tmp_path / "some.duckdb"
    shutil.copyfile(twins, path)
    with duckdb.connect(str(path)) as db:
        db.execute("UPDATE episode SET status = 'interrupted' WHERE agent <> 'idle'")
    assert "Left out: 2 not ended" in shown(path)


def test_of_many_markets_the_first_are_shown_and_the_rest_counted(shown, tmp_path):
    paths = [
        played(
            tmp_path / f"{seed}.duckdb", walk(seed, bars=45), answering("one", "", lambda seen: {seen.symbols[0]: 1})
        )
        for seed in range(4)
    ]
    assert "and 1 more market (--json)" in shown(*paths)
