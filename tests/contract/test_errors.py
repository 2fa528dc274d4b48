"""Every reason of the protos has a public face, and only those."""

import re
import string

import grpc
import pytest
from google.protobuf.descriptor import EnumDescriptor
from igstats.error.v1.error_reason_pb2 import ErrorReason
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats_kit.errors import CATALOGUE, DomainError, Reason, Violation
from igstats_kit.status import from_status, to_status
from igstats_kit.tokens import KINDS


def names(enum: EnumDescriptor, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in enum.values_by_name} - {"UNSPECIFIED"}


def test_reasons_are_those_of_the_protos() -> None:
    assert set(Reason.__members__) == names(ErrorReason.DESCRIPTOR, "ERROR_REASON_")
    assert all(reason.name == reason.value for reason in Reason)


def test_identifier_kinds_are_those_of_the_protos() -> None:
    assert names(IdentifierKind.DESCRIPTOR, "IDENTIFIER_KIND_") == KINDS


def test_catalogue_has_a_row_for_every_reason() -> None:
    assert set(CATALOGUE) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_row_has_a_grpc_code_a_text_and_a_fix(reason: Reason) -> None:
    row = CATALOGUE[reason]
    assert row.code in grpc.StatusCode.__members__
    assert row.code not in ("OK", "UNKNOWN", "CANCELLED")
    for sentence in (row.text, row.fix):
        assert re.fullmatch(r"[A-Z].+\.", sentence)
        assert not set(sentence) & set(string.digits + "{}<>") - set("9421")


@pytest.mark.parametrize("reason", Reason)
def test_error_survives_the_wire(reason: Reason) -> None:
    error = DomainError(reason, violations=[Violation("a.b", "must be")], retry_after=0.25, name="value")
    found = from_status(to_status(error))
    assert found is not None
    assert (found.reason, found.metadata, found.violations) == (reason, error.metadata, error.violations)
    assert found.retry_after == 0.25
