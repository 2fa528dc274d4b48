"""An erased person does not come back: not by a running synchronisation, a replayed event, or a new connection."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from igstats_dev.instagram.faults import Fault
from igstats_dev.instagram.people import Person
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event
from igstats_kit.tables import outbox
from igstats_stats.consumer import SyncRequests
from igstats_stats.events import SYNC_REQUESTED, sync_requested
from igstats_stats.model import ConnectionState
from igstats_stats.syncing import ERASED
from igstats_stats.tables import TABLES, connections, media, media_insights, profile_days, profiles

from tests.integration.stats.conftest import ACCOUNT, World


async def rows_left(world: World) -> dict[str, int]:
    counts = {table.name: await world.count(table) for table in TABLES}
    return {name: count for name, count in counts.items() if count}


def asking(event_id: str, connection_id: str) -> Event:
    data = sync_requested(connection_id).SerializeToString()
    return Event(event_id, SYNC_REQUESTED, "igstats.event.v1.SyncRequested", datetime.now(UTC), data)


async def test_an_erasure_takes_every_row_of_the_person_and_none_of_the_neighbour(world: World) -> None:
    person, neighbour = world.person(0), world.person(1)
    await world.connect_and_sync(neighbour)
    before = await rows_left(world)
    await world.connect_and_sync(person)
    erased = await world.erase(person)
    assert set(erased) >= {"profiles", "connections", "profile_days", "media", "media_insights", "audience_slices"}
    assert await rows_left(world) == before
    async with world.database.transaction() as connection:
        swept = await world.subjects.sweep(connection, [world.case(person)])
    assert dict(swept["req_1"].counts) == {}


@pytest.mark.parametrize("path", ["/me", "/media", "/insights", "/stories"])
async def test_a_deletion_during_ingestion_leaves_nothing_behind(world: World, path: str) -> None:
    person = world.person()
    await world.connect(person)
    world.emulator.faults.add(Fault("hold", path=path, times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    await world.erase(person)
    world.emulator.faults.clear()
    assert await running
    assert await rows_left(world) == {}


async def test_a_deletion_while_insights_of_a_post_are_asked_leaves_nothing_behind(world: World) -> None:
    person = world.person()
    await world.connect(person)
    oldest_asked = person.posts(world.clock.now())[20]
    world.emulator.faults.add(Fault("hold", path=oldest_asked.media_id, times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    assert await world.count(media_insights) > 0
    await world.erase(person)
    world.emulator.faults.clear()
    assert await running
    assert await rows_left(world) == {}


async def test_a_writer_between_fence_and_erase_is_refused_and_its_connection_ends_visibly(world: World) -> None:
    person = world.person()
    made = await world.connect(person)
    world.emulator.faults.add(Fault("hold", path="/media", times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    await world.fence(person)
    written = await world.count(profile_days)
    world.emulator.faults.clear()
    await running
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert (found.state, found.problem) == (ConnectionState.TOKEN_DEAD, ERASED)
    assert [row.sealed_token for row in await world.rows(connections)] == [None]
    assert await world.count(media) == 0
    assert await world.count(profile_days) == written


async def test_nothing_is_asked_of_instagram_about_a_person_who_asked_for_erasure(world: World) -> None:
    person = world.person()
    await world.connect(person)
    await world.fence(person)
    world.emulator.calls.clear()
    assert await world.worker.run_once()
    assert world.emulator.calls.total() == 0
    assert not await world.worker.run_once()


async def test_a_replayed_sync_event_after_the_tombstone_changes_nothing(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    requests = SyncRequests(world.store, world.worker, world.clock)
    await requests.handle([asking("first", made.connection_id)])
    await world.erase(person)
    told = await world.count(outbox)
    for event_id in ("first", "late"):
        await requests.handle([asking(event_id, made.connection_id)])
        assert not await world.worker.run_once()
    assert await rows_left(world) == {}
    assert await world.count(outbox) == told


async def test_a_repeated_sync_event_has_its_effect_once(world: World) -> None:
    made = await world.connect_and_sync(world.person())
    requests = SyncRequests(world.store, world.worker, world.clock)
    await requests.handle([asking("one", made.connection_id), asking("one", made.connection_id)])
    assert await world.worker.run_once()
    await requests.handle([asking("one", made.connection_id)])
    assert not await world.worker.run_once()


async def test_an_erased_person_cannot_be_connected_again(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    await world.erase(person)
    for account in (ACCOUNT, "acc_02"):
        with pytest.raises(DomainError) as refused:
            await world.connect(person, account)
        assert refused.value.reason is Reason.SUBJECT_ERASED
    assert await rows_left(world) == {}


def renamed(world: World, person: Person, username: str) -> str:
    """Gives somebody another handle at Instagram; answers the token that opens their profile."""
    token = next(token for token, known in world.emulator.people._by_token.items() if known is person)
    object.__setattr__(person, "username", username)
    return token


async def test_a_new_username_does_not_bring_an_erased_person_back(world: World) -> None:
    person = world.person()
    await world.erase(person)
    with pytest.raises(DomainError) as refused:
        await world.connections.create(ACCOUNT, renamed(world, person, "another_name"))
    assert refused.value.reason is Reason.SUBJECT_ERASED
    assert await world.count(profiles) == 0


async def test_a_handle_that_is_all_that_is_known_of_an_erased_person_stays_closed(world: World) -> None:
    person = world.person()
    async with world.database.transaction() as connection:
        await world.subjects.fence(connection, [world.handle_case(person.username)])
    with pytest.raises(DomainError) as refused:
        await world.connect(person)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_the_next_owner_of_an_erased_persons_handle_stays_connected_and_readable(world: World) -> None:
    person, other = world.person(0), world.person(1)
    await world.connect_and_sync(person)
    await world.erase(person)
    made = await world.connect_and_sync(other)
    freed = person.username
    renamed(world, person, "another_name")
    renamed(world, other, freed)
    world.clock.advance(timedelta(hours=8))
    assert await world.worker.run_once()
    found = await world.connections.get(ACCOUNT, made.connection_id)
    assert (found.state, found.problem) == (ConnectionState.ACTIVE, "")
    assert (await world.profiles.get(ACCOUNT, freed)).instagram_user_id == other.user_id


@pytest.mark.parametrize("close", ["restrict", "object_to"])
async def test_what_a_person_wished_does_not_hide_the_next_owner_of_their_handle(world: World, close: str) -> None:
    person, other = world.person(0), world.person(1)
    for each in (other, person):
        await world.connect_and_sync(each)
    async with world.database.transaction() as connection:
        case, right = world.case(person), ["OBJECTION"] if close == "object_to" else []
        await getattr(world.subjects, close)(connection, [case], *right)
    freed = person.username
    renamed(world, person, "another_name")
    renamed(world, other, freed)
    world.clock.advance(timedelta(hours=8))
    while await world.worker.run_once():
        pass
    assert (await world.profiles.get(ACCOUNT, freed)).instagram_user_id == other.user_id


async def test_an_account_that_was_erased_loses_its_connections_and_gets_no_new_ones(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    case = world.account_case(ACCOUNT)
    async with world.database.transaction() as connection:
        await world.subjects.fence(connection, [case])
        await world.subjects.erase(connection, [case])
    assert await world.count(connections) == 0
    assert await world.count(profiles) == 1  # the profile's owner is another person
    with pytest.raises(DomainError) as refused:
        await world.connect(person)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_a_restricted_person_is_neither_synchronised_nor_read_until_it_is_lifted(world: World) -> None:
    person = world.person()
    made = await world.connect_and_sync(person)
    before = await world.dump()
    await world.restrict(person)
    for refusing in (
        world.connections.request_sync(ACCOUNT, made.connection_id),
        world.profiles.get(ACCOUNT, person.username),
        world.profiles.media(ACCOUNT, person.username, 0, ""),
        world.profiles.audience(ACCOUNT, person.username),
        world.series.query(ACCOUNT, person.username, ["reach"], "2026-07-01", "2026-07-02"),
        world.connect(person),
    ):
        with pytest.raises(DomainError) as refused:
            await refusing
        assert refused.value.reason is Reason.SUBJECT_RESTRICTED
    assert await world.profiles.page(ACCOUNT, 0, "") == ([], "")
    assert "restricted" in (await world.connections.get(ACCOUNT, made.connection_id)).problem
    assert not await world.worker.run_once()
    assert await world.dump() == before
    await world.lift(person)
    assert (await world.profiles.get(ACCOUNT, person.username)).username == person.username


async def test_a_restriction_during_ingestion_stops_it_and_keeps_the_connection(world: World) -> None:
    person = world.person()
    made = await world.connect(person)
    world.emulator.faults.add(Fault("hold", path="/media", times=1))
    running = asyncio.create_task(world.worker.run_once())
    await world.emulator.faults.holding.wait()
    await world.restrict(person)
    world.emulator.faults.clear()
    await running
    assert await world.count(media) == 0
    assert (await world.connections.get(ACCOUNT, made.connection_id)).state is ConnectionState.ACTIVE


async def test_an_erased_profile_cannot_be_read_even_before_its_rows_are_gone(world: World) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    await world.fence(person)
    with pytest.raises(DomainError) as refused:
        await world.profiles.get(ACCOUNT, person.username)
    assert refused.value.reason is Reason.PROFILE_NOT_FOUND
