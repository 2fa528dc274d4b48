"""The HTTP port closes connections that do not say in time what they want. Real sockets, limits that the tests set."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from igstats_gateway.config import GatewayConfig
from igstats_gateway.listeners import HttpListener
from igstats_gateway.prompt import PromptProtocol
from igstats_kit.testing.certificates import Authority
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEAD = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENT = 3600.0

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(PromptProtocol):
    """Waits for heads as long as a test wants to."""

    head_seconds = 0.05
    body_seconds = PATIENT


class HastyForBodies(PromptProtocol):
    """The same for bodies."""

    head_seconds = PATIENT
    body_seconds = 0.05


class World:
    """A port with an application that reads the body and answers when it may."""

    def __init__(self, certificates: Authority, protocol: type[PromptProtocol]) -> None:
        issued = certificates.issue("gateway")
        config = GatewayConfig.model_construct(
            public_http_listen="127.0.0.1:0",
            public_tls_cert=issued.certificate,
            public_tls_key=issued.key,
            drain_seconds=0.0,
        )
        self.tls = ssl.create_default_context(cafile=certificates.certificate)
        self.listener = HttpListener(config, self, protocol=protocol)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await Request(scope, receive).body()
        await self.answer.wait()
        await Response(b"ok")(scope, receive, send)

    async def connect(self) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=self.tls)
        self._writers.append(writer)
        return reader, writer

    async def stop(self) -> None:
        self.answer.set()
        for writer in self._writers:
            writer.transport.abort()
        await self.listener.stop()


@asynccontextmanager
async def _serving(certificates: Authority, protocol: type[PromptProtocol]) -> AsyncIterator[World]:
    world = World(certificates, protocol)
    await world.listener.start()
    try:
        yield world
    finally:
        await world.stop()


async def _closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection; the test's own time limit ends a wait that never ends."""
    found = bytearray()
    try:
        while part := await reader.read(1000):
            found += part
    except ConnectionError:
        pass
    return bytes(found)


async def _answered(streams: Streams, sent: bytes = HEAD) -> bytes:
    reader, writer = streams
    writer.write(sent)
    return await reader.readuntil(b"\r\n\r\nok")


@pytest.mark.parametrize("sent", [b"", b"G", HEAD[:-2]])
async def test_who_sends_no_complete_head_is_cut_off(certificates: Authority, sent: bytes) -> None:
    async with _serving(certificates, Hasty) as world:
        reader, writer = await world.connect()
        writer.write(sent)
        assert await _closed(reader) == b""
        assert not world.asked.is_set()


async def test_a_second_request_that_only_begins_is_cut_off_too(certificates: Authority) -> None:
    async with _serving(certificates, Hasty) as world:
        reader, writer = await world.connect()
        assert (await _answered((reader, writer), HEAD + b"G")).startswith(b"HTTP/1.1 200")
        assert await _closed(reader) == b""


async def test_bytes_one_by_one_prolong_nothing(certificates: Authority) -> None:
    async with _serving(certificates, Hasty) as world:
        reader, writer = await world.connect()
        closed = asyncio.create_task(_closed(reader))
        writer.write(b"GET /a HTTP/1.1\r\nA: ")
        while not closed.done():
            writer.write(b"a")
            await asyncio.wait([closed], timeout=0.01)
        assert not world.asked.is_set()


async def test_a_body_that_never_ends_is_cut_off(certificates: Authority) -> None:
    async with _serving(certificates, HastyForBodies) as world:
        reader, writer = await world.connect()
        writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234")
        assert b"200" not in await _closed(reader)
        assert world.asked.is_set()


@pytest.mark.parametrize("protocol", [Hasty, HastyForBodies])
async def test_who_waits_for_an_answer_is_not_cut_off(certificates: Authority, protocol: type[PromptProtocol]) -> None:
    """The other connection begins later and is cut off; the one that waits has waited longer than that."""
    async with _serving(certificates, protocol) as world:
        world.answer.clear()
        waiting = asyncio.create_task(_answered(await world.connect(), HEAD.replace(b"GET", b"POST")))
        await world.asked.wait()
        reader, writer = await world.connect()
        writer.write(b"" if protocol is Hasty else b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        await _closed(reader)
        assert not waiting.done()
        world.answer.set()
        assert (await waiting).startswith(b"HTTP/1.1 200")


async def test_a_connection_that_is_used_again_in_time_is_kept(certificates: Authority) -> None:
    async with _serving(certificates, PromptProtocol) as world:
        streams = await world.connect()
        for _ in range(3):
            assert (await _answered(streams)).startswith(b"HTTP/1.1 200")


async def test_silent_connections_give_their_places_back(
    certificates: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("igstats_gateway.listeners._MAX_RUNNING", 3)
    async with _serving(certificates, Hasty) as world:
        silent = [await world.connect() for _ in range(3)]
        await asyncio.gather(*(_closed(reader) for reader, _ in silent))
        assert (await _answered(await world.connect())).startswith(b"HTTP/1.1 200")
