"""A person's evidence, from signed receipts through the real log to a ZIP that other people's tools accept."""

import asyncio
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from igstats.event.v1.events_pb2 import ReceiptsIssued, RequestClosed, RequestsClosed
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, StoreCount
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_audit import events
from igstats_audit.access import ACCESS
from igstats_audit.archive import Archives, Readers
from igstats_audit.archive_servicer import ArchiveRpcs
from igstats_audit.cosignature import key_ring
from igstats_audit.evidence import Evidence
from igstats_audit.payloads import read_closing, read_receipt
from igstats_audit.tables import EVIDENCE_DAYS
from igstats_audit.witness import Witness, Witnessing
from igstats_client import archive_file
from igstats_client.verdict import Check
from igstats_client.verifier import verify
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event
from igstats_kit.receipt import Signer
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority

from tests.integration.audit.conftest import MOMENT, new_pem
from tests.second_opinions.environment import programs
from tests.unit.audit.test_witness import VKEY as WITNESS_KEY
from tests.unit.audit.test_witness import FakeWitness, served

Log = Any
"""The log of conftest.py."""
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]
REQUEST = "req_01jd3zmg6m0000000000000000"
HOLDERS = ("audit", "gateway", "privacy", "stats")
PHASES = ("FENCE", "ERASE", "SWEEP", "ATTEST")
OUTCOMES = {"FENCE": "DONE", "ERASE": "ERASED", "SWEEP": "DONE", "ATTEST": "ERASED"}


class Deletion:
    """A request that every holder did its part of, as NATS tells audit."""

    def __init__(self) -> None:
        self.signers = {holder: Signer(new_pem()) for holder in HOLDERS}
        self.digests: dict[str, list[bytes]] = {holder: [] for holder in HOLDERS}

    def issued(self, holder: str) -> Event:
        """All receipts of a holder."""
        signed = [self.signers[holder].sign(self._receipt(holder, phase)) for phase in PHASES]
        data = ReceiptsIssued(receipts=signed).SerializeToString()
        return Event(f"evt_{holder}", f"igstats.{holder}.v1.receipt.issued", "", MOMENT, data)

    def _receipt(self, holder: str, phase: str) -> Receipt:
        made = Receipt(
            task_id=f"{REQUEST}/{holder}/{phase}",
            request_id=REQUEST,
            holder=holder,
            right=Right.RIGHT_ERASURE,
            phase=Phase.Value(f"PHASE_{phase}"),
            outcome=Outcome.Value(f"OUTCOME_{OUTCOMES[phase]}"),
            counts=[StoreCount(store="profiles", count=3)] if phase == "ERASE" else [],
            earlier_digests=self.digests[holder] if phase == "ATTEST" else [],
        )
        made.executed_time.FromDatetime(MOMENT)
        self.digests[holder].append(_digest(made))
        return made

    def closed(self, *holders: str) -> Event:
        """The closing that lists these holders."""
        closing = RequestClosed(request_id=REQUEST, state="REQUEST_STATE_FULFILLED")
        closing.closed_time.FromDatetime(MOMENT)
        for holder in holders:
            closing.holders.add(holder=holder, outcome="OUTCOME_ERASED", receipt_digest=self.digests[holder][-1])
        data = RequestsClosed(closings=[closing]).SerializeToString()
        name = RequestsClosed.DESCRIPTOR.full_name
        return Event("evt_closed", "igstats.privacy.v1.request.closed", name, MOMENT, data)

    @property
    def keys(self) -> dict[str, list[bytes]]:
        return {holder: [signer.public_key] for holder, signer in self.signers.items()}


def _digest(receipt: Receipt) -> bytes:
    return hashlib.sha256(receipt.SerializeToString(deterministic=True)).digest()


async def logged(log: Log, deletion: Deletion, *listed: str) -> None:
    """Lets the log take receipts and closing between entries of others."""
    async with log.writer() as writer:
        await writer.append([log.entry(f"noise{number}") for number in range(300)])
        for holder in HOLDERS:
            await writer.append(events.receipts(deletion.issued(holder)))
        await writer.append(events.closings(deletion.closed(*listed)))
        await writer.append([log.entry(f"more{number}") for number in range(300)])


def archives(log: Log) -> Archives:
    evidence = Evidence(log.store, log.proofs, log.cosigned, events.named_receipts, log.world.clock, days=EVIDENCE_DAYS)
    return Archives(evidence, log.signer, Readers(read_receipt, read_closing))


async def whole(log: Log, deletion: Deletion) -> bytes:
    return b"".join(await archives(log).of(REQUEST, deletion.keys))


async def test_the_archive_of_the_real_log_verifies_and_names_both_signatures(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    verdict = verify(archive_file.parse(await whole(log, deletion)), log_keys=log.signer.verifier_keys)
    assert verdict.ok, verdict.findings
    assert (verdict.entry_count, verdict.tree_size, verdict.state) == (17, 617, "FULFILLED")
    assert verdict.signed_with == ("Ed25519", "ML-DSA-44")
    assert [one.holder for one in verdict.statements] == list(HOLDERS)


async def test_an_archive_bears_no_signature_under_what_somebody_wrote_into_the_head(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    await log.world.tell("UPDATE heads SET checkpoint = replace(checkpoint, '617', '618') WHERE log = 'evidence'")
    with pytest.raises(DomainError) as refused:
        await whole(log, deletion)
    assert refused.value.reason is Reason.LOG_FILE_LOST


async def test_a_closing_that_another_service_wrote_is_not_in_the_archive(log: Log) -> None:
    deletion = Deletion()
    (closing,) = events.closings(deletion.closed())
    async with log.writer() as writer:
        await writer.append([replace(closing, entry_id="forged", producer="gateway")])
    with pytest.raises(DomainError) as refused:
        await whole(log, deletion)
    assert refused.value.reason is Reason.ENTRY_NOT_FOUND
    await logged(log, deletion, *HOLDERS)
    verdict = verify(archive_file.parse(await whole(log, deletion)))
    assert verdict.ok, verdict.findings
    assert (verdict.entry_count, verdict.tree_size, verdict.state) == (17, 618, "FULFILLED")


async def test_a_holder_that_the_closing_leaves_out_shows(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, "audit", "gateway", "privacy")
    found = verify(archive_file.parse(await whole(log, deletion))).findings
    assert {finding.check for finding in found} == {Check.HOLDER_UNLISTED}


async def test_without_a_holders_key_its_receipts_prove_nothing(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    content = b"".join(await archives(log).of(REQUEST, {**deletion.keys, "stats": []}))
    assert Check.HOLDER_KEY_MISSING in {finding.check for finding in verify(archive_file.parse(content)).findings}


async def test_a_holder_whose_name_is_no_file_name_is_refused(log: Log) -> None:
    with pytest.raises(DomainError) as refused:
        await archives(log).of(REQUEST, {"../evil": [b"k" * 32]})
    assert refused.value.reason is Reason.FIELD_INVALID


async def witness(log: Log) -> FakeWitness:
    """Has the log of now cosigned over HTTP, as the service does."""
    fake = FakeWitness(log.signer.verifier_keys[0])
    fake.free.set()
    async with served(fake) as url, aiohttp.ClientSession() as session:
        keys = key_ring(WITNESS_KEY)
        worker = Witnessing(url, keys, "evidence", log.proofs, log.store, log.cosigned)
        await worker.once(Witness(session, url, keys, log.proofs), log.world.evidence.files)
    assert fake.bodies
    return fake


# Over the wire


@pytest.fixture
async def audit(log: Log, config: MakeConfig, certificates: Authority) -> AsyncIterator[Callable[[str], Any]]:
    """Gives the service as another service sees it."""
    own = await config("audit")

    def settings(service: str) -> ServiceConfig:
        issued = certificates.issue(service)
        return own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key, "health_listen": None})

    rpc = RpcServer(settings("audit"), ACCESS)
    servicer = ArchiveRpcs()  # type: ignore[abstract]  # the other methods are not asked for
    servicer.archives = archives(log)
    add_AuditServiceServicer_to_server(servicer, rpc.server)
    port = await rpc.start()
    async with AsyncExitStack() as opened:
        opened.push_async_callback(rpc.stop, 0)

        def connect(service: str) -> Any:
            channels = Channels(settings(service))
            opened.push_async_callback(channels.close)
            return AuditServiceStub(channels.to("audit", f"127.0.0.1:{port}"))

        yield connect


async def received(audit: Any, deletion: Deletion) -> bytes:
    keys = [pb.HolderKey(holder=holder, public_key=raw) for holder, (raw,) in deletion.keys.items()]
    wanted = pb.GetEvidenceArchiveRequest(request_id=REQUEST, holder_keys=keys)
    return b"".join([answer.chunk async for answer in audit.GetEvidenceArchive(wanted)])


async def test_privacy_gets_the_archive_in_pieces(log: Log, audit: Callable[[str], Any]) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    assert verify(archive_file.parse(await received(audit("privacy"), deletion))).ok


@pytest.mark.parametrize(
    ("service", "reason"), [("privacy", Reason.ENTRY_NOT_FOUND), ("gateway", Reason.CALLER_NOT_ALLOWED)]
)
async def test_nobody_gets_what_is_not_there_and_nobody_else_gets_anything(
    log: Log, audit: Callable[[str], Any], service: str, reason: Reason
) -> None:
    async with log.writer():
        pass
    with pytest.raises(DomainError) as refused:
        await received(audit(service), Deletion())
    assert refused.value.reason is reason


# Other people's tools


async def ran(command: str, folder: Path, *paths: Path) -> tuple[int, str]:
    """Runs a shell command in a folder, with the programs of `paths` at hand; answers its code and what it said."""
    path = ":".join([*map(str, paths), "/usr/local/bin:/usr/bin:/bin"])
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-o",
        "pipefail",
        "-c",
        command,
        cwd=folder,
        env={"PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.fixture
async def unpacked(log: Log, tmp_path: Path) -> Path:
    """The archive as a person has it after unpacking it, with the line of a witness."""
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    await witness(log)
    async with log.writer() as writer:
        await writer.append([log.entry("later")])
    content = await whole(log, deletion)
    (tmp_path / "evidence.zip").write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "evidence")
    return tmp_path / "evidence"


def commands(folder: Path, program: str) -> list[str]:
    """The commands of the manual that begin with a program."""
    lines = (folder / "README.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and line.strip().startswith(program)]


@pytest.mark.timeout(500)
@pytest.mark.xdist_group("second-opinions")
async def test_proofbundle_accepts_every_proof_and_refuses_a_flipped_byte(unpacked: Path) -> None:
    tools = await asyncio.to_thread(programs)
    proofs = commands(unpacked, "proofbundle verify-proof")
    assert len(proofs) == 17
    code, said = await ran("\n".join(["set -e", *proofs[:3], proofs[-1]]), unpacked, tools)
    assert (code, said.count("=> OK")) == (0, 4), said
    leaf = unpacked / "entries" / "01-receipt.issued.leaf"
    leaf.write_bytes(_flipped(leaf.read_bytes()))
    code, said = await ran(proofs[0], unpacked, tools)
    assert code != 0, said
    witnessed = f"{proofs[1]} --witness-vkey '{WITNESS_KEY}' --threshold 1"
    assert (await ran(witnessed, unpacked, tools))[0] == 0
    proof = unpacked / "entries" / "02-receipt.issued.tlog-proof"
    proof.write_text(proof.read_text()[: proof.read_text().rindex("— ")])
    assert (await ran(witnessed, unpacked, tools))[0] != 0


async def test_openssl_accepts_every_signature_and_refuses_a_flipped_byte(unpacked: Path) -> None:
    checks = commands(unpacked, "openssl pkeyutl")
    assert len(checks) == 17
    code, said = await ran("\n".join(["set -e", *checks]), unpacked)
    assert (code, said.count("Signature Verified Successfully")) == (0, 17), said
    for name, check in (("checkpoint/text", checks[0]), ("receipts/01-audit-FENCE.signed", checks[1])):
        file = unpacked / name
        file.write_bytes(_flipped(file.read_bytes()))
        code, said = await ran(check, unpacked)
        assert (code != 0, "Failure" in said) == (True, True), said


async def test_sha256sum_and_cmp_tie_statements_to_leaves_and_signatures(unpacked: Path) -> None:
    digests = commands(unpacked, "(printf") + commands(unpacked, "tail -c 32")
    said = [await ran(command, unpacked) for command in digests]
    assert {code for code, _ in said} == {0}
    made, held = said[:17], said[17:]
    assert [text.split()[0] for _, text in made] == [text.strip() for _, text in held]
    code, difference = await ran("\n".join(["set -e", *commands(unpacked, "cmp")]), unpacked)
    assert (code, difference) == (0, "")
    signed = unpacked / "receipts" / "02-audit-ERASE.signed"
    signed.write_bytes(_flipped(signed.read_bytes()))
    code, _ = await ran(commands(unpacked, "cmp")[1], unpacked)
    assert code == 1


async def test_our_own_command_needs_nothing_but_the_file(unpacked: Path) -> None:
    igstats = Path(sys.executable).with_name("igstats")
    code, said = await ran(f"{igstats} receipt verify ../evidence.zip", unpacked)
    assert (code, said.startswith("VERIFIED")) == (0, True), said
    whole_file = unpacked.with_suffix(".zip")
    place = re.search(rb"entries/01-receipt\.issued\.payload", whole_file.read_bytes())
    assert place is not None
    bent = bytearray(whole_file.read_bytes())
    bent[place.end() + 40] ^= 1
    whole_file.write_bytes(bytes(bent))
    code, said = await ran(f"{igstats} receipt verify ../evidence.zip", unpacked)
    assert (code, said.startswith("NOT VERIFIED")) == (1, True), said


def _flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])
