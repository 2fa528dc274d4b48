import pytest
from google.api.http_pb2 import HttpRule
from igstats.api.v1.connection_service_pb2 import SyncConnectionRequest
from igstats.api.v1.request_service_pb2 import (
    CreateRequestRequest,
    CreateRequestResponse,
    PrivacyRequest,
    RequestKind,
    Subject,
)
from igstats.api.v1.stats_service_pb2 import ListMediaRequest, QueryTimeSeriesRequest
from igstats_gateway.model import Rule
from igstats_gateway.routes import Route, routes
from igstats_gateway.transcode import Transcoder, answer, bindings, request
from igstats_kit.errors import DomainError, Reason

TRANSCODER = Transcoder(routes().values())


def _custom(rule: HttpRule) -> Transcoder:
    route = Route(
        "/x.Y/Z",
        "stats",
        Rule("s", 1, signature_required=False),
        False,
        CreateRequestRequest,
        CreateRequestResponse,
        rule,
    )
    return Transcoder([route])


def _refused(verb: str, path: str, query: str = "", body: bytes = b"") -> DomainError:
    with pytest.raises(DomainError) as caught:
        request(TRANSCODER.match(verb, path), query, body)
    return caught.value


def test_every_route_is_reached_by_its_own_path() -> None:
    for route in routes().values():
        for binding in bindings(route):
            path = binding.template.text.replace("{", "").replace("}", "")
            assert TRANSCODER.match(binding.verb, path).route is not None
            assert TRANSCODER.match(binding.verb, path).route.method == route.method


def test_path_and_query_fill_the_message() -> None:
    match = TRANSCODER.match("GET", "/v1/profiles/nat%20geo/series")
    message = request(match, "metrics=reach&metrics=views&start_day=2026-01-01&endDay=2026-01-02", b"")
    assert message == QueryTimeSeriesRequest(
        profile="nat geo", metrics=["reach", "views"], start_day="2026-01-01", end_day="2026-01-02"
    )


def test_numbers_in_the_query_are_numbers() -> None:
    match = TRANSCODER.match("GET", "/v1/profiles/a/media")
    assert request(match, "page_size=7", b"") == ListMediaRequest(profile="a", page_size=7)


def test_a_body_fills_the_message_and_the_path_completes_it() -> None:
    sync = TRANSCODER.match("POST", "/v1/connections/cxn_1:sync")
    assert request(sync, "", b"") == SyncConnectionRequest(connection_id="cxn_1")
    create = TRANSCODER.match("POST", "/v1/requests")
    message = request(create, "", b'{"kind":"REQUEST_KIND_ERASURE","subject":{"username":"jane"}}')
    assert message == CreateRequestRequest(kind=RequestKind.REQUEST_KIND_ERASURE, subject=Subject(username="jane"))


@pytest.mark.parametrize(
    ("verb", "path", "query", "body", "field"),
    [
        ("GET", "/v1/profiles/a/media", "pagesize=7", b"", "pagesize"),
        ("GET", "/v1/profiles/a/media", "page_size=7&pageSize=8", b"", "pageSize"),
        ("GET", "/v1/profiles/a/media", "page_size=7&page_size=8", b"", "page_size"),
        ("GET", "/v1/profiles/a/media", "page_size=x", b"", "page_size"),
        ("GET", "/v1/profiles/a/media", "profile=b", b"", "profile"),
        ("GET", "/v1/profiles/a/media", "profile.x=b", b"", "profile.x"),
        ("GET", "/v1/profiles/a/media", "", b"{}", None),
        ("GET", "/v1/profiles/a/media", "page_size", b"", None),
        ("GET", "/v1/profiles/a/media", "page_token=%ff", b"", None),
        ("POST", "/v1/requests", "kind=1", b"{}", "kind"),
        ("POST", "/v1/connections/c:sync", "", b'{"connectionId":"d"}', "connection_id"),
        ("POST", "/v1/connections/c:sync", "", b'{"x":1}', "x"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(verb: str, path: str, query: str, body: bytes, field: str | None) -> None:
    error = _refused(verb, path, query, body)
    assert error.reason is Reason.BODY_INVALID
    assert error.metadata.get("field") == field


def test_an_unknown_path_is_an_unknown_method() -> None:
    error = _refused("GET", "/v1/nothing")
    assert error.reason is Reason.METHOD_UNKNOWN
    assert "allow" not in error.metadata


def test_a_known_path_with_another_verb_says_which_are_allowed() -> None:
    assert _refused("PUT", "/v1/requests").metadata["allow"] == "GET, HEAD, POST"
    assert _refused("GET", "/v1/connections/c:sync").metadata["allow"] == "POST"
    assert _refused("POST", "/v1/connections/c").metadata["allow"] == "DELETE, GET, HEAD"


def test_head_is_get() -> None:
    assert TRANSCODER.match("HEAD", "/v1/account").route.method.endswith("/GetAccount")


def test_a_path_that_is_not_utf8_is_refused() -> None:
    assert _refused("GET", "/v1/profiles/%ff").reason is Reason.BODY_INVALID


def test_dotted_query_fields_booleans_and_enums_reach_inner_messages() -> None:
    transcoder = _custom(HttpRule(get="/v1/x"))
    match = transcoder.match("GET", "/v1/x")
    query = "subject.username=jane&subject.ownAccount=true&kind=REQUEST_KIND_ACCESS"
    expected = CreateRequestRequest(
        kind=RequestKind.REQUEST_KIND_ACCESS, subject=Subject(username="jane", own_account=True)
    )
    assert request(match, query, b"") == expected
    for wrong in ("subject=x", "subject.own_account=1", "subject.nobody=1"):
        with pytest.raises(DomainError):
            request(match, wrong, b"")


def test_a_body_field_an_inner_path_field_and_more_bindings_work() -> None:
    rule = HttpRule(
        put="/v1/x/{request_key}",
        body="subject",
        additional_bindings=[HttpRule(post="/v1/y/{subject.username}", body="*")],
        response_body="request",
    )
    transcoder = _custom(rule)
    match = transcoder.match("PUT", "/v1/x/k")
    message = request(match, "kind=1", b'{"username":"jane"}')
    assert message == CreateRequestRequest(
        request_key="k", kind=RequestKind.REQUEST_KIND_ACCESS, subject=Subject(username="jane")
    )
    other = request(transcoder.match("POST", "/v1/y/jane"), "", b'{"subject":{"own_account":true}}')
    assert other == CreateRequestRequest(subject=Subject(username="jane", own_account=True))
    assert answer(match.binding, CreateRequestResponse(request=PrivacyRequest(request_id="r"))).startswith(
        b'{"requestId":"r"'
    )


def test_a_template_that_names_no_field_stops_the_start() -> None:
    with pytest.raises(DomainError):
        _custom(HttpRule(get="/v1/{nothing}"))
    with pytest.raises(ValueError, match="not supported"):
        _custom(HttpRule())


def test_answers_are_compact_json() -> None:
    binding = TRANSCODER.match("POST", "/v1/requests").binding
    assert answer(binding, CreateRequestResponse()) == b"{}"
