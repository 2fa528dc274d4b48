"""Evidence that is true passes; each way to bend it is found and named."""

import base64
import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1.request_service_pb2 import EvidenceEntry, GetEvidenceResponse, HolderKey
from igstats.event.v1.events_pb2 import HolderOutcome
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase
from igstats_audit.tree import EMPTY_ROOT
from igstats_client.verdict import Check
from igstats_client.verifier import verify

Case = Any
"""The builder of conftest.py."""


def checks(evidence: GetEvidenceResponse) -> set[Check]:
    return {finding.check for finding in verify(evidence).findings}


def test_true_evidence_has_no_findings_and_tells_who_did_what(case: Case) -> None:
    verdict = verify(case.evidence())
    assert verdict.ok, verdict.findings
    assert (verdict.state, verdict.entry_count, verdict.tree_size) == ("FULFILLED", 17, 27)
    assert [statement.holder for statement in verdict.statements] == ["audit", "gateway", "privacy", "stats"]
    assert verdict.statements[0].outcome == "ERASED"
    assert verdict.statements[0].counts == (("profiles", 1),)
    assert verdict.statements[0].phases == ("FENCE", "ERASE", "SWEEP", "ATTEST")
    assert not verdict.keys_pinned


def test_trusted_keys_that_agree_are_pinned(case: Case) -> None:
    trusted = {holder: key.public_key().public_bytes_raw() for holder, key in case.keys.items()}
    verdict = verify(case.evidence(), log_key=case.log.verifier_key, holder_keys=trusted)
    assert verdict.ok
    assert verdict.keys_pinned


def test_a_log_under_another_key_is_not_trusted(case: Case) -> None:
    evidence = case.evidence()
    other = evidence.verifier_key.replace("igstats.test", "igstats.evil")
    assert {finding.check for finding in verify(evidence, log_key=other).findings} == {Check.LOG_KEY_UNTRUSTED}


def test_a_holder_under_another_key_is_not_trusted(case: Case) -> None:
    trusted = {holder: key.public_key().public_bytes_raw() for holder, key in case.keys.items()} | {"stats": b"k" * 32}
    found = {finding.check for finding in verify(case.evidence(), holder_keys=trusted).findings}
    assert Check.HOLDER_KEY_UNTRUSTED in found


def test_facts_of_other_kinds_may_stand_beside_the_receipts(case: Case) -> None:
    assert verify(case.log_payloads([("retention.ran", "stats", b"{}"), *case.payloads()])).ok


def test_a_request_that_was_denied_needs_no_receipts(case: Case) -> None:
    case.receipts.clear()
    case.closing.state = "DENIED"
    case.list_holders()
    assert verify(case.evidence()).ok


def _with_checkpoint(size: int, root: bytes) -> Callable[[Case, GetEvidenceResponse], None]:
    def change(case: Case, evidence: GetEvidenceResponse) -> None:
        evidence.checkpoint = case.log.sign(f"{case.log.name}\n{size}\n{base64.b64encode(root).decode()}\n")

    return change


def _on_entry(change: Callable[[EvidenceEntry], object]) -> Callable[[Case, GetEvidenceResponse], object]:
    return lambda _, evidence: change(evidence.entries[3])


def _other_origin(case: Case, evidence: GetEvidenceResponse) -> None:
    text = evidence.checkpoint.partition("\n\n")[0] + "\n"
    evidence.checkpoint = case.log.sign(text.replace(case.log.name, "another.log"))


BENT: list[tuple[Check, Callable[[Case, GetEvidenceResponse], Any]]] = [
    (Check.LOG_KEY_MALFORMED, lambda _, e: setattr(e, "verifier_key", "key")),
    (Check.CHECKPOINT_MALFORMED, lambda _, e: setattr(e, "checkpoint", e.checkpoint.rstrip("\n"))),
    (Check.CHECKPOINT_SIGNATURE, lambda _, e: setattr(e, "checkpoint", e.checkpoint.replace("\n27\n", "\n28\n"))),
    (Check.CHECKPOINT_ORIGIN, _other_origin),
    (Check.TREE_EMPTY, _with_checkpoint(0, EMPTY_ROOT)),
    (Check.INCLUSION_SHAPE, _with_checkpoint(8, b"r" * 32)),
    (Check.INCLUSION_ROOT, _with_checkpoint(27, b"r" * 32)),
    (Check.ENTRIES_MISSING, lambda _, e: e.ClearField("entries")),
    (Check.ENTRY_ORDER, lambda _, e: e.entries.append(e.entries[0])),
    (Check.INCLUSION_SHAPE, _on_entry(lambda entry: setattr(entry, "index", 27))),
    (Check.INCLUSION_SHAPE, _on_entry(lambda entry: setattr(entry, "index", -1))),
    (Check.INCLUSION_SHAPE, _on_entry(lambda entry: entry.path.append(b"x" * 32))),
    (Check.INCLUSION_SHAPE, _on_entry(lambda entry: entry.path.pop())),
    (Check.INCLUSION_SHAPE, _on_entry(lambda entry: entry.path.__setitem__(0, b"x" * 31))),
    (Check.INCLUSION_ROOT, _on_entry(lambda entry: entry.path.__setitem__(0, b"x" * 32))),
    (Check.LEAF_MALFORMED, _on_entry(lambda entry: setattr(entry, "leaf", entry.leaf + b"\0"))),
    (Check.LEAF_MALFORMED, _on_entry(lambda entry: setattr(entry, "leaf", b"\x02" + entry.leaf[1:]))),
    (Check.LEAF_MALFORMED, _on_entry(lambda entry: setattr(entry, "leaf", b"\x01" + b"\0" * 92))),
    (Check.LEAF_KIND, _on_entry(lambda entry: setattr(entry, "kind", "request.closed"))),
    (Check.COMMITMENT, _on_entry(lambda entry: setattr(entry, "salt", b"s" * 32))),
    (Check.COMMITMENT, _on_entry(lambda entry: setattr(entry, "salt", entry.salt + entry.payload[:1]))),
    (Check.COMMITMENT, _on_entry(lambda entry: setattr(entry, "payload", b""))),
    (Check.HOLDER_KEY_MALFORMED, lambda _, e: e.holder_keys.append(HolderKey(holder="stats", public_key=b"short"))),
    (Check.HOLDER_KEY_MISSING, lambda _, e: e.holder_keys.pop()),
    (Check.REQUEST, lambda _, e: setattr(e, "request_id", "")),
    (Check.REQUEST, lambda _, e: setattr(e, "request_id", "req_02")),
    (Check.CLOSING_MISSING, lambda _, e: e.entries.pop()),
    (Check.RECEIPT_CHAIN, lambda _, e: e.entries.pop(0)),
    (Check.PHASE_MISSING, lambda _, e: e.entries.pop(0)),
]


@pytest.mark.parametrize(("check", "bend"), BENT)
def test_bent_evidence_is_found_out(
    case: Case, check: Check, bend: Callable[[Case, GetEvidenceResponse], object]
) -> None:
    evidence = case.evidence()
    bend(case, evidence)
    assert check in checks(evidence)


def test_a_lost_attestation_is_missed(case: Case) -> None:
    evidence = case.evidence()
    del evidence.entries[-2]
    assert checks(evidence) == {Check.ATTESTATION_MISSING}


def test_a_holder_left_out_of_the_closing_shows(case: Case) -> None:
    del case.closing.holders[0]
    assert checks(case.evidence()) == {Check.HOLDER_UNLISTED}


def test_a_listed_holder_that_never_answered_shows(case: Case) -> None:
    case.closing.holders.append(HolderOutcome(holder="mail", outcome="ERASED"))
    assert checks(case.evidence()) == {Check.ATTESTATION_MISSING}


def test_a_fulfilled_request_without_holders_is_refused(case: Case) -> None:
    case.receipts.clear()
    case.list_holders()
    assert checks(case.evidence()) == {Check.CLOSING_EMPTY}


def test_two_closings_are_refused(case: Case) -> None:
    payloads = case.payloads()
    assert checks(case.log_payloads([*payloads, payloads[-1]])) == {Check.CLOSING_REPEATED}


def test_a_holder_listed_twice_is_refused(case: Case) -> None:
    case.closing.holders.append(case.closing.holders[0])
    assert checks(case.evidence()) == {Check.CLOSING_REPEATED}


def test_a_closing_that_names_another_receipt_is_refused(case: Case) -> None:
    case.closing.holders[0].receipt_digest = b"d" * 32
    assert checks(case.evidence()) == {Check.ATTESTATION_DIGEST}


def test_a_closing_that_embellishes_an_outcome_is_refused(case: Case) -> None:
    case.closing.holders[0].outcome = "NOT_HELD"
    assert checks(case.evidence()) == {Check.OUTCOME_MISMATCH}


def test_retained_data_is_not_a_full_success(case: Case) -> None:
    case.receipts[-1].outcome = Outcome.OUTCOME_RETAINED
    case.list_holders()
    assert checks(case.evidence()) == {Check.OUTCOME_MISMATCH}
    case.closing.state = "FULFILLED_IN_PART"
    assert not checks(case.evidence())


def test_success_over_an_unclean_sweep_is_refused(case: Case) -> None:
    swept = next(one for one in case.receipts if one.phase == Phase.PHASE_SWEEP)
    swept.outcome = Outcome.OUTCOME_NEEDS_HUMAN
    assert Check.OUTCOME_UNSETTLED in checks(case.evidence())


def test_a_receipt_handed_in_by_another_service_is_refused(case: Case) -> None:
    kind, _, payload = case.payloads()[0]
    assert checks(case.log_payloads([(kind, "mallory", payload), *case.payloads()[1:]])) == {Check.PRODUCER}


def test_a_closing_that_privacy_did_not_send_is_refused(case: Case) -> None:
    *receipts, (kind, _, payload) = case.payloads()
    assert checks(case.log_payloads([*receipts, (kind, "stats", payload)])) == {Check.PRODUCER}


def test_a_receipt_that_its_holder_did_not_sign_is_refused(case: Case) -> None:
    signed = case.sign(case.receipts[-1])
    signed.signature = signed.signature[:-1] + bytes([signed.signature[-1] ^ 1])
    payloads = case.payloads()
    payloads[-2] = ("receipt.issued", "stats", signed.SerializeToString())
    assert checks(case.log_payloads(payloads)) == {Check.RECEIPT_SIGNATURE, Check.ATTESTATION_MISSING}


@pytest.mark.parametrize("payload", [b"\xff", b"", b"\x0a\x01\xff"])
def test_payloads_that_are_no_messages_are_refused(case: Case, payload: bytes) -> None:
    evidence = case.log_payloads([*case.payloads(), ("receipt.issued", "stats", payload)])
    assert checks(evidence) == {Check.PAYLOAD_MALFORMED}


def test_a_time_beyond_the_calendar_is_refused(case: Case) -> None:
    case.closing.closed_time.CopyFrom(Timestamp(seconds=2**60))
    assert Check.PAYLOAD_MALFORMED in checks(case.evidence())


def test_a_phase_that_does_not_exist_is_refused(case: Case) -> None:
    case.receipts[0].phase = 99
    assert Check.PAYLOAD_MALFORMED in checks(case.evidence())


def test_no_flipped_byte_passes_and_none_breaks_the_verifier(case: Case) -> None:
    raw = case.evidence().SerializeToString(deterministic=True)
    chance = random.Random(7)  # noqa: S311 - a repeatable choice of places, no secret
    for place in chance.sample(range(len(raw)), 400):
        bent = bytearray(raw)
        bent[place] ^= 1 << chance.randrange(8)
        try:
            evidence = GetEvidenceResponse.FromString(bytes(bent))
        except Exception as error:  # noqa: BLE001 - protobuf's own error for bytes that are no message
            assert type(error).__name__ == "DecodeError"  # noqa: PT017 - only this error may come
            continue
        assert not verify(evidence).ok, f"bit flipped at {place} of {len(raw)}"
