"""Makes codes and states of sign-ins, and the digests by which they are kept."""

import hashlib
import hmac
import secrets

DIGITS = 8
_STATE_BYTES = 32


class Codes:
    """Codes under one key: whoever reads the database learns nothing from eight digits' digest."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"igstats proof codes", hashlib.sha256)

    @staticmethod
    def new() -> str:
        """A random code."""
        return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"

    @staticmethod
    def new_state() -> str:
        """A random state for a sign-in."""
        return secrets.token_urlsafe(_STATE_BYTES)

    def of_code(self, request_id: str, channel: bytes, code: str) -> bytes:
        """The digest of a code, good for one request and one channel; blanks do not count."""
        return self._of("code", request_id, channel.hex(), code.replace(" ", ""))

    def of_state(self, state: str) -> bytes:
        """The digest of a sign-in's state."""
        return self._of("state", state)

    def _of(self, *parts: str) -> bytes:
        digests = (hashlib.sha256(part.encode()).digest() for part in parts)
        return hmac.digest(self._key, b"".join(digests), hashlib.sha256)
