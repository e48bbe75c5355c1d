"""An agent that runs in this process, from its card to its file: a small model whose weights are made to answer."""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path

import duckdb
import gpt
import numpy as np
import pytest
from stage import dataset, walk

from tradearena.agents.allowance import Allowance
from tradearena.agents.card import open_agent
from tradearena.agents.causal import opened
from tradearena.agents.checkpoint import located
from tradearena.agents.messages import messages_of
from tradearena.agents.switchboard import Switchboard
from tradearena.analysis.signatures.hidden import StatesProbe
from tradearena.analysis.signatures.trace import read
from tradearena.arena import experiment
from tradearena.arena.branch import fork, trunks
from tradearena.arena.plan import Plan
from tradearena.arena.preview import first_requests
from tradearena.arena.verify import verify
from tradearena.cli import main
from tradearena.errors import AgentError, CardError, Interrupted, Limited, UsageError
from tradearena.market.window import Window
from tradearena.policy import load
from tradearena.risk.feedback import open_wording
from tradearena.store.reader import Reader

pytestmark = [pytest.mark.whitebox, pytest.mark.xdist_group("whitebox")]

STEPS = 4


@pytest.fixture(scope="module")
def speaker(tmp_path_factory) -> Path:
    return gpt.speaking_gpt(tmp_path_factory.mktemp("models") / "speaker")


@pytest.fixture
def card(speaker, tmp_path):
    """Writes a card of kind local."""

    def write(extra: str = "", **parameters) -> str:
        said = {"model": str(speaker), "max_tokens": 40, **parameters}
        lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]
        path = tmp_path / "mine.toml"
        path.write_text("\n".join(['name = "mine"', 'kind = "local"', "[parameters]", *lines, extra]))
        return str(path)

    return write


def plan(agent: str, **more) -> Plan:
    bars = dataset(walk(4, bars=40, n=2))
    return Plan(bars, load("standard"), Window(steps=STEPS), (open_agent(agent),), modes=("true",), **more)


def run(agent: str, path: Path, *, seeds: tuple[int, ...] = (0,), **more) -> experiment.Outcome:
    return experiment.run(plan(agent, seeds=seeds), path, **more)


def table(path: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as db:
        return db.execute(query).fetchall()


def states(path: Path) -> list[tuple]:
    return table(path, "SELECT t, layer, pool, vector FROM state ORDER BY episode, t, layer, pool")


def test_it_decides_like_any_other_and_its_states_are_on_record(speaker, card, tmp_path):
    path = tmp_path / "run.duckdb"
    assert run(card(), path).failure is None
    steps = table(path, "SELECT status, rationale, confidence, list_sum(intent::DOUBLE[]) FROM step")
    assert steps == [("ok", gpt.SAID[0], 0.7, pytest.approx(0.8))] * STEPS
    assert [row[:3] for row in states(path)] == [
        (20 + k, layer, pool) for k in range(STEPS) for layer in (1, 3) for pool in ("last", "mean")
    ]
    calls = table(path, "SELECT model, answered, finish, output_tokens, cost, error FROM call")
    sha256 = located(str(speaker)).sha256
    assert calls == [("local:speaker", f"speaker@{sha256[:12]}", "stop", 13, 0.0, None)] * STEPS
    ((recorded, manifest),) = table(path, "SELECT card, manifest FROM episode")
    assert str(speaker) not in recorded + manifest
    assert json.loads(recorded)["parameters"]["sha256"] == sha256
    assert {"torch", "transformers", "device", "dtype"} < set(json.loads(manifest))
    whole, (verdict,) = verify(path)
    assert (whole, verdict.wrong, verdict.sealed) == ([], None, True)


def test_a_state_is_what_the_whole_model_says_of_the_words_it_wrote(speaker, card, tmp_path):
    import torch

    path = tmp_path / "run.duckdb"
    run(card(layers=[0, 2, -1]), path)
    model = opened(located(str(speaker)))
    with Reader(path) as reader:
        (row,) = reader.episodes()
        found = reader.exchanges(row.id, states=True)
    for (exchange,) in found.values():
        prompt = model.prompt(messages_of(exchange.system, exchange.prompt, ()))
        reply = model.tokens([exchange.reply])[0]
        ids = [*prompt[-(model.context - 40) :], *reply]
        with torch.inference_mode():
            hidden = model.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        assert [(each.layer, each.pool) for each in exchange.states] == [
            (layer, pool) for layer in (0, 2, 3) for pool in ("last", "mean")
        ]
        for each in exchange.states:
            own = hidden[each.layer][0, -len(reply) :]
            expected = own.mean(dim=0) if each.pool == "mean" else own[-1]
            np.testing.assert_allclose(each.array, expected.double().numpy(), atol=2e-5)
    vectors = {exchange.states[3].vector for (exchange,) in found.values()}
    assert len(vectors) == STEPS, "the same words after other prompts are other states"


@pytest.mark.parametrize("positions", [200, 8_192])
def test_a_prompt_that_is_longer_than_the_model_reads_is_cut_and_the_record_says_so(card, tmp_path, positions):
    model = gpt.speaking_gpt(tmp_path / "sized", positions=positions)
    path = tmp_path / "run.duckdb"
    assert run(card(model=str(model)), path).failure is None
    rows = table(path, "SELECT c.input_tokens, c.parameters, s.status FROM call c JOIN step s USING (episode, t)")
    for tokens, parameters, status in rows:
        said = json.loads(parameters)
        assert status == "ok"
        assert said.pop("prompt_cut", 0) == (0 if positions == 8_192 else pytest.approx(tokens * 20, rel=0.7))
        assert tokens == 160 if positions == 200 else 2_000 < tokens < 8_152
        assert said == {"max_tokens": 40, "temperature": 0.0}


def test_a_run_that_was_cut_short_ends_as_one_that_was_not(card, tmp_path):
    name, whole, cut = card(temperature=1.0), tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    run(name, whole, seeds=(5,))
    outcome = run(name, cut, seeds=(5,), progress=lambda standing: standing.done == 2)
    assert isinstance(outcome.failure, Interrupted)
    assert len(states(cut)) == 2 * 4
    assert run(name, cut, seeds=(5,)).failure is None
    assert states(cut) == states(whole)
    assert table(cut, "SELECT root_hash FROM episode") == table(whole, "SELECT root_hash FROM episode")
    assert table(cut, "SELECT count(*) FROM call") == [(STEPS,)]


def test_the_seed_has_a_say_where_temperature_leaves_one(card, tmp_path):
    path, seeds = tmp_path / "run.duckdb", tuple(range(4))
    run(card(temperature=1.0), path, seeds=seeds)
    said = table(path, "SELECT e.seed, list(s.rationale ORDER BY t) FROM step s JOIN episode e ON e.id = s.episode "
                       "GROUP BY 1 ORDER BY 1")  # fmt: skip
    assert {words for _, each in said for words in each} == set(gpt.SAID)
    assert len({str(each) for _, each in said}) > 1
    run(card(temperature=1.0), path, seeds=seeds, again=True)
    roots = table(path, "SELECT seed, root_hash, replicate FROM episode ORDER BY replicate, seed")
    assert [row[:2] for row in roots[:4]] == [row[:2] for row in roots[4:]]
    assert not open_agent(card()).card.sampled, "greedy: one episode stands for every seed"


def test_what_the_reply_goes_on_with_after_its_end_is_not_waited_for(card, tmp_path):
    path = tmp_path / "run.duckdb"
    run(card(), path)
    assert {reply[-16:] for (reply,) in table(path, "SELECT reply FROM exchanges")} == {'"confidence": 0.7}'[-16:]}


def test_a_reply_that_does_not_come_to_its_end_is_a_fallback(card, tmp_path):
    path = tmp_path / "run.duckdb"
    run(card(max_tokens=5), path)
    assert table(path, "SELECT DISTINCT status, reason FROM step") == [("fallback", "the reply was cut off")]
    assert table(path, "SELECT DISTINCT finish, output_tokens FROM call") == [("length", 5)]
    assert len(states(path)) == 4 * STEPS


def test_a_model_that_says_nothing_has_no_states(card, tmp_path):
    mute = gpt.speaking_gpt(tmp_path / "mute", reply=())
    path = tmp_path / "run.duckdb"
    run(card(model=str(mute)), path)
    assert table(path, "SELECT DISTINCT status, reason FROM step") == [("error", "the reply is empty")]
    assert states(path) == []
    with Reader(path) as reader:
        (trace,) = read(reader, reader.episodes())
    assert StatesProbe().embed([trace.plan], [trace.window]) == [None]


def test_one_that_is_asked_again_records_what_went_on_each_time(card, tmp_path):
    path = tmp_path / "run.duckdb"
    run(card("[prompt]\nagain = 1", max_tokens=5), path)
    assert table(path, "SELECT t, exchange, count(*) FROM state GROUP BY 1, 2 ORDER BY 1, 2") == [
        (20 + k, exchange, 4) for k in range(STEPS) for exchange in (0, 1)
    ]
    with Reader(path) as reader:
        (row,) = reader.episodes()
        (trace,) = read(reader, [row])
        held = reader.states(row.id)
    assert [said.states for said in trace.plan] == [held[20 + k, 1] for k in range(STEPS)]
    assert verify(path)[1][0].wrong is None


def test_a_fork_goes_on_with_the_states_it_shares(card, tmp_path):
    path, child = tmp_path / "run.duckdb", tmp_path / "fork.duckdb"
    run(card(), path)
    (trunk,) = trunks(path)
    made = fork(
        trunk, 22, open_agent(card()), modes=("true",), seeds=(0,), policy=trunk.policy, wording=open_wording().template
    )
    assert experiment.run(made, child).failure is None
    assert states(child) == states(path)
    assert verify(child)[1][0].wrong is None


def test_it_is_the_same_agent_wherever_its_model_lies(speaker, card, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "speaker"
    elsewhere.parent.mkdir()
    elsewhere.symlink_to(speaker)
    assert open_agent(f"local:{elsewhere}").digest == open_agent(f"local:{speaker}").digest
    assert open_agent(card(device="cpu")).digest == open_agent(card()).digest
    digests = {open_agent(card(**more)).digest for more in ({}, {"temperature": 0.5}, {"layers": [0]})}
    assert len(digests) == 3
    other = gpt.random_gpt(tmp_path / "other" / "speaker")
    assert open_agent(f"local:{other}").digest != open_agent(f"local:{speaker}").digest


REFUSED = [
    ({"sha256": "0" * 64}, UsageError, "is not the model of the card mine: its files have the SHA-256"),
    ({"layers": [9]}, UsageError, "speaker has no layer 9: there are 0, the embeddings, to 3"),
    ({"max_tokens": 5000}, UsageError, "reads 2048 tokens at once, and max_tokens = 5000 leaves none"),
    ({"device": "cuda:99"}, UsageError, "torch has no device 'cuda:99' here"),
    ({"model": "/none"}, UsageError, "/none: no such folder"),
    ({"temperature": 3.0}, CardError, "line 6: parameters.temperature"),
    ({"extra": '[prompt]\ntools = ["history"]'}, CardError, "an agent of kind local takes no tools"),
]


@pytest.mark.parametrize(("changes", "kind", "said"), REFUSED, ids=[next(iter(each)) for each, *_ in REFUSED])
def test_what_cannot_be_is_one_sentence_before_a_file_is_made(card, tmp_path, changes, kind, said):
    with pytest.raises(kind, match=said) as caught:
        run(card(**changes), tmp_path / "run.duckdb")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run.duckdb").exists()


def test_the_model_a_card_means_is_taken(speaker, card):
    assert open_agent(card(sha256=located(str(speaker)).sha256)).card.name == "mine"


def test_a_stop_is_heard_in_the_middle_of_a_reply(card, tmp_path):
    """The time is up after so many looks at the clock: of a reply that would be long nothing is kept."""
    endless = gpt.speaking_gpt(tmp_path / "endless", positions=8_000, reply=(("on ",),) * 40)
    board = Switchboard(allowance=Allowance(seconds=30, clock=count().__next__))
    outcome = run(card(model=str(endless), max_tokens=4_000), tmp_path / "run.duckdb", board=board)
    assert isinstance(outcome.failure, Limited)
    assert table(tmp_path / "run.duckdb", "SELECT count(*) FROM step") == [(0,)]
    assert table(tmp_path / "run.duckdb", "SELECT error, output_tokens FROM call") == [("broken off", None)]
    assert states(tmp_path / "run.duckdb") == []


def test_what_a_run_may_read_and_write_binds_it_as_well(card, tmp_path):
    board = Switchboard(allowance=Allowance(tokens=5_000))
    outcome = run(card(), tmp_path / "run.duckdb", board=board)
    assert isinstance(outcome.failure, Limited)
    assert 0 < table(tmp_path / "run.duckdb", "SELECT count(*) FROM step")[0][0] < STEPS


def test_a_model_that_breaks_ends_its_episode_and_says_so(card, tmp_path):
    """Weights that are no numbers cannot be sampled from."""
    import torch
    from transformers import AutoModelForCausalLM

    broken = gpt.speaking_gpt(tmp_path / "broken")
    model = AutoModelForCausalLM.from_pretrained(broken)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    model.save_pretrained(broken)
    outcome = run(card(model=str(broken), temperature=1.0), tmp_path / "run.duckdb")
    assert isinstance(outcome.failure, AgentError)
    assert "raised at bar 20" in str(outcome.failure)


def test_what_it_would_be_sent_can_be_seen_without_its_model(card):
    (sent,) = first_requests(plan(card()))
    assert "S0" in sent.prompt
    assert "NAV" in sent.system


# ---------------------------------------------------------------------- on the command line


def typed(capsys, monkeypatch, *words) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["tradearena", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def test_a_model_with_random_weights_is_no_result(card, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = card(model=str(gpt.random_gpt(tmp_path / "tiny")))
    code, out, _ = typed(capsys, monkeypatch, "run", "--agent", name, "--steps", "2", "--json")
    (episode,) = json.loads(out)["episodes"]
    assert (code, episode["validity"]["valid"], episode["validity"]["share_ok"]) == (3, False, 0.0)
    assert len(states(Path(json.loads(out)["experiment"]))) == 2 * 4


def test_a_folder_is_enough(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    reply = (('{"target_weights": {"TECH1": 0.2, "ENER2": 0.2',), ("}}",))
    gpt.speaking_gpt(tmp_path / "tiny", reply=reply)
    code, out, err = typed(capsys, monkeypatch, "run", "--agent", "local:tiny", "--steps", "3", "--json", "--quiet")
    (episode,) = json.loads(out)["episodes"]
    assert (code, episode["agent"], episode["steps"], err) == (0, "local:tiny", 3, "")
    file = json.loads(out)["experiment"]
    assert len(states(Path(file))) == 3 * 4
    assert typed(capsys, monkeypatch, "replay", file, "--verify")[0] == 0
    assert json.loads(typed(capsys, monkeypatch, "agents", "check", "local:tiny", "--json")[1])["device"] == "cpu"
    assert "model tiny, torch " in typed(capsys, monkeypatch, "agents", "check", "local:tiny")[1]
    code, _, err = typed(capsys, monkeypatch, "fork", file, "--at", "20")
    assert (code, "the agent on record is local:tiny, which is no card; say with --agent" in err) == (2, True)
    code, _, err = typed(capsys, monkeypatch, "run", "--agent", "local:nowhere")
    assert (code, "nowhere: no such folder" in err, err.count("\n")) == (2, True, 1)
