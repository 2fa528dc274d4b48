"""The evidence of one request: every receipt and the closing that lists the holders, with proofs."""

from collections.abc import Callable, Sequence

from igstats_kit.errors import DomainError, Reason

from igstats_audit.model import RECEIPT_ISSUED, REQUEST_CLOSED, Acknowledgement, Entry, LogStore, RequestEvidence
from igstats_audit.proofs import Proofs

_RETRY_SECONDS = 1.0

NamedReceipts = Callable[[bytes], frozenset[str]]
"""Digests (hex) of the receipts that the payload of a closing names."""


class Evidence:
    """Collects evidence: complete when the request has closed and every receipt that the closing names is here."""

    def __init__(self, store: LogStore, proofs: Proofs, named_receipts: NamedReceipts) -> None:
        self._store = store
        self._proofs = proofs
        self._named_receipts = named_receipts

    async def of(self, request_id: str) -> RequestEvidence:
        """Everything about the request.

        Raises:
            DomainError: EVIDENCE_NOT_READY; the closing or a receipt that it names is still on its way.
        """
        head = await self._store.head()
        entries = [entry for entry in await self._store.entries_of(request_id) if entry.index < head.tree.size]
        if not self._complete(entries):
            raise DomainError(Reason.EVIDENCE_NOT_READY, retry_after=_RETRY_SECONDS, request_id=request_id)
        paths = await self._proofs.inclusions([entry.index for entry in entries], head.tree)
        proved = [
            Acknowledgement(entry.entry_id, entry.index, found) for entry, found in zip(entries, paths, strict=True)
        ]
        return RequestEvidence(entries, proved, head.checkpoint)

    def _complete(self, entries: Sequence[Entry]) -> bool:
        closings = [entry for entry in entries if entry.kind == REQUEST_CLOSED]
        here = {receipt_digest(entry.entry_id) for entry in entries if entry.kind == RECEIPT_ISSUED}
        named = [self._named_receipts(entry.payload) for entry in closings]
        return bool(closings) and here.issuperset(*named)


def receipt_entry_id(task_id: str, digest: bytes) -> str:
    """Entry id of a receipt: its task and the digest of its bytes, so that the same receipt is never logged twice."""
    return f"{task_id}/{digest.hex()}"


def receipt_digest(entry_id: str) -> str:
    """Digest (hex) in the entry id of a receipt."""
    return entry_id.rpartition("/")[2]
