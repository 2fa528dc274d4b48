"""Many requests in few commits, and none the worse for another."""

import asyncio
from dataclasses import replace

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.model import Identifier, NewRequest, Right
from igstats_privacy.openings import Openings
from igstats_privacy.store import Opening

from .conftest import Office


def wish(number: int, key: str = "") -> NewRequest:
    who = (Identifier("INSTAGRAM_USER_ID", str(number)),)
    return NewRequest(Right.ERASURE, "officer", "", who, key or f"wish-{number:04}", "by hand")


async def test_a_crowd_of_requests_is_written_and_told_of_once_each(office: Office) -> None:
    shown = await asyncio.gather(*(office.requests.open(wish(number)) for number in range(60)))
    ids = [one.request.request_id for one in shown]
    assert len(set(ids)) == 60
    assert await office.changed() == [("REQUEST_STATE_UNSPECIFIED", "REQUEST_STATE_RECEIVED")] * 60


async def test_the_same_wish_sixty_times_at_once_is_one_request(office: Office) -> None:
    shown = await asyncio.gather(*(office.requests.open(wish(1, "the-same-key")) for _ in range(60)))
    assert len({one.request.request_id for one in shown}) == 1
    assert len(await office.changed()) == 1


async def test_one_key_for_two_wishes_refuses_the_second_and_nobody_else(office: Office) -> None:
    wishes = [wish(1, "one-key-for-two"), wish(2, "one-key-for-two"), *map(wish, range(3, 30))]
    answers = await asyncio.gather(*map(office.requests.open, wishes), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, DomainError)]
    assert [error.reason for error in refused] == [Reason.IDEMPOTENCY_KEY_REUSED]
    assert len(answers) - len(refused) == 28


async def test_a_request_that_cannot_be_written_harms_no_other(office: Office) -> None:
    openings = Openings(office.database, lambda: None)
    good = [await opening(office, number) for number in range(8)]
    bad = await opening(office, 99)
    broken = replace(bad, request=replace(bad.request, door="a zero\0byte"))  # PostgreSQL stores no such text
    answers = await asyncio.gather(*map(openings.add, [*good, broken]), return_exceptions=True)
    assert answers[:-1] == [True] * 8
    assert isinstance(answers[-1], Exception)


async def test_who_goes_away_leaves_a_request_that_is_written_nevertheless(office: Office) -> None:
    task = asyncio.create_task(office.requests.open(wish(1)))
    await asyncio.wait({task}, timeout=0)  # it has begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = await office.requests.open(wish(1))
    assert len(await office.changed()) == 1
    assert (await office.requests.get(again.request.request_id)).request.request_id == again.request.request_id


async def opening(office: Office, number: int) -> Opening:
    request = (await office.requests.open(wish(1000 + number))).request
    fresh = replace(request, request_id=f"req_{number:026}", reference=f"REF-{number}")
    return Opening(fresh, b"sealed", f"key-{number}".encode(), b"content")
