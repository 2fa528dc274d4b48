"""Persons without an account ask at the door, prove who they are by mail or at Instagram, and get their letters."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, cast

import aiohttp
import pytest
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.identity_service_pb2 import (
    FinishLoginRequest,
    SendCodeRequest,
    StartLoginRequest,
    SubmitCodeRequest,
)
from igstats.privacy.v1.identity_service_pb2_grpc import IdentityServiceStub
from igstats.privacy.v1.privacy_service_pb2 import OpenRequestRequest
from igstats.privacy.v1.request_pb2 import Request, RequestState
from igstats_dev.mail.letters import Letter, Letters
from igstats_gateway.tables import accounts, contacts
from igstats_stats.tables import profiles
from sqlalchemy import func, insert, select
from yarl import URL

from .conftest import World, eventually, privacy_channels

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.privacy.v1.identity_service_pb2_grpc import IdentityServiceAsyncStub

CODE = re.compile(r"\b(\d{4} \d{4})\b")


class Stranger:
    """Somebody with a mailbox and no account."""

    def __init__(self, world: World, address: str, language: str) -> None:
        self._world = world
        self._address = address
        self._language = language
        self._letters = Letters(world.stack.layout.letters)

    async def ask(self, kind: IdentifierKind.ValueType, value: str) -> Request:
        """Asks for deletion at the web's door."""
        wish = OpenRequestRequest(
            idempotency_key=f"stranger-{value}",
            right=Right.RIGHT_ERASURE,
            identifiers=[Identifier(kind=kind, value=value)],
            door="web",
            reply_address=self._address,
            language=self._language,
        )
        opened = (await self._world.privacy.OpenRequest(wish, timeout=20)).request
        state = RequestState.REQUEST_STATE_IDENTITY_PENDING

        async def waits() -> bool:
            return (await self._world.request(opened.request_id)).state == state

        await eventually(waits, "the request waits for a proof")
        return opened

    async def letters(self, count: int) -> Sequence[Letter]:
        """The first letters, once so many have come."""

        async def came() -> bool:
            return len(self._mine()) >= count

        await eventually(came, f"{count} letters for {self._address}")
        return self._mine()

    def _mine(self) -> list[Letter]:
        return [one for one in self._letters.all() if one.to == self._address]


@pytest.fixture
async def identity(world: World) -> AsyncIterator["IdentityServiceAsyncStub"]:
    async with privacy_channels(world.stack) as (doors, _):
        yield cast("IdentityServiceAsyncStub", IdentityServiceStub(doors))


async def test_a_code_by_mail_opens_the_deletion_and_letters_tell_of_it(
    world: World, identity: "IdentityServiceAsyncStub"
) -> None:
    (person,) = await world.crowd.make(1)
    address = f"{person.account_id}@bench.example"
    stranger = Stranger(world, address, "de-AT")
    opened = await stranger.ask(IdentifierKind.IDENTIFIER_KIND_EMAIL, address)
    await stranger.letters(1)
    await identity.SendCode(SendCodeRequest(status_code=opened.status_code), timeout=20)
    code = next(found[1] for one in await stranger.letters(2) if (found := CODE.search(one.text)))
    await identity.SubmitCode(SubmitCodeRequest(status_code=opened.status_code, code=code), timeout=20)
    (closed,) = await world.until_closed([opened.request_id])
    assert closed.state == RequestState.REQUEST_STATE_FULFILLED
    assert closed.identity_proof == "mail code"
    letters = await stranger.letters(3)
    assert {one.language for one in letters} == {"de"}
    subjects = [one.subject for one in letters]
    assert f"Ihr Antrag {opened.reference} ist eingegangen" in subjects
    assert subjects[-1] == f"Ihr Antrag {opened.reference} ist erledigt"
    async with world.database("gateway").read() as connection:
        mine = (contacts, accounts)
        counts = [
            await connection.scalar(select(func.count()).select_from(table).filter_by(account_id=person.account_id))
            for table in mine
        ]
    assert counts == [0, 1], "the person is gone, the company's account is not the person's"


async def test_signing_in_with_instagram_opens_the_deletion_of_the_profile(
    world: World, identity: "IdentityServiceAsyncStub"
) -> None:
    emulator = world.stack.layout.instagram_url
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{emulator}/_profiles") as answer:
            profile = (await answer.json())["profiles"][-1]
        await _hold(world, profile["instagram_user_id"], profile["username"])
        stranger = Stranger(world, "owner@profile.example", "es")
        opened = await stranger.ask(IdentifierKind.IDENTIFIER_KIND_USERNAME, profile["username"])
        login = await identity.StartLogin(StartLoginRequest(status_code=opened.status_code), timeout=20)
        asked = URL(login.authorize_url)
        form = {**asked.query, "username": profile["username"]}
        async with session.post(asked.with_query(None), data=form, allow_redirects=False) as answer:
            back = URL(answer.headers["Location"])
    finished = FinishLoginRequest(state=back.query["state"], code=back.query["code"])
    await identity.FinishLogin(finished, timeout=20)
    (closed,) = await world.until_closed([opened.request_id])
    assert closed.state == RequestState.REQUEST_STATE_FULFILLED
    assert closed.identity_proof == "Instagram Login"
    letters = await stranger.letters(2)
    assert {one.language for one in letters} == {"es"}
    async with world.database("stats").read() as connection:
        held = select(func.count()).select_from(profiles).filter_by(username=profile["username"])
        assert await connection.scalar(held) == 0


async def _hold(world: World, user_id: str, username: str) -> None:
    """Makes stats hold the profile as others have retrieved it: its owner never connected it."""
    tokens = world.crowd.tokens
    row: dict[str, object] = {"instagram_user_id": user_id, "username": username}
    row |= dict.fromkeys(("name", "biography", "website"), "")
    row |= {"user_token": tokens.of("INSTAGRAM_USER_ID", user_id), "username_token": tokens.of("USERNAME", username)}
    async with world.database("stats").transaction() as connection:
        await connection.execute(insert(profiles).values(**row, revision=1, observed_at=func.now()))
