"""Instagram Login as an app sees it: the consent page, codes that work once, tokens that open one profile.

Shapes of https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login. An app that is not
registered, another redirect address, a used code: each is refused in Instagram's words.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from yarl import URL

from igstats_dev.instagram.people import People, Person

CODE_LIFE = timedelta(hours=1)
TOKEN_LIFE = timedelta(hours=1)
_SCOPES = "instagram_business_basic"
_ASKED = ("client_id", "redirect_uri", "response_type", "scope", "state")


@dataclass(frozen=True)
class App:
    """An app that is registered with Instagram."""

    client_id: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> "App":
        """Reads "id:secret"."""
        client_id, _, secret = text.partition(":")
        if not (client_id and secret):
            raise ValueError("an app has the form id:secret")
        return cls(client_id, secret)


class ExchangeRefusedError(Exception):
    """The consent page or the exchange of a code ends with an error."""

    def __init__(self, message: str) -> None:
        self.body = {"error_type": "OAuthException", "code": 400, "error_message": message}
        super().__init__(message)


@dataclass(frozen=True)
class _Grant:
    """What a code stands for."""

    person: Person
    client_id: str
    redirect_uri: str
    expires_at: datetime


class Consent:
    """Codes and tokens that persons have given to apps."""

    def __init__(self, people: People, apps: Iterable[App]) -> None:
        self._people = people
        self._apps = {app.client_id: app for app in apps}
        self._codes: dict[str, _Grant] = {}
        self._tokens: dict[str, tuple[Person, datetime]] = {}

    def page(self, query: Mapping[str, str]) -> str:
        """The consent page: one button for each profile, and one to decline.

        Raises:
            ExchangeRefusedError: The app or its wish is not valid.
        """
        self._require_valid(query)
        kept = "".join(f'<input type="hidden" name="{name}" value="{escape(query.get(name, ""))}">' for name in _ASKED)
        choices = "".join(
            f'<button name="username" value="{person.username}">{person.username}</button>'
            for person in self._people.all
        )
        decline = '<button name="username" value="">Not now</button>'
        return f'<!doctype html><title>Instagram (synthetic)</title><form method="post">{kept}{choices}{decline}</form>'

    def answer(self, form: Mapping[str, str], now: datetime) -> str:
        """Where the browser goes after a choice: back to the app with a code, or with the word that nothing is given.

        Raises:
            ExchangeRefusedError: The app or its wish is not valid.
        """
        self._require_valid(form)
        back = URL(form["redirect_uri"])
        person = next((one for one in self._people.all if one.username == form.get("username")), None)
        if person is None:
            refused = {"error": "access_denied", "error_reason": "user_denied", "error_description": "The user denied"}
            return str(back.update_query(refused | {"state": form.get("state", "")}))
        code = f"AQ{secrets.token_urlsafe(60)}"
        self._codes[code] = _Grant(person, form["client_id"], form["redirect_uri"], now + CODE_LIFE)
        return (
            f"{back.update_query(code=code, state=form.get('state', ''))}#_"  # Instagram appends it, nobody knows why
        )

    def exchange(self, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """A token for a code; the code is used up, whatever comes of it.

        Raises:
            ExchangeRefusedError: App, secret, redirect address or code do not fit.
        """
        app = self._apps.get(form.get("client_id", ""))
        if app is None or not hmac.compare_digest(app.secret.encode(), form.get("client_secret", "").encode()):
            raise ExchangeRefusedError("Error validating client secret.")
        if form.get("grant_type") != "authorization_code":
            raise ExchangeRefusedError("Invalid grant_type")
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None or grant.expires_at <= now or grant.client_id != app.client_id:
            raise ExchangeRefusedError("Invalid authorization code")
        if grant.redirect_uri != form.get("redirect_uri"):
            raise ExchangeRefusedError(
                "Error validating verification code. Please make sure your redirect_uri is identical"
            )
        token = f"IGlogin-{secrets.token_urlsafe(40)}"
        self._tokens[token] = (grant.person, now + TOKEN_LIFE)
        return {"access_token": token, "user_id": int(grant.person.scoped_id), "permissions": [_SCOPES]}

    def of_token(self, token: str, now: datetime) -> Person | None:
        """The profile that a token of a sign-in opens."""
        person, expires_at = self._tokens.get(token, (None, now))
        return person if expires_at > now else None

    def _require_valid(self, query: Mapping[str, str]) -> None:
        if query.get("client_id", "") not in self._apps:
            raise ExchangeRefusedError("Invalid platform app")
        if query.get("response_type") != "code" or _SCOPES not in query.get("scope", "").split(","):
            raise ExchangeRefusedError("Invalid scope or response_type")
        if URL(query.get("redirect_uri", "")).scheme not in ("http", "https"):
            raise ExchangeRefusedError("Invalid redirect_uri")
