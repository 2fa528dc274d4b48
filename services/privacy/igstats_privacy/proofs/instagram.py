"""Instagram Login by HTTP: an address to send persons to, a code for a token, a token for one look at the profile.

https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from igstats_kit.errors import DomainError, Reason
from yarl import URL

from igstats_privacy.proofs.errors import not_available
from igstats_privacy.proofs.rules import Profile

_SCOPE = "instagram_business_basic"
_FIELDS = "id,user_id,username"
_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_BODY_LIMIT = 64 * 1024
_LOOKS = 3  # at the profile: reading it again does no harm, and the code is used up


@dataclass(frozen=True)
class LoginApp:
    """Our app at Instagram, and where Instagram is."""

    app_id: str
    secret: str = field(repr=False)
    redirect_uri: str
    authorize_url: str
    token_url: str
    graph_url: str


class NoLogin:
    """Where no app is set up: this proof is not on offer, and says so."""

    def authorize_url(self, state: str) -> str:  # noqa: ARG002 - the seam's
        """Refuses.

        Raises:
            DomainError: PROOF_NOT_AVAILABLE.
        """
        raise not_available()

    async def profile(self, code: str) -> Profile:  # noqa: ARG002 - the seam's
        """Refuses.

        Raises:
            DomainError: PROOF_NOT_AVAILABLE.
        """
        raise not_available()


class InstagramLogin:
    """Calls Instagram. Neither code nor token leaves this object but to Instagram's hosts; no redirect is followed."""

    def __init__(self, session: aiohttp.ClientSession, app: LoginApp) -> None:
        self._session = session
        self._app = app

    def authorize_url(self, state: str) -> str:
        """Where the person signs in and consents."""
        asked = {"client_id": self._app.app_id, "redirect_uri": self._app.redirect_uri, "response_type": "code"}
        return str(URL(self._app.authorize_url).update_query(asked | {"scope": _SCOPE, "state": state}))

    async def profile(self, code: str) -> Profile:
        """Who signed in. The token lives as long as this call.

        Raises:
            DomainError: LOGIN_STATE_INVALID when Instagram refuses the code, INSTAGRAM_UNAVAILABLE.
        """
        token = _text(await self._exchange(code), "access_token")
        seen = await self._look(token)
        return Profile(_text(seen, "user_id"), _text(seen, "username"), self._app.app_id, _text(seen, "id"))

    async def _exchange(self, code: str) -> Mapping[str, Any]:
        form = {
            "client_id": self._app.app_id,
            "client_secret": self._app.secret,
            "grant_type": "authorization_code",
            "redirect_uri": self._app.redirect_uri,
            "code": code.removesuffix("#_"),  # Instagram appends it to the address; browsers may hand it on
        }
        found = await self._call("POST", self._app.token_url, data=form)
        wrapped = found.get("data")  # documented so; seen bare
        return wrapped[0] if isinstance(wrapped, list) and wrapped and isinstance(wrapped[0], dict) else found

    async def _look(self, token: str) -> Mapping[str, Any]:
        address = str(URL(self._app.graph_url) / "me")
        for _ in range(_LOOKS - 1):
            try:
                return await self._call("GET", address, params={"fields": _FIELDS, "access_token": token})
            except DomainError as error:
                if error.reason is not Reason.INSTAGRAM_UNAVAILABLE:
                    raise
        return await self._call("GET", address, params={"fields": _FIELDS, "access_token": token})

    async def _call(
        self, method: str, url: str, *, data: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """One exchange. Nothing that an error says is passed on: addresses and forms hold secrets."""
        try:
            sent = self._session.request(method, url, data=data, params=params, allow_redirects=False)
            async with sent as response:
                status, body = response.status, await _limited(response)
        except (aiohttp.ClientError, TimeoutError):
            raise DomainError(Reason.INSTAGRAM_UNAVAILABLE) from None
        if status >= _SERVER_ERROR:
            raise DomainError(Reason.INSTAGRAM_UNAVAILABLE)
        if status >= _CLIENT_ERROR:
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        return _parsed(body)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, however many pieces it comes in; an endless one is none."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _BODY_LIMIT:
            raise DomainError(Reason.INSTAGRAM_UNAVAILABLE)
    return bytes(body)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DomainError(Reason.INSTAGRAM_UNAVAILABLE)
    return found


def _text(found: Mapping[str, Any], name: str) -> str:
    """A field as text, ids as numbers included; an answer without it is none."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value):
        raise DomainError(Reason.INSTAGRAM_UNAVAILABLE)
    return str(value)
