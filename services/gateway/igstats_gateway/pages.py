"""Pages that need no key: liveness, where to report a weakness, what each error means."""

from collections.abc import Sequence
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import CATALOGUE, Reason
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from igstats_gateway import problem
from igstats_gateway.messages import encode

_YEAR = timedelta(days=365)


class Pages:
    """The pages."""

    def __init__(self, security_contact: str, clock: Clock) -> None:
        self._security_contact = security_contact
        self._clock = clock

    def routes(self) -> Sequence[BaseRoute]:
        """Their paths."""
        return [
            Route("/healthz", self.health),
            Route("/.well-known/security.txt", self.security),
            Route(problem.ERRORS_PATH, self.errors),
            Route(f"{problem.ERRORS_PATH}/{{reason}}", self.error),
        ]

    async def health(self, _request: Request) -> Response:
        """The port is open only while we serve."""
        return PlainTextResponse("ok\n")

    async def security(self, _request: Request) -> Response:
        """RFC 9116."""
        expires = (self._clock.now() + _YEAR).strftime("%Y-%m-%dT00:00:00Z")
        return PlainTextResponse(f"Contact: {self._security_contact}\nExpires: {expires}\nPreferred-Languages: en\n")

    async def errors(self, _request: Request) -> Response:
        """All reasons."""
        return Response(encode({"errors": problem.catalogue()}), media_type="application/json")

    async def error(self, request: Request) -> Response:
        """One reason: where the `type` of a problem leads."""
        name = request.path_params["reason"]
        if name not in Reason.__members__:
            return PlainTextResponse("no such reason\n", 404)
        return Response(encode(problem.entry(Reason(name), CATALOGUE[Reason(name)])), media_type="application/json")
