"""Signed notes and checkpoints of C2SP, read strictly: what is not exactly in the form is refused."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from igstats_client.merkle import HASH_SIZE

_ED25519 = 1
_KEY_SIZE = 32
_ID_SIZE = 4
_DASH = "— "
_MOST_SIGNATURES = 100
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class NoteError(ValueError):
    """The text is not a note, checkpoint or verifier key in the one allowed form."""


class SignatureError(NoteError):
    """The note is well formed, but the key has not signed it."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a log's key."""

    name: str
    id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log committed to: its first `size` leaves have this root."""

    origin: str
    size: int
    root: bytes


def parse_verifier_key(text: str) -> VerifierKey:
    """Reads a vkey, `name+id+key`, and checks that its id belongs to it."""
    name, plus, rest = text.partition("+")
    identity, second_plus, encoded = rest.partition("+")
    if not (plus and second_plus and _is_name(name) and _KEY_ID.fullmatch(identity)):
        raise NoteError("a verifier key has the form name+id+key")
    raw = _base64(encoded)
    if len(raw) != 1 + _KEY_SIZE or raw[0] != _ED25519:
        raise NoteError("not an Ed25519 key")
    if hashlib.sha256(name.encode() + b"\n" + raw).digest()[:_ID_SIZE].hex() != identity:
        raise NoteError("the id does not belong to the key")
    return VerifierKey(name, bytes.fromhex(identity), raw[1:])


def open_note(note: str, key: VerifierKey) -> str:
    """Returns the text of a note that the key has signed. Signatures of other keys are passed over."""
    if any(sign < " " and sign != "\n" for sign in note):
        raise NoteError("a note has no control characters")
    body, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise NoteError("a note is a text, an empty line and lines with signatures, each ended by a newline")
    text, lines = body + "\n", block[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError("too many signatures")
    signatures = [_signature(line) for line in lines]
    ours = [raw[_ID_SIZE:] for name, raw in signatures if (name, raw[:_ID_SIZE]) == (key.name, key.id)]
    if not ours:
        raise SignatureError("the key has not signed this note")
    for signature in ours:
        _check(key, signature, text)
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Reads the text of a checkpoint: origin, size, root, each on a line, and nothing else."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:  # noqa: PLR2004 - three lines, each ended by a newline
        raise NoteError("a checkpoint has three lines: origin, size, root")
    origin, size, encoded = lines[:3]
    if not _is_name(origin) or not _DECIMAL.fullmatch(size):
        raise NoteError("origin or size of the checkpoint is malformed")
    root = _base64(encoded)
    if len(root) != HASH_SIZE:
        raise NoteError(f"the root is not {HASH_SIZE} bytes")
    return Checkpoint(origin, int(size), root)


def _signature(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not (line.startswith(_DASH) and space and _is_name(name)):
        raise NoteError("a signature line is a dash, a name and a signature")
    raw = _base64(encoded)
    if len(raw) <= _ID_SIZE:
        raise NoteError("a signature is too short")
    return name, raw


def _check(key: VerifierKey, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text.encode())
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("the signature does not fit text and key") from error


def _is_name(text: str) -> bool:
    return bool(text) and not any(sign.isspace() or sign == "+" for sign in text)


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise NoteError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise NoteError("not the one base64 form of its bytes")
    return raw
