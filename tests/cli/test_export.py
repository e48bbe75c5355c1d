"""`tradearena export`: what is read back from each format is what the file holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from team import asks, rows

import tradearena
from tradearena.store.fields import FRAMES, columns_of
from tradearena.store.files import experiments
from tradearena.testing import Answer, ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

FLAGS = ("--parquet", "p", "--csv", "c", "--jsonl", "s.jsonl", "--otel", "o.jsonl", "--sft", "t.jsonl")


@pytest.fixture
def talked(arena, bars, desk):
    """An episode of a team with tools, and the requests it made. The first was refused once, and the manager's reply at
    the last step cannot be used."""
    numbers = iter(range(1, 1000))

    def answers(messages):
        number = next(numbers)
        if number == 1:
            return Answer(status=500, body='{"error": {"message": "oops"}}')
        return "I would rather not." if number == 1 + 18 else asks(messages)

    with ChatServer(answers) as server:
        answer = arena("run", "--agent", desk(server), "--data", bars, "--steps", "3", "--json", "--out", "a.duckdb")
    assert answer.json["episodes"][0]["validity"]["fallback"] == 1
    return Path("a.duckdb"), [request.body for request in server.requests]


@pytest.fixture
def exported(arena):
    """Exports a file in every format; its frames."""

    def export(path, *more):
        answer = arena("export", path, *FLAGS, "--json", *more)
        assert (answer.code, answer.err) == (0, "")
        return answer.json["exported"], {name: getattr(tradearena.open(path), name)() for name in FRAMES}

    return export


def lines(path):
    return [json.loads(line) for line in Path(path).read_text("ascii").splitlines()]


def in_json(field, series):
    """Values as JSON and CSV have them, made otherwise than by the program."""
    for value in series:
        if field.type == "JSON":
            yield value
        elif value is None or value is pd.NaT or value is pd.NA or value != value or value in (np.inf, -np.inf):
            yield None
        elif field.type == "TIMESTAMP":
            text = value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            yield text.replace(".000000Z", "Z")
        else:
            yield value


def check_parquet(folder, frames):
    with duckdb.connect() as db:
        for name, frame in frames.items():
            source = f"read_parquet('{folder}/{name}/**', hive_partitioning=true)"
            if "episode" in frame:
                assert db.execute(f"SELECT count(*) FROM {source}").fetchone() == (len(frame),)
                source = f"{source[:-1]}, hive_types={{'episode': VARCHAR}})"  # else one of digits alone is a number
            for field in columns_of(name):
                read = f'epoch_us("{field.name}")' if field.type == "TIMESTAMP" else f'"{field.name}"'
                order = "episode" if "episode" in frame else "t"
                found = db.execute(f"SELECT {order}, {read} FROM {source}").fetchall()
                found = [value for _, value in sorted(found, key=lambda row: row[0])]
                expected = frame.sort_values(order, kind="stable")[field.name].tolist()
                if field.type == "JSON":
                    found = list(map(json.loads, found))
                elif field.type == "TIMESTAMP":
                    found = [pd.NaT if at is None else pd.Timestamp(at, unit="us", tz="UTC") for at in found]
                for got, held in zip(found, expected, strict=True):
                    assert got == held or (got is None or got != got) == (held is pd.NA or held != held), (name, field)


def check_csv(folder, frames):
    for name, frame in frames.items():
        kept = {"keep_default_na": False, "na_values": [""], "dtype": {"episode": str, "feedback": str}}
        found = pd.read_csv(folder / f"{name}.csv", **kept)
        assert found.columns.tolist() == frame.columns.tolist()
        for field in columns_of(name):
            for got, held in zip(found[field.name], in_json(field, frame[field.name]), strict=True):
                if field.type == "JSON":
                    assert json.loads(got) == held
                elif held is None:
                    assert got != got or got in (np.inf, -np.inf)
                elif held == "":
                    assert got != got
                else:
                    assert got == held, (name, field.name)


def check_jsonl(path, frames):
    found, steps = lines(path), frames["steps"]
    assert len(found) == len(steps)
    for field in columns_of("steps"):
        assert [step[field.name] for step in found] == list(in_json(field, steps[field.name])), field.name
    key = {(step["episode"], step["t"]): step for step in found}
    for name, own in (("findings", "t"), ("exchanges", "t"), ("calls", "t"), ("fills", "decided")):
        columns = {f.name: list(in_json(f, frames[name][f.name])) for f in columns_of(name)}
        listed = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        nested = [(*at, each) for at, step in key.items() for each in step[name]]
        assert len(nested) == len(listed)
        for (episode, t, each), row in zip(nested, listed, strict=True):
            assert (episode, t) == (row["episode"], row[own])
            assert each.items() <= row.items()
            assert len(each) >= len(row) - 8
    for weight in frames["weights"].itertuples():
        books = key[weight.episode, weight.t]["weights"][weight.symbol]
        for name in ("intent", "approved", "reference", "executed", "shares", "stale"):
            assert books[name] == getattr(weight, name)


def test_what_is_read_back_of_scripted_episodes_is_what_the_file_holds(exported, recorded):
    written, frames = exported(recorded)
    assert len(frames["episodes"]) == 3
    check_parquet(Path("p"), frames)
    check_csv(Path("c"), frames)
    check_jsonl("s.jsonl", frames)
    counts = {name: len(frame) for name, frame in frames.items()}
    assert written["parquet"] == {"path": "p", "rows": counts}
    assert written["csv"]["rows"] == counts
    assert written["jsonl"]["rows"] == {"steps": counts["steps"]}
    assert written["sft"]["rows"] == {"conversations": 0, "left_out": 0}
    assert written["otel"]["rows"] == {"traces": 3, "spans": 3 + counts["steps"]}
    policy = rows(recorded, "SELECT policy FROM experiment")[0][0]
    for folder in ("p", "c"):
        assert json.loads(Path(folder, "experiment.json").read_text())["policy"] == json.loads(policy)


def test_what_is_read_back_of_a_team_that_talks_is_what_the_file_holds(exported, talked):
    path, bodies = talked
    written, frames = exported(path)
    assert (len(frames["exchanges"]), len(frames["calls"])) == (18, 19)
    check_parquet(Path("p"), frames)
    check_csv(Path("c"), frames)
    check_jsonl("s.jsonl", frames)
    check_chats(path, bodies, written["sft"]["rows"])
    check_spans(frames, bodies, written["otel"]["rows"])
    secrets = ["sk-1234567890", str(Path.cwd()), str(Path.home()), socket.gethostname()]
    everything = [each for each in Path().rglob("*") if each.is_file() and each.parts[0] in {"p", "c", *FLAGS}]
    assert len(everything) > 20
    for each in everything:
        content = each.read_bytes()
        assert not [secret for secret in secrets if len(secret) > 5 and secret.encode() in content], each


# ---------------------------------------------------------------------- chats


def check_chats(path, bodies, counts):
    """Each conversation is what the server was sent in its last request, and what it answered to that."""
    found = lines("t.jsonl")
    assert counts == {"conversations": 8, "left_out": 1}
    assert [chat["metadata"]["speaker"] for chat in found] == [
        "looker",
        "risk",
        "",
        "looker",
        "risk",
        "",
        "looker",
        "risk",
    ][:8]
    sent = [(body["model"], body["messages"]) for body in bodies[1:]]
    for chat in found:
        *before, reply = chat["messages"]
        before = (chat["metadata"]["model"], before)
        assert before in sent
        assert (reply["role"], "tool_calls" in reply) == ("assistant", False)
        place = sent.index(before)
        ((held,),) = rows(path, f"SELECT reply FROM exchanges ORDER BY t, seq LIMIT 1 OFFSET {place}")
        assert reply["content"] == held
    manager = found[2]
    assert [message["role"] for message in manager["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert manager["messages"][2]["tool_calls"][0]["id"] == manager["messages"][3]["tool_call_id"]
    assert manager["metadata"] | {"episode": ""} == {
        "episode": "", "agent": "desk", "feedback": "true", "seed": 0, "t": 20, "speaker": "", "status": "ok",
        "cut": False, "asked_again": 0, "model": "small",
    }  # fmt: skip


def test_replies_that_were_not_ok_are_left_out_and_counted_unless_they_are_asked_for(arena, talked):
    path, _ = talked
    answer = arena("export", path, "--sft", "some.jsonl")
    assert answer.out == (
        "some.jsonl: conversations 8\nleft out for a reply that was not ok: 1; --all-replies takes them in\n"
    )
    assert arena("export", path, "--sft", "all.jsonl", "--all-replies").out == "all.jsonl: conversations 9\n"
    chats = lines("all.jsonl")
    assert chats[:-1] == lines("some.jsonl")
    assert chats[-1]["messages"][-1] == {"role": "assistant", "content": "I would rather not."}
    assert chats[-1]["metadata"]["status"] == "fallback"


# ---------------------------------------------------------------------- spans


def attributes(span):
    """Attributes by name, read as OTLP/JSON says."""

    def value(held):
        ((kind, inner),) = held.items()
        if kind == "arrayValue":
            return [value(each) for each in inner["values"]]
        assert isinstance(inner, {"stringValue": str, "intValue": str, "doubleValue": float, "boolValue": bool}[kind])
        return int(inner) if kind == "intValue" else inner

    return {each["key"]: value(each["value"]) for each in span["attributes"]}


def check_spans(frames, bodies, counts):
    spans = [span for each in lines("o.jsonl") for part in each["resourceSpans"]
             for scope in part["scopeSpans"] for span in scope["spans"]]  # fmt: skip
    by_id = {span["spanId"]: span for span in spans}
    assert counts == {"traces": 1, "spans": len(spans)}
    assert len(by_id) == len(spans) == 1 + 3 + 19
    assert len({span["traceId"] for span in spans}) == 1
    (root,) = (span for span in spans if "parentSpanId" not in span)
    for span in spans:
        assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
        assert int(span["traceId"], 16)
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert attributes(span)["tradearena.time.synthetic"] is True
        if span is not root:
            over = by_id[span["parentSpanId"]]
            assert int(over["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
            assert int(span["endTimeUnixNano"]) <= int(over["endTimeUnixNano"])
    (began,) = frames["episodes"]["started_at"]
    assert int(root["startTimeUnixNano"]) == int(began.timestamp()) * 10**9
    steps = [span for span in spans if span["name"] == "invoke_agent desk"]
    assert [attributes(span)["tradearena.t"] for span in steps] == frames["steps"]["t"].tolist()
    assert {span["parentSpanId"] for span in steps} == {root["spanId"]}
    check_requests([span for span in spans if span["kind"] == 3], {span["spanId"] for span in steps}, frames, bodies)


def check_requests(spans, steps, frames, bodies):
    """One span below its step for each request, with what the table of calls says of it and what was sent."""
    heard = frames["exchanges"].set_index(["t", "seq"])["tools"]
    for span, call, body in zip(spans, frames["calls"].itertuples(), bodies, strict=True):
        told = attributes(span)
        assert span["parentSpanId"] in steps
        assert span["name"] == f"chat {body['model']}"
        assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "openai")
        assert (told["gen_ai.request.model"], told["tradearena.model"]) == (body["model"], call.model)
        assert told["gen_ai.request.temperature"] == body["temperature"]
        assert abs(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) - 1e9 * call.latency) < 2
        given = json.loads(told["gen_ai.input.messages"])
        assert [each["role"] for each in given] == [message["role"] for message in body["messages"]]
        for each, message in zip(given, body["messages"], strict=True):
            texts = [part.get("content", part.get("response")) for part in each["parts"] if part["type"] != "tool_call"]
            assert texts == ([message["content"]] if message["content"] else [])
        if isinstance(call.error, str):
            assert (told["error.type"], span["status"]["code"]) == ("500", 2)
            assert "gen_ai.output.messages" not in told
            continue
        assert "status" not in span
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (
            call.input_tokens, call.output_tokens,
        )  # fmt: skip
        assert told["gen_ai.response.finish_reasons"] == [call.finish.split()[-1]]
        assert told["gen_ai.response.model"] == call.answered
        (reply,) = json.loads(told["gen_ai.output.messages"])
        assert reply["role"] == "assistant"
        assert reply["finish_reason"] == call.finish.split()[-1]
        assert any(part["type"] == "tool_call" for part in reply["parts"]) == heard[call.t, call.exchange]
    assert sum(isinstance(error, str) for error in frames["calls"]["error"]) == 1


@pytest.mark.slow
def test_an_export_says_the_same_every_time_and_of_one_episode_only_its_own(arena, recorded):
    for name in ("one", "two"):
        arena("export", recorded, "--otel", f"{name}.jsonl", "--jsonl", f"{name}-steps.jsonl")
    for end in (".jsonl", "-steps.jsonl"):
        assert Path(f"one{end}").read_bytes() == Path(f"two{end}").read_bytes()
    answer = arena("export", recorded, "--otel", "o.jsonl", "--csv", "c", "--episode", "momentum", "--json")
    assert answer.json["exported"]["otel"]["rows"]["traces"] == 1
    assert set(pd.read_csv("c/steps.csv")["agent"]) == {"momentum"}
    assert set(Path("o.jsonl").read_text().splitlines()) < set(Path("one.jsonl").read_text().splitlines())


# ---------------------------------------------------------------------- what is refused, and what is left behind


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), "say what to write: --parquet DIR, --csv DIR, --jsonl FILE, --otel FILE, --sft FILE"),
        (("--all-replies", "--csv", "x"), "--all-replies is for --sft"),
        (("--csv", "full"), "full is there already; choose another folder, or remove it first"),
        (("--jsonl", "full/it"), "full/it is there already; choose another file, or remove it first"),
        (("--jsonl", "full"), "full is there already; choose another file"),
        (("--csv", "full/it"), "full/it is there already; choose another folder"),
        (("--sft", "/dev/null"), "/dev/null is there already"),
        (("--csv", "x", "--parquet", "x"), "x would lie in x, which is written as well"),
        (("--csv", "x", "--sft", "x/y"), "x/y would lie in x"),
        (("--csv", "x", "--episode", "nobody"), "no episode named 'nobody'"),
        (("--csv", ""), "names no folder to make"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(arena, recorded, tmp_path, typed, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "it").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    answer = arena("export", recorded, *typed, "--json")
    assert answer.code == 2
    assert said in answer.json["error"]
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "full" / "it").read_text() == "mine"


def test_an_empty_folder_or_file_may_be_named(arena, recorded, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "s.jsonl").touch()
    assert arena("export", recorded, "--csv", "c", "--jsonl", "s.jsonl").code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c", "replays", "s.jsonl"]
    assert oct((tmp_path / "c").stat().st_mode) == oct((tmp_path / "replays").stat().st_mode)


@pytest.mark.parametrize("flags", [("--parquet", "p"), ("--csv", "c", "--jsonl", "s.jsonl")])
def test_on_a_full_disk_an_export_says_so_and_leaves_nothing(recorded, tmp_path, flags):
    """No file beyond two kilobytes."""
    code = (
        "import resource; from tradearena.cli import main; import tradearena.store.export.writing, pandas; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)); main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "export", str(recorded), *flags], cwd=tmp_path, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {flags[1]}: the disk is full; make room and export again: nothing was left of this export\n"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["replays"]


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_nothing_that_looks_whole(recorded, tmp_path):
    code = (
        "import os, signal; from tradearena.cli import main; import tradearena.store.export.nested as nested; "
        "nested.Steps.close = lambda self: os.kill(os.getpid(), signal.SIGKILL); main()"
    )
    typed = [sys.executable, "-c", code, "export", str(recorded), "--csv", "c", "--jsonl", "s.jsonl"]
    done = subprocess.run(typed, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not [each.name for each in tmp_path.iterdir() if not each.name.startswith(".") and each.name != "replays"]


def test_a_place_that_cannot_be_written_is_one_sentence(arena, recorded, tmp_path):
    (tmp_path / "file").touch()
    answer = arena("export", recorded, "--jsonl", "file/s.jsonl", "--json")
    assert answer.code == 1
    assert answer.json["error"] == "file/s.jsonl: cannot be written: not in a folder"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "flags", "said"),
    [
        ("UPDATE episode SET id = '../../../out'", ("--parquet", "p"), None),
        ("UPDATE exchange SET tools = true", ("--sft", "t.jsonl"), "the calls of tools at bar 20 of episode "),
        ("UPDATE exchange SET tools = true", ("--otel", "o.jsonl"), "the calls of tools at bar 20 of episode "),
        ("DELETE FROM episode", ("--csv", "c"), "holds no episode yet"),
    ],
)  # fmt: skip
def test_a_file_that_was_changed_does_no_harm(arena, bars, tmp_path, change, flags, said):
    arena("run", "--agent", "organism-momentum", "--data", bars, "--steps", "2", "--out", "a.duckdb")
    with duckdb.connect("a.duckdb") as db:
        db.execute(change)
    answer = arena("export", "a.duckdb", *flags, "--json")
    assert answer.code == (1 if said else 0)
    assert (said or "") in answer.json.get("error", "")
    assert {each.name for each in tmp_path.iterdir() if each.name[0] != "."} == {"a.duckdb", *(() if said else ("p",))}


def test_the_newest_file_is_exported_where_none_is_named(arena, recorded):
    assert arena("export", "--jsonl", "s.jsonl", "--json").json["experiment"] == str(recorded)
    assert experiments(None) == [recorded]
    shutil.rmtree(recorded.parent)
    assert arena("export", "--jsonl", "t.jsonl").code == 2
