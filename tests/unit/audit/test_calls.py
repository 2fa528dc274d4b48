"""The API log: what is kept, how it is sealed, how it is paged."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from igstats_audit.calls import DAYS_AHEAD, CallLog
from igstats_audit.model import Admission, CallQuery, CallRecord, Delivery, StoredCall
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAY, REST = Sealer(b"w" * 32), Sealer(b"r" * 32)
TOKENS = Tokens(b"s" * 32)
DELIVERY = Delivery("audit-access", ["event"])
CLIENT = b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}'


@dataclass
class MemoryDays:
    """A CallStore."""

    days: set[date] = field(default_factory=set)
    added: list[StoredCall] = field(default_factory=list)
    queries: list[CallQuery] = field(default_factory=list)

    async def ensure_days(self, days: Sequence[date]) -> None:
        self.days |= set(days)

    async def add(self, delivery: Delivery, calls: Sequence[StoredCall]) -> Admission:
        assert delivery is DELIVERY
        self.added += calls
        return Admission(len(calls), 0)

    async def find(self, query: CallQuery) -> Sequence[CallRecord]:
        self.queries.append(query)
        mine = [call.record for call in self.added if call.record.account_id == query.account_id]
        newest = sorted(mine, key=lambda one: (one.called_at, one.call_id), reverse=True)
        after = query.after
        return [one for one in newest if after is None or (one.called_at, one.call_id) < after][: query.limit]


def call(number: int, called_at: datetime = NOON, account_id: str = "acc_1") -> CallRecord:
    sealed = WAY.seal(CLIENT, "access")
    return CallRecord(f"req_{number:03}", account_id, "key_1", "/a.B/C", "grpc", 0, "", called_at, 1500, sealed)


def log(store: MemoryDays) -> CallLog:
    return CallLog(store, TOKENS, WAY, REST, FakeClock(NOON), days=30)


async def test_a_call_is_sealed_anew_and_found_by_its_accounts_token() -> None:
    store = MemoryDays()
    await log(store).keep(DELIVERY, [call(1)])
    (kept,) = store.added
    assert kept.subject_token == TOKENS.of("ACCOUNT_ID", "acc_1")
    assert REST.open(kept.record.sealed_client, "calls.sealed_client:req_001") == CLIENT


async def test_a_call_with_a_refused_key_belongs_to_nobody() -> None:
    store = MemoryDays()
    await log(store).keep(DELIVERY, [call(1, account_id="")])
    assert store.added[0].subject_token is None


@pytest.mark.parametrize("sealed", [b"", b"garbage"])
async def test_a_call_whose_client_does_not_open_is_kept_without_it(sealed: bytes) -> None:
    store = MemoryDays()
    await log(store).keep(DELIVERY, [replace(call(1), sealed_client=sealed)])
    page = await log(store).search("acc_1", "", 0, "")
    assert (page.calls[0].ip_address, page.calls[0].user_agent) == ("", "")


@pytest.mark.parametrize(("days", "kept"), [(-30, 0), (-29, 1), (0, 1), (DAYS_AHEAD, 1), (DAYS_AHEAD + 1, 0)])
async def test_calls_out_of_time_are_dropped(days: int, kept: int) -> None:
    store = MemoryDays()
    await log(store).keep(DELIVERY, [call(1, NOON + timedelta(days=days))])
    assert len(store.added) == kept


async def test_the_account_reads_where_it_called_from() -> None:
    store = MemoryDays()
    await log(store).keep(DELIVERY, [call(1)])
    page = await log(store).search("acc_1", "", 0, "")
    assert (page.calls[0].ip_address, page.calls[0].user_agent) == ("192.0.2.7", "curl/8")
    assert page.next_page_token == ""


async def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    store = MemoryDays()
    given = [call(number, NOON - timedelta(microseconds=number // 3)) for number in range(25)]
    await log(store).keep(DELIVERY, given)
    seen: list[str] = []
    token = ""
    while True:
        page = await log(store).search("acc_1", "", 10, token)
        seen += [one.record.call_id for one in page.calls]
        token = page.next_page_token
        if not token:
            break
    newest = sorted(given, key=lambda one: (one.called_at, one.call_id), reverse=True)
    assert seen == [one.call_id for one in newest]


@pytest.mark.parametrize(("asked", "read"), [(0, 51), (1, 2), (500, 501), (9_999, 501)])
async def test_page_sizes_are_cut_not_refused(asked: int, read: int) -> None:
    store = MemoryDays()
    await log(store).search("acc_1", "", asked, "")
    assert store.queries[0].limit == read


@pytest.mark.parametrize("token", ["x", "!!!!", "bm90IG91cnM=", "OTk5OTk5OTk5OTk5OTk5OTkucg==", "w6kuYQ=="])
async def test_tokens_that_are_not_ours_are_refused(token: str) -> None:
    with pytest.raises(DomainError) as refused:
        await log(MemoryDays()).search("acc_1", "", 0, token)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_days_past_the_limit_are_never_read() -> None:
    store = MemoryDays()
    await log(store).search("acc_1", "", 0, "")
    assert store.queries[0].since == date(2026, 10, 25)


async def test_partitions_are_made_ahead() -> None:
    store = MemoryDays()
    await log(store).make_days()
    assert store.days == {date(2026, 11, day) for day in range(22, 27)}
