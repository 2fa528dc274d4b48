"""What owners of profiles ask for, as it shows at stats: corrections that last, objections, recipients."""

import pytest
from igstats_kit.corrections import Correction
from igstats_kit.errors import DomainError, Reason
from igstats_kit.tables import pins
from igstats_stats.tables import profiles

from tests.integration.stats.conftest import ACCOUNT, World


async def correct(world: World, number: int, field: str, value: str) -> None:
    async with world.database.transaction() as connection:
        case = world.case(world.person(number))
        assert await world.subjects.correct(connection, case, [Correction(f"profiles.{field}", value)])


async def sync_again(world: World, number: int = 0) -> None:
    """The owner connects again, which makes the profile due, and the worker runs."""
    await world.connect(world.person(number))
    while await world.worker.run_once():
        pass


@pytest.mark.parametrize("field", ["name", "biography", "website"])
async def test_a_corrected_value_outlives_every_sync_until_instagram_says_the_same(world: World, field: str) -> None:
    await world.connect_and_sync(world.person())
    (before,) = await world.rows(profiles)
    await correct(world, 0, field, "https://right.example")
    await sync_again(world)
    (corrected,) = await world.rows(profiles)
    assert getattr(corrected, field) == "https://right.example"
    assert await world.count(pins) == 1
    await correct(world, 0, field, getattr(before, field))
    await sync_again(world)
    (agreed,) = await world.rows(profiles)
    assert getattr(agreed, field) == getattr(before, field)
    assert await world.count(pins) == 0


async def test_a_correction_of_one_owner_leaves_the_others_alone(world: World) -> None:
    await world.connect_and_sync(world.person(0))
    await world.connect_and_sync(world.person(1))
    await correct(world, 0, "name", "Right")
    await sync_again(world, 0)
    await sync_again(world, 1)
    names = {row.instagram_user_id: row.name for row in await world.rows(profiles)}
    assert names[world.person(0).user_id] == "Right"
    assert names[world.person(1).user_id] == world.person(1).name


@pytest.mark.parametrize("right", ["OBJECTION", "OPT_OUT"])
async def test_nothing_is_disclosed_about_an_owner_who_objects_until_the_owner_opts_in(
    world: World, right: str
) -> None:
    await world.connect_and_sync(world.person(0))
    await world.connect_and_sync(world.person(1))
    name, case = world.person(0).username, world.case(world.person(0))
    async with world.database.transaction() as connection:
        await world.subjects.object_to(connection, [case], right)
    for read in (
        lambda: world.profiles.get(ACCOUNT, name),
        lambda: world.profiles.media(ACCOUNT, name, 0, ""),
        lambda: world.profiles.audience(ACCOUNT, name),
        lambda: world.series.query(ACCOUNT, name, ["reach"], "2026-07-01", "2026-07-02"),
    ):
        with pytest.raises(DomainError) as refused:
            await read()
        assert refused.value.reason is Reason.SUBJECT_OPTED_OUT
    listed, _ = await world.profiles.page(ACCOUNT, 0, "")
    assert [one.username for one in listed] == [world.person(1).username]
    assert await world.profiles.withheld(ACCOUNT) == 1
    async with world.database.transaction() as connection:
        await world.subjects.resume(connection, [case], [right])
    assert (await world.profiles.get(ACCOUNT, name)).username == name
    assert await world.profiles.withheld(ACCOUNT) == 0


async def test_every_account_that_has_or_had_a_connection_is_a_recipient(world: World) -> None:
    person = world.person()
    await world.connect(person)
    await world.connect(person, "acc_02")
    (lease,) = await world.store.lease("one", world.clock.now(), world.clock.now(), 1)
    await world.store.end(lease, "dead")
    (found,) = await world.profiles.resolve([([("USERNAME", person.username)], "")])
    assert found.recipients == {ACCOUNT, "acc_02"}
