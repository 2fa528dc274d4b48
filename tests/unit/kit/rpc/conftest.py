"""A server with one made-up service that has an RPC of each kind, behind real mutual TLS."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import StringValue
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.interceptors.access import Audit
from igstats_kit.interceptors.chain import Interceptor
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority
from pydantic_settings import SettingsConfigDict

Text = StringValue
SERVICE = "test.v1.EchoService"


class EchoConfig(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="IGSTATS_ECHO_")
    service = "echo"


Settings = Callable[..., EchoConfig]
Call = Callable[..., Any]


@pytest.fixture
def settings(certificates: Authority, tmp_path: Path) -> Settings:
    """Gives settings with a service's certificate; every other file is a stand-in."""

    def make(service: str, **values: str) -> EchoConfig:
        issued = certificates.issue(service)
        stand_in = tmp_path / "key"
        stand_in.write_bytes(b"key")
        return EchoConfig.load(
            nats_url="tls://127.0.0.1:4222",
            database_url="postgresql+asyncpg://127.0.0.1/none",
            listen="127.0.0.1:0",
            health_listen="127.0.0.1:0",
            tls_ca=certificates.certificate,
            tls_cert=issued.certificate,
            tls_key=issued.key,
            suppression_key=stand_in,
            receipt_key=stand_in,
            seal_key=stand_in,
            **values,
        )

    return make


async def one(request: Text, _: object) -> Text:
    return Text(value=f"one {request.value}")


async def many(request: Text, _: object) -> AsyncIterator[Text]:
    for word in request.value.split():
        yield Text(value=word)


async def upload(requests: AsyncIterator[Text], _: object) -> Text:
    return Text(value=" ".join([request.value async for request in requests]))


async def talk(requests: AsyncIterator[Text], _: object) -> AsyncIterator[Text]:
    async for request in requests:
        yield Text(value=f"talk {request.value}")


@dataclass
class Echo:
    """What the service does, by kind; a test puts in its own."""

    behaviours: dict[str, Any] = field(default_factory=dict)
    callers: frozenset[str] = frozenset({"gateway"})
    audited: bool = False
    audit: Audit | None = None
    interceptors: Sequence[Interceptor] | None = None

    def server(self, config: ServiceConfig) -> RpcServer:
        row = Access(self.callers, audited=self.audited)
        kinds = {"One": one, "Many": many, "Upload": upload, "Talk": talk}
        table = {f"/{SERVICE}/{name}": row for name in kinds}
        rpc = RpcServer(config, table, audit=self.audit, interceptors=self.interceptors)
        makers = [
            grpc.unary_unary_rpc_method_handler,
            grpc.unary_stream_rpc_method_handler,
            grpc.stream_unary_rpc_method_handler,
            grpc.stream_stream_rpc_method_handler,
        ]
        handlers = {
            name: make(self.behaviours.get(name, kinds[name]), Text.FromString, Text.SerializeToString)
            for name, make in zip(kinds, makers, strict=True)
        }
        rpc.server.add_registered_method_handlers(SERVICE, handlers)
        return rpc


@dataclass
class Stub:
    """Calls of the four kinds, as generated code makes them."""

    channel: grpc.aio.Channel

    def __getattr__(self, name: str) -> Call:
        kinds = {"One": "unary_unary", "Many": "unary_stream", "Upload": "stream_unary", "Talk": "stream_stream"}
        make = getattr(self.channel, kinds.get(name, "unary_unary"))
        serializers = {"request_serializer": Text.SerializeToString, "response_deserializer": Text.FromString}
        call: Call = make(f"/{SERVICE}/{name}", **serializers, _registered_method=True)
        return call


@dataclass
class Running:
    """A started server and the ways to reach it."""

    rpc: RpcServer
    address: str
    channels: Channels
    plain: grpc.aio.Channel

    @property
    def stub(self) -> Stub:
        """Calls through the kit's client, as the gateway."""
        return Stub(self.channels.to("echo", self.address))

    @property
    def bare(self) -> Stub:
        """Calls through gRPC alone, as the gateway: for what our client would never send."""
        return Stub(self.plain)


def bare_channel(config: ServiceConfig, address: str) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        config.tls_ca.read_bytes(), config.tls_key.read_bytes(), config.tls_cert.read_bytes()
    )
    options = (("grpc.ssl_target_name_override", "echo"), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.secure_channel(address, credentials, options=options)


Serve = Callable[..., Any]
Fields = dict[str, Any]
Behaviour = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="session")
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Starts an `Echo` made of fields and behaviours; its client is the gateway unless `as_service` says another."""
    async with AsyncExitStack() as stack:

        async def start(*, as_service: str = "gateway", echo: Fields | None = None, **behaviours: Behaviour) -> Running:
            rpc = Echo(behaviours, **echo or {}).server(settings("echo"))
            port = await rpc.start()
            stack.push_async_callback(rpc.stop, 0)
            client = settings(as_service)
            channels = Channels(client)
            stack.push_async_callback(channels.close)
            plain = bare_channel(client, f"127.0.0.1:{port}")
            stack.push_async_callback(plain.close)
            return Running(rpc, f"127.0.0.1:{port}", channels, plain)

        yield start
