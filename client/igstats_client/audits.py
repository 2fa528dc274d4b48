"""Checks that the report of a security audit is in the evidence log, byte for byte: pure, nobody has to be asked."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from igstats.audit.v1.audit_service_pb2 import CheckOutcome, GetSecurityAuditResponse, SecurityAudit, Severity

from igstats_client.checkpoint import open_checkpoint, trust
from igstats_client.entries import opens, read_leaf
from igstats_client.merkle import check_inclusion, leaf_hash

_KIND = "security_audit.finished"
_PRODUCER = "audit"
_EXIT_CODES = {
    Severity.SEVERITY_UNSPECIFIED: 3,
    Severity.SEVERITY_LOW: 3,
    Severity.SEVERITY_MEDIUM: 4,
    Severity.SEVERITY_HIGH: 5,
}


class UnprovedError(ValueError):
    """The answer does not prove its report; the text says where it breaks."""


@dataclass(frozen=True, slots=True)
class Proved:
    """Where the report is. Whose keys signed, only the reader can say: `pinned` when they named one."""

    origin: str
    index: int
    size: int
    pinned: bool


def prove(answer: GetSecurityAuditResponse, log_key: str = "") -> Proved:
    """Checks the whole way from the signed checkpoint to the report.

    Raises:
        ValueError: UnprovedError, or a Refusal of the form of a key, a note or a proof.
    """
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
    """How the command ends: by the worst finding; a check that could not look counts like a low one."""
    passed = all(check.outcome == CheckOutcome.CHECK_OUTCOME_PASSED for check in audit.checks)
    found = [finding.severity for check in audit.checks for finding in check.findings]
    return 0 if passed and not found else _EXIT_CODES[max(found, default=Severity.SEVERITY_LOW)]
