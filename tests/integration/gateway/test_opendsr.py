"""OpenDSR through the real port, by a controller that checks our signatures with the certificate that we serve."""

import asyncio
import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from igstats.privacy.v1.request_pb2 import RequestState
from igstats_gateway.doors.tables import partner_callbacks, partner_requests
from sqlalchemy import select
from yarl import URL

DOMAIN = "dsr.example.com"
SHOP, CLUB = "token of shop", "token of club"
V2, V1 = ("/opendsr/v2", "requests", "X-OpenDSR"), ("/opendsr/v1", "opengdpr_requests", "X-OpenGDPR")


def made(folder: Path) -> dict[str, str]:
    """Our key and its certificate."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = built.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, SHA256())
    files = {"key": folder / "opendsr.key", "certificate": folder / "opendsr.pem"}
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files["certificate"].write_bytes(signed.public_bytes(Encoding.PEM))
    return {name: str(file) for name, file in files.items()}


@pytest.fixture
def partners_file(tmp_path: Path, partner: Any) -> Path:
    controllers = [
        {
            "id": name,
            "domain": f"{name}.example",
            "token_sha256": hashlib.sha256(f"token of {name}".encode()).hexdigest(),
            "callback_hosts": [partner.host],
            "verifies": name == "shop",
        }
        for name in ("shop", "club")
    ]
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"opendsr": {"domain": DOMAIN, **made(tmp_path), "controllers": controllers}}))
    return file


class Controller:
    """A controller: it sends requests and checks what it gets."""

    def __init__(self, gateway: Any, names: tuple[str, str, str] = V2, token: str = SHOP) -> None:
        self._http, (self.root, self.requests, self.header), self._token = gateway.http, names, token

    async def call(self, verb: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        async with self._http.request(verb, f"{self.root}/{path}", data=body, headers=headers) as response:
            raw = await response.read()
            if response.status < 400:
                await self.check(raw, response.headers)
            return response.status, json.loads(raw)

    async def check(self, raw: bytes, headers: Any) -> None:
        """As section 8.8 says: the key comes from discovery, the bytes are checked before they are read."""
        assert headers[f"{self.header}-Processor-Domain"] == DOMAIN
        async with self._http.get(f"{self.root}/discovery") as response:
            address = URL((await response.json())["processor_certificate"])
        async with self._http.get(address.path) as response:
            key = x509.load_pem_x509_certificate(await response.read()).public_key()
        assert isinstance(key, RSAPublicKey)
        key.verify(base64.b64decode(headers[f"{self.header}-Signature"]), raw, PKCS1v15(), SHA256())

    async def create(self, **change: Any) -> tuple[int, dict[str, Any], bytes]:
        body = json.dumps(request(**change)).encode()
        return (*await self.call("POST", self.requests, body), body)


def request(**change: Any) -> dict[str, Any]:
    identity = {"identity_type": "email", "identity_value": "johndoe@example.com", "identity_format": "raw"}
    return {
        "regulation": "gdpr",
        "subject_request_id": str(uuid.uuid4()),
        "subject_request_type": "erasure",
        "submitted_time": "2026-06-02T15:00:00Z",
        "subject_identities": [identity],
        **change,
    }


@pytest.mark.parametrize("names", [V2, V1])
async def test_a_request_is_opened_looked_at_and_taken_back(gateway: Any, names: tuple[str, str, str]) -> None:
    controller = Controller(gateway, names)
    status, said, body = await controller.create()
    assert (status, said["controller_id"]) == (201, "shop")
    assert base64.b64decode(said["encoded_request"]) == body
    (sent,) = gateway.others.doorkeeper.openings
    assert sent.identity_proof == "OpenDSR controller shop.example: mail address verified"
    one = f"{controller.requests}/{said['subject_request_id']}"
    assert (await controller.call("GET", one))[1]["request_status"] == "pending"
    status, cancelled = await controller.call("DELETE", one)
    assert (status, cancelled["subject_request_id"]) == (202, said["subject_request_id"])
    assert (await controller.call("GET", one))[1]["request_status"] == "cancelled"


async def test_nothing_of_the_body_is_kept(gateway: Any) -> None:
    await Controller(gateway).create()
    async with gateway.database.read() as connection:
        rows = str((await connection.execute(select(partner_requests))).all())
    assert "johndoe" not in rows


async def test_a_request_that_runs_cannot_be_taken_back(gateway: Any) -> None:
    controller = Controller(gateway)
    _, said, _ = await controller.create()
    gateway.others.doorkeeper.requests[f"{1:052d}"].state = RequestState.REQUEST_STATE_EXECUTING
    status, refused = await controller.call("DELETE", f"requests/{said['subject_request_id']}")
    assert (status, refused["error"]["code"]) == (409, 409)


async def test_the_same_id_is_the_same_request_and_never_another(gateway: Any) -> None:
    controller, name = Controller(gateway), str(uuid.uuid4())
    answers = [(await controller.create(subject_request_id=name))[0] for _ in range(2)]
    assert answers == [201, 201]
    assert len(gateway.others.doorkeeper.openings) == 1
    assert (await controller.create(subject_request_id=name, subject_request_type="access"))[0] == 400


async def test_a_request_is_nobodys_but_its_controllers(gateway: Any) -> None:
    _, said, _ = await Controller(gateway).create()
    club = Controller(gateway, token="token of club")
    one = f"requests/{said['subject_request_id']}"
    assert [(await club.call(verb, one))[0] for verb in ("GET", "DELETE")] == [404, 404]
    await club.create()
    assert gateway.others.doorkeeper.openings[1].identity_proof == ""


@pytest.mark.parametrize("token", ["", "token", "token of shop "])
async def test_who_shows_no_token_gets_nothing(gateway: Any, token: str) -> None:
    stranger = Controller(gateway, token=f"x{token}")
    assert (await stranger.create())[0] == 401
    assert (await stranger.call("GET", "requests/x"))[0] == 401
    assert gateway.others.doorkeeper.openings == []


@pytest.mark.parametrize(
    "change",
    [
        {"subject_request_id": "1"},
        {"subject_request_type": "rectification"},
        {"subject_identities": [{"identity_type": "email", "identity_value": "ab", "identity_format": "md5"}]},
        {"status_callback_urls": ["https://evil.example/told"]},
        {"status_callback_urls": ["http://127.0.0.1/told"]},
    ],
)
async def test_what_breaks_a_rule_is_400_and_opens_nothing(gateway: Any, change: dict[str, Any]) -> None:
    status, said, _ = await Controller(gateway).create(**change)
    assert (status, said["error"]["code"]) == (400, 400)
    assert gateway.others.doorkeeper.openings == []


@pytest.mark.parametrize("names", [V2, V1])
async def test_a_controller_is_told_with_a_signature_until_it_listens(
    gateway: Any, partner: Any, names: tuple[str, str, str]
) -> None:
    controller = Controller(gateway, names)
    partner.answers += [401]
    url = f"https://{partner.host}/told"
    _, said, _ = await controller.create(status_callback_urls=[url])
    gateway.others.doorkeeper.requests[f"{1:052d}"].state = RequestState.REQUEST_STATE_FENCING
    await asyncio.wait_for(partner.told.get(), 30)
    async with gateway.database.statement() as connection:  # the pause of the first retry is over
        await connection.execute(partner_callbacks.update().values(next_at=datetime.now(UTC)))
    body, headers = await asyncio.wait_for(partner.told.get(), 30)
    told = json.loads(body)
    assert (told["request_status"], told["status_callback_url"]) == ("in_progress", url)
    assert told["subject_request_id"] == said["subject_request_id"]
    lower = {
        f"{controller.header}-{name}": headers[f"{controller.header}-{name}".lower()]
        for name in ("Processor-Domain", "Signature")
    }
    await controller.check(body, lower)
