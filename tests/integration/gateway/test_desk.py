"""The desk of the doors, over the real channel."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from igstats.privacy.v1.request_pb2 import RequestState
from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.model import Identifier, Kind, Right, State, Wish
from igstats_kit.client import Channels
from igstats_kit.errors import DomainError, Reason

WISH = Wish("web", "key-12345", Right.ERASURE, (Identifier(Kind.EMAIL, "ann@example.com"),))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(settings: GatewayConfig) -> AsyncIterator[Desk]:
    channels = Channels(settings)
    yield Desk(channels.to("privacy", settings.privacy_address))
    await channels.close()


async def test_a_wish_becomes_a_request_once_however_often_it_is_handed_in(desk: Desk, others: Any) -> None:
    first, again = await desk.open(WISH), await desk.open(WISH)
    assert first == again
    assert first.state is State.RECEIVED
    (sent,) = others.doorkeeper.openings
    assert (sent.door, sent.idempotency_key) == ("web", "key-12345")


async def test_a_request_can_be_looked_at_and_taken_back_by_its_status_code(desk: Desk, others: Any) -> None:
    others.doorkeeper.proof_methods.append("mail_code")
    opened = await desk.open(WISH)
    status = await desk.status(opened.status_code)
    assert (status.request, status.proof_methods, status.holders_total) == (opened, ("mail_code",), 4)
    assert (await desk.withdraw(opened.status_code)).state is State.WITHDRAWN


async def test_what_cannot_be_taken_back_any_more_is_refused(desk: Desk, others: Any) -> None:
    opened = await desk.open(WISH)
    others.doorkeeper.requests[opened.status_code].state = RequestState.REQUEST_STATE_EXECUTING
    with pytest.raises(DomainError) as refused:
        await desk.withdraw(opened.status_code)
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED


async def test_an_unknown_code_opens_nothing(desk: Desk) -> None:
    with pytest.raises(DomainError) as refused:
        await desk.status("0" * 52)
    assert refused.value.reason is Reason.STATUS_CODE_UNKNOWN


async def test_evidence_comes_in_pieces_when_the_request_has_closed(desk: Desk) -> None:
    opened = await desk.open(WISH)
    with pytest.raises(DomainError) as refused:
        await anext(desk.evidence(opened.status_code))
    assert refused.value.reason is Reason.EVIDENCE_NOT_READY
    await desk.withdraw(opened.status_code)
    assert [piece async for piece in desk.evidence(opened.status_code)] == [b"PK", opened.request_id.encode()]


async def test_categories_are_described_without_any_person(desk: Desk) -> None:
    disclosure = await desk.categories()
    assert [one.category for one in disclosure.categories] == ["identifiers"]
