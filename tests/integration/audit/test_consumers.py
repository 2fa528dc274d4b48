"""From NATS into the log, and out again as evidence that the offline verifier accepts."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.message import Message
from igstats.event.v1.events_pb2 import (
    AccessRecord,
    AccessRecorded,
    AuditRecord,
    HolderOutcome,
    ReceiptsIssued,
    RecordMade,
    RequestChanged,
    RequestClosed,
    RequestsClosed,
)
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_audit.archive import Archives, Readers
from igstats_audit.consumer import call_tail, consumers
from igstats_audit.events import RECORDS_STREAM, named_receipts
from igstats_audit.events import calls as read_calls
from igstats_audit.evidence import Evidence
from igstats_audit.intake import CallIntake
from igstats_audit.payloads import read_closing, read_receipt
from igstats_audit.tables import EVIDENCE_DAYS, evidence_entries
from igstats_client import archive_file
from igstats_client.verifier import verify
from igstats_kit.clock import SystemClock
from igstats_kit.declare import impersonal_store
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.receipt import Signer
from igstats_kit.tables import inbox, parked
from sqlalchemy import Table, func, select

from tests.integration.audit.conftest import CLIENT, TOKENS, WAY

Log = Any
"""The log of conftest.py."""
MakeBus = Callable[[str], Awaitable[Bus]]

PHASES = (Phase.PHASE_FENCE, Phase.PHASE_ERASE, Phase.PHASE_SWEEP, Phase.PHASE_ATTEST)
_LOOK_SECONDS = 0.02
STREAMS = {
    "privacy": [
        ("RECEIPTS", "igstats.*.v1.receipt.issued"),
        ("REQUESTS", "igstats.privacy.v1.request.*"),
    ],
    "gateway": [("ACCESS", "igstats.gateway.v1.access.recorded")],
}


class Scene:
    """Audit's consumers at work, and services that publish."""

    def __init__(self, log: Log, buses: dict[str, Bus]) -> None:
        self.log = log
        self.buses = buses
        self.signers = {holder: _signer() for holder in ("gateway", "privacy", "stats", "audit")}

    async def publish(self, service: str, subject: str, message: Message, event_id: str = "") -> None:
        data = message.SerializeToString(deterministic=True)
        identity = event_id or hashlib.sha256(data).hexdigest()
        kind = message.DESCRIPTOR.full_name
        event = Event(identity, f"igstats.{service}.v1.{subject}", kind, datetime.now(UTC), data)
        await self.buses[service].publish(event)

    async def erase(self, request_id: str) -> None:
        """Everything that the holders and privacy publish about an erasure."""
        listed = []
        for holder, signer in self.signers.items():
            receipts = _receipts(request_id, holder)
            issued = ReceiptsIssued(receipts=[signer.sign(one) for one in receipts])
            await self.publish(holder, "receipt.issued", issued)
            digest = hashlib.sha256(receipts[-1].SerializeToString(deterministic=True)).digest()
            listed.append(HolderOutcome(holder=holder, outcome="ERASED", receipt_digest=digest))
        closed = RequestClosed(request_id=request_id, state="FULFILLED", holders=listed)
        closed.closed_time.GetCurrentTime()
        await self.publish("privacy", "request.closed", RequestsClosed(closings=[closed]))

    async def evidence(self, request_id: str) -> bytes:
        """What the person gets, once audit has everything."""
        evidence = Evidence(
            self.log.store,
            self.log.proofs,
            self.log.cosigned,
            named_receipts,
            SystemClock(),
            days=EVIDENCE_DAYS,
        )
        archives = Archives(evidence, self.log.signer, Readers(read_receipt, read_closing))
        keys = {name: [one.public_key] for name, one in self.signers.items()}
        return b"".join(await _until(lambda: archives.of(request_id, keys)))

    async def count(self, table: Table, **wanted: str) -> int:
        """Rows with these values."""
        query = select(func.count()).select_from(table).filter_by(**wanted)
        async with self.log.database.read() as connection:
            return await connection.scalar(query) or 0

    async def handled(self, event_id: str) -> None:
        """Waits until an event is handled."""
        await _until(lambda: self.count(inbox, event_id=event_id))


def _signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _receipts(request_id: str, holder: str) -> list[Receipt]:
    made: list[Receipt] = []
    for phase in PHASES:
        done = phase in {Phase.PHASE_FENCE, Phase.PHASE_SWEEP}
        one = Receipt(
            task_id=f"{request_id}/{holder}/{Phase.Name(phase).removeprefix('PHASE_')}",
            request_id=request_id,
            holder=holder,
            right=Right.RIGHT_ERASURE,
            phase=phase,
            outcome=Outcome.OUTCOME_DONE if done else Outcome.OUTCOME_ERASED,
        )
        one.executed_time.GetCurrentTime()
        if phase == Phase.PHASE_ATTEST:
            before = (earlier.SerializeToString(deterministic=True) for earlier in made)
            one.earlier_digests.extend(hashlib.sha256(raw).digest() for raw in before)
        made.append(one)
    return made


async def _until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Asks until there is an answer that is not an error and not empty."""
    while True:
        with contextlib.suppress(DomainError):
            if answer := await ask():
                return answer
        await asyncio.sleep(_LOOK_SECONDS)


@pytest.fixture
async def scene(log: Log, bus: MakeBus) -> AsyncIterator[Scene]:
    buses = {service: await bus(service) for service in ("gateway", "privacy", "stats", "audit")}
    await buses["audit"].ensure(RECORDS_STREAM)
    for owner, streams in STREAMS.items():
        for name, subject in streams:
            await buses[owner].ensure(Stream(name, (subject,), timedelta(hours=1), impersonal_store("test")))
    logs = log.world.open()
    async with log.world.writing(logs):
        intake = CallIntake(logs.access.sequencer, logs.access.store, TOKENS, WAY, read_calls)
        found = consumers(buses["audit"], log.database, logs.evidence.sequencer)
        work = [consumer.run for _, consumer in found] + [call_tail(buses["audit"], log.database, intake).run]
        workers = [asyncio.create_task(run()) for run in work]
        yield Scene(log, buses)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def test_the_evidence_of_an_erasure_verifies_offline(scene: Scene) -> None:
    await scene.erase("req_1")
    await scene.erase("req_2")
    verdict = verify(archive_file.parse(await scene.evidence("req_1")))
    assert verdict.ok, verdict.findings
    assert {one.holder for one in verdict.statements} == set(scene.signers)
    assert verdict.entry_count == 17


async def test_receipts_that_come_again_are_not_logged_again(scene: Scene) -> None:
    await scene.erase("req_1")
    await scene.evidence("req_1")
    issued = ReceiptsIssued(receipts=[scene.signers["stats"].sign(one) for one in _receipts("req_9", "stats")])
    await scene.publish("stats", "receipt.issued", issued, "first")
    await scene.publish("stats", "receipt.issued", issued, "second")
    await scene.handled("first")
    await scene.handled("second")
    assert await scene.count(evidence_entries) == 17 + 4


async def test_records_of_every_service_reach_the_log(scene: Scene) -> None:
    record = AuditRecord(kind="retention.ran", payload_json="{}")
    record.occurred_time.GetCurrentTime()
    for service in ("gateway", "stats"):
        await scene.publish(service, "record.made", RecordMade(records=[record]), f"evt-{service}")
    await scene.handled("evt-gateway")
    await scene.handled("evt-stats")
    assert await scene.count(evidence_entries, kind="retention.ran") == 2


async def test_only_the_end_of_a_request_is_an_entry(scene: Scene) -> None:
    await scene.publish("privacy", "request.changed", RequestChanged(request_id="req_1"), "changed")
    ended = RequestsClosed(closings=[RequestClosed(request_id="req_1", state="DENIED")])
    await scene.publish("privacy", "request.closed", ended, "closed")
    await scene.handled("closed")
    assert await scene.count(evidence_entries, entry_id="closed/0") == await scene.count(evidence_entries) == 1


def answered(number: int) -> AccessRecorded:
    record = AccessRecord(call_id=f"req_{number}", account_id="acc_1", method="/a.B/C", protocol="http", latency_us=5)
    record.sealed_client = WAY.seal(CLIENT, "access")
    record.called_time.GetCurrentTime()
    return AccessRecorded(records=[record])


async def test_calls_reach_the_access_log_once_and_in_order(scene: Scene) -> None:
    for number in range(20):
        await scene.publish("gateway", "access.recorded", answered(number))
    await _until(lambda: _size(scene, 20))
    names = [row[0] for row in await scene.log.world.ask("SELECT call_id FROM calls ORDER BY index")]
    assert names == [f"req_{number}" for number in range(20)]
    assert (await scene.log.world.access.proofs.head()).stream_sequence == 20


async def test_an_event_that_nobody_can_read_does_not_stop_the_calls_behind_it(scene: Scene) -> None:
    await scene.buses["gateway"].publish(
        Event("broken", "igstats.gateway.v1.access.recorded", "t", datetime.now(UTC), b"\xff")
    )
    await scene.publish("gateway", "access.recorded", answered(1))
    await _until(lambda: _size(scene, 1))
    assert await scene.count(parked, event_id="broken") == 1


async def _size(scene: Scene, wanted: int) -> bool:
    return bool((await scene.log.world.access.proofs.head()).tree.size >= wanted)
