"""A customer of the gateway: curl over HTTPS and gRPC over TLS, both with the API key."""

import asyncio
import json
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from igstats.api.v1.connection_service_pb2_grpc import ConnectionServiceStub
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub
from igstats.api.v1.stats_service_pb2_grpc import StatsServiceStub

from igstats_dev.account import Access
from igstats_dev.demo.narrator import Narrator, StoryError

if TYPE_CHECKING:
    from igstats.api.v1.connection_service_pb2_grpc import ConnectionServiceAsyncStub
    from igstats.api.v1.request_service_pb2_grpc import RequestServiceAsyncStub
    from igstats.api.v1.stats_service_pb2_grpc import StatsServiceAsyncStub

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Answer:
    """What the gateway answered over HTTP."""

    status: int
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object.

        Raises:
            StoryError: It is none.
        """
        try:
            found: dict[str, Any] = json.loads(self.text or "{}")
        except ValueError as error:
            raise StoryError(f"the gateway answered {self.status} with no JSON: {self.text[:300]}") from error
        return found

    def read(self, message: M) -> M:
        """The answer as the message that it is.

        Raises:
            StoryError: It is an error or something else.
        """
        if self.status != HTTPStatus.OK:
            raise StoryError(f"the gateway answered {self.status}: {self.text[:500]}")
        return json_format.ParseDict(self.body, message)


class Customer:
    """Calls the public API and shows each call."""

    def __init__(self, access: Access, channel: grpc.aio.Channel, narrator: Narrator) -> None:
        self.access = access
        self._channel = channel
        self.stats = cast("StatsServiceAsyncStub", StatsServiceStub(channel))
        self.connections = cast("ConnectionServiceAsyncStub", ConnectionServiceStub(channel))
        self.requests = cast("RequestServiceAsyncStub", RequestServiceStub(channel))
        self._narrator = narrator

    @classmethod
    @asynccontextmanager
    async def calling(cls, access: Access, narrator: Narrator) -> AsyncIterator["Customer"]:
        """A customer while the block runs."""
        authority = await asyncio.to_thread(Path(access.ca).read_bytes)
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(authority), grpc.access_token_call_credentials(access.key)
        )
        async with grpc.aio.secure_channel(access.gateway_grpc, credentials) as channel:
            yield cls(access, channel, narrator)

    def anonymous(self) -> "Customer":
        """The same without a key."""
        return Customer(replace(self.access, key=""), self._channel, self._narrator)

    async def get(self, path: str, **query: str) -> Answer:
        """GET by curl."""
        return await self._call(f"{path}?{urlencode(query)}" if query else path)

    async def post(self, path: str, body: dict[str, Any]) -> Answer:
        """POST by curl."""
        return await self._call(path, "-H", "Content-Type: application/json", "-d", json.dumps(body))

    async def patch(self, path: str, body: dict[str, Any]) -> Answer:
        """PATCH by curl."""
        return await self._call(path, "-X", "PATCH", "-H", "Content-Type: application/json", "-d", json.dumps(body))

    async def send_form(self, path: str, fields: Mapping[str, str]) -> str:
        """Sends a form of the public pages by curl, without a key; answers where it leads, "" when it is refused."""
        url = self.access.gateway_http + path
        typed = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
        self._narrator.command(f"curl --cacert $CA -X POST {_shell(*typed, url)}")
        quiet = ("--silent", "--show-error", "--max-time", "30", "--output", os.devnull)
        led = ("-w", "%{http_code} %{redirect_url}", "--cacert", self.access.ca)
        said = await run("curl", *quiet, *led, "-X", "POST", *typed, url)
        status, _, where = said.partition(" ")
        leads = urlsplit(where).path
        self._narrator.answer(f"{status} {leads}")
        return leads if int(status) == HTTPStatus.SEE_OTHER else ""

    async def download(self, path: str, file: Path) -> Answer:
        """GET by curl into a file."""
        return await self._call(path, "--fail", "--output", str(file))

    async def _call(self, path: str, *more: str) -> Answer:
        url = self.access.gateway_http + path
        shown, key = ('-H "Authorization: Bearer $KEY" ', self._key()) if self.access.key else ("", ())
        self._narrator.command(f"curl --cacert $CA {shown}{_shell(*more, url)}")
        real = ("--cacert", self.access.ca, *key, *more, url)
        said = await run("curl", "--silent", "--show-error", "--max-time", "30", "-w", r"\n%{http_code}", *real)
        text, _, status = said.rpartition("\n")
        self._narrator.answer(f"{status} {' '.join(text.split())}")
        return Answer(int(status), text)

    def _key(self) -> tuple[str, str]:
        return "-H", f"Authorization: Bearer {self.access.key}"


def _shell(*arguments: str) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)


async def run(*command: str) -> str:
    """Runs a program to its end; returns what it said.

    Raises:
        StoryError: It is missing or failed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "COLUMNS": "140"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise StoryError(f"{command[0]} is not installed, and this story runs it") from error
    said, complaint = await process.communicate()
    if process.returncode:
        words = (complaint or said).decode().strip()
        raise StoryError(f"{command[0]} failed with code {process.returncode}: {words}")
    return said.decode()
