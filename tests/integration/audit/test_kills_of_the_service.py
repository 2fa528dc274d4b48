"""kill -9 of the whole service, while callers append and calls come by NATS: nothing acknowledged or told is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.event.v1.events_pb2 import AccessRecord, AccessRecorded
from igstats_audit.model import Log
from igstats_kit.config import ServiceConfig, read_secret
from igstats_kit.declare import impersonal_store
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.processes import free_port

from tests.integration.audit.conftest import CLIENT, World
from tests.integration.audit.service_process import Service, played_privacy
from tests.integration.audit.survivors import Acknowledged, Findings, Followed, Word, look

KILLS = 2
CALLERS = 8
LOGS = {Log.EVIDENCE: pb.LOG_EVIDENCE, Log.ACCESS: pb.LOG_ACCESS}
SUBJECT = "igstats.gateway.v1.access.recorded"


class Traffic:
    """Callers that append evidence, each entry until it is acknowledged, and a gateway that publishes calls."""

    def __init__(self, service: Service, gateway: Bus, way: Sealer) -> None:
        self._service = service
        self._gateway = gateway
        self._client = way.seal(CLIENT, "access")
        self.told: list[Acknowledged] = []
        self.published = 0
        self._heard = asyncio.Condition()

    async def run(self) -> None:
        await asyncio.gather(self._publish(), *(self._append(f"e{number}") for number in range(CALLERS)))

    async def wait(self, count: int) -> None:
        """Waits for so many more acknowledgements."""
        wanted = len(self.told) + count
        async with self._heard:
            await self._heard.wait_for(lambda: len(self.told) >= wanted)

    async def _append(self, name: str) -> None:
        for turn in range(1_000_000):
            names = [f"{name}-{turn}-{part}" for part in range(1 + turn % 3)]
            entries = [pb.NewEntry(entry_id=one, kind="test.made", producer="stats", payload=b"p") for one in names]
            done = await self._acknowledged(pb.AppendEntriesRequest(entries=entries))
            async with self._heard:
                self.told += [
                    Acknowledged(entry_id, one.index, list(one.path), done.checkpoint)
                    for entry_id, one in zip(names, done.acknowledgements, strict=True)
                ]
                self._heard.notify_all()

    async def _acknowledged(self, request: pb.AppendEntriesRequest) -> Any:
        while True:
            with suppress(DomainError):  # killed before it answered: whoever repeats the same ids gets the same place
                return await self._service.stub.AppendEntries(request)
            await asyncio.sleep(0.02)

    async def _publish(self) -> None:
        while True:
            number = self.published + 1
            record = AccessRecord(call_id=f"req_{number}", account_id="acc_1", method="/a.B/C", protocol="http")
            record.sealed_client = self._client
            record.called_time.GetCurrentTime()
            data = AccessRecorded(records=[record]).SerializeToString()
            kind = AccessRecorded.DESCRIPTOR.full_name
            await self._gateway.publish(Event(f"evt_{number}", SUBJECT, kind, datetime.now(UTC), data))
            self.published = number
            await self.wait(1)


@pytest.fixture
async def service(
    config: Callable[[str], Awaitable[ServiceConfig]],
    certificates: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The service, not started yet, and what opens the facts of calls on their way."""
    own, address = await config("audit"), f"127.0.0.1:{free_port()}"
    assert own.access_seal_key is not None

    def settings_of(name: str) -> ServiceConfig:
        issued = certificates.issue(name)
        return own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})

    monkeypatch.setenv("IGSTATS_AUDIT_LISTEN", address)
    async with played_privacy(settings_of("privacy")) as (port, _):
        monkeypatch.setenv("IGSTATS_PRIVACY_ADDRESS", f"127.0.0.1:{port}")
        async with Service(settings_of("stats"), address, tmp_path) as made:
            yield made, Sealer(read_secret(own.access_seal_key))


async def test_a_killed_service_loses_no_acknowledged_entry_and_no_call(
    service: tuple[Service, Sealer],
    bus: Callable[[str], Awaitable[Bus]],
    database: Callable[[str], Awaitable[Database]],
    tmp_path: Path,
) -> None:
    process, way = service
    gateway, chance = await bus("gateway"), random.Random(20261123)  # noqa: S311 - how many answers to wait for
    await gateway.ensure(Stream("ACCESS", (SUBJECT,), timedelta(hours=1), impersonal_store("test")))
    traffic = Traffic(process, gateway, way)
    await process.start()
    work = asyncio.create_task(traffic.run())
    for _ in range(KILLS):
        await traffic.wait(chance.randint(20, 60))
        await process.kill()
        await process.start()
    await traffic.wait(20)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    world = World(await database("audit"), tmp_path)
    while (await world.access.store.head()).stream_sequence < traffic.published:
        assert process.running, process.said
        await asyncio.sleep(0.02)

    served = {log: await process.stub.GetCheckpoint(pb.GetCheckpointRequest(log=of)) for log, of in LOGS.items()}
    words: list[Word] = [*traffic.told, Followed(traffic.published, served[Log.ACCESS].checkpoint)]
    keys = {log: answer.verifier_key for log, answer in served.items()}
    assert await look(world, words, lambda at: [f"req_{at}"], keys) == Findings()
