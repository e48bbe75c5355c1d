"""`tradearena signatures`: what it prints of files whose truth is known, what it leaves out, and what it refuses."""

from __future__ import annotations

import shutil
from datetime import date

import duckdb
import numpy as np
import pytest

from tradearena import policy
from tradearena.agents.card import open_agent
from tradearena.analysis.signatures.anchors import onsets
from tradearena.analysis.signatures.design import Design as Study
from tradearena.analysis.signatures.lexical_probes import HashProbe
from tradearena.analysis.signatures.recorded import Wanted, keeping, recorded
from tradearena.analysis.signatures.study import study
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.market.dataset import open_dataset
from tradearena.market.design import Design
from tradearena.market.window import Window
from tradearena.market.writing import write_synthetic

pytestmark = pytest.mark.xdist_group("signatures")  # whose files are made once

SMALL = ("--before", 4, "--depth", 0.008, "--draws", 99)
"""Many onsets on few bars."""

ROW = {
    "group", "view", "probe", "anchors", "statistic", "primary", "value", "null_mean", "ci", "p", "p_adjusted",
    "n_anchors", "n_clusters", "verdict", "by_path",
}  # fmt: skip


def record(folder, seed, *agents):
    """An experiment of these agents on a market of its own; `planted` stands for recorded decisions whose words are one
    and the same before each fall of the market, and drawn at random else, of one length everywhere; `silent` for the
    same without words."""
    design = Design(symbols=4, sectors=2, bars=130, seed=seed, start=date(2020, 1, 6))
    dataset = open_dataset(str(write_synthetic(design, folder / f"market{seed}")))
    panel = dataset.panel
    level = np.cumprod(1.0 + panel.returns.mean(axis=1))[20:-1]
    rng = np.random.default_rng(seed)
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(400)]
    said = [" ".join(rng.choice(words, 30)) for _ in level]
    for onset in onsets(level, 0.008, 8):
        said[max(onset - 4, 0) : onset] = [" ".join(words[:30])] * min(onset, 4)
    ends = panel.end[20:-1].astype("datetime64[s]").astype(str)
    rows = [(end, *["0.2"] * 4, text) for end, text in zip(ends, said, strict=True)]
    rows.insert(0, ("timestamp", *panel.symbols, "rationale"))
    for name, width in (("planted", 6), ("silent", 5)):
        (folder / f"{name}.csv").write_text("\n".join(",".join(row[:width]) for row in rows))
    names = [f"decisions:{folder / name}.csv" if name in ("planted", "silent") else name for name in agents]
    path = folder / f"made{seed}.duckdb"
    candidates = tuple(open_agent(name) for name in names)
    experiment.run(Plan(dataset, policy.load("standard"), Window(), candidates), path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One market, four agents: words that are known, no words, an organism, and one whose replies cannot be read."""
    agents = "planted", "silent", "organism-collapsing", "organism-garbled"
    return record(tmp_path_factory.mktemp("signatures"), 5, *agents)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another market, where the words are known."""
    return record(tmp_path_factory.mktemp("other"), 6, "planted")


def primary(found, **of):
    return [row for row in found["rows"] if row["primary"] and all(row[name] == of[name] for name in of)]


def test_json_has_rows_profiles_anchors_design_and_what_was_left_out(arena, made):
    found = arena("signatures", made, "--agent", "organism-collapsing", *SMALL, "--json").json
    assert {"rows", "profiles", "anchors", "design", "left_out", "episodes", "experiments"} == set(found)
    assert all(set(row) == ROW for row in found["rows"])
    assert len(primary(found)) == 2 * (1 + 3 * 2) - 5  # what is mechanical is no test
    assert {row["statistic"] for row in primary(found)} == {"effective_rank"}
    assert any(row["statistic"] == "auc" and row["value"] is not None for row in found["rows"])
    own, market = found["anchors"]
    assert (own["anchors"], market["anchors"]) == ("own", "market")
    for kind in (own, market):
        assert (kind["before"], kind["spacing"]) == (4, 8)
        ((path),) = kind["paths"]
        (episode,) = path["episodes"]
        assert episode["depth"] == 0.008
        assert kind["n_all"] == len(episode["bars"]) >= kind["n_anchors"] == path["n_anchors"] >= 6
        assert {row["n_anchors"] for row in found["rows"] if row["anchors"] == kind["anchors"]} == {kind["n_anchors"]}
    for profile in found["profiles"]:
        assert profile["steps"] == list(range(-8, 9))
        assert len(profile["value"]) == len(profile["null_mean"]) == len(profile["half"]) == 17
    design = found["design"]
    assert (design["draws"], design["minimum"], design["probes"]) == (99, 6, ["hash256", "lsa32"])
    assert found["left_out"] == []


def test_a_contraction_before_falls_of_the_market_is_found_and_said_in_words(arena, made):
    asked = ("signatures", made, "-a", "planted", "--view", "plan", "--probe", "hash", *SMALL)
    (row,) = primary(arena(*asked, "--json").json, anchors="market")
    assert row["verdict"] == "contraction before trouble"
    assert row["p"] == 1 / 100
    answer = arena(*asked)
    assert answer.code == 0
    said = " ".join(answer.out.split())
    assert "effective rank over its bound 0." in said
    assert f" lower before {row['n_anchors']} independent onsets on 1 market path than away from them" in said
    assert "p = 0.01, 0.02 after Holm over 2." in said
    assert "^: outside a band that holds 95 % of whole profiles by chance" in said
    assert "In force: windows of 4 decisions (--before), onsets 8 apart or more (--spacing), a depth of" in said
    assert "Of 2 rows declared beforehand 2 could be tested" in said
    assert answer.out.splitlines()[-1].split()[:2] == ["tradearena", "replay"]


def test_too_few_anchors_are_counted_with_how_many_it_takes(arena, made):
    answer = arena("signatures", made, "-a", "planted", "--depth", 0.2)
    assert answer.code == 0
    assert "Market anchors: 0 independent of 0 onsets, falls of 20 % or more; not enough, it takes 6" in answer.out
    assert "could be tested, 0 found." in answer.out
    asked = ("signatures", made, "-a", "planted", "--depth", 0.2, "--probe", "hash", "--json")
    assert {row["verdict"] for row in arena(*asked).json["rows"]} == {"not enough"}


def test_an_agent_without_words_has_intents_and_no_text(arena, made):
    found = arena("signatures", made, "-a", "silent", *SMALL, "--json").json
    assert {row["verdict"] for row in primary(found, view="plan")} == {"no text"}
    assert all(row["p"] is not None for row in primary(found, view="intent"))
    only = arena("signatures", made, "-a", "silent", "--view", "intent", *SMALL, "--json").json
    assert primary(only, view="intent")[0]["value"] == primary(found, view="intent")[0]["value"]
    assert only["design"]["probes"] == []


def test_a_probe_that_is_fitted_on_others_says_that_there_are_none(arena, made):
    answer = arena("signatures", made, "-a", "planted", "--view", "plan", "--probe", "lsa8", *SMALL)
    assert "no fit" in answer.out
    assert "No fit: lsa is fitted on other trajectories, and there are" in answer.out


def test_more_files_are_more_market_paths(arena, made, other):
    asked = ("-a", "planted", "--view", "plan", "--probe", "lsa8", "--probe", "lsa8", *SMALL, "--json")
    found = arena("signatures", made, other, other, *asked).json
    assert found["experiments"] == [str(made), str(other)]
    rows = primary(found, anchors="market")
    assert [(row["probe"], row["n_clusters"], len(row["by_path"])) for row in rows] == [("lsa8", 2, 2)]
    assert rows[0]["value"] == pytest.approx(np.mean([each["value"] for each in rows[0]["by_path"]]))


class Dear(HashProbe):
    """Counts what it is asked for, and says what its vectors depend on."""

    identity = "0" * 64

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "asked", 0)

    def embed(self, corpora, paths):
        object.__setattr__(self, "asked", self.asked + sum(map(len, corpora)))
        return super().embed(corpora, paths)


def test_vectors_that_are_dear_are_kept_in_the_file_each_text_is_from(made, other, tmp_path):
    copies = [shutil.copyfile(path, tmp_path / path.name) for path in (made, other)]
    found = recorded(copies, Wanted(agents=("planted",)), 9)
    design = Study(before=4, depth=0.008, draws=19, views=("plan",), primary_only=True)
    cheap, asked = study(found.traces, [HashProbe()], design), []
    for fresh in (False, False, True):
        probe = Dear()
        (kept,) = keeping([probe], found.files, fresh=fresh, warn=pytest.fail)
        for row, same in zip(cheap, study(found.traces, [kept], design), strict=True):
            assert same.value == pytest.approx(row.value, abs=1e-6)
        asked.append(probe.asked)
    texts = [len({said.text for said in (*trace.plan, *trace.reflect)} - {""}) for trace in found.traces]
    assert asked[0] == asked[2] == sum(texts)
    assert 0 < asked[1] <= 4 * 8 < sum(texts)
    for path, n in zip(copies, texts, strict=True):
        with duckdb.connect(path) as db:
            assert db.execute("SELECT count(*) FROM embedding").fetchone() == (n,)


def test_the_blind_spot_is_an_answer_of_its_own(arena, made):
    assert arena("signatures", made, "--blind-spot", "--json").json["models"]
    assert "of gross, in coupled groups" in arena("signatures", made, "--blind-spot").out
    assert arena("signatures", made, "--blind-spot", "--quiet").out == ""


def test_the_same_episode_in_two_files_is_no_two(arena, other, tmp_path):
    shutil.copyfile(other, tmp_path / "copy.duckdb")
    answer = arena("signatures", other, "copy.duckdb")
    assert answer.code == 2
    assert "the same episode stands in two files" in answer.err


def test_what_is_no_result_is_left_out_and_named(arena, made, tmp_path):
    answer = arena("signatures", made, "--view", "intent", *SMALL)
    assert "Left out: 1 INVALID, more than 5 % of the replies lost (organism-garbled true " in answer.out
    alone = arena("signatures", made, "-a", "organism-garbled")
    assert (alone.code, alone.out) == (3, "")
    assert "no episode of these files can be looked at: 1 INVALID" in alone.err
    shutil.copyfile(made, tmp_path / "cut.duckdb")
    with duckdb.connect(tmp_path / "cut.duckdb") as db:
        db.execute("UPDATE episode SET status = 'running' WHERE agent = 'decisions:silent'")
    short = arena("signatures", "cut.duckdb", "--before", 80)
    assert (short.code, short.out) == (3, "")
    assert "1 not ended (decisions:silent" in short.err
    assert "2 fewer than 161 decisions" in short.err


def test_forks_and_open_loops_are_left_out(arena, made):
    arena("fork", made, "--at", 125, "-e", "organism-collapsing", "-f", "hidden", "--out", "fork.duckdb", "--quiet")
    arena("replay", made, "-e", "decisions:planted", "--latency", 2, "--out", "loop.duckdb")
    found = arena("signatures", made, "fork.duckdb", "loop.duckdb", "--view", "intent", *SMALL, "--json").json
    assert sorted(each["why"] for each in found["left_out"]) == ["fork", "invalid", "open loop"]
    assert len(found["episodes"]) == 3


def test_the_published_definitions_stand_beside_with_what_random_text_gives(arena, made):
    asked = ("signatures", made, "--view", "intent", "--depth", 0.5, "--as-published", "-a", "planted")
    found = arena(*asked, "--json").json["published"]
    assert {(row["group"], row["view"], row["probe"]) for row in found} == {
        (group, view, probe)
        for group in ("decisions:planted, hidden", "all")
        for view in ("plan", "fused")
        for probe in ("hash64", "lsa32")
    }
    for row in found:
        assert row["shuffled"]["contraction_rate"]["low"] <= row["shuffled"]["contraction_rate"]["high"]
        assert row["random"]["contraction_rate"]["mean"] > 0.9
        assert 0.4 < row["random"]["equal_contraction_rate"]["mean"] < 0.6
    out = arena(*asked, "-a", "silent").out
    lines = [line.split() for line in out.splitlines() if line.startswith(" plan, hash64")]
    assert [len(line) for line in lines] == [7, 7, 7]
    assert lines[0][3] == f"{found[0]['contraction_rate']:.3f}"
    assert out.count("shuffled text  ") == out.count("random vectors  ") >= 8
    assert out.count("all groups pooled, as published: 24 deepest steps of 2 trajectories") == 1
    assert "A contraction rate of 0.9 says nothing" in out


def test_a_narrow_terminal_does_without_columns_and_says_which(arena, made, monkeypatch):
    asked = ("signatures", made, "-a", "organism-collapsing", "--probe", "hash", *SMALL)
    monkeypatch.setenv("COLUMNS", "100")
    wide = arena(*asked).out
    assert "Not shown for want of room" not in wide
    assert max(len(line) for line in wide.splitlines() if str(made) not in line) <= 100
    monkeypatch.setenv("COLUMNS", "80")
    assert "Not shown for want of room: null" in arena(*asked).out
    monkeypatch.delenv("COLUMNS")
    assert " null " in arena(*asked).out


def test_exploratory_statistics_are_counted_and_shown_where_they_are_asked_for(arena, made):
    asked = ("signatures", made, "-a", "organism-collapsing", "--view", "intent", *SMALL)
    short, whole = arena(*asked).out, arena(*asked, "--all").out
    count = int(short.split(" exploratory values are not shown")[0].split()[-1])
    assert "exploratory, p not adjusted" in whole
    table = whole.split("exploratory, p not adjusted")[1].split("Own anchors")[0]
    assert sum(line.split()[1:3] == ["intent", "weights"] for line in table.splitlines()) == count
    assert arena(*asked, "--quiet").out == ""


def test_too_few_draws_for_holm_are_named(arena, made):
    out = arena("signatures", made, "-a", "organism-collapsing", *SMALL).out
    assert "With 99 draws no p can pass Holm over 9; more would do (--draws)." in out


def test_without_a_file_the_newest_is_taken_and_without_any_it_says_what_to_type(arena, other, tmp_path):
    newest = tmp_path / "replays" / "20240506T070809Z-market6-0123456789.duckdb"
    newest.parent.mkdir()
    shutil.copyfile(other, newest)
    assert arena("signatures", "--view", "intent", *SMALL, "--json").json["experiments"] == [str(newest)]
    newest.unlink()
    answer = arena("signatures")
    assert (answer.code, answer.out) == (2, "")
    assert "make one with `tradearena run --agent organism-collapsing --steps 250`" in answer.err


def test_one_episode_is_looked_at_by_id_or_agent(arena, made):
    found = arena("signatures", made, "-e", "planted", "--view", "intent", *SMALL, "--json").json
    (one,) = found["episodes"]
    assert arena("signatures", made, "-e", one["id"][:8], "--view", "intent", *SMALL, "--json").json == found


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--probe", "bert"), 2, "no probe named 'bert'; there are hash[SIZE], lsa[SIZE]"),
        (("--view", "plans"), 2, "no view named 'plans'; there are plan, reflect, intent, fused"),
        (("--depth", "1.5"), 2, "--depth 1.5: write a fraction between 0 and 1"),
        (("--depth", "nan"), 2, "--depth nan: write a fraction between 0 and 1"),
        (("--agent", "planned"), 2, "no agent named 'planned'; did you mean"),
        (("--episode", "zzz"), 2, "no episode named 'zzz'; "),
        (("--stress", "--blind-spot"), 2, "ask for one of the two"),
        (("--noise", "0.1"), 2, "--noise is for --stress"),
        (("--stress", "--noise", "loud"), 2, "--noise loud: write a size"),
        (("--stress", "--agent", "planted"), 2, "--stress and --blind-spot are of whole files"),
        (("nothing.duckdb",), 2, "no experiment file named 'nothing.duckdb'"),
        (("wrong.duckdb",), 1, "wrong.duckdb"),
    ],
)
def test_a_mistake_is_one_sentence(arena, made, tmp_path, words, code, said):
    (tmp_path / "wrong.duckdb").write_text("no database")
    answer = arena("signatures", made, *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1
