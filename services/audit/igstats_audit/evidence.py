"""The evidence of one request: every receipt and the closing that lists the holders, with proofs."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import chain
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.log import get_logger
from ulid import ULID

from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.model import (
    CUT_ID,
    LOG_CUT,
    RECEIPT_ISSUED,
    REQUEST_CLOSED,
    Acknowledgement,
    Entry,
    Head,
    LogStore,
    NewEntry,
    RequestEvidence,
    Seal,
)
from igstats_audit.proofs import Proofs

_CLOSER = "privacy"
_DECISIVE = frozenset({RECEIPT_ISSUED, REQUEST_CLOSED, LOG_CUT})
_KIND = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
_OF_RECEIPT = re.compile(r"/[0-9a-f]{64}\Z")
_RETRY_SECONDS = 1.0

_log = get_logger()

NamedReceipts = Callable[[str, bytes], frozenset[str]]
"""Digests (hex) of the receipts that an entry of this kind and payload names."""


class Covering(Protocol):
    """Knows the newest checkpoint that a witness has signed."""

    async def covering(self, index: int, head: Head) -> Seal | None:
        """That checkpoint, if it has this entry and all before it."""
        ...


class Evidence:
    """Collects evidence: complete when the request has closed and every receipt that its entries name is here.

    Closings are privacy's, and a receipt is its holder's own. What calls itself so and is neither is no evidence.
    """

    def __init__(
        self,
        store: LogStore,
        proofs: Proofs,
        cosigned: Covering,
        named_receipts: NamedReceipts,
        clock: Clock,
        *,
        days: int,
    ) -> None:
        self._store = store
        self._proofs = proofs
        self._cosigned = cosigned
        self._named_receipts = named_receipts
        self._clock = clock
        self._days = timedelta(days=days)

    async def of(self, request_id: str) -> RequestEvidence:
        """Everything about the request, against a checkpoint that a witness has signed if one has all of it.

        Raises:
            DomainError: EVIDENCE_NOT_READY: the closing or a receipt is still on its way. For good: EVIDENCE_LOST: what
                some entries say cannot be opened. ENTRY_CUT: the log has cut what is missing, or all of it.
                ENTRY_NOT_FOUND: the log has never heard of the request; privacy knows whether it will.
                DEPENDENCY_UNAVAILABLE: a key is damaged, or the key store lacks one: that may be mended.
        """
        head = await self._store.head()
        here = [entry for entry in await self._entries(request_id) if entry.index < head.tree.size]
        entries = list(filter(_is_own_word, here))
        if len(entries) < len(here):
            _log.error("entries speak for others", request_id=request_id, count=len(here) - len(entries))
        if lost := sum(not entry.salt for entry in entries):
            _log.error("evidence does not open: see the runbook on audit keys", request_id=request_id, count=lost)
            raise DomainError(Reason.EVIDENCE_LOST, lost=str(lost), entries=str(len(entries)))
        if not self._complete(entries):
            raise self._missing(request_id, head, known=bool(entries))
        seal = await self._cosigned.covering(entries[-1].index, head) or Seal(head.tree, head.checkpoint)
        paths = await self._proofs.inclusions([entry.index for entry in entries], seal.tree)
        proved = [
            Acknowledgement(entry.entry_id, entry.index, found) for entry, found in zip(entries, paths, strict=True)
        ]
        return RequestEvidence(entries, proved, seal.checkpoint, seal.cosignatures)

    async def _entries(self, request_id: str) -> Sequence[Entry]:
        try:
            return await self._store.entries_of(request_id)
        except (KeyDamagedError, KeyLostError) as error:
            _log.exception("evidence cannot be opened: see the runbook on audit keys", request_id=request_id)
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="keys") from error

    def _complete(self, entries: Sequence[Entry]) -> bool:
        closings = [entry for entry in entries if entry.kind == REQUEST_CLOSED]
        here = {receipt_digest(entry.entry_id) for entry in entries if entry.kind == RECEIPT_ISSUED}
        named = (self._named_receipts(entry.kind, entry.payload) for entry in entries)
        return bool(closings) and here.issuperset(chain.from_iterable(named))

    def _missing(self, request_id: str, head: Head, *, known: bool) -> DomainError:
        """Why there is no evidence, by the log and the age of the request's id: an id that is made up tells nothing."""
        opened = _opened_on(request_id)
        if head.minimum_index and opened is not None and opened <= self._clock.now().date() - self._days:
            return DomainError(Reason.ENTRY_CUT, log=self._store.log, minimum_index=str(head.minimum_index))
        if not known:
            return DomainError(Reason.ENTRY_NOT_FOUND, log=self._store.log)
        return DomainError(Reason.EVIDENCE_NOT_READY, retry_after=_RETRY_SECONDS, request_id=request_id)


def _opened_on(request_id: str) -> date | None:
    """The day of a request by its id, which begins with its time; None for an id of another form."""
    try:
        return ULID.from_str(request_id.removeprefix("req_").upper()).datetime.date()
    except ValueError:
        return None


def _is_own_word(entry: Entry) -> bool:
    if entry.kind == REQUEST_CLOSED:
        return entry.producer == _CLOSER
    return entry.kind != RECEIPT_ISSUED or entry.entry_id.startswith(f"{entry.request_id}/{entry.producer}/")


def require_free(entries: Sequence[NewEntry], field: str) -> None:
    """Lets services say anything but what evidence rests on: that is read from receipts and closings, or the log's own.

    Raises:
        DomainError: FIELD_INVALID.
    """
    violations = [
        Violation(f"{field}[{at}].{name}", text) for at, one in enumerate(entries) for name, text in _not_free(one)
    ]
    if violations:
        raise DomainError(Reason.FIELD_INVALID, violations=violations)


def _not_free(entry: NewEntry) -> Iterator[tuple[str, str]]:
    if fault := _fault_of_kind(entry.kind):
        yield "kind", fault
    if entry.entry_id.startswith(CUT_ID):
        yield "entry_id", "is that of a cut"
    if _OF_RECEIPT.search(entry.entry_id):
        yield "entry_id", "has the form of a receipt's"


@lru_cache(maxsize=256)
def _fault_of_kind(kind: str) -> str:
    """What is wrong with a kind, if anything; entries of one append are of few kinds."""
    if kind in _DECISIVE:
        return "the log takes it from receipts, closings and cuts only"
    return "" if _KIND.fullmatch(kind) else "is not words of lower-case letters with dots between"


def receipt_entry_id(task_id: str, digest: bytes) -> str:
    """Entry id of a receipt: its task and the digest of its bytes, so that the same receipt is never logged twice."""
    return f"{task_id}/{digest.hex()}"


def receipt_digest(entry_id: str) -> str:
    """Digest (hex) in the entry id of a receipt."""
    return entry_id.rpartition("/")[2]
