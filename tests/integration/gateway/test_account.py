"""AccountService, revocation, metering: what the gateway answers and remembers itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

from igstats.event.v1.events_pb2 import AccessRecorded
from igstats_gateway.commands import scopes
from igstats_gateway.tables import usage_days
from igstats_kit.config import read_secret
from igstats_kit.seal import Sealer
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.processes import Child, Program, free_port
from sqlalchemy import select

# What conftest.py makes; a test folder is no package to import from.
Gateway: TypeAlias = Any


async def _get(gateway: Gateway, path: str) -> Any:
    async with gateway.http.get(path, headers=gateway.key) as answer:
        assert answer.status == 200
        return await answer.json()


async def _send(gateway: Gateway, verb: str, path: str, body: object = None) -> tuple[int, Any]:
    async with gateway.http.request(verb, path, headers=gateway.key, json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def _until_refused(gateway: Gateway, secret: str) -> str:
    """Calls until the key is refused; the test's own time limit ends a wait that never ends."""
    while True:
        async with gateway.http.get("/v1/account", headers={"Authorization": f"Bearer {secret}"}) as answer:
            if answer.status == 401:
                return str((await answer.json(content_type=None))["reason"])


async def test_an_account_is_read_and_changed(gateway: Gateway) -> None:
    change = {"company": "Ann's Ltd", "contacts": [{"email": "bob@example.com", "name": "Bob"}]}
    status, body = await _send(gateway, "PATCH", "/v1/account", change | {"billing": {"address": "Street 1"}})
    assert status == 200
    assert body == await _get(gateway, "/v1/account")
    account = body["account"]
    assert account["company"] == "Ann's Ltd"
    assert [contact["contactId"][-2:] for contact in account["contacts"]] == ["_1", "_2"]
    assert account["billing"] == {"name": "", "address": "Street 1", "vatNumber": ""}


async def test_a_change_that_cannot_be_names_its_field(gateway: Gateway) -> None:
    for contact in ({"name": "nobody"}, {"email": "nowhere"}, {"contactId": "con_other_1", "name": "x"}):
        status, body = await _send(gateway, "PATCH", "/v1/account", {"contacts": [contact]})
        assert (status, body["reason"]) == (400, "FIELD_INVALID")
        assert body["errors"][0]["pointer"].startswith("#/contacts/0/")


async def test_a_key_can_give_no_more_than_it_has_and_not_for_the_past(gateway: Gateway) -> None:
    status, body = await _send(gateway, "POST", "/v1/keys", {"scopes": ["stats:read", "moon:write"]})
    assert (status, body["reason"], body["metadata"]) == (403, "SCOPE_MISSING", {"scope": "moon:write"})
    past = {"scopes": ["stats:read"], "expireTime": "2020-01-01T00:00:00Z"}
    status, body = await _send(gateway, "POST", "/v1/keys", past)
    assert (status, body["reason"]) == (400, "FIELD_INVALID")


async def test_a_key_that_ends_makes_none_that_outlives_it(gateway: Gateway) -> None:
    end, later = "2100-01-01T00:00:00Z", "2100-01-01T00:00:01Z"
    wanted = {"scopes": ["keys:write", "keys:read"]}
    _, made = await _send(gateway, "POST", "/v1/keys", wanted | {"expireTime": end})
    key = {"Authorization": f"Bearer {made['secret']}"}
    refused = await gateway.ask("POST", "/v1/keys", headers=key, json=wanted | {"expireTime": later})
    assert (refused.status, refused.json["reason"]) == (400, "FIELD_INVALID")
    assert refused.json["errors"][0]["pointer"] == "#/expireTime"
    for asked in ({}, {"expireTime": end}):
        child = await gateway.ask("POST", "/v1/keys", headers=key, json=wanted | asked)
        assert (child.status, child.json["key"]["expireTime"]) == (200, end)


async def test_a_revoked_key_stops_working_everywhere_soon(gateway: Gateway) -> None:
    _, made = await _send(gateway, "POST", "/v1/keys", {"scopes": ["account:read"], "label": "second"})
    async with gateway.http.get("/v1/account", headers={"Authorization": f"Bearer {made['secret']}"}) as answer:
        assert answer.status == 200
    status, body = await _send(gateway, "DELETE", f"/v1/keys/{made['key']['keyId']}")
    assert status == 200
    assert body["key"]["revokedTime"]
    assert await _until_refused(gateway, made["secret"]) == "API_KEY_REVOKED"
    listed = await _get(gateway, "/v1/keys")
    assert [key["label"] for key in listed["keys"]] == ["second", "first key"]
    assert "secret" not in json.dumps(listed)


async def test_unknown_keys_cannot_be_revoked(gateway: Gateway) -> None:
    status, body = await _send(gateway, "DELETE", "/v1/keys/00000000")
    assert (status, body["reason"]) == (404, "KEY_NOT_FOUND")


async def test_the_call_log_is_asked_of_audit_for_the_callers_account(gateway: Gateway) -> None:
    body = await _get(gateway, "/v1/calls?page_size=5")
    assert body["calls"][0]["ipAddress"] == "192.0.2.1"
    assert body["calls"][0]["latencyUs"] == 7
    assert body["nextPageToken"] == "more"


async def test_usage_shows_calls_and_errors_of_the_day(gateway: Gateway) -> None:
    await _get(gateway, "/v1/profiles/a")
    async with gateway.http.get("/v1/profiles/ghost", headers=gateway.key):
        pass
    method = "/igstats.api.v1.StatsService/GetProfile"
    while True:
        rows = {row["method"]: row for row in (await _get(gateway, "/v1/usage"))["usage"]}
        if method in rows and rows[method]["calls"] == 2:
            assert rows[method]["errors"] == 1
            return


async def _records(nats: Nats, certificates: Authority, count: int) -> list[Any]:
    """The first access records in the stream."""
    async with nats.operator(certificates.issue("operator")) as client:
        subscription = await client.jetstream().subscribe("igstats.gateway.v1.access.recorded", ordered_consumer=True)
        found: list[Any] = []
        while len(found) < count:
            message = await subscription.next_msg(timeout=20)
            found += AccessRecorded.FromString(message.data).records
        return found


async def test_every_call_leaves_a_record_refused_ones_included(
    gateway: Gateway, nats: Nats, certificates: Authority
) -> None:
    async with gateway.http.get("/v1/profiles/a", headers=gateway.key | {"User-Agent": "test/1"}) as answer:
        first = answer.headers["Request-Id"]
    async with gateway.http.get("/v1/profiles/a") as answer:
        second = answer.headers["Request-Id"]
    async with gateway.http.get("/v1/nothing/jane@example.com") as answer:
        third = answer.headers["Request-Id"]
    found = {record.call_id: record for record in await _records(nats, certificates, 3)}
    assert set(found) == {first, second, third}
    assert (found[first].account_id, found[first].status, found[first].protocol) == (
        gateway.account.account_id,
        0,
        "http",
    )
    assert found[first].method == "/igstats.api.v1.StatsService/GetProfile"
    assert (found[second].account_id, found[second].reason, found[second].status) == ("", "API_KEY_MISSING", 16)
    assert (found[third].method, found[third].reason) == ("", "METHOD_UNKNOWN")
    sealer = Sealer(read_secret(gateway.config.access_seal_key))
    client = json.loads(sealer.open(found[first].sealed_client, "access"))
    assert client == {"ip_address": "127.0.0.1", "user_agent": "test/1"}


async def _complain(*arguments: str) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "igstats_gateway", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, complaint = await process.communicate()
    return process.returncode or 0, output, complaint


async def _run(*arguments: str) -> tuple[int, bytes]:
    code, output, _ = await _complain(*arguments)
    return code, output


async def test_an_operator_makes_an_account_on_the_command_line(gateway: Gateway) -> None:
    code, output = await _run("account", "create", "--company", "Bob's", "--email", "bob@example.com")
    made = json.loads(output)
    assert code == 0
    assert set(made) == {"account_id", "contact_id", "key_id", "key"}
    async with gateway.http.get("/v1/keys", headers={"Authorization": f"Bearer {made['key']}"}) as answer:
        assert (await answer.json())["keys"][0]["scopes"] == list(scopes())


async def test_an_operator_revokes_a_leaked_key_of_any_account_and_gives_it_a_new_one(gateway: Gateway) -> None:
    leaked, account_id = gateway.account.key_id, gateway.account.account_id
    code, output = await _run("key", "revoke", leaked)
    revoked = json.loads(output)
    assert (code, revoked["account_id"], revoked["key_id"]) == (0, account_id, leaked)
    assert await _until_refused(gateway, gateway.account.key) == "API_KEY_REVOKED"
    code, output = await _run("key", "create", account_id, "--scopes", "keys:read", "--days", "1", "--label", "new")
    made = json.loads(output)
    assert (code, made["account_id"]) == (0, account_id)
    async with gateway.http.get("/v1/keys", headers={"Authorization": f"Bearer {made['key']}"}) as answer:
        listed = {key["keyId"]: key for key in (await answer.json())["keys"]}
    assert (listed[made["key_id"]]["scopes"], listed[made["key_id"]]["label"]) == (["keys:read"], "new")
    assert listed[made["key_id"]]["expireTime"]
    assert listed[leaked]["revokedTime"]


async def test_what_an_operator_names_and_nobody_has_is_refused_with_the_reason(gateway: Gateway) -> None:
    assert gateway.account.key_id != "00000000"
    for arguments, reason in (
        (("key", "revoke", "00000000"), b"KEY_NOT_FOUND"),
        (("key", "create", "acc_nobody"), b"ACCOUNT_NOT_FOUND"),
        (("account", "create", "--company", "A", "--email", "nowhere"), b"contacts[0].email must be a mail address"),
    ):
        code, output, complaint = await _complain(*arguments)
        assert (code, output) == (1, b"")
        assert reason in complaint


async def test_settings_can_be_checked_without_showing_secrets(gateway: Gateway) -> None:
    code, output = await _run("check")
    assert code == 0
    shown = json.loads(output)
    assert shown["minute_units"] == str(gateway.config.minute_units)
    assert ":[redacted]@" in shown["database_url"]


async def test_the_process_writes_what_it_knows_before_it_ends(gateway: Gateway, tmp_path: Path) -> None:
    """A second replica on other ports, told to stop right after a call."""
    other = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "IGSTATS_GATEWAY_PUBLIC_HTTP_LISTEN": other}
    environment["IGSTATS_GATEWAY_PUBLIC_GRPC_LISTEN"] = "127.0.0.1:0"
    command = (sys.executable, "-m", "igstats_gateway", "serve")
    child = await Child.start(Program("gateway", command, tmp_path / "gateway.log", environment))
    try:
        await child.ready(lambda: "serving" in child.last_words(50))
        async with gateway.http.get(f"https://{other}/v1/profiles/a", headers=gateway.key) as answer:
            assert answer.status == 200
    finally:
        child.send(signal.SIGTERM)
        code = await child.wait()
    assert code == 0, child.last_words(50)
    async with gateway.database.read() as connection:
        assert list(await connection.scalars(select(usage_days.c.calls))) == [1]
