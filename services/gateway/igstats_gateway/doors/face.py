"""What the doors for other machines have in common over HTTP: bounded bodies, limits by address, typed failures."""

from collections.abc import Awaitable, Callable

import grpc
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.status import from_rpc_error
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from igstats_gateway.limits import AddressLimits, require_granted
from igstats_gateway.telemetry import PUBLIC_CALLS

MOST_BYTES = 128 * 1024

Answer = Callable[[Request, bytes], Awaitable[Response]]
"""Answers a request whose body has these bytes."""
Refuse = Callable[[DomainError, str], Response]
"""Says in the words of a protocol why a request is refused; also gets the path."""

_log = get_logger()


class Face:
    """Makes the routes of one protocol."""

    def __init__(self, door: str, limits: AddressLimits, refuse: Refuse) -> None:
        self._door = door
        self._limits = limits
        self._refuse = refuse

    def route(self, verb: str, path: str, answer: Answer) -> Route:
        """A path with its verb."""

        async def endpoint(request: Request) -> Response:
            reason = ""
            try:
                require_granted(self._limits.spend(request.client.host if request.client else ""))
                response = await answer(request, await _body(request))
            except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer of the protocol
                refused = _typed(error, self._door)
                reason, response = refused.reason, self._refuse(refused, path)
            PUBLIC_CALLS.labels(method=f"/doors/{self._door}", protocol="http", reason=reason).inc()
            response.headers.setdefault("cache-control", "no-store")
            return response

        return Route(path, endpoint, methods=[verb])


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise DomainError(Reason.MESSAGE_TOO_LARGE, limit_bytes=str(MOST_BYTES))
    return bytes(body)


def _typed(error: Exception, door: str) -> DomainError:
    known = from_rpc_error(error) if isinstance(error, grpc.aio.AioRpcError) else error
    if isinstance(known, DomainError) and known.reason is not Reason.INTERNAL:
        return known
    _log.error("door failed", method=f"/doors/{door}", exc_info=error)
    return DomainError(Reason.INTERNAL)
