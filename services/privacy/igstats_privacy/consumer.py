"""Takes what holders publish: receipts, verified and settled or refused on record, and corrections for recipients."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from google.protobuf.message import DecodeError
from igstats.event.v1.events_pb2 import ReceiptsIssued, ValuesCorrected
from igstats.holder.v1.receipt_pb2 import Receipt as ReceiptMessage
from igstats.holder.v1.receipt_pb2 import SignedReceipt
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event, take_inbox
from igstats_kit.log import get_logger
from igstats_kit.receipt import Signer, verify
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import recipient_store, store
from igstats_privacy.changes import Changes
from igstats_privacy.events import CORRECTIONS, RECEIPTS, publisher
from igstats_privacy.messages import read_receipt
from igstats_privacy.model import Receipt
from igstats_privacy.receipts import Receipts, Refusal, objection
from igstats_privacy.registry import Registry
from igstats_privacy.store import Connection

_log = get_logger()


@dataclass(frozen=True)
class _Heard:
    receipts: tuple[Receipt, ...]
    refusals: tuple[Refusal, ...]


class ReceiptConsumer:
    """The handler of the durable consumer privacy-receipts: one transaction per fetched batch."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        receipts: Receipts,
        changes: Changes,
        clock: Clock,
        signer: Signer,
    ) -> None:
        self._signer = signer
        self._database = database
        self._registry = registry
        self._receipts = receipts
        self._changes = changes
        self._clock = clock

    async def handle(self, events: Sequence[Event]) -> None:
        """Settles what the receipts prove. A receipt that does not fit is recorded and harms no other."""
        heard = {event.id: await self._hear(event) for event in events}
        concerned = {one.task.request_id for some in heard.values() for one in some.receipts}
        async with self._database.transaction() as connection:
            taken, known = await store.take(connection, RECEIPTS.durable, heard, concerned)
            fresh = [heard[event_id] for event_id in heard if event_id in taken]
            receipts = [one for some in fresh for one in some.receipts]
            settled = await self._receipts.settle(connection, known, receipts)
            refusals = [one for some in fresh for one in some.refusals]
            await self._refuse(connection, [*refusals, *settled.refusals])
        self._changes.publish(settled.request_ids)

    async def _hear(self, event: Event) -> _Heard:
        holder = publisher(event.subject)
        try:
            issued = ReceiptsIssued.FromString(event.data)
        except DecodeError:
            return _Heard((), (Refusal(holder, "event", ""),))
        read = [await self._read(holder, signed) for signed in issued.receipts]
        receipts = tuple(one for one in read if isinstance(one, Receipt))
        return _Heard(receipts, tuple(one for one in read if isinstance(one, Refusal)))

    async def _read(self, holder: str, signed: SignedReceipt) -> Receipt | Refusal:
        key = await self._registry.key(holder, signed.key_id)
        if key is None:
            return Refusal(holder, "key_id", signed.key_id[:16])
        try:
            receipt = read_receipt(signed, self._verified(signed, key))
        except DomainError as error:
            if error.reason is not Reason.RECEIPT_INVALID:
                raise
            return Refusal(holder, error.metadata.get("check", ""), signed.key_id)
        check = "content" if receipt is None else objection(holder, receipt)
        if receipt is None or check:
            return Refusal(holder, check, signed.key_id)
        return receipt

    def _verified(self, signed: SignedReceipt, key: bytes) -> ReceiptMessage:
        """Checking a signature is the dearest step of a deletion; those of this process as a holder are known to it."""
        made_here = self._signer.has_made(signed)
        return ReceiptMessage.FromString(signed.receipt) if made_here else verify(signed, key)

    async def _refuse(self, connection: Connection, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            _log.warning("receipt refused", holder=refusal.publisher, step=refusal.check)
            await record(connection, "privacy", "receipt.refused", asdict(refusal), now=self._clock.now())


class CorrectionConsumer:
    """The handler of the durable consumer privacy-corrections: those who got the old values are told (GDPR 19)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, events: Sequence[Event]) -> None:
        """Notes which fields were corrected for the recipients of the person; a repeated event changes nothing."""
        async with self._database.transaction() as connection:
            fields: dict[str, list[str]] = defaultdict(list)
            for event in await take_inbox(connection, CORRECTIONS.durable, events):
                told = ValuesCorrected.FromString(event.data)
                fields[told.request_id] += [one.field for one in told.corrected]
            await recipient_store.corrected(connection, fields)
