"""A reader of tiles that is not ours reads both logs by HTTP: the gateway serves what the audit service has written."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from igstats.audit.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from igstats_audit.access import ACCESS
from igstats_audit.model import Log
from igstats_audit.servicer import LogRpcs
from igstats_audit.tables import CALL_DAYS
from igstats_kit.config import ServiceConfig
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority

from tests.integration.audit.conftest import MOMENT, World, call, entry
from tests.second_opinions.environment import HERE, programs

Gateway = Any
"""The gateway of conftest.py."""
OLD, SIZE = 300, 700

pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("second-opinions")]


class Files(LogRpcs):
    """The audit service as far as the logs go."""

    def __init__(self, world: World) -> None:
        self.logs = world.logs


@pytest_asyncio.fixture(loop_scope="session")
async def world(database: Callable[[str], Awaitable[Database]], tmp_path: Path) -> AsyncIterator[World]:
    """Both logs, with calls of two days and evidence."""
    made = World(await database("audit"), tmp_path)
    async with made.writing() as logs:
        await made.call(*(call(f"req_{number}") for number in range(OLD)))
        made.clock.advance(timedelta(days=1))
        await made.call(*(call(f"req_{number}") for number in range(OLD, SIZE)))
        await logs.evidence.sequencer.append([entry(f"e{number}") for number in range(SIZE)])
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def others(others: Any, world: World, config: Callable[[str], Awaitable[ServiceConfig]]) -> AsyncIterator[Any]:
    """The stand-ins, but for audit: that is real."""
    rpc = RpcServer(await config("audit"), ACCESS)
    servicer = Files(world)  # type: ignore[abstract]  # the other methods are not asked for
    add_AuditServiceServicer_to_server(servicer, rpc.server)
    others.addresses["audit"] = f"127.0.0.1:{await rpc.start()}"
    yield others
    await rpc.stop(0)


@dataclass(frozen=True)
class Reader:
    """The reader of tiles, and whom it trusts."""

    tools: Path
    address: str
    authority: Path

    async def reads(self, log: Log, keys: list[str]) -> str:
        """What it says of a log; nothing when it refuses it."""
        place = f"https://{self.address}/log/{log}"
        command: list[str | Path] = [self.tools / "python", "-I", HERE / "read_tiles.py", place, *keys]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(self.authority)}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
        said, _ = await process.communicate()
        return "" if process.returncode else said.decode()


@pytest.fixture
def reader(gateway: Gateway, certificates: Authority) -> Reader:
    return Reader(programs(), gateway.config.public_http_listen, certificates.certificate)


@pytest.mark.parametrize("log", Log)
async def test_a_reader_checks_a_whole_log_by_http(world: World, reader: Reader, log: Log) -> None:
    assert await reader.reads(log, world.logs[log].signer.verifier_keys) == f"entries 0 to {SIZE - 1}\n"


async def test_a_reader_checks_what_lives_after_a_cut_by_http(world: World, reader: Reader) -> None:
    await world.logs.cut.run(MOMENT.date() + timedelta(days=CALL_DAYS))
    await world.logs.cut.tidy()
    await world.call(call("new"))
    keys = world.access.signer.verifier_keys
    assert await reader.reads(Log.ACCESS, keys) == f"entries {OLD // 256 * 256} to {SIZE}\n"


@pytest.mark.parametrize("log", Log)
async def test_a_reader_refuses_a_log_with_a_flipped_byte_by_http(world: World, reader: Reader, log: Log) -> None:
    flip = "SET leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1) WHERE index = 600"
    await world.tell(f"UPDATE {log}_entries {flip}")
    assert await reader.reads(log, world.logs[log].signer.verifier_keys) == ""
