"""Forms that every file of a log is made of: each thing has one spelling, and every other spelling is refused.

A refusal names the edge that was overstepped, so that two verifiers can be compared edge by edge.
"""

import base64
import binascii
import re
from enum import StrEnum

HASH_SIZE = 32
LAST_NUMBER = (1 << 63) - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class Edge(StrEnum):
    """Where a file, a proof or a key leaves the one allowed form, or does not fit."""

    UTF8 = "UTF8"
    CONTROL_CHARACTER = "CONTROL_CHARACTER"
    TOO_LONG = "TOO_LONG"
    FINAL_NEWLINE = "FINAL_NEWLINE"
    NAME = "NAME"
    DECIMAL = "DECIMAL"
    NUMBER_RANGE = "NUMBER_RANGE"
    BASE64 = "BASE64"
    BASE64_CANONICAL = "BASE64_CANONICAL"
    HASH_LENGTH = "HASH_LENGTH"
    KEY_FORM = "KEY_FORM"
    KEY_TYPE = "KEY_TYPE"
    KEY_LENGTH = "KEY_LENGTH"
    KEY_ID = "KEY_ID"
    KEY_REPEATED = "KEY_REPEATED"
    NOTE_LAYOUT = "NOTE_LAYOUT"
    SIGNATURE_LINE = "SIGNATURE_LINE"
    SIGNATURE_LENGTH = "SIGNATURE_LENGTH"
    SIGNATURE_REPEATED = "SIGNATURE_REPEATED"
    SIGNATURES_TOO_MANY = "SIGNATURES_TOO_MANY"
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    SIGNER_UNKNOWN = "SIGNER_UNKNOWN"
    SIGNERS_TOO_FEW = "SIGNERS_TOO_FEW"
    WITNESSES_TOO_FEW = "WITNESSES_TOO_FEW"
    CHECKPOINT_LINES = "CHECKPOINT_LINES"
    ORIGIN = "ORIGIN"
    PROOF_HEADER = "PROOF_HEADER"
    PROOF_LINES = "PROOF_LINES"
    SIZE_ZERO = "SIZE_ZERO"
    SIZE_SHRINKS = "SIZE_SHRINKS"
    INDEX_OUTSIDE = "INDEX_OUTSIDE"
    PATH_EXTRA = "PATH_EXTRA"
    PATH_MISSING = "PATH_MISSING"
    ROOT = "ROOT"
    TILE_PATH = "TILE_PATH"
    TILE_MISSING = "TILE_MISSING"
    TILE_LENGTH = "TILE_LENGTH"
    TILE_HASH = "TILE_HASH"
    BUNDLE = "BUNDLE"


class Refusal(ValueError):  # noqa: N818 - a verdict on somebody's data, not a fault of the program
    """Something is not in its form or does not hold. `edge` says what, the text says it to a person."""

    def __init__(self, edge: Edge, text: str) -> None:
        super().__init__(text)
        self.edge = edge


class FormError(Refusal):
    """A number, a name or an encoding is not in its one form."""


def text_of(raw: bytes) -> str:
    """Reads the bytes of a text file."""
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise FormError(Edge.UTF8, "not UTF-8") from error


def decimal(text: str) -> int:
    """Reads a number: ASCII digits, no sign, no leading zero, below 2**63."""
    if not _DECIMAL.fullmatch(text):
        raise FormError(Edge.DECIMAL, "not a decimal number in its one form")
    number = int(text)
    if number > LAST_NUMBER:
        raise FormError(Edge.NUMBER_RANGE, "a number beyond 2**63")
    return number


def unbase64(text: str) -> bytes:
    """Reads standard base64 in the one form that its bytes have."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise FormError(Edge.BASE64, "not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise FormError(Edge.BASE64_CANONICAL, "not the one base64 form of its bytes")
    return raw


def read_hash(text: str) -> bytes:
    """Reads a SHA-256 hash in base64."""
    raw = unbase64(text)
    if len(raw) != HASH_SIZE:
        raise FormError(Edge.HASH_LENGTH, f"a hash is not {HASH_SIZE} bytes")
    return raw


def is_name(text: str) -> bool:
    """Whether a key or an origin may have this name."""
    return bool(text) and text.isprintable() and not any(sign.isspace() or sign == "+" for sign in text)
