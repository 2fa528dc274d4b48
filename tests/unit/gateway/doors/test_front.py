"""What every page and callback goes through, without a server."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.front import Front, Limits, fields, is_own
from igstats_gateway.doors.rendering import Contact, Pages
from igstats_gateway.limits import AddressLimits, minute
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def _breaks(_request: Request) -> Response:
    raise RuntimeError("ann@example.com")


def front(*, looks: int = 9, sends: int = 2) -> Front:
    clock = FakeClock()
    limits = Limits(AddressLimits(minute(looks), clock), AddressLimits(minute(sends), clock))
    return Front(limits, Pages(Contact("Example Corp", "a@example.com", "1 Street", "dpo@example.com", "+1")))


async def ask(
    route: Any, method: str, address: str = "192.0.2.1", headers: Mapping[str, str] | None = None
) -> Response:
    assert isinstance(route, Route)
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": "/x", "headers": raw, "client": (address, 1), "path_params": {}}
    answer: Response = await route.endpoint(Request(scope))
    return answer


async def test_sending_has_a_smaller_allowance_than_looking_and_each_address_its_own() -> None:
    page = front().page("/x", _hello, "GET", "POST")
    assert [(await ask(page, "POST")).status_code for _ in range(3)] == [200, 200, 429]
    assert (await ask(page, "GET")).status_code == 200
    assert (await ask(page, "POST", "192.0.2.2")).status_code == 200


async def test_who_must_wait_is_told_how_long() -> None:
    page = front(sends=1).page("/x", _hello, "POST")
    await ask(page, "POST")
    assert (await ask(page, "POST")).headers["retry-after"] == "60"


async def test_an_unforeseen_error_is_a_page_with_a_fixed_text() -> None:
    answer = await ask(front().page("/x", _breaks), "GET")
    assert answer.status_code == 500
    assert b"ann@example.com" not in bytes(answer.body)
    assert answer.headers["request-id"].encode() in bytes(answer.body)


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null", "host": "a.example"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "https://a.example", "host": "a.example"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "https://A.example:8443", "host": "a.example:8443"}, True),
        ({"origin": "https://a.example.evil", "host": "a.example"}, False),
        ({"origin": "null", "host": "a.example"}, False),
    ],
)
def test_a_form_is_ours_when_the_browser_says_so(headers: Mapping[str, str], *, own: bool) -> None:
    assert is_own(headers) is own


@given(st.binary(max_size=400))
def test_no_body_does_harm(body: bytes) -> None:
    try:
        found = fields(body)
    except DomainError:
        return
    assert all("\x00" not in value and value == value.strip() for value in found.values())


@pytest.mark.parametrize("body", [b"&".join(b"a=1" for _ in range(101)), b"a=%ff", "a=é".encode()])
def test_too_many_fields_and_bytes_that_are_no_text_are_no_form(body: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        fields(body)
    assert refused.value.reason is Reason.BODY_INVALID
