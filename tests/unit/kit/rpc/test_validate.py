"""Requests are held against the rules that their protos state."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from igstats.holder.v1.holder_tasks_service_pb2 import LeaseTasksRequest, LeaseTasksResponse, UploadExportRequest
from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceStub
from igstats.privacy.v1.privacy_service_pb2 import OpenRequestRequest
from igstats_kit.access import Access
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.validate import ValidateInterceptor
from igstats_kit.server import RpcServer
from igstats_kit.status import from_rpc_error

Settings = Callable[..., Any]


async def refusal(call: Awaitable[object]) -> DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def test_violation_inside_a_list_is_named_with_its_place() -> None:
    request = OpenRequestRequest()
    request.identifiers.add()
    with pytest.raises(DomainError) as caught:
        ValidateInterceptor().check(request)
    assert "identifiers[0].value" in {violation.field for violation in caught.value.violations}


def test_what_is_no_message_has_no_rules() -> None:
    ValidateInterceptor().check(b"bytes that are passed on")


async def test_request_that_breaks_its_rules_is_refused_field_by_field(settings: Settings) -> None:
    seen: list[str] = []
    async with holder_tasks(settings, seen) as stub:
        error = await refusal(stub.LeaseTasks(LeaseTasksRequest(), timeout=5))
        await stub.LeaseTasks(LeaseTasksRequest(holder="stats", task_ids=["1"]), timeout=5)
    assert error.reason is Reason.FIELD_INVALID
    assert {violation.field for violation in error.violations} == {"holder", "task_ids"}
    assert all(violation.description for violation in error.violations)
    assert seen == ["stats"]


async def test_each_message_of_a_stream_is_checked(settings: Settings) -> None:
    async def pieces() -> AsyncIterator[UploadExportRequest]:
        yield UploadExportRequest(lines=b"x" * (256 * 1024 + 1))

    async with holder_tasks(settings, []) as stub:
        error = await refusal(stub.UploadExport(pieces(), timeout=5))
    assert [violation.field for violation in error.violations] == ["lines"]


@contextlib.asynccontextmanager
async def holder_tasks(settings: Settings, seen: list[str]) -> AsyncIterator[Any]:
    """Two RPCs whose protos state rules."""

    async def lease(request: LeaseTasksRequest, _context: object) -> LeaseTasksResponse:
        seen.append(request.holder)
        return LeaseTasksResponse()

    async def upload(requests: AsyncIterator[UploadExportRequest], _context: object) -> LeaseTasksResponse:
        seen.extend([request.store async for request in requests])
        return LeaseTasksResponse()

    service = "igstats.holder.v1.HolderTasksService"
    row = Access(frozenset({"stats"}))
    config = settings("echo")
    rpc = RpcServer(config, {f"/{service}/LeaseTasks": row, f"/{service}/UploadExport": row})
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "LeaseTasks": grpc.unary_unary_rpc_method_handler(
            lease, LeaseTasksRequest.FromString, LeaseTasksResponse.SerializeToString
        ),
        "UploadExport": grpc.stream_unary_rpc_method_handler(
            upload, UploadExportRequest.FromString, LeaseTasksResponse.SerializeToString
        ),
    }
    rpc.server.add_registered_method_handlers(service, handlers)
    port = await rpc.start()
    client = settings("stats")
    credentials = grpc.ssl_channel_credentials(
        client.tls_ca.read_bytes(), client.tls_key.read_bytes(), client.tls_cert.read_bytes()
    )
    name = (("grpc.ssl_target_name_override", "echo"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=name) as channel:
        yield HolderTasksServiceStub(channel)
    await rpc.stop(0)
