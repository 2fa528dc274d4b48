"""Keyed tokens: how tombstones and anchors name a person without holding the name."""

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Mapping

from igstats_kit.errors import DomainError, Reason

KEY_BYTES = 32


def _plain(value: str) -> str:
    return value.lower()


def _username(value: str) -> str:
    return value.removeprefix("@").lower()


def _email(value: str) -> str:
    local, _, domain = value.casefold().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return f"{local}@{domain}"


# Names of IdentifierKind without their prefix; a contract test keeps them equal.
_RULES: Mapping[str, Callable[[str], str]] = {
    "INSTAGRAM_USER_ID": _plain,
    "USERNAME": _username,
    "EMAIL": _email,
    "ACCOUNT_ID": _plain,
    "CONTACT_ID": _plain,
    "EMAIL_SHA256": _plain,
    "APP_USER_ID": _plain,
}
KINDS = frozenset(_RULES)


def normalise(kind: str, value: str) -> str:
    """Brings an identifier into the one spelling that is compared and hashed.

    Raises:
        DomainError: SUBJECT_UNIDENTIFIED; the value is empty, and an empty name would be everybody's.
        ValueError: No such kind.
    """
    if kind not in _RULES:
        raise ValueError(f"no identifier kind {kind!r}")
    cleaned = _RULES[kind](unicodedata.normalize("NFKC", value).strip())
    if not cleaned.strip("@"):
        raise DomainError(Reason.SUBJECT_UNIDENTIFIED)
    return cleaned


def email_sha256(address: str) -> str:
    """What others send instead of a mail address (IDENTIFIER_KIND_EMAIL_SHA256): SHA-256 of its one spelling, in hex.

    Raises:
        DomainError: SUBJECT_UNIDENTIFIED: the address is empty.
    """
    return hashlib.sha256(normalise("EMAIL", address).encode()).hexdigest()


class Tokens:
    """Makes tokens with the suppression key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the suppression key needs {KEY_BYTES} bytes or more")
        self._key = key

    def of(self, kind: str, value: str) -> bytes:
        """The token of one identifier: HMAC-SHA256 over "kind:normalised value"."""
        return hmac.digest(self._key, f"{kind}:{normalise(kind, value)}".encode(), "sha256")
