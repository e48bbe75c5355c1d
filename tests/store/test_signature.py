"""Keys and signatures: files of both kinds are read, all else is one sentence, and a key is named as elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradearena.errors import UsageError
from tradearena.store.signature import Signature, fingerprint, open_private, open_public

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WORDS = "hush hush"
FORMATS = {"pem": form.PrivateFormat.PKCS8, "openssh": form.PrivateFormat.OpenSSH}


def private(key, kind="pem", words=None):
    how = form.BestAvailableEncryption(words.encode()) if words else form.NoEncryption()
    return key.private_bytes(form.Encoding.PEM, FORMATS[kind], how)


def public(key, kind="pem"):
    if kind == "pem":
        return key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH) + b" me@home\n"


def nobody():
    raise AssertionError("no passphrase is asked for where there is none")


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "key"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("kind", FORMATS)
def test_a_key_is_read_in_either_format(file, kind):
    signer = open_private(file(private(KEY, kind)), nobody)
    assert signer.public == KEY.public_key().public_bytes_raw() == open_public(file(public(KEY, kind)))
    KEY.public_key().verify(signer.sign(b"said"), b"said")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_passphrase_opens_a_key_and_another_one_does_not(file, kind):
    path = file(private(KEY, kind, WORDS))
    assert open_private(path, lambda: WORDS).public == KEY.public_key().public_bytes_raw()
    with pytest.raises(UsageError, match=r"^--sign \S+: the passphrase does not open this key$"):
        open_private(path, lambda: "hush")


def named(value):
    """Test ids without the key, which is another one in each worker."""
    return "key" if isinstance(value, bytes) else value


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (public(KEY), "is a public key"),
        (public(KEY, "openssh"), "is a public key"),
        (b"", "holds no private key"),
        (b"name = 'llm'\n", "holds no private key"),
        (private(KEY)[:60] + private(KEY)[70:], "cannot be read"),
        (private(KEY, "openssh")[:120] + b"\n-----END OPENSSH PRIVATE KEY-----\n", "cannot be read"),
        (private(ec.generate_private_key(ec.SECP256R1())), "of another kind than Ed25519"),
        (private(ec.generate_private_key(ec.SECP256R1()), "openssh"), "of another kind than Ed25519"),
        (private(x25519.X25519PrivateKey.generate()), "of another kind than Ed25519"),
    ],
    ids=named,
)  # fmt: skip
def test_what_cannot_sign_is_one_sentence(file, data, said):
    with pytest.raises(UsageError, match=said) as raised:
        open_private(file(data), nobody)
    assert str(raised.value).startswith("--sign ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (private(KEY), "is a private key; keep it to yourself"),
        (private(KEY, "openssh", WORDS), "is a private key; keep it to yourself"),
        (b"\0" * 40, "holds no public key"),
        (b"ssh-ed25519 AAAA me\n", "cannot be read"),
        (public(KEY)[:40] + public(KEY)[50:], "cannot be read"),
        (public(ec.generate_private_key(ec.SECP256R1()), "openssh"), "of another kind than Ed25519"),
        (public(ec.generate_private_key(ec.SECP256R1())), "of another kind than Ed25519"),
    ],
    ids=named,
)  # fmt: skip
def test_what_cannot_check_is_one_sentence(file, data, said):
    with pytest.raises(UsageError, match=said) as raised:
        open_public(file(data))
    assert str(raised.value).startswith("--key ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match=r"--sign .*: cannot be read: "):
            open_private(path, nobody)
        with pytest.raises(UsageError, match=r"--key .*: cannot be read: "):
            open_public(path)


def test_a_key_is_named_as_by_ssh_keygen(file):
    named = fingerprint(KEY.public_key().public_bytes_raw())
    assert named == "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg"
    if keygen := shutil.which("ssh-keygen"):
        done = subprocess.run([keygen, "-lf", file(public(KEY, "openssh"))], capture_output=True, text=True, check=True)
        assert named in done.stdout.split()


def test_without_the_library_keys_are_refused_with_what_to_install_and_signatures_are_not_checked(file, monkeypatch):
    signed = Signature(KEY.public_key().public_bytes_raw(), KEY.sign(b"said"), "now", b"said")
    assert signed.holds() is True
    assert signed._replace(message=b"else").holds() is False
    for module in ("exceptions", "hazmat.primitives.serialization", "hazmat.primitives.asymmetric.ed25519"):
        monkeypatch.setitem(sys.modules, f"cryptography.{module}", None)
    assert signed.holds() is None
    assert signed._replace(signature=b"short").holds() is False
    with pytest.raises(UsageError, match=r'--sign needs .* python -m pip install -e "\.\[sign\]"$'):
        open_private(file(private(KEY)), nobody)
    with pytest.raises(UsageError, match=r"--key needs the library cryptography"):
        open_public(file(public(KEY)))
