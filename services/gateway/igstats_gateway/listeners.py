"""The two public ports: gRPC and HTTP, both TLS."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import uvicorn
from starlette.types import ASGIApp

from igstats_gateway.config import GatewayConfig
from igstats_gateway.grpc_face import PublicMethods
from igstats_gateway.http_face import MOST_BYTES
from igstats_gateway.prompt import PromptProtocol

_MAX_RUNNING = 1000
_HEADER_BYTES = 64 * 1024
_MAX_STREAMS = 100  # of one connection: nobody has all places with one
_OPTIONS = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_metadata_size", _HEADER_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.so_reuseport", 0),
)


class GrpcListener:
    """The gRPC port."""

    def __init__(self, config: GatewayConfig, methods: PublicMethods, *, streams: int = _MAX_STREAMS) -> None:
        self._config = config
        options = (*_OPTIONS, ("grpc.max_concurrent_streams", streams))
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_MAX_RUNNING)
        self._server.add_generic_rpc_handlers((methods,))
        self.port = 0

    async def start(self) -> None:
        """Opens the port."""
        pair = (self._config.public_tls_key.read_bytes(), self._config.public_tls_cert.read_bytes())
        credentials = grpc.ssl_server_credentials([pair])
        self.port = self._server.add_secure_port(self._config.public_grpc_listen, credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Takes no new calls and gives the running ones time to end."""
        await self._server.stop(self._config.drain_seconds)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the life cycle has them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


class HttpListener:
    """The HTTP port."""

    def __init__(self, config: GatewayConfig, app: ASGIApp, *, protocol: type[PromptProtocol] = PromptProtocol) -> None:
        self._config = config
        self._server = _Server(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MAX_RUNNING,
                ssl_certfile=config.public_tls_cert,
                ssl_keyfile=config.public_tls_key,
                h11_max_incomplete_event_size=_HEADER_BYTES,
                timeout_graceful_shutdown=max(1, int(config.drain_seconds)),
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Opens the port; returns when it accepts connections."""
        host, _, port = self._config.public_http_listen.rpartition(":")
        opened = socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=2048)
        self.port = opened.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[opened]))

    async def watch(self) -> None:
        """Lasts as long as the port serves; raises what ended it."""
        if self._serving is not None:
            await asyncio.wait([self._serving])
            await self._serving

    async def stop(self) -> None:
        """Takes no new requests and gives the running ones time to end."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
