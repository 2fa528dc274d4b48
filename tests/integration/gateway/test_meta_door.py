"""Meta's callbacks at a running gateway."""

import base64
import hashlib
import hmac
import json
from typing import Any

from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats.holder.v1.task_pb2 import Right

VECTOR_B = (
    "-fwBSpSRt5D9U-ha4XKiZ9gMrcQ2raVsTIJ8JnSTzeM.eyJ1c2VyX2lkIjoiMjE4NDcxIiwiYWxnb3JpdGhtIjoiSE1BQy1TSEEyNTYiLCJpc3N1"
    "ZWRfYXQiOjEyOTE4MzY4MDAsImV4cGlyZXMiOjEyOTE4NDA0MDB9"
)


def signed(secret: str, **payload: Any) -> str:
    content = json.dumps({"algorithm": "HMAC-SHA256", **payload}).encode()
    encoded = base64.urlsafe_b64encode(content).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(secret.encode(), encoded, hashlib.sha256))
    return f"{signature.decode()}.{encoded.decode()}"


async def post(gateway: Any, path: str, text: str) -> Any:
    return await gateway.ask("POST", path, data={"signed_request": text})


async def test_the_documented_example_opens_an_erasure_and_tells_where_it_can_be_followed(gateway: Any) -> None:
    answer = await post(gateway, "/meta/deletion", VECTOR_B)
    body = json.loads(answer.text)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    (opened,) = gateway.others.doorkeeper.openings
    (named,) = opened.identifiers
    assert (opened.door, opened.right, named.kind, named.value) == (
        "meta",
        Right.RIGHT_ERASURE,
        IdentifierKind.IDENTIFIER_KIND_APP_USER_ID,
        "1001:218471",
    )
    assert opened.identity_proof == "Meta signed request, app 1001"
    assert body["confirmation_code"].isalnum()
    assert body["url"] == f"https://localhost:8443/privacy/requests/{body['confirmation_code']}"
    page = await gateway.ask("GET", f"/privacy/requests/{body['confirmation_code']}")
    assert page.status == 200
    assert "218471" not in page.text


async def test_the_same_callback_again_gives_the_same_answer_and_a_later_one_another(gateway: Any) -> None:
    first, again = [(await post(gateway, "/meta/deletion", VECTOR_B)).json for _ in range(2)]
    later = signed("secret", user_id=218471, issued_at=1291836801)
    other = (await post(gateway, "/meta/deletion", later)).json
    assert first == again != other
    assert len(gateway.others.doorkeeper.openings) == 2


async def test_the_app_whose_secret_fits_is_recorded(gateway: Any) -> None:
    await post(gateway, "/meta/deletion", signed("another", user_id="7", issued_at=1))
    (opened,) = gateway.others.doorkeeper.openings
    assert (opened.identity_proof, opened.identifiers[0].value) == ("Meta signed request, app 2002", "2002:7")


async def test_what_nobody_of_ours_signed_is_refused_and_opens_nothing(gateway: Any) -> None:
    for path in ("/meta/deletion", "/meta/deauthorize"):
        for text in (signed("forged", user_id="7", issued_at=1), "", "x.y"):
            answer = await post(gateway, path, text)
            body = answer.json
            assert (answer.status, body["reason"]) == (401, "SIGNED_REQUEST_INVALID")
            assert (answer.headers["content-type"], "7" in body["title"]) == ("application/problem+json", False)
    assert (gateway.others.doorkeeper.openings, gateway.others.departed) == ([], [])


async def test_a_request_that_cannot_be_stored_is_no_success(gateway: Any) -> None:
    gateway.others.doorkeeper.down = True
    answer = await post(gateway, "/meta/deletion", VECTOR_B)
    assert answer.status == 503


async def test_a_permission_taken_back_ends_the_connections_and_opens_no_erasure(gateway: Any) -> None:
    for _ in range(2):
        answer = await post(gateway, "/meta/deauthorize", VECTOR_B)
        assert (answer.status, answer.json) == (200, {})
    assert gateway.others.departed == ["1001:218471"]
    assert gateway.others.doorkeeper.openings == []


async def test_a_body_that_is_no_form_is_refused(gateway: Any) -> None:
    answer = await gateway.ask("POST", "/meta/deletion", json={"signed_request": VECTOR_B})
    assert (answer.status, answer.json["reason"]) == (400, "BODY_INVALID")
    large = await gateway.ask("POST", "/meta/deletion", data={"signed_request": "x" * 70_000})
    assert large.status == 413
