"""`tradearena leaderboard`: a frozen protocol, and places that say how far they are settled."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tradearena import policy
from tradearena.analysis import leaderboard
from tradearena.arena.protocol import plan_of, read
from tradearena.market.dataset import open_dataset

BASELINES = {"cash", "buy-and-hold", "equal-weight", "markowitz"}


@pytest.fixture
def protocol(bars, tmp_path):
    """Writes a protocol on the small dataset."""

    def write(**changes):
        said = {
            "name": "small", "data": str(bars), "bars": open_dataset(str(bars)).panel.digest, "policy": "standard",
            "rules": policy.load("standard").digest, "windows": "6", "seeds": [0, 1], "modes": ["true"], **changes,
        }  # fmt: skip
        path = tmp_path / "protocol.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()))
        return path

    return write


def test_agents_are_ranked_among_the_baselines(arena, protocol):
    answer = arena(
        "leaderboard", protocol(), "--agent", "organism-momentum", "--agent", "random", "--json", "--out", "x.duckdb"
    )
    assert answer.code == 0
    found = answer.json
    assert {each["agent"] for each in found["standings"]} == BASELINES | {"organism-momentum", "random"}
    assert [each["place"]["place"] for each in found["standings"]] == [1, 2, 3, 4, 5, 6]
    assert {each["place"]["n"] for each in found["standings"]} == {6}
    scores = [each["place"]["score"] for each in found["standings"]]
    assert scores == sorted(scores, reverse=True)
    (cash,) = [each for each in found["standings"] if each["agent"] == "cash"]
    assert (cash["place"]["score"], cash["sharpe"], cash["deflated"]) == (0.0, None, None)
    assert all(0 <= each["deflated"] <= 1 for each in found["standings"] if each["deflated"] is not None)
    assert found["protocol"]["seeds"] == [0, 1]
    again = arena("leaderboard", protocol(), "--agent", "random", "--json", "--out", "y.duckdb").json
    roots = {each["agent"]: each["root"] for each in found["standings"]}
    assert {each["agent"]: each["root"] for each in again["standings"]}.items() <= roots.items()


def test_the_table_says_what_a_place_is_worth(arena, protocol):
    answer = arena("leaderboard", protocol(windows="3"), "--agent", "momentum", "--out", "x.duckdb")
    assert answer.code == 0
    assert answer.out.startswith("protocol small")
    assert "1 to 5" in answer.out
    assert "With 3 windows no place can be settled; more windows would do." in answer.out
    assert "tradearena replay x.duckdb --verify" in answer.out


@pytest.mark.slow
def test_what_is_no_result_has_no_place(arena, protocol, user):
    bad = user("def ask(seen):\n    raise ValueError('no')\n")
    answer = arena("leaderboard", protocol(), "--agent", bad, "--json", "--out", "x.duckdb")
    assert answer.code == 1
    places = {each["agent"]: each["place"] for each in answer.json["standings"]}
    assert places[bad] is None
    assert all(places[name] for name in BASELINES)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"bars": "0" * 64}, 1, "the protocol small is for bars"),
        ({"rules": "0" * 64}, 1, "is for policy standard with the digest 000000000000, and those here have"),
        ({"seeds": []}, 1, "protocol.toml, line 7"),
        ({"modes": ["tru"]}, 2, "no feedback mode named 'tru'; did you mean true?"),
        ({"policy": "lenient"}, 2, "no policy named 'lenient'"),
        ({"windows": "0"}, 2, "--windows"),
        ({"windows": "rolling:10:5"}, 1, "its windows (rolling:10:5) have bars in common"),
    ],
)
def test_a_protocol_that_does_not_hold_here_is_one_sentence(arena, protocol, changes, code, said):
    answer = arena("leaderboard", protocol(**changes), "--out", "x.duckdb")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_a_dataset_without_a_protocol_says_so(arena):
    answer = arena("leaderboard", "intraday-51")
    assert (answer.code, answer.out) == (2, "")
    assert "the dataset intraday-51 has no protocol; name a protocol file" in answer.err


def test_the_protocol_that_is_shipped_holds():
    assert len(plan_of(read("demo-daily"), ("momentum",)).episodes) == 12 * 5


def test_a_seed_that_was_ruined_counts_with_nothing_from_then_on():
    """Left out, three windows of ruins would leave the Sharpe ratio of the others as it is."""
    rows = [SimpleNamespace(status=status, root_hash=status) for status in ("complete", "ruined")]
    navs = np.array([100.0, 110.0, 121.0, 108.9]), np.array([100.0, 50.0, -10.0])
    walked = [
        SimpleNamespace(nav=nav, bars_per_year=252.0, statuses=("ok",) * (len(nav) - 1), silent=0) for nav in navs
    ]
    entry = leaderboard._entry({20: list(zip(rows, walked, strict=True))})
    assert entry.valid
    assert entry.returns == pytest.approx([(0.1 - 0.5) / 2, (0.1 - 1.2) / 2, (-0.1 + 0.0) / 2])
