"""Opens requests at privacy and waits until each has ended: what the benchmarks of requests share."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc
from igstats.event.v1.events_pb2 import RequestsClosed
from igstats.holder.v1.identifier_pb2 import Identifier
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.privacy_service_pb2 import OpenRequestRequest
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats_dev.stack import Stack
from nats.aio.msg import Msg

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceAsyncStub

WAIT_SECONDS = 120.0
_CLOSED = "igstats.privacy.v1.request.closed"


class Requests:
    """A request counts as done when privacy publishes that it is closed: every holder has answered by then."""

    def __init__(self, stub: "PrivacyServiceAsyncStub") -> None:
        self.stub = stub
        self._closed: dict[str, asyncio.Future[str]] = {}

    async def on_closed(self, message: Msg) -> None:
        """Takes one request.closed event."""
        for event in RequestsClosed.FromString(message.data).closings:
            future = self._future(event.request_id)
            if not future.done():
                future.set_result(event.state)

    async def run(self, right: Right.ValueType, key: str, identifiers: Iterable[Identifier]) -> str:
        """One request of a proved person; returns its id when it is closed and fulfilled."""
        request = OpenRequestRequest(
            idempotency_key=f"bench-{key}-{right}",
            right=right,
            identifiers=identifiers,
            door="officer",
            identity_proof="benchmark",
        )
        opened = (await self.stub.OpenRequest(request, timeout=WAIT_SECONDS)).request
        state = await asyncio.wait_for(self._future(opened.request_id), WAIT_SECONDS)
        if state != "REQUEST_STATE_FULFILLED":
            raise RuntimeError(f"request {opened.request_id} ended {state}")
        return opened.request_id

    def _future(self, request_id: str) -> "asyncio.Future[str]":
        return self._closed.setdefault(request_id, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def requests(stack: Stack) -> AsyncIterator[Requests]:
    """The driver of a running stack."""
    certificate = stack.layout.certificates["operator"]
    credentials = grpc.ssl_channel_credentials(
        stack.layout.authority.certificate.read_bytes(),
        certificate.key.read_bytes(),
        certificate.certificate.read_bytes(),
    )
    override = (("grpc.ssl_target_name_override", "privacy"),)
    async with (
        grpc.aio.secure_channel(stack.layout.address("privacy-rpc"), credentials, options=override) as channel,
        stack.nats.operator(stack.layout.certificates["operator"]) as operator,
    ):
        made = Requests(cast("PrivacyServiceAsyncStub", PrivacyServiceStub(channel)))
        await operator.subscribe(_CLOSED, cb=made.on_closed)
        await operator.flush()
        yield made
