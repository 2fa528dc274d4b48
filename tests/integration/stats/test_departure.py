"""An owner takes the permission back at Instagram: Meta names them by their id in our app."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.fence import lock
from igstats_kit.subjects import Case
from igstats_stats.departures import Departures
from igstats_stats.model import Connection, ConnectionState
from igstats_stats.store.connections import DEPARTED
from igstats_stats.store.departures import DepartureStore
from igstats_stats.tables import TABLES, connections, profile_samples, profiles
from sqlalchemy import insert, text

from tests.integration.stats.conftest import ACCOUNT, APP_ID

_WAITING = text(
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
)


async def blocked(world: Any) -> None:
    """Returns when somebody waits for the lock of a person."""
    async with world.database.read() as connection:
        while not await connection.scalar(_WAITING):
            pass


def made_row(made: Connection, profile_id: int) -> dict[str, Any]:
    """A connection as it is written."""
    row = {"connection_id": made.connection_id, "account_id": made.account_id, "profile_id": profile_id}
    return {**row, "state": ConnectionState.ACTIVE, "problem": "", "created_at": made.created_at}


def scoped(person: Any, app_id: str = APP_ID) -> tuple[str, str]:
    return ("APP_USER_ID", f"{app_id}:{person.scoped_id}")


async def test_the_id_in_our_app_names_the_profile_and_completes_its_other_names(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    (found,) = await world.profiles.resolve([([scoped(person)], ACCOUNT)])
    assert set(found.identifiers) == {
        scoped(person),
        ("INSTAGRAM_USER_ID", person.user_id),
        ("USERNAME", person.username),
    }
    assert found.connected


async def test_the_id_in_another_app_names_nobody(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    (found,) = await world.profiles.resolve([([scoped(person, "2002")], ACCOUNT)])
    assert (found.identifiers, found.connected) == ((scoped(person, "2002"),), False)


async def test_connections_of_all_accounts_end_with_their_tokens_and_the_statistics_stay(world: Any) -> None:
    person, other = world.person(0), world.person(1)
    await world.connect_and_sync(person)
    for account, whose in (("acc_02", person), ("acc_01", other)):
        await world.connect(whose, account)
    assert await world.connections.depart([scoped(person)]) == 2
    rows = {(row.account_id, row.profile_id): row for row in await world.rows(connections)}
    left = next(row for row in await world.rows(profiles) if row.instagram_user_id == person.user_id)
    for account in ("acc_01", "acc_02"):
        row = rows[account, left.profile_id]
        assert (row.state, row.sealed_token, row.due_at, row.problem) == (
            ConnectionState.TOKEN_DEAD,
            None,
            None,
            DEPARTED,
        )
    assert left.departed_at == world.clock.now()
    assert sum(row.sealed_token is not None for row in rows.values()) == 1
    assert (await world.profiles.get("acc_01", person.user_id)).username == person.username


async def test_the_second_word_changes_nothing_and_the_first_time_counts(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    first = world.clock.now()
    assert await world.connections.depart([scoped(person)]) == 1
    world.clock.advance(timedelta(days=3))
    assert await world.connections.depart([scoped(person)]) == 0
    (left,) = await world.rows(profiles)
    assert left.departed_at == first


async def test_nobody_known_is_no_error(world: Any) -> None:
    assert await world.connections.depart([("APP_USER_ID", "1001:7")]) == 0


async def test_a_synchronisation_that_runs_stops(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    now = world.clock.now()
    (lease,) = await world.store.lease("lease_1", now, now, 1)
    await world.connections.depart([scoped(person)])
    await world.store.finish(lease, now, now)
    (row,) = await world.rows(connections)
    assert (row.state, row.due_at) == (ConnectionState.TOKEN_DEAD, None)
    with pytest.raises(DomainError) as refused:
        await world.connections.request_sync(ACCOUNT, row.connection_id)
    assert refused.value.reason is Reason.INSTAGRAM_TOKEN_DEAD


async def test_connecting_again_takes_the_departure_back(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    await world.connections.depart([scoped(person)])
    await world.connect(person)
    (left,) = await world.rows(profiles)
    (row,) = await world.rows(connections)
    assert (left.departed_at, row.state) == (None, ConnectionState.ACTIVE)
    assert row.sealed_token is not None


async def test_an_erasure_that_names_the_id_in_our_app_alone_finds_the_profile_and_keeps_it_out(world: Any) -> None:
    person = world.person()
    await world.connect_and_sync(person)
    case = Case("req_1", (world.tokens.of(*scoped(person)),), (scoped(person)[1],))
    async with world.database.transaction() as connection:
        await world.subjects.fence(connection, [case])
        await world.subjects.erase(connection, [case])
        swept = await world.subjects.sweep(connection, [case])
    assert (await world.count(profiles), await world.count(connections)) == (0, 0)
    assert not swept["req_1"].counts
    with pytest.raises(DomainError) as refused:
        await world.connect(person)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_what_is_stored_of_those_who_left_goes_when_their_time_is_over(world: Any) -> None:
    gone, stays = world.person(0), world.person(1)
    await world.connect_and_sync(gone)
    await world.connect_and_sync(stays)
    departures = Departures(DepartureStore(world.database), world.clock, stay=timedelta(days=90))
    await world.connections.depart([scoped(gone)])
    world.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    assert await departures.run_once() == 0
    world.clock.advance(timedelta(seconds=1))
    assert (await departures.run_once(), await departures.run_once()) == (1, 0)
    (left,) = await world.rows(profiles)
    assert left.instagram_user_id == stays.user_id
    for table in TABLES:
        if "profile_id" in table.c:
            assert {row.profile_id for row in await world.rows(table)} <= {left.profile_id}
    assert await world.count(profile_samples) > 0
    assert (await world.connect(gone)).state is ConnectionState.ACTIVE, "nobody is fenced who only left"


async def test_a_restriction_keeps_what_is_stored_of_those_who_left(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    departures = Departures(DepartureStore(world.database), world.clock, stay=timedelta(days=90))
    await world.connections.depart([scoped(person)])
    await world.restrict(person)
    world.clock.advance(timedelta(days=100))
    assert await departures.run_once() == 0
    await world.lift(person)
    assert await departures.run_once() == 1


async def test_who_has_come_back_is_kept(world: Any) -> None:
    person = world.person()
    await world.connect(person)
    departures = Departures(DepartureStore(world.database), world.clock, stay=timedelta(days=90))
    await world.connections.depart([scoped(person)])
    world.clock.advance(timedelta(days=89))
    await world.connect(person)
    world.clock.advance(timedelta(days=89))
    assert await departures.run_once() == 0


def room(world: Any) -> Departures:
    return Departures(DepartureStore(world.database), world.clock, stay=timedelta(days=90))


async def test_what_no_customer_is_connected_to_any_more_goes_when_its_time_is_over(world: Any) -> None:
    lonely, read = world.person(0), world.person(1)
    made = await world.connect_and_sync(lonely)
    await world.connect(lonely, "acc_02")
    await world.connect_and_sync(read)
    await world.connections.delete(ACCOUNT, made.connection_id)
    departures = room(world)
    assert await departures.note() == 0, "another customer is left"
    async with world.database.transaction() as connection:
        erased = await world.subjects.erase(connection, [world.account_case("acc_02")])
    assert erased["req_1"].counts["connections"] == 1
    assert (await departures.note(), await departures.note()) == (1, 0)
    world.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    assert (await departures.note(), await departures.run_once()) == (0, 0)
    world.clock.advance(timedelta(seconds=1))
    assert (await departures.run_once(), await departures.run_once()) == (1, 0)
    (left,) = await world.rows(profiles)
    assert left.instagram_user_id == read.user_id
    for table in TABLES:
        if "profile_id" in table.c:
            assert {row.profile_id for row in await world.rows(table)} <= {left.profile_id}


async def test_a_customer_who_connects_it_meanwhile_keeps_it(world: Any) -> None:
    person = world.person()
    made = await world.connect(person)
    await world.connections.delete(ACCOUNT, made.connection_id)
    departures = room(world)
    assert await departures.note() == 1
    world.clock.advance(timedelta(days=89))
    await world.connect(person, "acc_02")
    world.clock.advance(timedelta(days=89))
    assert (await departures.note(), await departures.run_once()) == (0, 0)


async def test_a_connection_that_is_on_its_way_is_waited_for(world: Any) -> None:
    person = world.person()
    made = await world.connect(person)
    await world.connections.delete(ACCOUNT, made.connection_id)
    departures = room(world)
    async with world.database.transaction() as connecting:
        await lock(connecting, [world.tokens.of("INSTAGRAM_USER_ID", person.user_id)], exclusive=False)
        noting = asyncio.create_task(departures.note())
        await blocked(world)
        (profile,) = await world.rows(profiles)
        again = {**made_row(made, profile.profile_id), "account_token": b"t"}
        await connecting.execute(insert(connections).values(again))
    assert await noting == 0
    (left,) = await world.rows(profiles)
    assert left.departed_at is None
