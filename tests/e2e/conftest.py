"""One stack of real processes for all end-to-end tests of a worker; each test uses persons of its own."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1.request_service_pb2 import GetExportRequest
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.privacy_service_pb2 import GetRequestRequest, ListHoldersRequest, OpenRequestRequest
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.request_pb2 import Request, RequestState
from igstats_dev.crowd import HELD_BY, ROWS_A_PERSON, Crowd, Somebody
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import Stack, running
from igstats_kit.sql import Database
from igstats_kit.tables import outbox, parked
from nats.js.errors import NotFoundError
from rich.console import Console
from sqlalchemy import func, select, text

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.api.v1.request_service_pb2_grpc import RequestServiceAsyncStub
    from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceAsyncStub

HOLDERS = ("audit", "gateway", "privacy", "stats")
END = {"FULFILLED", "FULFILLED_IN_PART", "DENIED", "WITHDRAWN", "EXPIRED"}
PATIENCE_SECONDS = 150.0
_LOOK_SECONDS = 0.02


async def eventually(
    condition: Callable[[], Coroutine[Any, Any, bool]], what: str, seconds: float = PATIENCE_SECONDS
) -> None:
    """Waits until the condition holds; fails with `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not await _holds(condition):
        if time.monotonic() > deadline:
            pytest.fail(f"not in {seconds:g} s: {what}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _holds(condition: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
    try:
        return await condition()
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001 - servers are down on purpose
        return False


class World:
    """A running stack, persons in it, and privacy as its customers and an officer's tool see it."""

    def __init__(self, stack: Stack, doors: grpc.aio.Channel, office: grpc.aio.Channel) -> None:
        self.stack = stack
        self.crowd = Crowd(stack)
        self.privacy = cast("PrivacyServiceAsyncStub", PrivacyServiceStub(office))
        self.public = cast("RequestServiceAsyncStub", RequestServiceStub(doors))

    async def delete(self, person: Somebody, *, key: str = "first") -> str:
        """Opens a deletion; returns the request id."""
        return await self.ask(person, Right.RIGHT_ERASURE, key=key)

    async def ask(
        self,
        person: Somebody,
        right: Right.ValueType,
        *,
        key: str = "first",
        account_id: str = "",
        received: Timestamp | None = None,
    ) -> str:
        """Opens a request, as often as it takes while privacy is down; returns its id."""
        kinds = {
            IdentifierKind.IDENTIFIER_KIND_ACCOUNT_ID: person.account_id,
            IdentifierKind.IDENTIFIER_KIND_INSTAGRAM_USER_ID: person.instagram_user_id,
        }
        request = OpenRequestRequest(
            idempotency_key=f"{key}-{person.account_id}",
            right=right,
            identifiers=[Identifier(kind=kind, value=value) for kind, value in kinds.items()],
            door="officer",
            account_id=account_id,
            identity_proof="test",
            received_time=received,
        )
        opened: list[str] = []

        async def accepted() -> bool:
            answer = await self.privacy.OpenRequest(request, timeout=5)
            opened.append(answer.request.request_id)
            return True

        await eventually(accepted, "privacy accepts a request")
        return opened[0]

    async def package(self, person: Somebody, request_id: str) -> bytes:
        """The package of a request, as the person's account gets it through the gateway."""
        metadata = (("x-igstats-account-id", person.account_id), ("x-igstats-scopes", "privacy"))
        read = self.public.GetExport(GetExportRequest(request_id=request_id), timeout=30, metadata=metadata)
        return b"".join([piece.chunk async for piece in read])

    async def replay(self, stream: str, prefix: str) -> int:
        """Publishes every message of a stream again: backwards, under new ids; returns how many."""
        async with self.stack.nats.operator(self.stack.layout.certificates["operator"]) as operator:
            jetstream, count = operator.jetstream(), 0
            state = (await jetstream.stream_info(stream)).state
            for sequence in range(state.last_seq, max(state.first_seq, 1) - 1, -1):
                with suppress(NotFoundError):
                    message = await jetstream.get_msg(stream, sequence)
                    name = f"{prefix}-{sequence}"
                    headers = {**(message.headers or {}), "Nats-Msg-Id": name, "ce-id": name}
                    await jetstream.publish(message.subject or "", message.data or b"", headers=headers)
                    count += 1
        return count

    async def request(self, request_id: str) -> Request:
        """The request with its tasks."""
        return (await self.privacy.GetRequest(GetRequestRequest(request_id=request_id), timeout=5)).request

    async def until_closed(self, request_ids: Sequence[str]) -> list[Request]:
        """Waits until all have ended; returns them."""

        async def all_closed() -> bool:
            async with self.database("privacy").read() as connection:
                open_ones = text("SELECT count(*) FROM requests WHERE request_id = ANY(:ids) AND closed_at IS NULL")
                return bool(await connection.scalar(open_ones, {"ids": list(request_ids)}) == 0)

        await eventually(all_closed, f"{len(request_ids)} requests end")
        return [await self.request(request_id) for request_id in request_ids]

    async def until_phase(self, request_ids: Sequence[str], phase: str) -> None:
        """Waits until some task of the phase is with its holder."""

        async def reached() -> bool:
            async with self.database("privacy").read() as connection:
                working = text(
                    "SELECT count(*) FROM tasks WHERE request_id = ANY(:ids) AND phase = :phase"
                    " AND state IN ('OFFERED', 'LEASED')"
                )
                return bool(await connection.scalar(working, {"ids": list(request_ids), "phase": phase}))

        await eventually(reached, f"phase {phase} is worked at")

    def database(self, service: str) -> Database:
        """The service's database."""
        return self.crowd.databases[service]

    async def rows_of(self, people: Sequence[Somebody]) -> int:
        """Rows that name these persons, over all holders.

        Tables that know a profile by its key only are not counted: foreign keys let none of their rows outlive it.
        """
        accounts = [person.account_id for person in people]
        users = [person.instagram_user_id for person in people]
        total = 0
        for service, tables in HELD_BY.items():
            async with self.database(service).read() as connection:
                for table in tables:
                    if "account_id" in table.columns:
                        mine = table.c.account_id.in_(accounts)
                    elif "instagram_user_id" in table.columns:
                        mine = table.c.instagram_user_id.in_(users)
                    else:
                        continue
                    total += await connection.scalar(select(func.count()).select_from(table).where(mine)) or 0
        return total

    async def settle_down(self) -> None:
        """Waits until every service serves and nothing is under way."""
        for part in self.stack.parts.values():
            await part.ready()

        async def quiet() -> bool:
            waiting = 0
            for service in HOLDERS:
                async with self.database(service).read() as connection:
                    waiting += await connection.scalar(select(func.count()).select_from(outbox)) or 0
            await self.privacy.ListHolders(ListHoldersRequest(), timeout=5)
            return waiting == 0

        await eventually(quiet, "the outboxes are empty")

    async def nothing_is_parked(self) -> bool:
        """Whether every event could be handled."""
        for service in HOLDERS:
            async with self.database(service).read() as connection:
                if await connection.scalar(select(func.count()).select_from(parked)):
                    return False
        return True


def assert_proved(request: Request) -> None:
    """The request was fulfilled, and every holder attested it."""
    assert RequestState.Name(request.state) == "REQUEST_STATE_FULFILLED"
    attested = {task.holder for task in request.tasks if task.phase == 4 and task.state == 4}
    assert attested == set(HOLDERS)
    assert len(request.tasks) == 4 * len(HOLDERS)
    assert not request.blocked


@asynccontextmanager
async def privacy_channels(stack: Stack) -> AsyncIterator[tuple[grpc.aio.Channel, grpc.aio.Channel]]:
    """Channels to privacy with the gateway's certificate and with an officer's."""
    async with _privacy_channel(stack, "gateway") as doors, _privacy_channel(stack, "operator") as office:
        yield doors, office


def _privacy_channel(stack: Stack, caller: str) -> grpc.aio.Channel:
    certificate = stack.layout.certificates[caller]
    credentials = grpc.ssl_channel_credentials(
        stack.layout.authority.certificate.read_bytes(),
        certificate.key.read_bytes(),
        certificate.certificate.read_bytes(),
    )
    options = (("grpc.ssl_target_name_override", "privacy"), ("grpc.max_reconnect_backoff_ms", 500))
    return grpc.aio.secure_channel(stack.layout.address("privacy-rpc"), credentials, options=options)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The stack of this worker."""
    folder = tmp_path_factory.mktemp("stack")
    report = ConsoleReport(Console(file=io.StringIO()))
    async with running(folder, report) as stack, privacy_channels(stack) as channels:
        made = World(stack, *channels)
        yield made
        await made.crowd.close()


__all__ = ["ROWS_A_PERSON", "World", "assert_proved", "eventually", "privacy_channels"]
