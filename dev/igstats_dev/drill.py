"""Drill: a backup that knows nothing of deletions since is restored, and who was deleted must not come back."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.privacy_service_pb2 import GetRequestRequest, OpenRequestRequest
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.request_pb2 import RequestState
from rich.console import Console

from igstats_dev.crowd import Crowd, Somebody
from igstats_dev.demo.narrator import Narrator, StoryError
from igstats_dev.health import serves
from igstats_dev.layout import OPERATOR, role
from igstats_dev.stack import Stack

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceAsyncStub

_SERVICE = "stats"
_PERSONS = 3
_MANY = 10_000_000
_PATIENCE = 120.0
_LOOK_SECONDS = 0.1
_WAITING = '"step": "register"'


class RestoreDrill:
    """Backs up the database of stats, deletes persons, restores, and looks what comes back, and when."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._say = Narrator(console)
        self._crowd = Crowd(stack, first=secrets.randbelow(_MANY))
        self._name = role(_SERVICE)
        self._backup = f"{self._name}_backup"

    async def run(self) -> bool:
        """Runs it and tells; answers whether everything held."""
        try:
            await self._run()
        except StoryError as error:
            self._say.console.print(f"\n[red]The drill failed:[/red] {error}", highlight=False)
            return False
        finally:
            await self._crowd.close()
            await self._stack.postgres.drop_database(self._backup)
        self._say.console.print("\n[green]The drill held:[/green] what was deleted stays deleted.", highlight=False)
        return True

    async def _run(self) -> None:
        self._say.chapter("Persons are stored, and a backup is made")
        people = await self._crowd.make(_PERSONS)
        self._say.check(await self._rows(people) == _PERSONS, f"{_PERSONS} profiles are in the database of {_SERVICE}")
        await self.back_up()
        self._say.chapter("The persons are deleted")
        await self._delete(people)
        self._say.check(await self._rows(people) == 0, f"none of them is in the database of {_SERVICE}")
        self._say.chapter("The backup is restored, while nobody can be asked what was deleted since")
        privacy, holder = self._stack.parts["privacy"], self._stack.parts[_SERVICE]
        await privacy.stop()
        await self.put_back()
        self._say.check(await self._rows(people) == _PERSONS, "the restored database holds all of them again")
        starting = asyncio.create_task(holder.start())
        await self._until_it_waits()
        self._say.check(not await self._serves(), f"{_SERVICE} runs and does not serve: it waits for the ledger")
        self._say.chapter("The ledger can be read again")
        await privacy.start()
        await starting
        self._say.check(await self._serves(), f"{_SERVICE} serves")
        left = await self._rows(people)
        self._say.check(left == 0, "before it served it has erased them again", f"{left} are back")

    async def back_up(self) -> None:
        """A copy of the whole database, with nobody in it."""
        await self._crowd.databases[_SERVICE].close()
        await self._stack.parts[_SERVICE].stop()
        await self._stack.postgres.drop_database(self._backup)
        await self._stack.postgres.ensure_database(self._backup, self._name, template=self._name)
        await self._stack.parts[_SERVICE].start()

    async def put_back(self) -> None:
        """The backup takes the place of the database."""
        await self._crowd.databases[_SERVICE].close()
        await self._stack.parts[_SERVICE].stop()
        await self._stack.postgres.drop_database(self._name)
        await self._stack.postgres.rename_database(self._backup, self._name)

    async def _rows(self, people: Sequence[Somebody]) -> int:
        return await self._crowd.profiles_of(people)

    async def _delete(self, people: Sequence[Somebody]) -> None:
        async with self._officer() as privacy:
            requests = [await self._open(privacy, person) for person in people]
            async with asyncio.timeout(_PATIENCE):
                states = [await self._end(privacy, request_id) for request_id in requests]
        fulfilled = states == ["REQUEST_STATE_FULFILLED"] * len(people)
        self._say.check(fulfilled, "all requests are fulfilled", f"they are {', '.join(states)}")

    async def _open(self, privacy: "PrivacyServiceAsyncStub", person: Somebody) -> str:
        named = (
            Identifier(kind=IdentifierKind.IDENTIFIER_KIND_ACCOUNT_ID, value=person.account_id),
            Identifier(kind=IdentifierKind.IDENTIFIER_KIND_INSTAGRAM_USER_ID, value=person.instagram_user_id),
        )
        request = OpenRequestRequest(
            idempotency_key=f"drill-{person.instagram_user_id}",
            right=Right.RIGHT_ERASURE,
            identifiers=named,
            door="officer",
            identity_proof="drill: a made-up person",
        )
        return (await privacy.OpenRequest(request, timeout=10)).request.request_id

    async def _end(self, privacy: "PrivacyServiceAsyncStub", request_id: str) -> str:
        while True:
            found = (await privacy.GetRequest(GetRequestRequest(request_id=request_id), timeout=10)).request
            if found.HasField("closed_time"):
                return RequestState.Name(found.state)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _until_it_waits(self) -> None:
        """Until the service that has just been started says that it waits for privacy."""
        log = self._stack.layout.logs / f"{_SERVICE}.log"
        begun = log.stat().st_size
        async with asyncio.timeout(_PATIENCE):
            while True:
                if _WAITING in (await asyncio.to_thread(log.read_text))[begun:]:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def _serves(self) -> bool:
        return await serves(self._stack.environment(_SERVICE)[f"IGSTATS_{_SERVICE.upper()}_HEALTH_LISTEN"])

    @asynccontextmanager
    async def _officer(self) -> AsyncIterator["PrivacyServiceAsyncStub"]:
        layout = self._stack.layout
        certificate = layout.certificates[OPERATOR]
        credentials = grpc.ssl_channel_credentials(
            layout.authority.certificate.read_bytes(),
            certificate.key.read_bytes(),
            certificate.certificate.read_bytes(),
        )
        options = (("grpc.ssl_target_name_override", "privacy"),)
        async with grpc.aio.secure_channel(layout.address("privacy-rpc"), credentials, options=options) as channel:
            yield cast("PrivacyServiceAsyncStub", PrivacyServiceStub(channel))
