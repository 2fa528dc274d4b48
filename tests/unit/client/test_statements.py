"""Statements that do not fit together are found, although every one of them is signed, logged and proved."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import HolderOutcome
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_client.verdict import Check
from igstats_client.verifier import verify

Case = Any
"""The builder of conftest.py."""


def checks(files: dict[str, bytes]) -> set[Check]:
    return {finding.check for finding in verify(files).findings}


def test_a_lost_attestation_is_missed(case: Case) -> None:
    del case.receipts[-1]
    assert checks(case.archive()) == {Check.ATTESTATION_MISSING}


def test_a_lost_receipt_is_missed(case: Case) -> None:
    del case.receipts[0]
    assert checks(case.archive()) == {Check.RECEIPT_CHAIN, Check.PHASE_MISSING}


def test_a_registered_holder_that_was_left_out_altogether_shows(case: Case) -> None:
    case.receipts = [one for one in case.receipts if one.holder != "stats"]
    case.list_holders()
    assert checks(case.archive()) == {Check.HOLDER_UNLISTED}


def test_a_holder_left_out_of_the_closing_shows(case: Case) -> None:
    del case.closing.holders[0]
    assert checks(case.archive()) == {Check.HOLDER_UNLISTED}


def test_a_listed_holder_that_never_answered_shows(case: Case) -> None:
    case.closing.holders.append(HolderOutcome(holder="mail", outcome="ERASED"))
    assert checks(case.archive()) == {Check.ATTESTATION_MISSING}


def test_a_fulfilled_request_without_holders_is_refused(case: Case) -> None:
    case.receipts.clear()
    case.list_holders()
    assert checks(case.archive()) == {Check.CLOSING_EMPTY}


def test_two_closings_are_refused(case: Case) -> None:
    payloads = case.payloads()
    assert checks(case.log_payloads([*payloads, payloads[-1]])) == {Check.CLOSING_REPEATED}


def test_a_holder_listed_twice_is_refused(case: Case) -> None:
    case.closing.holders.append(case.closing.holders[0])
    assert checks(case.archive()) == {Check.CLOSING_REPEATED}


def test_a_closing_that_names_another_receipt_is_refused(case: Case) -> None:
    case.closing.holders[0].receipt_digest = b"d" * 32
    assert checks(case.archive()) == {Check.ATTESTATION_DIGEST}


def test_a_closing_that_embellishes_an_outcome_is_refused(case: Case) -> None:
    case.closing.holders[0].outcome = "NOT_HELD"
    assert checks(case.archive()) == {Check.OUTCOME_MISMATCH}


def test_retained_data_is_not_a_full_success(case: Case) -> None:
    case.receipts[-1].outcome = Outcome.OUTCOME_RETAINED
    case.list_holders()
    assert checks(case.archive()) == {Check.OUTCOME_MISMATCH}
    case.closing.state = "FULFILLED_IN_PART"
    assert not checks(case.archive())


def test_success_over_an_unclean_sweep_is_refused(case: Case) -> None:
    swept = next(one for one in case.receipts if one.phase == Phase.PHASE_SWEEP)
    swept.outcome = Outcome.OUTCOME_NEEDS_HUMAN
    assert Check.OUTCOME_UNSETTLED in checks(case.archive())


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
    assert checks(case.log_payloads(payloads)) >= {Check.RECEIPT_SIGNATURE, Check.ATTESTATION_MISSING}


@pytest.mark.parametrize("payload", [b"\xff", b"", b"\x0a\x01\xff"])
def test_payloads_that_are_no_messages_are_refused(case: Case, payload: bytes) -> None:
    files = case.log_payloads([*case.payloads(), ("receipt.issued", "stats", payload)])
    assert Check.PAYLOAD_MALFORMED in checks(files)


def test_a_receipt_has_one_form(case: Case) -> None:
    kind, holder, payload = case.payloads()[0]
    files = case.log_payloads([(kind, holder, payload + b"\x20\x01"), *case.payloads()[1:]])
    assert Check.FILE_DIFFERS not in checks(files)  # what protobuf does not know it keeps
    files = case.log_payloads([(kind, holder, payload + payload), *case.payloads()[1:]])
    assert Check.PAYLOAD_MALFORMED in checks(files)


def test_a_time_beyond_the_calendar_is_refused(case: Case) -> None:
    case.closing.closed_time.CopyFrom(Timestamp(seconds=2**60))
    assert Check.PAYLOAD_MALFORMED in checks(case.archive())


def test_a_phase_that_does_not_exist_is_refused(case: Case) -> None:
    case.receipts[0].phase = 99
    assert Check.PAYLOAD_MALFORMED in checks(case.archive())


@pytest.mark.parametrize(("place", "seconds"), [(0, -40), (0, 40), (12, -40)])
def test_a_receipt_of_another_time_than_the_log_says_is_refused(case: Case, place: int, seconds: int) -> None:
    case.receipts[place].executed_time.seconds += seconds
    assert Check.LEAF_TIME in checks(case.archive())


def test_a_closing_of_another_time_than_the_log_says_is_refused(case: Case) -> None:
    case.closing.closed_time.seconds += 60
    assert checks(case.archive()) == {Check.LEAF_TIME}


def test_phases_out_of_order_are_refused(case: Case) -> None:
    case.receipts[0].executed_time.seconds += 20
    assert Check.TIME_ORDER in checks(case.archive())


def test_an_outcome_that_holds_before_it_was_reached_is_refused(case: Case) -> None:
    case.receipts[4].effective_time.seconds = 1
    assert Check.TIME_ORDER in checks(case.archive())


def test_a_deed_after_the_closing_is_refused(case: Case) -> None:
    case.closing.closed_time.seconds -= 600
    assert Check.TIME_ORDER in checks(case.archive())


def test_an_outcome_that_its_phase_cannot_have_is_refused(case: Case) -> None:
    case.receipts[0].outcome = Outcome.OUTCOME_ERASED
    assert Check.OUTCOME_IMPOSSIBLE in checks(case.archive())


def test_receipts_of_another_right_are_refused(case: Case) -> None:
    case.receipts[0].right = Right.RIGHT_ACCESS
    assert Check.RIGHT_MISMATCH in checks(case.archive())
