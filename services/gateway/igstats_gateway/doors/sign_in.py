"""Binds a sign-in at Instagram to the browser that began it (RFC 6749 section 10.12, RFC 9700 section 4.7).

Without it a stranger could begin a sign-in, send its address to somebody else, and have that person's consent prove a
request that the person has never seen. The one cookie of our pages holds an HMAC of the sign-in's state: nothing is
stored for it, and it tells nobody anything. Pure.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from starlette.responses import Response

from igstats_gateway.doors.paths import LOGIN_PATH

COOKIE = "__Secure-igstats-login"
LIFE = timedelta(minutes=15)
"""As long as privacy takes the state (`proofs/logins.py`)."""


class SignIns:
    """Marks the browser that begins a sign-in, and knows it when it comes back. The last one begun counts."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hmac.digest(pepper, b"igstats sign-in", hashlib.sha256)

    def begin(self, response: Response, authorize_url: str) -> None:
        """Gives the browser the cookie of the sign-in that this address leads to."""
        (state,) = parse_qs(urlsplit(authorize_url).query)["state"]
        self._set(response, self._mark(state), LIFE)

    def is_own(self, cookies: Mapping[str, str], state: str) -> bool:
        """Whether the browser with these cookies has begun the sign-in of this state, in constant time."""
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self._mark(state).encode())

    def end(self, response: Response) -> None:
        """Takes the cookie back."""
        self._set(response, "", timedelta(0))

    def _mark(self, state: str) -> str:
        return hmac.digest(self._key, state.encode(), hashlib.sha256).hex()

    @staticmethod
    def _set(response: Response, value: str, life: timedelta) -> None:
        """Lax, not strict: the browser comes back from another site, by a link."""
        response.set_cookie(
            COOKIE,
            value,
            max_age=int(life.total_seconds()),
            path=LOGIN_PATH,
            secure=True,
            httponly=True,
            samesite="lax",
        )
