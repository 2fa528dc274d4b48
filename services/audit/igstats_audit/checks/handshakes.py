"""Reads certificates where they are used: from TLS handshakes with services and public ports; the authority's file."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from igstats_audit.checks.certificates import Certificate, Seen

_SECONDS = 5.0
_GREETING_BYTES = 65_536
_PROTOCOLS = ["h2", "http/1.1"]
_OF_TIME = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED of OpenSSL: the rule of expiry tells them


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service serves. NATS speaks first, and in clear, before it asks for TLS.

    Customers meet those with a `public_name`: by that name, and without a certificate of their own.
    """

    service: str
    address: str
    speaks_first: bool = False
    public_name: str = ""

    @property
    def place(self) -> str:
        """How a report names the certificate that is served there."""
        return f"{self.address if self.public_name else self.service} served"


@dataclass(frozen=True, slots=True)
class Files:
    """Our own way to be let in, PEM."""

    authority: Path
    certificate: Path
    key: Path


class Handshakes:
    """Reads what each endpoint serves. What cannot be reached is named and never left out; `unnamed` are such ones."""

    def __init__(self, files: Files, endpoints: Sequence[Endpoint], unnamed: Sequence[str] = ()) -> None:
        self._files = files
        self._endpoints = endpoints
        self._unnamed = unnamed

    async def read(self) -> Seen:
        """All certificates that can be read now."""
        blind = list(self._unnamed)
        try:
            authorities = x509.load_pem_x509_certificates(self._files.authority.read_bytes())
            context = self._context()
        except (OSError, ValueError) as error:
            why = f"our own certificate files ({type(error).__name__}): see that they are PEM and readable"
            return Seen((), (why,))
        found = [_authority(place, one) for place, one in enumerate(authorities)]
        reads = (asyncio.to_thread(self._served, one, context, authorities) for one in self._endpoints)
        answers = await asyncio.gather(*reads, return_exceptions=True)
        for endpoint, answer in zip(self._endpoints, answers, strict=True):
            if isinstance(answer, OSError | ValueError):  # of the network and of TLS; a certificate that is none
                what = endpoint.place.removesuffix(" served")
                blind.append(f"{what} ({type(answer).__name__}): start it, or let audit reach it")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        return Seen(found, blind)

    def _served(
        self, endpoint: Endpoint, context: ssl.SSLContext, authorities: Sequence[x509.Certificate]
    ) -> Certificate:
        if endpoint.public_name:
            return _public(endpoint, _read(endpoint, _stranger()), _refusal(endpoint, self._files.authority))
        return _inner(endpoint, _read(endpoint, context), authorities)

    def _context(self) -> ssl.SSLContext:
        context = _stranger()
        context.load_cert_chain(self._files.certificate, self._files.key)
        return context


def _stranger() -> ssl.SSLContext:
    """Lets any certificate pass: one that has expired must be read too. Nothing is sent or believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    return context


def _read(endpoint: Endpoint, context: ssl.SSLContext) -> x509.Certificate:
    host, _, port = endpoint.address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), _SECONDS) as plain:
        if endpoint.speaks_first:
            _skip_greeting(plain)
        with context.wrap_socket(plain, server_hostname=endpoint.public_name or endpoint.service) as secure:
            raw = secure.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(raw or b"")


def _refusal(endpoint: Endpoint, authority: Path) -> str:
    """What a client says that knows the authorities of this machine and ours; empty when it goes on."""
    context = ssl.create_default_context()
    context.load_verify_locations(authority)
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        _read(endpoint, context)
    except ssl.SSLCertVerificationError as error:
        return "" if error.verify_code in _OF_TIME else error.verify_message
    return ""


def _skip_greeting(plain: socket.socket) -> None:
    """Reads the one line that comes before the handshake."""
    seen = b""
    while not seen.endswith(b"\n"):
        part = plain.recv(_GREETING_BYTES)
        seen += part
        if not part or len(seen) > _GREETING_BYTES:
            raise ConnectionError("no greeting")


def _authority(number: int, certificate: x509.Certificate) -> Certificate:
    place = f"authority {number + 1}" if number else "authority"
    return Certificate(place, "", certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _inner(endpoint: Endpoint, certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> Certificate:
    return Certificate(
        place=endpoint.place,
        service=endpoint.service,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        identities=_names(certificate, x509.UniformResourceIdentifier),
        trusted=any(_issued(certificate, authority) for authority in authorities),
    )


def _public(endpoint: Endpoint, certificate: x509.Certificate, refusal: str) -> Certificate:
    return Certificate(
        place=endpoint.place,
        service=endpoint.service,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        identities=_names(certificate, x509.DNSName),
        public_name=endpoint.public_name,
        refusal=refusal,
    )


def _names(
    certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier] | type[x509.DNSName]
) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(kind))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
