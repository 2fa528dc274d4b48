"""Passes calls on to the services that answer them, without looking inside: bytes in, bytes out.

What comes back stays as it is: answers, errors, trailing metadata. What goes in is cleaned: every `x-igstats-*` that a
client sends stays outside, so that nobody can claim to be another account, and so does the key itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Protocol

import grpc
from igstats_kit.config import ServiceConfig
from igstats_kit.interceptors import gpc
from igstats_kit.status import answered, from_rpc_error
from igstats_kit.tls import channel_credentials

from igstats_gateway.model import Call

Metadata = tuple[tuple[str, str | bytes], ...]

_NO_CONNECTION = "failed to connect to all addresses"
_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
)
_PAUSES = (0.05, 0.1, 0.2, 0.4)
_OURS = "x-igstats-"
_NOT_PASSED = (gpc.SEC_GPC, "authorization", "cookie", "user-agent", "content-type", "te", "host", "connection")
_NOT_PASSED_PREFIXES = (_OURS, "grpc-", ":")


@dataclass(frozen=True)
class Reply:
    """An answer as the upstream gave it."""

    body: bytes
    trailing: Metadata = ()


@dataclass(frozen=True)
class Order:
    """A call that was let in, on its way to its upstream."""

    method: str
    body: bytes
    call: Call
    seconds: float
    metadata: Metadata = ()


class Upstream(Protocol):
    """Answers calls. Errors are DomainErrors, or AioRpcErrors exactly as a service of ours answered."""

    async def unary(self, order: Order) -> Reply:
        """Answers once."""
        ...

    def stream(self, order: Order) -> AsyncGenerator[bytes, None]:
        """Answers many times."""
        ...


def passed_on(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """What may go inside of what a client sent."""
    return tuple(
        (key, value) for key, value in metadata if key not in _NOT_PASSED and not key.startswith(_NOT_PASSED_PREFIXES)
    )


def identity(call: Call) -> Metadata:
    """Who the call is for, in the words that the services trust from us alone; and the person's signal."""
    caller = call.admitted
    return (
        ("x-igstats-account-id", caller.account_id),
        ("x-igstats-key-id", caller.key_id),
        ("x-igstats-scopes", " ".join(sorted(caller.scopes))),
        ("x-igstats-call-id", call.call_id),
        *(((gpc.SEC_GPC, gpc.HONOURED),) if call.gpc else ()),
    )


def connect(config: ServiceConfig, service: str, address: str) -> grpc.aio.Channel:
    """A channel without any interceptor. The certificate at `address` must name the service."""
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", service), ("grpc.default_authority", service))
    return grpc.aio.secure_channel(address, channel_credentials(config), options=options)


class Relay:
    """An upstream behind a channel. `service` names it when it does not answer."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        self._channel = channel
        self._service = service

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def unary(self, order: Order) -> Reply:
        """Relays a call with one answer. A call that no connection took is tried again, others never are."""
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(order.method)
        end, pauses = order.seconds + _now(), iter(_PAUSES)
        while True:
            call = method(order.body, timeout=end - _now(), metadata=_sent(order))
            try:
                return Reply(await call, _pairs(await call.trailing_metadata()))
            except grpc.aio.AioRpcError as error:
                pause = next(pauses, end)
                if not _unsent(error) or _now() + pause >= end:
                    raise self._failed(error) from error
            await asyncio.sleep(pause)

    async def stream(self, order: Order) -> AsyncGenerator[bytes, None]:
        """Relays a call with many answers; leaving early cancels it."""
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(order.method)
        call = method(order.body, timeout=order.seconds, metadata=_sent(order))
        try:
            async for body in call:
                yield body
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from error
        finally:
            call.cancel()

    def _failed(self, error: grpc.aio.AioRpcError) -> Exception:
        return error if answered(error) else from_rpc_error(error, dependency=self._service)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _sent(order: Order) -> Metadata:
    return (*order.metadata, *identity(order.call))


def _unsent(error: grpc.aio.AioRpcError) -> bool:
    """Whether no connection was made at all, so that the upstream cannot have seen the call."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and (error.details() or "").startswith(_NO_CONNECTION)


def _pairs(metadata: grpc.aio.Metadata | None) -> Metadata:
    return tuple((str(key), value) for key, value in metadata or ())
