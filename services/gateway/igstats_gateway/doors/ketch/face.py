"""The endpoint that a tenant configures at Ketch."""

from collections.abc import Sequence

from igstats_kit.errors import DomainError, Reason
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from igstats_gateway import problem
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.face import Face
from igstats_gateway.doors.ketch import request as forwarding
from igstats_gateway.doors.ketch.status import API_VERSION, DOOR, Words
from igstats_gateway.doors.partners import Ketch, by_token
from igstats_gateway.doors.reading import invalid
from igstats_gateway.limits import AddressLimits

ENDPOINT = "/ketch/dsr"
_FORBIDDEN = 403
_INTERNAL = "internal"
_STATUSES = {
    400: "invalid",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "invalid",
    422: "conflict",
    429: "unavailable",
    503: "unavailable",
    504: "timeout",
}


class KetchFace:
    """Serves Ketch."""

    def __init__(self, settings: Ketch, dealings: Dealings, words: Words, limits: AddressLimits) -> None:
        self._settings = settings
        self._dealings = dealings
        self._words = words
        self._face = Face(DOOR, limits, refusal)

    def routes(self) -> Sequence[BaseRoute]:
        """The path."""
        return [self._face.route("POST", ENDPOINT, self.forward)]

    async def forward(self, request: Request, body: bytes) -> Response:
        """Opens a request; the same uid again is the same request."""
        tenant = by_token(self._settings.tenants, request.headers.get("authorization", ""))
        if tenant is None:
            raise DomainError(Reason.AGENT_UNKNOWN)
        forwarded = forwarding.read(body, tenant.id, verifies=tenant.verifies)
        if not all(tenant.may_be_told_at(one.url) for one in forwarded.callbacks):
            raise invalid("callbacks", "must be https at a host that the tenant has registered")
        opened = await self._dealings.open(tenant.id, forwarded.uid, forwarded.wish, forwarded.callbacks)
        return JSONResponse(self._words.response(*opened))


def refusal(error: DomainError, _path: str) -> Response:
    """The error object of api/runtime/v1/Error.md. Whose request it was is not repeated: it may not be the caller's."""
    status = _FORBIDDEN if error.reason is Reason.AGENT_UNKNOWN else problem.status(error)
    broken = [f"{one.field} {one.description}" for one in error.violations]
    said = {
        "apiVersion": API_VERSION,
        "kind": "Error",
        "metadata": {},
        "error": {
            "code": status,
            "status": _STATUSES.get(status, _INTERNAL),
            "message": " ".join([error.public.text, *broken]),
        },
    }
    return JSONResponse(said, status, dict(problem.headers(error)))
