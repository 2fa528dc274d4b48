"""What a service sends to a log is numbered without gaps, whatever happens to the transactions around it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from igstats.event.v1.events_pb2 import AccessRecord, AccessRecorded, AuditRecord, RecordMade, SyncRequested
from igstats_kit.outbox import Posted, enqueue, enqueue_all
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import outbox
from sqlalchemy import select

MakeDatabase = Callable[[str], Awaitable[Database]]


def _records(count: int) -> RecordMade:
    return RecordMade(records=[AuditRecord(kind="test.made")] * count)


async def _post(kept: Database, *messages: Message) -> None:
    async with kept.transaction() as connection:
        await enqueue_all(connection, [Posted.of("subject", message) for message in messages])


async def _numbers(kept: Database) -> list[tuple[str, int]]:
    async with kept.read() as connection:
        rows = await connection.execute(select(outbox.c.type, outbox.c.sequence).order_by(outbox.c.position))
        return [(row.type.rpartition(".")[2], row.sequence) for row in rows]


async def test_each_event_carries_the_number_of_its_first_entry(database: MakeDatabase) -> None:
    kept = await database("numbers")
    await _post(kept, _records(3), SyncRequested(connection_id="a"), _records(2))
    await _post(kept, _records(1))
    assert await _numbers(kept) == [("RecordMade", 1), ("SyncRequested", 0), ("RecordMade", 4), ("RecordMade", 6)]


async def test_each_log_has_its_own_numbers(database: MakeDatabase) -> None:
    kept = await database("numbers")
    await _post(kept, _records(2))
    await _post(kept, AccessRecorded(records=[AccessRecord()] * 5))
    await _post(kept, AccessRecorded(records=[AccessRecord()]))
    assert await _numbers(kept) == [("RecordMade", 1), ("AccessRecorded", 1), ("AccessRecorded", 6)]


async def test_a_transaction_that_fails_uses_up_no_number(database: MakeDatabase) -> None:
    kept = await database("numbers")

    async def post_and_fail() -> None:
        async with kept.transaction() as connection:
            await record(connection, "stats", "test.made", {}, now=datetime.now(UTC))
            raise RuntimeError("after the write")

    with pytest.raises(RuntimeError):
        await post_and_fail()
    await _post(kept, _records(1))
    assert await _numbers(kept) == [("RecordMade", 1)]


async def test_transactions_side_by_side_share_no_number(database: MakeDatabase) -> None:
    kept = await database("numbers")
    await asyncio.gather(*(_post(kept, _records(1 + number % 3)) for number in range(24)))
    taken = [
        number
        for position, (_, first) in enumerate(await _numbers(kept))
        for number in range(first, first + await _count(kept, position))
    ]
    assert sorted(taken) == list(range(1, len(taken) + 1))


async def _count(kept: Database, position: int) -> int:
    async with kept.read() as connection:
        data = await connection.scalar(select(outbox.c.data).order_by(outbox.c.position).offset(position).limit(1))
    return len(RecordMade.FromString(bytes(data or b"")).records)


async def test_a_committed_event_is_handed_on_with_its_number(database: MakeDatabase) -> None:
    kept = await database("numbers")
    told: list[Posted] = []
    kept.after_commit.append(told.extend)
    async with kept.transaction() as connection:
        await enqueue(connection, "subject", _records(2))
    async with kept.transaction() as connection:
        await enqueue(connection, "subject", _records(2))
    assert [fact.sequence for fact in told] == [1, 3]
