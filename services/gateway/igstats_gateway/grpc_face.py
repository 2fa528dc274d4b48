"""The public gRPC API: every method of the route table behind the same door, as bytes.

To gRPC every method takes a stream, of which one message is read: for a method that takes one message gRPC waits by
itself, for ever, and lets nobody else into its place.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import unquote

import grpc
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors import gpc
from igstats_kit.log import get_logger
from igstats_kit.status import DETAILS, answered, code_of, to_status

from igstats_gateway.door import Door
from igstats_gateway.limits import fields
from igstats_gateway.model import Call, Client
from igstats_gateway.relay import Metadata, Order, Upstream, passed_on
from igstats_gateway.routes import Route

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

RECEIVE_SECONDS = 10.0

_log = get_logger()


def client_of(peer: str, user_agent: str) -> Client:
    """Where a call came from; `peer` is gRPC's, for example ipv4:192.0.2.1:5000 or ipv6:%5B::1%5D:5000."""
    _, _, address = peer.partition(":")
    return Client(unquote(address).rpartition(":")[0].strip("[]"), user_agent)


def _ending(error: BaseException) -> tuple[grpc.StatusCode, str, str, Metadata]:
    """Code, reason, text and trailing metadata of a call that failed; an upstream's own answer stays as it is."""
    if isinstance(error, grpc.aio.AioRpcError) and (known := answered(error)):
        return error.code(), known.reason, error.details() or "", tuple(error.trailing_metadata() or ())
    if not isinstance(error, DomainError):
        error = DomainError(Reason.INTERNAL)
    details = (DETAILS, to_status(error).SerializeToString())
    return code_of(error), error.reason, error.public.text, (details,)


class PublicMethods(grpc.GenericRpcHandler):
    """Handles whatever is called: known methods are let in and passed on, others refused, all of them metered."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        door: Door,
        upstreams: Mapping[str, Upstream],
        *,
        unary: float,
        stream: float,
        receive: float = RECEIVE_SECONDS,
    ) -> None:
        self._routes = routes
        self._door = door
        self._upstreams = upstreams
        self._unary_seconds = unary
        self._stream_seconds = stream
        self._receive_seconds = receive

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """The handler of a method. It takes and gives bytes."""
        route = self._routes.get(str(handler_call_details.method))
        if route is None:
            return grpc.stream_stream_rpc_method_handler(self._unknown)
        if route.streaming:
            return grpc.stream_stream_rpc_method_handler(self._streaming(route))
        return grpc.stream_unary_rpc_method_handler(self._unary(route))

    def _unary(self, route: Route) -> Any:  # noqa: ANN401 - gRPC's stubs know only synchronous behaviours
        async def answer(bodies: AsyncIterable[bytes], context: Context) -> bytes:
            async with self._metered(context) as call:
                body = await self._body(bodies)
                order = await self._order(route, body, call, context, self._unary_seconds)
                reply = await self._upstreams[route.upstream].unary(order)
                context.set_trailing_metadata(reply.trailing)
                return reply.body

        return answer

    def _streaming(self, route: Route) -> Any:  # noqa: ANN401 - same
        async def answer(bodies: AsyncIterable[bytes], context: Context) -> AsyncIterator[bytes]:
            async with self._metered(context) as call:
                body = await self._body(bodies)
                order = await self._order(route, body, call, context, self._stream_seconds)
                async with aclosing(self._upstreams[route.upstream].stream(order)) as parts:
                    async for part in parts:
                        yield part

        return answer

    async def _body(self, bodies: AsyncIterable[bytes]) -> bytes:
        """The request's only message.

        Raises:
            DomainError: REQUEST_INCOMPLETE: it did not come in time, or not at all.
        """
        try:
            async with asyncio.timeout(self._receive_seconds):
                async for body in bodies:
                    return body
        except TimeoutError as error:
            raise DomainError(Reason.REQUEST_INCOMPLETE) from error
        raise DomainError(Reason.REQUEST_INCOMPLETE)

    async def _unknown(self, _bodies: object, context: Context) -> None:
        async with self._metered(context):
            raise DomainError(Reason.METHOD_UNKNOWN)

    async def _order(self, route: Route, body: bytes, call: Call, context: Context, most: float) -> Order:
        """Lets the call in. Its id and what is left of the allowance go out first, with errors too."""
        metadata = _received(context)
        call.method = route.method
        try:
            await self._door.admit(call, route.rule, dict(metadata).get("authorization", ""))
        finally:
            known = fields(call.spending) if call.spending else {}
            shown = (("gpc", "honoured"),) if call.gpc else ()
            await context.send_initial_metadata((("request-id", call.call_id), *known.items(), *shown))
        left = context.time_remaining()
        return Order(route.method, body, call, most if left is None else min(left, most), passed_on(metadata))

    @asynccontextmanager
    async def _metered(self, context: Context) -> AsyncIterator[Call]:
        received = _received(context)
        gpc.hear(signal=gpc.is_signal(received))
        metadata = dict(received)
        call = self._door.open("grpc", client_of(context.peer(), str(metadata.get("user-agent", ""))))
        try:
            yield call
        except (asyncio.CancelledError, GeneratorExit):
            late = context.time_remaining() == 0
            call.fail((grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED).value[0], "")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a typed answer
            await self._abort(call, context, error)
        finally:
            self._door.close(call)

    async def _abort(self, call: Call, context: Context, error: Exception) -> None:
        code, reason, text, trailing = _ending(error)
        if reason == Reason.INTERNAL:
            _log.error("call failed", method=call.method, call_id=call.call_id, exc_info=error)
        call.fail(code.value[0], reason)
        await context.abort(code, text, trailing)


def _received(context: Context) -> tuple[tuple[str, Any], ...]:
    return tuple((str(key), value) for key, value in context.invocation_metadata() or ())
