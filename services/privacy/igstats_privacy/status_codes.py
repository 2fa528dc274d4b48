"""Status codes: what opens the public page of a request. Unguessable, alphanumeric, computed, never stored."""

import hashlib
import hmac

_PREFIX = "req_"
_ID_LETTERS = 26
_MAC_LETTERS = 26
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class StatusCodes:
    """Makes and reads status codes with one key: the request's own id and 130 bits that only the key can make."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"igstats status codes", hashlib.sha256)

    def of(self, request_id: str) -> str:
        """The status code of a request."""
        return request_id.removeprefix(_PREFIX) + self._proof(request_id)

    def read(self, code: str) -> str | None:
        """The request that a status code opens; None when the code is not one of ours."""
        text = code.strip().lower()
        request_id = _PREFIX + text[:_ID_LETTERS]
        known = len(text) == _ID_LETTERS + _MAC_LETTERS and text.isascii()
        return request_id if known and hmac.compare_digest(text[_ID_LETTERS:], self._proof(request_id)) else None

    def _proof(self, request_id: str) -> str:
        number = int.from_bytes(hmac.digest(self._key, request_id.encode(), hashlib.sha256), "big")
        return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(_MAC_LETTERS))
