"""Pins and objections: what a correction and an objection leave behind, on a real database."""

from collections.abc import Awaitable, Callable

import pytest
from igstats_kit.fence import may_disclose, pinned
from igstats_kit.pins import Pin, Pins, value_digest
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import objections, pins, restrictions, tombstones
from sqlalchemy import insert, select

MakeDatabase = Callable[[str], Awaitable[Database]]
ANN, BOB, EVE, JOE = b"ann", b"bob", b"eve", b"joe"
PINS = Pins(Sealer(b"s" * 32))
NAME = Pin(ANN, "profiles.name", "Ann Ångström", "req_1")


@pytest.fixture
async def kept(database: MakeDatabase) -> Database:
    made = await database("kit")
    async with made.transaction() as connection:
        await PINS.keep(connection, [NAME])
    return made


async def test_a_pin_is_sealed_and_opens_for_its_person_and_field(kept: Database) -> None:
    async with kept.transaction() as connection:
        row = (await connection.execute(select(pins))).one()
        assert NAME.value.encode() not in bytes(row.sealed)
        assert bytes(row.digest) == value_digest("req_1", NAME.value)
        assert await PINS.pins_for(connection, [ANN, BOB]) == {ANN: {"profiles.name": NAME.value}}
        assert await pinned(connection, ANN, ["profiles.name", "profiles.website"]) == {"profiles.name"}
        assert await pinned(connection, BOB, ["profiles.name"]) == set()


async def test_a_pinned_value_wins_over_the_source_until_it_agrees(kept: Database) -> None:
    said: dict[bytes, dict[str, object]] = {ANN: {"name": "Wrong", "followers": 3}, BOB: {"name": "Bob"}}
    async with kept.transaction() as connection:
        assert await PINS.settle(connection, "profiles", said) == said | {ANN: {"name": NAME.value, "followers": 3}}
        assert await PINS.settle(connection, "others", said) == said
    async with kept.transaction() as connection:
        agreeing: dict[bytes, dict[str, object]] = {ANN: {"name": NAME.value}}
        assert await PINS.settle(connection, "profiles", agreeing) == agreeing
        assert await PINS.settle(connection, "profiles", said) == said


async def test_a_newer_correction_takes_the_place_of_the_older(kept: Database) -> None:
    async with kept.transaction() as connection:
        await PINS.keep(connection, [Pin(ANN, NAME.field, "Anna", "req_2"), Pin(BOB, NAME.field, "Rob", "req_2")])
        found = await PINS.pins_for(connection, [ANN, BOB])
    assert found == {ANN: {NAME.field: "Anna"}, BOB: {NAME.field: "Rob"}}


def test_digests_of_the_same_value_differ_by_request_and_an_absent_value_has_none() -> None:
    assert value_digest("req_1", "x") == value_digest("req_1", "x") != value_digest("req_2", "x")
    assert value_digest("req_1", None) == b"" != value_digest("req_1", "")


async def test_nothing_is_disclosed_about_who_objected_restricted_or_was_erased(database: MakeDatabase) -> None:
    made = await database("kit")
    async with made.transaction() as connection:
        for table, token in ((tombstones, ANN), (restrictions, BOB), (objections, EVE)):
            right = {"right": "OPT_OUT"} if table is objections else {}
            await connection.execute(insert(table).values(token=token, request_id="req_1", **right))
        assert await may_disclose(connection, [ANN, BOB, EVE, JOE]) == {JOE}
        assert await may_disclose(connection, []) == set()
