"""Retention by declaration, to the day, on a real database with a fake clock."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats_kit import retention
from igstats_kit.declare import Declarations, anchor, days, declared, delete, plain
from igstats_kit.retention import Removal, RetentionWorker
from igstats_kit.sql import Database
from igstats_kit.tables import KIT_TABLES, outbox, restrictions, retention_runs
from igstats_kit.testing import toy
from igstats_kit.testing.clock import FakeClock
from sqlalchemy import Column, Date, LargeBinary, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.exc import IntegrityError

MakeDatabase = Callable[[str], Awaitable[Database]]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PARTITIONED = MetaData()

calls = Table(
    "calls",
    PARTITIONED,
    Column("day", Date, nullable=False, info=plain()),
    Column("token", LargeBinary, nullable=False, index=True, info=plain()),
    Column("account_id", Text, nullable=False, info=plain()),
    postgresql_partition_by="RANGE (day)",
    info=declared(
        subjects=[anchor("account", key="account_id", tokens=["token"])],
        purpose="test",
        legal_basis="contract",
        retention=days(30, column="day", partitioned=True),
        on_erase=delete(),
    ),
)


@pytest.fixture
async def kept(database: MakeDatabase) -> Database:
    made = await database("kit")
    async with made.transaction() as connection:
        await connection.run_sync(toy.METADATA.create_all)
        await connection.run_sync(PARTITIONED.create_all)
        for back in range(28, 33):
            day = NOON.date() - timedelta(days=back)
            name = f"calls_{day:%Y%m%d}"
            bounds = f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
            await connection.execute(text(f"CREATE TABLE {name} PARTITION OF calls {bounds}"))
            rows = [{"day": day, "token": token, "account_id": token.decode()} for token in (b"a", b"b")]
            await connection.execute(insert(calls), rows)
    return made


def _worker(database: Database, *tables: Table) -> RetentionWorker:
    return RetentionWorker("stats", Declarations([*tables, *KIT_TABLES]), database, FakeClock(NOON))


async def _days(database: Database) -> list[date]:
    async with database.read() as connection:
        found = await connection.execute(select(calls.c.day).distinct().order_by(calls.c.day))
        return list(found.scalars())


async def _removal(worker: RetentionWorker, store: str, *, dry_run: bool = False) -> Removal:
    return next(one for one in await worker.run_once(dry_run=dry_run) if one.store == store)


async def test_a_day_partition_goes_on_the_thirtieth_day_and_not_before(kept: Database) -> None:
    assert await _removal(_worker(kept, calls), "calls") == Removal("calls", removed=6, skipped=0)
    assert await _days(kept) == [date(2026, 10, 25), date(2026, 10, 26)]


async def test_what_a_service_removes_itself_is_left_to_it(kept: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    left = replace(calls.info["data"], retention=days(30, column="day", partitioned=True, own=True))
    monkeypatch.setitem(calls.info, "data", left)
    assert calls.name not in {removal.store for removal in await _worker(kept, calls).run_once()}
    assert len(await _days(kept)) == 5


async def test_a_dry_run_counts_and_changes_nothing(kept: Database) -> None:
    assert await _removal(_worker(kept, calls), "calls", dry_run=True) == Removal("calls", removed=6, skipped=0)
    assert len(await _days(kept)) == 5
    async with kept.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(outbox)) == 0


async def test_rows_of_a_restricted_person_are_skipped_and_reported(kept: Database) -> None:
    async with kept.transaction() as connection:
        await connection.execute(insert(restrictions).values(token=b"a", request_id="req_1"))
    assert await _removal(_worker(kept, calls), "calls") == Removal("calls", removed=3, skipped=3)
    async with kept.read() as connection:
        accounts = (await connection.execute(select(calls.c.account_id).distinct().order_by(calls.c.account_id))).all()
        left = await connection.scalar(select(func.count()).select_from(calls).where(calls.c.account_id == "a"))
    assert [row.account_id for row in accounts] == ["a", "b"]
    assert left == 5


async def test_each_run_leaves_an_audit_record(kept: Database) -> None:
    await _worker(kept, calls).run_once()
    async with kept.read() as connection:
        data = await connection.scalar(select(outbox.c.data).where(outbox.c.subject == "igstats.stats.v1.record.made"))
    (record,) = RecordMade.FromString(bytes(data or b"")).records
    assert record.kind == "retention.ran"
    assert json.loads(record.payload_json)["stores"] == [{"removed": 6, "skipped": 0, "store": "calls"}]


@pytest.mark.parametrize(("age", "left"), [(timedelta(days=30, seconds=-1), 1), (timedelta(days=30), 0)])
async def test_a_row_goes_when_its_time_is_over(kept: Database, age: timedelta, left: int) -> None:
    note = {"person_id": 1, "body": "old", "created_at": NOON - age}
    async with kept.transaction() as connection:
        await connection.execute(insert(toy.notes), note)
    await _worker(kept, toy.people, toy.notes).run_once()
    async with kept.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(toy.notes)) == left


async def _note(database: Database, count: int) -> None:
    rows = [{"person_id": 1, "body": f"{number}", "created_at": NOON - timedelta(days=40)} for number in range(count)]
    async with database.transaction() as connection:
        await connection.execute(insert(toy.notes), rows)


async def test_a_backlog_goes_batch_by_batch_and_what_is_gone_stays_gone_and_counted(
    kept: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped in the middle has not worked in vain: else one that never ends would never get on."""
    monkeypatch.setattr(retention, "_BATCH", 2)
    await _note(kept, 5)
    async with kept.transaction() as connection:  # the last batch meets a row that must not go
        await connection.execute(text("CREATE TABLE wards (note_id bigint REFERENCES notes)"))
        await connection.execute(text("INSERT INTO wards SELECT max(note_id) FROM notes"))
        await connection.execute(text("ALTER TABLE wards ADD UNIQUE (note_id)"))
    with pytest.raises(IntegrityError):
        await _worker(kept, toy.people, toy.notes).run_once()
    assert await _left(kept) == ["4"]
    assert await _noted(kept) == [("notes", 4, 0)]
    async with kept.transaction() as connection:
        await connection.execute(text("DROP TABLE wards"))
    assert (await _removal(_worker(kept, toy.people, toy.notes), "notes")).removed == 1
    assert await _left(kept) == []


async def test_rows_that_somebody_is_at_wait_for_the_next_run(kept: Database) -> None:
    await _note(kept, 2)
    async with kept.transaction() as connection:
        await connection.execute(select(toy.notes).where(toy.notes.c.body == "0").with_for_update())
        assert (await _removal(_worker(kept, toy.people, toy.notes), "notes")).removed == 1
    assert await _left(kept) == ["0"]


async def test_of_two_replicas_one_applies_the_rules(kept: Database) -> None:
    async with kept.first("retention"):
        assert await _worker(kept, calls).run_once() == []
    assert len(await _days(kept)) == 5


async def _left(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(toy.notes.c.body).order_by(toy.notes.c.note_id))).scalars())


async def _noted(database: Database) -> list[tuple[str, int, int]]:
    columns = retention_runs.c.store, retention_runs.c.removed, retention_runs.c.skipped
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(select(*columns))]
