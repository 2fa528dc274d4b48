"""The public HTTP/JSON API: the same methods behind the same door, and a few pages that need no key."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import grpc
from google.protobuf.message import Message
from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.log import get_logger
from igstats_kit.status import code_of, from_rpc_error
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from igstats_gateway import idempotency, problem, transcode
from igstats_gateway.door import Door
from igstats_gateway.downloads import Download, piece
from igstats_gateway.idempotency import Answer, Idempotency
from igstats_gateway.limits import fields
from igstats_gateway.messages import descriptor_of, encode
from igstats_gateway.model import Call, Client
from igstats_gateway.relay import Order, Upstream
from igstats_gateway.transcode import Binding, Match, Transcoder

MOST_BYTES = 1024 * 1024
_JSON = "application/json"
_LINES = "application/x-ndjson"
_TIMEOUT = "Request-Timeout"
_PASSED_ON = ("traceparent", "tracestate")

_log = get_logger()


class _TornError(Exception):
    """A file ended too early, and its status line is out already."""


class HttpFace:
    """An ASGI application for everything that is a method of the API."""

    def __init__(
        self,
        transcoder: Transcoder,
        door: Door,
        upstreams: Mapping[str, Upstream],
        once: Idempotency,
        *,
        unary: float,
        stream: float,
    ) -> None:
        self._transcoder = transcoder
        self._door = door
        self._upstreams = upstreams
        self._once = once
        self._unary_seconds = unary
        self._stream_seconds = stream

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, and meters it when the last byte is out."""
        request = Request(scope, receive)
        call = self._door.open("http", _client(request))
        try:
            response = await self._respond(call, request)
            await response(scope, receive, send)
        except _TornError:
            return  # without an end: the server closes the connection, and the client knows that the file is not whole
        except asyncio.CancelledError:
            call.fail(grpc.StatusCode.CANCELLED.value[0], "")
            raise
        finally:
            self._door.close(call)

    async def _respond(self, call: Call, request: Request) -> Response:
        try:
            return await self._called(call, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a typed answer
            known = _typed(call, error)
            return _response(call, _failed(call, known))

    async def _called(self, call: Call, request: Request) -> Response:
        match = self._transcoder.match(request.method, request.scope["raw_path"].decode("ascii"))
        call.method = match.route.method
        await self._door.admit(call, match.route.rule, request.headers.get("authorization", ""))
        message = transcode.request(match, request.url.query, await _body(request))
        key = request.headers.get(idempotency.HEADER) if match.binding.verb == "POST" else None
        if key is not None:
            _give_key(message, key)
        order = self._order(call, match, request, message)
        if match.route.download is not None:
            return await self._download(match.route.download, match, order)
        if match.route.streaming:
            return await self._stream(match, order)
        return await self._answer(match, order, key)

    def _order(self, call: Call, match: Match, request: Request, message: Message) -> Order:
        most = self._stream_seconds if match.route.streaming else self._unary_seconds
        metadata = tuple((name, request.headers[name]) for name in _PASSED_ON if name in request.headers)
        body = message.SerializeToString(deterministic=True)
        return Order(match.route.method, body, call, _seconds(request, most), metadata)

    async def _answer(self, match: Match, order: Order, key: str | None) -> Response:
        if key is None:
            return _response(order.call, Answer(200, await self._unary(match.binding, order)))

        async def run() -> Answer:
            try:
                return Answer(200, await self._unary(match.binding, order))
            except Exception as error:  # noqa: BLE001 - a failure is an answer too, and must be the same next time
                return _failed(order.call, _typed(order.call, error))

        answer, again = await self._once.once(order.call.admitted, order.method, key, order.body, run)
        order.call.fail(answer.code, answer.reason)
        return _response(order.call, answer, {"idempotent-replayed": "true"} if again else {})

    async def _unary(self, binding: Binding, order: Order) -> bytes:
        reply = await self._upstreams[binding.route.upstream].unary(order)
        return transcode.answer(binding, binding.route.response.FromString(reply.body))

    async def _stream(self, match: Match, order: Order) -> Response:
        """One JSON object a line. An error before the first line is an ordinary answer, a later one the last line."""
        lines = self._lines(match.binding, order)
        first = await anext(lines, None)
        return StreamingResponse(_continued(first, lines, order.call), media_type=_LINES, headers=_fields(order.call))

    async def _download(self, download: Download, match: Match, order: Order) -> Response:
        """The file, piece by piece. An error before the first piece is an ordinary answer, a later one tears it."""
        pieces = self._pieces(match.binding, order)
        first = await anext(pieces, b"")
        headers = _fields(order.call) | download.headers(match.variables)
        return StreamingResponse(_whole(first, pieces, order.call), media_type=download.media_type, headers=headers)

    async def _pieces(self, binding: Binding, order: Order) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._upstreams[binding.route.upstream].stream(order)) as bodies:
            async for body in bodies:
                yield piece(binding.route.response.FromString(body))

    async def _lines(self, binding: Binding, order: Order) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._upstreams[binding.route.upstream].stream(order)) as bodies:
            async for body in bodies:
                yield transcode.answer(binding, binding.route.response.FromString(body)) + b"\n"


async def _continued(
    first: bytes | None, lines: AsyncGenerator[bytes, None], call: Call
) -> AsyncGenerator[bytes, None]:
    async with aclosing(lines):
        if first is None:
            return
        yield first
        try:
            async for line in lines:
                yield line
        except Exception as error:  # noqa: BLE001 - the status line is out already, so the last line must say it
            yield encode({"error": problem.problem(_typed(call, error), call.call_id)}) + b"\n"


async def _whole(first: bytes, pieces: AsyncGenerator[bytes, None], call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield first
        try:
            async for one in pieces:
                yield one
        except Exception as error:
            _typed(call, error)
            raise _TornError from error


def _client(request: Request) -> Client:
    return Client(request.client.host if request.client else "", request.headers.get("user-agent", ""))


async def _body(request: Request) -> bytes:
    """The body, if it is JSON and not too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise DomainError(Reason.MESSAGE_TOO_LARGE, limit_bytes=str(MOST_BYTES))
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if body and kind != _JSON:
        raise DomainError(Reason.BODY_INVALID, violations=[Violation("content-type", f"must be {_JSON}")])
    return bytes(body)


def _give_key(message: Message, key: str) -> None:
    """Methods that know idempotency keys themselves get the header's, so that it holds across all doors."""
    idempotency.require_key(key)
    if "request_key" not in descriptor_of(message).fields_by_name:
        return
    if getattr(message, "request_key") not in {"", key}:  # noqa: B009 - a field that only some messages have
        raise DomainError(
            Reason.FIELD_INVALID, violations=[Violation("request_key", f"differs from the header {idempotency.HEADER}")]
        )
    message.request_key = key  # type: ignore[attr-defined]  # same


def _seconds(request: Request, most: float) -> float:
    """How long the call may take: as the client wishes, within our limit."""
    wanted = request.headers.get(_TIMEOUT, "")
    if not wanted:
        return most
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise DomainError(Reason.FIELD_INVALID, violations=[Violation(_TIMEOUT, "must be a number of seconds")])
    return min(seconds, most)


def _typed(call: Call, error: Exception) -> DomainError:
    """The error as the caller may see it; the call remembers it for its record."""
    known = from_rpc_error(error) if isinstance(error, grpc.aio.AioRpcError) else error
    if not isinstance(known, DomainError):
        known = DomainError(Reason.INTERNAL)
    if known.reason is Reason.INTERNAL:
        _log.error("call failed", method=call.method, call_id=call.call_id, exc_info=error)
    call.fail(code_of(known).value[0], known.reason)
    return known


def _failed(call: Call, error: DomainError) -> Answer:
    body = encode(problem.problem(error, call.call_id))
    passing = problem.passing(error)
    return Answer(problem.status(error), body, call.status, call.reason, problem.headers(error), passing)


def _fields(call: Call) -> dict[str, str]:
    known = fields(call.spending) if call.spending else {}
    return {"request-id": call.call_id, "cache-control": "no-store", **known}


def _response(call: Call, answer: Answer, extra: Mapping[str, str] | None = None) -> Response:
    kind = problem.MEDIA_TYPE if answer.reason else _JSON
    return Response(answer.body, answer.status, {**_fields(call), **answer.headers, **(extra or {})}, kind)
