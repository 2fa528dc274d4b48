import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from igstats_gateway.authentication import REMEMBER, Authentication
from igstats_gateway.keys import Pepper, make
from igstats_gateway.model import StoredKey
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

PEPPER = Pepper(b"p" * 32)


async def _turn() -> None:
    """Lets everybody else have a turn of the loop."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_soon(over.set_result, None)
    await over


class World:
    """One account's key, and how often the store was asked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.key = make()
        self.stored: StoredKey | None = StoredKey(
            self.key.key_id, "acc_1", PEPPER.digest(self.key), "", ("stats:read",), self.clock.now()
        )
        self.asked: list[str] = []
        self.authentication = Authentication(self.find, PEPPER, self.clock)

    async def find(self, key_id: str) -> StoredKey | None:
        self.asked.append(key_id)
        found = self.stored
        await _turn()
        return found if found and found.key_id == key_id else None

    def change(self, **values: object) -> None:
        assert self.stored is not None
        self.stored = replace(self.stored, **values)  # type: ignore[arg-type]  # any field of the key

    async def refusal(self, text: str | None = None) -> Reason:
        with pytest.raises(DomainError) as caught:
            await self.authentication.caller(f"Bearer {text or self.key.text}")
        return caught.value.reason


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
async def test_a_key_names_its_account(world: World, scheme: str) -> None:
    caller = await world.authentication.caller(f"{scheme} {world.key.text}")
    assert (caller.account_id, caller.key_id, caller.scopes) == ("acc_1", world.key.key_id, frozenset({"stats:read"}))


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc"])
async def test_a_header_without_key_is_refused(world: World, header: str) -> None:
    with pytest.raises(DomainError) as caught:
        await world.authentication.caller(header)
    assert caught.value.reason is Reason.API_KEY_MISSING


async def test_a_malformed_key_never_reaches_the_store(world: World) -> None:
    assert await world.refusal(world.key.text[:-1]) is Reason.API_KEY_MALFORMED
    assert world.asked == []


async def test_the_id_alone_is_not_enough(world: World) -> None:
    world.change(key_hash=PEPPER.digest(make()))
    assert await world.refusal() is Reason.API_KEY_UNKNOWN


async def test_dead_keys_say_why(world: World) -> None:
    world.change(expire_time=world.clock.now())
    assert await world.refusal() is Reason.API_KEY_EXPIRED
    world.clock.advance(REMEMBER)
    world.change(revoked_time=world.clock.now())
    assert await world.refusal() is Reason.API_KEY_REVOKED


async def test_a_caller_knows_when_its_key_ends(world: World) -> None:
    assert (await world.authentication.caller(f"Bearer {world.key.text}")).expire_time is None
    end = world.clock.now() + timedelta(days=1)
    world.clock.advance(REMEMBER)
    world.change(expire_time=end)
    assert (await world.authentication.caller(f"Bearer {world.key.text}")).expire_time == end


async def test_a_key_expires_while_it_is_remembered(world: World) -> None:
    world.change(expire_time=world.clock.now() + REMEMBER / 2)
    await world.authentication.caller(f"Bearer {world.key.text}")
    world.clock.advance(REMEMBER / 2)
    assert await world.refusal() is Reason.API_KEY_EXPIRED
    assert len(world.asked) == 1


async def test_a_revocation_is_noticed_within_a_second(world: World) -> None:
    await world.authentication.caller(f"Bearer {world.key.text}")
    world.change(revoked_time=world.clock.now())
    world.clock.advance(timedelta(seconds=1))
    assert await world.refusal() is Reason.API_KEY_REVOKED


async def test_a_key_is_read_once_for_many_calls(world: World) -> None:
    calls = (world.authentication.caller(f"Bearer {world.key.text}") for _ in range(20))
    assert len(await asyncio.gather(*calls)) == 20
    assert len(world.asked) == 1


async def test_unknown_ids_are_remembered_for_as_long(world: World) -> None:
    stranger = make()
    reasons: Sequence[Reason] = [await world.refusal(stranger.text) for _ in range(5)]
    assert set(reasons) == {Reason.API_KEY_UNKNOWN}
    assert world.asked == [stranger.key_id]


async def test_memory_of_strangers_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_gateway.authentication._CAPACITY", 3)
    for _ in range(10):
        await world.refusal(make().text)
    assert len(world.authentication._memory) == 3


async def test_a_clock_that_goes_back_makes_nothing_immortal(world: World) -> None:
    await world.authentication.caller(f"Bearer {world.key.text}")
    world.clock._now -= timedelta(hours=1)
    await world.authentication.caller(f"Bearer {world.key.text}")
    assert len(world.asked) == 2


async def test_a_caller_who_leaves_does_not_spoil_the_search_of_others(world: World) -> None:
    first = asyncio.create_task(world.authentication.caller(f"Bearer {world.key.text}"))
    second = asyncio.create_task(world.authentication.caller(f"Bearer {world.key.text}"))
    await _turn()
    first.cancel()
    assert (await second).account_id == "acc_1"
