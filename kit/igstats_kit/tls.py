"""Mutual TLS: the same three files for gRPC in both directions and for NATS."""

import contextlib
import ssl

import grpc

from igstats_kit.config import ServiceConfig


def _files(config: ServiceConfig) -> tuple[bytes, bytes, bytes]:
    return config.tls_ca.read_bytes(), config.tls_key.read_bytes(), config.tls_cert.read_bytes()


def server_credentials(config: ServiceConfig) -> grpc.ServerCredentials:
    """Credentials that ask every client for a certificate and follow the files when they are renewed."""
    known = _files(config)

    def configuration() -> grpc.ServerCertificateConfiguration:
        authority, key, certificate = known
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC at each handshake. Files that cannot be read just now leave the last ones in force."""
        nonlocal known
        with contextlib.suppress(OSError):
            if (found := _files(config)) != known:
                known = found
                return configuration()
        return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        renewed,  # type: ignore[arg-type]  # None means "as before"; the stub forgets it
        require_client_authentication=True,
    )


def channel_credentials(config: ServiceConfig) -> grpc.ChannelCredentials:
    """Credentials of a client; they are read once, so a process lives shorter than its certificate."""
    authority, key, certificate = _files(config)
    return grpc.ssl_channel_credentials(authority, key, certificate)


def ssl_context(config: ServiceConfig) -> ssl.SSLContext:
    """A client's context for NATS: our authority only, our certificate, TLS 1.3."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(config.tls_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context
