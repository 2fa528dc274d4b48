"""What becomes of events: receipts, closings and records go into the evidence log, calls into the API log.

A batch of events is one commit, with their inbox. Entry ids come from the events, so a repeated event appends nothing.
"""

from collections.abc import Callable, Sequence

from igstats_kit.events import Bus, Consumer, Event, Subscription
from igstats_kit.sql import Database

from igstats_audit import events
from igstats_audit.calls import CallLog
from igstats_audit.model import Delivery, NewEntry
from igstats_audit.sequencer import Sequencer

# An event of receipts holds up to 512 of them.
_RECEIPTS_BATCH = 16
_BATCH = 256
# Nobody waits for these; a batch that fills meanwhile is one commit and one signature instead of many.
_LINGER_SECONDS = 0.1


class EvidenceHandler:
    """Appends what `read` finds in events."""

    def __init__(self, sequencer: Sequencer, durable: str, read: Callable[[Event], list[NewEntry]]) -> None:
        self._sequencer = sequencer
        self._durable = durable
        self._read = read

    async def handle(self, batch: Sequence[Event]) -> None:
        """Appends a batch."""
        found = [entry for event in batch for entry in self._read(event)]
        await self._sequencer.deliver(found, Delivery(self._durable, batch))


class CallHandler:
    """Keeps the calls of a batch."""

    def __init__(self, log: CallLog) -> None:
        self._log = log

    async def handle(self, batch: Sequence[Event]) -> None:
        """Keeps a batch."""
        found = [call for event in batch for call in events.calls(event)]
        await self._log.keep(Delivery(events.CALLS.durable, batch), found)


def consumers(bus: Bus, database: Database, sequencer: Sequencer, log: CallLog) -> list[tuple[str, Consumer]]:
    """All consumers by name."""

    def evidence(wanted: Subscription, read: Callable[[Event], list[NewEntry]], batch: int) -> tuple[str, Consumer]:
        handler = EvidenceHandler(sequencer, wanted.durable, read)
        return wanted.durable, Consumer(bus, database, wanted, handler.handle, batch=batch, linger=_LINGER_SECONDS)

    calls = Consumer(bus, database, events.CALLS, CallHandler(log).handle, batch=_BATCH, linger=_LINGER_SECONDS)
    return [
        evidence(events.RECEIPTS, events.receipts, _RECEIPTS_BATCH),
        evidence(events.REQUESTS, events.closings, _BATCH),
        evidence(events.RECORDS, events.records, _BATCH),
        (events.CALLS.durable, calls),
    ]
