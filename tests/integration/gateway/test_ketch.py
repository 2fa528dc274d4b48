"""Ketch's forwarder through the real port."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.request_pb2 import RequestState
from igstats_gateway.doors.tables import partner_callbacks
from sqlalchemy import select

ENDPOINT, OWN = "/ketch/dsr", "axonics token"


@pytest.fixture
def partners_file(tmp_path: Path, partner: Any) -> Path:
    tenant = {
        "id": "axonic",
        "token_sha256": hashlib.sha256(b"axonics token").hexdigest(),
        "callback_hosts": [partner.host],
        "verifies": True,
    }
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"ketch": {"tenants": [tenant]}}))
    return file


def body(
    kind: str = "DeleteRequest", uid: str = "22880925-aac5", tenant: str = "axonic", **more: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "dsr/v1",
        "kind": kind,
        "metadata": {"uid": uid, "tenant": tenant},
        "request": {
            "property": "axonic.io",
            "regulation": "gdpr",
            "identities": [{"identitySpace": "email", "identityFormat": "raw", "identityValue": "test@subject.com"}],
            "subject": {"email": "test@subject.com"},
            **more,
        },
    }


async def forward(gateway: Any, message: Any, token: str = OWN) -> tuple[int, dict[str, Any]]:
    headers = {"authorization": f"Bearer {token}"}
    async with gateway.http.post(ENDPOINT, json=message, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("Access", Right.RIGHT_ACCESS),
        ("Delete", Right.RIGHT_ERASURE),
        ("RestrictProcessing", Right.RIGHT_RESTRICTION),
    ],
)
async def test_every_kind_opens_its_right_and_is_answered_in_kind(gateway: Any, kind: str, right: int) -> None:
    for _ in range(2):
        status, said = await forward(gateway, body(f"{kind}Request"))
        assert (status, said["kind"], said["response"]["status"]) == (200, f"{kind}Response", "pending")
    (sent,) = gateway.others.doorkeeper.openings
    assert (sent.right, sent.identity_proof) == (right, "Ketch tenant axonic: mail address verified")


async def test_a_correction_carries_the_right_values_of_its_form(gateway: Any) -> None:
    form = {"formData": {"contacts.name": "Test Object"}}
    assert (await forward(gateway, body("CorrectionRequest", subject=form)))[0] == 200
    (sent,) = gateway.others.doorkeeper.openings
    assert [(one.field, one.value) for one in sent.corrections] == [("contacts.name", "Test Object")]


@pytest.mark.parametrize(
    ("message", "status", "word"),
    [
        (body(tenant="other"), 400, "invalid"),
        (body("ConsentRequest"), 400, "invalid"),
        (body(identities=[]), 400, "invalid"),
        (body(callbacks=[{"url": "https://evil.example/told"}]), 400, "invalid"),
        (body(callbacks=[{"url": "http://127.0.0.1/told"}]), 400, "invalid"),
        ([], 400, "invalid"),
    ],
)
async def test_what_breaks_a_rule_opens_nothing(gateway: Any, message: Any, status: int, word: str) -> None:
    found, said = await forward(gateway, message)
    assert (found, said["kind"], said["error"]["status"]) == (status, "Error", word)
    assert gateway.others.doorkeeper.openings == []


async def test_who_shows_no_token_is_forbidden(gateway: Any) -> None:
    status, said = await forward(gateway, body(), token="guess")
    assert (status, said["error"]["status"]) == (403, "forbidden")


async def test_the_same_uid_for_another_wish_is_a_conflict(gateway: Any) -> None:
    await forward(gateway, body())
    status, said = await forward(gateway, body("AccessRequest"))
    assert (status, said["error"]["status"]) == (422, "conflict")


async def test_status_events_arrive_with_the_headers_that_the_tenant_asked_for(gateway: Any, partner: Any) -> None:
    callback = {"url": f"https://{partner.host}/told", "headers": {"Authorization": "secret of ketch"}}
    await forward(gateway, body(callbacks=[callback]))
    async with gateway.database.read() as connection:
        rows = (await connection.execute(select(partner_callbacks))).all()
    assert b"secret of ketch" not in bytes(rows[0].sealed)
    request = gateway.others.doorkeeper.requests[f"{1:052d}"]
    request.state = RequestState.REQUEST_STATE_FULFILLED
    request.closed_time.FromDatetime(datetime(2026, 7, 2, tzinfo=UTC))
    told, headers = await asyncio.wait_for(partner.told.get(), 30)
    event = json.loads(told)
    assert (event["kind"], event["event"]["status"]) == ("DeleteStatusEvent", "completed")
    assert headers["authorization"] == "secret of ketch"
