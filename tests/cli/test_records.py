"""What made an episode is on record with the prices of its models, and without anybody's credentials."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version

import duckdb
import pytest
from team import asks, rows

from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

# ---------------------------------------------------------------------- prices


def manifest(arena, path="a.duckdb"):
    (episode,) = arena("show", path, "--manifest").json["episodes"]
    return episode["manifest"]


@pytest.fixture
def priced(desk, tmp_path):
    """The team of `desk`: prices on its card, which one analyst shares; the other's model is on litellm's list."""

    def write(server, given="{ input = 2.0, output = 8.0, cached = 0.5 }"):
        desk(server)
        path = tmp_path / "agents" / "desk.toml"
        text = path.read_text().replace("backoff = 0.001\n", f"backoff = 0.001\nprices = {given}\n")
        path.write_text(text.replace("openai/other", "openai/gpt-4o-mini"))
        return "desk"

    return write


def test_the_manifest_has_the_prices_of_every_model_of_a_team_as_they_were_paid(arena, bars, priced):
    with ChatServer(asks) as server:
        answer = arena("run", "--agent", priced(server), "--data", bars, "--steps", "2", "--json", "--out", "a.duckdb")
    assert answer.code == 0
    found = manifest(arena)
    assert found["litellm"] == version("litellm")
    card, listed = found["models"]
    assert listed.pop("listed")["input_cost_per_token"] == 1.5e-07
    assert [listed.pop(name) for name in ("input", "output", "cached")] == pytest.approx([0.15, 0.6, 0.075])
    assert listed == {"model": "openai/gpt-4o-mini", "from": "litellm", "speakers": ["risk"]}
    assert card == {
        "model": "openai/small", "input": 2.0, "output": 8.0, "cached": 0.5, "from": "card", "speakers": ["looker", ""],
    }  # fmt: skip
    paid = rows("a.duckdb", "SELECT model, sum(cost), sum(input_tokens), sum(output_tokens) FROM call GROUP BY ALL")
    assert {model: cost for model, cost, *_ in paid} == {
        model: pytest.approx(
            (2.0 * read + 8.0 * written if model == "openai/small" else 0.15 * read + 0.6 * written) / 1e6
        )
        for model, _, read, written in paid
    }
    assert len(paid) == 2


def test_prices_that_nobody_knows_are_said_to_be_unknown(arena, bars, desk):
    with ChatServer(asks) as server:
        arena("run", "--agent", desk(server), "--data", bars, "--steps", "1", "--json", "--out", "a.duckdb")
    unknown = dict.fromkeys(("input", "output", "cached", "from"))
    assert manifest(arena)["models"] == [
        {"model": "openai/small", **unknown, "speakers": ["looker", ""]},
        {"model": "openai/other", **unknown, "speakers": ["risk"]},
    ]


@pytest.mark.slow
def test_an_episode_that_is_taken_up_at_other_prices_has_both(arena, bars, priced):
    numbers = iter(range(100))

    def failing(messages):
        return Answer(status=400, body="{}") if next(numbers) == 8 else asks(messages)

    with ChatServer(failing) as server:
        typed = ("run", "--data", bars, "--steps", "2", "--json", "--out", "a.duckdb", "--agent")
        assert arena(*typed, priced(server)).code == 1
        assert arena(*typed, priced(server, "{ input = 3.0, output = 9.0 }")).code == 0
    found = manifest(arena)
    both = [each["models"][0] for each in (found, found["resumed_with"])]
    assert [(each["input"], each["cached"]) for each in both] == [(2.0, 0.5), (3.0, None)]


@pytest.mark.slow
def test_nobody_looks_for_prices_who_asks_no_model_or_has_asked_already(arena, bars, desk, monkeypatch):
    with ChatServer(asks) as server:
        typed = ("run", "--data", bars, "--steps", "1", "--json", "--out", "a.duckdb", "--agent", desk(server))
        first = arena(*typed)
    monkeypatch.setitem(sys.modules, "litellm", None)  # an import of it is an error from here on
    assert arena(*typed).json == first.json
    assert arena("run", "--agent", "momentum", "--data", bars, "--steps", "3", "--out", "b.duckdb").code == 0
    assert not {"litellm", "models"} & set(manifest(arena, "b.duckdb"))


# ---------------------------------------------------------------------- credentials

TOKEN, LOGIN, ARGUMENT = "tok-9f8e7d6c5b4a3", "pw-31415926535", "sig-27182818284"
SECRETS = (TOKEN, LOGIN, ARGUMENT)


def leaks(folder, *answers):
    """Where a credential can be read: in files of the folder byte by byte, in tables as text, on the terminal."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        found += [(path.name, secret) for secret in SECRETS if secret.encode() in path.read_bytes()]
        found += [(path.name, secret) for secret in SECRETS if secret in path.name]
    for path in folder.rglob("*.duckdb"):
        with duckdb.connect(str(path), read_only=True) as db:
            for (table,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                said = repr(db.execute(f'SELECT COLUMNS(*)::VARCHAR FROM "{table}"').fetchall())
                found += [(table, secret) for secret in SECRETS if secret in said]
    return found + [
        ("terminal", secret) for answer in answers for secret in SECRETS if secret in answer.out + answer.err
    ]


@pytest.fixture
def careless(bars, tmp_path, monkeypatch):
    """A key of the environment, a login and an argument of an address, wherever a user may write: the card of the
    dataset, a policy."""
    monkeypatch.setenv("MY_SERVICE_TOKEN", TOKEN)
    data = tmp_path / "typed" / "bars"
    shutil.copytree(bars, data)
    card = (data / "card.toml").read_text().splitlines()
    card = [line for line in card if line.partition(" ")[0] not in ("name", "source", "licence", "description")]
    address = f"https://me:{LOGIN}@host/bars?token={ARGUMENT}"
    said = [f'{name} = "{name} {TOKEN} {address}"' for name in ("name", "source", "licence", "description")]
    (data / "card.toml").write_text("\n".join([*said, *card]))
    policy = tmp_path / "typed" / "mine.toml"
    policy.write_text(f'name = "mine {TOKEN}"\ndescription = "{address}"\n')
    return ("--data", data, "--policy", policy, "--steps", "2")


def test_no_credential_of_a_card_is_on_record(arena, careless, tmp_path):
    """The address with a key in its path answers 404, and says so in a message that names it."""
    with ChatServer(asks) as server:
        card = tmp_path / "typed" / "asked.toml"
        other = f'parameters = {{ model = "openai/other", api_base = "{server.url}/{TOKEN}" }}'
        card.write_text(
            f'name = "asked {TOKEN}"\nkind = "llm"\ndescription = "of https://me:{LOGIN}@host/?api_key={ARGUMENT}"\n'
            f'[parameters]\nmodel = "openai/small"\napi_base = "{server.url}/{TOKEN}/v1"\nkey = "MY_SERVICE_TOKEN"\n'
            f'[[team]]\nname = "helper"\ninstructions = "technician"\n{other}\n'
        )
        run = arena("run", "--agent", card, *careless)
        assert run.code == 1
        assert len(server.requests) == 1
    assert "no such path" in run.err
    shown = [arena("show"), arena("show", "--manifest"), arena("replay", "--verify"), arena("list")]
    assert [answer.code for answer in shown] == [0] * 4
    assert "[key]" in shown[1].json["episodes"][0]["card"]["parameters"]["api_base"]
    assert shown[1].json["episodes"][0]["card"]["parameters"]["key"] == "MY_SERVICE_TOKEN"
    assert shown[1].json["setup"]["dataset"]["source"] == "source [key] https://[key]@host/bars?token=[key]"
    assert leaks(tmp_path / "replays", *shown) == []


def test_no_credential_that_an_agent_of_a_user_chokes_on_is_on_record(arena, careless, tmp_path, user):
    code = f"import os\ndef ask(seen): raise ValueError(os.environ['MY_SERVICE_TOKEN'] + ' https://me:{LOGIN}@host')\n"
    run = arena("run", "--agent", user(code), *careless, "--json")
    assert run.code == 1
    assert "ValueError: [key] https://[key]@host" in run.json["error"]
    shown = [arena("show"), arena("show", "--manifest")]
    assert leaks(tmp_path / "replays", run, *shown) == []


def test_a_card_without_a_credential_is_on_record_as_it_is(arena, bars, monkeypatch):
    """Words a replay goes by stay, though a variable of the environment has them for its value."""
    monkeypatch.setenv("SOME_TOKEN", "organism")
    answer = arena("run", "--data", bars, "--steps", "3", "--out", "a.duckdb")
    assert answer.code == 0
    assert arena("replay", "a.duckdb", "--verify").code == 0
