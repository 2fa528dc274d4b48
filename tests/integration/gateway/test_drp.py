"""The Data Rights Protocol through the real port, by an agent that signs as the specification says."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.request_pb2 import RequestState
from igstats_gateway.doors.tables import agent_tokens, partner_callbacks, partner_requests
from igstats_gateway.routes import routes
from sqlalchemy import select

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
BUSINESS = "EXAMPLE"


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


@pytest.fixture
def partners_file(tmp_path: Path, partner: Any) -> Path:
    agents = [
        {"id": "CR_AGENT", "verify_key": public(KEY), "callback_hosts": [partner.host]},
        {"id": "OTHER", "verify_key": public(OTHER)},
    ]
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"drp": {"business_id": BUSINESS, "agents": agents}}))
    return file


class Agent:
    """An authorised agent."""

    def __init__(self, http: aiohttp.ClientSession, name: str = "CR_AGENT", key: Ed25519PrivateKey = KEY) -> None:
        self._http, self.name, self._key, self.token = http, name, key, ""

    def claims(self, **more: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "agent-id": self.name,
            "business-id": BUSINESS,
            "issued-at": (now - timedelta(seconds=5)).isoformat(),
            "expires-at": (now + timedelta(minutes=10)).isoformat(),
            "drp.version": "1.0",
            **more,
        }

    def signed(self, claims: dict[str, Any]) -> bytes:
        content = json.dumps(claims).encode()
        return base64.b64encode(self._key.sign(content) + content)

    async def call(self, verb: str, path: str, body: bytes = b"", token: str | None = None) -> tuple[int, bytes]:
        headers = {"content-type": "text/plain", "authorization": f"Bearer {self.token if token is None else token}"}
        async with self._http.request(verb, path, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def enrol(self) -> None:
        status, body = await self.call("POST", f"/v1/agent/{self.name}", self.signed(self.claims()))
        assert status == 200, body
        self.token = json.loads(body)["token"]

    async def exercise(self, path: str = "/v1/data-rights-request", **more: Any) -> tuple[int, dict[str, Any]]:
        wanted = {"exercise": "deletion", "regime": "ccpa", "email": "ann@example.com", "email_verified": True}
        status, body = await self.call("POST", path, self.signed(self.claims(**wanted | more)))
        return status, json.loads(body)


@pytest_asyncio.fixture(loop_scope="session")
async def agent(gateway: Any) -> Agent:
    made = Agent(gateway.http)
    await made.enrol()
    return made


async def test_a_signed_message_gets_a_token_of_which_only_a_digest_is_kept(agent: Agent, gateway: Any) -> None:
    assert await agent.call("GET", "/v1/agent/CR_AGENT") == (200, b"{}")
    async with gateway.database.read() as connection:
        (row,) = (await connection.execute(select(agent_tokens))).all()
    assert agent.token.encode() not in bytes(row.token_digest)
    first = agent.token
    await agent.enrol()
    assert (await agent.call("GET", "/v1/agent/CR_AGENT", token=first))[0] == 403


async def test_a_key_setup_that_fails_is_403_without_a_body(agent: Agent) -> None:
    good = agent.signed(agent.claims())
    other = Agent(agent._http, "OTHER", OTHER)
    for path, body in (
        ("/v1/agent/NOBODY", good),
        ("/v1/agent/OTHER", good),
        ("/v1/agent/CR_AGENT", b""),
        ("/v1/agent/CR_AGENT", good[:-4]),
        ("/v1/agent/CR_AGENT", other.signed(agent.claims())),
        ("/v1/agent/CR_AGENT", agent.signed(other.claims())),
        ("/v1/agent/CR_AGENT", agent.signed(agent.claims(**{"business-id": "ELSE"}))),
        ("/v1/agent/CR_AGENT", agent.signed(agent.claims(**{"expires-at": "2020-01-01T00:00:00+00:00"}))),
    ):
        assert await agent.call("POST", path, body) == (403, b"")


@pytest.mark.parametrize("token", ["", "x", "CR_AGENT.", "CR_AGENT.abc", "OTHER.abc"])
async def test_who_shows_no_token_of_an_agent_gets_nothing(agent: Agent, token: str) -> None:
    for verb, path in (
        ("GET", "/v1/agent/CR_AGENT"),
        ("POST", "/v1/data-rights-request"),
        ("GET", "/v1/data-rights-request/x"),
        ("DELETE", "/v1/data-rights-request/x"),
    ):
        assert (await agent.call(verb, path, token=token))[0] == 403


async def test_a_token_is_no_word_about_another_agent(agent: Agent) -> None:
    assert (await agent.call("GET", "/v1/agent/OTHER"))[0] == 403


@pytest.mark.parametrize("path", ["/v1/data-rights-request", "/v1/data-rights-request/"])
async def test_a_deletion_is_opened_with_the_agents_word_as_its_proof(agent: Agent, gateway: Any, path: str) -> None:
    status, said = await agent.exercise(path, **{"agent-request-id": "A-1"})
    assert (status, said["status"], said["agent_request_id"]) == (200, "open", "A-1")
    (sent,) = gateway.others.doorkeeper.openings
    assert (sent.door, sent.right, sent.identifiers[0].value) == ("drp", Right.RIGHT_ERASURE, "ann@example.com")
    assert sent.identity_proof == "DRP agent CR_AGENT: mail address verified"
    async with gateway.database.read() as connection:
        rows = str((await connection.execute(select(partner_requests))).all())
    assert "ann" not in rows


async def test_the_same_message_again_is_the_same_request(agent: Agent, gateway: Any) -> None:
    body = agent.signed(agent.claims(exercise="deletion", email="ann@example.com"))
    answers = [await agent.call("POST", "/v1/data-rights-request", body) for _ in range(3)]
    assert len({json.loads(answer)["request_id"] for _, answer in answers}) == 1
    assert len(gateway.others.doorkeeper.openings) == 1


async def test_an_access_request_waits_for_the_persons_own_proof(agent: Agent, gateway: Any) -> None:
    _, said = await agent.exercise(exercise="access")
    (sent,) = gateway.others.doorkeeper.openings
    assert sent.identity_proof == ""
    gateway.others.doorkeeper.requests[f"{1:052d}"].state = RequestState.REQUEST_STATE_IDENTITY_PENDING
    status, body = await agent.call("GET", f"/v1/data-rights-request/{said['request_id']}")
    found = json.loads(body)
    assert (status, found["status"], found["reason"]) == (200, "in_progress", "need_user_verification")
    assert found["user_verification_url"].startswith("https://")


async def test_a_request_is_nobodys_but_its_agents(agent: Agent, gateway: Any) -> None:
    _, said = await agent.exercise()
    other = Agent(gateway.http, "OTHER", OTHER)
    await other.enrol()
    path = f"/v1/data-rights-request/{said['request_id']}"
    unknown = await other.call("GET", "/v1/data-rights-request/00000000-0000-4000-8000-000000000000")
    assert await other.call("GET", path) == unknown
    assert unknown[0] == 403
    assert (await other.call("DELETE", path, other.signed({})))[0] == 403


async def test_a_request_is_revoked_by_a_signed_message_while_it_can_be(agent: Agent, gateway: Any) -> None:
    _, said = await agent.exercise()
    path = f"/v1/data-rights-request/{said['request_id']}"
    assert (await agent.call("DELETE", path, b"e30="))[0] == 400
    unsigned = base64.b64encode(b"\0" * 64 + b"{}")
    assert (await agent.call("DELETE", path, unsigned))[0] == 403
    status, body = await agent.call("DELETE", path, agent.signed({"reason": "I changed my mind"}))
    assert (status, json.loads(body)["status"]) == (200, "revoked")
    gateway.others.doorkeeper.requests[f"{1:052d}"].state = RequestState.REQUEST_STATE_EXECUTING
    assert (await agent.call("DELETE", path, agent.signed({})))[0] == 409


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"agent-id": "OTHER"}, 403),
        ({"business-id": "ELSE"}, 400),
        ({"issued-at": "2999-01-01T00:00:00+00:00"}, 400),
        ({"expires-at": "2020-01-01T00:00:00+00:00"}, 400),
        ({"drp.version": "0.9"}, 400),
        ({"exercise": ["deletion"]}, 400),
        ({"email": "nobody"}, 400),
        ({"status_callback": "https://169.254.169.254/latest"}, 400),
        ({"status_callback": "http://agent.example/told"}, 400),
        ({"agent-request-id": "x" * 201}, 400),
    ],
)
async def test_what_breaks_a_rule_opens_nothing(
    agent: Agent, gateway: Any, change: dict[str, Any], status: int
) -> None:
    found, said = await agent.exercise(**change)
    assert (found, said["code"], said["fatal"]) == (status, str(status), True)
    assert gateway.others.doorkeeper.openings == []


async def test_what_can_be_repeated_is_not_fatal(agent: Agent, gateway: Any) -> None:
    gateway.others.doorkeeper.down = True
    status, said = await agent.exercise()
    assert (status, "fatal" in said) == (503, False)


async def test_a_body_that_is_too_large_is_refused(agent: Agent) -> None:
    assert (await agent.call("POST", "/v1/data-rights-request", b"A" * 200_000))[0] == 413


async def test_an_agent_is_told_when_the_status_changes_and_again_until_it_listens(
    agent: Agent, gateway: Any, partner: Any
) -> None:
    partner.answers += [500, 302]
    _, said = await agent.exercise(status_callback=f"https://{partner.host}/told")
    request = gateway.others.doorkeeper.requests[f"{1:052d}"]
    request.state = RequestState.REQUEST_STATE_FULFILLED
    request.closed_time.FromDatetime(datetime(2026, 7, 2, tzinfo=UTC))
    body, _ = await asyncio.wait_for(partner.told.get(), 30)
    assert json.loads(body)["request_id"] == said["request_id"]
    assert json.loads(body)["status"] == "fulfilled"
    async with gateway.database.statement() as connection:  # the pause of the first retry is over
        await connection.execute(partner_callbacks.update().values(next_at=datetime.now(UTC)))
    assert (await asyncio.wait_for(partner.told.get(), 30))[0] == body


async def test_the_api_has_no_method_at_the_paths_of_the_protocol() -> None:
    paths = [getattr(route.http, route.http.WhichOneof("pattern")) for route in routes().values()]
    assert [path for path in paths if path.startswith(("/v1/agent/", "/v1/data-rights-request"))] == []
