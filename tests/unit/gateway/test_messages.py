import json

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from igstats.api.v1.account_service_pb2 import ListUsageResponse, Usage
from igstats.api.v1.profile_pb2 import Count, Media, Profile
from igstats.api.v1.request_service_pb2 import CreateRequestRequest, GetExportResponse, PrivacyRequest, Step
from igstats.api.v1.stats_service_pb2 import GetProfileResponse, QueryTimeSeriesRequest
from igstats_gateway.messages import encode, fill, parse_object, show
from igstats_kit.errors import DomainError, Reason


def _filled(message: Message, body: str) -> Message:
    fill(message, parse_object(body.encode()))
    return message


def test_proto_names_and_json_names_are_both_taken() -> None:
    for body in (
        '{"request_key":"k","subject":{"own_account":true}}',
        '{"requestKey":"k","subject":{"ownAccount":true}}',
    ):
        message = _filled(CreateRequestRequest(), body)
        assert isinstance(message, CreateRequestRequest)
        assert (message.request_key, message.subject.own_account) == ("k", True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"kindd":1}', "kindd"),
        ('{"subject":{"user_name":"x"}}', "subject.user_name"),
        ('{"requestKey":"a","request_key":"b"}', "request_key"),
        ('{"requestKey":"a","requestKey":"a"}', "requestKey"),
        ('{"subject":{"username":"a","username":"b"}}', "username"),
        ('{"kind":"NO_SUCH"}', "kind"),
        ('{"subject":{"username":3}}', "subject.username"),
        ('{"subject":"me"}', "subject"),
        ('{"subject":{"ownAccount":"yes"}}', "subject.ownAccount"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(body: str, field: str) -> None:
    with pytest.raises(DomainError) as caught:
        _filled(CreateRequestRequest(), body)
    assert caught.value.reason is Reason.BODY_INVALID
    assert caught.value.violations[0].field == field
    assert caught.value.metadata == {"field": field}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"1", b'"x"', b"\xff", b"NaN", b'{"a":NaN}', b"null", b"{}{}", b"[" * 99999]
)
def test_other_things_than_a_json_object_are_refused(body: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        parse_object(body)
    assert caught.value.reason is Reason.BODY_INVALID


@pytest.mark.parametrize(
    "body",
    [
        rb'{"\ud800":1}',
        rb'{"\uDFFF":1,"\uDFFF":2}',
        rb'{"label":"\ud800"}',
        rb'{"scopes":["a",["\udc00"]]}',
        rb'{"a":{"b":[{"\ud83d":null}]}}',
        b'{"\xed\xa0\x80":1}',
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_utf_8_cannot_say_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(DomainError) as caught:
        parse_object(body)
    assert caught.value.reason is Reason.BODY_INVALID
    encode([one.field for one in caught.value.violations])


def test_a_pair_of_surrogates_is_one_character_and_an_escaped_backslash_none() -> None:
    assert parse_object(rb'{"a":"\ud83d\ude00","b":"\\ud800"}') == {"a": "\U0001f600", "b": r"\ud800"}


def test_an_empty_body_is_an_empty_object() -> None:
    assert parse_object(b"") == {}


def test_repeated_fields_name_what_is_wrong_in_them() -> None:
    with pytest.raises(DomainError) as caught:
        _filled(QueryTimeSeriesRequest(), '{"metrics":["reach",2]}')
    assert caught.value.violations[0].field == "metrics"


def test_zeros_are_printed_and_unset_messages_are_not() -> None:
    shown = show(GetProfileResponse(profile=Profile(followers=Count())))
    assert shown["profile"]["profileId"] == 0
    assert shown["profile"]["username"] == ""
    assert shown["profile"]["followers"] == {"value": 0, "missingReason": "MISSING_REASON_UNSPECIFIED"}
    assert "observedTime" not in shown["profile"]


def test_wide_numbers_are_numbers_while_json_keeps_them_exact() -> None:
    assert show(Count(value=2**53 - 1))["value"] == 2**53 - 1
    assert show(Count(value=2**53))["value"] == str(2**53)
    assert show(Count(value=-(2**63)))["value"] == str(-(2**63))


def test_wide_numbers_in_lists_and_maps_are_numbers_too() -> None:
    usage = show(ListUsageResponse(usage=[Usage(day="2026-01-01", calls=7)]))
    assert usage["usage"][0]["calls"] == 7
    assert show(Media(insights={"reach": Count(value=5)}))["insights"]["reach"]["value"] == 5
    request = PrivacyRequest(steps=[Step(holder="stats", counts={"media": 12})])
    assert show(request)["steps"][0]["counts"] == {"media": 12}


def test_bytes_are_base64() -> None:
    assert show(GetExportResponse(chunk=b"\x00\xff")) == {"chunk": "AP8="}


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_survives_the_way_out_and_in(value: int) -> None:
    printed = encode(show(Count(value=value)))
    again = Count()
    fill(again, parse_object(printed))
    assert again.value == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_survives_the_way_out_and_in(text: str) -> None:
    printed = encode(show(Usage(method=text)))
    assert json.loads(printed)["method"] == text
