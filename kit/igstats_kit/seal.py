"""Encryption at rest: AES-256-GCM under a service's own key, bound to the place where the value is stored."""

import hmac
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class SealError(Exception):
    """The sealed bytes are not ours, were changed, or were moved from another place."""


class Sealer:
    """Seals and opens values. `context` names the place, for example "connections.token:<id>"."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a seal key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self._key = key

    def derived(self, purpose: str) -> bytes:
        """A key of its own for another purpose; from it nobody comes back to this one."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypts `plain`; the same value never looks the same twice."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def seal_all(self, plains: Sequence[bytes], context: str) -> list[bytes]:
        """Encrypts many values for one context as `seal` does, with one system call for all their random bytes."""
        nonces, place = secrets.token_bytes(NONCE_BYTES * len(plains)), context.encode()
        found = []
        for number, plain in enumerate(plains):
            nonce = nonces[number * NONCE_BYTES : (number + 1) * NONCE_BYTES]
            found.append(nonce + self._cipher.encrypt(nonce, plain, place))
        return found

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypts what `seal` made for the same context.

        Raises:
            SealError: Key, bytes or context do not fit.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealError("a sealed value does not open") from error
