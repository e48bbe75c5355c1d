"""Who stands for a file: what was changed and made sound again is convicted by its signatures, and by nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from stage import asked, plan, walk

from tradearena.arena import experiment
from tradearena.arena.verify import verify
from tradearena.errors import DivergedError
from tradearena.store.reader import Reader
from tradearena.store.schema import EPISODE_TABLES
from tradearena.store.seal import seal_of
from tradearena.store.signature import Signer, fingerprint

pytestmark = pytest.mark.xdist_group("signed")  # whose file is made once

PANEL = walk(3, 40)
AUTHOR, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "verify.md"


def key_of(key):
    return key.public_key().public_bytes_raw()


def steady(name):
    return asked(lambda seen: dict.fromkeys(seen.symbols, 0.1), name)


TWO = plan(PANEL, steady("one"), steady("two"), steps=4)


def made(path, key=AUTHOR, plan=TWO, **more):
    return experiment.run(plan, path, signer=key and Signer(key), **more)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    path = tmp_path_factory.mktemp("signed") / "mine.duckdb"
    assert made(path).signed == 2
    return path


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The same run, signed by the same author, another time."""
    path = tmp_path_factory.mktemp("elsewhere") / "mine.duckdb"
    made(path)
    return path


@pytest.fixture
def copy(signed, tmp_path):
    return shutil.copy(signed, tmp_path / "copy.duckdb")


def change(path, *statements):
    with duckdb.connect(str(path)) as db:
        for statement in statements:
            db.execute(statement)


def seal_again(path):
    """What an attacker does who knows this program."""
    with Reader(path) as reader:
        seals = {row.id: seal_of(reader.db, row.id) for row in reader.episodes()}
    change(path, *(f"UPDATE episode SET seal = '{seal}' WHERE id = '{name}'" for name, seal in seals.items()))


def wrong(path, key=None, *, fast=True):
    """Tables and columns of what is found wrong."""
    whole, verdicts = verify(path, fast=fast, key=key and key_of(key))
    every = [*whole, *(verdict.wrong for verdict in verdicts if verdict.wrong)]
    assert not any("\n" in str(each) for each in every)
    return {(each.table, each.field) for each in every}


# ---------------------------------------------------------------------- what is signed


def test_what_is_signed_is_what_the_page_says_and_any_library_can_check_it(signed, tmp_path):
    (query,) = re.findall(r"<!-- the bytes that are signed -->\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with duckdb.connect(str(signed), read_only=True) as db:
        rows = db.execute(query).fetchall()
        filed = db.execute("SELECT id, root_hash, manifest, seal FROM episode").fetchall()
    assert len(rows) == len(filed) == 2
    for _, key, signature, message in rows:
        assert key == key_of(AUTHOR)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message.encode())
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message.encode() + b"\n")
    said = {message.splitlines()[1]: message for *_, message in rows}
    for name, root_hash, _, seal in filed:
        assert f"\nroot {root_hash}\n" in said[f"episode {name}"]
        assert f"\nseal {seal}\n" in said[f"episode {name}"]
    if openssl := shutil.which("openssl"):
        pem = AUTHOR.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        for name, data in (("key", pem), ("signature", rows[0][2]), ("message", rows[0][3].encode())):
            (tmp_path / name).write_bytes(data)
        command = "pkeyutl -verify -pubin -inkey key -rawin -in message -sigfile signature"
        done = subprocess.run([openssl, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == "Signature Verified Successfully\n"


def test_who_signed_is_said_and_another_key_is_missed(signed):
    _, verdicts = verify(signed, fast=True)
    assert {(each.key, each.valid) for verdict in verdicts for each in verdict.signed} == {
        (fingerprint(key_of(AUTHOR)), True)
    }
    assert wrong(signed) == wrong(signed, AUTHOR) == set()
    assert wrong(signed, AUTHOR, fast=False) == set()
    assert wrong(signed, OTHER) == wrong(signed, OTHER, fast=False) == {("signature", "key")}


# ---------------------------------------------------------------------- what an attacker may do


def test_a_manifest_that_was_changed_and_sealed_again_is_convicted_by_the_signature_alone(copy):
    with Reader(copy) as reader:
        manifest = {**reader.episodes()[0].manifest, "revision": "0" * 40, "dirty": False}
    change(copy, f"UPDATE episode SET manifest = '{json.dumps(manifest)}'")
    assert wrong(copy) == {("episode", "seal")}
    seal_again(copy)
    assert wrong(copy) == wrong(copy, fast=False) == {("signature", "signature")}
    change(copy, "DELETE FROM signature")
    assert wrong(copy, fast=False) == set()  # without it nothing tells this file from one that its author made
    assert wrong(copy, AUTHOR) == {("signature", "key")}


def test_whoever_signs_a_changed_record_signs_it_in_his_own_name(copy):
    change(copy, "UPDATE step SET latency = 0.0", "DELETE FROM signature")
    seal_again(copy)
    assert made(copy, OTHER).signed == 2
    assert wrong(copy) == wrong(copy, OTHER) == set()
    assert wrong(copy, AUTHOR) == {("signature", "key")}
    change(copy, f"UPDATE signature SET key = unhex('{key_of(AUTHOR).hex()}')")
    assert wrong(copy) == {("signature", "signature")}


ONE = "episode = (SELECT min(episode) FROM signature)"


TAMPERED = [
    (f"DELETE FROM signature WHERE {ONE}", "key"),
    ("INSERT INTO signature SELECT * FROM signature", "rows"),
    (
        (
            f"UPDATE signature SET episode = CASE WHEN {ONE} THEN (SELECT max(episode) FROM signature) "
            "ELSE (SELECT min(episode) FROM signature) END"
        ),
        "signature",
    ),
    (f"UPDATE signature SET signature = signature[1:63] WHERE {ONE}", "signature"),
    (f"UPDATE signature SET signed_at = NULL WHERE {ONE}", "signature"),
    (f"UPDATE signature SET episode = NULL WHERE {ONE}", "episode"),
]
MORE = [
    (f"UPDATE signature SET episode = (SELECT max(episode) FROM signature) WHERE {ONE}", "signature"),
    (f"UPDATE signature SET signature = signature || '\\x00'::BLOB WHERE {ONE}", "signature"),
    (f"UPDATE signature SET key = key[1:31] WHERE {ONE}", "signature"),
    (f"UPDATE signature SET signed_at = signed_at - INTERVAL 1 MICROSECOND WHERE {ONE}", "signature"),
    (f"UPDATE signature SET signed_at = 'infinity' WHERE {ONE}", "signature"),
    *((f"UPDATE signature SET {column} = NULL WHERE {ONE}", "signature") for column in ("key", "signature")),
    ("INSERT INTO signature SELECT 'x', key, signature, signed_at FROM signature", "episode"),
]


@pytest.mark.parametrize(
    ("statement", "field"), [*TAMPERED, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)]
)
def test_a_signature_that_was_tampered_with_is_convicted(copy, statement, field):
    change(copy, statement)
    assert ("signature", field) in wrong(copy, AUTHOR if field == "key" else None)


def test_an_episode_under_another_name_is_not_the_one_that_was_signed(copy):
    renamed = (f"UPDATE \"{table}\" SET episode = 'x' || episode" for table in ("signature", *EPISODE_TABLES))
    change(copy, "UPDATE episode SET id = 'x' || id", *renamed)
    seal_again(copy)
    assert wrong(copy) == {("signature", "signature")}


def test_a_signature_of_another_file_is_of_no_use(copy, elsewhere):
    change(
        copy, f"ATTACH '{elsewhere}' AS other (READ_ONLY)", "DELETE FROM signature",
        "INSERT INTO signature SELECT * FROM other.signature",
    )  # fmt: skip
    assert wrong(copy) == {("signature", "signature")}


def test_rows_of_no_episode_are_found(copy):
    change(copy, "INSERT INTO mark SELECT NULL, * EXCLUDE (episode) FROM mark LIMIT 1")
    assert wrong(copy) == {("mark", "episode")}


def test_a_file_without_episodes_is_signed_by_nobody(copy):
    change(copy, *(f'DELETE FROM "{table}"' for table in ("episode", "signature", *EPISODE_TABLES)))
    assert wrong(copy) == set()
    assert wrong(copy, AUTHOR) == {("signature", "rows")}


# ---------------------------------------------------------------------- when it is signed


def content(path):
    with duckdb.connect(str(path), read_only=True) as db:
        return {
            table: repr(db.execute(f'SELECT COLUMNS(*)::VARCHAR FROM "{table}" ORDER BY ALL').fetchall())
            for table in ("experiment", "episode", "bars", *EPISODE_TABLES)
        }


@pytest.mark.slow
def test_a_file_that_was_made_without_is_signed_later_once_by_each_key_and_nothing_else_changes(tmp_path):
    path = tmp_path / "mine.duckdb"
    assert made(path, None).signed == 0
    before = content(path)
    assert [made(path, key).signed for key in (AUTHOR, AUTHOR, OTHER, None)] == [2, 0, 2, 0]
    assert content(path) == before
    assert not path.with_name("mine.duckdb.wal").exists()
    assert wrong(path, AUTHOR) == wrong(path, OTHER) == set()
    moment = datetime(2024, 5, 6, 9, 8, 7, 6, tzinfo=UTC)
    third = Ed25519PrivateKey.generate()
    assert made(path, third, again=True, now=lambda: moment).signed == 2  # of the replicates, and no other
    assert wrong(path, third) == {("signature", "key")}
    assert [len(verdict.signed) for verdict in verify(path, fast=True)[1]] == [1, 1, 2, 2]


@pytest.mark.slow
def test_a_run_that_is_stopped_signs_what_ended_and_what_is_taken_up_is_signed_when_it_ends(tmp_path):
    path = tmp_path / "mine.duckdb"
    stopped = made(path, concurrency=1, progress=lambda standing: standing.ended == 1 and standing.done == 2)
    assert (stopped.signed, len(stopped.failures)) == (1, 1)
    assert wrong(path) == set()
    assert wrong(path, AUTHOR) == {("signature", "key")}
    assert "it has not ended" in str(next(each.wrong for each in verify(path, key=key_of(AUTHOR))[1] if each.wrong))
    change(path, "INSERT INTO signature SELECT id, key, signature, signed_at FROM signature, episode "
                 "WHERE status = 'interrupted'")  # fmt: skip
    assert wrong(path) == {("signature", "signature")}
    change(path, "DELETE FROM signature WHERE episode IN (SELECT id FROM episode WHERE status = 'interrupted')")
    assert made(path).signed == 1
    assert wrong(path, AUTHOR) == set()


class Slow(Signer):
    """Is stopped at once while it signs."""

    def sign(self, message):  # noqa: ARG002
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_that_is_broken_off_before_it_signs_leaves_a_sound_file_that_the_same_command_signs(tmp_path):
    path = tmp_path / "mine.duckdb"
    with pytest.raises(KeyboardInterrupt):
        experiment.run(TWO, path, signer=Slow(AUTHOR))
    assert wrong(path) == set()
    assert made(path).signed == 2
    assert wrong(path, AUTHOR) == set()


@pytest.mark.slow
def test_what_was_changed_is_not_signed(tmp_path):
    path = tmp_path / "mine.duckdb"
    made(path, None)
    change(path, "UPDATE step SET latency = 0.0 WHERE episode = (SELECT id FROM episode WHERE agent = 'one')")
    with pytest.raises(DivergedError, match=r"not signed, for it is not what it says: episode \w+: episode\.seal is "):
        made(path)
    assert made(path, plan=replace(TWO, candidates=TWO.candidates[1:])).signed == 1  # the other one is sound
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT agent FROM signature s JOIN episode e ON e.id = s.episode").fetchall() == [("two",)]
