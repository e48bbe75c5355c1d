"""Keys: read from `.env` where the environment has none, and struck out of every text."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import string
import subprocess
import sys
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradearena.agents.keys import STRUCK, hide, read_dotenv, secrets
from tradearena.errors import CardError

KEY = "sk-test-0123456789abcdef"
AWKWARD = 'pä"ss\\wörd/+ &<%>\t= 7'


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """None but what a test puts there."""
    for name in list(os.environ):
        monkeypatch.delenv(name)


# ---------------------------------------------------------------------- .env


@pytest.fixture
def dotenv(tmp_path):
    def write(text):
        (tmp_path / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def test_what_the_file_says_goes_into_the_environment(dotenv):
    folder = dotenv(
        "\ufeff# keys of mine\n\nOPENAI_API_KEY=sk-1  # the cheap one\nexport GEMINI_API_KEY='AIza $HOME'\r\n"
        'ANTHROPIC_API_KEY="a\\nb"\nOPENAI_API_BASE = http://127.0.0.1:1/v1\n'
    )
    assert read_dotenv(folder) == ("OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_BASE")
    assert os.environ["OPENAI_API_KEY"] == "sk-1"
    assert os.environ["GEMINI_API_KEY"] == "AIza $HOME", "nothing is filled in"
    assert os.environ["ANTHROPIC_API_KEY"] == "a\nb"
    assert os.environ["OPENAI_API_BASE"] == "http://127.0.0.1:1/v1"


def test_the_environment_wins_over_the_file(dotenv, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    assert read_dotenv(dotenv("OPENAI_API_KEY=theirs\nGROQ_API_KEY=gsk\n")) == ("GROQ_API_KEY",)
    assert os.environ["OPENAI_API_KEY"] == "mine"


def test_a_blank_is_no_key_on_either_side(dotenv, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert read_dotenv(dotenv("OPENAI_API_KEY=sk-1\nGROQ_API_KEY=\n")) == ("OPENAI_API_KEY",)
    assert os.environ["OPENAI_API_KEY"] == "sk-1"
    assert "GROQ_API_KEY" not in os.environ


def test_the_last_line_of_a_name_counts_and_a_second_reading_adds_nothing(dotenv):
    folder = dotenv("OPENAI_API_KEY=old\nOPENAI_API_KEY=new\n")
    assert read_dotenv(folder) == ("OPENAI_API_KEY",)
    assert os.environ["OPENAI_API_KEY"] == "new"
    assert read_dotenv(folder) == ()


def test_only_that_folder_is_looked_into(dotenv):
    below = dotenv("OPENAI_API_KEY=sk-1\n") / "below"
    below.mkdir()
    assert read_dotenv(below) == ()


def test_a_folder_of_that_name_is_no_file_of_keys(tmp_path):
    (tmp_path / ".env").mkdir()
    assert read_dotenv(tmp_path) == ()


@pytest.mark.parametrize("line", [KEY, f"OPENAI_API_KEY {KEY}", f"OPENAI_API_KEY='{KEY}", f"OPENAI_API_KEY=\0{KEY}"])
def test_a_line_that_cannot_be_read_is_named_and_not_shown(dotenv, line):
    folder = dotenv(f"GROQ_API_KEY=gsk\n{line}\n")
    with pytest.raises(CardError, match=r"\.env, line 2: not of the form NAME=value; mend or remove it$") as caught:
        read_dotenv(folder)
    assert KEY not in str(caught.value)
    assert "GROQ_API_KEY" not in os.environ, "all or nothing"


def test_a_file_that_is_no_text_is_named(dotenv):
    with pytest.raises(CardError, match=r"\.env: cannot be read: it is no text in UTF-8$"):
        read_dotenv(dotenv(b"OPENAI_API_KEY=\xff\xfe\n"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(dotenv):
    (dotenv("A=b\n") / ".env").chmod(0)
    with pytest.raises(CardError, match=r"\.env: cannot be read: Permission denied$"):
        read_dotenv(dotenv("A=b\n"))


def test_the_library_that_reads_the_file_is_loaded_when_there_is_one(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tradearena.agents.keys import read_dotenv; read_dotenv(Path('.'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('dotenv' in sys.modules)"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


# ---------------------------------------------------------------------- secrets


def test_secrets_are_known_by_their_names_the_longest_first(monkeypatch):
    for name, value in {
        "OPENAI_API_KEY": KEY,
        "SOME_TOKEN": f"{KEY}-and-more ",
        "aws_secret_access_key": "wJalrXUt",
        "DB_PASSWORD": "hunter22",
        "SHORT_KEY": "1",
        "HOME": "/home/me",
    }.items():
        monkeypatch.setenv(name, value)
    assert secrets() == (f"{KEY}-and-more", KEY, "hunter22", "wJalrXUt")


def test_addresses_carry_secrets_whatever_their_name(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:p%40ssword@proxy:3128")
    monkeypatch.setenv("MIRROR", "https://x-token-123@host/simple")
    monkeypatch.setenv("SERVICE", "https://host/v1?region=eu-west-1&api_key=abcdef123")
    assert set(secrets()) == {"p%40ssword", "p@ssword", "x-token-123", "abcdef123"}


# ---------------------------------------------------------------------- hide


def spellings(secret: str) -> dict[str, str]:
    once = json.dumps({"key": secret})
    return {
        "as it is": secret,
        "address": quote(secret),
        "address, all": quote(secret, safe=""),
        "address, small letters": re.sub("%..", lambda escape: escape.group().lower(), quote(secret)),
        "form": quote_plus(secret),
        "json": once,
        "json, as typed": json.dumps(secret, ensure_ascii=False),
        "json, slashes": json.dumps(secret).replace("/", "\\/"),
        "json in json": json.dumps({"error": once}),
        "python": repr(secret),
        "page": html.escape(secret),
        "spaces made one": " ".join(secret.split()),
        "base64": base64.b64encode(secret.encode()).decode(),
        "login": base64.b64encode(f"user:{secret}".encode()).decode(),
        "login of one": base64.b64encode(f"u:{secret}:x".encode()).decode(),
        "base64 of an address": base64.urlsafe_b64encode(f"?k={secret}&more=1".encode()).decode(),
    }


@pytest.mark.parametrize("secret", [KEY, AWKWARD, "line one\nline two", "üüüüüü"], ids=["key", "awkward", "lines", "ü"])
@pytest.mark.parametrize("spelling", sorted(spellings(KEY)))
def test_a_secret_is_struck_out_however_it_is_spelt(monkeypatch, secret, spelling):
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    spelt = spellings(secret)[spelling]
    hidden = hide(f"said: {spelt} (end)")
    assert STRUCK in hidden
    assert hidden.startswith("said: ")
    assert hidden.endswith(" (end)")
    for other in spellings(secret).values():
        assert other not in hidden
    assert len(hidden) < len(spelt) + 20


SIGNS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=6, max_size=40).filter(
    lambda text: len(text.strip()) >= 6
)


@given(secret=SIGNS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_no_shift_of_base64_lets_a_secret_through(secret, before, after):
    secret = secret.strip()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", secret)
        coded = base64.b64encode(before + secret.encode() + after).decode()
        assert hide(f"<{coded}>") == f"<{STRUCK}>"
        assert secret not in hide(f"{secret}{secret}")
        assert secret not in hide(json.dumps([secret]))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET https://host/v1?key=AIzaNobodys&alt=sse failed", "GET https://host/v1?key=[key]&alt=sse failed"),
        ("(https://host/?x=1&X-Goog-Api-Key=abc)", "(https://host/?x=1&X-Goog-Api-Key=[key])"),
        ("see <https://me:pw@host/v1>", "see <https://[key]@host/v1>"),
        ("http://me:p@w@host:1/x?to=a@b.c", "http://[key]@host:1/x?to=a@b.c"),
        ("https://host/v1?page=3;token=t", "https://host/v1?page=3;token=[key]"),
    ],
)
def test_where_an_address_has_a_secret_nobody_has_to_know_it(text, hidden):
    assert hide(text) == hidden
    assert hide(hidden) == hidden


def test_other_text_stays_as_it_is(monkeypatch):
    text = "no key in the environment; mail a@b.c, see https://docs.litellm.ai/docs/providers?page=2#keys (status 401)"
    assert hide(text) == text
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("KEY_COUNT", "2")
    assert hide(text) == text


def test_of_two_secrets_that_begin_alike_none_leaves_its_end(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OTHER_TOKEN", f"{KEY}-and-more")
    assert hide(f"{KEY}-and-more, {KEY}") == "[key], [key]"


def test_a_value_that_is_no_text_is_struck_out_as_well(monkeypatch):
    monkeypatch.setenv("ODD_KEY", os.fsdecode(b"abc\xff\xfedef"))
    assert hide(os.fsdecode(b"<abc\xff\xfedef>")) == "<[key]>"


def test_a_long_text_is_read_through_in_no_time(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    text = string.ascii_letters * 20_000
    began = time.perf_counter()
    assert hide(text) == text
    assert time.perf_counter() - began < 5
