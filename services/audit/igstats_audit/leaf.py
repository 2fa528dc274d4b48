"""The leaf: the small fixed binary that the tree holds for an entry, pure.

Big-endian, 93 bytes: version (1 byte, always 1), kind (32 bytes of ASCII, filled with zeros), producer (16 bytes,
likewise), the producer's own sequence number (8 bytes, 0 when it does not number), time (4 bytes: whole minutes since
1970, UTC), commitment (32 bytes). The commitment hides the payload until its salt is shown: SHA-256 over the domain,
salt and payload.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

VERSION = 1
KIND_SIZE = 32
PRODUCER_SIZE = 16
SALT_SIZE = 32
DOMAIN = b"igstats/commitment/v1\n"

_DOMAIN = hashlib.sha256(DOMAIN)
_LAYOUT = struct.Struct(f">B{KIND_SIZE}s{PRODUCER_SIZE}sQI32s")
_NUMBERS = struct.Struct(">QI32s")  # the end of it, which differs from leaf to leaf
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_MINUTE = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MINUTE
_HASH_SIZE = hashlib.sha256().digest_size

SIZE = _LAYOUT.size


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf says in clear, and its commitment to the rest."""

    kind: str
    producer: str
    sequence: int
    minute: datetime
    commitment: bytes


def commitment(salt: bytes, payload: bytes) -> bytes:
    """Commits to a payload; without the salt nobody can try out payloads against it."""
    if len(salt) != SALT_SIZE:
        raise ValueError("a salt has 32 bytes")
    begun = _DOMAIN.copy()
    begun.update(salt + payload)
    return begun.digest()


def encode(leaf: Leaf) -> bytes:
    """Writes a leaf; its time loses the seconds."""
    return written(leaf.kind, leaf.producer, leaf.sequence, leaf.minute, leaf.commitment)


def written(kind: str, producer: str, sequence: int, moment: datetime, committed: bytes) -> bytes:
    """Writes the leaf of these values; its time loses the seconds.

    Raises:
        ValueError: A value does not fit.
    """
    minutes = (moment - _EPOCH) // _MINUTE
    if not (0 <= minutes <= _LAST_MINUTE and 0 <= sequence < 1 << 64 and len(committed) == _HASH_SIZE):
        raise ValueError("a number in the leaf is out of range, or its commitment is not 32 bytes")
    return _names(kind, producer) + _NUMBERS.pack(sequence, minutes, committed)


def decode(raw: bytes) -> Leaf:
    """Reads a leaf; raises ValueError on anything that encode would not have written."""
    if len(raw) != SIZE:
        raise ValueError(f"a leaf has {SIZE} bytes")
    version, kind, producer, sequence, minutes, committed = _LAYOUT.unpack(raw)
    if version != VERSION:
        raise ValueError("unknown version of leaf")
    if minutes > _LAST_MINUTE:
        raise ValueError("time beyond the calendar")
    leaf = Leaf(_text(kind), _text(producer), sequence, _EPOCH + minutes * _MINUTE, committed)
    if encode(leaf) != raw:
        raise ValueError("a name in the leaf is malformed")
    return leaf


@lru_cache(maxsize=1_024)
def _names(kind: str, producer: str) -> bytes:
    """The beginning of a leaf."""
    return bytes([VERSION]) + _name(kind, KIND_SIZE) + _name(producer, PRODUCER_SIZE)


def _name(text: str, size: int) -> bytes:
    raw = text.encode("ascii", "replace")
    if not text or not text.isascii() or not text.isprintable() or len(raw) > size:
        raise ValueError(f"a name in a leaf is 1 to {size} printable ASCII characters")
    return raw.ljust(size, b"\0")


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii")
