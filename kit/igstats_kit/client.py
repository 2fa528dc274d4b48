"""Channels to other services: mutual TLS, a deadline on every call, careful retries, errors re-created.

`Channels.to` returns a channel for generated stubs. Awaiting a call gives the response or raises a DomainError;
a call that streams answers is an async iterator.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from typing import Any, Self

import grpc
from google.protobuf import descriptor_pool

from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors import gpc
from igstats_kit.interceptors.deadline import time_left
from igstats_kit.interceptors.identity import CALL_ID, call_id
from igstats_kit.server import MAX_MESSAGE_BYTES
from igstats_kit.status import answered, from_rpc_error
from igstats_kit.telemetry import CALL_RETRIES, CALLS
from igstats_kit.tls import channel_credentials

DEFAULT_SECONDS = 5.0
STREAM_SECONDS = 300.0  # to send a stream of requests
SHAVED_SECONDS = 0.02  # kept back, so that the answer to our own caller still arrives
ATTEMPTS = 4
_READING_VERBS = ("Get", "List", "Query", "Search", "Describe", "Resolve")
_FIRST_PAUSE = 0.05
# gRPC's words for "no connection was made": the server cannot have seen the call. Other words mean: it may have.
_UNSENT = ("connections to all backends failing", "failed to connect to all addresses", "errors resolving ")
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


def budget(wanted: float | None, otherwise: float | None) -> float | None:
    """Seconds for a call: what the caller wants or `otherwise`, and never more than its own RPC has left.

    Raises:
        DomainError: DEADLINE_TOO_SHORT; nothing is left.
    """
    seconds = otherwise if wanted is None else wanted
    left = time_left()
    if left is None:
        return seconds
    if left <= SHAVED_SECONDS:
        raise DomainError(Reason.DEADLINE_TOO_SHORT)
    return left - SHAVED_SECONDS if seconds is None else min(seconds, left - SHAVED_SECONDS)


def is_idempotent(method: str) -> bool:
    """Whether a method may run twice: it reads, as its verb says, or its proto states an `idempotency_level`."""
    if method.rpartition("/")[2].startswith(_READING_VERBS):
        return True
    try:
        found = descriptor_pool.Default().FindMethodByName(method.removeprefix("/").replace("/", "."))
    except KeyError:
        return False
    return bool(found.GetOptions().idempotency_level)


def _options(given: Mapping[str, Any], otherwise: float | None) -> dict[str, Any]:
    """Options of a call with its deadline, the id that follows a call through all services, and the person's signal."""
    metadata = tuple(given.get("metadata") or ())
    if gpc.SEC_GPC not in dict(metadata):
        metadata = (*metadata, *gpc.metadata())
    if call_id() and CALL_ID not in dict(metadata):
        metadata = (*metadata, (CALL_ID, call_id()))
    return {**given, "timeout": budget(given.get("timeout"), otherwise), "metadata": metadata}


async def _written(call: grpc.aio.StreamUnaryCall[Any, Any], request: object) -> bool:
    """Sends one request; False when the server has ended the call already. Awaiting the call then tells why."""
    try:
        await call.write(request)
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        return False
    return True


class _Method:
    """One method of another service. Which of `one`, `upload` and `many` is called depends on its kind.

    Options are those of gRPC's callables: timeout, metadata, wait_for_ready and so on, by name.
    """

    def __init__(self, inner: Any, method: str, service: str) -> None:  # noqa: ANN401 - one of gRPC's four callables
        self._inner, self._method, self._service = inner, method, service

    async def one(self, request: object, **options: Any) -> Any:  # noqa: ANN401 - the method's own type
        """Sends a request and returns the response; sends it again while that can do no harm."""
        loop = asyncio.get_running_loop()
        sent = _options(options, DEFAULT_SECONDS)
        end = loop.time() + sent["timeout"]
        attempt = 0
        with self._typed():
            while True:
                try:
                    return await self._inner(request, **sent)
                except grpc.aio.AioRpcError as error:
                    pause = _FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
                    attempt += 1
                    if attempt == ATTEMPTS or loop.time() + pause >= end or not self._may_repeat(error):
                        raise
                CALL_RETRIES.labels(method=self._method).inc()
                await asyncio.sleep(pause)
                sent["timeout"] = end - loop.time()

    async def upload(self, requests: AsyncIterable[object], **options: Any) -> Any:  # noqa: ANN401 - the method's own type
        """Sends a stream of requests and returns the response. What the stream raises reaches the caller unchanged."""
        with self._typed():
            call = self._inner(**_options(options, STREAM_SECONDS))
            try:
                async for request in requests:
                    if not await _written(call, request):
                        break
                else:
                    await call.done_writing()
                return await call
            finally:
                call.cancel()

    async def many(self, request: object, **options: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - the method's own type
        """Sends a request and yields the responses. Without a timeout it may last as long as our own caller waits."""
        with self._typed():
            call = self._inner(request, **_options(options, None))
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    def _may_repeat(self, error: grpc.aio.AioRpcError) -> bool:
        """Whether another attempt can do no harm. A service that answered, whatever it said, is not asked again."""
        if error.code() is not grpc.StatusCode.UNAVAILABLE or answered(error):
            return False
        return is_idempotent(self._method) or (error.details() or "").startswith(_UNSENT)

    @contextlib.contextmanager
    def _typed(self) -> Iterator[None]:
        """Counts the call and re-creates the error that the other side raised."""
        code = "OK"
        try:
            yield
        except grpc.aio.AioRpcError as error:
            found = from_rpc_error(error, dependency=self._service)
            code = found.public.code
            raise found from error
        except BaseException:
            code = "CANCELLED"
            raise
        finally:
            CALLS.labels(method=self._method, code=code).inc()


class _Channel(grpc.aio.Channel):
    """One channel to one service: gRPC's, with every method as a `_Method`."""

    def __init__(self, inner: grpc.aio.Channel, service: str) -> None:
        self._inner, self._service = inner, service

    def _method(self, kind: str, method: str, *serializers: Any, **named: Any) -> _Method:  # noqa: ANN401 - as below
        return _Method(getattr(self._inner, kind)(method, *serializers, **named), method, self._service)

    def unary_unary(self, method: str, *serializers: Any, **named: Any) -> Any:  # noqa: ANN401 - as in gRPC
        return self._method("unary_unary", method, *serializers, **named).one

    def unary_stream(self, method: str, *serializers: Any, **named: Any) -> Any:  # noqa: ANN401 - as in gRPC
        return self._method("unary_stream", method, *serializers, **named).many

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:  # noqa: ANN401 - as in gRPC
        return self._method("stream_unary", method, *serializers, **named).upload

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:  # noqa: ANN401 - as in gRPC
        return self._method("stream_stream", method, *serializers, **named).many

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - as in gRPC
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()


class Channels:
    """The channels of one process, one per service and address."""

    def __init__(self, config: ServiceConfig) -> None:
        self._credentials = channel_credentials(config)
        self._open: dict[tuple[str, str], grpc.aio.Channel] = {}

    def to(self, service: str, address: str) -> grpc.aio.Channel:
        """The channel to `service` at `address` (host:port); the certificate there must name the service."""
        if (service, address) not in self._open:
            named = (("grpc.ssl_target_name_override", service), ("grpc.default_authority", service))
            inner = grpc.aio.secure_channel(address, self._credentials, options=(*_OPTIONS, *named))
            self._open[service, address] = _Channel(inner, service)
        return self._open[service, address]

    async def close(self) -> None:
        """Closes all channels."""
        while self._open:
            _, channel = self._open.popitem()
            await channel.close()
