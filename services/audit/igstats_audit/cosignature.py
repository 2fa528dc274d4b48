"""Cosignatures of witnesses (C2SP tlog-cosignature), pure: which lines of an answer really sign a checkpoint."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from igstats_audit.note import MLDSA44_COSIGNATURE, Checkpoint, cosigned_message, is_name, verifier_key

ED25519_COSIGNATURE = b"\x04"

_ID_SIZE = 4
_TIME_SIZE = 8
_LAST_SECOND = (1 << 63) - 1
_DASH = "— "


class CosignatureError(ValueError):
    """A key of a witness, or a line of its answer, is malformed, or a signature is wrong."""


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The public key of a witness; its first byte is the type of its signatures."""

    name: str
    id: bytes
    public: bytes

    @classmethod
    def read(cls, text: str) -> "WitnessKey":
        """Reads a vkey.

        Raises:
            CosignatureError: Malformed, or a key that makes no cosignatures.
        """
        name, _, rest = text.partition("+")
        identity, _, encoded = rest.partition("+")
        public = _decoded(encoded)
        if public[:1] not in {ED25519_COSIGNATURE, MLDSA44_COSIGNATURE}:
            raise CosignatureError("a witness signs with its time: Ed25519 (4) or ML-DSA-44 (6)")
        if not is_name(name) or verifier_key(name, public) != text:
            raise CosignatureError("a verifier key has the form name+id+key")
        try:
            _public_key(public)
        except ValueError as error:
            raise CosignatureError("not a public key of its type") from error
        return cls(name, bytes.fromhex(identity), public)

    def verify(self, signature: bytes, checkpoint: Checkpoint) -> None:
        """Checks a cosignature, without its key id.

        Raises:
            CosignatureError: It does not sign this checkpoint.
        """
        seconds = int.from_bytes(signature[:_TIME_SIZE], "big")
        if len(signature) <= _TIME_SIZE or seconds > _LAST_SECOND:
            raise CosignatureError("a cosignature begins with its time")
        if self.public[:1] == ED25519_COSIGNATURE:
            message = f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()
        else:
            message = cosigned_message(self.name, seconds, checkpoint)
        try:
            _public_key(self.public).verify(signature[_TIME_SIZE:], message)
        except InvalidSignature as error:
            raise CosignatureError(f"{self.name} has not signed this checkpoint") from error


def cosignatures(answer: str, checkpoint: Checkpoint, keys: Iterable[WitnessKey]) -> Sequence[str]:
    """Lines of an answer by which these keys sign the checkpoint, each once; lines of other keys are left out.

    Raises:
        CosignatureError: A line is malformed, or a signature of one of the keys is wrong.
    """
    known = {(key.name, key.id): key for key in keys}
    if not answer.endswith("\n"):
        raise CosignatureError("the answer of a witness ends with a newline")
    found: dict[WitnessKey, str] = {}
    for line in answer[:-1].split("\n"):
        name, raw = _line(line)
        key = known.get((name, raw[:_ID_SIZE]))
        if key is not None:
            key.verify(raw[_ID_SIZE:], checkpoint)
            found.setdefault(key, f"{line}\n")
    return list(found.values())


def key_ring(text: str) -> list[WitnessKey]:
    """Reads the keys of a witness: a vkey on each line.

    Raises:
        CosignatureError: There is none, or one is malformed.
    """
    keys = [WitnessKey.read(line) for line in text.splitlines() if line.strip()]
    if not keys:
        raise CosignatureError("no key of the witness is named")
    return keys


def _line(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not is_name(name):
        raise CosignatureError("a signature line is a dash, a name and a signature")
    raw = _decoded(encoded)
    if len(raw) <= _ID_SIZE:
        raise CosignatureError("a signature is too short")
    return name, raw


def _decoded(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise CosignatureError("not base64") from error
    if base64.b64encode(raw).decode() != encoded:
        raise CosignatureError("not the one base64 form of its bytes")
    return raw


def _public_key(public: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    if public[:1] == ED25519_COSIGNATURE:
        return Ed25519PublicKey.from_public_bytes(public[1:])
    return MLDSA44PublicKey.from_public_bytes(public[1:])
