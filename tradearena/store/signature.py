"""Who stands for an episode: key files come in as what signs and what checks; the bytes that are signed, and of the
signatures on file whether they hold, go out. Ed25519 (RFC 8032), by the library cryptography.

A private key is held by the library and goes nowhere: not on file, not into a message.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from tradearena.errors import UsageError
from tradearena.store.schema import DONE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NEEDED = 'the library cryptography; where TradeArena is installed from, type: python -m pip install -e ".[sign]"'
"""What is missing where it is missing."""

_MOST = 65_536
"""Bytes of the largest file that is looked at for a key."""

_MAKE = "make one with: ssh-keygen -t ed25519 -f KEY"


class Signer:
    """A private key that signs. `public`: the 32 bytes of its public key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


def open_private(path: Path, passphrase: Callable[[], str]) -> Signer:
    """A private key in PEM or OpenSSH's format; the passphrase is asked for where it has one.

    Raises:
        UsageError: there is none in the file, it is of another kind, or the passphrase does not open it.
    """
    data = _content(path, "--sign")
    if _is_public(data):
        raise UsageError(f"--sign {path}: is a public key; name the private one, which it was made with")
    if b"PRIVATE KEY-----" not in data:
        raise UsageError(f"--sign {path}: holds no private key in PEM or OpenSSH's format; {_MAKE}")
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    except ImportError:
        raise UsageError(f"--sign needs {NEEDED}") from None
    load: Any = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    found = None
    try:
        found = load(data, None)
    except TypeError:  # it has a passphrase
        said = passphrase().encode()
        try:
            found = load(data, said)
        except Exception:  # whatever the library says of what was typed is nobody's business
            raise UsageError(f"--sign {path}: the passphrase does not open this key") from None
    except Exception:
        raise UsageError(f"--sign {path}: the private key in it cannot be read; {_MAKE}") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f"--sign {path}: holds a key of another kind than Ed25519; {_MAKE}")
    return Signer(found)


def open_public(path: Path) -> bytes:
    """The 32 bytes of a public key, in PEM or as OpenSSH writes it.

    Raises:
        UsageError: there is none in the file, or it is of another kind.
    """
    data = _content(path, "--key")
    if b"PRIVATE KEY-----" in data:
        raise UsageError(f"--key {path}: is a private key; keep it to yourself, and name the public one, as in KEY.pub")
    if not _is_public(data):
        raise UsageError(f"--key {path}: holds no public key in PEM or OpenSSH's format")
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key
    except ImportError:
        raise UsageError(f"--key needs {NEEDED}") from None
    load: Any = load_pem_public_key if b"-----BEGIN" in data else load_ssh_public_key
    try:
        found = load(data.strip())
    except Exception:  # its many ways of saying so
        raise UsageError(f"--key {path}: the public key in it cannot be read") from None
    if not isinstance(found, Ed25519PublicKey):
        raise UsageError(f"--key {path}: holds a key of another kind than Ed25519, and only those sign here")
    return found.public_bytes_raw()


def _is_public(data: bytes) -> bool:
    return b"PUBLIC KEY-----" in data or data.lstrip().startswith((b"ssh-", b"ecdsa-", b"sk-"))


def _content(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be read: {error.strerror}") from None


def fingerprint(key: bytes) -> str:
    """A public key as `ssh-keygen -lf` names it."""
    name = b"ssh-ed25519"
    blob = len(name).to_bytes(4, "big") + name + len(key).to_bytes(4, "big") + key
    return f"SHA256:{b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def message(episode: str, root_hash: str, manifest: str, seal: str, key: bytes, signed_at: str) -> bytes:
    """What is signed: seven lines of text. The seal is of every column of every row of the episode, of its texts, the
    set-up and the bars, the manifest among them; `manifest` as it stands on file, `signed_at` as in `TIME`."""
    lines = (
        "tradearena episode v1",
        f"episode {episode}",
        f"root {root_hash}",
        f"manifest {hashlib.sha256(manifest.encode()).hexdigest()}",
        f"seal {seal}",
        f"key {key.hex()}",
        f"signed {signed_at}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
"""A time in UTC, to the microsecond, as Python and DuckDB write it."""


class Signature(NamedTuple):
    """A row of the table `signature`, as found, and what it would have to be of; None where there is no such thing."""

    key: bytes | None
    signature: bytes | None
    signed_at: str | None
    message: bytes | None

    @property
    def name(self) -> str:
        """The key it names."""
        return fingerprint(self.key or b"")

    def holds(self) -> bool | None:
        """Is it that of the key it names, of this episode as it stands? None where the library is missing."""
        if self.message is None or len(self.key or b"") != 32 or len(self.signature or b"") != 64:
            return False
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(self.key or b"").verify(self.signature or b"", self.message)
        except (InvalidSignature, ValueError):
            return False
        return True


def signatures(db: duckdb.DuckDBPyConnection) -> dict[str, list[Signature]]:
    """All signatures on file, by episode, the oldest first."""
    query = f"""
        SELECT s.episode, s.key, s.signature, strftime(s.signed_at AT TIME ZONE 'UTC', '{TIME}'),
               e.root_hash, e.manifest, e.seal
        FROM signature s JOIN episode e ON e.id = s.episode ORDER BY s.episode, s.signed_at, s.key"""
    found: dict[str, list[Signature]] = {}
    for episode, key, signature, signed_at, root_hash, manifest, seal in db.execute(query).fetchall():
        ended = None not in (key, signed_at, root_hash, manifest, seal)
        signed = message(episode, root_hash, manifest, seal, key, signed_at) if ended else None
        found.setdefault(episode, []).append(Signature(key, signature, signed_at, signed))
    return found


def unsigned(db: duckdb.DuckDBPyConnection, episodes: Sequence[str], key: bytes) -> list[tuple[str, str, str, str]]:
    """Which of these episodes have ended and bear no signature of this key: id, root hash, manifest and seal."""
    query = """
        SELECT id, root_hash, manifest, seal FROM episode
        WHERE id IN (SELECT unnest(?)) AND status IN (SELECT unnest(?))
            AND id NOT IN (SELECT episode FROM signature WHERE key = ? AND episode IS NOT NULL)
        ORDER BY started_at, id"""
    return db.execute(query, [list(episodes), list(DONE), key]).fetchall()
