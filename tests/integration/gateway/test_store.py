"""The store on a real database: limits, accounts, usage, idempotency, and the fence around all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from igstats.event.v1.events_pb2 import AccessRecorded
from igstats_gateway.accounts import NewAccount, Registration
from igstats_gateway.declarations import DECLARATIONS, TABLES
from igstats_gateway.keys import Pepper, parse
from igstats_gateway.limits import minute
from igstats_gateway.model import AccountChange, Billing, CallRecord, Contact, Slot, Usage
from igstats_gateway.store import Store
from igstats_gateway.tables import invoices
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.tables import inbox, outbox
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens
from sqlalchemy import delete, func, insert, select

TOKENS = Tokens(b"t" * 32)
PEPPER = Pepper(b"p" * 32)
METHOD = "/igstats.api.v1.StatsService/GetProfile"


class World:
    """A gateway database with one account in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock()
        self.store = Store(database, TOKENS)
        self.registration = Registration(self.store, PEPPER, self.clock)
        self.subjects = Subjects(DECLARATIONS, Sealer(b"s" * 32))

    async def register(self, email: str = "ann@example.com") -> NewAccount:
        billing = Billing("Ann", "Street 1", "VAT1")
        return await self.registration.create("Ann's", Contact("", email, "Ann"), ["stats:read"], billing)

    async def erase(self, kind: str, value: str) -> dict[str, int]:
        async with self.database.transaction() as connection:
            case = Case("req_1", (TOKENS.of(kind, value),))
            await self.subjects.fence(connection, [case])
            return (await self.subjects.erase(connection, [case]))["req_1"].counts

    async def restrict(self, kind: str, value: str) -> None:
        async with self.database.transaction() as connection:
            await self.subjects.restrict(connection, [Case("req_2", (TOKENS.of(kind, value),))])

    async def records(self) -> list[AccessRecorded]:
        wanted = select(outbox.c.data).where(outbox.c.subject == "igstats.gateway.v1.access.recorded")
        async with self.database.read() as connection:
            rows = await connection.execute(wanted.order_by(outbox.c.position))
            return [AccessRecorded.FromString(data) for data in rows.scalars()]

    def record(self, number: int, account: NewAccount | None, status: int = 0) -> CallRecord:
        return CallRecord(
            call_id=f"req_{number}",
            account_id=account.account_id if account else "",
            key_id=account.key_id if account else "",
            method=METHOD,
            protocol="grpc",
            status=status,
            reason="" if status == 0 else "RATE_LIMITED",
            called_time=self.clock.now(),
            latency_us=1500,
            sealed_client=b"sealed",
        )


@pytest_asyncio.fixture(loop_scope="session")
async def world(database: Callable[[str], Awaitable[Database]]) -> World:
    return World(await database("gateway"))


# Accounts


async def test_a_new_account_reads_back_with_its_contact_and_key(world: World) -> None:
    made = await world.register()
    account = await world.store.account(made.account_id)
    assert account is not None
    assert made.contact_id == made.account_id.replace("acc_", "con_") + "_1"
    assert account.contacts == (Contact(made.contact_id, "ann@example.com", "Ann"),)
    assert (account.company, account.billing) == ("Ann's", Billing("Ann", "Street 1", "VAT1"))
    stored = await world.store.find_key(made.key_id)
    assert stored is not None
    assert PEPPER.fits(parse(made.key), stored.key_hash)


async def test_a_change_touches_only_what_it_gives(world: World) -> None:
    made = await world.register()
    change = AccountChange(
        contacts=[Contact(made.contact_id, "", "Anna"), Contact("", "bob@example.com", "Bob")],
        billing=Billing(address="Street 2"),
    )
    account = await world.store.change_account(made.account_id, change, world.clock.now())
    assert account is not None
    second = made.contact_id[:-1] + "2"
    assert account.contacts == (
        Contact(made.contact_id, "ann@example.com", "Anna"),
        Contact(second, "bob@example.com", "Bob"),
    )
    assert (account.company, account.billing) == ("Ann's", Billing("Ann", "Street 2", "VAT1"))


async def test_a_contact_of_another_account_cannot_be_changed(world: World) -> None:
    made, other = await world.register(), await world.register("eve@example.com")
    change = AccountChange(company="New", contacts=[Contact(other.contact_id, "x@example.com", "")])
    with pytest.raises(LookupError):
        await world.store.change_account(made.account_id, change, world.clock.now())
    account = await world.store.account(made.account_id)
    assert account is not None
    assert account.company == "Ann's"


async def test_numbers_of_erased_contacts_are_not_given_again(world: World) -> None:
    made = await world.register()
    assert await world.erase("CONTACT_ID", made.contact_id) == {"contacts": 1}
    change = AccountChange(contacts=[Contact("", "new@example.com", "New")])
    account = await world.store.change_account(made.account_id, change, world.clock.now())
    assert account is not None
    assert [contact.contact_id[-2:] for contact in account.contacts] == ["_2"]


async def test_a_restricted_contact_is_left_out_and_the_account_says_so(world: World) -> None:
    made = await world.register()
    await world.restrict("EMAIL", "ann@example.com")
    account = await world.store.account(made.account_id)
    assert account is not None
    assert (account.contacts, account.withheld) == ((), 1)


async def test_a_restricted_account_takes_no_changes_and_no_keys(world: World) -> None:
    made = await world.register()
    await world.restrict("ACCOUNT_ID", made.account_id)
    key = await world.store.find_key(made.key_id)
    assert key is not None
    for write in (
        world.store.change_account(made.account_id, AccountChange(company="New"), world.clock.now()),
        world.store.add_key(replace(key, key_id="other")),
    ):
        with pytest.raises(DomainError) as caught:
            await write
        assert caught.value.reason is Reason.SUBJECT_RESTRICTED


async def test_erasing_an_account_takes_everything_but_its_invoices(world: World) -> None:
    made, other = await world.register(), await world.register("bob@example.com")
    await world.store.write_records("b1", [world.record(1, made), world.record(2, other)])
    now = world.clock.now()
    slot = Slot(made.account_id, METHOD, b"k", now)
    assert await world.store.claim(slot, b"r", now, alive_since=now)
    row = {"invoice_id": "i1", "account_id": made.account_id, "name": "Ann", "address": "Street 1", "vat_number": "V"}
    async with world.database.transaction() as connection:
        await connection.execute(insert(invoices), {**row, "amount_cents": 5, "currency": "EUR", "issued_at": now})
    counts = await world.erase("ACCOUNT_ID", made.account_id)
    assert counts == {
        "accounts": 1,
        "contacts": 1,
        "billing_details": 1,
        "api_keys": 1,
        "usage_days": 1,
        "limits": 1,
        "idempotency_records": 1,
    }
    assert await world.store.find_key(made.key_id) is None
    assert await world.store.account(other.account_id) is not None
    async with world.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(invoices)) == 1


async def test_what_is_retained_names_its_ground_and_its_end(world: World) -> None:
    made = await world.register()
    now = world.clock.now()
    row = {"invoice_id": "i1", "account_id": made.account_id, "name": "Ann", "address": "Street 1", "vat_number": "V"}
    async with world.database.transaction() as connection:
        await connection.execute(insert(invoices), {**row, "amount_cents": 5, "currency": "EUR", "issued_at": now})
        case = Case("req_1", (TOKENS.of("ACCOUNT_ID", made.account_id),))
        await world.subjects.fence(connection, [case])
        [kept] = (await world.subjects.erase(connection, [case]))["req_1"].kept
        swept = (await world.subjects.sweep(connection, [case]))["req_1"]
    assert (kept.store, kept.ground, kept.count) == ("invoices", "tax law: invoices", 1)
    assert kept.until == now + timedelta(days=3650)
    assert swept.counts == {}


# Keys


async def test_the_first_revocation_counts(world: World) -> None:
    made = await world.register()
    first = await world.store.revoke_key(made.account_id, made.key_id, world.clock.now())
    world.clock.advance(timedelta(hours=1))
    second = await world.store.revoke_key(made.account_id, made.key_id, world.clock.now())
    assert first == second
    assert first is not None
    assert first.revoked_time is not None


async def test_keys_of_others_are_nobody_elses(world: World) -> None:
    made, other = await world.register(), await world.register("bob@example.com")
    assert await world.store.revoke_key(made.account_id, other.key_id, world.clock.now()) is None
    assert [key.key_id for key in await world.store.keys(made.account_id)] == [made.key_id]


# Limits


async def test_an_allowance_is_spent_and_comes_back_evenly(world: World) -> None:
    made = await world.register()
    policy = minute(60)
    granted = [await world.store.spend(made.account_id, policy, 10, world.clock.now()) for _ in range(7)]
    assert [one.granted for one in granted if one] == [True] * 6 + [False]
    assert [one.remaining for one in granted if one] == [50, 40, 30, 20, 10, 0, 0]
    refused = granted[-1]
    assert refused is not None
    assert refused.wait == 10
    world.clock.advance(timedelta(seconds=9))
    late = await world.store.spend(made.account_id, policy, 10, world.clock.now())
    assert late is not None
    assert not late.granted
    world.clock.advance(timedelta(seconds=1))
    again = await world.store.spend(made.account_id, policy, 10, world.clock.now())
    assert again is not None
    assert again.granted


async def test_many_at_once_get_exactly_the_allowance(world: World) -> None:
    made = await world.register()
    now = world.clock.now()
    spent = await asyncio.gather(*(world.store.spend(made.account_id, minute(20), 1, now) for _ in range(30)))
    assert sum(one.granted for one in spent if one) == 20


async def test_a_gone_account_has_no_allowance_and_gets_none(world: World) -> None:
    made = await world.register()
    await world.erase("ACCOUNT_ID", made.account_id)
    assert await world.store.spend(made.account_id, minute(60), 1, world.clock.now()) is None


# Usage


async def test_usage_counts_calls_and_errors_by_day_and_method(world: World) -> None:
    made = await world.register()
    await world.store.write_records("b1", [world.record(1, made), world.record(2, made, 8), world.record(3, None, 16)])
    await world.store.write_records("b2", [world.record(4, made)])
    day = world.clock.now().date()
    assert await world.store.usage(made.account_id, day) == [Usage(day, METHOD, 3, 1)]
    key = await world.store.find_key(made.key_id)
    assert key is not None
    assert key.last_used_day == day


async def test_every_record_is_sent_refused_ones_included(world: World) -> None:
    made = await world.register()
    await world.store.write_records("b1", [world.record(1, made), world.record(2, None, 16)])
    [event] = await world.records()
    assert [(one.call_id, one.account_id, one.status) for one in event.records] == [
        ("req_1", made.account_id, 0),
        ("req_2", "", 16),
    ]


async def test_a_batch_written_again_counts_once(world: World) -> None:
    made = await world.register()
    batch = [world.record(1, made)]
    await world.store.write_records("b1", batch)
    await world.store.write_records("b1", batch)
    day = world.clock.now().date()
    assert await world.store.usage(made.account_id, day) == [Usage(day, METHOD, 1, 0)]
    assert len(await world.records()) == 1


async def test_a_batch_written_again_counts_once_even_when_its_event_has_been_published(world: World) -> None:
    made = await world.register()
    batch = [world.record(1, made)]
    await world.store.write_records("b1", batch)
    async with world.database.transaction() as connection:
        await connection.execute(delete(outbox))
    await world.store.write_records("b1", batch)
    day = world.clock.now().date()
    assert await world.store.usage(made.account_id, day) == [Usage(day, METHOD, 1, 0)]
    assert await world.records() == []


async def test_a_batch_leaves_nothing_behind_once_the_next_one_is_written(world: World) -> None:
    made = await world.register()
    for number in range(3):
        before = f"b{number - 1}" if number else ""
        await world.store.write_records(f"b{number}", [world.record(number, made)], settled=before)
    async with world.database.read() as connection:
        assert list((await connection.execute(select(inbox.c.event_id))).scalars()) == ["b2"]


@pytest.mark.parametrize("fence", ["erased", "restricted"])
async def test_records_of_fenced_accounts_lose_their_person(world: World, fence: str) -> None:
    made, other = await world.register(), await world.register("bob@example.com")
    await (world.erase if fence == "erased" else world.restrict)("ACCOUNT_ID", made.account_id)
    assert await world.store.write_records("b1", [world.record(1, made), world.record(2, other)]) == 1
    [event] = await world.records()
    assert [(one.account_id, one.key_id, one.sealed_client) for one in event.records] == [
        ("", "", b""),
        (other.account_id, other.key_id, b"sealed"),
    ]
    assert await world.store.usage(made.account_id, world.clock.now().date()) == []


# Idempotency


async def test_a_slot_is_taken_once_and_answers_afterwards(world: World) -> None:
    made, now = await world.register(), world.clock.now()
    slot = Slot(made.account_id, METHOD, b"key", now - timedelta(days=1))
    alive = now - timedelta(minutes=1)
    taken = await asyncio.gather(*(world.store.claim(slot, b"r", now, alive_since=alive) for _ in range(5)))
    assert sorted(taken) == [False, False, False, False, True]
    await world.store.keep_answer(slot, 200, b"sealed")
    assert not await world.store.claim(slot, b"r", now, alive_since=alive)
    kept = await world.store.answer(slot)
    assert kept is not None
    assert (kept.request_digest, kept.status, kept.sealed_body) == (b"r", 200, b"sealed")


async def test_a_released_an_abandoned_and_an_expired_slot_can_be_taken_again(world: World) -> None:
    made, now = await world.register(), world.clock.now()
    slot = Slot(made.account_id, METHOD, b"key", now - timedelta(days=1))
    minute_ago = timedelta(minutes=1)
    assert await world.store.claim(slot, b"r", now, alive_since=now - minute_ago)
    await world.store.release(slot)
    assert await world.store.claim(slot, b"r", now, alive_since=now - minute_ago)
    later = world.clock.advance(timedelta(minutes=2))
    assert await world.store.claim(slot, b"r", later, alive_since=later - minute_ago)
    await world.store.keep_answer(slot, 200, b"sealed")
    assert not await world.store.claim(slot, b"r", later, alive_since=later)
    next_day = replace(slot, valid_since=world.clock.advance(timedelta(days=1, seconds=1)) - timedelta(days=1))
    assert await world.store.claim(next_day, b"other", world.clock.now(), alive_since=world.clock.now())
    assert await world.store.answer(next_day) is not None


async def test_an_erased_account_gets_no_slot(world: World) -> None:
    made, now = await world.register(), world.clock.now()
    await world.erase("ACCOUNT_ID", made.account_id)
    with pytest.raises(DomainError) as caught:
        await world.store.claim(Slot(made.account_id, METHOD, b"key", now), b"r", now, alive_since=now)
    assert caught.value.reason is Reason.API_KEY_UNKNOWN


async def test_secrets_of_keys_are_stored_nowhere(world: World) -> None:
    made = await world.register()
    async with world.database.read() as connection:
        rows = [row for table in TABLES for row in await connection.execute(select(table))]
    assert made.key_id in str(rows)
    assert made.key[18:] not in str(rows)
