"""Meta's `signed_request`: "<signature>.<payload>", both base64url, HMAC-SHA256 over the encoded payload. Pure.

https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback. Which of our apps
sent it is not said in it: the secret that fits tells. Apps that use Instagram Login sign with the Instagram app secret.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_PART = re.compile(r"[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[0-9]{1,32}")
_ALGORITHM = "hmac-sha256"
_LONGEST = 8192
_LAST_SECOND = 2**40  # far beyond every date that is meant


class SignedRequestError(Exception):
    """It is not one, nobody of ours signed it, or it lacks what we need."""


@dataclass(frozen=True)
class MetaApp:
    """One of our apps at Meta, with the secret that its callbacks are signed with."""

    app_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class SignedRequest:
    """What Meta states about one person of one app."""

    app_id: str
    """The app whose secret fits."""
    user_id: str = field(repr=False)
    issued_at: int
    """Seconds since 1970."""

    @property
    def person(self) -> str:
        """The person as APP_USER_ID names her."""
        return f"{self.app_id}:{self.user_id}"


def apps(text: str) -> tuple[MetaApp, ...]:
    """Apps from lines "app id:secret"; an app may stand on more than one line while its secret changes.

    Raises:
        ValueError: A line has another form.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        app_id, _, secret = line.strip().partition(":")
        if not (_USER_ID.fullmatch(app_id) and secret):
            raise ValueError(f"line {number} of the Meta apps is not app id:secret")
        found.append(MetaApp(app_id, secret.encode()))
    return tuple(found)


def read(text: str, ours: Sequence[MetaApp]) -> SignedRequest:
    """Verifies and reads a signed request.

    Raises:
        SignedRequestError: Nothing in it may be believed.
    """
    app, payload = verified(text, ours)
    return SignedRequest(app.app_id, _user_id(payload.get("user_id")), _seconds(payload.get("issued_at")))


def verified(text: str, ours: Sequence[MetaApp]) -> tuple[MetaApp, dict[str, Any]]:
    """The app that signed, and the payload that it signed.

    Raises:
        SignedRequestError: The form, the signature or the algorithm is not right.
    """
    if len(text) > _LONGEST or not text.isascii():
        raise SignedRequestError
    signature, dot, encoded = text.partition(".")
    if not dot:
        raise SignedRequestError
    app = _signer(_decoded(signature), encoded, ours)
    payload = _payload(encoded)
    if str(payload.get("algorithm", "")).lower() != _ALGORITHM:
        raise SignedRequestError
    return app, payload


def _signer(signature: bytes, encoded: str, ours: Sequence[MetaApp]) -> MetaApp:
    """The app whose secret fits. Every pair is tried, so that the time tells nothing about which one it was."""
    fitting = [
        app
        for app in ours
        if hmac.compare_digest(hmac.digest(app.secret, encoded.encode("ascii"), hashlib.sha256), signature)
    ]
    if not fitting:
        raise SignedRequestError
    return fitting[0]


def _payload(encoded: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(encoded))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SignedRequestError
    return found


def _decoded(part: str) -> bytes:
    """base64url; senders may pad it."""
    bare = part.rstrip("=")
    if not _PART.fullmatch(bare):
        raise SignedRequestError
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise SignedRequestError from error


def _user_id(value: object) -> str:
    """Documented as text; libraries have seen a number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not _USER_ID.fullmatch(str(value)):
        raise SignedRequestError
    return str(value)


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _LAST_SECOND:
        raise SignedRequestError
    return value
