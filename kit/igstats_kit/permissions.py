"""Who may say and hear what on NATS: one table, from which the server's user list is made and audited.

A service can only speak under its own name, so that holder X alone can publish a receipt of holder X, and can only
read through its own durable consumers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from igstats_kit.access import spiffe_id


@dataclass(frozen=True)
class Rights:
    """The streams a service owns and the durable consumers it reads by: (stream, durable) -> filter subject."""

    owns: frozenset[str] = frozenset()
    consumes: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def readable(self) -> Mapping[str, str]:
        """What the deep sweep searches: stream -> subject; all of it where the stream is the service's own."""
        read = {stream: subject for (stream, _), subject in self.consumes.items()}
        return read | dict.fromkeys(self.owns, "")


def sweeper(service: str) -> str:
    """Name of the consumer that the deep sweep of a service reads by."""
    return f"{service}-sweep"


def _tasks(holder: str) -> dict[tuple[str, str], str]:
    return {("TASKS", f"{holder}-tasks"): f"igstats.privacy.v1.task.{holder}"}


RECEIPTS = "igstats.*.v1.receipt.issued"

RIGHTS: Mapping[str, Rights] = {
    "gateway": Rights(owns=frozenset({"ACCESS"}), consumes=_tasks("gateway")),
    "stats": Rights(
        owns=frozenset({"SYNC", "PROFILES"}),
        consumes=_tasks("stats") | {("SYNC", "stats-sync"): "igstats.stats.v1.sync.requested"},
    ),
    "privacy": Rights(
        owns=frozenset({"TASKS", "RECEIPTS", "REQUESTS", "CORRECTIONS"}),
        consumes=_tasks("privacy")
        | {
            ("RECEIPTS", "privacy-receipts"): RECEIPTS,
            ("CORRECTIONS", "privacy-corrections"): "igstats.*.v1.value.corrected",
        },
    ),
    "audit": Rights(
        owns=frozenset({"RECORDS"}),
        consumes=_tasks("audit")
        | {
            ("RECEIPTS", "audit-receipts"): RECEIPTS,
            ("REQUESTS", "audit-requests"): "igstats.privacy.v1.request.closed",
            ("RECORDS", "audit-records"): "igstats.*.v1.record.made",
            ("ACCESS", "audit-access"): "igstats.gateway.v1.access.recorded",
        },
    ),
}


def _publishes(service: str, rights: Rights) -> Iterator[str]:
    yield f"igstats.{service}.>"
    yield "$JS.API.INFO"
    for stream in sorted(rights.owns | {stream for stream, _ in rights.consumes}):
        yield f"$JS.API.STREAM.INFO.{stream}"
    for stream in sorted(rights.owns):
        yield f"$JS.API.STREAM.CREATE.{stream}"
        yield f"$JS.API.STREAM.UPDATE.{stream}"
    for (stream, durable), subject in rights.consumes.items():
        yield f"$JS.API.CONSUMER.CREATE.{stream}.{durable}.{subject}"
        yield f"$JS.API.CONSUMER.INFO.{stream}.{durable}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        yield f"$JS.ACK.{stream}.{durable}.>"
    for stream, subject in rights.readable.items():
        yield f"$JS.API.CONSUMER.CREATE.{stream}.{sweeper(service)}{subject and '.'}{subject}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{sweeper(service)}"


def user(service: str, rights: Rights) -> dict[str, object]:
    """The user that the service's certificate maps to."""
    return {
        "user": spiffe_id(service),
        "permissions": {
            "publish": {"allow": list(_publishes(service, rights))},
            "subscribe": {"allow": [f"_INBOX_{service}.>"]},
        },
    }


def users(rights: Mapping[str, Rights] = RIGHTS, *, operator: str = "") -> list[dict[str, object]]:
    """Every user of a server; the operator, when named, may do anything (tests and the demo, never a service)."""
    everyone = [user(service, row) for service, row in rights.items()]
    return [*everyone, {"user": spiffe_id(operator)}] if operator else everyone


def authorization(*, operator: str = "") -> str:
    """The part of the server's configuration that names the users, to be pasted beside its `tls` and `jetstream`."""
    return f"authorization: {json.dumps({'users': users(operator=operator)}, indent=2)}\n"
