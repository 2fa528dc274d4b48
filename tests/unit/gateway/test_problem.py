import pytest
from igstats_gateway.problem import catalogue, headers, passing, pointer, problem, status_of
from igstats_kit.errors import DomainError, Reason, Violation


def test_a_problem_says_what_why_and_what_to_do() -> None:
    error = DomainError(Reason.FIELD_INVALID, violations=[Violation("contacts[0].contact_id", "is unknown")])
    assert problem(error, "req_1") == {
        "type": "/v1/errors/FIELD_INVALID",
        "title": "A field of the request breaks its rule.",
        "status": 400,
        "code": "INVALID_ARGUMENT",
        "reason": "FIELD_INVALID",
        "fix": "Correct the fields that the violations name.",
        "requestId": "req_1",
        "errors": [{"pointer": "#/contacts/0/contactId", "detail": "is unknown"}],
    }


@pytest.mark.parametrize(
    ("field", "expected"),
    [("", "#"), ("kind", "#/kind"), ("subject.own_account", "#/subject/ownAccount"), ("a[1].b[2]", "#/a/1/b/2")],
)
def test_a_field_path_is_a_json_pointer(field: str, expected: str) -> None:
    assert pointer(field) == expected


def test_every_reason_has_an_http_status_and_a_row() -> None:
    assert all(400 <= status_of(reason) < 600 for reason in Reason)
    assert [row["reason"] for row in catalogue()] == [str(reason) for reason in Reason]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.API_KEY_EXPIRED, 401),
        (Reason.SCOPE_MISSING, 403),
        (Reason.METHOD_UNKNOWN, 404),
        (Reason.IDEMPOTENCY_KEY_IN_USE, 409),
        (Reason.EVIDENCE_LOST, 410),
        (Reason.MESSAGE_TOO_LARGE, 413),
        (Reason.IDEMPOTENCY_KEY_REUSED, 422),
        (Reason.RATE_LIMITED, 429),
        (Reason.INTERNAL, 500),
        (Reason.DEPENDENCY_UNAVAILABLE, 503),
        (Reason.DEADLINE_TOO_SHORT, 504),
    ],
)
def test_reasons_have_the_status_that_http_clients_expect(reason: Reason, status: int) -> None:
    assert status_of(reason) == status


def test_errors_bring_their_header_fields() -> None:
    assert headers(DomainError(Reason.RATE_LIMITED, retry_after=1.2)) == {"retry-after": "2"}
    assert headers(DomainError(Reason.API_KEY_MISSING)) == {"www-authenticate": "Bearer"}
    assert headers(DomainError(Reason.METHOD_UNKNOWN, allow="GET")) == {"allow": "GET"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DomainError(Reason.INSTAGRAM_THROTTLED, retry_after=7.0), True),
        (DomainError(Reason.INSTAGRAM_THROTTLED), True),
        (DomainError(Reason.RATE_LIMITED), True),
        (DomainError(Reason.IDEMPOTENCY_KEY_IN_USE), True),
        (DomainError(Reason.EVIDENCE_NOT_READY, retry_after=1.0), True),
        (DomainError(Reason.EVIDENCE_LOST), False),
        (DomainError(Reason.MESSAGE_TOO_LARGE), False),
        (DomainError(Reason.PROFILE_NOT_FOUND), False),
        (DomainError(Reason.SUBJECT_ERASED), False),
    ],
)
def test_what_passes_is_told_from_what_stays(error: DomainError, expected: bool) -> None:  # noqa: FBT001 - a case
    assert passing(error) is expected
