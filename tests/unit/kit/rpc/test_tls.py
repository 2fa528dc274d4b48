"""Certificates: issued, verified, and renewed while the server runs."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from igstats_kit.access import spiffe_id
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError
from igstats_kit.interceptors.identity import assume, officer, service_of
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority, Certificate
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tls import ssl_context

Settings = Callable[..., Any]


def read(issued: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate.read_bytes())


def verify(authority: Authority, issued: Certificate, name: str) -> None:
    """Checks a server's certificate as a strict client does."""
    store = Store([x509.load_pem_x509_certificate(authority.certificate.read_bytes())])
    PolicyBuilder().store(store).build_server_verifier(x509.DNSName(name)).verify(read(issued), [])


def test_certificate_names_its_service(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("stats", names=["stats.igstats.svc"])
    names = read(issued).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://igstats/stats"]
    assert names.get_values_for_type(x509.DNSName) == ["stats", "localhost", "stats.igstats.svc"]
    for name in ("stats", "localhost", "stats.igstats.svc"):
        verify(authority, issued, name)
    with pytest.raises(VerificationError):
        verify(authority, issued, "privacy")


def test_authority_is_kept_and_certificates_are_renewed(tmp_path: Path) -> None:
    first = Authority(tmp_path)
    before = read(first.issue("stats"))
    second = Authority(tmp_path)
    after = second.issue("stats")
    verify(first, after, "stats")
    assert before.serial_number != read(after).serial_number


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    issued = Authority(tmp_path / "keys").issue("stats")
    assert {path.stat().st_mode & 0o077 for path in (issued.key, tmp_path / "keys" / "ca.key")} == {0}


def test_expired_certificate_does_not_verify(tmp_path: Path) -> None:
    authority = Authority(tmp_path, clock=FakeClock(SystemClock().now() - timedelta(days=2)))
    with pytest.raises(VerificationError):
        verify(authority, authority.issue("stats", lifetime=timedelta(days=1)), "stats")


def test_context_for_nats_trusts_our_authority_only(settings: Settings) -> None:
    context = ssl_context(settings("stats"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    "identities",
    [
        [],
        [b"spiffe://elsewhere/stats"],
        [b"spiffe://igstats/stats/extra"],
        [b"spiffe://igstats/"],
        [b"spiffe://igstats/stats", b"spiffe://igstats/privacy"],
    ],
)
def test_peer_without_exactly_one_identity_of_ours_is_nobody(identities: list[bytes]) -> None:
    with pytest.raises(DomainError):
        service_of({"peer_spiffe_id": identities})
    assert service_of({"peer_spiffe_id": [spiffe_id("stats").encode()]}) == "stats"


async def seen_serial(port: int, context: ssl.SSLContext) -> int:
    """The serial number of the certificate that the server shows to a new connection."""
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()  # a polite end would wait for the server's HTTP/2 frames
    return x509.load_der_x509_certificate(shown).serial_number


async def test_renewed_certificate_is_used_without_a_restart(settings: Settings, certificates: Authority) -> None:
    config = settings("echo")
    rpc = RpcServer(config, {})
    port = await rpc.start()
    before = await seen_serial(port, ssl_context(settings("gateway")))
    renewed = read(certificates.issue("echo")).serial_number
    assert await seen_serial(port, ssl_context(settings("gateway"))) == renewed != before
    credentials = grpc.ssl_channel_credentials(
        config.tls_ca.read_bytes(), config.tls_key.read_bytes(), config.tls_cert.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
    await rpc.stop(0)


def test_an_officer_is_whom_the_certificate_names_and_no_service_is_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    uri = x509.UniformResourceIdentifier
    names = read(authority.issue("operator/ada")).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(uri) == ["spiffe://igstats/operator/ada"]
    assert service_of({"peer_spiffe_id": [spiffe_id("operator/ada").encode()]}) == "operator"
    assume("operator", name="ada")
    assert officer() == "ada"
    assume("operator")
    assert officer() == "operator"
    assume("gateway", name="ada")
    with pytest.raises(DomainError):
        officer()
