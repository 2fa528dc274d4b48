"""Errors without gRPC, and what the transport's own errors become."""

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from igstats_kit.errors import DomainError, Reason, TooMuchError, passes
from igstats_kit.status import DETAILS, from_rpc_error, from_status, to_status


def rpc_error(code: grpc.StatusCode, details: str = "", status: bytes | None = None) -> grpc.aio.AioRpcError:
    pairs = [] if status is None else [(DETAILS, status)]
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*pairs), details)


def test_error_shows_its_public_text_and_no_metadata() -> None:
    error = DomainError(Reason.PROFILE_NOT_FOUND, profile_id="17841400000000001")
    assert str(error) == "PROFILE_NOT_FOUND: The account can read no such profile."
    assert error.public.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DomainError(Reason.DEPENDENCY_UNAVAILABLE), True),
        (TooMuchError(Reason.DEPENDENCY_UNAVAILABLE), False),
        (DomainError(Reason.PROFILE_NOT_FOUND), False),
        (KeyError("row"), False),
    ],
)
def test_what_does_not_answer_may_answer_later_and_nothing_else_passes(error: Exception, *, expected: bool) -> None:
    assert passes(error) is expected


@pytest.mark.parametrize(
    ("code", "details", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", Reason.DEPENDENCY_UNAVAILABLE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)", Reason.MESSAGE_TOO_LARGE),
        (grpc.StatusCode.UNIMPLEMENTED, "", Reason.METHOD_UNKNOWN),
        (grpc.StatusCode.UNKNOWN, "KeyError('jane')", Reason.INTERNAL),
    ],
)
def test_error_of_the_transport_gets_a_reason(code: grpc.StatusCode, details: str, reason: Reason) -> None:
    assert from_rpc_error(rpc_error(code, details)).reason is reason


def test_unreachable_dependency_is_named() -> None:
    error = from_rpc_error(rpc_error(grpc.StatusCode.UNAVAILABLE), dependency="stats")
    assert error.metadata == {"dependency": "stats"}


def test_details_that_do_not_parse_count_as_an_error_of_the_transport() -> None:
    assert from_rpc_error(rpc_error(grpc.StatusCode.INTERNAL, status=b"\xff")).reason is Reason.INTERNAL


def test_reason_of_another_domain_or_of_a_newer_service_is_not_taken_over() -> None:
    for domain, reason in (("googleapis.com", "INTERNAL"), ("igstats", "NOT_INVENTED_YET")):
        status = Status()
        status.details.add().Pack(ErrorInfo(domain=domain, reason=reason))
        assert from_status(status) is None


def test_status_names_its_domain_and_carries_only_what_there_is() -> None:
    status = to_status(DomainError(Reason.FIELD_INVALID))
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.ErrorInfo"]
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
