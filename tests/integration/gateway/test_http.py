"""The public HTTP port."""

import asyncio
import io
import json
from typing import Any, TypeAlias

import aiohttp
import pytest
from igstats_kit.errors import DomainError, Reason
from yarl import URL

# What conftest.py makes; a test folder is no package to import from.
Gateway: TypeAlias = Any

ERASURE = {"kind": "REQUEST_KIND_ERASURE", "subject": {"username": "jane"}}


async def _problem(answer: aiohttp.ClientResponse, status: int, reason: str) -> dict[str, Any]:
    body: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["reason"]) == (status, reason)
    assert body["requestId"] == answer.headers["Request-Id"]
    assert body["type"] == f"/v1/errors/{reason}"
    assert body["status"] == status
    return body


async def test_a_read_is_one_curl(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/profiles/natgeo", headers=gateway.key) as answer:
        assert answer.status == 200
        body = await answer.json()
        headers = answer.headers
    assert body["profile"]["followers"] == {"value": 1234, "missingReason": "MISSING_REASON_UNSPECIFIED"}
    assert body["profile"]["biography"] == ""
    assert headers["Request-Id"].startswith("req_")
    assert headers["RateLimit-Policy"] == '"minute";q=600;w=60'
    assert headers["RateLimit"].startswith('"minute";r=599;t=')
    assert headers["Cache-Control"] == "no-store"


async def test_head_answers_like_get_without_a_body(gateway: Gateway) -> None:
    async with gateway.http.head("/v1/account", headers=gateway.key) as answer:
        assert answer.status == 200
        assert await answer.read() == b""


async def test_values_in_paths_are_decoded(gateway: Gateway) -> None:
    url = f"https://{gateway.config.public_http_listen}/v1/profiles/a%2Fb%20c"
    async with gateway.http.get(URL(url, encoded=True), headers=gateway.key) as answer:
        assert answer.status == 200
    assert gateway.others.requests[0].profile == "a/b c"


async def test_no_key_no_answer(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/account") as answer:
        body = await _problem(answer, 401, "API_KEY_MISSING")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert body["code"] == "UNAUTHENTICATED"
    assert "bearer" in body["fix"]


async def test_errors_of_services_arrive_with_their_reason(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/profiles/ghost", headers=gateway.key) as answer:
        body = await _problem(answer, 404, "PROFILE_NOT_FOUND")
    assert body["metadata"] == {"hint": "look"}


async def test_texts_from_inside_do_not_get_out(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/profiles/crash", headers=gateway.key) as answer:
        body = await _problem(answer, 500, "INTERNAL")
    assert "inside" not in json.dumps(body)


async def test_a_wrong_field_is_named_where_it_stands(gateway: Gateway) -> None:
    body = {"kind": "REQUEST_KIND_ERASURE", "subject": {"user_name": "jane"}}
    async with gateway.http.post("/v1/requests", headers=gateway.key, json=body) as answer:
        told = await _problem(answer, 400, "BODY_INVALID")
    assert told["errors"][0]["pointer"] == "#/subject/userName"
    assert "username" in told["errors"][0]["detail"]
    assert gateway.others.requests == []


async def test_a_broken_rule_is_named_too(gateway: Gateway) -> None:
    body = {"contacts": [{"email": "x" * 321}]}
    async with gateway.http.patch("/v1/account", headers=gateway.key, json=body) as answer:
        told = await _problem(answer, 400, "FIELD_INVALID")
    assert told["errors"][0]["pointer"] == "#/contacts/0/email"


async def test_unknown_paths_and_wrong_verbs_are_told_apart(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/nothing", headers=gateway.key) as answer:
        await _problem(answer, 404, "METHOD_UNKNOWN")
    async with gateway.http.put("/v1/requests", headers=gateway.key) as answer:
        await _problem(answer, 405, "METHOD_UNKNOWN")
        assert answer.headers["Allow"] == "GET, HEAD, POST"


async def test_a_body_has_a_limit_and_a_kind(gateway: Gateway) -> None:
    large = io.BytesIO(b'"' + b"x" * (1024 * 1024) + b'"')
    json_kind = {"Content-Type": "application/json"}
    async with gateway.http.post("/v1/requests", headers=gateway.key | json_kind, data=large) as answer:
        await _problem(answer, 413, "MESSAGE_TOO_LARGE")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with gateway.http.post("/v1/requests", headers=gateway.key | form, data=b"{}") as answer:
        await _problem(answer, 400, "BODY_INVALID")


async def test_a_name_that_is_no_text_is_a_typed_error(gateway: Gateway) -> None:
    kind = {"Content-Type": "application/json"}
    async with gateway.http.post("/v1/requests", headers=gateway.key | kind, data=rb'{"\ud800":1}') as answer:
        await _problem(answer, 400, "BODY_INVALID")


async def test_a_key_without_the_scope_is_told_which(gateway: Gateway) -> None:
    made = {"label": "reader", "scopes": ["stats:read"]}
    async with gateway.http.post("/v1/keys", headers=gateway.key, json=made) as answer:
        secret = (await answer.json())["secret"]
    async with gateway.http.get("/v1/account", headers={"Authorization": f"Bearer {secret}"}) as answer:
        body = await _problem(answer, 403, "SCOPE_MISSING")
    assert body["metadata"] == {"scope": "account:read"}


async def test_a_wished_timeout_is_kept(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/profiles/a", headers=gateway.key | {"Request-Timeout": "2.5"}) as answer:
        assert answer.status == 200
    assert gateway.others.seconds[0] < 3.0
    for wrong in ("soon", "-1", "nan"):
        async with gateway.http.get("/v1/profiles/a", headers=gateway.key | {"Request-Timeout": wrong}) as answer:
            await _problem(answer, 400, "FIELD_INVALID")


async def test_identity_is_told_by_us_and_never_by_the_client(gateway: Gateway) -> None:
    forged = {"X-Igstats-Account-Id": "acc_other", "traceparent": "00-a-b-01"}
    async with gateway.http.get("/v1/profiles/a", headers=gateway.key | forged) as answer:
        call_id = answer.headers["Request-Id"]
    [seen] = gateway.others.metadata
    assert seen["x-igstats-account-id"] == gateway.account.account_id
    assert seen["x-igstats-call-id"] == call_id
    assert seen["traceparent"] == "00-a-b-01"


# Streams


async def test_a_stream_is_one_object_a_line(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/x:watch", headers=gateway.key) as answer:
        assert answer.content_type == "application/x-ndjson"
        lines = [json.loads(line) async for line in answer.content]
    assert [line["request"]["state"] for line in lines] == ["RECEIVED", "ACCEPTED"]


async def test_a_stream_that_fails_at_once_is_an_ordinary_error(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/none:watch", headers=gateway.key) as answer:
        await _problem(answer, 404, "REQUEST_NOT_FOUND")


async def test_a_stream_that_fails_later_says_so_in_its_last_line(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/broken:watch", headers=gateway.key) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert lines[-1]["error"]["reason"] == "DEPENDENCY_UNAVAILABLE"
    assert len(lines) == 3


async def test_a_client_that_leaves_ends_the_call_inside(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/open:watch", headers=gateway.key) as answer:
        await answer.content.readline()
    await asyncio.wait_for(gateway.others.left.wait(), 10)


# Files


async def test_a_file_comes_as_itself_with_a_name_to_save_it_under(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/req_7/evidence.zip", headers=gateway.key) as answer:
        assert (answer.status, answer.content_type) == (200, "application/zip")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="evidence-req_7.zip"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.read() == b"PK" + b"\x00\xff" * 100_000


async def test_a_file_that_is_not_ready_is_an_ordinary_error(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/open/evidence.zip", headers=gateway.key) as answer:
        await _problem(answer, 409, "EVIDENCE_NOT_READY")
        assert answer.headers["Retry-After"] == "1"
        assert "Content-Disposition" not in answer.headers


async def test_a_file_that_breaks_off_is_not_taken_for_whole(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/requests/broken/evidence.zip", headers=gateway.key) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_name_that_is_no_id_does_not_get_into_the_headers(gateway: Gateway) -> None:
    url = f"https://{gateway.config.public_http_listen}/v1/requests/a%22%0D%0Ab/evidence.zip"
    async with gateway.http.get(URL(url, encoded=True), headers=gateway.key) as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="evidence-file.zip"'


# Idempotency


async def test_a_repeated_request_is_answered_again_byte_for_byte(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    async with gateway.http.post("/v1/requests", headers=headers, json=ERASURE) as answer:
        first = await answer.read()
        assert "Idempotent-Replayed" not in answer.headers
    respelled = json.dumps(ERASURE, indent=4)
    kind = {"Content-Type": "application/json"}
    async with gateway.http.post("/v1/requests", headers=headers | kind, data=respelled) as answer:
        assert await answer.read() == first
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.status == 200
    assert [request.request_key for request in gateway.others.requests] == ["once"]


async def test_another_request_under_the_same_key_is_refused(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    async with gateway.http.post("/v1/requests", headers=headers, json=ERASURE):
        pass
    async with gateway.http.post(
        "/v1/requests", headers=headers, json={**ERASURE, "kind": "REQUEST_KIND_ACCESS"}
    ) as answer:
        await _problem(answer, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_repetition_while_the_first_runs_is_told_to_wait(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    slow = {"kind": "REQUEST_KIND_ERASURE", "subject": {"username": "slow"}}
    first = asyncio.create_task(_post(gateway, headers, slow))
    await asyncio.wait_for(gateway.others.reached.wait(), 10)
    async with gateway.http.post("/v1/requests", headers=headers, json=slow) as answer:
        await _problem(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
        assert answer.headers["Retry-After"] == "1"
    gateway.others.go_on.set()
    assert await first == 200
    assert await _post(gateway, headers, slow) == 200
    assert len(gateway.others.requests) == 1


async def _post(gateway: Gateway, headers: dict[str, str], body: dict[str, Any]) -> int:
    async with gateway.http.post("/v1/requests", headers=headers, json=body) as answer:
        return int(answer.status)


async def test_our_own_failure_is_not_kept_and_the_callers_is(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    gateway.others.refusals.append(DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql"))
    assert [await _post(gateway, headers, ERASURE) for _ in range(2)] == [503, 200]
    other = gateway.key | {"Idempotency-Key": "other"}
    wrong = {"kind": "REQUEST_KIND_ERASURE", "subject": {"username": "nobody"}}
    assert [await _post(gateway, other, wrong) for _ in range(2)] == [400, 400]
    assert len(gateway.others.requests) == 3


async def test_a_throttled_call_says_when_to_come_back_and_is_made_then(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    gateway.others.refusals.append(DomainError(Reason.INSTAGRAM_THROTTLED, retry_after=6.2))
    async with gateway.http.post("/v1/requests", headers=headers, json=ERASURE) as answer:
        await _problem(answer, 429, "INSTAGRAM_THROTTLED")
        assert answer.headers["Retry-After"] == "7"
    async with gateway.http.post("/v1/requests", headers=headers, json=ERASURE) as answer:
        assert answer.status == 200
        assert "Idempotent-Replayed" not in answer.headers
    assert await _post(gateway, headers, ERASURE) == 200
    assert len(gateway.others.requests) == 2


async def test_a_new_key_is_made_once_however_often_the_call_is_repeated(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "key"}
    made = {"label": "second", "scopes": ["stats:read"]}
    secrets = []
    for _ in range(2):
        async with gateway.http.post("/v1/keys", headers=headers, json=made) as answer:
            secrets.append((await answer.json())["secret"])
    assert secrets[0] == secrets[1]
    async with gateway.http.get("/v1/keys", headers=gateway.key) as answer:
        assert len((await answer.json())["keys"]) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "caf\u00e9"])
async def test_an_idempotency_key_has_a_form(gateway: Gateway, key: str) -> None:
    async with gateway.http.post(
        "/v1/requests", headers=gateway.key | {"Idempotency-Key": key}, json=ERASURE
    ) as answer:
        await _problem(answer, 400, "FIELD_INVALID")


async def test_header_and_field_must_not_contradict_each_other(gateway: Gateway) -> None:
    headers = gateway.key | {"Idempotency-Key": "once"}
    async with gateway.http.post("/v1/requests", headers=headers, json=ERASURE | {"requestKey": "twice"}) as answer:
        await _problem(answer, 400, "FIELD_INVALID")


# Pages


async def test_pages_need_no_key(gateway: Gateway) -> None:
    async with gateway.http.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
    async with gateway.http.get("/.well-known/security.txt") as answer:
        text = await answer.text()
        assert "Contact: mailto:" in text
        assert "Expires: " in text
    async with gateway.http.get("/v1/errors") as answer:
        errors = (await answer.json())["errors"]
    async with gateway.http.get("/v1/errors/RATE_LIMITED") as answer:
        assert await answer.json() == next(one for one in errors if one["reason"] == "RATE_LIMITED")
    async with gateway.http.get("/v1/errors/NOTHING") as answer:
        assert answer.status == 404


class TestStrangers:
    """An address that may make two calls a minute without a key that was accepted before."""

    @pytest.fixture(autouse=True)
    def _allowance(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IGSTATS_GATEWAY_STRANGER_UNITS", "2")

    async def test_they_are_told_to_wait_and_a_customer_at_the_same_address_goes_on(self, gateway: Gateway) -> None:
        assert (await gateway.ask("GET", "/v1/account", headers=gateway.key)).status == 200
        assert (await gateway.ask("GET", "/v1/account")).json["reason"] == "API_KEY_MISSING"
        async with gateway.http.get("/v1/account") as answer:
            await _problem(answer, 429, "RATE_LIMITED")
            assert int(answer.headers["Retry-After"]) > 0
        assert (await gateway.ask("GET", "/v1/account", headers=gateway.key)).status == 200
