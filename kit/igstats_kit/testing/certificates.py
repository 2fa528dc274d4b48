"""A certificate authority for development and tests: every service gets a certificate that names it."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from igstats_kit.access import spiffe_id
from igstats_kit.clock import Clock, SystemClock
from igstats_kit.testing.secrets import make_private, write_private

_YEAR = timedelta(days=365)
_CLOCK_SKEW = timedelta(minutes=5)
_LOCALHOST = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True)
class Certificate:
    """Files of one service: its certificate and its private key, both PEM."""

    certificate: Path
    key: Path


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """Issues certificates. Its key and certificate live in `directory` and are made when they are missing."""

    def __init__(self, directory: Path, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._directory = directory
        self.certificate = directory / "ca.pem"
        if not self.certificate.exists():
            self._found()
        self._key = self._read_key()
        self._authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())

    def issue(
        self, service: str, *, names: Sequence[str] = (), lifetime: timedelta = _YEAR, age: timedelta = _CLOCK_SKEW
    ) -> Certificate:
        """Makes a key and a certificate for `service`, good for server and client, and replaces earlier ones.

        "operator/ada" names an officer. `lifetime` counts from now, `age` is what it has been valid for.
        """
        host, file = service.partition("/")[0], service.replace("/", "-")
        key = generate_private_key(SECP256R1())
        alternatives = x509.SubjectAlternativeName(
            [
                x509.UniformResourceIdentifier(spiffe_id(service)),
                *(x509.DNSName(name) for name in (host, "localhost", *names)),
                x509.IPAddress(_LOCALHOST),
            ]
        )
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            self._builder(service, key, self._authority.subject, lifetime, age)
            .add_extension(alternatives, critical=False)
            .add_extension(purposes, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        issued = Certificate(self._directory / f"{file}.pem", self._directory / f"{file}.key")
        write_private(issued.key, _pem(key))
        write_private(issued.certificate, builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        return issued

    def _found(self) -> None:
        """Makes the authority; of several processes the one that writes the key first wins."""
        make_private(self._directory / "ca.key", _pem(generate_private_key(SECP256R1())))
        key = self._read_key()
        name = _named("igstats development authority")
        builder = (
            self._builder("igstats development authority", key, name, 10 * _YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
        )
        make_private(self.certificate, builder.sign(key, SHA256()).public_bytes(Encoding.PEM))

    def _read_key(self) -> EllipticCurvePrivateKey:
        key = load_pem_private_key((self._directory / "ca.key").read_bytes(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError("the authority's key is an EC key")
        return key

    def _builder(
        self,
        name: str,
        key: EllipticCurvePrivateKey,
        issuer: x509.Name,
        lifetime: timedelta,
        age: timedelta = _CLOCK_SKEW,
    ) -> x509.CertificateBuilder:
        now = self._clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - age)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
