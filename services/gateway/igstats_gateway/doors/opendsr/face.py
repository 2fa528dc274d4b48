"""The endpoints of one version over HTTP."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from igstats_gateway import problem
from igstats_gateway.doors.dealing import Callback, Dealing
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.face import Face
from igstats_gateway.doors.opendsr import request as asking
from igstats_gateway.doors.opendsr.names import CERTIFICATE_PATH
from igstats_gateway.doors.opendsr.status import Words, encoded
from igstats_gateway.doors.partners import Controller, Opendsr, by_token
from igstats_gateway.doors.reading import invalid
from igstats_gateway.limits import AddressLimits

_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_STATUSES = {
    Reason.AGENT_UNKNOWN: _UNAUTHORIZED,
    Reason.IDEMPOTENCY_KEY_REUSED: _BAD_REQUEST,
    Reason.SUBJECT_UNIDENTIFIED: _BAD_REQUEST,
}


class OpendsrFace:
    """Serves controllers."""

    def __init__(
        self, settings: Opendsr, words: Words, dealings: Dealings, public_url: str, limits: AddressLimits, clock: Clock
    ) -> None:
        self._settings = settings
        self._words = words
        self._dealings = dealings
        self._certificate_url = public_url.rstrip("/") + CERTIFICATE_PATH
        self._clock = clock
        self._face = Face(words.names.door, limits, refusal)

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        route, root = self._face.route, self._words.names.root
        requests = f"{root}/{self._words.names.requests}"
        one = requests + "/{subject_request_id}"
        return [
            route("GET", f"{root}/discovery", self.discover),
            route("POST", requests, self.create),
            route("GET", one, self.status),
            route("DELETE", one, self.cancel),
        ]

    async def discover(self, _request: Request, _body: bytes) -> Response:
        """What is supported (section 6)."""
        identities = [{"identity_type": kind, "identity_format": format_} for kind, format_ in asking.IDENTITIES]
        said = {
            "api_version": self._words.names.api_version,
            "supported_identities": identities,
            "supported_subject_request_types": sorted(asking.RIGHTS),
            "processor_certificate": self._certificate_url,
        }
        return self._answer(encoded(said))

    async def create(self, request: Request, body: bytes) -> Response:
        """A new request (section 7)."""
        controller = self._caller(request)
        asked = asking.read(
            body, self._words.names, self._settings.domain, controller.domain, verifies=controller.verifies
        )
        callbacks = [_callback(controller, url) for url in asked.callbacks]
        opened = await self._dealings.open(controller.id, asked.subject_request_id, asked.wish, callbacks)
        said = self._words.created(*opened, base64.b64encode(body).decode())
        return self._answer(self._words.signed_inside(said), 201)

    async def status(self, request: Request, _body: bytes) -> Response:
        """Where a request stands (section 8)."""
        dealing = await self._own(request)
        return self._answer(encoded(self._words.status(dealing, await self._dealings.status(dealing))))

    async def cancel(self, request: Request, _body: bytes) -> Response:
        """Takes a request back while it is pending (section 9)."""
        dealing = await self._own(request)
        await self._dealings.withdraw(dealing)
        return self._answer(self._words.signed_inside(self._words.cancelled(dealing, self._clock.now())), 202)

    def _answer(self, body: bytes, status: int = 200) -> Response:
        return Response(body, status, self._words.headers(body), "application/json")

    def _caller(self, request: Request) -> Controller:
        found = by_token(self._settings.controllers, request.headers.get("authorization", ""))
        if found is None:
            raise DomainError(Reason.AGENT_UNKNOWN)
        return found

    async def _own(self, request: Request) -> Dealing:
        controller, name = self._caller(request), request.path_params["subject_request_id"]
        dealing = await self._dealings.find(self._words.names.door, controller.id, name)
        if dealing is None:
            raise DomainError(Reason.REQUEST_NOT_FOUND)
        return dealing


def _callback(controller: Controller, url: str) -> Callback:
    if not controller.may_be_told_at(url):
        raise invalid("status_callback_urls", "must be https at a host that the controller has registered")
    return Callback(url)


def refusal(error: DomainError, _path: str) -> Response:
    """The error object of section 7.6."""
    status = _STATUSES.get(error.reason, problem.status(error))
    detail: Mapping[str, Any] = {"domain": "igstats", "reason": str(error.reason)}
    broken = [f"{one.field} {one.description}" for one in error.violations] or [error.public.text]
    said = {"code": status, "message": error.public.text, "errors": [{**detail, "message": one} for one in broken]}
    headers = dict(problem.headers(error))
    if status == _UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": said}, status, headers)
