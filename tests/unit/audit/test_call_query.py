"""What is asked of the API log, and how its pages and lines look."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from igstats.audit.v1.audit_service_pb2 import Call
from igstats_audit.call_query import Bookmark, CallFilter, LoggedCall, PageTokens, line, pieces, read_call
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKENS = PageTokens(Sealer(b"r" * 32))
WANTED = CallFilter("acc_1", "req_1", NOON, NOON + timedelta(hours=1), 5)
CALL = LoggedCall("req_1", "acc_1", "k", "/a.B/C", "http", 5, "NOT", NOON, 1500, "192.0.2.7", "\u00fc\u2028\n", 7)


def refused(wanted: CallFilter) -> tuple[Reason, str]:
    with pytest.raises(DomainError) as caught:
        wanted.require_sound()
    return caught.value.reason, next((one.field for one in caught.value.violations), "")


def test_the_filters_that_are_used_have_names() -> None:
    assert CallFilter().names == []
    assert CallFilter(status=0).names == ["status"]
    assert WANTED.names == ["account", "call_id", "start_time", "end_time", "status"]


def test_what_no_call_can_fit_is_refused() -> None:
    WANTED.require_sound()
    assert refused(replace(WANTED, call_id="req\0")) == (Reason.FIELD_INVALID, "call_id")
    assert refused(replace(WANTED, status=17)) == (Reason.FIELD_INVALID, "status")
    assert refused(replace(WANTED, status=-1)) == (Reason.FIELD_INVALID, "status")
    assert refused(replace(WANTED, end_time=NOON)) == (Reason.TIME_RANGE_INVALID, "")


@given(
    st.integers(0, 2**52).map(lambda number: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=number)),
    st.from_regex("[a-z0-9_]{1,64}", fullmatch=True),
)
def test_a_token_leads_back_to_its_call(moment: datetime, call_id: str) -> None:
    last = Bookmark(moment, call_id)
    assert TOKENS.read(WANTED, TOKENS.write(WANTED, last)) == last


@pytest.mark.parametrize(
    "other",
    [
        replace(WANTED, account_id="acc_2"),
        replace(WANTED, account_id=""),
        replace(WANTED, call_id=""),
        replace(WANTED, start_time=None),
        replace(WANTED, end_time=NOON + timedelta(hours=2)),
        replace(WANTED, start_time=None, end_time=NOON),
        replace(WANTED, status=None),
        replace(WANTED, status=0),
    ],
)
def test_a_token_is_good_for_its_own_question_only(other: CallFilter) -> None:
    with pytest.raises(DomainError) as caught:
        TOKENS.read(other, TOKENS.write(WANTED, Bookmark(NOON, "req_1")))
    assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


def test_a_token_shows_nothing() -> None:
    assert b"req_1" not in base64.urlsafe_b64decode(TOKENS.write(WANTED, Bookmark(NOON, "req_1")))


@pytest.mark.parametrize("token", ["x", "!!!!", "bm90IG91cnM=", "\u00fc", "A" * 64])
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(DomainError) as caught:
        TOKENS.read(WANTED, token)
    assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


def payload(**changed: object) -> bytes:
    values = {
        "account_id": "acc_1",
        "call_id": "req_1",
        "called_time": "2026-11-23T12:00:00+00:00",
        "ip_address": "192.0.2.7",
        "key_id": "k",
        "latency_us": 1500,
        "method": "/a.B/C",
        "protocol": "http",
        "reason": "NOT",
        "signed": False,
        "status": 5,
        "user_agent": "\u00fc\u2028\n",
    }
    return json.dumps(values | changed).encode()


def test_a_call_is_read_from_its_entry() -> None:
    assert read_call(7, payload()) == CALL


@pytest.mark.parametrize("broken", [b"", b"{}", b"[]", b"\xff", payload(called_time="noon"), payload(called_time=7)])
def test_what_is_no_call_is_not_taken_for_one(broken: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
        read_call(7, broken)


@pytest.mark.parametrize("microsecond", [0, 5_000, 5_001])
def test_a_line_is_the_message_in_json(microsecond: int) -> None:
    moment = NOON.replace(microsecond=microsecond)
    made = line(replace(CALL, called_at=moment.astimezone(timezone(timedelta(hours=2)))))
    read = json_format.Parse(made, Call())
    assert made.count(b"\n") == 1
    assert set(json.loads(made)) == {field.json_name for field in Call.DESCRIPTOR.fields}
    assert json.loads(made)["calledTime"] == read.called_time.ToJsonString()
    assert read.called_time.ToDatetime(UTC) == moment
    assert (read.index, read.latency_us, read.user_agent) == (7, 1500, CALL.user_agent)


def test_pieces_are_whole_lines_of_a_bounded_size() -> None:
    calls = [replace(CALL, user_agent="x" * 1000, index=number) for number in range(200)]
    found = list(pieces(calls))
    assert len(found) > 1
    assert max(len(lines) for lines, _ in found) < 66_000
    assert sum(count for _, count in found) == 200
    assert b"".join(lines for lines, _ in found) == b"".join(map(line, calls))
    assert list(pieces([])) == []
