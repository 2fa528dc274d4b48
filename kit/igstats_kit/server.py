"""The gRPC server of every service: mutual TLS, interceptors, health, reflection, and a row for each RPC."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import grpc
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from igstats_kit.access import OPEN_SERVICES, AccessTable, require_complete
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.access import AccessInterceptor, Audit
from igstats_kit.interceptors.chain import Chain, Context, Handler, Interceptor
from igstats_kit.interceptors.deadline import DeadlineInterceptor
from igstats_kit.interceptors.errors import ErrorsInterceptor
from igstats_kit.interceptors.identity import IdentityInterceptor
from igstats_kit.interceptors.observe import ObserveInterceptor
from igstats_kit.interceptors.validate import ValidateInterceptor
from igstats_kit.tls import server_credentials

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
LIVE = "live"  # health name of the process itself: what a liveness probe asks, whatever the dependencies do
_MAX_RUNNING = 2000
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # Old connections keep an old certificate and an old set of replicas: make clients come again.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.so_reuseport", 0),
)


def standard_interceptors(access: AccessTable, audit: Audit | None = None) -> tuple[Interceptor, ...]:
    """The interceptors of every service, the outermost first."""
    return (
        IdentityInterceptor(),
        AccessInterceptor(access, audit),
        DeadlineInterceptor(),
        ObserveInterceptor(),
        ValidateInterceptor(),
        ErrorsInterceptor(),
    )


class _UnknownMethod(grpc.GenericRpcHandler):
    """Answers what nobody registered, through the chain like everything else."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        method = str(handler_call_details.method)

        async def refuse(_requests: object, _context: Context) -> None:
            raise DomainError(Reason.METHOD_UNKNOWN, method=method)

        return self._chain.wrap(method, grpc.stream_stream_rpc_method_handler(refuse))


class _Registrar:
    """What generated code registers servicers on: puts the chain around each method and keeps it for the start."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.handlers: dict[str, dict[str, Handler]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[object]) -> None:
        """Takes nothing: generated code registers the same methods by name as well."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Takes the methods of one service."""
        self.handlers[service_name] = {
            method: self._chain.wrap(f"/{service_name}/{method}", handler)
            for method, handler in method_handlers.items()
        }

    def methods(self) -> list[str]:
        """Full names of all methods."""
        return [f"/{service}/{method}" for service, methods in self.handlers.items() for method in methods]


class RpcServer:
    """One service's server. Register servicers on `server`, then `start` it, then say when it may serve.

    `audit` writes the record of each call whose row says `audited`; a table with such rows needs it.
    """

    def __init__(
        self,
        config: ServiceConfig,
        access: AccessTable,
        *,
        audit: Audit | None = None,
        interceptors: Sequence[Interceptor] | None = None,
    ) -> None:
        self.config = config
        self.health_port: int | None = None
        self._access = access
        self._health = health.aio.HealthServicer()
        self._chain = Chain(standard_interceptors(access, audit) if interceptors is None else interceptors)
        self._registrar = _Registrar(self._chain)
        self._started: list[grpc.aio.Server] = []
        self.server = cast("grpc.aio.Server", self._registrar)

    async def start(self) -> int:
        """Binds the ports and answers, NOT_SERVING so far. Returns the port of the service.

        Raises:
            AccessTableError: An RPC has no access row, or a row no RPC.
        """
        require_complete(self._access, self._registrar.methods())
        await self.set_serving(serving=False)
        services = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MAX_RUNNING)
        self._register(services)
        port = services.add_secure_port(self.config.listen, server_credentials(self.config))
        await self._begin(services)
        if self.config.health_listen:
            probe = grpc.aio.server(options=_OPTIONS)
            add_HealthServicer_to_server(self._health, probe)
            self.health_port = probe.add_insecure_port(self.config.health_listen)
            await self._begin(probe)
        return port

    def _register(self, server: grpc.aio.Server) -> None:
        names = {*self._registrar.handlers, *OPEN_SERVICES}
        add_HealthServicer_to_server(self._health, self.server)
        add_ServerReflectionServicer_to_server(reflection.aio.ReflectionServicer(names), self.server)
        for service, handlers in self._registrar.handlers.items():
            server.add_registered_method_handlers(service, handlers)
        server.add_generic_rpc_handlers((_UnknownMethod(self._chain),))

    async def _begin(self, server: grpc.aio.Server) -> None:
        await server.start()
        self._started.append(server)

    async def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the state itself is the argument
        """Tells probes and clients whether to send work here."""
        state = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for name in ("", *self._registrar.handlers):
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Takes no new RPC, gives the running ones `grace` seconds, then ends. Probes see NOT_SERVING meanwhile."""
        await self._health.enter_graceful_shutdown()
        for server, seconds in zip(self._started, (grace, 0), strict=False):  # the probe's port ends last
            await server.stop(seconds)
