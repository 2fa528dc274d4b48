"""The names of all checks, and what each looks at. An audit without one of them does not start."""

from collections.abc import Mapping

CHECKS: Mapping[str, str] = {
    "api_keys.scopes": "API keys with scopes that none of their calls has needed",
    "api_keys.unused": "API keys that nobody uses, or that never end",
    "calls.authentication": "hours in which unusually many calls could not prove who they are",
    "calls.unsigned": "answered calls without the signature that their scope or method needs",
    "certificates.age": "certificates that have been in use for too long",
    "certificates.expiry": "certificates that have expired or soon will",
    "certificates.identity": "certificates that name somebody else, or that another authority has issued",
    "database.permissions": "roles, databases, grants and extensions beyond the declared ones",
    "dependencies.advisories": "installed distributions that a known advisory is about",
    "keys.age": "key files that nobody has renewed for long",
    "keys.day": "keys of the day that outlive their day",
    "keys.permissions": "key files that others may read or replace",
    "log.consistency": "logs whose newest checkpoint does not extend that of the last audit",
    "log.findings": "what the monitor has found and still sees",
    "nats.permissions": "NATS users and rights beyond or below the declared ones",
}
