"""Signed checkpoints in the formats of C2SP (signed-note, tlog-checkpoint, tlog-cosignature), pure.

A checkpoint is three lines: origin, size, root in base64. Signed, it is followed by an empty line and one line for each
signature. Ed25519 signs the text itself; ML-DSA-44, for the day when Ed25519 no longer holds, signs a structure that
names signer, time, origin, size and root. Verification lives with those who verify: igstats_client reads what this
module writes and shares no code with it.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from igstats_kit.clock import Clock, SystemClock

from igstats_audit.tree import HASH_SIZE

ED25519 = b"\x01"
MLDSA44_COSIGNATURE = b"\x06"

_ID_SIZE = 4
_NUMBER_SIZE = 8
_LONGEST_NAME = 255
_COSIGNED_LABEL = b"subtree/v1\n\0"
_DECIMAL = re.compile(r"0|[1-9][0-9]*")


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


def read_checkpoint(text: str) -> Checkpoint:
    """Reads back the text of a checkpoint of ours, with or without its signatures.

    Raises:
        ValueError: Not three lines as `Checkpoint.text` writes them.
    """
    body = text.partition("\n\n")[0].removesuffix("\n")
    lines = body.split("\n")
    if len(lines) != 3 or not _DECIMAL.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size and root
        raise ValueError("a checkpoint has three lines: origin, size, root")
    checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    if checkpoint.text != f"{body}\n":
        raise ValueError("not the one form of its checkpoint")
    return checkpoint


def is_name(name: str) -> bool:
    """Whether a note key may have this name."""
    return bool(name) and name.isprintable() and not any(sign.isspace() or sign == "+" for sign in name)


def key_id(name: str, public: bytes) -> bytes:
    """Id of a key under a name; the first byte of `public` is the type of its signatures."""
    return hashlib.sha256(name.encode() + b"\n" + public).digest()[:_ID_SIZE]


def verifier_key(name: str, public: bytes) -> str:
    """The vkey: name, id and public key in one line, for whoever verifies."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(public).decode()}"


def cosigned_message(name: str, seconds: int, checkpoint: Checkpoint) -> bytes:
    """What an ML-DSA-44 cosignature of this name and time (POSIX seconds) signs for a checkpoint."""
    return b"".join(
        (
            _COSIGNED_LABEL,
            _short(name),
            seconds.to_bytes(_NUMBER_SIZE, "big"),
            _short(checkpoint.origin),
            bytes(_NUMBER_SIZE),
            checkpoint.size.to_bytes(_NUMBER_SIZE, "big"),
            checkpoint.root,
        )
    )


class NoteSigner:
    """The log's keys: they sign notes under one name. Ed25519 gives the same text the same signature each time."""

    def __init__(self, name: str, pem: bytes, mldsa_pem: bytes | None = None, clock: Clock | None = None) -> None:
        if not is_name(name) or len(name.encode()) > _LONGEST_NAME:
            raise ValueError("a key name is a short name without space and plus")
        self.name = name
        self._clock = clock or SystemClock()
        self._key = _ed25519_key(pem)
        self._public = ED25519 + self._key.public_key().public_bytes_raw()
        self._cosigner = None if mldsa_pem is None else _mldsa_key(mldsa_pem)

    @property
    def verifier_key(self) -> str:
        """The vkey of the Ed25519 key."""
        return verifier_key(self.name, self._public)

    @property
    def verifier_keys(self) -> list[str]:
        """The vkeys of all keys: Ed25519, then ML-DSA-44 if there is one."""
        if self._cosigner is None:
            return [self.verifier_key]
        return [self.verifier_key, verifier_key(self.name, self._cosigner_public(self._cosigner))]

    def sign(self, text: str) -> str:
        """Signs a text into a note, with Ed25519 only: cheap enough for every commit."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a newline")
        return f"{text}\n{self._line(self._public, self._key.sign(text.encode()))}"

    def complete(self, note: str) -> str:
        """A note that this key has signed, with every signature. A row of a database is not signed on its word.

        Raises:
            ValueError: This key has not signed it.
        """
        text = note.partition("\n\n")[0] + "\n"
        if self.sign(text) != note:
            raise ValueError("the note is not signed by this key")
        return self.cosign(text)

    def cosign(self, text: str) -> str:
        """Signs the text of a checkpoint into a note with every key; the ML-DSA-44 signature names the time."""
        note = self.sign(text)
        if self._cosigner is None:
            return note
        seconds = int(self._clock.now().timestamp())
        signature = self._cosigner.sign(cosigned_message(self.name, seconds, read_checkpoint(text)))
        public = self._cosigner_public(self._cosigner)
        return note + self._line(public, seconds.to_bytes(_NUMBER_SIZE, "big") + signature)

    def _line(self, public: bytes, signature: bytes) -> str:
        return f"— {self.name} {base64.b64encode(key_id(self.name, public) + signature).decode()}\n"

    @staticmethod
    def _cosigner_public(key: MLDSA44PrivateKey) -> bytes:
        return MLDSA44_COSIGNATURE + key.public_key().public_bytes_raw()


def _short(text: str) -> bytes:
    raw = text.encode()
    if not 1 <= len(raw) <= _LONGEST_NAME:
        raise ValueError(f"a name in a cosignature has 1 to {_LONGEST_NAME} bytes")
    return len(raw).to_bytes(1, "big") + raw


def _ed25519_key(pem: bytes) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("the log key is an Ed25519 key")
    return key


def _mldsa_key(pem: bytes) -> MLDSA44PrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, MLDSA44PrivateKey):
        raise TypeError("the second log key is an ML-DSA-44 key")
    return key
