"""NATS: what the server's configuration allows, compared with what this release declares."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, cast

from igstats_kit.permissions import users

from igstats_audit.checks.nats_file import NatsFileError, parse
from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence

# What a server of ours is configured by, and what only sets its limits and its log. The server has many ways in, with
# several spellings (leaf, leafnodes; operator, roots, trusted): whatever does not stand here may be one.
_PARTS = frozenset({"authorization", "cluster", "http", "jetstream", "listen", "ports_file_dir", "server_name", "tls"})
_SPELLINGS = frozenset({"host", "http_port", "monitor_port", "net", "port"})  # of listen and http
_LIMITS = frozenset(
    {"lame_duck_duration", "lame_duck_grace_period", "max_connections", "max_control_line", "max_payload"}
    | {"max_pending", "max_subscriptions", "ping_interval", "ping_max", "write_deadline"}
    | {"debug", "log_file", "log_size_limit", "logfile", "logfile_size_limit", "logtime", "pid_file", "pidfile"}
)
_DECLARED = _PARTS | _SPELLINGS | _LIMITS
_CLUSTER = frozenset(
    {"advertise", "authorization", "cluster_advertise", "compression", "connect_retries", "host", "listen", "name"}
    | {"net", "no_advertise", "ping_interval", "ping_max", "pool_size", "port", "routes", "tls", "write_deadline"}
)
_VERIFYING = ("verify", "verify_and_map", "verify_cert_and_check_known_urls")
_UNDECLARED = "is not declared and may open another way in: take it out of the configuration"
_SHOWN = 5


def compare(deployed: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Every difference between the configuration and the declared users."""
    yield from _server(deployed)
    authorization = deployed.get("authorization")
    found = authorization.get("users") if isinstance(authorization, Mapping) else None
    if not isinstance(found, list):
        text = "has no list of users: anybody with a certificate may do anything; deploy the declared users"
        yield Finding(Severity.HIGH, "authorization", text, evidence(users=_kind(found)))
        return
    yield from _undeclared("authorization.", cast("Mapping[str, Any]", authorization), {"users", "timeout"})
    yield from _users(found, declared)


def _undeclared(place: str, given: Mapping[str, Any], known: AbstractSet[str]) -> Iterator[Finding]:
    for name in sorted(set(given) - known):
        yield Finding(Severity.HIGH, f"{place}{name}", _UNDECLARED, evidence(value=_kind(given[name])))


def _kind(given: object) -> str:
    """What stands in the configuration, without its words: they may be a password."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    return "a block" if isinstance(given, Mapping) else "a list" if isinstance(given, list) else "a value"


def _server(deployed: Mapping[str, Any]) -> Iterator[Finding]:
    tls, jetstream = deployed.get("tls"), deployed.get("jetstream")
    if not isinstance(tls, Mapping) or tls.get("verify_and_map") is not True:
        text = "must be true: without it a certificate does not decide which user somebody is"
        there = tls.get("verify_and_map") if isinstance(tls, Mapping) else None
        yield Finding(Severity.HIGH, "tls.verify_and_map", text, evidence(verify_and_map=_kind(there)))
    if not isinstance(jetstream, Mapping) or jetstream.get("sync_interval") != "always":
        text = "must be always: otherwise a power cut loses acknowledged messages"
        there = jetstream.get("sync_interval") if isinstance(jetstream, Mapping) else None
        yield Finding(Severity.MEDIUM, "jetstream.sync_interval", text, evidence(sync_interval=there or "none"))
    yield from _undeclared("", deployed, _DECLARED)
    if "cluster" in deployed:
        yield from _cluster(deployed["cluster"])


def _cluster(found: object) -> Iterator[Finding]:
    """Whoever may be a peer reads everything: it needs a certificate, and more than one that each service has."""
    cluster = found if isinstance(found, Mapping) else {}
    tls, authorization = cluster.get("tls"), cluster.get("authorization")
    if not isinstance(tls, Mapping) or "insecure" in tls or not any(tls.get(name) is True for name in _VERIFYING):
        text = "must have verify: true, and not insecure: without it anybody may be a peer and read everything"
        there = {name: _kind(tls.get(name)) for name in ("verify", "insecure")} if isinstance(tls, Mapping) else {}
        yield Finding(Severity.HIGH, "cluster.tls", text, evidence(tls=_kind(tls), **there))
    known = isinstance(tls, Mapping) and tls.get("verify_cert_and_check_known_urls") is True
    if not known and (not isinstance(authorization, Mapping) or not authorization.get("user")):
        text = "must name a user, or cluster.tls check known URLs: else the certificate of any service makes a peer"
        yield Finding(Severity.HIGH, "cluster.authorization", text, evidence(user="none", known_urls="not checked"))
    yield from _undeclared("cluster.", cluster, _CLUSTER)


def _users(found: Sequence[Any], declared: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    wanted = {str(user["user"]): user for user in declared}
    names = [str(user.get("user", "")) if isinstance(user, Mapping) else "" for user in found]
    for name in sorted(set(wanted) - set(names)):
        text = "is declared and not deployed: its service cannot connect; deploy the declared users"
        yield Finding(Severity.MEDIUM, name, text, evidence(deployed_users=len(found)))
    for name, user in zip(names, found, strict=True):
        place = name or "a user without a name"
        if name not in wanted:
            text = "is not declared: find out who uses it, and take it out of the configuration"
            fields = sorted(user) if isinstance(user, Mapping) else []
            yield Finding(Severity.HIGH, place, text, evidence(fields=",".join(fields) or "none"))
        elif names.count(name) > 1:
            text = "stands there more than once: the server takes one of them; deploy the declared users"
            yield Finding(Severity.HIGH, place, text, evidence(times=names.count(name)))
        else:
            yield from _rights(place, user, wanted[name])


def _rights(place: str, user: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Finding]:
    extra = sorted(set(user) - set(wanted))
    if extra:
        text = "has more ways to prove itself than its certificate: deploy the declared user"
        yield Finding(Severity.HIGH, place, text, evidence(fields=",".join(extra)))
    if "permissions" not in wanted:
        return
    permissions = user.get("permissions")
    if not isinstance(permissions, Mapping):
        text = "has no permissions and may do anything: deploy the declared user"
        yield Finding(Severity.HIGH, place, text, evidence(permissions=_kind(permissions)))
        return
    other = sorted(set(permissions) - set(wanted["permissions"]))
    if other:
        text = "has permissions of another kind than declared: deploy the declared user"
        yield Finding(Severity.HIGH, place, text, evidence(permissions=",".join(other)))
    for verb, declared in wanted["permissions"].items():
        yield from _subjects(place, verb, permissions.get(verb), declared["allow"])


def _subjects(place: str, verb: str, given: object, declared: Sequence[str]) -> Iterator[Finding]:
    allowed, denied = _allowed(given)
    if allowed is None:
        text = f"may {verb} on every subject: deploy the declared user"
        yield Finding(Severity.HIGH, place, text, evidence(**{verb: "every subject"}))
        return
    more, less = sorted(allowed - set(declared)), sorted((set(declared) - allowed) | (set(declared) & denied))
    if more:
        text = f"may {verb} more than declared: deploy the declared user"
        yield Finding(Severity.HIGH, place, text, _listed("undeclared", more))
    if less:
        text = f"may not {verb} what it needs: deploy the declared user"
        yield Finding(Severity.MEDIUM, place, text, _listed("missing", less))


def _allowed(given: object) -> tuple[set[str] | None, set[str]]:
    """Allowed and denied subjects; None instead of a set when everything is allowed."""
    if isinstance(given, Mapping):
        allow, deny = given.get("allow"), given.get("deny", [])
        return (None if allow is None else _texts(allow)), _texts(deny)
    return (None if given is None else _texts(given)), set()


def _texts(given: object) -> set[str]:
    return set(map(str, given)) if isinstance(given, list) else {str(given)}


def _listed(name: str, subjects: Sequence[str]) -> tuple[str, ...]:
    rest = (f"{name}_more={len(subjects) - _SHOWN}",) if len(subjects) > _SHOWN else ()
    return tuple(f"{name}={subject}" for subject in subjects[:_SHOWN]) + rest


def looks(path: Path | None, operator: str) -> dict[str, Look]:
    """The check of the configuration at `path`. `operator` may do anything, when one is named."""

    async def look() -> Looked:
        if path is None:
            raise NotPossibleError("IGSTATS_AUDIT_NATS_CONFIG does not name the server's configuration")
        try:
            deployed = parse(await asyncio.to_thread(path.read_text, encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise NotPossibleError(f"the server's configuration cannot be read: {type(error).__name__}") from error
        except NatsFileError as error:
            raise NotPossibleError(f"the server's configuration is not understood: {error}") from error
        declared = users(operator=operator)
        scope = f"{len(declared)} declared users against {path.name}"
        return Looked(scope, list(compare(deployed, declared)))

    return {"nats.permissions": look}
