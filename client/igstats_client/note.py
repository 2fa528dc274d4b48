"""Signed notes and checkpoints of C2SP, read strictly: what is not exactly in the form is refused.

Three kinds of keys sign: Ed25519 signs the text; cosignatures of witnesses and of the log's second key (Ed25519 or
ML-DSA-44) name their time, and the latter also their signer's name.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from igstats_client.forms import LAST_NUMBER, Edge, FormError, Refusal, decimal, is_name, read_hash, unbase64

_ID_SIZE = 4
_TIME_SIZE = 8
_LONGEST_NAME = 255
_DASH = "— "
_MOST_SIGNATURES = 100
_LONGEST_NOTE = 1 << 20
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_Read = TypeVar("_Read")


class NoteError(Refusal):
    """The text is not a note, checkpoint or verifier key in the one allowed form."""


class SignatureError(NoteError):
    """The note is well formed, but the key has not signed it."""


class SignatureType(IntEnum):
    """How a key signs; the first byte of a public key in a vkey."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    MLDSA44_COSIGNATURE = 0x06


_KEY_SIZES = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.MLDSA44_COSIGNATURE: 1312,
}
_SIGNATURE_SIZES = {
    SignatureType.ED25519: 64,
    SignatureType.ED25519_COSIGNATURE: _TIME_SIZE + 64,
    SignatureType.MLDSA44_COSIGNATURE: _TIME_SIZE + 2420,
}


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key that signs notes."""

    name: str
    id: bytes
    public_key: bytes
    type: SignatureType = SignatureType.ED25519


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log committed to: its first `size` leaves have this root."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart; nobody has looked at the signatures yet."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]  # name, key id, signature


def parse_verifier_key(text: str) -> VerifierKey:
    """Reads a vkey, `name+id+key`, and checks that its id belongs to it.

    Raises:
        NoteError: Malformed, or of a type that signs no checkpoint.
    """
    name, plus, rest = text.partition("+")
    identity, second_plus, encoded = rest.partition("+")
    if not (plus and second_plus and is_name(name) and _KEY_ID.fullmatch(identity)):
        raise NoteError(Edge.KEY_FORM, "a verifier key has the form name+id+key")
    raw = _formed(unbase64, encoded)
    if not raw or raw[0] not in _KEY_SIZES:
        raise NoteError(Edge.KEY_TYPE, "neither an Ed25519 nor an ML-DSA-44 key")
    kind = SignatureType(raw[0])
    if len(raw) != 1 + _KEY_SIZES[kind]:
        raise NoteError(Edge.KEY_LENGTH, "the key has not the length of its type")
    if hashlib.sha256(name.encode() + b"\n" + raw).digest()[:_ID_SIZE].hex() != identity:
        raise NoteError(Edge.KEY_ID, "the id does not belong to the key")
    return VerifierKey(name, bytes.fromhex(identity), raw[1:], kind)


def split_note(note: str) -> Note:
    """Takes a note apart.

    Raises:
        NoteError: Not in the form of a note.
    """
    _check_characters(note)
    body, blank, block = note.rpartition("\n\n")
    if not note.endswith("\n"):
        raise NoteError(Edge.FINAL_NEWLINE, "a note ends with a newline")
    if not blank or not block:
        raise NoteError(Edge.NOTE_LAYOUT, "a note is a text, an empty line and lines with signatures")
    lines = block[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError(Edge.SIGNATURES_TOO_MANY, "too many signatures")
    signatures = tuple(_signature(line) for line in lines)
    places = [(name, identity) for name, identity, _ in signatures]
    if len(set(places)) != len(places):
        raise SignatureError(Edge.SIGNATURE_REPEATED, "a key has signed twice")
    return Note(body + "\n", signatures)


def signers(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Those of the keys that have signed the note. Signatures of other keys are passed over.

    Raises:
        SignatureError: A signature of one of the keys does not hold.
    """
    signed = {(name, identity): signature for name, identity, signature in note.signatures}
    found = [key for key in keys if (key.name, key.id) in signed]
    for key in found:
        _check(key, signed[key.name, key.id], note.text)
    return found


def open_note(note: str, key: VerifierKey) -> str:
    """Returns the text of a note that the key has signed. Signatures of other keys are passed over.

    Raises:
        NoteError: Not in the form of a note, or SignatureError: not signed by the key.
    """
    opened = split_note(note)
    if not signers(opened, [key]):
        raise SignatureError(Edge.SIGNER_UNKNOWN, "the key has not signed this note")
    return opened.text


def parse_checkpoint(text: str) -> Checkpoint:
    """Reads the text of a checkpoint: origin, size, root, each on a line, and nothing else.

    Raises:
        NoteError: Not in the form of a checkpoint.
    """
    if not text.endswith("\n"):
        raise NoteError(Edge.FINAL_NEWLINE, "a checkpoint ends with a newline")
    lines = text.split("\n")
    if len(lines) != 4:  # noqa: PLR2004 - three lines, each ended by a newline
        raise NoteError(Edge.CHECKPOINT_LINES, "a checkpoint has three lines: origin, size, root")
    origin, size, encoded = lines[:3]
    if not is_name(origin):
        raise NoteError(Edge.NAME, "the origin is malformed")
    return Checkpoint(origin, _formed(decimal, size), _formed(read_hash, encoded))


def cosigned_at(key: VerifierKey, note: Note) -> int | None:
    """POSIX seconds that a cosignature of the key names; None when the key signs without time or has not signed."""
    if key.type == SignatureType.ED25519:
        return None
    for name, identity, signature in note.signatures:
        if (name, identity) == (key.name, key.id):
            return int.from_bytes(signature[:_TIME_SIZE], "big")
    return None


def _check_characters(note: str) -> None:
    if len(note) > _LONGEST_NOTE:
        raise NoteError(Edge.TOO_LONG, "no note is that long")
    if any(sign < " " and sign != "\n" for sign in note):
        raise NoteError(Edge.CONTROL_CHARACTER, "a note has no control characters")
    try:
        note.encode()
    except UnicodeEncodeError as error:
        raise NoteError(Edge.UTF8, "a note is UTF-8") from error


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not (line.startswith(_DASH) and space and is_name(name)):
        raise NoteError(Edge.SIGNATURE_LINE, "a signature line is a dash, a name and a signature")
    raw = _formed(unbase64, encoded)
    if len(raw) <= _ID_SIZE:
        raise NoteError(Edge.SIGNATURE_LENGTH, "a signature is too short")
    return name, raw[:_ID_SIZE], raw[_ID_SIZE:]


def _check(key: VerifierKey, signature: bytes, text: str) -> None:
    if len(signature) != _SIGNATURE_SIZES[key.type]:
        raise SignatureError(Edge.SIGNATURE_LENGTH, "a signature has not the length of its type")
    try:
        _verify(key, signature, text)
    except (InvalidSignature, ValueError) as error:
        if isinstance(error, Refusal):
            raise
        raise SignatureError(Edge.SIGNATURE_WRONG, "the signature does not fit text and key") from error


def _verify(key: VerifierKey, signature: bytes, text: str) -> None:
    if key.type == SignatureType.ED25519:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text.encode())
        return
    seconds, rest = _seconds(signature), signature[_TIME_SIZE:]
    if key.type == SignatureType.ED25519_COSIGNATURE:
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(rest, message)
        return
    message = _cosigned_message(key.name, seconds, parse_checkpoint(text))
    MLDSA44PublicKey.from_public_bytes(key.public_key).verify(rest, message)


def _seconds(signature: bytes) -> int:
    seconds = int.from_bytes(signature[:_TIME_SIZE], "big")
    if seconds > LAST_NUMBER:
        raise NoteError(Edge.NUMBER_RANGE, "a time beyond 2**63")
    return seconds


def _cosigned_message(name: str, seconds: int, checkpoint: Checkpoint) -> bytes:
    """The `cosigned_message` of tlog-cosignature for a whole tree."""
    names = [text.encode() for text in (name, checkpoint.origin)]
    if any(len(raw) > _LONGEST_NAME for raw in names):
        raise NoteError(Edge.NAME, "a name is too long to be cosigned")
    signer, origin = (bytes([len(raw)]) + raw for raw in names)
    numbers = (seconds.to_bytes(8, "big"), (0).to_bytes(8, "big"), checkpoint.size.to_bytes(8, "big"))
    return b"subtree/v1\n\0" + signer + numbers[0] + origin + numbers[1] + numbers[2] + checkpoint.root


def _formed(reader: Callable[[str], _Read], text: str) -> _Read:
    try:
        return reader(text)
    except FormError as error:
        raise NoteError(error.edge, str(error)) from error
