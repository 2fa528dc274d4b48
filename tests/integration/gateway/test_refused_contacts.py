"""Contacts that a customer may not store, and what the answers tell: nothing of anybody."""

import asyncio
from datetime import timedelta

import pytest
from igstats_gateway.accounts import NewAccount
from igstats_gateway.model import AccountChange, Contact
from igstats_gateway.refusal_store import REFUSALS
from igstats_kit.errors import DomainError, Reason

from tests.integration.gateway import test_store
from tests.integration.gateway.test_store import World

world = test_store.world


async def test_an_erased_person_is_not_taken_back_as_a_contact(world: World) -> None:
    made = await world.register()
    await world.erase("EMAIL", "ann@example.com")
    with pytest.raises(DomainError) as caught:
        await added(world, made, "Ann@Example.com")
    assert caught.value.reason is Reason.FIELD_INVALID
    with pytest.raises(DomainError):
        await world.register()


async def added(world: World, made: NewAccount, *addresses: str) -> None:
    """What a customer does with new contacts."""
    change = AccountChange(company="New", contacts=[Contact("", address, "") for address in addresses])
    await world.store.change_account(made.account_id, change, world.clock.now())


async def test_a_customer_cannot_tell_whether_an_address_is_erased_or_restricted_nor_which_of_several(
    world: World,
) -> None:
    made = await world.register("own@example.com")
    await world.erase("EMAIL", "ann@example.com")
    await world.restrict("EMAIL", "bob@example.com")
    answers = []
    for addresses in (["ann@example.com"], ["bob@example.com"], ["eve@example.com", "ann@example.com"]):
        with pytest.raises(DomainError) as caught:
            await added(world, made, *addresses)
        answers.append((caught.value.reason, caught.value.violations, caught.value.metadata))
    assert answers[0] == answers[1] == answers[2]
    assert "example" not in repr(answers)
    account = await world.store.account(made.account_id)
    assert account is not None
    assert (account.company, len(account.contacts)) == ("Ann's", 1), "nothing was changed"


async def test_addresses_are_refused_a_few_times_a_day_and_then_every_one_is(world: World) -> None:
    made, other = await world.register("own@example.com"), await world.register("other@example.com")
    await world.erase("EMAIL", "ann@example.com")
    tries = [added(world, made, "ann@example.com") for _ in range(2 * REFUSALS.quota)]
    refused = [one for one in await asyncio.gather(*tries, return_exceptions=True) if isinstance(one, DomainError)]
    reasons = [one.reason for one in refused]
    assert reasons.count(Reason.FIELD_INVALID) == reasons.count(Reason.RATE_LIMITED) == REFUSALS.quota
    with pytest.raises(DomainError) as caught:
        await added(world, made, "eve@example.com")
    assert caught.value.reason is Reason.RATE_LIMITED, "whatever the address is"
    await world.store.change_account(made.account_id, AccountChange(company="Mine"), world.clock.now())
    await added(world, other, "eve@example.com")
    world.clock.advance(timedelta(seconds=caught.value.retry_after or 0))
    await added(world, made, "eve@example.com")
