"""What becomes of events: receipts, closings and records go into the evidence log, calls into the access log.

A batch of events is one commit. Entry ids of evidence come from the events, so a repeated event appends nothing, and
their inbox is written in the same commit; for calls the head of the log keeps the position in their stream.
"""

from collections.abc import Callable, Sequence

from igstats_kit.events import Bus, Consumer, Event, Subscription
from igstats_kit.sql import Database
from igstats_kit.tail import Tail

from igstats_audit import events
from igstats_audit.intake import CallIntake
from igstats_audit.model import Delivery, NewEntry
from igstats_audit.sequencer import Sequencer

# An event of receipts holds up to 512 of them.
_RECEIPTS_BATCH = 16
_BATCH = 256
# Nobody waits for these; a batch that fills meanwhile is one commit and one signature instead of many.
_LINGER_SECONDS = 0.25


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


def consumers(bus: Bus, database: Database, sequencer: Sequencer) -> list[tuple[str, Consumer]]:
    """All consumers of evidence by name."""

    def evidence(wanted: Subscription, read: Callable[[Event], list[NewEntry]], batch: int) -> tuple[str, Consumer]:
        handler = EvidenceHandler(sequencer, wanted.durable, read)
        return wanted.durable, Consumer(bus, database, wanted, handler.handle, batch=batch, linger=_LINGER_SECONDS)

    return [
        evidence(events.RECEIPTS, events.receipts, _RECEIPTS_BATCH),
        evidence(events.REQUESTS, events.closings, _BATCH),
        evidence(events.RECORDS, events.records, _BATCH),
    ]


def call_tail(bus: Bus, database: Database, intake: CallIntake) -> Tail:
    """What follows the gateway's calls into the access log."""
    return Tail(bus, database, events.CALLS, intake, batch=_BATCH, linger=_LINGER_SECONDS)
