"""Signed checkpoints in the formats of C2SP (signed-note, tlog-checkpoint) with Ed25519, pure.

A checkpoint is three lines: origin, size, root in base64. Signed, it is followed by an empty line and a line with the
signature. Verification lives with those who verify: igstats_client.note reads what this module writes and shares no
code with it.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from igstats_audit.tree import HASH_SIZE

ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log commits to: its first `size` leaves have this root."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not is_name(self.origin):
            raise ValueError("an origin is a name without space and plus")
        if self.size < 0 or len(self.root) != HASH_SIZE:
            raise ValueError("a checkpoint has a size and a root of 32 bytes")

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def is_name(name: str) -> bool:
    """Whether a note key may have this name."""
    return bool(name) and name.isprintable() and not any(sign.isspace() or sign == "+" for sign in name)


class NoteSigner:
    """The log's key: it signs notes under one name. The same text always gets the same signature."""

    def __init__(self, name: str, pem: bytes) -> None:
        if not is_name(name):
            raise ValueError("a key name is a name without space and plus")
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the log key is an Ed25519 key")
        self.name = name
        self._key = key
        self._public = ED25519 + key.public_key().public_bytes_raw()
        self._id = hashlib.sha256(name.encode() + b"\n" + self._public).digest()[:4]

    @property
    def verifier_key(self) -> str:
        """The vkey: name, id and public key in one line, for whoever verifies."""
        return f"{self.name}+{self._id.hex()}+{base64.b64encode(self._public).decode()}"

    def sign(self, text: str) -> str:
        """Signs a text into a note."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a newline")
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"
