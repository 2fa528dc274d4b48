"""Every call leaves a record, refused ones included: one event for many, and usage counted by day and method.

Calls of nobody that is known have a small room of their own, and what an address makes beyond its allowance of them is
counted only: strangers can neither displace records of customers nor fill the log.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from igstats_kit.clock import Clock, woken
from igstats_kit.log import get_logger
from igstats_kit.seal import Sealer

from igstats_gateway.model import Call, CallRecord, Client
from igstats_gateway.telemetry import ACCESS_RECORDS_REDUCED

BATCH = 256
GATHER_SECONDS = 0.05
SEAL_CONTEXT = "access"
_RETRY_SECONDS = 0.5
_CAPACITY = 50_000
_STRANGERS = 2_000
_MICROSECOND = timedelta(microseconds=1)

_log = get_logger()


class WriteRecords(Protocol):
    """Stores usage and event of a batch in one transaction; answers how many records lost their (fenced) person.

    The batch has an id: a batch whose commit is unknown is written again under the same one, and counts once. The batch
    before has `settled`.
    """

    async def __call__(self, batch_id: str, records: Sequence[CallRecord], *, settled: str) -> int:
        """Writes the batch, unless it was written before."""
        ...


def seal_client(sealer: Sealer, client: Client) -> bytes:
    """Where a call came from, for the audit service's eyes only."""
    plain = {"ip_address": client.ip_address, "user_agent": client.user_agent}
    return sealer.seal(json.dumps(plain).encode(), SEAL_CONTEXT)


class Metering:
    """Gathers records for a moment and writes them together."""

    def __init__(self, write: WriteRecords, sealer: Sealer, clock: Clock) -> None:
        self._write = write
        self._sealer = sealer
        self._clock = clock
        self._waiting: list[CallRecord] = []
        self._strangers: list[CallRecord] = []
        self._batch: list[CallRecord] = []
        self._settled = ""
        self._writing = asyncio.Lock()
        self._noted = asyncio.Event()
        self._full = asyncio.Event()

    def note(self, call: Call) -> None:
        """Takes the record of a call that has just ended; never waits and never fails the call."""
        known = call.caller is not None
        waiting, capacity = (self._waiting, _CAPACITY) if known else (self._strangers, _STRANGERS)
        if call.excessive or len(waiting) >= capacity:
            ACCESS_RECORDS_REDUCED.labels(why="overflow" if known else "stranger").inc()
            return
        waiting.append(self._record(call))
        self._noted.set()
        if len(waiting) >= BATCH:
            self._full.set()

    def _record(self, call: Call) -> CallRecord:
        return CallRecord(
            call_id=call.call_id,
            account_id=call.account_id,
            key_id=call.caller.key_id if call.caller else "",
            method=call.method,
            protocol=call.protocol,
            status=call.status,
            reason=call.reason,
            called_time=call.called_time,
            latency_us=max(0, (self._clock.now() - call.called_time) // _MICROSECOND),
            sealed_client=seal_client(self._sealer, call.client),
            scope=call.scope,
        )

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await self._noted.wait()
            await woken(self._full, GATHER_SECONDS)
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - whatever the database has, the records wait for it
                _log.warning("metering waits", exc_info=True)
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self) -> None:
        """Writes all that waits.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; what could not be written waits on.
        """
        async with self._writing:
            while self._waiting or self._strangers or self._batch:
                await self._flush_batch()
            self._noted.clear()
            self._full.clear()

    async def _flush_batch(self) -> None:
        if not self._batch:  # otherwise the last one failed, and goes again unchanged
            self._batch = self._next()
        batch_id = self._batch[0].call_id
        fenced = await self._write(batch_id, self._batch, settled=self._settled)
        ACCESS_RECORDS_REDUCED.labels(why="fenced").inc(fenced)
        self._batch, self._settled = [], batch_id

    def _next(self) -> list[CallRecord]:
        """What goes next: customers first, strangers into the room that is left."""
        taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        room = BATCH - len(taken)
        strangers, self._strangers = self._strangers[:room], self._strangers[room:]
        return taken + strangers
