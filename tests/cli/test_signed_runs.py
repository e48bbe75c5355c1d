"""`--sign` and `--key`: an author signs, and a reader who knows the key can tell."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradearena.store.schema import ENGINE
from tradearena.store.signature import fingerprint
from tradearena.testing import ChatServer

pytestmark = pytest.mark.xdist_group("litellm")  # which takes seconds to be imported: in one worker

AUTHOR, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (3, 4))
NAME, STRANGER = (fingerprint(key.public_key().public_bytes_raw()) for key in (AUTHOR, OTHER))
WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    """Pairs of keys in the working folder, one locked."""
    monkeypatch.delenv("TRADEARENA_SIGN_PASSPHRASE", raising=False)
    locked = form.BestAvailableEncryption(WORDS.encode())
    for name, key, how in (("author", AUTHOR, form.NoEncryption()), ("other", OTHER, form.NoEncryption()),
                           ("locked", AUTHOR, locked)):  # fmt: skip
        (tmp_path / name).write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how))
        public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
        (tmp_path / f"{name}.pub").write_bytes(public)


def test_a_file_is_signed_by_its_author_and_everybody_can_tell(arena, bars):
    typed = ("compare", "--agent", "cash", "--agent", "momentum", "--data", bars, "--steps", "4", "--out", "a.duckdb")
    run = arena(*typed, "--sign", "author")
    assert run.code == 0
    assert run.err.splitlines()[-1] == f"signed 2 episodes as {NAME}"
    checked = arena("replay", "a.duckdb", "--verify", "--key", "author.pub")
    assert checked.code == 0
    assert f"\n2 of 2 episodes signed by {NAME}\n" in checked.out
    assert checked.out.endswith(f"a.duckdb is what it says, by the rules of engine {ENGINE}, signed by {NAME}.\n")
    refused = arena("replay", "a.duckdb", "--verify", "--fast", "--key", "other.pub")
    assert refused.code == 1
    assert f"signature.key is '{NAME}', and should be '{STRANGER}'; 2 in all" in refused.err
    again = arena(*typed, "--sign", "other", "--json")
    assert again.err.splitlines()[-1] == f"signed 2 episodes as {STRANGER}"
    found = arena("replay", "a.duckdb", "--verify", "--fast", "--key", "other.pub", "--json").json
    for episode in found["episodes"]:
        assert [(each["key"], each["valid"]) for each in episode["signed"]] == [(NAME, True), (STRANGER, True)]
        assert all(each["signed_at"].endswith("Z") for each in episode["signed"])
    assert f"\nsigned   2 of 2 episodes by {NAME}, as the file says" in arena("show", "a.duckdb").out
    assert set(map(tuple, arena("show", "a.duckdb", "--json").json["signed"].values())) == {(NAME, STRANGER)}


def test_a_file_that_nobody_signed_says_nothing_of_it_and_is_missed_where_it_is_asked_for(arena, recorded):
    assert "signed by" not in arena("replay", recorded, "--verify", "--fast").out
    assert "\nsigned " not in arena("show", recorded).out
    answer = arena("replay", recorded, "--verify", "--fast", "--key", "author.pub", "--json")
    assert answer.code == 1
    assert f"signature.key is 'none', and should be '{NAME}'; 3 in all" in answer.json["error"]
    with duckdb.connect(str(recorded)) as db:
        db.execute("INSERT INTO signature SELECT id, '\\x00'::BLOB, '\\x00'::BLOB, now() FROM episode")
    answer = arena("replay", recorded, "--verify", "--fast")
    assert answer.code == 1
    assert "signature.signature is 00…, and should be 'one of this episode by SHA256:" in answer.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("run", "--sign", "nothing"), "--sign nothing: cannot be read: No such file or directory"),
        (("compare", "--sign", "author.pub"), "--sign author.pub: is a public key; name the private one"),
        (("run", "--sign", "locked"), "--sign locked: the key has a passphrase; type it on a terminal, or set TRADE"),
        (("replay", "a.duckdb", "--key", "author.pub"), "--key is for --verify"),
        (("replay", "a.duckdb", "--verify", "--key", "author"), "--key author: is a private key; keep it to yourself"),
    ],
)
def test_a_key_that_does_not_fit_is_one_sentence_before_anything_is_run(arena, tmp_path, typed, said):
    (tmp_path / "a.duckdb").touch()
    answer = arena(*typed, "--json")
    assert answer.code == 2
    assert said in answer.json["error"]
    assert answer.err.splitlines()[-1].startswith(f"error: {said}")
    assert not (tmp_path / "replays").exists()


def test_nothing_is_paid_that_cannot_be_signed(arena, bars, desk):
    with ChatServer(lambda _: "{}") as server:
        assert arena("run", "--agent", desk(server), "--data", bars, "--steps", "2", "--sign", "nothing").code == 2
        assert server.requests == []


def test_a_passphrase_comes_from_the_environment_and_nothing_private_goes_anywhere(arena, bars, tmp_path, monkeypatch):
    monkeypatch.setenv("TRADEARENA_SIGN_PASSPHRASE", WORDS)
    typed = ("run", "--agent", "cash", "--data", bars, "--steps", "4", "--out", "made/a.duckdb", "--sign", "locked")
    answers = [arena(*typed), arena("show", "made/a.duckdb", "--manifest")]
    monkeypatch.setenv("TRADEARENA_SIGN_PASSPHRASE", "wrong horse")
    answers.append(arena(*typed))
    assert [answer.code for answer in answers] == [0, 0, 2]
    assert answers[0].err.splitlines()[-1] == f"signed 1 episode as {NAME}"
    assert answers[2].err == "error: --sign locked: the passphrase does not open this key\n"
    raw = AUTHOR.private_bytes_raw()
    private = [
        raw,
        raw.hex().encode(),
        WORDS.encode(),
        b"locked",
        *(tmp_path / "locked").read_bytes().splitlines()[1:-1],
    ]
    for path in (tmp_path / "made").iterdir():
        assert not [each for each in private if each in path.read_bytes()], path
    with duckdb.connect(str(Path("made/a.duckdb")), read_only=True) as db:
        for (table,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            rows = repr(db.execute(f'SELECT COLUMNS(*)::VARCHAR FROM "{table}"').fetchall()).encode()
            assert not [each for each in private if each in rows], table
    for answer in answers:
        shown = (answer.out + answer.err.replace("--sign locked", "")).encode()
        assert not [each for each in private if each in shown]


def test_the_json_of_a_run_stays_what_it_is(arena, bars):
    typed = ("run", "--agent", "cash", "--data", bars, "--steps", "4", "--json", "--out", "a.duckdb")
    plain, signed = arena(*typed), arena(*typed, "--sign", "author", "--quiet")
    assert json.loads(plain.out) == signed.json
    assert signed.err == ""
