"""What evidence the log has of a request, and what it says when it has not all of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.evidence import Evidence, receipt_entry_id
from igstats_audit.model import Head, NewEntry, Seal
from igstats_audit.note import NoteSigner
from igstats_audit.tree import leaf_hash
from igstats_client.merkle import root_of
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock
from ulid import ULID

from tests.unit.audit.test_proofs import fill, proofs_of

Log = Any
"""MemoryLog of conftest.py."""

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = 730
RECEIPT = receipt_entry_id("req_1/stats/ATTEST", b"\xab")


class Witnessed:
    """Has a cosigned checkpoint, or none."""

    def __init__(self, log: Log, size: int = 0) -> None:
        self.log, self.size = log, size

    async def covering(self, index: int, head: Head) -> Seal | None:
        assert head == self.log.newest
        if index >= self.size:
            return None
        return Seal(await proofs_of(self.log).tree(self.size), "signed", "lines")


def evidence_of(log: Log, cosigned: int = 0) -> Evidence:
    return Evidence(log, proofs_of(log), Witnessed(log, cosigned), named, FakeClock(MOMENT), days=DAYS)


def entry(entry_id: str, kind: str = "test.made", request_id: str = "", payload: bytes = b"") -> NewEntry:
    return NewEntry(entry_id, kind, request_id, "privacy" if kind == "request.closed" else "stats", payload, MOMENT)


def opened(days_ago: int) -> str:
    """Id of a request that was opened so long ago."""
    return f"req_{ULID.from_datetime(MOMENT - timedelta(days=days_ago))}".lower()


async def refused(log: Log, request_id: str) -> DomainError:
    with pytest.raises(DomainError) as found:
        await evidence_of(log).of(request_id)
    return found.value


def named(_kind: str, payload: bytes) -> frozenset[str]:
    return frozenset(payload.decode().split())


async def test_evidence_holds_every_entry_of_the_request_with_its_proof(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    given = [
        entry("other", request_id="req_2"),
        entry(RECEIPT, "receipt.issued", "req_1"),
        entry("closing", "request.closed", "req_1", b"ab"),
        entry("last"),
    ]
    await fill(memory_log, note_signer, given)
    found = await evidence_of(memory_log).of("req_1")
    assert [one.entry_id for one in found.entries] == [RECEIPT, "closing"]
    for one, proved in zip(found.entries, found.acknowledgements, strict=True):
        assert root_of(leaf_hash(one.leaf), proved.index, 4, proved.path) == memory_log.newest.tree.root


async def test_no_other_service_adds_a_closing_or_a_receipt_to_the_evidence(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    forged = [
        NewEntry("forged", "request.closed", "req_1", "gateway", b"", MOMENT),
        NewEntry(receipt_entry_id("req_1/stats/ERASE", b"\xcd"), "receipt.issued", "req_1", "gateway", b"", MOMENT),
    ]
    mine = [
        entry(RECEIPT, "receipt.issued", "req_1"),
        NewEntry("said", "sweep.deep", "req_1", "gateway", b"", MOMENT),
        entry("closing", "request.closed", "req_1", b"ab"),
    ]
    await fill(memory_log, note_signer, [*forged, *mine])
    found = await evidence_of(memory_log).of("req_1")
    assert [one.entry_id for one in found.entries] == [RECEIPT, "said", "closing"]
    assert [one.index for one in found.acknowledgements] == [2, 3, 4]


@pytest.mark.parametrize(("cosigned", "size"), [(0, 5), (3, 5), (4, 4), (5, 5)])
async def test_evidence_is_proved_to_the_cosigned_tree_if_that_has_all_of_it(
    memory_log: Log, note_signer: NoteSigner, cosigned: int, size: int
) -> None:
    given = [entry("a"), entry(RECEIPT, "receipt.issued", "req_1"), entry("b")]
    await fill(memory_log, note_signer, [*given, entry("closing", "request.closed", "req_1", b"ab"), entry("c")])
    found = await evidence_of(memory_log, cosigned).of("req_1")
    root = (await proofs_of(memory_log).tree(size)).root
    for one, proved in zip(found.entries, found.acknowledgements, strict=True):
        assert root_of(leaf_hash(one.leaf), proved.index, size, proved.path) == root
    expected = ("signed", "lines") if cosigned >= 4 else (memory_log.newest.checkpoint, "")
    assert (found.checkpoint, found.cosignatures) == expected


@pytest.mark.parametrize(
    "given",
    [
        [
            NewEntry(RECEIPT, "receipt.issued", "req_1", "gateway", b"", MOMENT),
            entry("closing", "request.closed", "req_1", b"ab"),
        ],
        [entry(RECEIPT, "receipt.issued", "req_1")],
        [entry("closing", "request.closed", "req_1", b"ab")],
        [
            entry(receipt_entry_id("req_1/stats/ATTEST", b"\xcd"), "receipt.issued", "req_1"),
            entry("closing", "request.closed", "req_1", b"ab"),
        ],
        [entry(RECEIPT, "receipt.issued", "req_1", b"01 02"), entry("closing", "request.closed", "req_1", b"ab")],
    ],
)
async def test_evidence_waits_for_the_closing_and_all_that_it_and_its_receipts_name(
    memory_log: Log, note_signer: NoteSigner, given: list[NewEntry]
) -> None:
    await fill(memory_log, note_signer, given)
    error = await refused(memory_log, "req_1")
    assert error.reason is Reason.EVIDENCE_NOT_READY
    assert error.retry_after


@pytest.mark.parametrize("given", [[], [NewEntry("forged", "request.closed", "req_1", "gateway", b"", MOMENT)]])
async def test_of_a_request_that_the_log_does_not_know_there_is_nothing_to_wait_for(
    memory_log: Log, note_signer: NoteSigner, given: list[NewEntry]
) -> None:
    await fill(memory_log, note_signer, given)
    error = await refused(memory_log, "req_1")
    assert (error.reason, error.retry_after) == (Reason.ENTRY_NOT_FOUND, None)
    made_up = await refused(memory_log, opened(days_ago=3))
    assert (made_up.reason, made_up.metadata) == (error.reason, error.metadata)


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("closed", [True, False])
async def test_what_no_longer_opens_is_told_at_once_and_for_good(
    memory_log: Log, note_signer: NoteSigner, lost: tuple[int, ...], *, closed: bool
) -> None:
    last = entry("closing", "request.closed", "req_1", b"ab") if closed else entry("sweep", "test.made", "req_1")
    given = [entry(RECEIPT, "receipt.issued", "req_1"), entry("said", "sweep.deep", "req_1"), last]
    await fill(memory_log, note_signer, given)
    for index in lost:
        memory_log.kept[index] = replace(memory_log.kept[index], salt=b"", payload=b"")
    error = await refused(memory_log, "req_1")
    assert (error.reason, error.retry_after) == (Reason.EVIDENCE_LOST, None)
    assert error.metadata == {"lost": str(len(lost)), "entries": "3"}


async def test_an_empty_payload_that_opens_is_not_lost(memory_log: Log, note_signer: NoteSigner) -> None:
    await fill(memory_log, note_signer, [entry("closing", "request.closed", "req_1")])
    assert len((await evidence_of(memory_log).of("req_1")).entries) == 1


@pytest.mark.parametrize("left", [[], ["receipt.issued"], ["request.closed"]])
async def test_of_a_request_that_reaches_into_days_that_are_cut_nothing_is_on_its_way(
    memory_log: Log, note_signer: NoteSigner, left: list[str]
) -> None:
    old, young = opened(days_ago=DAYS), opened(days_ago=DAYS - 1)
    given = [
        entry(f"{request_id}/stats/ATTEST/cd", kind, request_id, b"ab") for kind in left for request_id in (old, young)
    ]
    await fill(memory_log, note_signer, [entry("first"), *given])
    assert (await refused(memory_log, old)).reason is not Reason.ENTRY_CUT, "nothing is cut yet"
    memory_log.newest = replace(memory_log.newest, minimum_index=1)
    error = await refused(memory_log, old)
    assert (error.reason, error.retry_after) == (Reason.ENTRY_CUT, None)
    assert (await refused(memory_log, young)).reason is not Reason.ENTRY_CUT


async def test_what_is_whole_is_handed_out_on_its_last_day(memory_log: Log, note_signer: NoteSigner) -> None:
    old = opened(days_ago=DAYS + 5)
    await fill(memory_log, note_signer, [entry("first"), entry("closing", "request.closed", old)])
    memory_log.newest = replace(memory_log.newest, minimum_index=1)
    assert len((await evidence_of(memory_log).of(old)).entries) == 1
