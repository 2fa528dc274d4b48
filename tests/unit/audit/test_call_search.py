"""Who may read which calls, page by page or all of them, and what is written down about it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.call_query import Bookmark, CallFilter, Found, PageTokens, Scan
from igstats_audit.call_search import EXPORT_ROWS, Asker, CallSearch
from igstats_audit.model import Entry, Place
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKENS = Tokens(b"s" * 32)
GATEWAY, OFFICER = Asker("gateway", "req_asking"), Asker("operator", "req_asking")
MINE = CallFilter("acc_1")


@dataclass
class World:
    """An index and the log behind it, in memory."""

    found: list[Found] = field(default_factory=list)
    payloads: dict[int, bytes] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fenced: Reason | None = None

    def __post_init__(self) -> None:
        pages = PageTokens(Sealer(b"r" * 32))
        self.search = CallSearch(self, self.read, TOKENS, pages, FakeClock(NOON), days=30)

    def fill(self, count: int) -> None:
        for number in range(count):
            called_at = NOON - timedelta(microseconds=number // 3)
            place = Place(number, NOON.date())
            self.found.append(Found(Bookmark(called_at, f"req_{number:04}"), place, TOKENS.of("ACCOUNT_ID", "acc_1")))
            self.payloads[number] = payload(f"req_{number:04}", called_at)
        self.found.sort(key=lambda one: one.bookmark, reverse=True)

    async def find(self, scan: Scan) -> Sequence[Found]:
        self.scans.append(scan)
        if self.fenced is not None:
            raise DomainError(self.fenced)
        return [one for one in self.found if scan.after is None or one.bookmark < scan.after][: scan.limit]

    async def read(self, places: Sequence[Place]) -> Sequence[Entry]:
        return [
            entry(place, self.payloads[place.index])
            for place in sorted(places, key=lambda at: at.index)
            if place.index in self.payloads
        ]

    async def note(self, kind: str, payload: Mapping[str, Any]) -> None:
        self.notes.append((kind, json.loads(json.dumps(payload))))

    async def ids(self, wanted: CallFilter, size: int) -> list[str]:
        seen: list[str] = []
        token = ""
        while True:
            page = await self.search.search(GATEWAY, wanted, size, token)
            seen += [one.call_id for one in page.calls]
            token = page.next_page_token
            if not token:
                return seen

    async def lines(self, asker: Asker, wanted: CallFilter) -> list[dict[str, Any]]:
        whole = b"".join([part async for part in self.search.export(asker, wanted)])
        return [json.loads(line) for line in whole.splitlines()]


def payload(call_id: str, called_at: datetime, account_id: str = "acc_1") -> bytes:
    values = dict.fromkeys(("key_id", "method", "protocol", "reason", "ip_address", "user_agent"), "v")
    values |= {"call_id": call_id, "account_id": account_id, "called_time": called_at.isoformat()}
    return json.dumps(values | {"status": 0, "latency_us": 1}).encode()


def entry(place: Place, content: bytes) -> Entry:
    return Entry(place.index, place.day, "", "call.answered", "", "gateway", 0, b"", b"", content, NOON)


@pytest.fixture
def world() -> World:
    return World()


async def test_pages_follow_each_other_without_gap_or_repeat(world: World) -> None:
    world.fill(25)
    assert await world.ids(MINE, 10) == [one.bookmark.call_id for one in world.found]


@pytest.mark.parametrize(("asked", "read"), [(0, 51), (1, 2), (500, 501), (9_999, 501)])
async def test_page_sizes_are_cut_not_refused(world: World, asked: int, read: int) -> None:
    await world.search.search(GATEWAY, MINE, asked, "")
    assert world.scans[0].limit == read


async def test_an_account_is_found_by_its_token(world: World) -> None:
    await world.search.search(GATEWAY, MINE, 0, "")
    assert world.scans[0].token == TOKENS.of("ACCOUNT_ID", "acc_1")


async def test_only_an_officer_reads_the_calls_of_all(world: World) -> None:
    with pytest.raises(DomainError) as refused:
        await world.search.search(GATEWAY, CallFilter(), 0, "")
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED
    with pytest.raises(DomainError):
        await world.lines(GATEWAY, CallFilter(status=5))
    assert world.scans == []
    await world.search.search(OFFICER, CallFilter(), 0, "")
    assert world.scans[0].token is None


@pytest.mark.parametrize(
    ("start", "since"),
    [
        (None, date(2026, 10, 25)),
        (NOON - timedelta(days=90), date(2026, 10, 25)),
        (NOON - timedelta(days=29), date(2026, 10, 25)),
        (NOON - timedelta(days=2), date(2026, 11, 20)),
    ],
)
async def test_only_days_that_can_hold_the_calls_are_read(world: World, start: datetime | None, since: date) -> None:
    await world.search.search(GATEWAY, CallFilter("acc_1", start_time=start), 0, "")
    assert world.scans[0].since == since


async def test_a_search_leaves_a_record_without_values(world: World) -> None:
    world.fill(3)
    await world.search.search(GATEWAY, CallFilter("acc_1", status=5, start_time=NOON - timedelta(days=1)), 2, "")
    told = {"caller": "gateway", "call_id": "req_asking", "filters": ["account", "start_time", "status"], "rows": 2}
    assert world.notes == [("calls.searched", told)]


@pytest.mark.parametrize("reason", [Reason.SUBJECT_ERASED, Reason.SUBJECT_RESTRICTED])
async def test_a_search_that_was_refused_leaves_a_record_too(world: World, reason: Reason) -> None:
    world.fenced = reason
    with pytest.raises(DomainError) as refused:
        await world.search.search(OFFICER, MINE, 0, "")
    assert refused.value.reason is reason
    ((_, told),) = world.notes
    assert (told["rows"], told["refused"]) == (0, str(reason))


async def test_a_token_of_another_question_reads_nothing(world: World) -> None:
    world.fill(3)
    token = (await world.search.search(GATEWAY, MINE, 1, "")).next_page_token
    with pytest.raises(DomainError) as refused:
        await world.search.search(GATEWAY, CallFilter("acc_2"), 1, token)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID
    assert len(world.scans) == 1


async def test_what_does_not_open_is_left_out_and_the_pages_go_on(world: World) -> None:
    world.fill(6)
    del world.payloads[0]
    world.payloads[1] = b""
    world.payloads[2] = b"{}"
    assert sorted(await world.ids(MINE, 1)) == ["req_0003", "req_0004", "req_0005"]


@pytest.mark.parametrize("asker", [GATEWAY, OFFICER])
async def test_a_row_of_the_index_that_points_to_another_s_call_shows_it_to_nobody(world: World, asker: Asker) -> None:
    world.fill(6)
    world.payloads[1] = payload("req_0001", NOON, account_id="acc_2")
    world.payloads[2] = payload("req_0002", NOON, account_id="")
    world.payloads[3] = payload("req_0099", NOON - timedelta(microseconds=1))
    seen = {one["callId"] for one in await world.lines(asker, MINE)}
    assert seen == {"req_0000", "req_0004", "req_0005"}


async def test_a_call_of_nobody_is_shown_to_officers_as_such_only(world: World) -> None:
    world.fill(2)
    world.found = [replace(one, token=None) for one in world.found]
    world.payloads[1] = payload("req_0001", NOON, account_id="")
    assert [one["callId"] for one in await world.lines(OFFICER, CallFilter())] == ["req_0001"]


async def test_an_export_has_every_call_once_and_reads_a_page_at_a_time(world: World) -> None:
    world.fill(EXPORT_ROWS * 2 + 1)
    lines = await world.lines(OFFICER, CallFilter())
    assert [one["callId"] for one in lines] == [one.bookmark.call_id for one in world.found]
    assert [scan.limit for scan in world.scans] == [EXPORT_ROWS] * 3
    told = {"caller": "operator", "call_id": "req_asking", "filters": []}
    ended = told | {"rows": len(lines), "complete": True}
    assert world.notes == [("calls.export_begun", told), ("calls.exported", ended)]


async def test_an_export_that_somebody_leaves_says_how_far_it_came(world: World) -> None:
    world.fill(EXPORT_ROWS * 2)
    export = world.search.export(GATEWAY, MINE)
    lines = await anext(export)
    await export.aclose()
    kind, told = world.notes[-1]
    assert (kind, told["rows"], told["complete"]) == ("calls.exported", lines.count(b"\n"), False)
    assert 0 < told["rows"] <= EXPORT_ROWS


async def test_an_erasure_ends_a_running_export(world: World) -> None:
    world.fill(EXPORT_ROWS * 2)
    export = world.search.export(GATEWAY, MINE)
    await anext(export)
    world.fenced = Reason.SUBJECT_ERASED
    with pytest.raises(DomainError):
        async for _ in export:
            pass
    assert world.notes[-1][1]["complete"] is False


async def test_nothing_is_exported_as_nothing(world: World) -> None:
    assert await world.lines(GATEWAY, MINE) == []
