"""Key files of a development or test stack, made once and readable by their owner only."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that is never readable by anyone else and never seen half written; the last writer wins."""
    _fresh(path, content).replace(path)


def make_private(path: Path, content: bytes) -> None:
    """Writes the file unless it exists; of several processes the first wins."""
    fresh = _fresh(path, content)
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _fresh(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return fresh


def _random_key() -> bytes:
    key = secrets.token_bytes(32)
    return key if key == key.strip() else _random_key()  # a reader that strips line ends still reads all of it


def _signing_key(name: str) -> bytes:
    key = MLDSA44PrivateKey.generate() if name.endswith("-mldsa.pem") else Ed25519PrivateKey.generate()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True)
class Secrets:
    """A folder of key files: NAME.key = 32 random bytes, NAME.pem = Ed25519, NAME.password = text.

    NAME-mldsa.pem is a key of ML-DSA-44.
    """

    directory: Path

    def create(self, services: Iterable[str]) -> None:
        """Makes the files that are missing; the others stay as they are."""
        own = [name for service in services for name in (f"{service}-receipt.pem", f"{service}-seal.key")]
        logs = [f"audit-{log}-log{kind}.pem" for log in ("evidence", "access") for kind in ("", "-mldsa")]
        for name in ("suppression.key", "access-seal.key", "gateway-pepper.key", *logs, *own):
            self.path(name)

    def path(self, name: str) -> Path:
        """The file, made now when it is missing."""
        path = self.directory / name
        if not path.exists():
            make_private(path, _signing_key(name) if name.endswith(".pem") else _random_key())
        return path

    def password(self, name: str) -> str:
        """A password of 192 random bits, made now when it is missing."""
        path = self.directory / f"{name}.password"
        if not path.exists():
            make_private(path, secrets.token_urlsafe(24).encode())
        return path.read_text()
