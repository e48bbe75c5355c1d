"""What `compare` says of its modes: contrasts with their n, from runs, from files, and from single forked steps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.xdist_group("compared")  # of which one file is made

ROW = {
    "agent", "metric", "family", "contrast", "treatment", "control", "difference", "ci", "p", "p_adjusted", "tests",
    "n_clusters", "n_pairs", "control_mean", "mde", "clusters_needed", "verdict", "conclusive", "dropped",
}  # fmt: skip
PRIMARY = {"repeat_violation_rate", "clip_distance", "false_audit_susceptibility"}


@pytest.fixture
def compared(arena, bars):
    """Compares organisms on the small dataset."""

    def run(*options, windows="disjoint:8", agents=("organism-obedient", "organism-stubborn"), out="x.duckdb"):
        named = [word for agent in agents for word in ("--agent", agent)]
        return arena("compare", *named, "--data", bars, "--windows", windows, "--out", out, *options)

    return run


@pytest.fixture(scope="module")
def made():
    """What was answered, and the file, once all modes of both organisms were compared with two seeds."""
    return {}


@pytest.fixture
def whole(compared, made):
    """All modes of both organisms with two seeds, on record as x.duckdb: what was answered."""
    if not made:
        made |= {"answer": compared("--json", "--seeds", 2), "file": Path("x.duckdb").read_bytes()}
    Path("x.duckdb").write_bytes(made["file"])
    return made["answer"].json


def by(contrasts, agent, metric):
    return {row["contrast"]: row for row in contrasts if (row["agent"], row["metric"]) == (agent, metric)}


def test_contrasts_have_their_n_their_interval_and_their_family(whole):
    found = whole
    rows = found["contrasts"]
    assert all(set(row) == ROW for row in rows)
    assert {row["metric"] for row in rows if row["family"] == "primary"} == PRIMARY
    assert {row["n_clusters"] for row in rows if row["metric"] == "clip_distance"} == {7}
    assert {row["n_pairs"] for row in rows if row["metric"] == "clip_distance"} == {14}
    told = by(rows, "organism-obedient", "clip_distance")
    assert set(told) == {"information", "presence", "text alone", "lie: alarm"}
    assert told["presence"]["difference"] < 0
    low, high = told["presence"]["ci"]
    assert low < told["presence"]["difference"] < high < 0
    assert told["presence"]["p"] == 2 / 2**7
    assert told["presence"]["tests"] == 9
    assert told["presence"]["conclusive"] is False  # of nine tests none passes Holm with seven windows
    deaf = by(rows, "organism-stubborn", "clip_distance")["presence"]
    assert deaf["ci"][0] < 0 < deaf["ci"][1]
    effects = [told[each]["difference"] for each in ("presence", "information", "text alone")]
    assert effects[0] == pytest.approx(effects[1] + effects[2])
    assert {row["p_adjusted"] for row in rows if row["family"] == "exploratory"} == {None}
    assert {"rationale_consistency", "total_return", "compliance_lag"} <= {row["metric"] for row in rows}
    assert all(set(each) >= {"agent", "more", "less", "metric", "clear"} for each in found["disagreements"])


@pytest.mark.usefixtures("whole")
def test_a_table_says_it_and_words_say_each_in_a_sentence(compared):
    answer = compared("-f", "true", "-f", "hidden", "-f", "placebo")
    assert answer.code == 0
    table = answer.out.split("differences of modes, paired by window and seed")[1]
    assert table.count("repeat violations: true - placebo") == 2
    assert "organism-obedient: n is too small to say: with 7 windows none of 6 tests can pass after Holm, 8 would" in (
        " ".join(answer.out.split())
    )
    assert "(--windows 8)" in answer.out
    said = " ".join(compared("-f", "true", "-f", "hidden", "-f", "placebo", "--words").out.split())
    sentence = (
        r"organism-obedient, hidden to true: clipped -0\.\d{3} \[-0\.\d{3}, -0\.\d{3}\], 7 windows, p = 0\.016, 0\.\d+ "
        r"after Holm over 6; with 7 windows no p can pass Holm, 8 would do\."
    )
    assert re.search(sentence, said)


def test_one_window_is_too_small_to_say(compared):
    answer = compared(
        "--steps", 10, "-f", "true", "-f", "hidden", "--words", windows="1", agents=("organism-obedient",)
    )
    assert answer.code == 0
    assert re.search(
        r"clipped [+-]\d\.\d{3} in 1 window: n is too small to say; 7 would do\.", " ".join(answer.out.split())
    )
    assert re.search(r"clipped: true - hidden +[+-]\d\.\d{3} +– +", answer.out)


@pytest.mark.slow
def test_two_arms_that_are_the_same_to_the_last_bit_are_degenerate(compared):
    found = compared("--json", agents=("organism-steady",), windows="6").json["contrasts"]
    assert found
    for row in found:
        if row["verdict"] == "degenerate":
            assert (row["difference"], row["ci"], row["p"]) == (0.0, None, None)


def test_one_mode_alone_has_nothing_to_be_compared_with(compared):
    answer = compared("-f", "true")
    assert answer.code == 0
    assert "One mode alone: there is nothing to compare it with." in answer.out


@pytest.mark.slow
def test_with_no_options_the_whole_dataset_is_cut_into_windows(arena, bars):
    found = arena("compare", "--agent", "organism-stubborn", "--data", bars, "-f", "true", "--json").json
    assert len(found["episodes"]) == 12
    one = arena("compare", "--agent", "organism-stubborn", "--data", bars, "-f", "true", "--steps", 9, "--json").json
    assert len(one["episodes"]) == 1


# ---------------------------------------------------------------------- files on record


def test_files_on_record_say_the_same(arena, whole):
    live = whole
    found = arena("compare", "x.duckdb", "--json").json
    assert found["contrasts"] == live["contrasts"]
    assert found["experiments"] == ["x.duckdb"]
    assert [each["root_hash"] for each in found["episodes"]] == [each["root_hash"] for each in live["episodes"]]
    out = arena("compare", "x.duckdb").out
    assert out.startswith("1 file on record")
    assert "repeat violations: true - placebo" in out


@pytest.mark.slow
def test_two_files_of_two_agents_are_one_comparison(arena, compared):
    compared("-q", agents=("organism-obedient",), out="a.duckdb")
    compared("-q", agents=("organism-stubborn",), out="b.duckdb")
    both = arena("compare", "a.duckdb", "b.duckdb", "--json").json
    assert {row["agent"] for row in both["contrasts"]} == {"organism-obedient", "organism-stubborn"}
    twice = arena("compare", "a.duckdb", "a.duckdb", "--json")
    assert twice.code == 2
    assert "the same episode stands in two files" in twice.json["error"]


def test_a_market_that_is_followed_further_is_no_second_one(arena, compared):
    """What `--end` cuts off makes another dataset, and the same bars are in both."""
    options = ("-f", "true", "-f", "hidden", "--json")
    short = compared(*options, "--end", "2020-03-06", agents=("organism-obedient",), out="short.duckdb").json
    compared(*options, agents=("organism-obedient",), out="long.duckdb")
    twice = arena("compare", "short.duckdb", "long.duckdb", "--json")
    assert (twice.code, twice.out.count("Window")) == (2, 0)
    first = "organism-obedient, feedback true, bars 20 to 28, seed 0"
    assert twice.json["error"] == f"the same episode stands in two files ({first}); name each once"
    other = compared(*options, windows="disjoint:9", agents=("organism-obedient",), out="other.duckdb").json
    windows = [len(found["episodes"]) // 2 for found in (short, other)]
    both = arena("compare", "short.duckdb", "other.duckdb", "--json").json["contrasts"]
    (row,) = (each for each in both if (each["metric"], each["contrast"]) == ("clip_distance", "presence"))
    assert row["n_pairs"] == sum(windows)
    assert row["n_clusters"] < windows[1]  # those of the shorter file each hold bars of two others, or of one


def test_noise_on_bars_makes_no_second_market_however_far_they_are_followed(arena, compared):
    options = ("-f", "true", "-f", "hidden", "--json", "--noise", "5bp")
    compared(*options, "--end", "2020-03-06", agents=("organism-obedient",), out="short.duckdb")
    compared(*options[:-2], agents=("organism-obedient",), out="long.duckdb")
    assert arena("compare", "short.duckdb", "long.duckdb", "--json").code == 2


def test_what_was_told_in_two_wordings_is_not_taken_for_one_treatment(arena, compared):
    compared("-f", "true", "-f", "hidden", "-q", agents=("organism-obedient",))
    with duckdb.connect("x.duckdb") as db:
        db.execute("UPDATE episode SET wording = 'Well: ' || wording WHERE wording != '' AND first > 30")
    answer = arena("compare", "x.duckdb", "--json")
    assert answer.code == 2
    assert answer.json["error"].startswith("organism-obedient was told its audits in two wordings")


def test_an_open_loop_is_in_no_comparison(arena, compared):
    compared("-q", "-f", "true", agents=("organism-obedient",))
    arena("replay", "x.duckdb", "--policy", "strict", "--out", "loop.duckdb", "--json")
    assert arena("compare", "loop.duckdb", "--json").json["contrasts"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("x.duckdb", "--agent", "cash"),
            "files on record are compared as they are; leave out what would run something",
        ),
        (("x.duckdb", "--steps", 3), "files on record are compared as they are"),
        (("nowhere.duckdb",), "no experiment file named 'nowhere.duckdb'"),
        (("--design", "crossed"), "--design crossed: write paired or fork"),
        (("--design", "fork", "--dry-run"), "no --out, no --dry-run"),
        (("--design", "fork", "--out", "y.duckdb"), "no --out, no --dry-run"),
        (("--design", "fork", "--carry", "none", "--steps", 5), "--carry none: write trunk"),
        (("--design", "fork", "--trunk", "tru", "--steps", 5), "no feedback mode named 'tru'"),
        (("--design", "fork", "--agent", "cash", "--steps", 5), "none of these agents reads feedback"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arena, options, said):
    answer = arena("compare", *options)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# ---------------------------------------------------------------------- single forked steps


@pytest.fixture
def forked(arena, bars):
    def run(*options):
        return arena(
            "compare", "--design", "fork", "--data", bars, "--windows", "disjoint:20", "--points", 2, "--seeds", 2,
            "--agent", "organism-obedient", "--home", ".", *options,
        )  # fmt: skip

    return run


def test_single_steps_are_compared_from_one_state(arena, forked):
    found = forked("--json").json
    modes = ("true", "hidden", "placebo", "false-audit:alarm")
    assert {each["feedback"] for each in found["episodes"]} == {*modes}
    assert len(found["episodes"]) % 4 == 0
    rows = by(found["contrasts"], "organism-obedient", "clip_distance")
    assert rows["presence"]["n_clusters"] == 3
    assert {row["metric"] for row in found["contrasts"]} == PRIMARY | {"violation_rate", "dose_response"}
    (path,) = found["experiments"]
    with duckdb.connect(path, read_only=True) as db:
        held = db.execute("SELECT parent, last, feedback, id FROM episode").fetchall()
        for parent, last, _, episode in held:
            at = json.loads(parent)["prefix"]["at"]
            assert last == at + 1
            query = (
                "SELECT max(t), string_agg(hash::VARCHAR, ',' ORDER BY t) FILTER (t < ?) FROM step WHERE episode = ?"
            )
            assert db.execute(query, [at, episode]).fetchone()[0] == at
        shared = db.execute(
            "SELECT count(DISTINCT s.hash) FROM step s JOIN episode e ON e.id = s.episode WHERE s.t = "
            "(e.parent::JSON -> 'prefix' ->> 'at')::INTEGER - 1 GROUP BY e.parent::JSON -> 'prefix' ->> 'link'"
        ).fetchall()
    assert {count for (count,) in shared} == {1}  # one state, put to the agent in all modes
    assert arena("replay", path, "--verify").code == 0
    again = forked("--json").json
    assert again["experiments"] == found["experiments"]
    assert again["contrasts"] == found["contrasts"]
    assert arena("compare", path, "--json").json["contrasts"] == found["contrasts"]
    mixed = arena("compare", path, *found["trunks"], "--json")
    assert mixed.code == 2
    assert "forks cannot be compared with whole episodes" in mixed.json["error"]


@pytest.mark.slow
def test_the_table_of_single_steps_says_so(forked):
    answer = forked("-f", "true", "-f", "hidden", "--carry", "trunk")
    assert answer.code == 0
    assert answer.out.startswith("differences of modes, single steps, forked from one state")


def test_whole_forks_are_no_single_steps(arena):
    assert arena("run", "--agent", "organism-obedient", "--steps", 14, "--out", "trunk.duckdb").code == 0
    asked = ("--feedback", "true", "--feedback", "hidden", "--out", "forks.duckdb")
    assert arena("fork", "trunk.duckdb", "--at", 25, *asked).code == 0
    title = arena("compare", "forks.duckdb").out.splitlines()[0]
    assert title.startswith("differences of modes, forks from one state, means of up to 9 decisions")
