"""The form of API keys: `igs_live_<8 id>_<32 secret><6 checksum>`, all base62.

The id finds the key, only an HMAC of the whole key is stored, and the CRC-32 lets a scanner (or a typing error) be
recognised without asking anyone. Nothing here does I/O.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

from igstats_kit.errors import DomainError, Reason

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
# For secret scanners: whoever finds this in a public place should tell us.
SCANNING_PATTERN = r"igs_(live|test)_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}"

_ID_LENGTH = 8
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
_FORM = re.compile(r"(igs_(?:live|test)_([0-9A-Za-z]{8})_[0-9A-Za-z]{32})([0-9A-Za-z]{6})")


@dataclass(frozen=True)
class ApiKey:
    """A well-formed key. Whether it is anyone's is for the store to say."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        """The id only: a key must not reach a log by accident."""
        return f"ApiKey({self.key_id})"


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def checksum(stem: str) -> str:
    """CRC-32 of everything before the checksum, as six base62 digits."""
    return _base62(zlib.crc32(stem.encode()), _CHECKSUM_LENGTH)


def make() -> ApiKey:
    """A new key of 190 random bits."""
    key_id = _random(_ID_LENGTH)
    stem = f"igs_live_{key_id}_{_random(_SECRET_LENGTH)}"
    return ApiKey(key_id, stem + checksum(stem))


def parse(text: str) -> ApiKey:
    """Reads a key.

    Raises:
        DomainError: API_KEY_MALFORMED: cut, mistyped, or not a key at all.
    """
    found = _FORM.fullmatch(text)
    if found is None or checksum(found[1]) != found[3]:
        raise DomainError(Reason.API_KEY_MALFORMED)
    return ApiKey(found[2], text)


class Pepper:
    """Hashes keys with a secret that is not in the database."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def digest(self, key: ApiKey) -> bytes:
        """What is stored of a key. The secret is long and random, so a slow hash would add nothing."""
        return hmac.digest(self._secret, key.text.encode(), hashlib.sha256)

    def fits(self, key: ApiKey, digest: bytes) -> bool:
        """Whether `digest` is of this key, in constant time."""
        return hmac.compare_digest(self.digest(key), digest)
