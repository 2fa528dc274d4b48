"""The whole service: its RPCs behind mutual TLS, and its process with a privacy that is only played."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from igstats_audit.access import ACCESS
from igstats_audit.call_query import PageTokens
from igstats_audit.call_search import CallSearch
from igstats_audit.call_servicer import CallRpcs
from igstats_audit.call_store import CallStore
from igstats_audit.events import named_receipts
from igstats_audit.evidence import Evidence
from igstats_audit.servicer import LogRpcs
from igstats_audit.tables import CALL_DAYS, EVIDENCE_DAYS
from igstats_client.merkle import leaf_hash, root_of
from igstats_client.note import open_note, parse_checkpoint, parse_verifier_key
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import ServiceConfig
from igstats_kit.declare import impersonal_store
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Stream
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.processes import Child, Program, free_port

from tests.integration.audit.conftest import TOKENS, World, call, entry
from tests.integration.audit.service_process import Service, played_privacy

MakeConfig = Callable[[str], Awaitable[ServiceConfig]]
MakeBus = Callable[[str], Awaitable[Bus]]
Stub = Callable[[str], Awaitable[Any]]
Settings = Callable[[str], ServiceConfig]


@pytest.fixture
async def settings_of(config: MakeConfig, certificates: Authority) -> Settings:
    """Gives audit's settings with the certificate of any service."""
    own = await config("audit")

    def make(service: str) -> ServiceConfig:
        issued = certificates.issue(service)
        return own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})

    return make


class Servicer(LogRpcs, CallRpcs):
    """The parts of the service that are about the logs."""

    def __init__(self, world: World) -> None:
        self.logs, self.clock = world.logs, SystemClock()
        kept = world.evidence.store, world.evidence.proofs, world.evidence.cosigned(world.folder)
        self.evidence = Evidence(*kept, named_receipts, world.clock, days=EVIDENCE_DAYS)
        store, pages = CallStore(world.database, self.clock), PageTokens(Sealer(b"r" * 32))
        self.calls = CallSearch(store, world.access.store.entries, TOKENS, pages, world.clock, days=CALL_DAYS)


@pytest.fixture
async def stub(world: World, settings_of: Settings) -> AsyncIterator[Stub]:
    """Gives the service as another service sees it."""
    async with world.writing(), contextlib.AsyncExitStack() as opened:
        rpc = RpcServer(settings_of("audit"), ACCESS)
        servicer = Servicer(world)  # type: ignore[abstract]  # the other methods are not asked for
        add_AuditServiceServicer_to_server(servicer, rpc.server)
        port = await rpc.start()
        opened.push_async_callback(rpc.stop, 0)

        async def connect(service: str) -> Any:
            channels = Channels(settings_of(service))
            opened.push_async_callback(channels.close)
            return AuditServiceStub(channels.to("audit", f"127.0.0.1:{port}"))

        yield connect


def new_entry(name: str, producer: str = "stats") -> pb.NewEntry:
    return pb.NewEntry(entry_id=name, kind="test.made", producer=producer, payload=name.encode())


async def test_an_append_is_acknowledged_with_its_proof(stub: Stub) -> None:
    stats = await stub("stats")
    done = await stats.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0"), new_entry("e1")]))
    told = await stats.GetCheckpoint(pb.GetCheckpointRequest())
    checkpoint = parse_checkpoint(open_note(done.checkpoint, parse_verifier_key(told.verifier_key)))
    entry = (await (await stub("privacy")).GetEntry(pb.GetEntryRequest(index=1))).entry
    (_, proved) = done.acknowledgements
    assert (entry.entry_id, entry.payload, proved.index) == ("e1", b"e1", 1)
    assert root_of(leaf_hash(entry.leaf), 1, checkpoint.size, proved.path) == checkpoint.root
    assert told.checkpoint.startswith(done.checkpoint)


async def test_proofs_are_served_for_any_size(stub: Stub) -> None:
    stats = await stub("stats")
    await stats.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry(f"e{number}") for number in range(5)]))
    proof = await stats.GetInclusionProof(pb.GetInclusionProofRequest(index=0, tree_size=3))
    grown = await stats.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=3))
    assert (len(proof.path), proof.tree_size, proof.checkpoint) == (2, 3, "")
    assert (len(grown.path), grown.new_size) == (4, 5)


async def test_a_service_appends_under_its_own_name_only(stub: Stub) -> None:
    with pytest.raises(DomainError) as refused:
        await (await stub("stats")).AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0", "gateway")]))
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (pb.NewEntry(kind="receipt.issued"), "entries[1].kind"),
        (pb.NewEntry(kind="request.closed"), "entries[1].kind"),
        (pb.NewEntry(kind="log.cut"), "entries[1].kind"),
        (pb.NewEntry(entry_id="cut/access/256"), "entries[1].entry_id"),
        (pb.NewEntry(entry_id=f"req_1/stats/ATTEST/{'0a' * 32}"), "entries[1].entry_id"),
    ],
)
async def test_no_service_appends_what_evidence_rests_on(stub: Stub, given: pb.NewEntry, field: str) -> None:
    forged = new_entry("e1", "privacy")
    forged.MergeFrom(given)
    privacy = await stub("privacy")
    with pytest.raises(DomainError) as refused:
        await privacy.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0", "privacy"), forged]))
    assert refused.value.reason is Reason.FIELD_INVALID
    assert [one.field for one in refused.value.violations] == [field]
    assert (await privacy.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint.split("\n")[1] == "0"


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("stats", "GetEvidence", pb.GetEvidenceRequest(request_id="req_1")),
        ("gateway", "GetEntry", pb.GetEntryRequest(index=0)),
        ("privacy", "SearchCalls", pb.SearchCallsRequest(account_id="acc_1")),
    ],
)
async def test_who_is_not_on_the_list_is_refused(stub: Stub, service: str, method: str, request_: object) -> None:
    with pytest.raises(DomainError) as refused:
        await getattr(await stub(service), method)(request_)
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED


async def test_of_what_the_log_does_not_know_there_is_no_evidence_to_come(stub: Stub) -> None:
    with pytest.raises(DomainError) as refused:
        await (await stub("privacy")).GetEvidence(pb.GetEvidenceRequest(request_id="req_1"))
    assert (refused.value.reason, refused.value.retry_after) == (Reason.ENTRY_NOT_FOUND, None)


async def test_evidence_that_is_not_complete_is_not_handed_out(stub: Stub, world: World) -> None:
    async with world.writing(world.open()) as logs:
        await logs.evidence.sequencer.append([entry("said", "req_1")])
    with pytest.raises(DomainError) as refused:
        await (await stub("privacy")).GetEvidence(pb.GetEvidenceRequest(request_id="req_1"))
    assert refused.value.reason is Reason.EVIDENCE_NOT_READY
    assert refused.value.retry_after


async def test_calls_are_searched_by_the_gateway(stub: Stub, world: World) -> None:
    await world.call(call("req_1"))
    answer = await (await stub("gateway")).SearchCalls(pb.SearchCallsRequest(account_id="acc_1", page_size=10))
    (found,) = answer.calls
    assert (found.call_id, found.index, found.ip_address) == ("req_1", 0, "192.0.2.7")


async def test_both_logs_are_read_by_everybody_but_their_entries(stub: Stub, world: World) -> None:
    await world.call(*(call(f"req_{number}") for number in range(5)))
    stats = await stub("stats")
    await stats.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0")]))
    for log, size in ((pb.LOG_ACCESS, 5), (pb.LOG_EVIDENCE, 1), (pb.LOG_UNSPECIFIED, 1)):
        told = await stats.GetCheckpoint(pb.GetCheckpointRequest(log=log))
        assert parse_checkpoint(open_note(told.checkpoint, parse_verifier_key(told.verifier_keys[0]))).size == size
        assert len(told.verifier_keys) == 2
        proof = await stats.GetInclusionProof(pb.GetInclusionProofRequest(index=0, log=log))
        checkpoint = await stats.GetLogFile(pb.GetLogFileRequest(log=log, path="checkpoint"))
        tile = await stats.GetLogFile(pb.GetLogFileRequest(log=log, path=f"tile/0/000.p/{size}"))
        assert checkpoint.content.decode().startswith(proof.checkpoint)
        keys = await stats.GetLogFile(pb.GetLogFileRequest(log=log, path="keys"))
        assert (keys.content.decode().splitlines(), keys.immutable) == (list(told.verifier_keys), False)
        assert (len(tile.content), tile.immutable) == (32 * size, False)
    found = (await (await stub("privacy")).GetEntry(pb.GetEntryRequest(index=4, log=pb.LOG_ACCESS))).entry
    assert b"req_4" in found.payload


async def test_what_is_not_there_says_so(stub: Stub) -> None:
    stats, privacy = await stub("stats"), await stub("privacy")
    await stats.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0")]))
    asked = [
        (stats.GetLogFile(pb.GetLogFileRequest(path="tile/0/000")), Reason.LOG_FILE_NOT_FOUND),
        (privacy.GetEntry(pb.GetEntryRequest(index=1)), Reason.ENTRY_NOT_FOUND),
        (stats.GetInclusionProof(pb.GetInclusionProofRequest(index=0, tree_size=2)), Reason.TREE_SIZE_INVALID),
        (stats.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=2)), Reason.TREE_SIZE_INVALID),
    ]
    for answer, reason in asked:
        with pytest.raises(DomainError) as refused:
            await answer
        assert refused.value.reason is reason


async def test_the_process_starts_registers_appends_and_ends_when_told(
    settings_of: Settings, bus: MakeBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = Stream("TASKS", ("igstats.privacy.v1.task.*",), timedelta(hours=1), impersonal_store("test"))
    await (await bus("privacy")).ensure(tasks)
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("IGSTATS_AUDIT_LISTEN", address)
    async with played_privacy(settings_of("privacy")) as (port, coordinator):
        monkeypatch.setenv("IGSTATS_PRIVACY_ADDRESS", f"127.0.0.1:{port}")
        service = Service(settings_of("stats"), address, tmp_path)
        async with service:
            await service.start()
            done = await service.stub.AppendEntries(pb.AppendEntriesRequest(entries=[new_entry("e0")]))
            assert done.acknowledgements
            while not coordinator.public_key:
                assert service.running, service.said
                await asyncio.sleep(0.05)
    assert all(json.loads(line)["service"] == "audit" for line in service.said.splitlines())


@pytest.mark.parametrize("command", ["migrate", "check"])
async def test_the_commands_beside_serve_end_well(config: MakeConfig, tmp_path: Path, command: str) -> None:
    await config("audit")
    program = Program("audit", [sys.executable, "-m", "igstats_audit", command], tmp_path / "log")
    assert await (await Child.start(program)).wait() == 0, program.log.read_text()
    if command == "check":
        assert json.loads(program.log.read_text())["log_origin"] == "igstats.localhost"
