import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta

import aiohttp
import pytest
from aiohttp import web
from igstats_dev.instagram.faults import Fault
from igstats_dev.instagram.people import Person
from igstats_dev.instagram.server import Emulator
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock
from igstats_stats import metrics
from igstats_stats.graph import ATTEMPTS, GraphClient, backoff
from igstats_stats.instagram import InstagramClient, MediaGoneError, OwnerClient
from igstats_stats.metrics import AUDIENCE
from igstats_stats.model import Count, Missing

DAY = date(2026, 7, 10)


class Pauses:
    """Waits in no time and counts."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, delay: float, /) -> None:
        assert delay >= 0
        self.count += 1


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def graph(emulator: Emulator, session: aiohttp.ClientSession, clock: FakeClock, pauses: Pauses) -> GraphClient:
    return GraphClient(session, emulator.url, clock, version="v25.0", pause=pauses)


@pytest.fixture
def person(emulator: Emulator) -> Person:
    return next(each for each in emulator.people.all if each.base_followers > 1000)


@pytest.fixture
def owner(graph: GraphClient, person: Person) -> OwnerClient:
    return InstagramClient(graph).owner(person.access_token)


def reason_of(error: pytest.ExceptionInfo[DomainError]) -> Reason:
    return error.value.reason


async def test_the_owner_reads_the_own_profile(owner: OwnerClient, person: Person) -> None:
    found = await owner.me()
    assert (found.instagram_user_id, found.username) == (person.user_id, person.username)
    assert found.followers == person.followers(date(2026, 7, 15))


async def test_the_media_walk_ends_at_the_last_cursor_and_not_at_a_count(
    owner: OwnerClient, person: Person, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("igstats_stats.instagram.PAGE", 7)
    found, after = [], ""
    while True:
        page = await owner.media(person.user_id, after)
        found += [item.media_id for item in page.items]
        after = page.after
        if not after:
            break
    assert found == [post.media_id for post in person.posts(clock.now())]
    assert len(found) > 7


async def test_a_page_too_large_for_instagram_is_asked_again_in_halves(
    owner: OwnerClient, person: Person, emulator: Emulator
) -> None:
    emulator.faults.add(Fault("shrink"))
    page = await owner.media(person.user_id)
    assert len(page.items) == 25
    assert emulator.calls[f"{person.username} media"] == 3


async def test_live_stories_are_media_of_product_type_story(
    owner: OwnerClient, person: Person, clock: FakeClock
) -> None:
    page = await owner.stories(person.user_id)
    assert {item.product_type for item in page.items} <= {"STORY"}
    assert len(page.items) == len(person.stories(clock.now()))


async def test_a_series_answers_each_complete_day_once(owner: OwnerClient, person: Person) -> None:
    answer = await owner.day_series(person.user_id, metrics.SERIES, DAY - timedelta(days=20), DAY)
    assert set(answer.by_day("reach")) == {DAY - timedelta(days=back) for back in range(21)}
    assert answer.by_day("unasked") == {}


async def test_totals_answer_one_number_for_the_day(owner: OwnerClient, person: Person) -> None:
    answer = await owner.day_totals(person.user_id, metrics.TOTALS, DAY)
    assert set(answer.insights) == set(metrics.TOTALS)
    series = await owner.day_series(person.user_id, ("reach",), DAY, DAY)
    total = await owner.day_totals(person.user_id, ("reach",), DAY)
    assert total.total("reach") == series.by_day("reach")[DAY]


async def test_audiences_come_by_dimension_with_or_without_a_timeframe(owner: OwnerClient, person: Person) -> None:
    for metric in AUDIENCE:
        found = await owner.audience(person.user_id, metric, "country")
        assert found.missing is None
        assert found.slices["US"] > found.slices.get("AR", 0)


async def test_one_unsupported_metric_is_found_and_the_others_are_kept(
    owner: OwnerClient, person: Person, clock: FakeClock, emulator: Emulator
) -> None:
    emulator.faults.add(Fault("unsupported_metric", metric="views"))
    reel = next(post for post in person.posts(clock.now()) if post.product == "REELS")
    answer = await owner.media_insights(reel.media_id, metrics.media_metrics("REELS"))
    assert answer.unsupported == {"views"}
    assert answer.total("views") == Count(missing=Missing.NOT_SUPPORTED)
    assert set(answer.insights) == set(metrics.media_metrics("REELS")) - {"views"}
    assert emulator.calls[f"{person.username} insights"] <= 9  # halving, not one call a metric


async def test_when_every_metric_is_refused_no_metric_is_blamed(owner: OwnerClient, person: Person) -> None:
    with pytest.raises(DomainError) as error:  # 40 days are more than Instagram answers
        await owner.day_series(person.user_id, metrics.SERIES, DAY - timedelta(days=40), DAY)
    assert reason_of(error) is Reason.INSTAGRAM_REFUSED
    assert error.value.metadata == {"code": "100"}


async def test_a_single_refused_metric_is_unsupported(owner: OwnerClient, person: Person, clock: FakeClock) -> None:
    post = next(post for post in person.posts(clock.now()) if post.product == "FEED")
    answer = await owner.media_insights(post.media_id, ("navigation",))
    assert answer.total("navigation") == Count(missing=Missing.NOT_SUPPORTED)


async def test_too_few_viewers_are_data_and_no_failure(
    graph: GraphClient, emulator: Emulator, clock: FakeClock
) -> None:
    everybody = [(person, story) for person in emulator.people.all for story in person.stories(clock.now())]
    person, story = everybody[0]
    emulator._clock = FakeClock(story.posted_at)  # nobody has seen it yet
    answer = await InstagramClient(graph).owner(person.access_token).media_insights(story.media_id, ("reach", "views"))
    assert {answer.total(name) for name in ("reach", "views")} == {Count(missing=Missing.BELOW_THRESHOLD)}


async def test_a_deleted_media_item_says_nothing_about_its_numbers(owner: OwnerClient) -> None:
    with pytest.raises(MediaGoneError):
        await owner.media_insights("17000000000000000", ("reach",))


@pytest.mark.parametrize("subcode", [458, 460, 463, 467])
async def test_a_dead_token_stops_at_once(owner: OwnerClient, emulator: Emulator, pauses: Pauses, subcode: int) -> None:
    emulator.faults.add(Fault("dead_token", subcode=subcode))
    with pytest.raises(DomainError) as error:
        await owner.me()
    assert reason_of(error) is Reason.INSTAGRAM_TOKEN_DEAD
    assert pauses.count == 0


async def test_an_unknown_token_is_a_dead_one(graph: GraphClient) -> None:
    with pytest.raises(DomainError) as error:
        await InstagramClient(graph).owner("IGtest-nobody").me()
    assert reason_of(error) is Reason.INSTAGRAM_TOKEN_DEAD


async def test_a_throttled_account_is_told_when_to_come_back_and_is_not_called_again(
    owner: OwnerClient, emulator: Emulator, person: Person
) -> None:
    emulator.faults.add(Fault("throttle", regain_minutes=19))
    for _ in range(2):
        with pytest.raises(DomainError) as error:
            await owner.me()
        assert reason_of(error) is Reason.INSTAGRAM_THROTTLED
        assert error.value.metadata == {"regain_minutes": "19"}
        assert error.value.retry_after == 19 * 60
    assert emulator.calls[f"{person.username} me"] == 1


async def test_the_limit_of_the_app_stops_every_connection_until_it_is_over(
    graph: GraphClient, emulator: Emulator, clock: FakeClock
) -> None:
    first, second = (InstagramClient(graph).owner(each.access_token) for each in emulator.people.all[:2])
    emulator.faults.add(Fault("throttle", code=4, regain_minutes=10, times=1))
    for owner in (first, second):
        with pytest.raises(DomainError) as error:
            await owner.me()
        assert reason_of(error) is Reason.INSTAGRAM_THROTTLED
    assert emulator.calls.total() == 1
    clock.advance(timedelta(minutes=10))
    assert await second.me()


async def test_calls_stop_before_the_limit_is_reached(owner: OwnerClient, emulator: Emulator, person: Person) -> None:
    emulator.faults.add(Fault("usage", percent=76))
    await owner.me()
    assert owner.usage.slow
    emulator.faults.clear()
    emulator.faults.add(Fault("usage", percent=91, regain_minutes=0))
    await owner.me()
    with pytest.raises(DomainError) as error:
        await owner.me()
    assert error.value.metadata == {"regain_minutes": "60"}
    assert emulator.calls[f"{person.username} me"] == 2


@pytest.mark.parametrize("kind", ["transient", "server_error"])
async def test_what_is_transient_is_asked_again(
    owner: OwnerClient, emulator: Emulator, pauses: Pauses, kind: str
) -> None:
    emulator.faults.add(Fault(kind, times=ATTEMPTS - 1))
    assert await owner.me()
    assert pauses.count == ATTEMPTS - 1


@pytest.mark.parametrize("kind", ["transient", "server_error"])
async def test_what_stays_transient_is_an_outage(owner: OwnerClient, emulator: Emulator, kind: str) -> None:
    emulator.faults.add(Fault(kind))
    with pytest.raises(DomainError) as error:
        await owner.me()
    assert reason_of(error) is Reason.INSTAGRAM_UNAVAILABLE


async def test_a_server_that_hangs_is_an_outage(emulator: Emulator, clock: FakeClock, pauses: Pauses) -> None:
    emulator.faults.add(Fault("hold"))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as impatient:
        graph = GraphClient(impatient, emulator.url, clock, version="v25.0", pause=pauses)
        with pytest.raises(DomainError) as error:
            await InstagramClient(graph).owner(emulator.people.all[0].access_token).me()
    emulator.faults.clear()
    assert reason_of(error) is Reason.INSTAGRAM_UNAVAILABLE


@asynccontextmanager
async def answering(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_token_never_leaves_for_another_host(
    session: aiohttp.ClientSession, clock: FakeClock, pauses: Pauses
) -> None:
    strangers: list[str] = []

    async def stranger(request: web.Request) -> web.Response:
        strangers.append(str(request.url))
        return web.json_response({"data": []})

    async with answering(stranger) as foreign:

        async def handler(request: web.Request) -> web.StreamResponse:
            if request.path.endswith("/stories"):
                raise web.HTTPFound(f"{foreign}/redirected?{request.query_string}")
            item = {"id": "1", "timestamp": "2026-07-01T00:00:00+0000"}
            paging = {"cursors": {"after": "two"}, "next": f"{foreign}/next?{request.query_string}"}
            return web.json_response({"data": [item]} | ({} if "after" in request.query else {"paging": paging}))

        async with answering(handler) as url:
            owner = InstagramClient(GraphClient(session, url, clock, version="v25.0", pause=pauses)).owner("secret")
            first = await owner.media("1")
            last = await owner.media("1", first.after)
            with pytest.raises(DomainError):
                await owner.stories("1")
    assert (first.after, last.after) == ("two", "")
    assert strangers == []


@pytest.mark.parametrize("body", ["<html>", "[]", '{"id": 5, "data": 7}', '"text"', ""])
async def test_an_answer_that_makes_no_sense_is_an_outage_and_never_a_crash(
    session: aiohttp.ClientSession, clock: FakeClock, pauses: Pauses, body: str
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    async with answering(handler) as url:
        owner = InstagramClient(GraphClient(session, url, clock, version="v25.0", pause=pauses)).owner("secret")
        calls = (owner.me(), owner.media("1"), owner.day_totals("1", ("views",), DAY))
        results = await asyncio.gather(*calls, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    assert {getattr(failure, "reason", None) for failure in failures} <= {Reason.INSTAGRAM_UNAVAILABLE}


async def test_an_answer_without_end_is_cut(
    session: aiohttp.ClientSession, clock: FakeClock, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("igstats_stats.graph._BODY_LIMIT", 1000)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="x" * 5000)

    async with answering(handler) as url:
        owner = InstagramClient(GraphClient(session, url, clock, version="v25.0", pause=pauses)).owner("secret")
        with pytest.raises(DomainError) as error:
            await owner.me()
    assert reason_of(error) is Reason.INSTAGRAM_UNAVAILABLE


async def test_no_error_text_holds_the_token(clock: FakeClock, pauses: Pauses) -> None:
    async with aiohttp.ClientSession() as session:
        graph = GraphClient(session, "http://127.0.0.1:1", clock, version="v25.0", pause=pauses)
        with pytest.raises(DomainError) as error:
            await InstagramClient(graph).owner("very-secret-token").me()
    chain: BaseException | None = error.value
    seen = []
    while chain is not None:
        seen.append(repr(chain))
        chain = chain.__cause__ or chain.__context__
    assert not any("very-secret-token" in text for text in seen)


def test_pauses_grow_are_random_and_have_a_limit() -> None:
    assert all(0 <= backoff(attempt) <= 8 for attempt in range(30))
    assert len({backoff(3) for _ in range(5)}) > 1


async def test_two_owners_call_at_the_same_time(graph: GraphClient, emulator: Emulator) -> None:
    clients = [InstagramClient(graph).owner(each.access_token) for each in emulator.people.all]
    found = await asyncio.gather(*(client.me() for client in clients))
    assert {each.username for each in found} == {each.username for each in emulator.people.all}
