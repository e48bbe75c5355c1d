"""What `signatures --stress` prints."""

from __future__ import annotations

import json

import pytest
from stage import FREE, dataset, walk

from tradearena.agents.card import open_agent
from tradearena.analysis.signatures.design import Design
from tradearena.analysis.signatures.lexical_probes import HashProbe
from tradearena.arena import experiment
from tradearena.arena.plan import Plan
from tradearena.cli.stress import show_stress
from tradearena.errors import InvalidRun, UsageError
from tradearena.market.window import Window

ROW = {
    "stress", "group", "view", "probe", "anchors", "statistic", "primary", "base", "stressed", "change", "ci", "n",
    "verdict",
}  # fmt: skip
DESIGN = Design(before=3, depth=0.02, views=("plan", "intent"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """An organism and a rule on one path."""
    path = tmp_path_factory.mktemp("stress") / "mine.duckdb"
    agents = tuple(open_agent(name) for name in ("organism-collapsing", "random"))
    plan = Plan(dataset(walk(3, bars=150, n=3)), FREE, Window(), agents)
    experiment.run(plan, path)
    return path


def test_a_table_has_a_line_for_each_stress(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    show_stress([path], probes=[HashProbe(16)], design=DESIGN, noise=["0.2", "5bp"])
    out = capsys.readouterr().out
    for stress in ("noise 0.2", "noise 5bp", "false-audit:alarm", "weights-only", "synonyms", "shuffled-steps"):
        assert stress in out
    assert "words-only: no change" in out
    assert "false-audit:alarm: reads no feedback" in out
    assert "too few paths: 6 would do" in out
    assert out.index("organism-collapsing, true") < out.index("random, hidden")


def test_what_is_no_result_is_named(tmp_path, capsys):
    design = Design(before=3, depth=0.02, views=("intent",))
    for name, agents in ("both", ("random", "organism-garbled")), ("alone", ("organism-garbled",)):
        plan = Plan(dataset(walk(3, bars=110, n=3)), FREE, Window(), tuple(map(open_agent, agents)))
        experiment.run(plan, tmp_path / f"{name}.duckdb")
    show_stress([tmp_path / "both.duckdb"], probes=[], design=design, noise=["0.2"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Left out: 1 INVALID, more than 5 % of the replies lost (organism-garbled true" in out
    show_stress([tmp_path / "both.duckdb"], probes=[], design=design, noise=["0.2"], json=True)
    (left_out,) = json.loads(capsys.readouterr().out)["left_out"]
    assert (left_out["agent"], left_out["why"]) == ("organism-garbled", "invalid")
    with pytest.raises(InvalidRun, match="no episode of these files can be stressed: 1 INVALID"):
        show_stress([tmp_path / "alone.duckdb"], probes=[], design=design)


def test_two_agents_of_one_name_are_not_taken_for_one(path, tmp_path):
    card = tmp_path / "random.toml"
    card.write_text('name = "random"\nkind = "momentum"\n')
    plan = Plan(dataset(walk(4, bars=110, n=3)), FREE, Window(), (open_agent(str(card)),))
    experiment.run(plan, tmp_path / "other.duckdb")
    with pytest.raises(UsageError, match="more than one agent is called random in these files: their cards, pol"):
        show_stress([path, tmp_path / "other.duckdb"], probes=[], design=DESIGN)


def test_json_is_one_object_with_every_statistic(path, capsys):
    show_stress([path], probes=[], design=Design(before=3, depth=0.02, views=("intent",)), noise=["0.2"], json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["experiments"] == [str(path)]
    assert all(set(row) == ROW for row in found["rows"])
    assert {row["statistic"] for row in found["rows"]} >= {"effective_rank", "drift", "auc"}
    assert {row["stress"] for row in found["rows"]} == {
        "noise 0.2", "false-audit:alarm", "false-audit:all-clear", "weights-only",
    }  # fmt: skip


def test_a_size_that_is_none_is_said_before_anybody_is_asked(path):
    with pytest.raises(UsageError, match="--noise loud: write a size"):
        show_stress([path], noise=["loud"])
