"""Evidence of the real log when a part of it is lost or cut, and with the line of a witness."""

from datetime import timedelta
from typing import Any

import pytest
from igstats_audit import events
from igstats_audit.tables import EVIDENCE_DAYS
from igstats_client import archive_file
from igstats_client.verdict import Check
from igstats_client.verifier import verify
from igstats_kit.errors import DomainError, Reason

from tests.integration.audit.test_archive import HOLDERS, Deletion, logged, whole, witness
from tests.unit.audit.test_witness import NAME as WITNESS
from tests.unit.audit.test_witness import VKEY as WITNESS_KEY

Log = Any
"""The log of conftest.py."""


async def refusal(log: Log, deletion: Deletion) -> DomainError:
    with pytest.raises(DomainError) as refused:
        await whole(log, deletion)
    return refused.value


@pytest.mark.parametrize(("before", "lost"), [(3, "12"), (5, "17")])
async def test_after_an_accepted_loss_of_keys_a_person_hears_what_is_lost(log: Log, before: int, lost: str) -> None:
    deletion = Deletion()
    said = [events.receipts(deletion.issued(holder)) for holder in HOLDERS]
    said.append(events.closings(deletion.closed(*HOLDERS)))
    async with log.writer() as writer:
        for entries in said[:before]:
            await writer.append(entries)
    await log.world.tell("DELETE FROM data_keys")  # as the runbook has it
    await log.world.tell("DELETE FROM key_of_day")
    assert (await refusal(log, deletion)).metadata == {"lost": lost, "entries": lost}
    async with log.writer() as writer:
        for entries in said[before:]:
            await writer.append(entries)
    error = await refusal(log, deletion)
    assert (error.reason, error.retry_after) == (Reason.EVIDENCE_LOST, None)
    assert error.metadata == {"lost": lost, "entries": "17"}, "what opens does not hide what is lost"


async def test_a_damaged_key_is_not_taken_for_lost_evidence(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    await log.world.tell("UPDATE data_keys SET wrapped = set_byte(wrapped, 0, get_byte(wrapped, 0) # 1)")
    error = await refusal(log, deletion)
    assert (error.reason, error.metadata) == (Reason.DEPENDENCY_UNAVAILABLE, {"dependency": "keys"})
    await log.world.tell("UPDATE data_keys SET wrapped = set_byte(wrapped, 0, get_byte(wrapped, 0) # 1)")
    assert verify(archive_file.parse(await whole(log, deletion))).ok


async def test_what_the_log_has_cut_is_not_waited_for(log: Log) -> None:
    deletion, clock = Deletion(), log.world.clock
    async with log.writer() as writer:
        for holder in HOLDERS:
            await writer.append(events.receipts(deletion.issued(holder)))
        clock.advance(timedelta(days=1))
        await writer.append(events.closings(deletion.closed(*HOLDERS)))
        assert verify(archive_file.parse(await whole(log, deletion))).ok
    for _ in range(2):  # first what the holders said, then the closing, too
        clock.advance(timedelta(days=EVIDENCE_DAYS - 1))
        async with log.world.writing(log.world.open()) as logs:
            await logs.cut.run(clock.now().date())
        error = await refusal(log, deletion)
        assert (error.reason, error.retry_after) == (Reason.ENTRY_CUT, None)


async def test_the_line_of_the_witness_is_in_every_proof_though_the_log_has_grown_since(log: Log) -> None:
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    await witness(log)
    async with log.writer() as writer:
        await writer.append([log.entry(f"later{number}") for number in range(300)])
    files = archive_file.parse(await whole(log, deletion))
    verdict = verify(files, log_keys=log.signer.verifier_keys, witness_keys=[WITNESS_KEY])
    assert verdict.ok, verdict.findings
    assert (verdict.tree_size, [one.name for one in verdict.witnesses]) == (617, [WITNESS])
    assert verdict.signed_with == ("Ed25519", "ML-DSA-44")
    proofs = [content for name, content in files.items() if name.endswith(".tlog-proof")]
    assert len(proofs) == 17
    assert all(f"\n— {WITNESS} " in proof.decode() for proof in proofs)
    assert WITNESS in files["README.txt"].decode()


async def test_what_the_witness_has_not_seen_is_proved_without_it(log: Log) -> None:
    async with log.writer() as writer:
        await writer.append([log.entry("first")])
    await witness(log)
    deletion = Deletion()
    await logged(log, deletion, *HOLDERS)
    files = archive_file.parse(await whole(log, deletion))
    assert verify(files).ok
    found = verify(files, witness_keys=[WITNESS_KEY]).findings
    assert [one.check for one in found if one.where == "checkpoint"] == [Check.WITNESS_MISSING]
