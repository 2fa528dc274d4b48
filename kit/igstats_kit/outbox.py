"""Transactional outbox: a fact is written with the change it states and published after the commit.

What ends in a log gets its producer's number in the same transaction: numbers have no gap, so a lost entry shows.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import accumulate
from typing import Any

from google.protobuf.message import Message
from igstats.event.v1.events_pb2 import AccessRecorded, ReceiptsIssued, RecordMade, RequestsClosed
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from igstats_kit.clock import Clock, woken
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event
from igstats_kit.fence import admitted
from igstats_kit.log import get_logger
from igstats_kit.sql import Database, fetch, notify_after_commit, shielded
from igstats_kit.tables import outbox
from igstats_kit.telemetry import OUTBOX_WAITING

_BATCH = 256
_RETRY_SECONDS = 0.5
_REMOVE_SECONDS = 1.0
_REMOVE_AT = 500
_LOOK_SECONDS = 5.0
_LEFT_AFTER = timedelta(seconds=5)
_MOST = 20_000

# Taken and removed in one statement; a crash before the commit leaves the row, and its id makes the repeat harmless.
_TAKE = text(
    "DELETE FROM outbox WHERE position IN"
    " (SELECT position FROM outbox WHERE created_at <= now() - CAST(:age AS interval)"
    " ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING *"
)
_PUT_BACK = text(
    "INSERT INTO outbox (position, event_id, subject, type, data, created_at, sequence) OVERRIDING SYSTEM VALUE"
    " VALUES (:position, :event_id, :subject, :type, :data, :created_at, :sequence)"
)
_REMOVE = text("DELETE FROM outbox WHERE event_id = ANY(CAST(:event_ids AS text[]))")

# How many entries of a log an event makes. All that one transaction posts goes to one log.
_ENTRIES: Mapping[str, Callable[[Any], int]] = {
    ReceiptsIssued.DESCRIPTOR.full_name: lambda event: len(event.receipts),
    RecordMade.DESCRIPTOR.full_name: lambda event: len(event.records),
    RequestsClosed.DESCRIPTOR.full_name: lambda event: len(event.closings),
    AccessRecorded.DESCRIPTOR.full_name: lambda event: len(event.records),
}
_LOGS = {AccessRecorded.DESCRIPTOR.full_name: "access"}

_log = get_logger()


def posting(condition: str = "true") -> str:
    """Parts `numbered` and `posted` of a WITH clause; `posted` answers (event_id, sequence). Binds: `post_binds`."""
    return (
        "numbered AS (UPDATE producer_sequences SET last = last + CAST(:post_total AS bigint)"  # noqa: S608 - no value is put in
        f" WHERE log = :post_log AND CAST(:post_total AS bigint) > 0 AND {condition} RETURNING last),"
        " posted AS (INSERT INTO outbox (event_id, subject, type, data, sequence) SELECT p.event_id, p.subject, p.type,"
        " p.data, coalesce((SELECT last FROM numbered) - p.behind, p.sequence) FROM unnest(CAST(:post_ids AS text[]),"
        " CAST(:post_subjects AS text[]), CAST(:post_types AS text[]), CAST(:post_data AS bytea[]),"
        " CAST(:post_behind AS bigint[]), CAST(:post_sequences AS bigint[]))"
        " AS p(event_id, subject, type, data, behind, sequence)"
        f" WHERE {condition} RETURNING event_id, sequence)"
    )


_POST = text(f"WITH {posting()} SELECT event_id, sequence FROM posted")  # noqa: S608 - only our own constants


@dataclass(frozen=True)
class Posted:
    """A fact for the outbox. `entries` says how many new entries of a log it makes; `sequence` numbers the first."""

    event_id: str
    subject: str
    type: str
    data: bytes
    entries: int = 0
    sequence: int = 0

    @classmethod
    def of(cls, subject: str, message: Message, event_id: str | None = None) -> "Posted":
        """A fact to post; `event_id` (default: a new ULID) is its id for ever."""
        made, kind = event_id or str(ULID()).lower(), message.DESCRIPTOR.full_name
        entries = _ENTRIES[kind](message) if kind in _ENTRIES else 0
        return cls(made, subject, kind, message.SerializeToString(), entries)


def post_binds(facts: Sequence[Posted]) -> dict[str, Any]:
    """Binds of `posting` for these facts."""
    ends = list(accumulate(fact.entries for fact in facts))
    total = ends[-1] if ends else 0
    return {
        "post_total": total,
        "post_log": next((_LOGS[fact.type] for fact in facts if fact.type in _LOGS), "evidence"),
        "post_ids": [fact.event_id for fact in facts],
        "post_subjects": [fact.subject for fact in facts],
        "post_types": [fact.type for fact in facts],
        "post_data": [fact.data for fact in facts],
        # From the total back to the first of each; NULL leaves a fact without new entries at the number it has.
        "post_behind": [
            total - end + fact.entries - 1 if fact.entries else None for fact, end in zip(facts, ends, strict=True)
        ],
        "post_sequences": [fact.sequence for fact in facts],
    }


def post(connection: AsyncConnection, facts: Iterable[Posted], rows: Iterable[Any]) -> None:
    """Hands facts to the relay once the running transaction has committed; `rows` are what `posted` answered."""
    numbers = {row.event_id: row.sequence for row in rows}
    notify_after_commit(connection, [replace(fact, sequence=numbers[fact.event_id]) for fact in facts])


async def enqueue(connection: AsyncConnection, subject: str, message: Message, *, event_id: str | None = None) -> None:
    """Writes a fact into the outbox of the running transaction."""
    await enqueue_all(connection, [Posted.of(subject, message, event_id)])


async def enqueue_about(connection: AsyncConnection, tokens: Collection[bytes], subject: str, message: Message) -> bool:
    """Writes a fact about persons, unless one of them is erased or has restricted processing: then nothing is said.

    Publishing is processing (GDPR 18). Answers whether the fact was written.
    """
    if await admitted(connection, tokens) != set(tokens):
        return False
    await enqueue(connection, subject, message)
    return True


async def enqueue_all(connection: AsyncConnection, facts: Sequence[Posted]) -> None:
    """Writes facts into the outbox of the running transaction, all in one statement."""
    if facts:
        post(connection, facts, await fetch(connection, _POST, post_binds(facts)))


class Relay:
    """Publishes facts after their commit: at once those that this process wrote, from the table those left behind.

    Left behind is what a process wrote that has ended or was cancelled, and all that was committed while the server
    did not answer: then the table alone remembers it. Replicas run side by side: rows are taken with SKIP LOCKED, and a
    fact published twice keeps its id, which the server knows for two minutes.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._awake = asyncio.Event()
        self._fresh: list[Posted] = []
        self._sent: list[str] = []
        self._sweeping = self._behind = False
        self._looked = self._sent_since = time.monotonic()
        database.after_commit.append(self._on_commit)

    def _on_commit(self, news: Sequence[Posted]) -> None:
        if self._sweeping or len(self._fresh) >= _MOST:
            self._behind = True  # the table has them
        else:
            self._fresh += news
        self._awake.set()

    async def run(self) -> None:
        """Publishes until cancelled. A failed publish leaves its row: unknown is retried with the same id."""
        await self._sweep()
        while True:
            if await woken(self._awake, _REMOVE_SECONDS if self._sent else _LOOK_SECONDS):
                self._awake.clear()
                if not await self._publish_fresh() or self._behind:
                    await self._sweep()
            await self._tidy()

    async def _publish_fresh(self) -> bool:
        """Publishes what was just committed, without asking the database for it."""
        fresh, self._fresh = self._fresh, []
        results = await asyncio.gather(*map(self._publish, fresh), return_exceptions=True)
        if not self._sent:
            self._sent_since = time.monotonic()
        self._sent += [posted.event_id for posted, result in zip(fresh, results, strict=True) if result is None]
        return all(result is None for result in results)

    async def _tidy(self) -> None:
        """Removes what is published, and looks for what was left behind, however many facts come."""
        now = time.monotonic()
        if self._sent and (len(self._sent) >= _REMOVE_AT or now >= self._sent_since + _REMOVE_SECONDS):
            await self._remove()
        if now >= self._looked + _LOOK_SECONDS:
            await self._publish_left()
            self._looked = now

    async def _remove(self) -> None:
        """Removes the rows of published facts, many at a time. After a crash they go out again, under the same ids."""
        sent, self._sent = self._sent, []
        try:
            async with self._database.statement() as connection:
                await fetch(connection, _REMOVE, {"event_ids": sent})
        except DomainError as error:
            self._sent += sent
            _log.warning("outbox waits", reason=error.reason)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _publish_left(self) -> None:
        try:
            while await shielded(self.publish_batch(_LEFT_AFTER)) == _BATCH:
                pass
        except DomainError:
            await self._sweep()

    async def _sweep(self) -> None:
        """Publishes what is in the table: after a start, and when a publish has failed.

        News that come meanwhile are not kept, or an outage would fill the memory with what goes out from the table
        anyway. They are kept again before the last look into the table, so that none falls between the two.
        """
        self._fresh, self._sweeping = [], True
        while True:
            try:
                taken = await self._publish_some()
            except DomainError as error:
                _log.warning("outbox waits", reason=error.reason)
                self._fresh, self._sweeping = [], True
                await self._count()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if taken < _BATCH and not self._behind:
                break
            if taken < _BATCH:
                self._sweeping = self._behind = False
        self._sweeping = False
        OUTBOX_WAITING.set(0)

    async def _publish_some(self) -> int:
        """A batch from the table, but nothing that was published before and whose row is still there."""
        while self._sent:
            await self._remove()
        return await shielded(self.publish_batch())

    async def _count(self) -> None:
        with suppress(DomainError):
            async with self._database.read() as connection:
                OUTBOX_WAITING.set(await connection.scalar(select(func.count()).select_from(outbox)) or 0)

    async def publish_batch(self, age: timedelta = timedelta(0)) -> int:
        """Publishes the oldest rows and removes those that the server acknowledged; returns how many were taken.

        Rows younger than `age` are left to whoever has written them.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE when a publish was not acknowledged; the acknowledged ones are gone.
        """
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_TAKE, {"limit": _BATCH, "age": age})).all()
            facts = [
                Posted(row.event_id, row.subject, row.type, bytes(row.data), sequence=row.sequence) for row in rows
            ]
            results = await asyncio.gather(*map(self._publish, facts), return_exceptions=True)
            unsent = [row for row, result in zip(rows, results, strict=True) if result is not None]
            if unsent:
                await connection.execute(_PUT_BACK, [dict(row._mapping) for row in unsent])  # noqa: SLF001 - public
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return len(rows)

    async def _publish(self, posted: Posted) -> None:
        now = self._clock.now()
        event = Event(posted.event_id, posted.subject, posted.type, now, posted.data, sequence=posted.sequence)
        await self._bus.publish(event)
