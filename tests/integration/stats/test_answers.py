import asyncio
from datetime import date, timedelta

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_stats import days
from igstats_stats.metrics import Kind
from igstats_stats.model import ConnectionState, Count, Missing
from igstats_stats.pages import PageTokens, size_of
from igstats_stats.profiles import Resolved
from igstats_stats.tables import connections, profiles

from tests.integration.stats.conftest import ACCOUNT, APP_ID, World


async def test_a_profile_is_found_by_our_id_instagrams_id_and_username(world: World) -> None:
    person = world.person()
    await world.connect(person)
    found = await world.profiles.get(ACCOUNT, person.username)
    assert found.instagram_user_id == person.user_id
    assert found.followers == Count(person.followers(days.day_of(world.clock.now())))
    for name in (str(found.profile_id), person.user_id, f"@{person.username.upper()}"):
        assert await world.profiles.get(ACCOUNT, name) == found


async def test_an_account_sees_only_profiles_that_it_is_connected_to(world: World) -> None:
    mine, theirs = world.person(0), world.person(1)
    await world.connect(mine)
    await world.connect(theirs, "acc_02")
    for name in (theirs.username, theirs.user_id, "9999999999999999999999", "0", "nobody"):
        with pytest.raises(DomainError) as refused:
            await world.profiles.get(ACCOUNT, name)
        assert refused.value.reason is Reason.PROFILE_NOT_FOUND
    listed, _ = await world.profiles.page(ACCOUNT, 0, "")
    assert [profile.username for profile in listed] == [mine.username]


async def test_several_accounts_share_one_profile_and_each_ends_its_own_connection(world: World) -> None:
    person = world.person()
    first, second = await world.connect(person), await world.connect(person, "acc_02")
    assert first.profile_id == second.profile_id
    assert first.connection_id != second.connection_id
    with pytest.raises(DomainError) as refused:
        await world.connections.delete(ACCOUNT, second.connection_id)
    assert refused.value.reason is Reason.CONNECTION_NOT_FOUND
    await world.connections.delete(ACCOUNT, first.connection_id)
    with pytest.raises(DomainError):
        await world.profiles.get(ACCOUNT, person.username)
    assert await world.profiles.get("acc_02", person.username)
    assert await world.count(profiles) == 1


async def test_connecting_again_keeps_the_connection_and_takes_the_new_token(world: World) -> None:
    person = world.person()
    first = await world.connect_and_sync(person)
    again = await world.connect(person)
    assert again.connection_id == first.connection_id
    assert (again.state, again.synced_at) == (ConnectionState.ACTIVE, first.synced_at)
    assert await world.count(connections) == 1


async def test_two_connections_made_at_once_are_one(world: World) -> None:
    person = world.person()
    made = await asyncio.gather(*(world.connect(person) for _ in range(4)))
    assert len({each.connection_id for each in made}) == 1
    assert await world.count(connections) == 1


async def test_the_token_is_stored_sealed(world: World) -> None:
    person = world.person()
    await world.connect(person)
    assert person.access_token not in str(await world.dump())
    [row] = await world.rows(connections)
    assert person.access_token.encode() not in bytes(row.sealed_token)


async def test_media_pages_join_without_gap_or_overlap_newest_first(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    found, token = [], ""
    while True:
        page, token = await world.profiles.media(ACCOUNT, person.username, 7, token)
        assert len(page) <= 7
        found += page
        if not token:
            break
    now = world.clock.now()
    expected = sorted((*person.posts(now), *person.stories(now)), key=lambda post: post.posted_at, reverse=True)
    assert [media.facts.media_id for media in found] == [post.media_id for post in expected]
    newest_post = next(media for media in found if media.facts.product_type != "STORY")
    assert newest_post.insights["reach"].value is not None
    hidden = {post.media_id for post in expected if post.likes_hidden and post.product != "STORY"}
    reasons = {media.facts.media_id for media in found if media.facts.likes.missing is Missing.HIDDEN_BY_OWNER}
    assert hidden <= reasons


async def test_connections_and_profiles_are_listed_by_pages(world: World) -> None:
    for number in range(5):
        await world.connect(world.person(number))
    for page in (world.connections.page, world.profiles.page):
        sizes, token, seen = [], "", []
        while True:
            found, token = await page(ACCOUNT, 2, token)
            sizes.append(len(found))
            seen += [each.profile_id for each in found]
            if not token:
                break
        assert sizes == [2, 2, 1]
        assert seen == sorted(seen)


async def test_a_page_token_fits_only_its_own_query(world: World) -> None:
    for number in range(3):
        await world.connect(world.person(number))
    _, token = await world.profiles.page(ACCOUNT, 2, "")
    other = PageTokens(Sealer(b"x" * 32)).make(("profiles", ACCOUNT), [1])
    wrong = [
        world.profiles.page("acc_02", 2, token),
        world.connections.page(ACCOUNT, 2, token),
        world.profiles.page(ACCOUNT, 2, token[:-3]),
        world.profiles.page(ACCOUNT, 2, "not a token!"),
        world.profiles.page(ACCOUNT, 2, "é"),
        world.profiles.page(ACCOUNT, 2, other),
    ]
    for call in wrong:
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (200, 200), (5000, 200)])
def test_page_sizes_have_a_default_and_a_limit(asked: int, given: int) -> None:
    assert size_of(asked) == given


async def test_a_series_has_a_point_for_every_day_and_missing_is_never_zero(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    last = days.last_complete(world.clock.now())
    start, end = last - timedelta(days=40), last + timedelta(days=3)
    reach, views = await world.series.query(
        ACCOUNT, person.username, ["reach", "views"], start.isoformat(), end.isoformat()
    )
    assert [point.day for point in reach.points] == list(days.span(start, end))
    assert (reach.kind, views.kind) == (Kind.UNIQUE, Kind.FLOW)
    known = {point.day for point in reach.points if point.count.value is not None}
    assert known == set(days.span(last - timedelta(days=29), last))
    absent = [point for point in reach.points if point.day not in known]
    assert {(point.count, point.revision) for point in absent} == {(Count(missing=Missing.NOT_REQUESTED), 0)}
    provisional = {point.day for point in views.points if point.provisional}
    assert provisional == {last, last - timedelta(days=1)}


async def test_gauges_take_the_last_sample_of_a_los_angeles_day(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    world.clock.advance(timedelta(days=1))
    await world.worker.run_once()
    today = days.day_of(world.clock.now())
    span = ((today - timedelta(days=2)).isoformat(), today.isoformat())
    followers, again, reach = await world.series.query(
        ACCOUNT, person.username, ["followers_count", "followers_count", "reach"], *span
    )
    counts = [point.count for point in followers.points]
    expected = [Count(person.followers(day)) for day in (today - timedelta(days=1), today)]
    assert counts == [Count(missing=Missing.NOT_REQUESTED), *expected]
    assert followers == again
    assert reach.metric == "reach"


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-07-02", "2026-07-01"), ("2025-01-01", "2026-01-03"), ("2026-02-30", "2026-03-01"), ("", "2026-03-01")],
)
async def test_an_impossible_range_is_refused_with_the_limit(world: World, start: str, end: str) -> None:
    with pytest.raises(DomainError) as refused:
        await world.series.query(ACCOUNT, "x", ["reach"], start, end)
    assert refused.value.reason is Reason.TIME_RANGE_INVALID
    assert refused.value.metadata == {"limit_days": "366"}


async def test_a_metric_that_is_not_in_the_catalogue_is_named(world: World) -> None:
    with pytest.raises(DomainError) as refused:
        await world.series.query(ACCOUNT, "x", ["reach", "reech"], "2026-07-01", "2026-07-01")
    assert refused.value.metadata == {"metric": "reech"}


async def test_the_newest_audience_comes_largest_first(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    world.clock.advance(timedelta(days=8))
    await world.worker.run_once()
    found = await world.profiles.audience(ACCOUNT, person.username)
    countries = [each for each in found if (each.metric, each.dimension) == ("follower_demographics", "country")]
    assert [each.count for each in countries] == sorted((each.count for each in countries), reverse=True)
    assert {each.observed_day for each in found} == {date(2026, 7, 23)}


async def test_a_dead_or_throttled_connection_says_why_it_is_not_synchronised(world: World) -> None:
    made = await world.connect(world.person())
    now = world.clock.now()
    [lease] = await world.store.lease("one", now, now + timedelta(minutes=1), 1)
    await world.store.throttle(lease, "wait", now + timedelta(minutes=19))
    with pytest.raises(DomainError) as refused:
        await world.connections.request_sync(ACCOUNT, made.connection_id)
    assert refused.value.metadata == {"regain_minutes": "19"}
    world.clock.advance(timedelta(minutes=20))
    now = world.clock.now()
    [lease] = await world.store.lease("two", now, now + timedelta(minutes=1), 1)
    await world.store.end(lease, "dead")
    with pytest.raises(DomainError) as refused:
        await world.connections.request_sync(ACCOUNT, made.connection_id)
    assert refused.value.reason is Reason.INSTAGRAM_TOKEN_DEAD


async def test_a_subject_is_completed_and_connected_only_when_every_name_is(world: World) -> None:
    mine, theirs = world.person(0), world.person(1)
    await world.connect(mine)
    await world.connect(theirs, "acc_02")

    async def resolved(identifiers: list[tuple[str, str]], account_id: str = ACCOUNT) -> Resolved:
        others = [([("USERNAME", "nobody")], ACCOUNT), ([("USERNAME", theirs.username)], "acc_02")]
        answers = await world.profiles.resolve([others[0], (identifiers, account_id), others[1]])
        assert [answer.connected for answer in (answers[0], answers[2])] == [False, True]
        return answers[1]

    by_name = await resolved([("USERNAME", mine.username.upper())])
    assert ("INSTAGRAM_USER_ID", mine.user_id) in by_name.identifiers
    assert by_name.connected
    by_id = await resolved([("INSTAGRAM_USER_ID", theirs.user_id), ("EMAIL", "a@example.com")])
    assert by_id.identifiers == (
        ("INSTAGRAM_USER_ID", theirs.user_id),
        ("USERNAME", theirs.username),
        ("APP_USER_ID", f"{APP_ID}:{theirs.scoped_id}"),
    )
    assert not by_id.connected
    both = [("USERNAME", mine.username), ("USERNAME", theirs.username)]
    assert not (await resolved(both)).connected
    stranger = [("USERNAME", mine.username), ("USERNAME", "nobody")]
    assert not (await resolved(stranger)).connected
    assert not (await resolved([("EMAIL", "a@example.com")])).connected
    assert not (await resolved(both[:1], "")).connected
