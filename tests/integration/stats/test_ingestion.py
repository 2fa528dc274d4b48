import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from igstats_dev.instagram.faults import Fault
from igstats_stats import days
from igstats_stats.graph import GraphClient
from igstats_stats.model import ConnectionState, Missing
from igstats_stats.tables import (
    DAY_METRICS,
    audience_slices,
    capabilities,
    connections,
    media,
    media_insights,
    profile_days,
    profile_samples,
    profiles,
)

from tests.integration.stats.conftest import ACCOUNT, World

OPERATIONAL = ("connections",)


async def test_a_first_synchronisation_brings_profile_days_media_insights_and_audience(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    posts = len(person.posts(world.clock.now())) + len(person.stories(world.clock.now()))
    assert made.state is ConnectionState.ACTIVE
    assert (made.synced_at, made.problem) == (world.clock.now(), "")
    assert await world.count(profile_days) == 30
    assert await world.count(media) == posts
    assert await world.count(media_insights) == min(posts, 50)
    assert await world.count(audience_slices) == 8
    assert await world.count(profile_samples) == 1
    assert await world.changes() == {
        "day": 30,
        "media": posts + min(posts, 50),
        "audience": 8,
    }


async def test_daily_values_are_those_of_instagram_on_los_angeles_days(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    stored = {row.day: row for row in await world.rows(profile_days)}
    last = days.last_complete(world.clock.now())
    assert set(stored) == {last - timedelta(days=back) for back in range(30)}
    for metric in DAY_METRICS:
        assert all(getattr(row, metric) is not None for row in stored.values()), metric
    assert not stored[last].settled
    assert stored[last - timedelta(days=2)].settled


async def test_an_equal_second_synchronisation_writes_nothing(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    while any(row.insights_due_at and row.insights_due_at <= world.clock.now() for row in await world.rows(media)):
        await world.connections.request_sync(ACCOUNT, made.connection_id)
        await world.worker.run_once()
    before, told = await world.dump(*OPERATIONAL), await world.changes()
    await world.connections.request_sync(ACCOUNT, made.connection_id)
    assert await world.worker.run_once()
    assert await world.dump(*OPERATIONAL) == before
    assert await world.changes() == told


async def test_a_correction_raises_the_revision_and_settling_does_not(world: World) -> None:
    await world.connect_and_sync(world.person())
    fresh = days.last_complete(world.clock.now())
    world.clock.advance(timedelta(days=3))
    assert await world.worker.run_once()
    stored = {row.day: row for row in await world.rows(profile_days)}
    assert (stored[fresh].revision, stored[fresh].settled) == (2, True)
    assert stored[fresh - timedelta(days=10)].revision == 1
    assert len(stored) == 33


async def test_an_empty_answer_never_removes_a_value(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    world.emulator.faults.add(Fault("unsupported_metric", metric="reach"))
    fresh = days.last_complete(world.clock.now())
    before = {row.day: row.reach for row in await world.rows(profile_days)}
    await world.connections.request_sync(ACCOUNT, made.connection_id)
    await world.worker.run_once()
    after = {row.day: (row.reach, row.reach_missing) for row in await world.rows(profile_days)}
    assert after[fresh] == (before[fresh], None)


async def test_one_unsupported_metric_blanks_nothing_else_and_is_not_asked_again(world: World) -> None:
    person = world.person()
    world.emulator.faults.add(Fault("unsupported_metric", metric="views"))
    made = await world.connect_and_sync(person)
    assert made.state is ConnectionState.ACTIVE
    row = max(await world.rows(profile_days), key=lambda each: each.day)
    assert (row.views, row.views_missing) == (None, Missing.NOT_SUPPORTED)
    assert row.likes is not None
    marks = {(mark.product_type, mark.metric) for mark in await world.rows(capabilities)}
    assert ("USER", "views") in marks
    insights = await world.rows(media_insights)
    assert {each.views_missing for each in insights} == {Missing.NOT_SUPPORTED}
    calls = world.emulator.calls[f"{person.username} insights"]
    # 1 series, 30 totals, 8 audiences, 50 media; halving adds a few calls per kind, not per item.
    assert calls <= 1 + 30 + 8 + 50 + 3 * 10
    world.emulator.calls.clear()
    await world.connections.request_sync(ACCOUNT, made.connection_id)
    await world.worker.run_once()
    due = world.emulator.calls[f"{person.username} insights"]
    assert due <= 1 + 2 + 50


async def test_a_mark_expires_and_the_metric_is_asked_again(world: World) -> None:
    world.emulator.faults.add(Fault("unsupported_metric", metric="views"))
    await world.connect_and_sync(world.person())
    world.emulator.faults.clear()
    world.clock.advance(timedelta(days=8))
    await world.worker.run_once()
    newest = max(await world.rows(profile_days), key=lambda each: each.day)
    assert newest.views is not None


async def test_a_dead_token_ends_the_connection_visibly_and_destroys_the_token(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    world.emulator.faults.add(Fault("dead_token", subcode=460))
    await world.connections.request_sync(ACCOUNT, made.connection_id)
    await world.worker.run_once()
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert found.state is ConnectionState.TOKEN_DEAD
    assert "connect again" in found.problem
    assert [row.sealed_token for row in await world.rows(connections)] == [None]
    world.clock.advance(timedelta(days=2))
    assert not await world.worker.run_once()
    assert await world.count(profile_days) == 30  # what was collected stays


async def test_a_token_of_another_profile_is_a_dead_one(world: World) -> None:
    person, other = world.person(0), world.person(1)
    made = await world.connect(person)
    world.emulator.people._by_token[person.access_token] = other
    await world.worker.run_once()
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert found.state is ConnectionState.TOKEN_DEAD
    assert [row.username for row in await world.rows(profiles)] == [person.username]


async def test_a_throttled_connection_waits_as_long_as_instagram_wants(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    world.emulator.faults.add(Fault("throttle", regain_minutes=19))
    await world.connections.request_sync(ACCOUNT, made.connection_id)
    await world.worker.run_once()
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert found.state is ConnectionState.THROTTLED
    assert found.blocked_until == world.clock.now() + timedelta(minutes=19)
    world.emulator.faults.clear()
    world.emulator.calls.clear()
    world.clock.advance(timedelta(minutes=18))
    assert not await world.worker.run_once()
    assert world.emulator.calls.total() == 0
    world.clock.advance(timedelta(minutes=1))
    assert await world.worker.run_once()
    assert (await world.connections.get(ACCOUNT, made.connection_id)).state is ConnectionState.ACTIVE


async def test_near_the_limit_only_fresh_days_are_asked_and_posts_wait(world: World) -> None:
    world.emulator.faults.add(Fault("usage", percent=80))
    made = await world.connect_and_sync(world.person())
    assert made.state is ConnectionState.ACTIVE
    assert await world.count(profile_days) == 3
    assert await world.count(audience_slices) == 0
    posts = {row.media_id for row in await world.rows(media) if row.product_type != "STORY"}
    assert not posts & {row.media_id for row in await world.rows(media_insights)}


@pytest.mark.parametrize("kind", ["transient", "server_error"])
async def test_an_outage_leaves_the_connection_active_and_is_repeated_soon(world: World, kind: str) -> None:
    made = await world.connect(world.person())
    world.emulator.faults.add(Fault(kind, path="/media"))
    await world.worker.run_once()
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert (found.state, found.synced_at) == (ConnectionState.ACTIVE, None)
    assert "does not answer" in found.problem
    assert await world.count(profile_days) == 30  # what came before the outage stays
    world.emulator.faults.clear()
    world.clock.advance(timedelta(minutes=5))
    assert await world.worker.run_once()
    assert (await world.connections.get(ACCOUNT, made.connection_id)).problem == ""


async def test_a_fault_of_ours_stops_one_profile_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await world.connect(world.person())
    monkeypatch.setattr("igstats_stats.facts.series_days", lambda *_: 1 / 0)
    assert await world.worker.run_once()
    assert "failed on our side" in (await world.connections.get(ACCOUNT, made.connection_id)).problem


async def test_a_connection_is_never_synchronised_twice_at_once(world: World) -> None:
    await world.connect(world.person())
    world.emulator.faults.add(Fault("hold", path="/media", times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    assert not await world.worker.run_once()
    world.emulator.faults.clear()
    assert await running


async def test_a_synchronisation_keeps_its_lease_however_slow_instagram_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.connect(world.person())
    call, taken = GraphClient.call, []

    async def slow(*given: Any) -> object:
        world.clock.advance(timedelta(seconds=60))
        now = world.clock.now()
        taken.extend(await world.store.lease("other", now, now + timedelta(minutes=2), 1))
        return await call(*given)

    monkeypatch.setattr(GraphClient, "call", slow)
    assert await world.worker.run_once()
    assert taken == []
    assert (await world.connections.get(ACCOUNT, made.connection_id)).synced_at == world.clock.now()
    assert await world.count(media_insights) > 0
    assert await world.count(audience_slices) == 8


async def test_a_connection_that_ends_while_instagram_is_slow_asks_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.connect(world.person())
    call, calls = GraphClient.call, 0

    async def slow(*given: Any) -> object:
        nonlocal calls
        calls += 1
        world.clock.advance(timedelta(seconds=60))
        if calls == 3:
            await world.connections.delete(ACCOUNT, made.connection_id)
        return await call(*given)

    monkeypatch.setattr(GraphClient, "call", slow)
    assert await world.worker.run_once()
    assert calls == 3


async def test_a_lease_of_a_worker_that_died_runs_out(world: World) -> None:
    made = await world.connect(world.person())
    now = world.clock.now()
    assert len(await world.store.lease("dead", now, now + timedelta(minutes=2), 1)) == 1
    assert not await world.worker.run_once()
    world.clock.advance(timedelta(minutes=2, seconds=1))
    assert await world.worker.run_once()
    assert (await world.connections.get(ACCOUNT, made.connection_id)).synced_at is not None


async def test_a_connection_deleted_during_its_synchronisation_gets_no_more_rows(world: World) -> None:
    made = await world.connect(world.person())
    world.emulator.faults.add(Fault("hold", path="/media", times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    await world.connections.delete(ACCOUNT, made.connection_id)
    world.emulator.faults.clear()
    await running
    assert await world.count(profile_days) == 30
    assert await world.count(media) == 0


async def test_a_token_replaced_during_a_synchronisation_is_not_destroyed_by_the_old_ones_end(world: World) -> None:
    person = world.person()
    made = await world.connect(person)
    world.emulator.faults.add(Fault("hold", path="/media", times=1))
    world.emulator.faults.add(Fault("dead_token", path="/media", times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    again = await world.connect(person)
    assert again.connection_id == made.connection_id
    world.emulator.faults.clear()
    await running
    assert (await world.connections.get(ACCOUNT, made.connection_id)).state is ConnectionState.ACTIVE
    assert await world.worker.run_once()
    assert (await world.connections.get(ACCOUNT, made.connection_id)).synced_at is not None


async def test_regular_synchronisations_are_spread_around_the_interval(world: World) -> None:
    for number in range(5):
        await world.connect_and_sync(world.person(number))
    due = [row.due_at - world.clock.now() for row in await world.rows(connections)]
    assert all(timedelta(hours=5.3) < pause < timedelta(hours=6.7) for pause in due)
    assert len(set(due)) == 5


async def test_two_profiles_with_one_username_mean_that_it_changed_hands(world: World) -> None:
    first, second = world.person(0), world.person(1)
    await world.connect_and_sync(first)
    object.__setattr__(second, "username", first.username)
    await world.connect(second)
    names = {row.instagram_user_id: row.username for row in await world.rows(profiles)}
    assert names == {first.user_id: None, second.user_id: first.username}


async def test_media_insights_are_sampled_by_age_and_then_left_alone(world: World) -> None:
    await world.connect_and_sync(world.person())
    now = world.clock.now()
    for row in await world.rows(media):
        if row.insights_due_at is None:
            assert row.posted_at <= now - timedelta(days=28) or row.product_type == "STORY"
        else:
            assert row.insights_due_at > now or await world.count(media_insights) == 50
    assert date(2026, 7, 14) == days.last_complete(now)
