"""Checks that the report of a security audit is in the evidence log, byte for byte: pure, nobody has to be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.message import DecodeError
from igstats.audit.v1.audit_service_pb2 import CheckOutcome, GetSecurityAuditResponse, SecurityAudit, Severity

from igstats_client.checkpoint import open_checkpoint, trust
from igstats_client.entries import opens, read_leaf
from igstats_client.merkle import check_inclusion, leaf_hash

_KIND = "security_audit.finished"
_PRODUCER = "audit"
_UNLOOKED, _WORST = 3, 5
_EXIT_CODES: Mapping[int, int] = {
    Severity.SEVERITY_UNSPECIFIED: 3,
    Severity.SEVERITY_LOW: 3,
    Severity.SEVERITY_MEDIUM: 4,
    Severity.SEVERITY_HIGH: _WORST,
}
_SKEW = timedelta(minutes=5)
"""By so much may the clock of the service be behind ours."""


class UnprovedError(ValueError):
    """The answer does not prove its report; the text says where it breaks."""


@dataclass(frozen=True, slots=True)
class Proved:
    """Where the report is. Whose keys signed, only the reader can say: `pinned` when they named one."""

    origin: str
    index: int
    size: int
    pinned: bool


def prove(answer: GetSecurityAuditResponse, log_key: str = "", audit_id: str = "") -> Proved:
    """Checks the whole way from the signed checkpoint to the report, and that it is the one asked for.

    Args:
        answer: What the service says.
        log_key: The trusted verifier key of the log; without it, those of the answer are used.
        audit_id: The audit that was asked for; without it, the service says which is the newest.

    Raises:
        ValueError: UnprovedError, or a Refusal of the form of a key, a note or a proof.
    """
    if audit_id:
        _require_same(("audit", answer.audit.audit_id, audit_id))
    keys = list(answer.verifier_keys)
    if log_key and log_key not in keys:
        raise UnprovedError("the log signs with other keys than the trusted one")
    checkpoint = open_checkpoint(answer.checkpoint, trust([log_key] if log_key else keys))
    entry, proof = answer.entry, answer.acknowledgement
    _require_same(
        ("index", entry.index, proof.index),
        ("entry id", entry.entry_id, answer.audit.audit_id),
        ("entry id of the proof", proof.entry_id, entry.entry_id),
    )
    check_inclusion(leaf_hash(entry.leaf), entry.index, checkpoint.size, list(proof.path), checkpoint.root)
    leaf = read_leaf(entry.leaf)
    _require_same(("kind", leaf.kind, _KIND), ("producer", leaf.producer, _PRODUCER))
    if not opens(leaf, entry.salt, entry.payload):
        raise UnprovedError("the payload is not the one that the log committed to")
    if _read(entry.payload) != answer.audit:
        raise UnprovedError("the report is not the one in the log")
    return Proved(checkpoint.origin, entry.index, checkpoint.size, bool(log_key))


def require_run(audit: SecurityAudit, began: datetime) -> None:
    """Checks that an audit can be the one that was begun then.

    Raises:
        UnprovedError: It had ended before.
    """
    ended = audit.finished_time.ToDatetime(UTC)
    if ended < began - _SKEW:
        raise UnprovedError(
            f"the audit {audit.audit_id} had ended before this one was begun, at {ended:%Y-%m-%dT%H:%MZ}"
        )


def _read(payload: bytes) -> SecurityAudit:
    try:
        return SecurityAudit.FromString(payload)
    except DecodeError as error:
        raise UnprovedError("the payload in the log is no report") from error


def _require_same(*pairs: tuple[str, object, object]) -> None:
    for what, found, wanted in pairs:
        if found != wanted:
            raise UnprovedError(f"the {what} is {found}, not {wanted}")


def exit_code(audit: SecurityAudit) -> int:
    """How the command ends: by the worst finding.

    What could not look counts like a low one, and so does a report without checks; a severity that this release does
    not know counts like the worst.
    """
    passed = [check.outcome == CheckOutcome.CHECK_OUTCOME_PASSED for check in audit.checks]
    codes = [_EXIT_CODES.get(finding.severity, _WORST) for check in audit.checks for finding in check.findings]
    return max(codes, default=0 if passed and all(passed) else _UNLOOKED)
