"""Checks the evidence of a request offline: pure, no I/O, no part of igstats has to be asked or trusted.

What holds when there is no finding: the log's key signed a tree that contains every entry; each payload is what its
leaf committed to; each receipt was signed by its holder; every holder that the closing lists has attested, with an
unbroken chain of receipts. Whose keys these are, only the reader can say: pass trusted keys to pin them.
"""

from collections.abc import Mapping

from igstats.api.v1.request_service_pb2 import GetEvidenceResponse

from igstats_client.closing import check_holders, read_closing
from igstats_client.entries import check_checkpoint, open_entries
from igstats_client.receipts import keyring, read_receipts
from igstats_client.verdict import Check, Findings, Verdict


def verify(
    evidence: GetEvidenceResponse, *, log_key: str = "", holder_keys: Mapping[str, bytes] | None = None
) -> Verdict:
    """Checks everything and goes on after a finding, so that the verdict names all of them.

    Args:
        evidence: As the API gave it, or as a file kept it.
        log_key: Trusted verifier key of the log; without it the evidence's own is used.
        holder_keys: Trusted raw public keys by holder; without them the evidence's own are used.
    """
    findings = Findings()
    if not evidence.request_id:
        findings.note(Check.REQUEST, "evidence", "the evidence names no request")
    checkpoint = check_checkpoint(evidence, log_key, findings)
    opened = open_entries(evidence, checkpoint, findings)
    ring = keyring(evidence.holder_keys, holder_keys, findings)
    receipts = read_receipts(opened, evidence.request_id, ring, findings)
    closing = read_closing(opened, evidence.request_id, findings)
    statements = check_holders(closing, receipts, findings) if closing is not None else []
    return Verdict(
        findings=tuple(findings),
        request_id=evidence.request_id,
        state=closing.state if closing is not None else "",
        closed_time=closing.closed_time if closing is not None else None,
        origin=checkpoint.origin if checkpoint is not None else "",
        tree_size=checkpoint.size if checkpoint is not None else 0,
        entry_count=len(evidence.entries),
        statements=tuple(statements),
        keys_pinned=bool(log_key) and holder_keys is not None,
    )
