"""The API log on PostgreSQL: day partitions, fences, pages, and retention to the day."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.calls import CallLog
from igstats_audit.model import CallRecord, Delivery
from igstats_audit.store import DayStore
from igstats_audit.tables import CALL_DAYS, DECLARATIONS
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event
from igstats_kit.retention import RetentionWorker
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions, tombstones
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens
from prometheus_client import REGISTRY
from sqlalchemy import Table, insert, text

MakeDatabase = Callable[[str], Awaitable[Database]]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAY, REST = Sealer(b"w" * 32), Sealer(b"r" * 32)
TOKENS = Tokens(b"s" * 32)


def call(name: str, called_at: datetime = NOON, account_id: str = "acc_1") -> CallRecord:
    sealed = WAY.seal(b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}', "access")
    return CallRecord(name, account_id, "key_1", "/a.B/C", "grpc", 0, "", called_at, 1500, sealed)


class Calls:
    """One database and its API log under a clock that stands still."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(NOON)
        self.log = CallLog(DayStore(database), TOKENS, WAY, REST, self.clock, days=CALL_DAYS)
        self._events = 0

    async def keep(self, *records: CallRecord) -> None:
        self._events += 1
        event = Event(f"evt_{self._events}", "s", "t", NOON, b"")
        await self.log.keep(Delivery("audit-access", [event]), records)

    async def ids(self, account_id: str = "acc_1", call_id: str = "") -> list[str]:
        page = await self.log.search(account_id, call_id, 0, "")
        return [one.record.call_id for one in page.calls]

    async def ask(self, query: str) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(text(query))).all())

    async def fence(self, account_id: str, fence: Table = tombstones) -> None:
        row = {"token": TOKENS.of("ACCOUNT_ID", account_id), "request_id": "req_1"}
        async with self.database.transaction() as connection:
            await connection.execute(insert(fence), row)


@pytest.fixture
async def calls(database: MakeDatabase) -> Calls:
    return Calls(await database("audit"))


async def test_calls_are_kept_by_day_and_read_newest_first(calls: Calls) -> None:
    days = [NOON - timedelta(days=ago) for ago in (0, 5, 1)]
    await calls.keep(*(call(f"req_{place}", day) for place, day in enumerate(days)))
    assert await calls.ids() == ["req_0", "req_2", "req_1"]
    partitions = await calls.ask("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'calls'::regclass")
    assert {row[0] for row in partitions} == {"calls_20261123", "calls_20261122", "calls_20261118"}


async def test_a_call_is_kept_once_however_often_it_comes(calls: Calls) -> None:
    await calls.keep(call("req_1"))
    await calls.keep(call("req_1"), call("req_2"))
    assert sorted(await calls.ids()) == ["req_1", "req_2"]


async def test_one_call_is_found_by_its_id_within_its_account_only(calls: Calls) -> None:
    await calls.keep(call("req_1"), call("req_2"), call("req_3", account_id="acc_2"))
    assert await calls.ids(call_id="req_2") == ["req_2"]
    assert await calls.ids(call_id="req_3") == []


async def test_pages_follow_each_other_across_days(calls: Calls) -> None:
    given = [call(f"req_{number:03}", NOON - timedelta(hours=7 * number)) for number in range(23)]
    await calls.keep(*given)
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = await calls.log.search("acc_1", "", 10, token)
        seen += [one.record.call_id for one in page.calls]
        token = page.next_page_token
    assert seen == [one.call_id for one in given]
    assert token == ""


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("igstats_api_calls_dropped_total", {"reason": reason}) or 0


async def test_calls_of_an_erased_account_that_come_late_are_dropped_and_counted(calls: Calls) -> None:
    before = dropped("fenced")
    await calls.fence("acc_1")
    await calls.keep(call("req_1"), call("req_2", account_id="acc_2"), call("req_3", account_id=""))
    assert await calls.ask("SELECT call_id FROM calls ORDER BY call_id") == [("req_2",), ("req_3",)]
    assert dropped("fenced") == before + 1


@pytest.mark.parametrize(
    ("fence", "reason"), [(tombstones, Reason.SUBJECT_ERASED), (restrictions, Reason.SUBJECT_RESTRICTED)]
)
async def test_the_calls_of_a_fenced_account_are_not_read(calls: Calls, fence: Table, reason: Reason) -> None:
    await calls.keep(call("req_1"))
    await calls.fence("acc_1", fence)
    with pytest.raises(DomainError) as refused:
        await calls.ids()
    assert refused.value.reason is reason


async def test_no_address_stands_in_the_database_in_clear(calls: Calls) -> None:
    await calls.keep(call("req_1"))
    ((row,),) = await calls.ask("SELECT calls::text FROM calls")
    assert b"192.0.2.7".hex() not in row
    assert "curl" not in row


async def test_a_day_is_dropped_when_it_is_thirty_days_old_and_not_before(calls: Calls) -> None:
    worker = RetentionWorker("audit", DECLARATIONS, calls.database, calls.clock)
    await calls.keep(call("req_1"))
    calls.clock.advance(timedelta(days=CALL_DAYS - 1))
    await worker.run_once()
    assert await calls.ids() == ["req_1"]
    calls.clock.advance(timedelta(days=1))
    assert await calls.ids() == []
    await worker.run_once()
    assert await calls.ask("SELECT to_regclass('calls_20261123')") == [(None,)]


async def test_partitions_are_there_before_their_day(calls: Calls) -> None:
    await calls.log.make_days()
    await calls.log.make_days()
    found = await calls.ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'calls'::regclass")
    assert found == [(5,)]
    assert date(2026, 11, 26) == NOON.date() + timedelta(days=3)
