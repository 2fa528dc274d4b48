"""Machines of other companies bring persons' requests over TLS, in five protocols; each is followed to its real end."""

import asyncio
import base64
import hashlib
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from igstats_dev.crowd import Somebody
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import running
from igstats_gateway.tables import contacts
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.partner import Partner
from igstats_kit.testing.partner import partner as serving_partner
from rich.console import Console
from sqlalchemy import func, select, text
from yarl import URL

from tests.e2e.conftest import World, eventually, privacy_channels
from tests.integration.gateway import test_drp as drp
from tests.integration.gateway import test_iab as iab
from tests.integration.gateway import test_ketch as ketch
from tests.integration.gateway import test_opendsr as opendsr

pytestmark = [pytest.mark.xdist_group("doors"), pytest.mark.timeout(300)]

Says = Callable[[dict[str, Any]], bool]


def _file(folder: Path, host: str) -> Path:
    """The partners of this stack; all may be told at one host."""
    hosts = {"callback_hosts": [host], "verifies": True}
    point = iab.PUBLISHER.public_key().public_numbers()
    x, y = (iab.b64(number.to_bytes(32)) for number in (point.x, point.y))
    publisher = {"id": "publisher.example", "keys": [{"kty": "EC", "crv": "P-256", "kid": "p1", "x": x, "y": y}]}
    own_iab = folder / "iab.key"
    own_iab.write_bytes(iab.own_key())
    shop = {"id": "shop", "domain": "shop.example", "token_sha256": _digest(opendsr.SHOP)} | hosts
    said = {
        "drp": {
            "business_id": drp.BUSINESS,
            "agents": [{"id": "CR_AGENT", "verify_key": drp.public(drp.KEY)} | hosts],
        },
        "opendsr": {"domain": opendsr.DOMAIN, **opendsr.made(folder), "controllers": [shop]},
        "iab": {"domain": "example.com", "key": str(own_iab), "key_id": "1", "parties": [publisher | hosts]},
        "ketch": {"tenants": [{"id": "axonic", "token_sha256": _digest(ketch.OWN)} | hosts]},
    }
    file = folder / "partners.json"
    file.write_text(json.dumps(said))
    return file


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class Market:
    """A stack, its public port, and the partners' common mailbox for callbacks."""

    def __init__(self, world: World, http: aiohttp.ClientSession, partner: Partner) -> None:
        self.world = world
        self.http = http
        self.url = f"https://{partner.host}/told"
        self._partner = partner
        self._told: list[tuple[dict[str, Any], bytes, dict[str, str]]] = []

    async def told(self, says: Says) -> tuple[bytes, dict[str, str]]:
        """The first callback that says so: raw body and headers."""

        async def came() -> bool:
            while not self._partner.told.empty():
                raw, headers = self._partner.told.get_nowait()
                self._told.append((json.loads(raw), raw, headers))
            return any(says(said) for said, _, _ in self._told)

        await eventually(came, "a callback says it")
        return next((raw, headers) for said, raw, headers in self._told if says(said))

    async def gone(self, person: Somebody) -> None:
        """Waits until no contact has the person's address."""

        async def nobody() -> bool:
            async with self.world.database("gateway").read() as connection:
                mine = select(func.count()).select_from(contacts).filter_by(email=address(person))
                return await connection.scalar(mine) == 0

        await eventually(nobody, "the person's rows are gone")

    async def states(self, door: str) -> set[str]:
        """Where the requests of a door stand at privacy."""
        async with self.world.database("privacy").read() as connection:
            asked = text("SELECT state FROM requests WHERE door = :door")
            return set((await connection.scalars(asked, {"door": door})).all())

    async def page(self, url: str) -> int:
        """How the page answers a person who opens it."""
        async with self.http.get(URL(url).path) as answer:
            return answer.status


def address(person: Somebody) -> str:
    """What the partners know of a person."""
    return f"{person.account_id}@bench.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Market]:
    """A stack whose gateway knows the partners, and trusts our authority when it calls them."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "certificates").mkdir(mode=0o700)
    authority = Authority(folder / "certificates")
    context = ssl.create_default_context(cafile=authority.certificate)
    report = ConsoleReport(Console(file=io.StringIO()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.certificate))
        async with serving_partner(authority) as partner:
            patch.setenv("IGSTATS_GATEWAY_PARTNERS", str(_file(folder, partner.host)))
            async with running(folder, report) as stack, privacy_channels(stack) as channels:
                connector = aiohttp.TCPConnector(ssl=context)
                async with aiohttp.ClientSession(stack.layout.public_url, connector=connector) as http:
                    world = World(stack, *channels)
                    yield Market(world, http, partner)
                    await world.crowd.close()


async def test_every_protocol_brings_its_deletion_to_the_end_and_hears_of_it_in_its_own_words(market: Market) -> None:
    people = await market.world.crowd.make(6)
    *asking, bystander = people
    ways = (_by_drp, _by_opendsr, _by_opengdpr, _by_iab, _by_ketch)
    await asyncio.gather(*(way(market, person) for way, person in zip(ways, asking, strict=True)))
    for door in ("drp", "opendsr", "opengdpr", "iab", "ketch"):
        assert await market.states(door) == {"FULFILLED"}, door
    async with market.world.database("gateway").read() as connection:
        left = set((await connection.scalars(select(contacts.c.email))).all())
    assert left & {address(person) for person in people} == {address(bystander)}


async def _by_drp(market: Market, person: Somebody) -> None:
    agent = drp.Agent(market.http)
    await agent.enrol()
    status, said = await agent.exercise(
        email=address(person), status_callback=market.url, **{"agent-request-id": "case 7"}
    )
    assert (status, said["status"], said["agent_request_id"]) == (200, "open", "case 7")
    await market.told(lambda news: news.get("request_id") == said["request_id"] and news["status"] == "fulfilled")
    _, body = await agent.call("GET", f"/v1/data-rights-request/{said['request_id']}")
    polled = json.loads(body)
    assert polled["status"] == "fulfilled"
    assert await market.page(polled["results_url"]) == 200
    await market.gone(person)


async def _by_opendsr(market: Market, person: Somebody) -> None:
    identity = {"identity_type": "email", "identity_value": address(person), "identity_format": "raw"}
    await _controlled(market, person, opendsr.V2, identity)


async def _by_opengdpr(market: Market, person: Somebody) -> None:
    identity = {"identity_type": "email", "identity_value": _digest(address(person)), "identity_format": "sha256"}
    await _controlled(market, person, opendsr.V1, identity)


async def _controlled(market: Market, person: Somebody, names: tuple[str, str, str], identity: dict[str, str]) -> None:
    controller = opendsr.Controller(SimpleNamespace(http=market.http), names)
    status, said, sent = await controller.create(subject_identities=[identity], status_callback_urls=[market.url])
    assert (status, base64.b64decode(said["encoded_request"])) == (201, sent)
    name = said["subject_request_id"]
    raw, headers = await market.told(
        lambda news: news.get("subject_request_id") == name and news["request_status"] == "completed"
    )
    lower = {f"{names[2]}-{part}": headers[f"{names[2]}-{part}".lower()] for part in ("Processor-Domain", "Signature")}
    await controller.check(raw, lower)
    _, polled = await controller.call("GET", f"{controller.requests}/{name}")
    assert polled["request_status"] == "completed"
    await market.gone(person)


async def _by_iab(market: Market, person: Somebody) -> None:
    named = {"identifierValue": _digest(address(person)), "identifierType": "email", "identifierFormat": "sha256"}
    asked = iab.rq_jwt(sub=named, idJWT=iab.id_jwt(sub=named))
    status, acknowledged = await iab.delete(SimpleNamespace(http=market.http), asked.encode())
    assert (status, acknowledged["raResultCode"], acknowledged["rqJWT"]) == (202, 0, asked)
    await market.gone(person)

    async def ended() -> bool:
        return await market.states("iab") == {"FULFILLED"}

    await eventually(ended, "the deletion has its evidence")


async def _by_ketch(market: Market, person: Somebody) -> None:
    identity = {"identitySpace": "email", "identityFormat": "raw", "identityValue": address(person)}
    back = {"url": market.url, "headers": {"Authorization": "Bearer of axonic"}}
    asked = ketch.body(uid="case-1", identities=[identity], callbacks=[back])
    status, said = await ketch.forward(SimpleNamespace(http=market.http), asked)
    assert (status, said["kind"], said["response"]["status"]) == (200, "DeleteResponse", "pending")
    _, headers = await market.told(
        lambda news: news.get("kind") == "DeleteStatusEvent" and news["event"]["status"] == "completed"
    )
    assert headers["authorization"] == "Bearer of axonic"
    _, again = await ketch.forward(SimpleNamespace(http=market.http), asked)
    assert (again["response"]["status"], again["response"]["reason"]) == ("completed", "executed")
    await market.gone(person)


async def test_an_agent_opts_a_person_out_and_takes_back_what_waits_for_the_persons_own_proof(market: Market) -> None:
    (person,) = await market.world.crowd.make(1)
    agent = drp.Agent(market.http)
    await agent.enrol()
    _, opted = await agent.exercise(email=address(person), exercise="sale:opt_out")
    await _until(agent, opted["request_id"], "fulfilled")
    _, asked = await agent.exercise(email=address(person), exercise="access")
    waiting = await _until(agent, asked["request_id"], "in_progress")
    assert waiting["reason"] == "need_user_verification"
    assert await market.page(waiting["user_verification_url"]) == 200
    path = f"/v1/data-rights-request/{asked['request_id']}"
    status, body = await agent.call("DELETE", path, agent.signed(agent.claims(reason="changed my mind")))
    assert (status, json.loads(body)["status"]) == (200, "revoked")
    assert (await _until(agent, asked["request_id"], "revoked"))["request_id"] == asked["request_id"]


async def _until(agent: drp.Agent, request_id: str, word: str) -> dict[str, Any]:
    """Polls until the protocol's word comes."""
    seen: list[dict[str, Any]] = []

    async def said() -> bool:
        _, body = await agent.call("GET", f"/v1/data-rights-request/{request_id}")
        seen.append(json.loads(body))
        return bool(seen[-1]["status"] == word)

    await eventually(said, f"the request is {word}")
    return seen[-1]


async def test_a_controller_gets_a_copy_under_gdpr_and_its_results_page_opens(market: Market) -> None:
    (person,) = await market.world.crowd.make(1)
    controller = opendsr.Controller(SimpleNamespace(http=market.http))
    identity = {"identity_type": "email", "identity_value": address(person), "identity_format": "raw"}
    _, said, _ = await controller.create(subject_identities=[identity], subject_request_type="access")
    seen: list[dict[str, Any]] = []

    async def completed() -> bool:
        seen.append((await controller.call("GET", f"{controller.requests}/{said['subject_request_id']}"))[1])
        return bool(seen[-1]["request_status"] == "completed")

    await eventually(completed, "the copy is made")
    assert await market.page(seen[-1]["results_url"]) == 200
    status, refused = await controller.call("DELETE", f"{controller.requests}/{said['subject_request_id']}")
    assert (status, refused["error"]["code"]) == (409, 409), "what is done cannot be taken back"
