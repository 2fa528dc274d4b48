"""Puts the checks of the security audit together: each rule with what gathers its facts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from igstats_kit.client import Channels
from igstats_kit.clock import Clock
from igstats_kit.sql import Database

from igstats_audit import audit_messages
from igstats_audit.audit_store import CallIndexReader, CatalogueReader, FindingReader, SecurityAuditStore
from igstats_audit.audits import Audits
from igstats_audit.checks import advisories, api_keys, calls, certificates, database, key_files, logs, nats
from igstats_audit.checks.handshakes import Endpoint, Files, Handshakes
from igstats_audit.checks.key_ages import KeyAges
from igstats_audit.checks.logged_calls import LoggedCalls, ReadEntries
from igstats_audit.checks.logs import LogStates, ReadWatched, Watched
from igstats_audit.checks.remembered import LogMemory
from igstats_audit.checks.report import Look
from igstats_audit.checks.signed_methods import signed_methods
from igstats_audit.config import AuditConfig
from igstats_audit.inspection import GatewayInspection
from igstats_audit.logs import Logs
from igstats_audit.model import Log

_EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - where we listen, not what we open
_NATS_PORT, _HTTPS_PORT = 4222, 443


def security_audits(
    config: AuditConfig,
    own: Database,
    channels: Channels,
    both: Logs,
    key_ids: Callable[[], Sequence[str]],
    clock: Clock,
) -> Audits:
    """The security audits of this service. `key_ids` reads the store of the keys of the day."""
    store, evidence = SecurityAuditStore(own), both.evidence
    states = LogStates({log: both[log].proofs for log in Log}, store, LogMemory(config.key_directory))
    looks = all_looks(config, own, channels, states, both.access.store.entries, key_ids, clock)
    interval = timedelta(hours=config.security_audit_hours)
    append, write = evidence.sequencer.append, audit_messages.write
    return Audits(looks, store, append, evidence.proofs, write, states, clock, interval=interval)


def all_looks(
    config: AuditConfig,
    own: Database,
    channels: Channels,
    states: LogStates,
    entries: ReadEntries,
    key_ids: Callable[[], Sequence[str]],
    clock: Clock,
) -> dict[str, Look]:
    """Every check of the catalogue by name. `entries` reads the API log."""
    inspection = GatewayInspection(channels.to("gateway", config.gateway_address))
    files = Files(config.tls_ca, config.tls_cert, config.tls_key)
    paths = key_paths(config)
    facts = LoggedCalls(CallIndexReader(own), entries)
    return {
        **api_keys.looks(inspection.keys, clock),
        **calls.looks(facts, signed_methods(), inspection.keys, clock),
        **certificates.looks(Handshakes(files, list(endpoints(config)), unnamed(config)).read, clock),
        **database.looks(CatalogueReader(own).read),
        **advisories.looks(config.advisories, clock),
        **key_files.looks(paths, key_ids, KeyAges(config.key_directory, paths).of, clock),
        **logs.looks(states.read, watched(own), clock),
        **nats.looks(config.nats_config, config.nats_operator),
    }


def watched(own: Database) -> ReadWatched:
    """What the monitor still sees, and when it looked: both as it has written them into the database."""
    reader = FindingReader(own)

    async def read() -> Watched:
        looked_at = await reader.looked_at()
        return Watched(looked_at, await reader.since(looked_at))

    return read


def endpoints(config: AuditConfig) -> Iterator[Endpoint]:
    """Where certificates are served: by every service, ourselves included, by NATS, and to customers."""
    host, _, port = config.listen.rpartition(":")
    yield Endpoint("audit", f"{'127.0.0.1' if host in _EVERYWHERE else host}:{port}")
    yield Endpoint("gateway", config.gateway_address)
    yield Endpoint("privacy", config.privacy_address)
    yield Endpoint("stats", config.stats_address)
    for url in config.nats_url.split(","):
        parts = urlsplit(url.strip())
        yield Endpoint("nats", f"{parts.hostname}:{parts.port or _NATS_PORT}", speaks_first=True)
    yield from _public_endpoints(config)


def _public_endpoints(config: AuditConfig) -> Iterator[Endpoint]:
    """The ports at which customers meet the gateway; where none are named, that of the public URL."""
    parts = urlsplit(config.public_url)
    if parts.hostname:
        own = f"{parts.netloc.removesuffix(f':{parts.port}')}:{parts.port or _HTTPS_PORT}"
        for address in (config.public_addresses or own).split(","):
            yield Endpoint("gateway", address.strip(), public_name=parts.hostname)


def unnamed(config: AuditConfig) -> list[str]:
    """What is not looked at, because nothing says where it is."""
    return [] if config.public_url else ["the certificate that customers meet: set IGSTATS_AUDIT_PUBLIC_URL"]


def key_paths(config: AuditConfig) -> dict[str, Path]:
    """Every setting that names a key file, or the folder of the keys of the day."""
    named = {name: getattr(config, name) for name in type(config).model_fields}
    wanted = {name: value for name, value in named.items() if name.endswith("_key") or name == "key_directory"}
    return {name.upper(): value for name, value in wanted.items() if isinstance(value, Path)}
