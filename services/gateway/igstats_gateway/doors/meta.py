"""Meta's two callbacks: a person asks Meta to have their data deleted, or takes our app's permission away.

https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback. The answer to a
deletion is valid JSON with a page for the person; one sender's claim that Meta wants unquoted keys is not followed.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.front import Front, form
from igstats_gateway.doors.model import Identifier, Kind, Right, Wish
from igstats_gateway.doors.paths import status_path
from igstats_gateway.doors.signed_request import MetaApp, SignedRequest, SignedRequestError, read

DELETION_PATH = "/meta/deletion"
DEAUTHORIZE_PATH = "/meta/deauthorize"
PROOF = "Meta signed request"
_FIELD = "signed_request"

_log = get_logger()


class Departures(Protocol):
    """Ends what we may do for a person at Instagram."""

    async def depart(self, person: Identifier) -> int:
        """Ends the connections of a person's profile; their number.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        ...


class MetaDoor:
    """Takes the callbacks of all our apps."""

    def __init__(self, front: Front, desk: Desk, stats: Departures, apps: Sequence[MetaApp], public_url: str) -> None:
        self._front = front
        self._desk = desk
        self._stats = stats
        self._apps = apps
        self._public_url = public_url.rstrip("/")

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        return [
            self._front.callback(DELETION_PATH, self.deletion),
            self._front.callback(DEAUTHORIZE_PATH, self.deauthorize),
        ]

    async def deletion(self, request: Request) -> Response:
        """Opens an erasure, once for each time that the person asked, and says where it can be followed."""
        opened = await self._desk.open(wish(await self._signed(request)))
        url = f"{self._public_url}{status_path(opened.status_code)}"
        return _json({"url": url, "confirmation_code": opened.status_code})

    async def deauthorize(self, request: Request) -> Response:
        """Ends the connections of the profile and destroys their tokens; doing it again changes nothing."""
        signed = await self._signed(request)
        ended = await self._stats.depart(person(signed))
        _log.info("permission taken away", count=ended)
        return _json({})

    async def _signed(self, request: Request) -> SignedRequest:
        try:
            return read((await form(request)).get(_FIELD, ""), self._apps)
        except SignedRequestError as error:
            raise DomainError(Reason.SIGNED_REQUEST_INVALID) from error


def wish(signed: SignedRequest) -> Wish:
    """The erasure that a signed request asks for; the app whose secret fitted stands in the proof."""
    said = f"{signed.person}:{signed.issued_at}"
    return Wish(
        door="meta",
        idempotency_key=hashlib.sha256(said.encode()).hexdigest(),
        right=Right.ERASURE,
        identifiers=(person(signed),),
        identity_proof=f"{PROOF}, app {signed.app_id}",
    )


def person(signed: SignedRequest) -> Identifier:
    """Whom it is about."""
    return Identifier(Kind.APP_USER_ID, signed.person)


def _json(body: dict[str, str]) -> Response:
    return Response(json.dumps(body), headers={"cache-control": "no-store"}, media_type="application/json")
