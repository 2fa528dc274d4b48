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
from igstats.api.v1.request_service_pb2 import EvidenceEntry, GetEvidenceResponse, HolderKey
from igstats.event.v1.events_pb2 import (
    AccessRecord,
    AccessRecorded,
    AuditRecord,
    HolderOutcome,
    ReceiptsIssued,
    RecordMade,
    RequestChanged,
    RequestClosed,
)
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_audit.calls import CallLog
from igstats_audit.consumer import consumers
from igstats_audit.events import RECORDS_STREAM, named_receipts
from igstats_audit.evidence import Evidence
from igstats_audit.store import DayStore
from igstats_audit.tables import CALL_DAYS, entries
from igstats_client.verifier import verify
from igstats_kit.clock import SystemClock
from igstats_kit.declare import impersonal_store
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.tables import inbox
from igstats_kit.tokens import Tokens
from sqlalchemy import Table, func, select

Log = Any
"""The log of conftest.py."""
MakeBus = Callable[[str], Awaitable[Bus]]

PHASES = (Phase.PHASE_FENCE, Phase.PHASE_ERASE, Phase.PHASE_SWEEP, Phase.PHASE_ATTEST)
_LOOK_SECONDS = 0.02
WAY, REST = Sealer(b"w" * 32), Sealer(b"r" * 32)
STREAMS = {
    "privacy": [
        ("RECEIPTS", "igstats.*.v1.receipt.issued"),
        ("REQUESTS", "igstats.privacy.v1.request.*"),
    ],
    "gateway": [("ACCESS", "igstats.gateway.v1.access.recorded")],
}


class World:
    """Audit's consumers at work, and services that publish."""

    def __init__(self, log: Log, calls: CallLog, buses: dict[str, Bus]) -> None:
        self.log = log
        self.calls = calls
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
        await self.publish("privacy", "request.closed", closed)

    async def evidence(self, request_id: str) -> GetEvidenceResponse:
        """What privacy answers, once audit has everything."""
        evidence = Evidence(self.log.store, self.log.proofs, named_receipts)
        found = await _until(lambda: evidence.of(request_id))
        proved = zip(found.entries, found.acknowledgements, strict=True)
        return GetEvidenceResponse(
            request_id=request_id,
            entries=[
                EvidenceEntry(
                    index=one.index, kind=one.kind, leaf=one.leaf, salt=one.salt, payload=one.payload, path=ack.path
                )
                for one, ack in proved
            ],
            checkpoint=found.checkpoint,
            verifier_key=self.log.signer.verifier_key,
            holder_keys=[HolderKey(holder=name, public_key=one.public_key) for name, one in self.signers.items()],
        )

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
async def world(log: Log, bus: MakeBus) -> AsyncIterator[World]:
    buses = {service: await bus(service) for service in ("gateway", "privacy", "stats", "audit")}
    await buses["audit"].ensure(RECORDS_STREAM)
    for owner, streams in STREAMS.items():
        for name, subject in streams:
            await buses[owner].ensure(Stream(name, (subject,), timedelta(hours=1), impersonal_store("test")))
    calls = CallLog(DayStore(log.database), Tokens(b"s" * 32), WAY, REST, SystemClock(), days=CALL_DAYS)
    async with log.writer() as sequencer:
        found = consumers(buses["audit"], log.database, sequencer, calls)
        workers = [asyncio.create_task(consumer.run(), name=name) for name, consumer in found]
        yield World(log, calls, buses)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def test_the_evidence_of_an_erasure_verifies_offline(world: World) -> None:
    await world.erase("req_1")
    await world.erase("req_2")
    verdict = verify(await world.evidence("req_1"))
    assert verdict.ok, verdict.findings
    assert {one.holder for one in verdict.statements} == set(world.signers)
    assert verdict.entry_count == 17


async def test_receipts_that_come_again_are_not_logged_again(world: World) -> None:
    await world.erase("req_1")
    await world.evidence("req_1")
    issued = ReceiptsIssued(receipts=[world.signers["stats"].sign(one) for one in _receipts("req_9", "stats")])
    await world.publish("stats", "receipt.issued", issued, "first")
    await world.publish("stats", "receipt.issued", issued, "second")
    await world.handled("first")
    await world.handled("second")
    assert await world.count(entries) == 17 + 4


async def test_records_of_every_service_reach_the_log(world: World) -> None:
    record = AuditRecord(kind="retention.ran", payload_json="{}")
    record.occurred_time.GetCurrentTime()
    for service in ("gateway", "stats"):
        await world.publish(service, "record.made", RecordMade(records=[record]), f"evt-{service}")
    await world.handled("evt-gateway")
    await world.handled("evt-stats")
    assert await world.count(entries, kind="retention.ran") == 2


async def test_only_the_end_of_a_request_is_an_entry(world: World) -> None:
    await world.publish("privacy", "request.changed", RequestChanged(request_id="req_1"), "changed")
    await world.publish("privacy", "request.closed", RequestClosed(request_id="req_1", state="DENIED"), "closed")
    await world.handled("closed")
    assert await world.count(entries, entry_id="closed") == await world.count(entries) == 1


async def test_calls_reach_the_api_log(world: World) -> None:
    record = AccessRecord(call_id="req_1", account_id="acc_1", method="/a.B/C", protocol="http", latency_us=5)
    record.sealed_client = WAY.seal(b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}', "access")
    record.called_time.GetCurrentTime()
    await world.publish("gateway", "access.recorded", AccessRecorded(records=[record]))

    async def found() -> Any:
        page = await world.calls.search("acc_1", "", 0, "")
        return page if page.calls else None

    page = await _until(found)
    assert page.calls[0].ip_address == "192.0.2.7"
