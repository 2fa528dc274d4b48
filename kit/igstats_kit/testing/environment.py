"""The environment that a service reads its settings from, for development and tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from igstats_kit.testing.certificates import Certificate
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.secrets import Secrets

SERVICES = ("audit", "privacy", "stats", "gateway")
ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True)
class Listeners:
    """Where a service listens, each host:port."""

    rpc: str = ANY_PORT
    health: str = ANY_PORT
    metrics: str = ANY_PORT


def shared(nats: Nats, authority: Path, secrets: Secrets, addresses: Mapping[str, str]) -> dict[str, str]:
    """What every service is told; `addresses` are the gRPC listeners of the others."""
    told = {
        "IGSTATS_NATS_URL": nats.url,
        "IGSTATS_NATS_MONITOR_URL": nats.monitor_url,
        "IGSTATS_TLS_CA": str(authority),
        "IGSTATS_SUPPRESSION_KEY": str(secrets.path("suppression.key")),
        "IGSTATS_ACCESS_SEAL_KEY": str(secrets.path("access-seal.key")),
        "IGSTATS_BACKUP_DAYS": "0",
    }
    for service in SERVICES:
        told[f"IGSTATS_{service.upper()}_ADDRESS"] = addresses.get(service, ANY_PORT)
    return told


def own(
    service: str, database_url: str, listeners: Listeners, certificate: Certificate, secrets: Secrets
) -> dict[str, str]:
    """What one service alone is told."""
    settings = {
        "DATABASE_URL": database_url,
        "LISTEN": listeners.rpc,
        "HEALTH_LISTEN": listeners.health,
        "METRICS_LISTEN": listeners.metrics,
        "TLS_CERT": str(certificate.certificate),
        "TLS_KEY": str(certificate.key),
        "RECEIPT_KEY": str(secrets.path(f"{service}-receipt.pem")),
        "SEAL_KEY": str(secrets.path(f"{service}-seal.key")),
    }
    return {f"IGSTATS_{service.upper()}_{name}": value for name, value in settings.items()}


def special(service: str, certificate: Certificate, secrets: Secrets) -> dict[str, str]:
    """Settings that only this service has; addresses are free ports unless the caller sets others."""
    rows = {
        "gateway": {
            "IGSTATS_GATEWAY_PUBLIC_GRPC_LISTEN": ANY_PORT,
            "IGSTATS_GATEWAY_PUBLIC_HTTP_LISTEN": ANY_PORT,
            "IGSTATS_GATEWAY_PUBLIC_TLS_CERT": str(certificate.certificate),
            "IGSTATS_GATEWAY_PUBLIC_TLS_KEY": str(certificate.key),
            "IGSTATS_GATEWAY_KEY_PEPPER": str(secrets.path("gateway-pepper.key")),
        },
        "stats": {"IGSTATS_STATS_INSTAGRAM_URL": "http://127.0.0.1:9", "IGSTATS_STATS_SYNC_SECONDS": "86400"},
        "privacy": {"IGSTATS_PRIVACY_EXPORT_DAYS": "7"},
        "audit": {
            "IGSTATS_AUDIT_EVIDENCE_LOG_KEY": str(secrets.path("audit-evidence-log.pem")),
            "IGSTATS_AUDIT_EVIDENCE_LOG_MLDSA_KEY": str(secrets.path("audit-evidence-log-mldsa.pem")),
            "IGSTATS_AUDIT_ACCESS_LOG_KEY": str(secrets.path("audit-access-log.pem")),
            "IGSTATS_AUDIT_ACCESS_LOG_MLDSA_KEY": str(secrets.path("audit-access-log-mldsa.pem")),
            "IGSTATS_AUDIT_LOG_ORIGIN": "igstats.localhost",
            "IGSTATS_AUDIT_KEY_DIRECTORY": str(secrets.directory / "audit-keys-of-day"),
            "IGSTATS_AUDIT_MONITOR_DIRECTORY": str(secrets.directory.parent / "audit-monitor"),
            "IGSTATS_AUDIT_TILE_DIRECTORY": str(secrets.directory.parent / "audit-tiles"),
        },
    }
    return rows.get(service, {})
